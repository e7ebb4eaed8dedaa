# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Join the pieces of long messages for rsyslog (omprog).

    join.py SOCKET KEPT

It sees only fragments, and the legacy datagrams of senders that have sent one which may be a piece. Reads lines
"source received datagram" from rsyslog and writes whole messages, in the same form, to rsyslog's own Unix socket
SOCKET. A piece whose rest does not come in time goes back as it came. What cannot be given back, because rsyslog is
about to end, waits in the file KEPT for the next start. Runs on the receiver: Python 3.7, standard library.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from typing import Tuple

from record import Joiner, LegacyJoiner, parse

Message = Tuple[str, str, str]


def give(path: str, kept: str, messages: list[Message]) -> None:
    """Hand messages to rsyslog, or keep them on disk."""
    if not messages:
        return
    data = "".join(" ".join(message) + "\n" for message in messages).encode("ascii", "replace")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.settimeout(5)
            stream.connect(path)
            stream.sendall(data)
    except OSError:
        with open(kept, "ab") as file:
            file.write(data)


def take(kept: str) -> list[Message]:
    """What an earlier run has left; a line that was cut is left out."""
    try:
        with open(kept, encoding="ascii") as file:
            lines = [line.rstrip("\n").split(" ", 2) for line in file]
        os.unlink(kept)
    except FileNotFoundError:
        return []
    return [(line[0], line[1], line[2]) for line in lines if len(line) == 3]


def main() -> None:
    """See above."""
    path, kept = sys.argv[1:]
    fragments, legacy, rest = Joiner(), LegacyJoiner(), b""
    give(path, kept, take(kept))
    while True:
        quiet = not select.select([0], [], [], 1.0)[0]
        chunk = b"" if quiet else os.read(0, 1 << 16)
        if not quiet and not chunk:
            break
        *lines, rest = (rest + chunk).split(b"\n")
        now = time.monotonic()
        ready: list[Message] = []
        for line in lines:
            words = line.decode("ascii", "replace").split(" ", 2)
            if len(words) == 3:
                joiner = legacy if parse(words[2]).format == "legacy" else fragments
                ready += joiner.add(now, words[0], words[1], words[2])
        give(path, kept, ready + fragments.expired(now) + legacy.expired(now))
    give(path, kept, fragments.expired(float("inf")) + legacy.expired(float("inf")))


if __name__ == "__main__":
    main()
