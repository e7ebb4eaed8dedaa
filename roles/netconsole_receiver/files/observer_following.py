# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Follow the JSON lines of a receiver's store: every line once, over rotation and over restarts of the reader.

Nothing but names, inodes and sizes tells what is new, so the collector knows nothing of its reader. A file that was
renamed by logrotate is read to its end, also where no new file ever takes its place: the last words of a host that
died at midnight are there.
"""

from __future__ import annotations

import os
import stat
import typing as t
from dataclasses import dataclass

SUFFIX = ".jsonl"
UNKNOWN = "unknown/"
CHUNK = 1024 * 1024  # bytes of one file that are read before the next file has its turn
LONGEST_LINE = 1024 * 1024


@dataclass
class Followed:
    """One file of the store and how far it was read, always to the end of a line."""

    name: str
    """<host> or unknown/<address>"""
    inode: int
    offset: int
    counted: int = 0
    """Up to here the lines are in the saved figures: what is read again for a crash record is not counted again."""
    size: int = -1
    """When it was last looked at; -1: not yet."""


class Line(t.NamedTuple):
    """One new line: whose, and where it stands."""

    name: str
    path: str
    inode: int
    offset: int
    data: bytes
    counted: bool


class Listing(t.NamedTuple):
    """The store at one moment: the files that are written to, and those that were renamed, by inode."""

    live: dict[str, tuple[str, os.stat_result]]
    rotated: dict[int, list[str]]


class Store:
    """The files of the store, as far as they were read."""

    def __init__(self, folder: str, saved: t.Mapping[str, t.Sequence[int]] | None = None, since: float = 0.0) -> None:
        """``saved`` is what :meth:`places` gave at the time ``since``.

        None: never run before, and what is there now is not news.
        """
        self.folder = folder
        self.pending = 0  # bytes that were there and not read at the end of the round before
        self.gone = 0  # files that were compressed or deleted before they were read to their end
        self._followed = {name: Followed(name, *numbers) for name, numbers in (saved or {}).items()}
        self.first, self._since = saved is None, since

    def places(self) -> dict[str, list[int]]:
        """How far each file was read, for the next start of this program: {name: [inode, offset, counted]}."""
        return {name: [file.inode, file.offset, file.offset] for name, file in self._followed.items()}

    def names(self) -> t.Collection[str]:
        """Whoever has a file."""
        return self._followed

    def round(self) -> t.Iterator[Line]:
        """One look at all files: each new line, a file's lines in their order, CHUNK bytes of a file at the most."""
        self.pending = 0
        listing = self._list()
        if self._since:
            self._find_rotated_since(listing)
        for name in [name for name in self._followed if name not in listing.live]:
            yield from self._rest(self._followed[name], listing, name)
        for name, (path, status) in listing.live.items():
            file = self._followed.get(name)
            if file is None:
                file = Followed(name, status.st_ino, status.st_size if self.first else 0)
                self._followed[name] = file
            elif file.inode != status.st_ino:
                yield from self._rest(file, listing, name)
                file = self._followed[name] = Followed(name, status.st_ino, 0)
            elif status.st_size < file.offset:  # rotated by copying: read from its start again
                file.offset = file.counted = 0
            file.size = status.st_size
            if file.size > file.offset:
                yield from self._lines(file, path)
                self.pending += max(0, file.size - file.offset)
        self.first = False

    def _list(self) -> Listing:
        listing = Listing({}, {})
        for prefix in ("", UNKNOWN):
            try:
                entries = list(os.scandir(os.path.join(self.folder, prefix)))
            except FileNotFoundError:
                continue
            for entry in entries:
                if not entry.name.endswith(SUFFIX):
                    if SUFFIX in entry.name:
                        listing.rotated.setdefault(entry.inode(), []).append(entry.path)
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # rotated in this very moment: the next round sees under which name
                if stat.S_ISREG(status.st_mode):
                    listing.live[prefix + entry.name[: -len(SUFFIX)]] = (entry.path, status)
        return listing

    def _find_rotated_since(self, listing: Listing) -> None:
        """Files of senders that nothing was saved of, begun and rotated after that."""
        for inode, paths in listing.rotated.items():
            for path in paths:
                name = os.path.relpath(path, self.folder).rpartition(SUFFIX)[0]
                if name not in self._followed and path == f"{os.path.join(self.folder, name)}{SUFFIX}.1":
                    if os.stat(path).st_mtime > self._since:
                        self._followed[name] = Followed(name, inode, 0)
        self._since = 0.0

    def _rest(self, file: Followed, listing: Listing, name: str) -> t.Iterator[Line]:
        """What was appended to a file after it was last read, under the name that it has now."""
        start = os.path.join(self.folder, name + SUFFIX)
        for path in listing.rotated.get(file.inode, ()):
            if not path.startswith(start):
                continue  # the inode is another file's now
            try:
                file.size = os.stat(path).st_size
            except FileNotFoundError:
                break
            before = -1
            while before < file.offset < file.size:
                before = file.offset
                yield from self._lines(file, path)
            return
        if file.offset < file.size or file.size < 0:
            self.gone += 1
        del self._followed[name]

    def _lines(self, file: Followed, path: str) -> t.Iterator[Line]:
        try:
            with open(path, "rb") as stream:
                stream.seek(file.offset)
                data = stream.read(CHUNK)
        except FileNotFoundError:
            return
        end = data.rfind(b"\n") + 1
        if not end and len(data) >= LONGEST_LINE:
            end = len(data)  # no collector writes such a line: passed over, not waited for
        for line in data[:end].splitlines(keepends=True):
            begins = file.offset
            file.offset += len(line)
            yield Line(file.name, path, file.inode, begins, line, counted=begins < file.counted)


def lines_before(path: str, offset: int, number: int) -> list[bytes]:
    """The last ``number`` lines of a file before an offset, oldest first; of the file rotated before it as well."""
    if not number:
        return []
    lines = _tail(path, offset, number)
    if len(lines) < number and path.endswith(SUFFIX):
        older = path + ".1"
        try:
            lines = _tail(older, os.stat(older).st_size, number - len(lines)) + lines
        except FileNotFoundError:
            pass
    return lines


def _tail(path: str, offset: int, number: int) -> list[bytes]:
    low = max(0, offset - CHUNK)
    with open(path, "rb") as stream:
        stream.seek(low)
        lines = stream.read(offset - low).split(b"\n")[:-1]
    return lines[1 if low else 0 :][-number:]
