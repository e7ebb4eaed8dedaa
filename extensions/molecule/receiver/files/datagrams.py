# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send datagrams to the receiver of this host from addresses of its own, and compare what it stored with this table.

Runs on the receiver, as root. The wire formats: kernel, drivers/net/netconsole.c (write_ext_msg, send_fragmented) and
kernel/printk/printk.c (info_print_ext_header, msg_print_ext_body, record_print_text).
"""

import datetime
import gzip
import json
import random
import re
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

STORE = Path("/var/log/netconsole")
BEFORE = Path("/root/before.json")
OWN = (
    "/var/lib/netconsole-receiver",
    "/run/netconsole-receiver",
    "/var/lib/netconsole-observer",
    "/run/netconsole-observer",
)
"""Where else the receiver and its observer may write."""
SERVICE = "netconsole-receiver.service"
ROTATION = "/etc/logrotate.d/netconsole-receiver"
PORT = 6666
FILES = {
    "rsyslog": ["netconsole.rulebase", "rsyslog.conf", "senders.json"],
    "syslog_ng": ["senders.csv", "senders.json", "syslog-ng.conf"],
    "netconsd": ["senders.json"],
    "socat": ["senders.json"],
    "netcat": ["senders.json"],
}
SOURCES = {
    "192.0.2.21": "db1",
    "2001:db8::21": "db1",
    "fe80::21": "db1",
    "192.0.2.22": "db2",
    "192.0.2.99": None,
    "2001:db8::99": None,
}
LINE = re.compile(
    rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d \S+"
    rb" (?:-|emerg|alert|crit|err|warning|notice|info|debug) \[ *(?:\d+\.\d+|-)\] [ -~]*\n"
)
EXTENDED: dict[str, Any] = {
    "format": "extended",
    "facility": 0,
    "level": 6,
    "level_name": "info",
    "sequence": 5,
    "kernel_time": 9.163816,
}
LEGACY: dict[str, Any] = {"format": "legacy"}
HEADER = "6,5,9163816,-"
TIME = "[    9.163816]"
LONG = "x" * (1000 - len(HEADER) - 2)

# name, datagram, the JSON record without received, host and source, the text line from the level on
CASES: list[tuple[str, str | bytes, dict[str, Any], str]] = [
    ("extended", f"{HEADER};text\n", EXTENDED | {"message": "text"}, f"info {TIME} text"),
    (
        "emergency",
        "0,5,9163816,-;text\n",
        EXTENDED | {"level": 0, "level_name": "emerg", "message": "text"},
        f"emerg {TIME} text",
    ),
    (
        "debug",
        "7,5,9163816,-;text\n",
        EXTENDED | {"level": 7, "level_name": "debug", "message": "text"},
        f"debug {TIME} text",
    ),
    (
        "written to /dev/kmsg",
        "12,5,9163816,-;text\n",
        EXTENDED | {"facility": 1, "level": 4, "level_name": "warning", "message": "text"},
        f"warning {TIME} text",
    ),
    (
        "the first microsecond",
        "6,0,1,-;text\n",
        EXTENDED | {"sequence": 0, "kernel_time": 0.000001, "message": "text"},
        "info [    0.000001] text",
    ),
    (
        "up for a year",
        "6,4294967296,31536000000123,-;text\n",
        EXTENDED | {"sequence": 4294967296, "kernel_time": 31536000.000123, "message": "text"},
        "info [31536000.000123] text",
    ),
    (
        "release",
        f"6.12.107+deb13-amd64,{HEADER};text\n",
        EXTENDED | {"release": "6.12.107+deb13-amd64", "message": "text"},
        f"info {TIME} text",
    ),
    ("caller", f"{HEADER},caller=T123;text\n", EXTENDED | {"caller": "T123", "message": "text"}, f"info {TIME} text"),
    (
        "release and caller",
        f"6.17.0,{HEADER},caller=C0;text\n",
        EXTENDED | {"release": "6.17.0", "caller": "C0", "message": "text"},
        f"info {TIME} text",
    ),
    ("continuation", "6,5,9163816,c;text\n", EXTENDED | {"continuation": True, "message": "text"}, f"info {TIME} text"),
    (
        "a header field of a later kernel",
        f"{HEADER},color=red;text\n",
        EXTENDED | {"message": "text"},
        f"info {TIME} text",
    ),
    ("no text", f"{HEADER};\n", EXTENDED | {"message": ""}, f"info {TIME} "),
    (
        "dictionary",
        f"{HEADER};text\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:1f.2\n",
        EXTENDED | {"message": "text", "userdata": {"SUBSYSTEM": "pci", "DEVICE": "+pci:0000:00:1f.2"}},
        f"info {TIME} text",
    ),
    (
        "user data",
        f'{HEADER};text\n rack=A 12\n note=a=b "c" \\d /e\n',
        EXTENDED | {"message": "text", "userdata": {"rack": "A 12", "note": 'a=b "c" \\d /e'}},
        f"info {TIME} text",
    ),
    (
        "everything",
        "6.17.0,6,5,9163816,c,caller=T1;text\n SUBSYSTEM=usb\n rack=A1\n taskname=x\n release=6.17.0\n msgid=7\n",
        EXTENDED
        | {"release": "6.17.0", "continuation": True, "caller": "T1", "message": "text"}
        | {
            "userdata": {
                "SUBSYSTEM": "usb",
                "rack": "A1",
                "taskname": "x",
                "release": "6.17.0",
                "msgid": "7",
            }
        },
        f"info {TIME} text",
    ),
    (
        "user data, no text",
        f"{HEADER};\n rack=A12\n",
        EXTENDED | {"message": "", "userdata": {"rack": "A12"}},
        f"info {TIME} ",
    ),
    (
        "UTF-8, escaped by the kernel",
        f"{HEADER};caf\\xc3\\xa9 \\x5c \\x1b[31m\n",
        EXTENDED | {"message": "caf\\xc3\\xa9 \\x5c \\x1b[31m"},
        f"info {TIME} caf\\xc3\\xa9 \\x5c \\x1b[31m",
    ),
    ("1000 bytes", f"{HEADER};{LONG}\n", EXTENDED | {"message": LONG}, f"info {TIME} {LONG}"),
    ("legacy", "[    9.163816] text\n", LEGACY | {"kernel_time": 9.163816, "message": "text"}, f"- {TIME} text"),
    (
        "legacy, no white space before the time",
        "[12345.678901] text\n",
        LEGACY | {"kernel_time": 12345.678901, "message": "text"},
        "- [12345.678901] text",
    ),
    (
        "legacy, no time",
        "zram: Added device: zram0\n",
        LEGACY | {"message": "zram: Added device: zram0"},
        "- [           -] zram: Added device: zram0",
    ),
    (
        "legacy, caller",
        "[    9.163816][    T1] text\n",
        LEGACY | {"kernel_time": 9.163816, "caller": "T1", "message": "text"},
        f"- {TIME} text",
    ),
    (
        "legacy, console_msg_format=syslog",
        "<4>[    9.163816] text\n",
        LEGACY | {"facility": 0, "level": 4, "level_name": "warning", "kernel_time": 9.163816, "message": "text"},
        f"warning {TIME} text",
    ),
    (
        "legacy, two lines in one",
        "[    9.163816] a\n[    9.163816] b\n",
        LEGACY | {"kernel_time": 9.163816, "message": "a\\n[    9.163816] b"},
        f"- {TIME} a\\n[    9.163816] b",
    ),
    ("legacy, the rest of a cut line", "ction 0x1\n", LEGACY | {"message": "ction 0x1"}, "- [           -] ction 0x1"),
    ("legacy, UTF-8", "caf\u00e9\n", LEGACY | {"message": "caf\\xC3\\xA9"}, "- [           -] caf\\xC3\\xA9"),
    ("legacy, 1000 bytes", "y" * 1000, LEGACY | {"message": "y" * 1000}, "- [           -] " + "y" * 1000),
    (
        "terminal escapes",
        "\x1b]0;title\x07\x1b[2J\r\n",
        LEGACY | {"message": "\\e]0;title\\a\\e[2J\\r"},
        "- [           -] \\e]0;title\\a\\e[2J\\r",
    ),
    (
        "no valid UTF-8, a zero byte",
        b"\xff\x00\xc0\x80\n",
        LEGACY | {"message": "\\xFF\\0\\xC0\\x80"},
        "- [           -] \\xFF\\0\\xC0\\x80",
    ),
    (
        "quotes and backslashes",
        f'{HEADER};","message":"x\\"}}\n',
        EXTENDED | {"message": '","message":"x\\"}'},
        f'info {TIME} ","message":"x\\"}}',
    ),
    (
        "a path",
        f"{HEADER};../../../etc/cron.d/x\n",
        EXTENDED | {"message": "../../../etc/cron.d/x"},
        f"info {TIME} ../../../etc/cron.d/x",
    ),
    ("format strings", f"{HEADER};%s%n%$.file%\n", EXTENDED | {"message": "%s%n%$.file%"}, f"info {TIME} %s%n%$.file%"),
    (
        "a forged line",
        "a\n2026-11-23T05:43:11.123456+00:00 db2 emerg [    1.0] b\n",
        LEGACY | {"message": "a\\n2026-11-23T05:43:11.123456+00:00 db2 emerg [    1.0] b"},
        "- [           -] a\\n2026-11-23T05:43:11.123456+00:00 db2 emerg [    1.0] b",
    ),
    (
        "JSON in user data",
        f'{HEADER};text\n a"b=","c":{{}}\n',
        EXTENDED | {"message": "text", "userdata": {'a"b': '","c":{}'}},
        f"info {TIME} text",
    ),
    (
        "too large a priority is no header",
        "2048,5,1,-;text\n",
        LEGACY | {"message": "2048,5,1,-;text"},
        "- [           -] 2048,5,1,-;text",
    ),
    ("empty line", "\n", LEGACY | {"message": ""}, "- [           -] "),
]


COLLECTOR = "rsyslog"
HOSTILE = {"rsyslog": 10000, "socat": 200}
TELLS_SOURCE = {"rsyslog", "syslog_ng", "netconsd", "socat"}
READS_EVERYTHING = {"rsyslog", "syslog_ng", "socat"}
"""Those that store every datagram as the table says. netconsd has read and ordered messages itself before."""


def files_of(source: str) -> tuple[Path, Path]:
    stem = SOURCES[source] or f"unknown/{source}"
    if COLLECTOR not in TELLS_SOURCE:
        stem = "everything"
    return STORE / f"{stem}.log", STORE / f"{stem}.jsonl"


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def send(source: str, datagrams: list[bytes], port: int = PORT) -> None:
    family: int = socket.AF_INET6 if ":" in source else socket.AF_INET
    own: tuple[str | int, ...] = (source, 0)
    target: tuple[str | int, ...] = ("::1" if ":" in source else "127.0.0.1", port)
    if source.startswith("fe80:"):  # link-local: only with an interface
        zone = socket.if_nametoindex("lo")
        own, target = (source, 0, 0, zone), (source, port, 0, zone)
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.bind(own)
        for count, datagram in enumerate(datagrams):
            sender.sendto(datagram, target)
            # socat starts programs for each datagram, side by side.
            if COLLECTOR == "socat":
                time.sleep(0.05)
            elif count % 20 == 19:
                _wait_until_read(port)


def _wait_until_read(port: int) -> None:
    """Wait until the collector has read what its sockets hold, a fifth of a second at most: what a full buffer drops is
    not what is tested here."""
    for dummy in range(200):
        held = [
            int(line.split()[4].split(":")[1], 16)
            for name in ("udp", "udp6")
            for line in Path("/proc/net", name).read_text(encoding="ascii").splitlines()[1:]
            if int(line.split()[1].rsplit(":", 1)[1], 16) == port
        ]
        if not any(held):
            return
        time.sleep(0.001)


def new_lines(path: Path, offset: int, wanted: int) -> list[bytes]:
    """The lines after offset, once there are as many as wanted, or what is there after half a minute."""
    for dummy in range(300):
        with path.open("rb") if path.exists() else open("/dev/null", "rb") as file:
            file.seek(offset)
            lines = file.readlines()
        if len(lines) >= wanted and (not lines or lines[-1].endswith(b"\n")):
            break
        time.sleep(0.1)
    return lines


def settle(*paths: Path) -> None:
    """Wait until files have not grown for three seconds: parts of messages come out late, one by one."""
    for dummy in range(20):
        before = [size(path) for path in paths]
        time.sleep(3)
        if [size(path) for path in paths] == before:
            return


def encoded(datagram: str | bytes) -> bytes:
    return datagram if isinstance(datagram, bytes) else datagram.encode()


def _without_time(line: bytes) -> str:
    record = json.loads(line)
    del record["received"]
    return json.dumps(record, sort_keys=True)


def check_table(source: str) -> list[str]:
    """What is wrong with the way the table was stored, an empty datagram in its midst. Empty when all is well."""
    text_file, json_file = files_of(source)
    text_size, json_size = size(text_file), size(json_file)
    host = SOURCES[source] or source
    before = datetime.datetime.now(datetime.UTC)
    send(source, [b"", *(encoded(case[1]) for case in CASES)])
    texts = new_lines(text_file, text_size, len(CASES))
    records = new_lines(json_file, json_size, len(CASES))
    after = datetime.datetime.now(datetime.UTC)
    wrong = []
    if (len(texts), len(records)) != (len(CASES), len(CASES)):
        wrong.append(f"{source}: {len(CASES)} sent, {len(texts)} in {text_file}, {len(records)} in {json_file}")
    cases = CASES
    if COLLECTOR == "socat":  # starts programs side by side, so the order is theirs
        cases = sorted(cases, key=lambda case: (f"{host} {case[3]}\n", json.dumps(case[2], sort_keys=True)))
        order = {
            json.dumps(case[2] | {"host": host, "source": source}, sort_keys=True): n for n, case in enumerate(cases)
        }
        records.sort(key=lambda line: order.get(_without_time(line), len(order)))
        texts.sort(key=lambda text: text.decode().partition(" ")[2])
    for (name, dummy, expected, expected_text), text, line in zip(cases, texts, records, strict=False):
        record = json.loads(line)
        received = record.pop("received")
        if not re.fullmatch(r"\S{10}T\S{8}\.\d{6}[+-]\d\d:\d\d", received):
            wrong.append(f"{source}, {name}: received is {received}")
        if not before <= datetime.datetime.fromisoformat(received) <= after:
            wrong.append(f"{source}, {name}: received {received} is not between {before} and {after}")
        if record != expected | {"host": host, "source": source}:
            wrong.append(f"{source}, {name}: stored {record}, expected {expected}")
        shown = text.decode().partition(" ")[0] if COLLECTOR == "socat" else received
        if text.decode() != f"{shown} {host} {expected_text}\n":
            wrong.append(f"{source}, {name}: stored {text!r}, expected {expected_text!r}")
    return wrong


def fragments_of(body: bytes, header: str, size: int) -> list[bytes]:
    """A message as send_fragmented() cuts it."""
    pieces = range(0, len(body), size)
    return [f"{header},ncfrag={at}/{len(body)};".encode() + body[at : at + size] for at in pieces]


def check_arrival(source: str) -> list[str]:
    """What is wrong with one message in each format: the least that every collector does."""
    text_file, json_file = files_of(source)
    text_size, json_size = size(text_file), size(json_file)
    mark = f"arrival from {source} at {time.time_ns()}"
    sequence = time.time_ns() // 1000
    send(source, [f"4,{sequence},9163816,-;extended {mark}\n".encode()])
    time.sleep(0.3)
    send(source, [f"[    9.163816] legacy {mark}\n".encode()])
    texts, records = new_lines(text_file, text_size, 2), new_lines(json_file, json_size, 2)
    known = {"host": SOURCES[source] or source, "source": source} if COLLECTOR in TELLS_SOURCE else {}
    header = {"level": 4, "level_name": "warning", "facility": 0, "sequence": sequence}
    expected = [
        {"format": "extended", "kernel_time": 9.163816, "message": f"extended {mark}"} | header | known,
        {"format": "legacy", "kernel_time": 9.163816, "message": f"legacy {mark}"} | known,
    ]
    found = [{key: value for key, value in json.loads(line).items() if key != "received"} for line in records]
    wrong = [] if sorted(found, key=str) == sorted(expected, key=str) else [f"{source}: {found}, expected {expected}"]
    if len(texts) != 2 or not all(LINE.fullmatch(text) for text in texts):
        wrong.append(f"{source}: {texts}")
    return wrong


def check_fragments(source: str) -> list[str]:
    """What is wrong with long messages: whole, in the wrong order, one after the other, and one that lacks its end."""
    dummy, json_file = files_of(source)
    json_size = size(json_file)
    text = "".join(f"\\x5c{number:04d}" for number in range(250))
    body = f"{text}\n SUBSYSTEM=pci\n note={'a b' * 60} \\d\n rack=A12\n".encode()
    start = time.time_ns() // 1000
    release = "6.17.0," if COLLECTOR != "netconsd" else ""  # which netconsd does not know
    headers = [f"{release}6,{start + number},9163816,-" for number in range(3)]
    first, second, third = (fragments_of(body, header, 900) for header in headers)
    # netconsd takes a sequence number that does not follow on the last one for a restart of the sender.
    send(source, [f"{release}6,{start - number},9163816,-;before".encode() for number in (3, 2, 1)])
    send(source, first)
    send(source, second[::-1])
    send(source, third[:-1])
    if COLLECTOR == "netconsd":
        return _check_first_fragments(json_file, json_size, [body[:900].decode(), "", ""], start)
    wrong = []
    userdata = {"SUBSYSTEM": "pci", "note": "a b" * 60 + " \\d", "rack": "A12"}
    # What has no end is one record for each fragment, or one for all.
    wanted = 5 + {"rsyslog": 2, "socat": 2, "syslog_ng": 1}[COLLECTOR]
    records = [json.loads(line) for line in new_lines(json_file, json_size, wanted)]
    for number in range(2):
        found = [record for record in records if record.get("sequence") == start + number]
        if [record["message"] for record in found] != [text]:
            wrong.append(f"fragments: {found}, expected {text}")
        if [record.get("userdata") for record in found] != [userdata]:
            wrong.append(f"fragments: {found}, expected {userdata}")
        if any("fragment" in record for record in found):
            wrong.append(f"fragments: {found} is no whole message")
    parts = [record for record in records if record.get("sequence") == start + 2]
    if not parts or not all("fragment" in record for record in parts):
        wrong.append(f"fragments without an end: {parts}")
    if body[:900].decode() not in "".join(record["message"] for record in parts):
        wrong.append(f"fragments without an end: {parts}")
    return wrong


def _check_first_fragments(json_file: Path, json_size: int, messages: list[str], start: int) -> list[str]:
    """What is wrong with fragments in netconsd 0.4.1: it makes a message of each, and drops the text of all but the
    first."""
    records = [json.loads(line) for line in new_lines(json_file, json_size, 11)]
    wrong = []
    for number, count in enumerate((3, 3, 2)):
        found = [record["message"] for record in records if record.get("sequence") == start + number]
        if sorted(found, reverse=True) != messages[:count]:
            wrong.append(f"fragments in netconsd: {found}, expected {messages[:count]}")
    return wrong


def check_cut_legacy(source: str) -> list[str]:
    """What is wrong with legacy messages that the kernel cuts after 1,000 bytes, without saying so: joined where that
    is certain, and never lost."""
    dummy, json_file = files_of(source)
    json_size = size(json_file)
    mark = str(time.time_ns())

    def first(name: str) -> str:
        return f"[    9.163816] {mark} {name} ".ljust(1000, "a")

    stamped = f"[    9.163817] {mark} a message of its own\n"
    send(source, [(first("two") + "b" * 300 + "\n").encode()[at : at + 1000] for at in (0, 1000)])
    send(source, [(first("three") + "b" * 1000 + "c\td\n").encode()[at : at + 1000] for at in (0, 1000, 2000)])
    send(source, [first("alone").encode(), stamped.encode(), b"without a time stamp\n"])
    texts = [first(name)[15:] for name in ("two", "three", "alone")]
    wanted = [texts[0] + "b" * 300, texts[1] + "b" * 1000 + "c\\td", texts[2], stamped[15:-1], "without a time stamp"]
    found = [json.loads(line)["message"] for line in new_lines(json_file, json_size, len(wanted))]
    return [] if sorted(found) == sorted(wanted) else [f"cut legacy messages: {found}, expected {wanted}"]


def hostile(count: int) -> list[bytes]:
    """Datagrams made of what hurts, the same ones in every run."""
    dice = random.Random(6666)
    heads = [
        b"",
        HEADER.encode() + b";",
        b"r,6,1,2,c,caller=T1;",
        b"[    1.2] ",
        b"<9>[1.2][T1] ",
        b"6,1,2,-,ncfrag=0/9;",
        b"z",
    ]
    heads += [b"9" * 30 + b",1,2,-;", b"6,018446744073709551616," + b"9" * 30 + b",-;", b"[007." + b"9" * 40 + b"] "]
    parts = [
        b"\n ",
        b"=",
        b"k=v",
        b"\\n ",
        b"\\",
        b'"',
        b"%s%n",
        b"../",
        b"\x1b[2J",
        b"\xc3\xa9",
        b"\xff",
        b"\0",
        b"\x7f",
        b"{",
        b"\r",
        b",",
        b";",
    ]
    found = [b"".join(dice.choices(parts, k=dice.randrange(1, 60))) for dummy in range(count)]
    found = [dice.choice(heads) + datagram for datagram in found]
    found[:: count // 100] = [
        dice.randbytes(dice.choice([1, 999, 1000, 8191, 8192, 8193, 65507])) for dummy in found[:: count // 100]
    ]
    found[-len(beyond_the_line()) :] = beyond_the_line()
    return found


def beyond_the_line() -> list[bytes]:
    """Fragments that make a message, and one that is alone, of more than the 128 KiB after which rsyslog begins a new
    line. What that would begin with names a file outside of the store, wherever it begins."""
    path = b"../" * 300 + b"tmp/evil "
    body = (path * 150)[:132000]
    whole = [b"6,77,2,-,ncfrag=%d/%d;" % (at, len(body)) + body[at : at + 44000] for at in range(0, len(body), 44000)]
    return [*whole, b"6,78,2,-,ncfrag=0/65000;" + b"\1" * 30000 + (path * 40)[:35000]]


def check_hostile(source: str, count: int) -> list[str]:
    """What is wrong with the store after hostile datagrams: every line is a line, and nothing lies elsewhere."""
    text_file, json_file = files_of(source)
    text_size, json_size = size(text_file), size(json_file)
    present = {path for path in STORE.rglob("*") if path.is_file()} | {text_file, json_file}
    mark = Path("/root/hostile.mark")
    mark.touch()
    send(source, hostile(count))
    # netcat and netconsd put what is not netconsole's together or apart as they like, and syslog-ng all fragments that
    # claim to be of one message.
    exact = COLLECTOR in ("rsyslog", "socat")
    last = f"8,{time.time_ns() // 1000},1,-;the last one {count}\n".encode()
    if not exact:
        time.sleep(7)
        send(source, [last])
        for dummy in range(100):
            ends = (new_lines(text_file, text_size, 1)[-20:], new_lines(json_file, json_size, 1)[-20:])
            if all(b"the last one" in b"".join(end) for end in ends):
                break
            time.sleep(0.1)
        settle(text_file, json_file)
    wanted = count if exact else 1
    texts, records = new_lines(text_file, text_size, wanted), new_lines(json_file, json_size, wanted)
    wrong = (
        [f"hostile: {count} sent, {len(texts)} lines, {len(records)} records"]
        if (exact and {len(texts), len(records)} != {count}) or len(texts) != len(records) or not texts
        else []
    )
    wrong += [f"hostile: no line of the store: {text!r}" for text in texts if not LINE.fullmatch(text)]
    for line in records:
        try:
            record = json.loads(line.decode("ascii"))
        except ValueError as error:
            wrong.append(f"hostile: {error}: {line!r}")
        else:
            host = source if COLLECTOR in TELLS_SOURCE else None
            good = record.get("host") == host and isinstance(record["message"], str)
            wrong += [] if good else [f"hostile: {line!r}"]
    wrong += [f"hostile: new file {path}" for path in STORE.rglob("*") if path.is_file() and path not in present]
    return wrong + [f"hostile: written outside the store: {path}" for path in written_elsewhere(mark)]


def written_elsewhere(mark: Path) -> list[str]:
    """Everything of the receiver's user, outside its own places, that is newer than a file. /proc and /sys are no
    places for files; the others are file systems of their own."""
    own = " -o ".join(f"-path {place}" for place in (str(STORE), *OWN))
    places = "/ /run /tmp /var/tmp /dev/shm"
    return run(
        f"find {places} -ignore_readdir_race -xdev '(' {own} ')' -prune"
        f" -o -newer {mark} -user netconsole-receiver -print"
    ).splitlines()


def run(command: str) -> str:
    """What a shell command prints; its failure ends this program."""
    words = ["bash", "-e", "-o", "pipefail", "-c", command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def lines_of(path: Path) -> list[bytes]:
    """All lines of a file of the store and of those rotated from it."""
    found: list[bytes] = []
    for one in path.parent.glob(path.name + "*"):
        with gzip.open(one, "rb") if one.suffix == ".gz" else one.open("rb") as file:
            found += file.readlines()
    return found


def wait_for(text: str, *paths: Path) -> list[str]:
    """Wait until a text is in each of these files, rotated ones included; which ones lack it after half a minute."""
    for dummy in range(150):
        missing = [path for path in paths if not any(text.encode() in line for line in lines_of(path))]
        if not missing:
            return []
        time.sleep(0.2)
    return [f"{text} is not in {path}" for path in missing]


def send_mark(source: str, text: str) -> None:
    send(source, [f"6,{time.time_ns() // 1000},9163816,-;{text}\n".encode()])


def check_life(source: str) -> list[str]:
    """What is wrong with rotation and restart: a message before, between and after is stored, and none twice."""
    paths = files_of(source)
    pid = "systemctl show --property=MainPID --value " + SERVICE
    marks = [f"{moment}-{time.time_ns()}-end" for moment in ("before", "between", "after")]
    send_mark(source, marks[0])  # rotation comes while it is on its way
    was = run(pid)
    run(f"logrotate --force {ROTATION}")
    send_mark(source, marks[1])
    wrong = wait_for(marks[1], *paths)
    if run(pid) != was:
        wrong.append("rotation has restarted the service")
    run(f"systemctl restart {SERVICE}")
    send_mark(source, marks[2])
    for path in paths:
        for mark in marks:
            wrong += wait_for(mark, path)
            times = sum(mark.encode() in line for line in lines_of(path))
            wrong += [] if times == 1 else [f"{mark} is {times} times in {path}"]
        if not path.with_name(path.name + ".1").exists():
            wrong.append(f"{path} was not rotated")
    return wrong


def check_service() -> list[str]:
    """What is wrong with the service: its user, sandbox, crashes so far and sockets, and what lies in its directory."""
    shown = run(f"systemctl show --property=ActiveState,UnitFileState,User,Group,NRestarts {SERVICE}").splitlines()
    words = dict(line.split("=", 1) for line in shown)
    user = "netconsole-receiver"
    expected = {"ActiveState": "active", "UnitFileState": "enabled", "User": user, "Group": user, "NRestarts": "0"}
    wrong = [] if words == expected else [f"service: {words}, expected {expected}"]
    exposure = run(
        f"systemd-analyze security --no-pager {SERVICE} | sed -n 's/.*exposure level.*: \\([0-9.]*\\) .*/\\1/p'"
    )
    wrong += [] if float(exposure) <= 2.5 else [f"systemd-analyze security: {exposure}"]
    sockets = sorted(line.split()[3] for line in run(f"ss -Hlun sport = :{PORT}").splitlines())
    wanted = ["0.0.0.0:6666", "[::]:6666"] if COLLECTOR == "rsyslog" else ["*:6666"]
    wrong += [] if sockets == wanted else [f"sockets: {sockets}, expected {wanted}"]
    folder = Path("/etc/netconsole-receiver")
    files = sorted(path.name for path in folder.iterdir())
    wrong += [] if files == FILES[COLLECTOR] else [f"{folder}: {files}, expected {FILES[COLLECTOR]}"]
    for path in (folder, *folder.iterdir()):
        found = f"{path.owner()}:{path.group()} {stat.filemode(path.stat().st_mode)}"
        mode = "root:netconsole-receiver " + ("drwxr-x---" if path == folder else "-rw-r-----")
        wrong += [] if found == mode else [f"{path}: {found}, expected {mode}"]
    return wrong


def check_owner() -> list[str]:
    """Files of the store that are not the service's own, or that a stranger can read."""
    places = f"{STORE} /var/lib/netconsole-receiver"
    found = run(f"find {places} '(' -perm /027 -type f -o -perm /007 -o ! -user netconsole-receiver ')'")
    return [f"{line}: wrong owner or mode" for line in found.splitlines()]


def remember() -> None:
    """Keep every line of the store, for what comes after the next change."""
    kept = {str(path): [line.decode() for line in lines_of(path)] for path in _live()}
    BEFORE.write_text(json.dumps(kept), encoding="utf-8")


def _live() -> list[Path]:
    return [path for path in STORE.rglob("*") if path.suffix in (".log", ".jsonl")]


def check_kept() -> list[str]:
    """Lines that were in the store at remember() and are gone."""
    before: dict[str, list[str]] = json.loads(BEFORE.read_text(encoding="utf-8"))
    wrong = []
    for name, lines in before.items():
        missing = {line.encode() for line in lines} - set(lines_of(Path(name)))
        wrong += [f"{name}: gone: {line!r}" for line in missing]
    return wrong or ([] if before else ["nothing was remembered"])


def check_all() -> dict[str, list[str]]:
    """What is wrong, by subject, with everything that the collector can."""
    checks = {"service": check_service()}
    if BEFORE.exists():
        checks["messages of the collector before it"] = check_kept()
    checks["arrival"] = [line for source in SOURCES for line in check_arrival(source)]
    if COLLECTOR in READS_EVERYTHING:
        checks["table"] = [line for source in SOURCES for line in check_table(source)]
    if COLLECTOR in TELLS_SOURCE:
        checks["fragments"] = check_fragments("192.0.2.21")
        checks["cut legacy messages"] = check_cut_legacy("192.0.2.21")
    checks["hostile datagrams"] = check_hostile("192.0.2.99", HOSTILE.get(COLLECTOR, 3000))
    checks["service after hostile datagrams"] = check_service()  # a restart would make it forget its crashes
    remember()
    checks["rotation and restart"] = check_life("192.0.2.22")
    checks["messages before rotation and restart"] = check_kept()
    checks["owner and mode"] = check_owner()
    checks["service after all that"] = check_service()
    remember()
    return checks


def main() -> None:
    """`datagrams.py SOURCE TEXT [COUNT]`: messages TEXT-1-end, TEXT-2-end and so on, 200 a second. `datagrams.py
    COLLECTOR`: a JSON object of what is wrong, by subject, with everything that this collector can."""
    global COLLECTOR
    if len(sys.argv) > 2:
        for number in range(1, 1 + int((sys.argv[3:] or ["1"])[0])):
            send_mark(sys.argv[1], f"{sys.argv[2]}-{number}-end")
            time.sleep(0.005)
        return
    COLLECTOR = sys.argv[1]
    print(json.dumps({subject: wrong[:20] for subject, wrong in check_all().items()}))


if __name__ == "__main__":
    main()
