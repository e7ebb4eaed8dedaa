# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds the probes of all senders in a receiver's store.

The store is a directory with one JSON-lines file for each sender, ``<host>.jsonl``, and those of unknown senders below
``unknown/``, named by their address. It is only read, and of each file only the end: backwards until the probe is found
or the lines are too old, then what is appended. Files are told apart by device and inode, so that rotation by renaming
loses nothing, and a file that has shrunk (rotation by copying) is read from its start again.

A line is ``{"received": <RFC 3339>, "host": ..., "source": <address>, "format": "extended"|"legacy", ...,
"message": <text>}``. A probe is known by its nonce alone, wherever it is found.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import BinaryIO, Callable, Iterable, Iterator, Mapping

UNKNOWN = "unknown"
SUFFIX = ".jsonl"
COMPRESSED = (".gz", ".xz", ".bz2", ".zst")

CHUNK = 256 * 1024
MAX_LINE = 1024 * 1024  # bytes; nothing that a collector writes is longer
MAX_READ = 64 * 1024 * 1024  # bytes of one file that are read backwards at most
MAX_READ_IN_ALL = 512 * 1024 * 1024  # bytes after which only the senders' own files are read any further

_MARK = re.compile(rb"fleet\.netconsole probe nonce=([0-9a-f]{32})")
_RECEIVED = re.compile(rb'"received":\s*"([^"]{19,40})"')
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Sighting:
    """A probe found in the store. ``received`` is in seconds since 1970, by the receiver's clock."""

    nonce: str
    file: str
    stored_as: str
    line: bytes
    received: float | None = None
    received_text: str | None = None
    source: str | None = None
    format: str | None = None
    host: str | None = None
    readable: bool = True


@dataclass(frozen=True)
class StoreFile:
    """A file of the store. ``stored_as`` is ``<host>`` or ``unknown/<address>``, also for a rotated file."""

    path: str
    stored_as: str
    status: os.stat_result

    @property
    def key(self) -> tuple[int, int]:
        return self.status.st_dev, self.status.st_ino


@dataclass
class _Span:
    """What was read of a file: the complete lines from low to high. ``exhausted``: nothing before them is wanted."""

    low: int
    high: int
    exhausted: bool = False


@dataclass
class Store:
    """Reads the store, again and again; each look reads only what no look has read before.

    ``window`` is how far back the first look goes, in seconds of the receiver's own clock. The senders' clocks are not
    relied on. ``found`` has the probes that were seen, by nonce, and ``last_change`` when each file was last written.
    """

    path: str
    window: float = 3600.0
    clock: Callable[[], float] = time.time
    found: dict[str, list[Sighting]] = field(default_factory=dict)
    last_change: dict[str, float] = field(default_factory=dict)
    bytes_read: int = 0
    _spans: dict[tuple[int, int], _Span] = field(default_factory=dict)

    def look(self, wanted: Mapping[str, int], hosts: Mapping[str, set[str]], *, deep: bool) -> None:
        """Look for nonces: ``wanted`` gives the number of copies for each, ``hosts`` each sender's nonces.

        The senders' own files come first. Those of unknown senders, and with ``deep`` those of all others, are read
        only while something is missing.
        """
        files = self._files()
        for entry in files:
            if self._missing(wanted, hosts.get(entry.stored_as, ())):
                self._read(entry, wanted, hosts[entry.stored_as])
        missing = self._missing(wanted, wanted)
        for entry in files if missing else ():
            if (deep or entry.stored_as.startswith(UNKNOWN + "/")) and self.bytes_read < MAX_READ_IN_ALL:
                self._read(entry, wanted, missing)

    def missing(self, wanted: Mapping[str, int]) -> set[str]:
        return self._missing(wanted, wanted)

    def _missing(self, wanted: Mapping[str, int], nonces: Iterable[str]) -> set[str]:
        return {nonce for nonce in nonces if len(self.found.get(nonce, ())) < wanted.get(nonce, 0)}

    def _files(self) -> list[StoreFile]:
        """The readable files of the store, the last changed first."""
        result: list[StoreFile] = []
        for directory, prefix in ((self.path, ""), (os.path.join(self.path, UNKNOWN), UNKNOWN + "/")):
            try:
                entries = list(os.scandir(directory))
            except (FileNotFoundError, NotADirectoryError):
                continue
            for entry in entries:
                stem, suffix, _rest = entry.name.partition(SUFFIX)
                if not suffix or not stem or entry.name.endswith(COMPRESSED):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # rotated meanwhile; the next look finds it under its new name
                    continue
                if stat.S_ISREG(status.st_mode) and status.st_size:
                    result.append(StoreFile(path=entry.path, stored_as=prefix + stem, status=status))
        result.sort(key=lambda entry: entry.status.st_mtime, reverse=True)
        for known in reversed(result):
            self.last_change[known.stored_as] = known.status.st_mtime
        return result

    def _read(self, entry: StoreFile, wanted: Mapping[str, int], nonces: set[str]) -> None:
        """Read in one file what was appended, then backwards until all of ``nonces`` are found or the lines too old."""
        span, size = self._spans.get(entry.key), entry.status.st_size
        if span is not None and span.exhausted and span.high == size:
            return
        try:
            with open(entry.path, "rb") as stream:
                if os.fstat(stream.fileno()).st_ino != entry.status.st_ino:
                    return  # rotated between the two calls; the next look sees it
                if span is None or size < span.high:  # new, or emptied by rotation
                    end = _end_of_last_line(stream, start=0, size=size)
                    span = _Span(low=end, high=end, exhausted=entry.status.st_mtime < self.clock() - self.window)
                    self._spans[entry.key] = span
                else:
                    end = _end_of_last_line(stream, start=span.high, size=size)
                    for _position, block in self._blocks(stream, start=span.high, end=end):
                        self._note(entry, block, wanted)
                    span.high = end
                if not span.exhausted:
                    self._read_backwards(stream, entry, span, wanted=wanted, nonces=nonces)
        except FileNotFoundError:
            return

    def _read_backwards(
        self, stream: BinaryIO, entry: StoreFile, span: _Span, *, wanted: Mapping[str, int], nonces: set[str]
    ) -> None:
        since, lowest = self.clock() - self.window, span.high - MAX_READ
        for position, block in self._blocks(stream, start=0, end=span.low):
            self._note(entry, block, wanted)
            span.low = position
            if _older_than(block, since) or position < lowest:
                break
            if not self._missing(wanted, nonces):
                return
        span.exhausted = True

    def _blocks(self, stream: BinaryIO, *, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """The complete lines between two offsets in blocks with their offset, the last block first."""
        position, rest = end, b""
        while position > start:
            step = min(CHUNK, position - start)
            position -= step
            stream.seek(position)
            block = stream.read(step) + rest
            self.bytes_read += step
            # The block's first line begins before it, unless the block is the first one.
            cut = block.find(b"\n") + 1 or len(block) if position > start else 0
            rest = block[:cut] if cut <= MAX_LINE else b""
            yield position + cut, block[cut:]

    def _note(self, entry: StoreFile, block: bytes, wanted: Mapping[str, int]) -> None:
        for match in _MARK.finditer(block):
            nonce = match.group(1).decode("ascii")
            if nonce not in wanted:
                continue
            first, last = block.rfind(b"\n", 0, match.start()) + 1, block.find(b"\n", match.end())
            line = block[first : len(block) if last < 0 else last]
            sightings = self.found.setdefault(nonce, [])
            if all(known.line != line for known in sightings):  # rotation by copying shows a line twice
                sightings.append(_sighting(nonce, entry, line))


def _sighting(nonce: str, entry: StoreFile, line: bytes) -> Sighting:
    try:
        record = json.loads(line.decode("utf-8", "replace"))
    except ValueError:
        record = None
    if not isinstance(record, dict):
        return Sighting(nonce=nonce, file=entry.path, stored_as=entry.stored_as, line=line, readable=False)
    text = {key: value for key, value in record.items() if isinstance(value, str)}
    return Sighting(
        nonce=nonce,
        file=entry.path,
        stored_as=entry.stored_as,
        line=line,
        received=parse_time(text.get("received", "")),
        received_text=text.get("received"),
        source=text.get("source"),
        format=text.get("format"),
        host=text.get("host"),
    )


def _end_of_last_line(stream: BinaryIO, *, start: int, size: int) -> int:
    """The offset after the last complete line; a line that is still being written is left for the next look."""
    position = size
    while position > start:
        step = min(CHUNK, position - start)
        stream.seek(position - step)
        newline = stream.read(step).rfind(b"\n")
        if newline >= 0:
            return position - step + newline + 1
        position -= step
    return start


def _older_than(block: bytes, since: float) -> bool:
    """Whether a block's oldest line was received before ``since``. A line without a readable time says nothing."""
    match = _RECEIVED.search(block)
    received = None if match is None else parse_time(match.group(1).decode("ascii", "replace"))
    return received is not None and received < since


def parse_time(text: str) -> float | None:
    """RFC 3339 to seconds since 1970, or ``None``. Any number of digits after the second, offset or Z."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, zone = match.groups()
    offset = "+0000" if zone == "Z" else zone.replace(":", "")
    try:
        whole = datetime.strptime(f"{day}T{clock}{offset}", "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return None
    return whole.timestamp() + float(f"0{fraction or '.0'}")


def format_time(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(int(seconds), tz=timezone.utc).isoformat()
