# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a store, for the programs that write them themselves (store.py, distribute.py), and their input.

A file is opened for each batch of lines and closed again: rotation needs no signal, and the number of senders no limit
of open files. So the input is read in portions that are large when much comes. Runs on the receiver: Python 3.7,
standard library.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import time
from typing import Callable, Iterable, NamedTuple

CHUNK = 1 << 20
PIPE_SIZE = 1 << 20
"""Bytes that wait in the pipe while files are written; more is not for programs without privileges (pipe(7))."""
SET_PIPE_SIZE = 1031
"""fcntl.F_SETPIPE_SZ of Python 3.10."""
SILENCE = 0.25
"""Seconds without anything new that end a message which has no other end."""
LULL = 0.02
"""Seconds without anything new that end a portion."""
LONGEST = 0.25
"""Seconds that a portion takes at most."""
LARGEST = 1 << 23
"""Bytes, likewise."""
PAUSE = 0.5
"""Seconds until a full disk is tried again."""
FULL = (errno.ENOSPC, errno.EDQUOT)


class Portion(NamedTuple):
    """What was read at once. Quiet: nothing, for a while. Ended: nothing more will come."""

    data: bytes
    quiet: bool
    ended: bool


class Input:
    """A pipe to read from."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        try:
            fcntl.fcntl(pipe, SET_PIPE_SIZE, PIPE_SIZE)
        except OSError:
            pass  # smaller portions are slower, no more

    def read(self) -> Portion:
        """What comes within a short time, or the silence of that time."""
        if not self._waits(SILENCE):
            return Portion(b"", quiet=True, ended=False)
        until = time.monotonic() + LONGEST
        chunks = [os.read(self._pipe, CHUNK)]
        size = len(chunks[0])
        while chunks[-1] and size < LARGEST and time.monotonic() < until and self._waits(LULL):
            chunks.append(os.read(self._pipe, CHUNK))
            size += len(chunks[-1])
        return Portion(b"".join(chunks), quiet=False, ended=not chunks[-1])

    def _waits(self, patience: float) -> bool:
        return bool(select.select([self._pipe], [], [], patience)[0])


class Files:
    """Appends to the files of a store. Stopping: whether the service is to end, so that nothing is waited for."""

    def __init__(self, folder: str, stopping: Callable[[], bool]) -> None:
        self._folder, self._stopping = folder, stopping
        self._troubles: dict[str, Trouble] = {}

    def append(self, lines: dict[str, list[bytes]]) -> None:
        """Append whole lines to files, by their names below the folder. A full disk is waited for, with all that comes
        meanwhile behind it in the collector; any other error loses the lines of that file."""
        for name, texts in lines.items():
            self._append(os.path.join(self._folder, name), b"".join(texts), len(texts))

    def _append(self, path: str, data: bytes, count: int) -> None:
        while True:
            try:
                append_whole(path, data)
                break
            except OSError as error:
                trouble = self._troubles.setdefault(path, Trouble())
                if error.errno in FULL and not self._stopping():
                    trouble.say(f"cannot write to {path}: {error.strerror}: messages wait")
                    time.sleep(PAUSE)
                    continue
                trouble.say(f"cannot write to {path}: {error.strerror}: lines are lost until this ends")
                trouble.lost += count
                return
        if path in self._troubles:
            print(f"writes to {path} again; {self._troubles.pop(path).lost} lines were lost", flush=True)


class Trouble:
    """A file that cannot be written: how many lines it has cost, and what was said of it."""

    def __init__(self) -> None:
        self.lost, self._said = 0, ""

    def say(self, words: str) -> None:
        """Print something, once."""
        if words != self._said:
            print(words, flush=True)
            self._said = words


def append_whole(path: str, data: bytes) -> None:
    """Append to a file that is made if need be: all of the data, or none of it and an OSError."""
    try:
        handle = _open(path)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o750, exist_ok=True)
        handle = _open(path)
    try:
        written = os.write(handle, data)
        if written < len(data):
            os.ftruncate(handle, os.fstat(handle).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(handle)


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o640)


def by_name(lines: Iterable[tuple[str, bytes]]) -> dict[str, list[bytes]]:
    """Lines, each with the name of its file, as Files takes them."""
    files: dict[str, list[bytes]] = {}
    for name, line in lines:
        files.setdefault(name, []).append(line)
    return files
