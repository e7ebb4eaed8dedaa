# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Store what a simple collector (netconsd, socat, netcat) receives, in the layout of all collectors.

    store.py COLLECTOR STORE SENDERS keep|drop COMMAND...

Starts COMMAND, reads what it prints and appends to STORE/<name>.log and STORE/<name>.jsonl. SENDERS is senders.json,
read again when it changes. When the command ends by itself, this program ends with status 1 and systemd starts both
again. Runs on the receiver as the service's own user: Python 3.7, standard library.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from typing import Callable, NamedTuple

from store_files import Files, Input, by_name

from record import Joiner, LegacyJoiner, Record, escape, parse, seconds

UNREADABLE = (OSError, ValueError, LookupError, TypeError)
"""What a table of senders that is not there, or not whole, raises."""
LONGEST = 1 << 20
"""Bytes without an end of message after which what is there is taken as a message."""


class Received(NamedTuple):
    """What a collector said of one datagram. Source is None where the collector does not tell."""

    source: str | None
    text: str
    record: Record | None = None
    """Only where the collector itself has read the header."""


def canonical(address: str) -> str | None:
    """An address as the senders' table spells it, or None where it is none (then it can name no file either).

    The zone of a link-local one (fe80::1%eth0) is left out: it is the receiver's interface.
    """
    bare = address.strip("[]").partition("%")[0]
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in bare else socket.AF_INET, bare)
    except (OSError, ValueError):
        return None
    if packed[:12] == b"\0" * 10 + b"\xff\xff":
        packed = packed[12:]
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


# -- what each collector prints: the complete messages of a buffer, and the rest ---------------------------------------


def from_socat(buffer: bytes, dummy: bool) -> tuple[list[Received], bytes]:
    """Lines "address base64", made by the script in the unit."""
    lines = buffer.split(b"\n")
    found = []
    for line in lines[:-1]:
        address, _dummy_space, coded = line.partition(b" ")
        source = canonical(address.decode("latin-1"))
        try:
            datagram = base64.b64decode(coded, validate=True)
        except binascii.Error:
            continue
        if source is not None and datagram:
            found.append(Received(source, escape(datagram)))
    return found, lines[-1]


_PRINTED = re.compile(rb"(?:\A|\n) *([0-9a-f]*:[0-9a-f:.]+): ")
_NETCONSD = re.compile(
    r" S(?P<sequence>\d+) T(?P<usec>\d+) F(?P<facility>\d+)/L(?P<level>\d+) "
    r"(?P<flags>(?:\[(?:CONT START|CONT|OOS|SEQ RESET)\] )*)(?P<text>.*)"
)


def from_netconsd(buffer: bytes, quiet: bool) -> tuple[list[Received], bytes]:
    """What netconsd's printer module prints: "<address>: <text>", and a text may have line feeds in it."""
    starts = list(_PRINTED.finditer(buffer))
    if not starts:
        return [], buffer if len(buffer) < LONGEST else b""
    ends = [start.start() for start in starts[1:]] + [len(buffer)]
    complete = quiet and buffer.endswith(b"\n")
    found = []
    for start, end in zip(starts, ends):
        if end == len(buffer) and not complete:
            break
        source = canonical(start.group(1).decode("latin-1"))
        text = escape(buffer[start.end() : end].rstrip(b"\n"))
        if source is not None:
            found.append(Received(source, text, _netconsd_record(text)))
    return found, b"" if complete else buffer[starts[-1].start() :]


def _netconsd_record(text: str) -> Record | None:
    read = _NETCONSD.fullmatch(text)
    if read is None:
        return None
    return Record(
        format="extended",
        message=read.group("text"),
        priority=int(read.group("facility")) * 8 + int(read.group("level")) % 8,
        sequence=int(read.group("sequence")),
        kernel_time=seconds(int(read.group("usec"))),
        continuation="[CONT" in read.group("flags"),
    )


def from_netcat(buffer: bytes, quiet: bool) -> tuple[list[Received], bytes]:
    """The datagrams one after the other. A line that begins with a space belongs to the one before it."""
    messages = re.split(rb"\n(?! )", buffer)
    rest = b"" if quiet or len(messages[-1]) >= LONGEST else messages.pop()
    return [Received(None, escape(message)) for message in messages if message], rest


READERS: dict[str, Callable[[bytes, bool], tuple[list[Received], bytes]]] = {
    "netcat": from_netcat,
    "netconsd": from_netconsd,
    "socat": from_socat,
}

# -- the store ---------------------------------------------------------------------------------------------------------


class Store:
    """Knows the senders, and writes their messages to their files."""

    def __init__(self, files: Files, senders: str, unknown: str) -> None:
        self._files, self._senders, self._drop = files, senders, unknown == "drop"
        self._names: dict[str, str] = {}
        self._stamp: tuple[int, int] | None = None
        self._said = ""

    def load(self) -> None:
        """Read the senders. A file that cannot be read raises one of UNREADABLE."""
        status = os.stat(self._senders)
        self._stamp = status.st_mtime_ns, status.st_ino
        with open(self._senders, encoding="utf-8") as file:
            self._names = {entry["index"]: entry["value"] for entry in json.load(file)["table"]}

    def reload(self) -> None:
        """Read the senders again where their file has changed; where it cannot be read, names stay as they were."""
        try:
            status = os.stat(self._senders)
            if (status.st_mtime_ns, status.st_ino) != self._stamp:
                self.load()
        except UNREADABLE as error:
            words = f"{self._senders}: {error}; names stay as they were"
            if words != self._said:
                print(words, flush=True)
            self._said = words

    def write(self, batch: list[tuple[str | None, str, Record]]) -> None:
        """Append messages: source, receive time and record of each."""
        self._files.append(by_name(line for message in batch for line in self._lines(*message)))

    def _lines(self, source: str | None, received: str, record: Record) -> list[tuple[str, bytes]]:
        """The lines of a message, each with the name of its file."""
        name = None if source is None else self._names.get(source)
        if name is None and source is not None and self._drop:
            return []
        stem = "everything" if source is None else name or "unknown/" + source
        host = name or source
        return [
            (stem + ".log", record.text_line(received, host).encode()),
            (stem + ".jsonl", record.json_line(received, host, source).encode()),
        ]


def _now() -> str:
    now = time.time()
    zone = time.strftime("%z", time.localtime(now))
    return "{}.{:06}{}:{}".format(
        time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now)), int(now % 1 * 1000000), zone[:3], zone[3:]
    )


def main() -> int:
    """See above."""
    collector, folder, senders, unknown, *command = sys.argv[1:]
    stopping: list[int] = []
    read, joiners = READERS[collector], (Joiner(), LegacyJoiner())
    store = Store(Files(folder, lambda: bool(stopping)), senders, unknown)
    try:
        store.load()
    except UNREADABLE as error:
        sys.exit(f"{senders}: {error}")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert process.stdout is not None
    source = Input(process.stdout.fileno())

    def stop(number: int, dummy: object) -> None:
        stopping.append(number)
        process.send_signal(signal.SIGINT)  # netconsd writes what it holds back at this one only

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    rest, ended = b"", False
    while not ended:
        portion = source.read()
        ended = portion.ended
        found, rest = read(rest + portion.data, portion.quiet or ended)
        store.reload()
        store.write(list(_records(found, joiners, _now(), float("inf") if ended else time.monotonic())))
    process.wait()
    return 0 if stopping else 1


def _records(
    found: list[Received], joiners: tuple[Joiner, LegacyJoiner], received: str, now: float
) -> list[tuple[str | None, str, Record]]:
    """The records of what was found, pieces joined where the sender is known."""
    fragments, legacy = joiners
    result: list[tuple[str | None, str, Record]] = []
    for source, text, known in found:
        record = known or parse(text)
        joiner = legacy if record.format == "legacy" else fragments
        if source is None or (joiner is fragments and record.fragment is None):
            result.append((source, received, record))
            continue
        result += [(owner, at, parse(whole)) for owner, at, whole in joiner.add(now, source, received, text)]
    late = fragments.expired(now) + legacy.expired(now)
    return result + [(owner, at, parse(piece)) for owner, at, piece in late]


if __name__ == "__main__":
    sys.exit(main())
