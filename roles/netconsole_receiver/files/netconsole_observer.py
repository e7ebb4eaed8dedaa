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
import sys
import threading
import time
import typing as t
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime, timezone

SUFFIX = ".jsonl"
UNKNOWN = "unknown"
CRASHES = "crashes"

SHORTEST_ROUND = 1.0  # seconds between two looks at the store, at the least
SHARE_OF_PROCESSOR = 0.05  # of one processor, that looking for changes in a quiet store may take
CHUNK = 1024 * 1024  # bytes of one file that are read before the next file has its turn
LONGEST_LINE = 1024 * 1024
SAVE_EVERY = 30.0  # seconds

LINES_BEFORE = 100
MOST_LINES = 5000  # of one crash record
QUIET_END = 10.0  # seconds without a line after which a crash is over

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

    def take(self, record: t.Mapping[str, t.Any], received: float) -> None:
        """Count one record of this sender."""
        self.last_seen = max(self.last_seen, received)
        self.levels[_level(record)] += 1
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


# -- the store --------------------------------------------------------------------------------------------------------


@dataclass
class Followed:
    """One file of the store and how far it was read, always to the end of a line."""

    name: str  # <host> or unknown/<address>
    path: str
    inode: int
    offset: int
    counted: int = 0
    """Up to here the lines are in the saved figures: what is read again for a crash record is not counted again."""


class Line(t.NamedTuple):
    """One new line: whose, and where it stands."""

    name: str
    path: str
    inode: int
    offset: int
    data: bytes
    counted: bool


class Store:
    """The files of the store, followed over rotation by renaming and over restarts of this program."""

    def __init__(self, folder: str, saved: t.Mapping[str, t.Sequence[int]] | None = None) -> None:
        """``saved`` is what :meth:`places` gave; None: never run before, and what is there now is not news."""
        self.folder = folder
        self._saved = dict(saved or {})
        self._followed: dict[str, Followed] = {}
        self._first = saved is None
        self.pending = 0  # bytes that were there and not read at the end of the round before
        self.gone = 0  # files that were rotated and compressed, or deleted, before they were read to their end

    def places(self) -> dict[str, list[int]]:
        """How far each file was read, for the next start of this program: {name: [inode, offset, counted]}."""
        return {name: [file.inode, file.offset, file.offset] for name, file in self._followed.items()}

    def round(self) -> t.Iterator[Line]:
        """One look at all files: each new line, a file's lines in their order, CHUNK bytes of a file at the most."""
        self.pending = 0
        for name, path, status in self._files():
            file = self._followed.get(name)
            if file is None:
                file = self._followed[name] = self._begin(name, path, status)
            if file.inode != status.st_ino:
                yield from self._rest_of_rotated(file)
                file.inode, file.offset, file.counted = status.st_ino, 0, 0
            elif status.st_size < file.offset:  # rotated by copying: read from its start again
                file.offset = file.counted = 0
            if status.st_size > file.offset:
                yield from self._lines(file, path)
                self.pending += max(0, status.st_size - file.offset)
        self._first = False

    def _begin(self, name: str, path: str, status: os.stat_result) -> Followed:
        inode, offset, counted = self._saved.pop(name, (status.st_ino, status.st_size if self._first else 0, 0))
        return Followed(name, path, inode, offset, counted)

    def _files(self) -> t.Iterator[tuple[str, str, os.stat_result]]:
        for prefix in ("", UNKNOWN + "/"):
            try:
                entries = list(os.scandir(os.path.join(self.folder, prefix)))
            except FileNotFoundError:
                continue
            for entry in entries:
                if not entry.name.endswith(SUFFIX):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # rotated in this very moment
                yield prefix + entry.name[: -len(SUFFIX)], entry.path, status

    def _rest_of_rotated(self, file: Followed) -> t.Iterator[Line]:
        """What was appended to a file after it was last read and before it was renamed."""
        folder, start = os.path.split(file.path)
        for entry in os.scandir(folder):
            if entry.inode() == file.inode and entry.name.startswith(start):
                before = -1
                while file.offset != before:
                    before = file.offset
                    yield from self._lines(file, entry.path)
                return
        self.gone += 1

    def _lines(self, file: Followed, path: str) -> t.Iterator[Line]:
        try:
            stream = open(path, "rb")
        except FileNotFoundError:
            return
        with stream:
            stream.seek(file.offset)
            data = stream.read(CHUNK)
        end = data.rfind(b"\n") + 1
        if not end and len(data) >= LONGEST_LINE:
            end = len(data)  # no collector writes such a line: passed over, not waited for
        for line in data[:end].splitlines(keepends=True):
            begins = file.offset
            file.offset += len(line)
            yield Line(file.name, path, file.inode, begins, line, counted=begins < file.counted)


def lines_before(path: str, offset: int, number: int) -> list[bytes]:
    """The last ``number`` lines of a file before an offset, oldest first."""
    with open(path, "rb") as stream:
        low = max(0, offset - CHUNK)
        stream.seek(low)
        data = stream.read(offset - low)
    lines = data.splitlines()
    return lines[1 if low else 0 :][-number:] if number else []


# -- crashes ----------------------------------------------------------------------------------------------------------


@dataclass
class Crash:
    """A crash while its lines still come in."""

    name: str
    kind: str
    started: float  # when its first line was received
    place: tuple[int, int]  # inode and offset of that line: a restarted observer reads on from here
    lines: list[dict[str, t.Any]]
    before: int  # how many of the lines come before the crash
    kinds: list[str] = field(default_factory=list)
    last: float = 0.0  # when its newest line was seen, by time.monotonic()
    ended: bool = False


def text_of(record: t.Mapping[str, t.Any]) -> str:
    """A record as dmesg would print it."""
    stamp = record.get("kernel_time")
    shown = f"[{stamp:12.6f}] " if isinstance(stamp, (int, float)) else ""
    return f"{shown}{record.get('message', '')}"


def write_crash(folder: str, crash: Crash) -> str:
    """Write ``<host>-<time>.log`` and ``.json``; returns their path without the ending. Whole files or none."""
    os.makedirs(folder, mode=0o750, exist_ok=True)
    moment = datetime.fromtimestamp(crash.started, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    path = os.path.join(folder, f"{crash.name.replace('/', '-')}-{moment}")
    content = {
        "host": crash.name,
        "kind": crash.kind,
        "kinds": crash.kinds,
        "started": datetime.fromtimestamp(crash.started, timezone.utc).isoformat(),
        "complete": crash.ended,
        "lines_before": crash.before,
        "lines": crash.lines,
    }
    text = "".join(f"{text_of(line)}\n" for line in crash.lines)
    _replace(path + ".log", text)
    _replace(path + ".json", json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    return path


def _replace(path: str, text: str) -> None:
    with open(path + ".new", "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(path + ".new", path)


# -- all together -----------------------------------------------------------------------------------------------------


class Observer:
    """Reads the store, keeps the senders' figures, writes crash records."""

    def __init__(
        self,
        folder: str,
        *,
        state: str | None = None,
        before: int = LINES_BEFORE,
        say: t.Callable[[str], None] = print,
        clock: t.Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.state, self.before, self.say, self.clock = folder, state, before, say, clock
        self.senders: dict[str, Sender] = {}
        self.crashes: dict[str, Crash] = {}
        self.unreadable = 0  # lines that are no JSON object
        self.lock = threading.Lock()  # figures are read by the HTTP server's thread
        self.store = Store(folder, self._load())

    def round(self) -> int:
        """Take all that is new, in bounded pieces; returns the number of lines."""
        number = 0
        for line in self.store.round():
            number += 1
            with self.lock:
                self._take(line)
        with self.lock:
            for crash in list(self.crashes.values()):
                if crash.ended or self.clock() - crash.last > QUIET_END or len(crash.lines) >= MOST_LINES:
                    self._finish(crash)
        return number

    def _take(self, line: Line) -> None:
        record = _object(line.data)
        if record is None:
            self.unreadable += 1
            return
        sender = self.senders.get(line.name)
        if sender is None:
            sender = self.senders[line.name] = Sender(line.name)
        received = received_time(record)
        kind = event_of(record)
        if not line.counted:
            sender.take(record, received)
            if kind is not None:
                sender.events[kind] += 1
        crash = self.crashes.get(line.name)
        if crash is None and kind in CRASH_KINDS:
            crash = self._begin(line, t.cast(str, kind), received)
        if crash is not None and not crash.ended:
            crash.lines.append(record)
            crash.last = self.clock()
            if kind is not None and kind not in crash.kinds:
                crash.kinds.append(kind)
            if kind == "panic":
                crash.kind = "panic"
            crash.ended = END_OF_PANIC.search(str(record.get("message", ""))) is not None

    def _begin(self, line: Line, kind: str, received: float) -> Crash:
        earlier = [_object(data) for data in lines_before(line.path, line.offset, self.before)]
        lines = [record for record in earlier if record is not None]
        place = (line.inode, line.offset)
        crash = Crash(line.name, kind, received, place, lines, before=len(lines), last=self.clock())
        self.crashes[line.name] = crash
        self.say(f"{line.name}: {kind}")
        return crash

    def _finish(self, crash: Crash) -> None:
        del self.crashes[crash.name]
        self.senders[crash.name].crashes += 1
        try:
            path = write_crash(os.path.join(self.folder, CRASHES), crash)
        except OSError as error:
            self.say(f"{crash.name}: the crash record cannot be written: {error}; the lines are in the sender's file")
            return
        self.say(f"{crash.name}: {crash.kind}, {len(crash.lines) - crash.before} lines: {path}.log")

    # -- over restarts --------------------------------------------------------------------------------------------------

    def _load(self) -> dict[str, list[int]] | None:
        """Places and figures of the run before; None where there was none."""
        if self.state is None:
            return None
        try:
            with open(self.state, encoding="utf-8") as stream:
                saved = json.load(stream)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self.say(f"{self.state} cannot be read ({error}): figures begin anew")
            return None
        self.senders = {host: _sender(host, known) for host, known in saved["senders"].items()}
        return t.cast("dict[str, list[int]]", saved["places"])

    def save(self) -> None:
        """Write places and figures. A crash that is not over is read again from its first line."""
        if self.state is None:
            return
        places = self.store.places()
        for crash in self.crashes.values():
            inode, offset = crash.place
            if places[crash.name][0] == inode:
                places[crash.name][1] = offset
        senders = {host: _known(sender) for host, sender in self.senders.items()}
        _replace(self.state, json.dumps({"places": places, "senders": senders}) + "\n")


def _object(line: bytes) -> dict[str, t.Any] | None:
    try:
        record = json.loads(line.decode("utf-8", "replace"))
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _known(sender: Sender) -> dict[str, t.Any]:
    numbers = {
        name: [counter.last, counter.missing, counter.late]
        for name, counter in (("sequence", sender.sequence), ("msgid", sender.msgid))
    }
    plain = {name: getattr(sender, name) for name in ("last_seen", "kernel_time", "boots", "crashes", "has_msgid")}
    return {**plain, **numbers, "levels": sender.levels, "events": sender.events}


def _sender(host: str, known: t.Mapping[str, t.Any]) -> Sender:
    sender = Sender(host, levels=Counter(known["levels"]), events=Counter(known["events"]))
    for name in ("last_seen", "kernel_time", "boots", "crashes", "has_msgid"):
        setattr(sender, name, known[name])
    sender.sequence = Numbers(*known["sequence"])
    sender.msgid = Numbers(*known["msgid"])
    return sender


# -- figures for Prometheus -------------------------------------------------------------------------------------------


def socket_drops(port: int, proc: str = "/proc") -> dict[str, int]:
    """Datagrams that the kernel dropped because a socket's buffer was full: {"ipv4": n, "ipv6": n}.

    Source: the last column of /proc/net/udp and udp6 (net/ipv4/udp.c, udp4_format_sock).
    """
    drops = {}
    for family, name in (("ipv4", "udp"), ("ipv6", "udp6")):
        try:
            with open(f"{proc}/net/{name}", encoding="ascii") as table:
                rows = [line.split() for line in table][1:]
        except OSError:
            continue
        mine = [row for row in rows if row[1].endswith(f":{port:04X}")]
        if mine:
            drops[family] = sum(int(row[-1]) for row in mine)
    return drops


class Figures:
    """A collector of prometheus_client: every scrape reads the observer's own figures, nothing is kept twice."""

    def __init__(self, observer: Observer, port: int) -> None:
        self.observer, self.port = observer, port

    def collect(self) -> t.Iterator[t.Any]:
        """All families, in the form that prometheus_client's registry wants."""
        from prometheus_client.core import CounterMetricFamily as Counters, GaugeMetricFamily as Gauges

        per_sender = ("host",)
        seen = Gauges("netconsole_sender_last_seen_timestamp_seconds", "When the newest message came", labels=per_sender)
        messages = Counters("netconsole_sender_messages", "Messages by level", labels=("host", "level"))
        lost = Counters("netconsole_sender_lost", "Messages lost on the way, by msgid", labels=per_sender)
        missing = Counters(
            "netconsole_sender_sequence_missing",
            "Sequence numbers not seen: lost, or of a level that is not sent",
            labels=per_sender,
        )
        late = Counters("netconsole_sender_reordered", "Messages that came after a later one", labels=per_sender)
        boots = Counters("netconsole_sender_boots", "Restarts that were seen", labels=per_sender)
        events = Counters("netconsole_sender_events", "Kernel trouble by kind", labels=("host", "kind"))
        crashes = Counters("netconsole_sender_crashes", "Crash records written", labels=per_sender)
        with self.observer.lock:
            for host, sender in self.observer.senders.items():
                seen.add_metric((host,), sender.last_seen)
                for level, number in sender.levels.items():
                    messages.add_metric((host, level), number)
                if sender.has_msgid:
                    lost.add_metric((host,), sender.msgid.missing)
                missing.add_metric((host,), sender.sequence.missing)
                late.add_metric((host,), sender.sequence.late)
                boots.add_metric((host,), sender.boots)
                crashes.add_metric((host,), sender.crashes)
                for kind, _pattern in EVENTS:
                    events.add_metric((host, kind), sender.events[kind])
            unreadable, gone = self.observer.unreadable, self.observer.store.gone
            pending = self.observer.store.pending
        yield from (seen, messages, lost, missing, late, boots, events, crashes)
        drops = Counters("netconsole_receiver_socket_drops", "Datagrams dropped by a full socket", labels=("family",))
        for family, number in socket_drops(self.port).items():
            drops.add_metric((family,), number)
        yield drops
        yield Counters("netconsole_observer_unreadable_lines", "Lines of the store that are no JSON", value=unreadable)
        yield Counters("netconsole_observer_gone_files", "Files rotated away before they were read", value=gone)
        yield Gauges("netconsole_observer_pending_bytes", "Bytes of the store not read yet", value=pending)


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Run until SIGTERM."""
    options = _options(arguments)
    try:
        from prometheus_client import CollectorRegistry, start_http_server, write_to_textfile
    except ImportError:
        print("prometheus_client is missing: install the distribution's package (python3-prometheus-client)", file=sys.stderr)
        return 1
    observer = Observer(options.store, state=options.state, before=options.lines_before, say=_say)
    registry = CollectorRegistry()
    registry.register(t.cast(t.Any, Figures(observer, options.receiver_port)))
    if options.port:
        start_http_server(options.port, addr=options.listen, registry=registry)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    saved = 0.0
    while not stop.is_set():
        began = time.monotonic()
        lines = observer.round()
        now = time.monotonic()
        if now - saved > SAVE_EVERY:
            observer.save()
            if options.textfile:
                write_to_textfile(options.textfile, registry)
            saved = now
        if not (lines and observer.store.pending):
            stop.wait(max(SHORTEST_ROUND, (now - began) / SHARE_OF_PROCESSOR if not lines else 0))
    observer.save()
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


def _options(arguments: t.Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="netconsole-observer", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--store", default="/var/log/netconsole", help="the collector's store (default: %(default)s)")
    parser.add_argument("--state", help="file that keeps places and figures over a restart")
    parser.add_argument("--listen", default="127.0.0.1", help="address of the HTTP server (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="its port; 0: no HTTP server (default)")
    parser.add_argument("--textfile", help="file for node_exporter's textfile collector")
    parser.add_argument("--receiver-port", type=int, default=6666, help="the collector's UDP port, for its drops")
    parser.add_argument(
        "--lines-before", type=int, default=LINES_BEFORE, help="lines kept from before a crash (default: %(default)s)"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
