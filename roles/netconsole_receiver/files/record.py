# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One netconsole message: how a datagram is read, how it is stored, and how pieces of one become one message again.

The formats: kernel, drivers/net/netconsole.c (send_fragmented, and MAX_PRINT_CHUNK for the legacy one) and
Documentation/networking/netconsole.rst. Works on text whose bytes beyond printable ASCII are escapes already, as
rsyslog escapes them (parser.escapeControlCharactersCStyle), so that this file and rsyslog's rule base
(templates/rsyslog/netconsole.rulebase.j2) read every datagram alike. Runs on the receiver: Python 3.7, standard
library.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
MAX_PRIORITY = 2047
PATIENCE = 5.0
"""Seconds to wait for the rest of a message."""
PATIENCE_LEGACY = 1.0
"""Seconds to wait for what follows a cut legacy message: the kernel sends both in one go."""
LEGACY_CUT = 1000
"""Bytes of a datagram after which the kernel goes on in the next one, without saying so."""
MAX_WAITING = 10000
"""Messages whose rest is waited for, all senders together: the oldest goes out as it is when there are more."""
MAX_WAITING_TEXT = 64000000
"""Characters of theirs, likewise."""
MAX_JOINED = 120000
"""Characters of a joined message, escapes included. The kernel's have 64 KiB at most; rsyslog splits lines of 128 KiB,
and would take the rest for a message of somebody else."""
MAX_PIECES = 128
"""Fragments of one message: the kernel makes pieces of some 900 bytes."""

_C_STYLE = {0: "\\0", 7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 27: "\\e"}
_ESCAPES = {byte: _C_STYLE.get(byte, chr(byte) if 32 <= byte < 127 else f"\\x{byte:02X}") for byte in range(256)}
_HEAD = re.compile(
    r"(?:(?P<release>[^,;]+),)?(?P<priority>\d{1,9}),(?P<sequence>\d{1,20}),(?P<usec>\d{1,20}),(?P<flag>[^,;]+)"
    r"(?:,caller=(?P<caller>[^,;]+))?(?:,ncfrag=(?P<fragment>[^;]+)|,(?P<other>[^;]+))?;(?P<body>.*)"
)
_LEGACY = re.compile(
    r"(?:<(?P<priority>\d{1,9})>)?\[ *(?P<seconds>\d+)\.(?P<fraction>\d+)\](?:\[ *(?P<caller>[^ \]]+)\])? (?P<text>.*)"
)
_PLACE = re.compile(r"(\d{1,9})/(\d{1,9})")
_ESCAPE = re.compile(r"\\(?:[0abefnrtv]|x[0-9A-F]{2})")


def escape(datagram: bytes) -> str:
    """A datagram as text of printable ASCII, without the line feed (or zero byte) at its end."""
    if datagram[-1:] in (b"\n", b"\0"):
        datagram = datagram[:-1]
    return datagram.decode("latin-1").translate(_ESCAPES)


class Record(NamedTuple):
    """A message as it is stored. What the datagram did not say is None."""

    format: str
    message: str
    priority: int | None = None
    sequence: int | None = None
    kernel_time: str | None = None
    """Seconds, as the text that dmesg shows."""
    continuation: bool = False
    caller: str | None = None
    release: str | None = None
    fragment: str | None = None
    userdata: tuple[tuple[str, str], ...] | None = None

    def json_line(self, received: str, host: str | None, source: str | None) -> str:
        """The line of the .jsonl file: keys in the order of the role's documentation, those without a value left
        out."""
        pairs = [("received", json.dumps(received))]
        pairs += [(key, json.dumps(value)) for key, value in (("host", host), ("source", source)) if value is not None]
        pairs.append(("format", json.dumps(self.format)))
        if self.priority is not None:
            pairs += [("facility", str(self.priority // 8)), ("level", str(self.priority % 8))]
            pairs.append(("level_name", json.dumps(LEVELS[self.priority % 8])))
        if self.sequence is not None:
            pairs.append(("sequence", str(self.sequence)))
        if self.kernel_time is not None:
            pairs.append(("kernel_time", self.kernel_time))
        if self.continuation:
            pairs.append(("continuation", "true"))
        named = (("caller", self.caller), ("release", self.release), ("fragment", self.fragment))
        pairs += [(key, json.dumps(value)) for key, value in named if value is not None]
        pairs.append(("message", json.dumps(self.message)))
        if self.userdata is not None:
            inner = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in self.userdata)
            pairs.append(("userdata", "{" + inner + "}"))
        return "{" + ", ".join(f'"{key}":{value}' for key, value in pairs) + "}\n"

    def text_line(self, received: str, host: str | None) -> str:
        """The line of the .log file."""
        level = "-" if self.priority is None else LEVELS[self.priority % 8]
        place = "" if self.fragment is None else f"(fragment {self.fragment}) "
        words = (received, host or "-", level, "[{:>12}]".format(self.kernel_time or "-"), place + self.message)
        return " ".join(words) + "\n"


def parse(text: str) -> Record:
    """Read an escaped datagram. What fits no format is legacy text."""
    head = _HEAD.fullmatch(text)
    if head is None or int(head.group("priority")) > MAX_PRIORITY:
        return _parse_legacy(text)
    message, userdata = head.group("body"), None
    if head.group("fragment") is None and head.group("other") is None:
        message, userdata = _split_userdata(message)
    return Record(
        format="extended",
        message=message,
        priority=int(head.group("priority")),
        sequence=int(head.group("sequence")),
        kernel_time=seconds(int(head.group("usec"))),
        continuation=head.group("flag") == "c",
        caller=head.group("caller"),
        release=head.group("release"),
        fragment=head.group("fragment"),
        userdata=userdata,
    )


def seconds(microseconds: int) -> str:
    """The kernel's clock as dmesg shows it."""
    return f"{microseconds // 1000000}.{microseconds % 1000000:06}"


def _split_userdata(body: str) -> tuple[str, tuple[tuple[str, str], ...] | None]:
    """The text, and what follows it line by line: all of it is key=value, or all of it is text."""
    message, *lines = body.split("\\n ")
    pairs = [line.partition("=") for line in lines]
    if not pairs or not all(key and equals for key, equals, dummy in pairs):
        return body, None
    return message, tuple((key, value) for key, dummy, value in pairs)


def _parse_legacy(text: str) -> Record:
    found = _LEGACY.fullmatch(text)
    if found is None or int(found.group("priority") or 0) > MAX_PRIORITY:
        return Record(format="legacy", message=text)
    priority = found.group("priority")
    return Record(
        format="legacy",
        message=found.group("text"),
        priority=None if priority is None else int(priority),
        kernel_time="{}.{}".format(int(found.group("seconds")), found.group("fraction")),
        caller=found.group("caller"),
    )


class Piece(NamedTuple):
    """One fragment that waits for the others."""

    offset: int
    received: str
    text: str
    """The whole datagram, escaped."""
    body: str

    def until(self, offset: int) -> str | None:
        """The body up to the next fragment, at offset, or None where there is a gap between the two.

        Offsets count bytes. An escape in the body may be one byte that rsyslog escaped, or the text that the sender
        sent; both readings are taken as possible. A line feed at the end of a datagram is gone already.
        """
        escapes = _ESCAPE.findall(self.body)
        longest = self.offset + len(self.body)
        shortest = longest - sum(len(escape) - 1 for escape in escapes)
        if shortest <= offset <= longest:
            return self.body
        return self.body + "\\n" if offset == longest + 1 else None

    def ends_at(self, total: int, full: int | None) -> bool:
        """Whether it is certain that this fragment is the last one of a message, and no more is to come.

        full: how many bytes one has that others follow, as far as that is known; the kernel's differ by a few, since
        their own place in decimal digits is a part of them.
        """
        escapes = _ESCAPE.findall(self.body)
        longest = len(self.body) + 1
        shortest = longest - 1 - sum(len(escape) - 1 for escape in escapes)
        if not escapes or total - self.offset - shortest in (0, 1):
            return True
        return full is not None and not (shortest <= full and full - 8 <= longest)


class Waiting:
    """The fragments of one message."""

    def __init__(self, since: float, total: int) -> None:
        self.since = since
        self.total = total
        self.pieces: dict[int, Piece] = {}
        self.size = 0

    def add(self, piece: Piece) -> None:
        self.pieces[piece.offset] = piece
        self.size += len(piece.text)

    @property
    def is_full(self) -> bool:
        """Whether it cannot become a message any more."""
        return len(self.pieces) > MAX_PIECES or self.size > MAX_JOINED

    def joined(self, *, late: bool = False) -> tuple[str, str] | None:
        """Receive time of the first fragment and the whole message as one datagram, or None while a part is missing.

        late: nothing more is to come, so that the last fragment is the end wherever it can be.
        """
        pieces = [self.pieces[offset] for offset in sorted(self.pieces)]
        full = pieces[-1].offset - pieces[-2].offset if len(pieces) > 1 else None
        if not (late or pieces[-1].ends_at(self.total, full)):
            return None
        ends = [piece.offset for piece in pieces[1:]] + [self.total]
        bodies = [piece.until(end) for piece, end in zip(pieces, ends)]
        if pieces[0].offset != 0 or None in bodies:
            return None
        head = re.sub(r",ncfrag=[^;]+;.*", ";", pieces[0].text)
        text = head + "".join(body for body in bodies if body is not None)
        return pieces[0].received, text[:-2] if bodies[-1] != pieces[-1].body else text


class Joiner:
    """Joins the fragments of all senders. Time is any clock that only goes forward, in seconds."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], Waiting] = {}
        self._size = 0

    def add(self, now: float, source: str, received: str, text: str) -> list[tuple[str, str, str]]:
        """Take an escaped datagram that is a fragment; give what is ready: source, receive time, datagram."""
        head = _HEAD.fullmatch(text)
        place = None if head is None else _PLACE.fullmatch(head.group("fragment") or "")
        if head is None or place is None:
            return [(source, received, text)]
        key = source, text[: head.start("fragment")]
        offset, total = int(place.group(1)), int(place.group(2))
        if not offset < total <= MAX_JOINED:
            return [(source, received, text)]
        ready: list[tuple[str, str, str]] = []
        waiting = self._waiting.get(key)
        if waiting is not None and (waiting.total != total or offset in waiting.pieces):
            ready += self._give_up(key)
            waiting = None
        if waiting is None:
            if len(self._waiting) >= MAX_WAITING:
                ready += self._give_up(next(iter(self._waiting)))
            waiting = self._waiting[key] = Waiting(now, total)
        waiting.add(Piece(offset=offset, received=received, text=text, body=head.group("body")))
        self._size += len(text)
        whole = None if waiting.is_full else waiting.joined()
        if whole is not None:
            self._size -= self._waiting.pop(key).size
            ready.append((source, *whole))
        elif waiting.is_full:
            ready += self._give_up(key)
        while self._size > MAX_WAITING_TEXT:
            ready += self._give_up(next(iter(self._waiting)))
        return ready

    def expired(self, now: float) -> list[tuple[str, str, str]]:
        """Fragments whose rest did not come: each as it came. Infinity as time gives all."""
        late = [key for key, waiting in self._waiting.items() if now - waiting.since >= PATIENCE]
        return [piece for key in late for piece in self._give_up(key)]

    def _give_up(self, key: tuple[str, str]) -> list[tuple[str, str, str]]:
        waiting = self._waiting.pop(key)
        self._size -= waiting.size
        whole = None if waiting.is_full else waiting.joined(late=True)
        if whole is not None:
            return [(key[0], *whole)]
        pieces = waiting.pieces
        return [(key[0], pieces[offset].received, pieces[offset].text) for offset in sorted(pieces)]


class CutMessage:
    """A legacy message that fills its datagrams: its rest may follow."""

    def __init__(self, since: float, received: str, text: str) -> None:
        self.since, self.received, self.text = since, received, text


class LegacyJoiner:
    """Joins the pieces of long legacy messages, where it is certain that they are pieces.

    It is where the first one has a time stamp and exactly LEGACY_CUT bytes without a line feed, and what its sender
    sends next has no time stamp. Time is any clock that only goes forward, in seconds.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, CutMessage] = {}

    def waits_for(self, source: str) -> bool:
        """Whether the next datagram of this sender may be the rest of a message."""
        return source in self._waiting

    def add(self, now: float, source: str, received: str, text: str) -> list[tuple[str, str, str]]:
        """Take an escaped legacy datagram; give what is ready: source, receive time, message."""
        goes_on = _fills_a_datagram(text)
        stamped = _LEGACY.fullmatch(text) is not None
        waiting = self._waiting.get(source)
        if waiting is not None and not stamped and len(waiting.text) + len(text) <= MAX_JOINED:
            waiting.text += text
            return [] if goes_on else self._give(source)
        ready = [] if waiting is None else self._give(source)
        if not (goes_on and stamped):
            return [*ready, (source, received, text)]
        if len(self._waiting) >= MAX_WAITING:
            ready += self._give(next(iter(self._waiting)))
        self._waiting[source] = CutMessage(now, received, text)
        return ready

    def expired(self, now: float) -> list[tuple[str, str, str]]:
        """Messages after which nothing came: they had just that length. Infinity as time gives all."""
        late = [source for source, cut in self._waiting.items() if now - cut.since >= PATIENCE_LEGACY]
        return [message for source in late for message in self._give(source)]

    def _give(self, source: str) -> list[tuple[str, str, str]]:
        cut = self._waiting.pop(source)
        return [(source, cut.received, cut.text)]


def _fills_a_datagram(text: str) -> bool:
    """Whether this escaped datagram had LEGACY_CUT bytes without a line feed at their end, which is gone already."""
    return len(text) - sum(len(escape) - 1 for escape in _ESCAPE.findall(text)) == LEGACY_CUT
