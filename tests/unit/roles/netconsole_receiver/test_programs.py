# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The receiver's programs (roles/netconsole_receiver/files): fragments joined, what collectors print, disk budget.

How each datagram is stored is the table of extensions/molecule/receiver/files/datagrams.py, which real collectors pass.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILES = Path(__file__).parents[4] / "roles" / "netconsole_receiver" / "files"
HEADER = "6.17.0,6,5,9163816,-"


@pytest.fixture(scope="module")
def programs() -> dict[str, ModuleType]:
    sys.path.insert(0, str(FILES))
    try:
        return {
            name: importlib.import_module(name)
            for name in ("record", "store_files", "store", "distribute", "upkeep", "firewall", "mend", "valve")
        }
    finally:
        sys.path.remove(str(FILES))


def cut(body: bytes, size: int, header: str = HEADER) -> list[bytes]:
    return [f"{header},ncfrag={at}/{len(body)};".encode() + body[at : at + size] for at in range(0, len(body), size)]


def feed(programs: dict[str, ModuleType], datagrams: list[bytes], joiner: Any = None) -> list[str]:
    record = programs["record"]
    joiner = joiner or record.Joiner()
    return [
        text
        for number, datagram in enumerate(datagrams)
        for _source, _received, text in joiner.add(number * 0.001, "192.0.2.1", "now", record.escape(datagram))
    ]


BODIES = [
    pytest.param(b"a" * 2500, id="text alone"),
    pytest.param(b"a" * 2500 + b"\n", id="a line feed at the end"),
    pytest.param(b"a" * 900 + b"\n" + b" k=" + b"v" * 898 + b"\n", id="line feeds at the end of pieces"),
    pytest.param(
        b"\\x5c" * 500 + b"\n rack=A\n note=\\n\\e \xc3\xa9\x01\n", id="escapes of the kernel, raw bytes behind"
    ),
    pytest.param(b"x" * 950 + b"\n DEVICE=+pci:0000\n" + b" k=v\n" * 200, id="a dictionary over several"),
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("size", [pytest.param(size, id=f"{size} bytes each") for size in (100, 901, 960)])
def test_fragments_in_any_order_are_the_message(programs: dict[str, ModuleType], body: bytes, size: int) -> None:
    pieces = cut(body, size)
    random.Random(size).shuffle(pieces)
    whole = programs["record"].escape(f"{HEADER};".encode() + body)
    joined = "".join(feed(programs, pieces))
    assert joined == whole


@pytest.mark.parametrize("pieces_before", [0, 1])
def test_a_short_last_piece_is_waited_for_where_bytes_were_escaped(
    programs: dict[str, ModuleType], pieces_before: int
) -> None:
    body = b"a" * 900 * pieces_before + b"a" * 860 + b"\xc3\xa9" * 20 + b"z" * 30
    *pieces, last = cut(body, 900)
    joiner = programs["record"].Joiner()
    assert feed(programs, pieces, joiner) == []
    assert feed(programs, [last], joiner) == [programs["record"].escape(f"{HEADER};".encode() + body)]


def test_a_text_with_escapes_of_the_sender_is_whole_after_a_while(programs: dict[str, ModuleType]) -> None:
    joiner = programs["record"].Joiner()
    body = b"a" * 800 + b"\\x01" * 25
    assert feed(programs, cut(body, 900), joiner) == []
    whole = [text for _source, _received, text in joiner.expired(float("inf"))]
    assert whole == [f"{HEADER};{body.decode()}"]


STAMPED = b"[    9.163816] "
FULL = (STAMPED + b"a" * 1000)[:1000]
FULL_OF_ESCAPES = (STAMPED + b"\t\xff\x1b[0m" * 500)[:1000]


@pytest.mark.parametrize(
    ("datagrams", "messages"),
    [
        pytest.param([FULL, b"b\n"], [FULL + b"b"], id="two pieces"),
        pytest.param([FULL, b"b" * 1000, b"c\n"], [FULL + b"b" * 1000 + b"c"], id="three pieces"),
        pytest.param([FULL_OF_ESCAPES, b"b\n"], [FULL_OF_ESCAPES + b"b"], id="bytes that are escaped"),
        pytest.param([FULL, STAMPED + b"b\n"], [FULL, STAMPED + b"b"], id="a message of exactly that length"),
        pytest.param([FULL, FULL, b"b\n"], [FULL, FULL + b"b"], id="two in a row, the first one's rest is lost"),
        pytest.param([FULL[:999], b"b\n"], [FULL[:999], b"b"], id="a byte less"),
        pytest.param([b"a" * 1000, b"b\n"], [b"a" * 1000, b"b"], id="a sender without time stamps"),
        pytest.param([FULL], [], id="nothing after it so far"),
    ],
)
def test_legacy_pieces_are_joined_where_that_is_certain(
    programs: dict[str, ModuleType], datagrams: list[bytes], messages: list[bytes]
) -> None:
    joined = feed(programs, datagrams, programs["record"].LegacyJoiner())
    assert joined == [programs["record"].escape(message) for message in messages]


def test_a_legacy_piece_waits_a_second_and_for_its_own_sender(
    programs: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    joiner = programs["record"].LegacyJoiner()
    full = FULL.decode()
    assert joiner.add(1.0, "192.0.2.1", "first", full) == []
    assert joiner.add(1.1, "192.0.2.2", "second", "b") == [("192.0.2.2", "second", "b")]
    assert joiner.expired(1.9) == []
    assert joiner.expired(2.0) == [("192.0.2.1", "first", full)]
    assert joiner.expired(float("inf")) == []
    monkeypatch.setattr(programs["record"], "MAX_WAITING", 1)
    assert joiner.add(3.0, "192.0.2.1", "third", full) == []
    assert joiner.add(3.0, "192.0.2.2", "fourth", full) == [("192.0.2.1", "third", full)]
    assert joiner.expired(float("inf")) == [("192.0.2.2", "fourth", full)]


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_message_that_lacks_a_part_is_not_joined_and_not_lost(programs: dict[str, ModuleType], missing: int) -> None:
    joiner = programs["record"].Joiner()
    pieces = cut(b"a" * 2500, 900)
    del pieces[missing]
    assert feed(programs, pieces, joiner) == []
    assert joiner.expired(4.9) == []
    assert [text.encode() for _source, _received, text in joiner.expired(6.0)] == pieces
    assert joiner.expired(float("inf")) == []


def test_two_messages_at_once_stay_apart(programs: dict[str, ModuleType]) -> None:
    first, second = cut(b"a" * 1500, 900), cut(b"b" * 1500, 900, HEADER.replace(",5,", ",6,"))
    joined = feed(programs, [first[0], second[0], second[1], first[1]])
    assert joined == [f"{HEADER.replace(',5,', ',6,')};{'b' * 1500}", f"{HEADER};{'a' * 1500}"]


def test_the_number_of_waiting_messages_is_bounded(
    programs: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs["record"], "MAX_WAITING", 2)
    starts = [cut(b"a" * 1500, 900, f"6,{number},1,-")[0] for number in range(3)]
    assert feed(programs, starts) == [starts[0].decode()]


def test_no_message_is_joined_that_rsyslog_would_split(programs: dict[str, ModuleType]) -> None:
    record = programs["record"]
    for body, size in (
        (b"a" * 119000, 40000),
        (b"a" * 121000, 40000),
        (b"a" * 60000 + b"\1" * 20000, 40000),
        (b"a" * 90000, 700),
    ):
        joiner = record.Joiner()
        pieces = cut(body, size)
        given = feed(programs, pieces, joiner)
        given += [text for _source, _received, text in joiner.expired(float("inf"))]
        assert all(len(text) <= record.MAX_JOINED for text in given)
        if body == b"a" * 119000:
            assert given == [f"{HEADER};{body.decode()}"]
        else:
            assert sorted(given) == sorted(record.escape(piece) for piece in pieces), "each as it came"


@pytest.mark.parametrize("place", ["9/9", "10/9", "0/0", "0/999999999"])
def test_a_place_that_cannot_be_is_given_back_at_once(programs: dict[str, ModuleType], place: str) -> None:
    text = f"{HEADER},ncfrag={place};a"
    assert feed(programs, [text.encode()]) == [text]


def test_a_flood_of_pieces_takes_no_time_and_little_memory(
    programs: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = programs["record"]
    monkeypatch.setattr(record, "MAX_WAITING_TEXT", 100000)
    joiner = record.Joiner()
    pieces = [f"{HEADER},ncfrag={2 * number}/100000;a".encode() for number in range(20000)]
    pieces += [f"6,{number},1,-,ncfrag=0/100000;{'a' * 50000}".encode() for number in range(20)]
    before = time.process_time()
    given = feed(programs, pieces, joiner)
    assert time.process_time() - before < 5.0
    kept = sum(len(piece) for piece in pieces) - sum(map(len, given))
    assert 0 < kept <= 100000
    given += [text for _source, _received, text in joiner.expired(float("inf"))]
    assert sorted(given) == sorted(piece.decode() for piece in pieces)


def test_a_legacy_message_does_not_grow_without_end(programs: dict[str, ModuleType]) -> None:
    record = programs["record"]
    joiner = record.LegacyJoiner()
    pieces = [FULL, *[b"b" * 1000] * 200]
    given = feed(programs, pieces, joiner)
    given += [text for _source, _received, text in joiner.expired(float("inf"))]
    assert all(len(text) <= record.MAX_JOINED for text in given)
    assert "".join(given) == b"".join(pieces).decode()


@pytest.mark.parametrize(
    ("reader", "buffer", "quiet", "found", "rest"),
    [
        pytest.param(
            "from_socat",
            b"[0000:0000:0000:0000:0000:ffff:c000:0215] aGk=\nx aGk=\n192.0.2.1 ???\n192.0.2",
            False,
            [("192.0.2.21", "hi")],
            b"192.0.2",
            id="socat: a mapped address; no address, no base64; a half line",
        ),
        pytest.param(
            "from_netcat",
            b"6,5,1,-;a\n k=v\n6,6,1,-;b\n",
            True,
            [(None, "6,5,1,-;a\\n k=v"), (None, "6,6,1,-;b")],
            b"",
            id="netcat: a dictionary belongs to the line before it",
        ),
        pytest.param(
            "from_netcat", b"a\nb", False, [(None, "a")], b"b", id="netcat: the last line may not be all of it"
        ),
        pytest.param(
            "from_netconsd",
            b"  ::ffff:192.0.2.21: one\ntwo\n       2001:db8::21: three\n",
            True,
            [("192.0.2.21", "one\\ntwo"), ("2001:db8::21", "three")],
            b"",
            id="netconsd: text of two lines",
        ),
        pytest.param(
            "from_netconsd",
            b"  ::1: one\n  ::2: tw",
            True,
            [("::1", "one")],
            b"\n  ::2: tw",
            id="netconsd: a half line waits also in silence",
        ),
    ],
)
def test_what_a_collector_prints(
    programs: dict[str, ModuleType],
    reader: str,
    buffer: bytes,
    quiet: bool,
    found: list[tuple[str | None, str]],
    rest: bytes,
) -> None:
    got, left = getattr(programs["store"], reader)(buffer, quiet)
    assert [(entry.source, entry.text) for entry in got] == found
    assert left == rest


@pytest.mark.parametrize("text", ["../../etc/x", "192.0.2", "", "a\0b", "%eth0", "x%::1"])
def test_only_an_address_names_a_file(programs: dict[str, ModuleType], text: str) -> None:
    assert programs["store"].canonical(text) is None


@pytest.mark.parametrize("text", ["::1", "[::1]", "[::1%../../x]", "[0:0::0:1]"])
def test_an_address_has_one_spelling(programs: dict[str, ModuleType], text: str) -> None:
    assert programs["store"].canonical(text) == "::1"


def test_the_budget_takes_the_oldest_first(
    programs: dict[str, ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for age, name in enumerate(["new.log", "new.log.1", "old.log.2.gz", "oldest.jsonl.9.gz"]):
        (tmp_path / name).write_bytes(b"x" * 100_000)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    programs["upkeep"].keep_budget(str(tmp_path), 250_000, "none.service")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.log", "new.log.1"]
    assert capsys.readouterr().out.count("is over its budget") == 2


def test_the_own_table_names_the_senders(programs: dict[str, ModuleType]) -> None:
    text = programs["firewall"].own_table("6666", ["192.0.2.1", "2001:db8::1"], True, 0)
    assert "set senders_ip { type ipv4_addr ; elements = { 192.0.2.1 } ; }" in text
    assert "ip6 saddr != @senders_ip6 drop" in text
    assert "rate" not in text


FAKE = """#!/bin/sh
[ "$LC_ALL" = C ] || exit 9
echo "$(basename "$0") $*" >> {log}
cat > /dev/null
"""
CHAINS = [
    {"family": "inet", "table": "mine", "name": "in", "hook": "input", "policy": "drop"},
    {"family": "inet", "table": "mine", "name": "out", "hook": "output", "policy": "drop"},
    {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"},
]
OPEN_MINE = 'nft insert rule inet mine in udp dport 6666 accept comment "netconsole-receiver"'
CLOSED_RULE = {
    "rule": {"family": "inet", "table": "mine", "chain": "in", "handle": 7, "comment": "netconsole-receiver"}
}
NFT = """case "$*" in
  "list tables") exit 0;;
  *chains) echo '{chains}';;
  *ruleset) echo '{rules}';;
esac
"""
UFW = """case "$*" in
  status) echo "Status: active";;
  "show added") echo "Added user rules:"; echo "{rule}";;
esac
"""
FIREWALLD = """case "$*" in
  *--permanent*) exit {permanent};;
esac
"""


def nft_with(chains: list[dict[str, str]], rules: list[dict[str, Any]]) -> str:
    listed = json.dumps({"nftables": [{"chain": chain} for chain in chains]})
    return NFT.format(chains=listed, rules=json.dumps({"nftables": rules}))


CallFirewall = Callable[[Mapping[str, str], str, str], "tuple[int, list[str]]"]


@pytest.fixture(name="firewall")
def fixture_firewall(programs: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CallFirewall:
    """Call firewall.py: its status, and the calls that change something, of programs in place of the real ones."""

    def call(firewalls: Mapping[str, str], action: str, asked: str) -> tuple[int, list[str]]:
        log = tmp_path / "log"
        log.write_text("")
        for name, script in firewalls.items():
            (tmp_path / name).write_text(FAKE.format(log=log) + script)
            (tmp_path / name).chmod(0o755)
        for tool in ("sh", "basename", "cat"):
            if not (tmp_path / tool).exists():
                (tmp_path / tool).symlink_to(str(shutil.which(tool)))
        (tmp_path / "senders.json").write_text('{"table": []}')
        with monkeypatch.context() as patched:
            patched.setenv("PATH", str(tmp_path))
            words = ["firewall.py", action, asked, "6666", str(tmp_path / "senders.json"), "any", "0"]
            patched.setattr(sys, "argv", words)
            status = programs["firewall"].main()
        changing = ("insert", "delete", "allow", "--add-port", "--remove-port")
        return status, [line for line in log.read_text().splitlines() if any(word in line for word in changing)]

    return call


@pytest.mark.parametrize(
    ("firewalls", "asked", "opened", "closed"),
    [
        pytest.param({}, "auto", [], [], id="no firewall"),
        pytest.param({"nft": nft_with([], [])}, "auto", [], [], id="nftables without a chain that drops"),
        pytest.param(
            {"nft": nft_with(CHAINS, [CLOSED_RULE])},
            "auto",
            ["nft delete rule inet mine in handle 7", OPEN_MINE],
            ["nft delete rule inet mine in handle 7"],
            id="nftables, which leaves the chains of iptables alone",
        ),
        pytest.param({"nft": nft_with(CHAINS, [])}, "none", [], [], id="none"),
        pytest.param(
            {"ufw": UFW.format(rule="ufw allow 22/tcp")},
            "auto",
            ["ufw allow 6666/udp comment netconsole-receiver"],
            [],
            id="ufw",
        ),
        pytest.param(
            {"ufw": UFW.format(rule="ufw allow 6666/udp comment 'netconsole-receiver'")},
            "auto",
            [],
            ["ufw delete allow 6666/udp"],
            id="ufw that has the rule",
        ),
        pytest.param({"ufw": UFW.format(rule="ufw allow 6666/udp")}, "auto", [], [], id="ufw that the operator opened"),
        pytest.param({"ufw": "echo Status: inactive"}, "auto", [], [], id="ufw that is off"),
        pytest.param(
            {"firewall-cmd": FIREWALLD.format(permanent=1), "ufw": UFW.format(rule="")},
            "auto",
            ["firewall-cmd --quiet --add-port=6666/udp"],
            ["firewall-cmd --quiet --remove-port=6666/udp"],
            id="firewalld comes first",
        ),
        pytest.param(
            {"firewall-cmd": FIREWALLD.format(permanent=0)},
            "firewalld",
            ["firewall-cmd --quiet --add-port=6666/udp"],
            [],
            id="firewalld that the operator opened for good",
        ),
        pytest.param({"firewall-cmd": "exit 1"}, "auto", [], [], id="firewalld that does not run"),
    ],
)
def test_a_firewall_is_opened_and_closed(
    firewall: CallFirewall, firewalls: dict[str, str], asked: str, opened: list[str], closed: list[str]
) -> None:
    assert firewall(firewalls, "open", asked) == (0, opened)
    assert firewall(firewalls, "close", asked) == (0, closed)


@pytest.mark.parametrize(("asked", "status"), [("auto", 0), ("firewalld", 1)])
def test_a_firewall_that_cannot_be_opened_is_told(
    firewall: CallFirewall, capsys: pytest.CaptureFixture[str], asked: str, status: int
) -> None:
    failing = {"firewall-cmd": 'case "$*" in *--add-port*) echo no bus >&2; exit 3;; esac'}
    assert firewall(failing, "open", asked)[0] == status
    assert "firewall-cmd --quiet --add-port=6666/udp: no bus" in capsys.readouterr().out


SOCKETS = "  sl local_address rem tx tr retr uid timeout inode ref pointer drops\n"


def sockets(*rows: tuple[int, int, int]) -> str:
    """/proc/net/udp with sockets: port, inode and drops of each."""
    lines = [
        f" 1: 00000000:{port:04X} 00000000:0000 07 0:0 00:0 0 0 0 {inode} 2 0 {drops}\n" for port, inode, drops in rows
    ]
    return SOCKETS + "".join(lines)


def test_what_the_kernel_dropped_is_told_once(
    programs: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    upkeep = programs["upkeep"]
    rates = iter([{"192.0.2.9": 5}, {"192.0.2.9": 5}, {"192.0.2.9": 9}, {"192.0.2.9": 2}])
    monkeypatch.setattr(upkeep, "over_rate", lambda: next(rates))
    real = upkeep.socket_drops
    monkeypatch.setattr(upkeep, "socket_drops", lambda port: real(port, str(tmp_path)))
    said = []
    for four, six in [
        (sockets((6666, 11, 3), (53, 12, 99)), sockets((6666, 13, 4))),
        (sockets((6666, 11, 3), (53, 12, 99)), sockets((6666, 13, 4))),
        (sockets((6666, 11, 3), (53, 12, 99)), sockets((6666, 13, 6))),
        (sockets((6666, 21, 8)), sockets()),  # the service was restarted
    ]:
        (tmp_path / "udp").write_text(four)
        (tmp_path / "udp6").write_text(six)
        upkeep.say_drops(6666, str(tmp_path / "state"))
        said.append(capsys.readouterr().out.splitlines())
    full, over = (
        "port 6666: the kernel dropped {} datagrams, the receive buffer was full",
        "192.0.2.9: dropped {} datagrams",
    )
    over += " over the rate limit"
    assert said == [
        [full.format(7), over.format(5)],
        [],
        [full.format(2), over.format(4)],
        [full.format(8), over.format(2)],
    ]


def test_a_record_is_one_line_of_json(programs: dict[str, ModuleType]) -> None:
    record = programs["record"]
    line = record.parse(record.escape(b'6,5,1,-;a"b\\\n k"=v\n')).json_line("now", "db1", "192.0.2.1")
    assert line.count("\n") == 1
    assert json.loads(line)["userdata"] == {'k"': "v"}


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        pytest.param("a.log", b"one\ntwo", b"one\ntwo\n", id="text gets its line feed"),
        pytest.param("a.jsonl", b'{"a":1}\n{"b', b'{"a":1}\n{"torn": "{\\"b"}\n', id="JSON stays JSON"),
        pytest.param("a.jsonl", b"\xff", b'{"torn": "\\u00ff"}\n', id="the only line, no ASCII"),
        pytest.param("a.jsonl", b'{"a":1}\n', b'{"a":1}\n', id="nothing to do"),
        pytest.param("a.log", b"", b"", id="empty"),
        pytest.param("a.log.1", b"rotated", b"rotated", id="no file that is written to"),
    ],
)
def test_a_half_line_is_ended(
    programs: dict[str, ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    before: bytes,
    after: bytes,
) -> None:
    for folder in (tmp_path, tmp_path / "unknown"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(before)
    monkeypatch.setattr(sys, "argv", ["mend.py", str(tmp_path)])
    programs["mend"].main()
    programs["mend"].main()
    assert [(folder / name).read_bytes() for folder in (tmp_path, tmp_path / "unknown")] == [after, after]


def test_there_is_room_until_less_is_free_than_needed(programs: dict[str, ModuleType], tmp_path: Path) -> None:
    status = os.statvfs(str(tmp_path))
    free = status.f_bavail * status.f_frsize
    assert programs["valve"].room(str(tmp_path), 0)
    assert programs["valve"].room(str(tmp_path), free // 2)
    assert not programs["valve"].room(str(tmp_path), free * 2 + 1)


@pytest.mark.parametrize(
    ("faults", "stopping", "stored", "said"),
    [
        pytest.param([28, 28], False, 2, ["messages wait", ".log again; 0 lines"], id="full for a while"),
        pytest.param([28], True, 1, ["lines are lost"], id="full while the service stops"),
        pytest.param([13], False, 1, ["lines are lost"], id="another error"),
    ],
)
def test_a_full_disk_is_waited_for(
    programs: dict[str, ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    faults: list[int],
    stopping: bool,
    stored: int,
    said: list[str],
) -> None:
    module = programs["store_files"]
    really = module.append_whole

    def append(path: str, data: bytes) -> None:
        if faults:
            raise OSError(faults.pop(), "no")
        really(path, data)

    monkeypatch.setattr(module, "append_whole", append)
    monkeypatch.setattr(module, "PAUSE", 0.0)
    store = programs["store"].Store(module.Files(str(tmp_path), lambda: stopping), "", "keep")
    store.write([("192.0.2.1", "now", programs["record"].parse("text"))])
    found = sum((tmp_path / "unknown" / f"192.0.2.1.{kind}").exists() for kind in ("log", "jsonl"))
    assert found == stored
    output = capsys.readouterr().out
    assert [words in output for words in said] == [True] * len(said)
    assert len(output.splitlines()) == len(said), "each once"


def test_a_file_that_cannot_be_written_costs_its_own_lines_only(
    programs: dict[str, ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = programs["store_files"].Files(str(tmp_path), lambda: False)
    (tmp_path / "web1.log").mkdir()
    for _portion in range(3):
        files.append({"web1.log": [b"a\n", b"b\n"], "web2.log": [b"c\n"]})
    (tmp_path / "web1.log").rmdir()
    files.append({"web1.log": [b"d\n"]})
    assert (tmp_path / "web1.log").read_bytes() == b"d\n"
    assert (tmp_path / "web2.log").read_bytes() == b"c\n" * 3
    told, ended = capsys.readouterr().out.splitlines()
    assert "web1.log: Is a directory: lines are lost" in told
    assert "web1.log again; 6 lines were lost" in ended


def test_a_table_of_names_that_cannot_be_read_changes_nothing(
    programs: dict[str, ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, files = tmp_path / "senders.json", programs["store_files"].Files(str(tmp_path), lambda: False)
    store = programs["store"].Store(files, str(table), "keep")
    with pytest.raises(FileNotFoundError):
        store.load()
    whole = '{"table": [{"index": "192.0.2.1", "value": "web1"}]}'
    for number, text in enumerate([whole, whole[:20], "{}", "[]", None]):
        if text is None:
            table.unlink()
        else:
            table.write_text(text)
            os.utime(table, (number, number))
        store.reload()
        store.reload()
        store.write([("192.0.2.1", "now", programs["record"].parse("text"))])
    assert (tmp_path / "web1.log").read_text().count("text") == 5
    assert capsys.readouterr().out.count("names stay as they were") == 4


@pytest.mark.parametrize("there", [b"", b"one\n"])
def test_a_disk_that_takes_half_a_line_keeps_none_of_it(
    programs: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bytes
) -> None:
    path = tmp_path / "web1.log"
    path.write_bytes(there)
    really = os.write
    monkeypatch.setattr(
        programs["store_files"].os, "write", lambda handle, data: really(handle, data[: len(data) // 2])
    )
    with pytest.raises(OSError, match="space"):
        programs["store_files"].append_whole(str(path), b"two\nthree\n")
    monkeypatch.undo()
    assert path.read_bytes() == there


def test_a_pipe_is_read_in_portions(programs: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs["store_files"], "SILENCE", 0.0)
    reading, writing = os.pipe()
    source = programs["store_files"].Input(reading)
    os.write(writing, b"a\n")
    os.write(writing, b"b\n")
    assert source.read() == (b"a\nb\n", False, False), "what is there comes at once"
    assert source.read() == (b"", True, False), "nothing is there"
    os.write(writing, b"c")
    os.close(writing)
    assert source.read() == (b"c", False, True), "nothing will come any more"
    os.close(reading)


PLAIN = b"web1\ttext\tjson"
STORED = [("web1.log", b"text\n"), ("web1.jsonl", b"json\n")]


def legacy(datagram: bytes, name: bytes = b"web1", source: bytes = b"192.0.2.1") -> bytes:
    """A line of syslog-ng for a legacy message."""
    return b"\t".join((name, b"text", b"json", name.rpartition(b"/")[2], source, b"now", datagram))


@pytest.mark.parametrize(
    ("lines", "stored"),
    [
        pytest.param([PLAIN], STORED, id="extended"),
        pytest.param([PLAIN, b"", b"a\tb", PLAIN], [*STORED, *STORED], id="what is no line is left out, and told"),
        pytest.param([legacy(b"a"), legacy(b"b" * 999)], [*STORED, *STORED], id="legacy, all there"),
        pytest.param([legacy(FULL), legacy(b"b", b"web2", b"192.0.2.2")], STORED, id="another sender goes on"),
    ],
)
def test_lines_of_syslog_ng_go_to_their_files(
    programs: dict[str, ModuleType],
    capsys: pytest.CaptureFixture[str],
    lines: list[bytes],
    stored: list[tuple[str, bytes]],
) -> None:
    found = programs["distribute"].Distributor().lines(1.0, b"".join(line + b"\n" for line in lines))
    renamed = [(name.replace("web2", "web1"), line) for name, line in found]
    assert renamed == stored
    assert capsys.readouterr().out.count("not a line of syslog-ng") == len([line for line in lines if len(line) < 5])


@pytest.mark.parametrize(
    ("name", "host"),
    [pytest.param(b"web1", "web1", id="known"), pytest.param(b"unknown/192.0.2.1", "192.0.2.1", id="unknown")],
)
@pytest.mark.parametrize(("rest", "whole"), [([b"b"], FULL[15:] + b"b"), ([], FULL[15:])])
def test_cut_legacy_lines_of_syslog_ng_are_joined(
    programs: dict[str, ModuleType], name: bytes, host: str, rest: list[bytes], whole: bytes
) -> None:
    distributor = programs["distribute"].Distributor()
    pieces = [legacy(datagram, name) for datagram in (FULL, *rest)]
    found = list(distributor.lines(1.0, b"".join(piece + b"\n" for piece in pieces)))
    assert list(distributor.late(1.5)) == []
    found += distributor.late(float("inf"))
    (text_file, text), (json_file, record) = found
    assert (text_file, json_file) == (f"{name.decode()}.log", f"{name.decode()}.jsonl")
    assert text == f"now {host} - [    9.163816] {whole.decode()}\n".encode()
    stored = json.loads(record)
    assert (stored["host"], stored["source"], stored["message"]) == (host, "192.0.2.1", whole.decode())
