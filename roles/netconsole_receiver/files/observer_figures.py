# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The observer's figures for Prometheus, and those that the kernel and the collector keep of the receiver itself.

Facts: net/ipv4/udp.c (udp4_format_sock: the last column counts drops), rsyslog's impstats and syslog-ng-ctl(1).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import typing as t

if t.TYPE_CHECKING:
    from observer_core import Observer


def socket_drops(port: int, proc: str = "/proc/self") -> dict[str, int]:
    """Datagrams that the kernel dropped because a socket's buffer was full: {"ipv4": n, "ipv6": n}."""
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


class NoFigures:
    """What a collector says of itself, messages that it dropped and that wait, by queue: of one that says nothing."""

    def __init__(self) -> None:
        self.dropped: dict[str, int] = {}
        self.waiting: dict[str, int] = {}

    def read(self) -> None:
        """Take what is new; without a collector the last figures stay."""


class RsyslogFigures(NoFigures):
    """The lines that rsyslog's impstats writes into a named pipe.

    A pipe, because it can neither grow nor hold the collector up: rsyslog throws away what does not fit.
    """

    def __init__(self, pipe: str) -> None:
        super().__init__()
        with contextlib.suppress(FileExistsError):
            os.mkfifo(pipe, 0o600)
        self._pipe = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._rest = b""

    def read(self) -> None:
        """Take the lines that are there."""
        while True:
            try:
                data = os.read(self._pipe, 1 << 16)
            except BlockingIOError:
                return
            if not data:  # nobody has it open for writing
                return
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self.take(line)

    def take(self, line: bytes) -> None:
        """One line of impstats, in its JSON format."""
        try:
            counted = json.loads(line.decode("utf-8", "replace"))
        except ValueError:
            return  # the first line after a pipe that was full can be half a one
        if isinstance(counted, dict) and counted.get("origin") == "core.queue":
            queue = str(counted.get("name", "")).replace("[DA]", " on disk")
            self.dropped[queue] = int(counted.get("discarded.full", 0)) + int(counted.get("discarded.nf", 0))
            self.waiting[queue] = int(counted.get("size", 0))


class SyslogNgFigures(NoFigures):
    """What syslog-ng answers on its control socket; its own program syslog-ng-ctl asks the same."""

    def __init__(self, control: str) -> None:
        super().__init__()
        self._control = control

    def read(self) -> None:
        """Ask; a collector that does not run, or is busy, is asked again the next time."""
        answer = b""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
                stream.settimeout(1.0)
                stream.connect(self._control)
                stream.sendall(b"STATS CSV\n")
                while not answer.endswith(b"\n.\n"):
                    data = stream.recv(1 << 16)
                    if not data:
                        break
                    answer += data
        except OSError:
            return
        self.take(answer.decode("utf-8", "replace"))

    def take(self, answer: str) -> None:
        """Lines "source;id;instance;state;type;number"."""
        totals = {"dropped": 0, "queued": 0}
        rows = [line.split(";") for line in answer.split("\n")]
        destinations = [row for row in rows if len(row) == 6 and row[0].startswith("dst.") and row[4] in totals]
        for row in destinations:
            totals[row[4]] += int(row[5])
        if destinations:
            self.dropped["destinations"], self.waiting["destinations"] = totals["dropped"], totals["queued"]


class Figures:
    """A collector of prometheus_client: every scrape reads the observer's own figures, nothing is kept twice."""

    def __init__(self, observer: Observer, port: int, collector: NoFigures, kinds: t.Sequence[str]) -> None:
        self.observer, self.port, self.collector, self.kinds = observer, port, collector, kinds

    def collect(self) -> t.Iterator[t.Any]:
        """All families, in the form that prometheus_client's registry wants."""
        yield from self._senders()
        yield from self._receiver()

    def _senders(self) -> t.Iterator[t.Any]:
        from prometheus_client.core import CounterMetricFamily as Counters
        from prometheus_client.core import GaugeMetricFamily as Gauges

        host = ("host",)
        seen = Gauges("netconsole_sender_last_seen_timestamp_seconds", "When the newest message came", labels=host)
        silent = Gauges("netconsole_sender_silent", "1: nothing came for longer than it should", labels=host)
        heartbeat = Gauges("netconsole_sender_heartbeat_seconds", "Distance of its heartbeat marks", labels=host)
        messages = Counters("netconsole_sender_messages", "Messages by level", labels=("host", "level"))
        lost = Counters("netconsole_sender_lost", "Messages lost on the way, by msgid", labels=host)
        missing = Counters(
            "netconsole_sender_sequence_missing",
            "Sequence numbers not seen: lost, or of a level that is not sent",
            labels=host,
        )
        late = Counters("netconsole_sender_reordered", "Messages that came after a later one", labels=host)
        boots = Counters("netconsole_sender_boots", "Restarts that were seen", labels=host)
        events = Counters("netconsole_sender_events", "Kernel trouble by kind", labels=("host", "kind"))
        crashes = Counters("netconsole_sender_crashes", "Crash records written", labels=host)
        with self.observer.lock:
            for name, sender in self.observer.senders.items():
                if sender.last_seen:
                    seen.add_metric((name,), sender.last_seen)
                if self.observer.patience(sender):
                    silent.add_metric((name,), sender.silent)
                if sender.heartbeat:
                    heartbeat.add_metric((name,), sender.heartbeat)
                for level, number in sender.levels.items():
                    messages.add_metric((name, level), number)
                if sender.has_msgid:
                    lost.add_metric((name,), sender.msgid.missing)
                missing.add_metric((name,), sender.sequence.missing)
                late.add_metric((name,), sender.sequence.late)
                boots.add_metric((name,), sender.boots)
                crashes.add_metric((name,), sender.crashes)
                for kind in self.kinds:
                    events.add_metric((name, kind), sender.events[kind])
        yield from (seen, silent, heartbeat, messages, lost, missing, late, boots, events, crashes)

    def _receiver(self) -> t.Iterator[t.Any]:
        from prometheus_client.core import CounterMetricFamily as Counters
        from prometheus_client.core import GaugeMetricFamily as Gauges

        drops = Counters("netconsole_receiver_socket_drops", "Datagrams dropped by a full socket", labels=("family",))
        for family, number in socket_drops(self.port).items():
            drops.add_metric((family,), number)
        dropped = Counters("netconsole_receiver_dropped", "Messages that the collector dropped", labels=("queue",))
        for queue, number in self.collector.dropped.items():
            dropped.add_metric((queue,), number)
        waiting = Gauges("netconsole_receiver_waiting", "Messages in the collector's queues", labels=("queue",))
        for queue, number in self.collector.waiting.items():
            waiting.add_metric((queue,), number)
        yield from (drops, dropped, waiting)
        with self.observer.lock:
            unreadable, gone = self.observer.unreadable, self.observer.store.gone
            pending = self.observer.store.pending
        yield Counters(
            "netconsole_observer_unreadable_lines", "Lines of the store that are no message", value=unreadable
        )
        yield Counters("netconsole_observer_gone_files", "Files that went away before they were read", value=gone)
        yield Gauges("netconsole_observer_pending_bytes", "Bytes of the store not read yet", value=pending)


def serve(figures: Figures, address: str, port: int) -> str:
    """Offer the figures over HTTP. Returns why that cannot be, or an empty string."""
    try:
        from prometheus_client import start_http_server
    except ImportError:
        return _MISSING
    try:
        start_http_server(port, addr=address, registry=_registry(figures))
    except OSError as error:
        in_use = " by another program: set netconsole_receiver_observer_port" if error.errno == errno.EADDRINUSE else ""
        return f"no figures over HTTP, {address} port {port}: {error.strerror or error}{in_use}"
    return ""


def write_textfile(figures: Figures, path: str) -> str:
    """Write the figures for node_exporter, a whole file or none. Returns why that cannot be, or an empty string."""
    try:
        from prometheus_client import write_to_textfile
    except ImportError:
        return _MISSING
    umask = os.umask(0o022)  # node_exporter is another user
    try:
        write_to_textfile(path, _registry(figures))
    except OSError as error:
        return f"no figures in {path}: {error.strerror}"
    finally:
        os.umask(umask)
    return ""


_MISSING = (
    "no figures: the Python package prometheus_client is missing (python3-prometheus-client in Debian); crashes are "
    "recorded all the same"
)


def _registry(figures: Figures) -> t.Any:
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    registry.register(t.cast(t.Any, figures))
    return registry
