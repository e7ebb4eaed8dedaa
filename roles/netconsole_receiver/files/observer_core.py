# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the store, keep the senders' figures, write crash records, tell who is silent: all but the service around it."""

from __future__ import annotations

import json
import os
import threading
import time
import typing as t
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime, timezone

from observer_following import UNKNOWN, Line, Store, lines_before
from observer_senders import CRASH_KINDS, END_OF_PANIC, Numbers, Sender, event_of, received_time

LINES_BEFORE = 100
MOST_LINES = 5000  # of one crash record
QUIET_END = 30.0  # seconds without a line after which a crash is over
CRASHES_BYTES = 1024**3  # of all crash records

BEATS = 2  # heartbeat marks that may get lost before a sender is silent
GRACE = 60.0  # seconds on top of it
MOST_UNKNOWN = (
    1000  # addresses that are no sender of the inventory and yet have figures of their own: they can be forged
)
OTHERS = UNKNOWN + "others"
FORGOTTEN = 30 * 86400.0  # seconds after which a sender that left the inventory has no figures any more

# -- crashes ----------------------------------------------------------------------------------------------------------


@dataclass
class Crash:
    """A crash while its lines still come in. They are kept as they stand in the store: a fleet can crash at once."""

    name: str
    kind: str
    started: float  # when its first line was received
    place: tuple[int, int]  # inode and offset of that line: a restarted observer reads on from here
    lines: list[bytes]
    before: int  # how many of the lines come before the crash
    heard: float  # when its newest line was received
    last: float  # when its newest line was read, by time.monotonic()
    kinds: list[str] = field(default_factory=list)
    ended: bool = False

    def take(self, line: bytes, record: t.Mapping[str, t.Any], kind: str | None, received: float) -> None:
        """One more line of it."""
        self.lines.append(line)
        self.heard = received
        if kind is not None and kind not in self.kinds:
            self.kinds.append(kind)
        if kind == "panic":
            self.kind = "panic"
        self.ended = END_OF_PANIC.search(str(record.get("message", ""))) is not None


def text_of(record: t.Mapping[str, t.Any]) -> str:
    """A record as dmesg would print it."""
    stamp = record.get("kernel_time")
    shown = f"[{stamp:12.6f}] " if isinstance(stamp, (int, float)) else ""
    return f"{shown}{record.get('message', '')}"


def write_crash(folder: str, crash: Crash) -> str:
    """Write ``<host>-<time>.log`` and ``.json``; returns their path without the ending. Whole files or none.

    The same crash, read again after a restart, has the same name.
    """
    os.makedirs(folder, mode=0o750, exist_ok=True)
    started = datetime.fromtimestamp(crash.started, timezone.utc)
    path = os.path.join(folder, f"{crash.name.replace('/', '-')}-{started.strftime('%Y%m%dT%H%M%S.%fZ')}")
    records = [record for record in map(_object, crash.lines) if record is not None]
    content = {
        "host": crash.name,
        "kind": crash.kind,
        "kinds": crash.kinds,
        "started": started.isoformat(),
        "complete": crash.ended,
        "lines_before": crash.before,
        "lines": records,
    }
    _replace(path + ".log", "".join(f"{text_of(record)}\n" for record in records))
    _replace(path + ".json", json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    return path


def keep_within(folder: str, budget: int) -> list[str]:
    """Remove the oldest files until the rest has ``budget`` bytes at the most; returns the names of those that went."""
    files = sorted((entry.stat().st_mtime, entry.stat().st_size, entry.path) for entry in os.scandir(folder))
    total = sum(size for _changed, size, _path in files)
    gone = []
    for _changed, size, path in files[:-2]:  # never the newest record
        if total <= budget:
            break
        os.unlink(path)
        total -= size
        gone.append(os.path.basename(path))
    return gone


def _replace(path: str, text: str) -> None:
    with open(path + ".new", "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(path + ".new", path)


# -- all together -----------------------------------------------------------------------------------------------------


class Observer:
    """Reads the store, keeps the senders' figures, writes crash records, tells who is silent.

    ``inventory`` is the receiver's senders.json. ``silence`` are the seconds after which a sender without heartbeat is
    silent, 0: never.
    """

    def __init__(
        self,
        folder: str,
        *,
        crashes: str = "",
        crashes_bytes: int = CRASHES_BYTES,
        state: str | None = None,
        inventory: str | None = None,
        silence: float = 0.0,
        before: int = LINES_BEFORE,
        say: t.Callable[[str], None] = print,
        clock: t.Callable[[], float] = time.monotonic,
        wall_clock: t.Callable[[], float] = time.time,
    ) -> None:
        self.crash_folder, self.crashes_bytes = crashes or os.path.join(folder, "crashes"), crashes_bytes
        self.state, self.before, self.say = state, before, say
        self.clock, self.wall_clock, self.silence = clock, wall_clock, silence
        self.inventory = Inventory(inventory)
        self.senders: dict[str, Sender] = {}
        self.crashes: dict[str, Crash] = {}
        self.unreadable = 0  # lines that are no message
        self.lock = threading.Lock()  # figures are read by the HTTP server's thread
        self.store = Store(folder, *self._load())
        self._started, self._looked = wall_clock(), time.time()
        self._unknown = sum(name.startswith(UNKNOWN) for name in self.senders)

    def round(self) -> int:
        """Take all that is new, in bounded pieces; returns the number of lines."""
        number = 0
        self._looked = time.time()
        for line in self.store.round():
            number += 1
            with self.lock:
                self._take(line)
        with self.lock:
            for crash in list(self.crashes.values()):
                if self.clock() - crash.last > QUIET_END:
                    self._finish(crash)
            if not self.store.pending:
                self._look_for_silence()
        return number

    def _take(self, line: Line) -> None:
        record = _object(line.data)
        if record is None or "message" not in record:  # {"torn": ...}: a line that the end of a collector has cut
            self.unreadable += 1
            return
        sender = self._sender_of(line.name)
        received, kind = received_time(record), event_of(record)
        crash = self.crashes.get(line.name)
        if crash is not None and received - crash.heard > QUIET_END:
            self._finish(crash)
            crash = None
        if not line.counted:
            boots = sender.boots
            sender.take(record, received)
            if kind is not None:
                sender.events[kind] += 1
            if crash is not None and sender.boots != boots:
                self._finish(crash)
                crash = None
        if crash is None and kind in CRASH_KINDS:
            crash = self._begin(line, kind, received)
        if crash is not None:
            crash.take(line.data, record, kind, received)
            crash.last = self.clock()
            if crash.ended or len(crash.lines) >= MOST_LINES:
                self._finish(crash)

    def _sender_of(self, name: str) -> Sender:
        sender = self.senders.get(name)
        if sender is None:
            if name.startswith(UNKNOWN):
                if self._unknown >= MOST_UNKNOWN:
                    return self.senders.setdefault(OTHERS, Sender(OTHERS))
                self._unknown += 1
            sender = self.senders[name] = Sender(name)
        return sender

    def _begin(self, line: Line, kind: str, received: float) -> Crash:
        lines = lines_before(line.path, line.offset, self.before)
        place = (line.inode, line.offset)
        crash = Crash(line.name, kind, received, place, lines, len(lines), heard=received, last=self.clock())
        self.crashes[line.name] = crash
        self.say(f"{line.name}: {kind}")
        return crash

    def _finish(self, crash: Crash) -> None:
        del self.crashes[crash.name]
        self._sender_of(crash.name).crashes += 1
        try:
            path = write_crash(self.crash_folder, crash)
            gone = keep_within(self.crash_folder, self.crashes_bytes)
        except OSError as error:
            self.say(f"{crash.name}: the crash record cannot be written: {error}; the lines are in the sender's file")
            return
        self.say(f"{crash.name}: {crash.kind}, {len(crash.lines) - crash.before} lines: {path}.log")
        if gone:
            self.say(f"{self.crash_folder} is over {self.crashes_bytes} bytes: removed {', '.join(gone)}")

    # -- who is silent ------------------------------------------------------------------------------------------------

    def patience(self, sender: Sender) -> float:
        """Seconds without a message after which a sender is silent, 0: never.

        A sender that makes heartbeat marks may lose some. Others are only judged when they are in the inventory.
        """
        if self.inventory.known and sender.host not in self.inventory.names:
            return 0.0
        return BEATS * sender.heartbeat + GRACE if sender.heartbeat else self.silence

    def _look_for_silence(self) -> None:
        now = self.wall_clock()
        if self.inventory.read():
            for name in self.inventory.names:
                self._sender_of(name)
        for sender in list(self.senders.values()):
            patience = self.patience(sender)
            heard = max(sender.last_seen, 0.0 if sender.last_seen else self._started)
            silent = bool(patience) and now - heard > patience
            if silent != sender.silent:
                minutes = f"for {(now - heard) / 60:.0f} min"
                self.say(f"{sender.host}: nothing heard {minutes}" if silent else f"{sender.host}: heard again")
                sender.silent = silent
            if now - heard > FORGOTTEN and sender.host not in self.inventory.names:
                del self.senders[sender.host]
                self._unknown -= sender.host.startswith(UNKNOWN) and sender.host != OTHERS

    # -- over restarts ------------------------------------------------------------------------------------------------

    def _load(self) -> tuple[dict[str, list[int]] | None, float]:
        """Places of the run before and when they were saved, None and 0 where there was none. Takes its figures."""
        if self.state is None:
            return None, 0.0
        try:
            with open(self.state, encoding="utf-8") as stream:
                saved = json.load(stream)
            senders = {host: _sender(host, known) for host, known in saved["senders"].items()}
            places = {str(name): [int(number) for number in place] for name, place in saved["places"].items()}
            since = float(saved["time"])
        except FileNotFoundError:
            return None, 0.0
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self.say(f"{self.state} cannot be read ({error!r}): figures begin anew")
            return None, 0.0
        self.senders = senders
        return places, since

    def save(self) -> None:
        """Write places and figures. A crash that is not over is read again from its first line.

        Where that line is in a rotated file by now, the crash is over here.
        """
        with self.lock:
            places = self.store.places()
            for crash in list(self.crashes.values()):
                inode, offset = crash.place
                place = places.get(crash.name)
                if place is not None and place[0] == inode:
                    place[1] = offset
                else:
                    self._finish(crash)
            senders = {host: _known(sender) for host, sender in self.senders.items()}
        if self.state is not None:
            _replace(self.state, json.dumps({"places": places, "senders": senders, "time": self._looked}) + "\n")


class Inventory:
    """The senders' names in the receiver's senders.json, read again when it changes."""

    def __init__(self, path: str | None) -> None:
        self._path, self._stamp = path, 0.0
        self.names: frozenset[str] = frozenset()
        self.known = False

    def read(self) -> bool:
        """Whether there is a list that was not read before."""
        if self._path is None:
            return False
        try:
            stamp = os.stat(self._path).st_mtime
            if stamp == self._stamp:
                return False
            with open(self._path, encoding="utf-8") as stream:
                table = json.load(stream)["table"]
        except (OSError, ValueError, KeyError):
            return False
        self._stamp, self.known = stamp, True
        self.names = frozenset(str(row["value"]) for row in table)
        return True


def _object(line: bytes) -> dict[str, t.Any] | None:
    try:
        record = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


_PLAIN = ("last_seen", "kernel_time", "boots", "crashes", "has_msgid", "heartbeat", "silent")


def _known(sender: Sender) -> dict[str, t.Any]:
    numbers = {
        name: [counter.last, counter.missing, counter.late, list(counter.gaps)]
        for name, counter in (("sequence", sender.sequence), ("msgid", sender.msgid))
    }
    plain = {name: getattr(sender, name) for name in _PLAIN}
    return {**plain, **numbers, "levels": sender.levels, "events": sender.events}


def _sender(host: str, known: t.Mapping[str, t.Any]) -> Sender:
    sender = Sender(host, levels=Counter(known["levels"]), events=Counter(known["events"]))
    for name in _PLAIN:
        setattr(sender, name, known[name])
    sender.sequence, sender.msgid = (_numbers(*known[name]) for name in ("sequence", "msgid"))
    return sender


def _numbers(last: int | None, missing: int, late: int, gaps: t.Sequence[t.Sequence[int]]) -> Numbers:
    return Numbers(last, missing, late, deque((low, high) for low, high in gaps))
