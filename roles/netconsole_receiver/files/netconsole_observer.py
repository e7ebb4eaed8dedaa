#!/usr/bin/env python3
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watch the store of a netconsole receiver: who is silent, who crashed, what was lost.

It reads what the collector appends to the store's JSON lines, like ``tail -F``: it is never in the path of a message,
and what it has not read yet waits in the files, also while it does not run. It writes one record for each crash and
offers figures to Prometheus, over HTTP or as a file for node_exporter.

Facts about the lines: the kernel's ``Documentation/ABI/testing/dev-kmsg`` (sequence, level, facility) and
``Documentation/networking/netconsole.rst`` (msgid counts the messages of one target).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import typing as t
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime, timezone

from observer_figures import CollectorFigures, Figures, NoFigures, RsyslogFigures, SyslogNgFigures, serve, write_textfile
from observer_following import UNKNOWN, Line, Store, lines_before

SHORTEST_ROUND = 1.0  # seconds between two looks at the store, at the least
SHARE_OF_PROCESSOR = 0.05  # of one processor, that looking for changes in a quiet store may take
SAVE_EVERY = 30.0  # seconds

LINES_BEFORE = 100
MOST_LINES = 5000  # of one crash record
QUIET_END = 10.0  # seconds without a line after which a crash is over
CRASHES_BYTES = 1024**3  # of all crash records

MOST_UNKNOWN = 1000  # addresses that are no sender of the inventory and yet have figures of their own: they can be forged
OTHERS = UNKNOWN + "others"
FORGOTTEN = 30 * 86400.0  # seconds after which a sender that left the inventory has no figures any more

# -- what a kernel says when something is wrong ----------------------------------------------------------------------

# Only lines of the kernel itself count (facility 0): any user of /dev/kmsg can write the same words.
EVENTS: t.Sequence[t.Tuple[str, "re.Pattern[str]"]] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("panic", r"^Kernel panic - not syncing"),
        (
            "oops",
            r"^(BUG: (?!soft lockup|workqueue lockup)|Oops: |Oops - |Internal error: Oops|kernel BUG at "
            r"|Unable to handle kernel |general protection fault|divide error: |invalid opcode: |stack segment: "
            r"|double fault: |int3: |PANIC: double fault)",
        ),
        ("hung_task", r"^INFO: task .{1,80} blocked (in I/O wait )?for more than \d+ seconds"),
        (
            "lockup",
            r"(soft lockup|[Hh]ard LOCKUP|workqueue lockup|rcu.{0,40} (self-)?detected (expedited )?stalls?)",
        ),
        ("mce", r"(\[Hardware Error\]: Machine check|^mce: .{0,40}(Machine [Cc]heck|Hardware Error)|Machine check events logged)"),
        ("oom", r"^(Out of memory: Killed process|Memory cgroup out of memory: Killed process|Out of memory and no killable)"),
    )
)
# A word of each pattern above: most lines have none of them and need no closer look.
TROUBLE = re.compile("panic|BUG|Oops|error|Unable|fault|opcode|segment|int3|blocked|lockup|LOCKUP|stall|mce|memory")
# What netconsole-sender.service writes (plugins/module_utils/_heartbeat.py).
HEARTBEAT = re.compile(r"^netconsole-sender: heartbeat, (?:every (\d{1,5}) min|off)")
BEATS = 2  # that may get lost before a sender is silent
GRACE = 60.0  # seconds on top of it
CRASH_KINDS = ("panic", "oops")
END_OF_PANIC = re.compile(r"---\[ end Kernel panic")
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


def event_of(record: t.Mapping[str, t.Any]) -> str | None:
    """The kind of trouble that a record's line tells of, None for all others."""
    if record.get("facility") not in (0, None):
        return None
    message = record.get("message")
    if isinstance(message, str) and TROUBLE.search(message):
        for kind, pattern in EVENTS:
            if pattern.search(message):
                return kind
    return None


# -- what was lost ----------------------------------------------------------------------------------------------------


@dataclass
class Numbers:
    """A counter that a sender puts on its messages: what is missing of it, and what came late.

    Missing numbers are kept as ranges, the last ``REMEMBERED`` of them, so that a late message is told from a counter
    that has started anew.
    """

    REMEMBERED: t.ClassVar[int] = 64

    last: int | None = None
    missing: int = 0
    late: int = 0
    gaps: t.Deque[t.Tuple[int, int]] = field(default_factory=deque)

    def take(self, number: int) -> str:
        """Count one number: "next", "gap" (some are missing before it), "late" or "known" (seen already, or older)."""
        if self.last is None or number == self.last + 1:
            self.last = number
            return "next"
        if number > self.last:
            self.missing += number - self.last - 1
            self.gaps.append((self.last + 1, number - 1))
            if len(self.gaps) > self.REMEMBERED:
                self.gaps.popleft()
            self.last = number
            return "gap"
        return "late" if self._fill(number) else "known"

    def _fill(self, number: int) -> bool:
        for index, (low, high) in enumerate(self.gaps):
            if low <= number <= high:
                del self.gaps[index]
                self.gaps.extend(part for part in ((low, number - 1), (number + 1, high)) if part[0] <= part[1])
                self.missing -= 1
                self.late += 1
                return True
        return False

    def restart(self, number: int) -> None:
        """The counter began anew, with this number. What was missing before stays missing."""
        self.last = number
        self.gaps.clear()


@dataclass
class Sender:
    """All that is known of one sender since the observer first saw it."""

    host: str
    last_seen: float = 0.0  # seconds since 1970, by the receiver's clock
    kernel_time: float | None = None  # seconds since the sender's boot, of its newest message
    boots: int = 0  # restarts that were seen
    levels: t.Counter[str] = field(default_factory=Counter)
    events: t.Counter[str] = field(default_factory=Counter)
    crashes: int = 0
    sequence: Numbers = field(default_factory=Numbers)  # gaps are losses, or messages of a level that is not sent
    msgid: Numbers = field(default_factory=Numbers)  # gaps are losses, nothing else
    has_msgid: bool = False
    heartbeat: float = 0.0  # seconds between its marks, 0: it makes none
    silent: bool = False

    def take(self, record: t.Mapping[str, t.Any], received: float) -> None:
        """Count one record of this sender."""
        self.last_seen = max(self.last_seen, received)
        self.levels[_level(record)] += 1
        mark = HEARTBEAT.match(str(record.get("message", "")))
        if mark:
            self.heartbeat = 60.0 * int(mark[1] or 0)
        kernel_time = record.get("kernel_time")
        stamp = float(kernel_time) if isinstance(kernel_time, (int, float)) else None
        if self._is_boot(record, stamp):
            self.boots += 1
            self.kernel_time = stamp
            self.msgid.restart(-1)
        elif stamp is not None:
            self.kernel_time = stamp if self.kernel_time is None else max(stamp, self.kernel_time)
        self._take_msgid(record)

    def _is_boot(self, record: t.Mapping[str, t.Any], stamp: float | None) -> bool:
        """Whether the sender has booted since its message before. Counts the sequence number."""
        earlier = stamp is not None and self.kernel_time is not None and stamp < self.kernel_time
        sequence = record.get("sequence")
        if not isinstance(sequence, int):
            # The legacy format has no number. UDP turns messages of one moment round, not those of different seconds.
            return earlier and t.cast(float, stamp) < t.cast(float, self.kernel_time) - 1
        if self.sequence.take(sequence) == "known" and earlier:
            self.sequence.restart(sequence)
            return True
        return False

    def _take_msgid(self, record: t.Mapping[str, t.Any]) -> None:
        userdata = record.get("userdata")
        text = userdata.get("msgid") if isinstance(userdata, dict) else None
        if not isinstance(text, str) or not text.isdigit():
            return
        self.has_msgid = True
        if self.msgid.last == -1:
            self.msgid.restart(int(text))
        elif self.msgid.take(int(text)) == "known":
            self.msgid.restart(int(text))  # the target was made anew


def _level(record: t.Mapping[str, t.Any]) -> str:
    name = record.get("level_name")
    return name if name in LEVELS else "none"


def received_time(record: t.Mapping[str, t.Any]) -> float:
    """When a record was received, in seconds since 1970; now, where it does not say."""
    text = str(record.get("received", "")).replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return time.time()


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
    """Remove the oldest files until the rest has no more than ``budget`` bytes; returns the names of those that went."""
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
        self.unreadable = 0  # lines that are no JSON object
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
        if record is None:
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
            crash = self._begin(line, t.cast(str, kind), received)
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

    # -- over restarts --------------------------------------------------------------------------------------------------

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


# -- the service ------------------------------------------------------------------------------------------------------


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Run until SIGTERM."""
    options = _options(arguments)
    observer = Observer(
        options.store,
        crashes=options.crashes,
        crashes_bytes=options.crashes_bytes,
        state=options.state,
        inventory=options.senders,
        silence=options.silence,
        before=options.lines_before,
        say=_say,
    )
    collector = _collector(options)
    figures = Figures(observer, options.receiver_port, collector, [kind for kind, _pattern in EVENTS])
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    if options.port:
        failure = serve(figures, options.listen, options.port)
        if failure:
            _say(failure)
            if "prometheus_client" not in failure:
                return 1
    _notify("READY=1")
    _run(observer, figures, options.textfile, stop)
    observer.save()
    return 0


def _run(observer: Observer, figures: Figures, textfile: str | None, stop: threading.Event) -> None:
    saved, read, failure = 0.0, 1, ""
    while not stop.is_set():
        began = time.monotonic()
        lines = observer.round()
        figures.collector.read()
        read += lines
        now = time.monotonic()
        if now - saved > SAVE_EVERY:
            if read:
                observer.save()
            if textfile:
                before, failure = failure, write_textfile(figures, textfile)
                if failure and failure != before:
                    _say(failure)
            saved, read = now, 0
        if not (lines and observer.store.pending):
            stop.wait(max(SHORTEST_ROUND, (now - began) / SHARE_OF_PROCESSOR if not lines else 0))


def _collector(options: argparse.Namespace) -> CollectorFigures:
    if options.rsyslog_pipe:
        return RsyslogFigures(options.rsyslog_pipe)
    if options.syslog_ng_control:
        return SyslogNgFigures(options.syslog_ng_control)
    return NoFigures()


def _notify(line: str) -> None:
    """sd_notify(3), where systemd asked for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notification:
            notification.sendto(line.encode(), "\0" + address[1:] if address[0] == "@" else address)


def _say(text: str) -> None:
    print(text, flush=True)


def _options(arguments: t.Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="netconsole-observer", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--store", default="/var/log/netconsole", help="the collector's store (default: %(default)s)")
    parser.add_argument("--crashes", default="", help="folder for crash records (default: crashes in the store)")
    parser.add_argument(
        "--crashes-bytes", type=int, default=CRASHES_BYTES, help="the most they take (default: %(default)s)"
    )
    parser.add_argument(
        "--lines-before", type=int, default=LINES_BEFORE, help="lines kept from before a crash (default: %(default)s)"
    )
    parser.add_argument("--state", help="file that keeps places and figures over a restart")
    parser.add_argument("--senders", help="the receiver's senders.json: who is in the inventory")
    parser.add_argument(
        "--silence", type=float, default=0.0, help="seconds after which a sender is silent; 0: only by its heartbeat"
    )
    parser.add_argument("--listen", default="127.0.0.1", help="address of the HTTP server (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="its port; 0: no HTTP server (default)")
    parser.add_argument("--textfile", help="file for node_exporter's textfile collector")
    parser.add_argument("--receiver-port", type=int, default=6666, help="the collector's UDP port, for its drops")
    parser.add_argument("--rsyslog-pipe", help="named pipe that rsyslog writes its figures into")
    parser.add_argument("--syslog-ng-control", help="control socket of syslog-ng")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
