# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the collector of this host: messages kept, processor time for each, peak memory.

    bench.py role|package COLLECTOR SCALE

`role`: the receiver as the role has set it up. `package`: the same program with its package's defaults, or where the
package has none the shortest command that stores what comes in. SCALE divides the number of messages. Adds one JSON
object for each workload to /root/bench.jsonl. A collector that ends under a workload is a result: its row says so. Runs
on the receiver, as root, with load.py and hold.py beside it, nothing else using UDP.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from hold import LOAD, SERVICE, Udp, run, show, udp
from load import IPV6_FREEBIND, LONG, kernel_clock, source_of

PORT = "6666"
UNIT = "lab-bench.service"
OBSERVER = "netconsole-observer.service"
STORE = Path("/var/log/netconsole")
QUEUES = Path("/var/lib/netconsole-receiver")
WORK = Path("/root/bench")
OUTPUT = WORK / "store"
"""All that a collector with its package's defaults has stored, and nothing else."""
ROWS = Path("/root/bench.jsonl")
BLASTER = "netconsblaster"
PATIENCE = 600
"""Seconds that a collector has at most for what it has taken and not stored yet. netconsd at the role's settings takes
everything at once and needs five minutes for the largest workload."""
NUDGE = b"bench nudge"
NUDGED = 32
"""How many senders nudge() is for."""
IDLE = 100000
"""Microseconds of processor time in a second with which a collector still is at rest."""

Row = dict[str, Any]


class Workload(NamedTuple):
    """What is sent, in the words of load.py."""

    messages: int
    sources: int
    rate: int = 0
    families: str = "46"
    mix: str = "plain"


WORKLOADS = {
    "burst of 100,000 from 1,000": Workload(100000, 1000),
    "burst of 100,000 from 1,000, user data and fragments": Workload(100000, 1000, mix="mixed"),
    "20,000/s from 1": Workload(200000, 1, rate=20000, families="4"),
    "50,000/s for 60 s from 1,000": Workload(3000000, 1000, rate=50000),
    "10,000/s from 10,000, user data and fragments": Workload(200000, 10000, rate=10000, mix="mixed"),
}
RSYSLOG = f"""
module(load="imudp") input(type="imudp" port="{PORT}")
*.* action(type="omfile" file="{OUTPUT}/all")
"""
SYSLOG_NG = f"""
@version: current
source s {{ network(transport("udp") ip-protocol(6) ip("::") port({PORT})); }};
destination d {{ file("{OUTPUT}/all"); }};
log {{ source(s); destination(d); }};
"""
PACKAGE = {
    "rsyslog": "exec /usr/sbin/rsyslogd -n -iNONE -f ../conf",
    "syslog_ng": "exec /usr/sbin/syslog-ng -F --no-caps -f ../conf -R ../state -p ../pid -c ../ctl",
    "netconsd": f"exec netconsd -u {PORT} /usr/libexec/netconsd/logger.so",  # a file for each sender, where it is
    "socat": f"exec socat -u UDP6-RECV:{PORT},ipv6only=0 OPEN:all,creat,append",
    "netcat": f"exec nc.openbsd -6 -u -l -k {PORT} >>all",
}


def start(kind: str, collector: str) -> tuple[str, Path]:
    """Have the collector run, with an empty store and nothing in its queues. Its unit and the store."""
    for unit in (SERVICE, OBSERVER, UNIT):
        subprocess.run(["systemctl", "stop", unit], capture_output=True, check=False)
    subprocess.run(["systemctl", "reset-failed", UNIT], capture_output=True, check=False)
    if kind == "role":
        for path in [*STORE.rglob("*.log*"), *STORE.rglob("*.jsonl*"), *QUEUES.rglob("*")]:
            if path.is_file():
                path.unlink()
        for unit in (SERVICE, OBSERVER):
            subprocess.run(["systemctl", "start", unit], capture_output=True, check=False)
        return SERVICE, STORE
    shutil.rmtree(WORK, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    (WORK / "conf").write_text({"rsyslog": RSYSLOG, "syslog_ng": SYSLOG_NG}.get(collector, ""))
    run("systemd-run", f"--unit={UNIT}", f"--working-directory={OUTPUT}", "/bin/sh", "-c", PACKAGE[collector])
    for _attempt in range(20):
        if run("ss", "-Hlun", "sport", "=", f":{PORT}"):
            break
        time.sleep(0.5)
    time.sleep(1.0)
    return UNIT, OUTPUT


def ended(unit: str) -> str:
    """How a unit has ended since its start, or that it was started again; empty when it still is what was started."""
    if show("ActiveState", unit) == "active" and show("NRestarts", unit) == "0":
        return ""
    names = ("ActiveState", "Result", "ExecMainStatus", "NRestarts")
    return ", ".join(f"{name}={show(name, unit)}" for name in names)


class Meter:
    """Processor time and memory of a unit's processes. A unit that ends takes its control group with it: what was seen
    last counts, and what its successor uses comes on top."""

    def __init__(self, unit: str) -> None:
        self._cgroup = Path("/sys/fs/cgroup" + show("ControlGroup", "system.slice"), unit)
        self._ended = threading.Event()
        self.peak = 0
        """Most resident memory at once, KiB."""
        self.used = 0
        """Microseconds of processor time since the start."""
        self._last = 0
        self._look()
        self.used = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        with suppress(OSError):
            now = int(re.findall(r"usage_usec (\d+)", (self._cgroup / "cpu.stat").read_text())[0])
            self.used += now - self._last if now >= self._last else now
            self._last = now
        resident = 0
        with suppress(OSError):
            for pid in (self._cgroup / "cgroup.procs").read_text().split():
                with suppress(OSError):  # it has ended meanwhile
                    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
                    resident += int(found.group(1)) if found else 0
        self.peak = max(self.peak, resident)

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            self._look()

    def end(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join()
        self._look()


def files(store: Path) -> list[Path]:
    """Where a store has its messages: of the receiver's, which has each twice, the JSON files."""
    return [path for path in store.rglob("*" if store == OUTPUT else "*.jsonl") if path.is_file()]


class Kept(NamedTuple):
    """What is in a store."""

    messages: int
    """How many different ones."""
    long: int
    """How many of them were sent in two fragments: load.py's mix "mixed"."""
    joined: int
    """How many of those are there from their first byte to their user data."""


def kept(store: Path, run_name: str) -> Kept:
    """What a store has of a run, whatever its files look like."""
    mark = re.compile(rb"load %s (\d+ \d+) end" % run_name.encode())
    found: set[bytes] = set()
    joined: set[bytes] = set()
    for path in files(store):
        with path.open("rb") as file:
            for line in file:
                numbers = mark.findall(line)
                found.update(numbers)
                if b"x" * 1100 in line and b"rack" in line:
                    joined.update(numbers[:1])
    long = sum(sum(map(int, numbers.split())) % 10 == LONG for numbers in found)
    return Kept(len(found), long, len(joined))


def count_lines(store: Path) -> int:
    """How many lines there are in a store, without those of nudge()."""
    lines = 0
    for path in files(store):
        with path.open("rb") as file:
            lines += sum(NUDGE not in line for line in file)
    return lines


def nudge(senders: list[tuple[bytes, int]]) -> None:
    """Send a message every quarter of a second for three seconds, from each of these addresses, as number, number + 1
    and so on. What netconsd keeps back because a message is missing before it comes out at the next datagram, whoever
    sends that; but each of its workers has senders of its own. Its logger ends when a further sender is one too many,
    so these have to be some that it knows."""
    for turn in range(12):
        for address, number in senders:
            family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                if family == socket.AF_INET6:  # its addresses are a route, which is enough for IPv4
                    sender.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
                sender.bind((socket.inet_ntop(family, address), 0))
                clock = kernel_clock(number) + turn * 250000
                datagram = b"4,%d,%d,-;%s\n" % (number + turn, clock, NUDGE)
                sender.sendto(datagram, ("127.0.0.1" if family == socket.AF_INET else "::1", int(PORT)))
        time.sleep(0.25)


def settle(store: Path, meter: Meter) -> bool:
    """Wait until for four seconds the store has not grown and the collector has done nothing. Whether that came."""
    size, used, quiet = -1, 0, 0
    for _second in range(PATIENCE):
        size_before, used_before = size, used
        size, used = sum(path.stat().st_size for path in files(store)), meter.used
        quiet = quiet + 1 if size == size_before and used - used_before < IDLE else 0
        if quiet == 4:
            return True
        time.sleep(1.0)
    return False


class Measurement:
    """What one workload makes of a fresh start of the collector. A store of zero messages of a collector that never
    listened is no result: the row says so."""

    def __init__(self, kind: str, collector: str, workload: str) -> None:
        self._unit, self.store = start(kind, collector)
        self._names = {"collector": collector, "settings": kind, "workload": workload}
        listens = not ended(self._unit) and run("ss", "-Hlun", "sport", "=", f":{PORT}") != ""
        self._start = "" if listens else f"did not start: {ended(self._unit)}"
        self._meter, self._observer, self._before = Meter(self._unit), Meter(OBSERVER), udp()

    def row(self, sent: Row, senders: list[tuple[bytes, int]]) -> Row:
        """Wait until everything is stored; nudge() gets the senders. All that was measured but for what was kept."""
        settled = settle(self.store, self._meter)
        counts = Udp(*(after - before for after, before in zip(udp(), self._before, strict=True)))
        nudge(senders)
        settled = settle(self.store, self._meter) and settled
        self._meter.end()
        self._observer.end()
        end = self._start or ended(self._unit)
        if not end:  # a collector that asks DNS, where there is none, has no socket behind its questions
            counts = counts._replace(nobody=0)
        return {
            **self._names,
            "sent": sent.get("messages", sum(counts)),
            "datagrams": sent.get("datagrams", sum(counts)),
            "rate": sent["rate"],
            "taken": counts.taken,
            "dropped": counts.full,
            "nobody": counts.nobody,
            "settled": settled,
            "ended": end,
            "peak_mib": round(self._meter.peak / 1024, 1),
        }

    def per_message(self, messages: int) -> Row:
        """Messages kept, and the processor time for each: the collector's, and the observer's until then."""
        times = {"cpu_us": self._meter.used, "observer_us": self._observer.used}
        return {"kept": messages, **{name: round(used / max(messages, 1), 1) for name, used in times.items()}}


def some_senders(workload: Workload, messages: int) -> list[tuple[bytes, int]]:
    """Addresses of a workload's first senders, and the number that none of their messages has had."""
    families = [int(digit) for digit in workload.families]
    return [
        (source_of(source, families[source % len(families)]), -(-messages // workload.sources))
        for source in range(min(NUDGED, workload.sources))
    ]


def measure(kind: str, collector: str, name: str, workload: Workload, scale: int) -> Row:
    """A workload of load.py."""
    measurement = Measurement(kind, collector, name)
    run_name = f"bench{time.time_ns()}"
    messages = max(workload.messages // scale, workload.sources)
    words = ["--messages", str(messages), "--sources", str(workload.sources), "--families", workload.families]
    words += ["--rate", str(workload.rate), "--mix", workload.mix]
    sent = json.loads(run(sys.executable, LOAD, "send", run_name, *words))
    row = measurement.row(sent, some_senders(workload, messages))
    found = kept(measurement.store, run_name)
    row |= measurement.per_message(found.messages)
    return {**row, "long": found.long, "joined": found.joined} if workload.mix == "mixed" else row


def blast(kind: str, collector: str, scale: int) -> Row:
    """netconsblaster of Debian's package netconsd: as fast as it can for ten seconds, from one network of IPv6. Its
    messages have no numbers: what is kept is counted in lines, and what was sent is what the kernel saw."""
    measurement = Measurement(kind, collector, BLASTER)
    before = udp()
    # 512 addresses: netconsd's logger ends beyond 1,024 files.
    words = [BLASTER, "-o", "9", "-s", "2001:2::", "-p", PORT]
    seconds = max(10.0 / scale, 1.0)
    blaster = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    if blaster.poll() is not None:
        raise SystemExit(f"{' '.join(words)} ended with status {blaster.returncode}")
    blaster.kill()
    blaster.wait()
    rate = sum(after - earlier for after, earlier in zip(udp(), before, strict=True)) / seconds
    row = measurement.row({"rate": round(rate)}, [(source_of(number, 6), 1) for number in range(NUDGED)])
    return {**row, **measurement.per_message(count_lines(measurement.store))}


def main() -> None:
    """See above."""
    kind, collector, scale = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with ROWS.open("a", encoding="utf-8") as file:

        def keep(row: Row) -> None:
            print(json.dumps(row), file=file, flush=True)

        limit = Path("/proc/sys/net/core/rmem_max")
        if limit.exists():  # older kernels show it to the host's own network namespace only
            keep({"receive_buffer": int(limit.read_text())})
        for name, workload in WORKLOADS.items():
            keep(measure(kind, collector, name, workload, scale))
        keep(blast(kind, collector, scale))
    for unit in (UNIT, SERVICE, OBSERVER):
        subprocess.run(["systemctl", "stop", unit], capture_output=True, check=False)


if __name__ == "__main__":
    main()
