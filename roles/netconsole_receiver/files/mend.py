# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Before the collector starts: end the half lines that a collector left which was killed, or whose host lost its power.

    mend.py STORE

What is there of such a line stays: in a text file it gets its line feed, in a file of JSON lines it becomes the record
{"torn":"..."}, so that the next message begins a line of its own and every line is JSON. Runs on the receiver as the
service's own user: Python 3.7, standard library.
"""

from __future__ import annotations

import json
import os
import sys

LIVE = (".log", ".jsonl")
TAIL = 1 << 18
"""Bytes from the end in which the last line begins; a message is shorter."""


def mend(path: str) -> bool:
    """End the last line of a file, if it has none. Whether there was something to do."""
    with open(path, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return False
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return False
        start = max(0, size - TAIL)
        file.seek(start)
        tail = file.read()
        torn = tail[tail.rfind(b"\n") + 1 :]
        if path.endswith(".jsonl"):
            file.seek(size - len(torn))
            file.write(json.dumps({"torn": torn.decode("latin-1")}).encode())
        file.seek(0, os.SEEK_END)
        file.write(b"\n")
    return True


def main() -> None:
    """See above."""
    store = sys.argv[1]
    for folder in (store, os.path.join(store, "unknown")):
        if not os.path.isdir(folder):
            continue
        for entry in os.scandir(folder):
            if entry.name.endswith(LIVE) and entry.is_file(follow_symlinks=False) and mend(entry.path):
                print(f"{entry.path}: its last line was not complete")


if __name__ == "__main__":
    main()
