# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hold rsyslog's messages back in its queue while the store's file system is nearly full (omprog, confirmMessages).

    valve.py STORE BYTES SOCKET

omfile drops what a full disk does not take, and leaves half lines. So rsyslog asks here before it writes, until this
program has told it through SOCKET that there is room ("1"), and again as soon as less than BYTES are free ("0").
Every line that rsyslog writes is a question; the answer is OK, or the reason why it has to keep the message and ask
again. Runs on the receiver: Python 3.7, standard library.
"""

from __future__ import annotations

import os
import select
import socket
import sys

INTERVAL = 0.2
"""Seconds between two looks at the disk, while nobody asks."""


def room(store: str, needed: int) -> bool:
    """Whether a service without privileges has this much room left, and one file more."""
    status = os.statvfs(store)
    files = status.f_files == 0 or status.f_favail > 0  # a file system without a number of files says 0
    return status.f_bavail * status.f_frsize >= needed and files


def tell(path: str, opened: bool) -> None:
    """Tell rsyslog. Where it does not listen (it starts, or ends) it goes on asking, which is safe."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.settimeout(5)
            stream.connect(path)
            stream.sendall(b"1\n" if opened else b"0\n")
    except OSError:
        return


def main() -> None:
    """See above."""
    store, needed, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    told = False
    os.write(1, b"OK\n")  # ready
    rest = b""
    while True:
        quiet = not select.select([0], [], [], INTERVAL)[0]
        chunk = b"" if quiet else os.read(0, 1 << 16)
        if not quiet and not chunk:
            return
        opened = room(store, needed)
        *questions, rest = (rest + chunk).split(b"\n")
        if opened != told or questions:
            tell(path, opened)
            told = opened
        reason = f"less than {needed} bytes are free for {store}: messages wait".encode()
        for _question in questions:
            os.write(1, b"OK\n" if opened else reason + b"\n")


if __name__ == "__main__":
    main()
