# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write what syslog-ng has made of each message to the files of its sender.

    distribute.py STORE

Reads lines of fields with TAB between: name, text, JSON, and for a message of the legacy format also host, source,
receive time and the escaped datagram. Appends the text to STORE/<name>.log and the JSON to STORE/<name>.jsonl; a legacy
message that the kernel has cut is put together first. syslog-ng itself keeps two files open for each sender, and ends
when it has no descriptor left; with this program it needs one pipe. It ends this program by closing the pipe: a signal
before that is for a full disk only, which is not waited for any more. Runs on the receiver: Python 3.7, standard
library.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Iterable, Iterator

from store_files import Files, Input, by_name

from record import LEGACY_CUT, LegacyJoiner, parse


class Distributor:
    """Makes lines of the store from lines of syslog-ng. Time is any clock that only goes forward, in seconds."""

    def __init__(self) -> None:
        self._legacy = LegacyJoiner()

    def lines(self, now: float, whole: bytes) -> Iterator[tuple[str, bytes]]:
        """The lines of the store in whole lines of input, each with the name of its file."""
        for line in whole.split(b"\n")[:-1]:
            fields = line.split(b"\t")
            if len(fields) not in (3, 7):
                print(f"not a line of syslog-ng: {line[:100]!r}", flush=True)
                continue
            name = os.fsdecode(fields[0])
            if len(fields) == 7:
                sender = "\t".join((name, os.fsdecode(fields[3]), fields[4].decode("ascii")))
                if len(fields[6]) >= LEGACY_CUT or self._legacy.waits_for(sender):
                    received, datagram = fields[5].decode("ascii"), fields[6].decode("ascii")
                    yield from _stored(self._legacy.add(now, sender, received, datagram))
                    continue
            yield name + ".log", fields[1] + b"\n"
            yield name + ".jsonl", fields[2] + b"\n"

    def late(self, now: float) -> Iterator[tuple[str, bytes]]:
        """The lines of pieces that nothing has followed. Infinity as time gives all."""
        yield from _stored(self._legacy.expired(now))


def _stored(messages: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, bytes]]:
    for sender, received, datagram in messages:
        name, host, source = sender.split("\t")
        record = parse(datagram)
        yield name + ".log", os.fsencode(record.text_line(received, host))
        yield name + ".jsonl", record.json_line(received, host, source).encode()


def main() -> None:
    """See above."""
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, dummy: stopping.append(number))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    files, distributor = Files(sys.argv[1], lambda: bool(stopping)), Distributor()
    source, rest, ended = Input(sys.stdin.fileno()), b"", False
    while not ended:
        portion = source.read()
        ended, now = portion.ended, time.monotonic()
        whole, feed, rest = (rest + portion.data).rpartition(b"\n")
        files.append(by_name(distributor.lines(now, whole + feed)))
        files.append(by_name(distributor.late(float("inf") if ended else now)))
    if rest:
        print(f"not a whole line of syslog-ng: {rest[:100]!r}", flush=True)


if __name__ == "__main__":
    main()
