# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the receiver has to hold under load, with counts: each subject sends, disturbs and compares.

    hold.py SUBJECT STORE

prints one JSON object: what was sent, what the collector took (the kernel counts the datagrams that a process has read:
Udp InDatagrams), what was dropped before it, what is stored, and "wrong", a list of words that is empty when all is
well. Runs on the receiver, as root, with load.py beside it. Nobody else may use UDP on the host: a container.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

SERVICE = "netconsole-receiver.service"
METRICS = "http://127.0.0.1:9666/metrics"
LOAD = str(Path(__file__).with_name("load.py"))
MEMORY = 100000 + 2 * 1024 + 2 * 128
"""Messages that rsyslog holds at most: its queue, two batches from it, and one for each socket."""
HANDED_OVER = 2 * 1024
"""Messages that rsyslog's two inputs have read and not given to the queue yet, at most (CONF_NUM_MULTISUB)."""
BATCH = 128
"""Messages that rsyslog takes at once from a queue on disk (queue.dequeueBatchSize)."""
CHECKPOINT = 1024
"""Messages that rsyslog puts between two indexes into the files of a queue in memory (queue.checkpointInterval), and
takes at once from there. After a kill it may take them again."""
ROTATE = 14
"""How often a file is rotated until it is removed (netconsole_receiver_rotate_days)."""
FILLER = "filler"
SENDERS = Path("/etc/netconsole-receiver/senders.json")
QUEUES = Path("/var/lib/netconsole-receiver")
BUFFER = 1 << 20
"""A file of a queue of syslog-ng that is larger has messages: empty ones have less."""

Counts = dict[str, Any]


def run(*words: str) -> str:
    """What a program prints; its failure ends this one."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def show(name: str, unit: str = SERVICE) -> str:
    return run("systemctl", "show", f"--property={name}", "--value", unit)


def collector() -> str:
    """Which one runs: it is in the unit's description."""
    return show("Description").partition("(")[2].rstrip(")")


def slower() -> int:
    """By how much a load has to be smaller for this collector: socat starts two programs for each datagram."""
    return 20 if collector() == "socat" else 1


def queues() -> bool:
    """Whether it has a queue in memory of limited size, and goes on on disk."""
    return collector() in ("rsyslog", "syslog_ng")


class Udp(NamedTuple):
    """Datagrams of this host, as the kernel counts them."""

    taken: int
    """Those that processes have read."""
    full: int
    """Those for which a socket's buffer had no room."""
    nobody: int
    """Those for which there was no socket."""


def udp() -> Udp:
    """How many there were so far."""
    names, values = (line.split()[1:] for line in Path("/proc/net/snmp").read_text().splitlines() if line[:4] == "Udp:")
    four = dict(zip(names, map(int, values), strict=True))
    six = {line.split()[0]: int(line.split()[1]) for line in Path("/proc/net/snmp6").read_text().splitlines()}
    names_of = ("InDatagrams", "RcvbufErrors", "NoPorts")
    return Udp(*(four[name] + six[f"Udp6{name}"] for name in names_of))


def unread() -> int:
    """How many bytes wait in the buffers of this host's UDP sockets (rx_queue, proc_net(5))."""
    files = (Path("/proc/net", name).read_text().splitlines()[1:] for name in ("udp", "udp6"))
    return sum(int(line.split()[4].partition(":")[2], 16) for lines in files for line in lines)


class Observed(NamedTuple):
    """What the observer has counted, of all senders."""

    messages: int
    missing: int
    """By their sequence numbers."""


def observes() -> bool:
    """Whether there has to be one: netcat does not tell senders apart."""
    return collector() != "netcat"


def observer() -> Observed:
    """Its figures, zeros without one."""
    if not observes():
        return Observed(0, 0)
    with urllib.request.urlopen(METRICS, timeout=60) as answer:
        figures = answer.read().decode()
    names = ("netconsole_sender_messages_total", "netconsole_sender_sequence_missing_total")
    return Observed(*(sum(map(int, map(float, re.findall(rf"^{name}\{{.* (\S+)$", figures, re.M)))) for name in names))


def observer_at_rest() -> Observed:
    """Its figures once it has read what was there before. After a change of the store it reads the whole of it."""
    figures, before = observer(), None
    while figures != before:
        time.sleep(3.0)
        figures, before = observer(), figures
    return figures


class Load:
    """A paced load, and what became of it. One message of each sender goes before it and one after it, so that every
    gap in its numbers has a beginning and an end."""

    def __init__(self, store: str, *, messages: int, rate: int, sources: int, patience: float = 10.0) -> None:
        self.store, self.run_name = store, f"run{time.time_ns()}"
        self._patience = patience  # seconds without anything new, after which nothing more is to come
        self._sources, self._each = sources, messages // sources
        self._observed = observer_at_rest()
        self._before = udp()
        self._start(sources, 2000, 0).communicate()
        self._settle(sources)
        self._process = self._start(messages, rate, 1)

    def _start(self, messages: int, rate: int, first: int) -> subprocess.Popen[str]:
        words = [sys.executable, LOAD, "send", self.run_name, "--messages", str(messages), "--rate", str(rate)]
        words += ["--sources", str(self._sources), "--families", "46", "--first", str(first)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def stored_in(self, path: Path) -> bool:
        """Whether a file, which may be rotated, has messages of this load."""
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            return f"load {self.run_name} ".encode() in file.read()

    def stored(self) -> int:
        """How many messages of this load are stored by now."""
        stored: Counts = json.loads(run(sys.executable, LOAD, "count", self.run_name, self.store))
        return int(stored["stored"])

    def taken(self) -> int:
        """How many datagrams were taken by now."""
        return udp().taken - self._before.taken

    def counts(self) -> Counts:
        """Wait for the end of the load, and until the store has all that was taken, or has not grown for a while."""
        sent: Counts = json.loads(self._process.communicate()[0])
        until = time.monotonic() + 300
        while show("ActiveState") != "active" or unread():  # the last message of each sender must find room
            if time.monotonic() > until:
                raise SystemExit(f"{SERVICE} is {show('ActiveState')}, and {unread()} bytes wait in buffers")
            time.sleep(0.5)
        self._start(self._sources, 2000, self._each + 1).communicate()
        taken, dropped, stored = self._settle()
        total = sent["messages"] + 2 * self._sources
        return {"sent": total, "rate": sent["rate"], "taken": taken, "dropped": dropped, **stored}

    def observed(self) -> Counts:
        """The same, and how many messages of this load the observer misses, once it has read as far as that."""
        counts = self.counts()
        if not observes():
            return counts
        until = time.monotonic() + 60
        while True:
            read, found = (after - before for after, before in zip(observer(), self._observed, strict=True))
            if (read >= counts["stored"] and found == counts["gaps"]) or time.monotonic() > until:
                return {**counts, "read": read, "missing": found}
            time.sleep(1.0)

    def _settle(self, wanted: int | None = None) -> tuple[int, int, Counts]:
        """Taken, dropped and stored, once nothing more is to come."""
        grown, until = -1, time.monotonic()
        while True:
            stored: Counts = json.loads(run(sys.executable, LOAD, "count", self.run_name, self.store))
            taken, full, nobody = (after - before for after, before in zip(udp(), self._before, strict=True))
            if stored["stored"] != grown:
                grown, until = stored["stored"], time.monotonic() + self._patience
            if grown >= (taken if wanted is None else wanted) or time.monotonic() > until:
                return taken, full + nobody, stored
            time.sleep(0.5)


def compare(counts: Counts, **rules: bool) -> Counts:
    """The counts, with the names of the rules that do not hold."""
    rules = {"every_line_is_json": counts["broken"] == 0, "nothing_twice": counts["twice"] == 0, **rules}
    return {**counts, "wrong": [name for name, holds in rules.items() if not holds]}


def while_running(load: Load, every: float, action: Callable[[], object]) -> int:
    """Do something again and again as long as the load runs. How often that was."""
    times = 0
    while load.running:
        time.sleep(every)
        if load.running:
            action()
            times += 1
    return times


def rotation(store: str) -> Counts:
    """Rotation, and senders that come into the table of names and leave it, under load: all that was sent is stored."""
    return _rotation(store, rate=4000, every=1.0, patience=10.0)


def rotation_slow(store: str) -> Counts:
    """The same in a minute: rsyslog waits seconds for a Kafka that is away before it loads names again, and may store
    nothing meanwhile."""
    return _rotation(store, rate=700, every=4.0, patience=60.0)


def _rotation(store: str, *, rate: int, every: float, patience: float) -> Counts:
    path, before, named = _names()
    tables = itertools.cycle([named, before])
    load = Load(store, messages=40000 // slower(), rate=rate // slower(), sources=200, patience=patience)

    def disturb() -> None:
        run("logrotate", "--force", "/etc/logrotate.d/netconsole-receiver")
        path.write_text(next(tables), encoding="utf-8")
        run("systemctl", "reload", SERVICE)

    try:
        times = while_running(load, every, disturb)
    finally:
        path.write_text(before, encoding="utf-8")
        run("systemctl", "reload", SERVICE)
    ended = time.monotonic()
    counts = {**load.counts(), "times": times, "by_name": 0, "by_address": 0}
    counts["seconds_behind"] = round(time.monotonic() - ended, 1)
    for file in Path(store).rglob("*.jsonl*"):
        if load.stored_in(file):
            counts["by_name" if file.name.startswith("named") else "by_address"] += 1
    return compare(
        counts,
        disturbed=times >= 2,
        nothing_is_old=times < ROTATE,
        names_came_and_went=collector() == "netcat" or (counts["by_name"] > 0 and counts["by_address"] > 0),
        all_was_taken=counts["taken"] == counts["sent"],
        all_is_stored=counts["stored"] == counts["taken"],
    )


def _names() -> tuple[Path, str, str]:
    """The collector's table of names: the file, what is in it, and the same with 99 of the load's senders."""
    names = {f"198.18.0.{number}": f"named{number}" for number in range(1, 100)}
    path = SENDERS.with_suffix(".csv")  # syslog-ng's
    if path.exists():
        before = path.read_text(encoding="utf-8")
        return path, before, before + "".join(f"{address},nc_host,{name}\n" for address, name in names.items())
    before = SENDERS.read_text(encoding="utf-8")
    table = [{"index": address, "value": name} for address, name in names.items()]
    return SENDERS, before, json.dumps({**json.loads(before), "table": table})


def restart(store: str) -> Counts:
    """Restarts under load: all that the collector took is stored, and the gaps in the sequences tell the rest."""
    load = Load(store, messages=20000 // slower(), rate=4000 // slower(), sources=200)
    times = while_running(load, 1.0, lambda: run("systemctl", "restart", SERVICE))
    counts = {**load.observed(), "times": times}
    return compare(
        counts,
        disturbed=times >= 1,
        what_was_taken_is_stored=counts["stored"] == counts["taken"],
        **_counted(counts),
    )


def restart_busy(store: str) -> Counts:
    """One restart while messages come faster than they are stored: what waits in the queue is stored in the end. The
    service stands still before it, so that what waits can be counted. syslog-ng may lose the one message that it was
    writing: with a full pipe it takes that for written."""
    load = Load(store, messages=300000, rate=100000, sources=1000)
    time.sleep(2.0)
    stand_still()
    waiting = load.taken() - load.stored()
    run("systemctl", "kill", "--signal=CONT", SERVICE)
    run("systemctl", "restart", SERVICE)
    counts = {**load.observed(), "waiting": waiting}
    return compare(
        counts,
        messages_waited=waiting > 1000,
        what_was_taken_is_stored=0 <= counts["taken"] - counts["stored"] <= (1 if collector() == "syslog_ng" else 0),
        **_counted(counts),
    )


def _counted(counts: Counts) -> dict[str, bool]:
    """What is not stored is told by the gaps in the senders' numbers, and an observer says the same."""
    rules = {"loss_can_be_counted": counts["gaps"] == counts["sent"] - counts["stored"]}
    if observes():
        rules["observer_has_read_all"] = counts["read"] >= counts["stored"]
        rules["observer_counts_it"] = counts["missing"] == counts["gaps"]
    return rules


def kill(store: str) -> Counts:
    """kill -9 under load: the loss is what was in memory, it can be counted, and no file is torn or shortened."""
    counts = _kill(store, messages=300000, after=random.uniform(7.5, 9.5))
    rules = {}
    if queues():  # netconsd's has no limit, the others have none
        rules["more_was_taken_than_memory_holds"] = counts["taken_before"] > MEMORY
        rules["only_memory_is_lost"] = 0 <= counts["lost"] <= MEMORY
    return compare(
        counts,
        **rules,
        nothing_twice=counts["twice"] <= 2 * CHECKPOINT,  # but what did not fit into memory
        what_was_stored_is_not_lost=counts["lost"] <= counts["taken_before"] - counts["stored_before"],
        **_harmless(counts),
    )


def kill_disk(store: str) -> Counts:
    """The same with the queue on disk: what was taken is stored or in the queue, but for what the inputs hand over."""
    counts = _kill(store, messages=60000, after=random.uniform(0.5, 2.0))
    return compare(
        counts,
        nothing_twice=counts["twice"] <= BATCH,  # but what was on its way from the queue to the store
        more_was_taken_than_is_handed_over=counts["taken_before"] > HANDED_OVER,
        only_what_was_handed_over_is_lost=0 <= counts["lost"] <= HANDED_OVER,
        **_harmless(counts),
    )


def _kill(store: str, *, messages: int, after: float) -> Counts:
    """20,000 messages a second, and some seconds later a kill. The service stands still before it, so that what it has
    taken and stored at that moment can be counted."""
    sizes = {path: path.stat().st_size for path in Path(store).rglob("*.jsonl")}
    load = Load(store, messages=messages // slower(), rate=20000 // slower(), sources=200)
    time.sleep(after)
    pid, restarts = int(show("MainPID")), int(show("NRestarts"))
    stand_still()
    before = {"after": round(after, 2), "taken_before": load.taken(), "stored_before": load.stored()}
    if queues():
        os.kill(pid, signal.SIGKILL)
    else:  # more than one program: what lives on would take some more
        run("systemctl", "kill", "--signal=KILL", SERVICE)
    counts = {**load.observed(), **before}
    counts["lost"] = counts["taken"] - counts["stored"]
    counts["restarts"] = int(show("NRestarts")) - restarts
    counts["shorter"] = sum(path.stat().st_size < size for path, size in sizes.items() if path.exists())
    counts["not_json"] = sum(not _is_json(line) for path in Path(store).rglob("*.jsonl") for line in path.open("rb"))
    return counts


def stand_still() -> None:
    """Stop all processes of the service: threads on other processors go on until they look for signals."""
    run("systemctl", "kill", "--signal=STOP", SERVICE)
    pids = Path(f"/sys/fs/cgroup{show('ControlGroup')}/cgroup.procs").read_text().split()
    for thread in (thread for pid in pids for thread in Path(f"/proc/{pid}/task").iterdir()):
        while (thread / "stat").read_text().rpartition(")")[2].split()[0] != "T":  # proc_pid_stat(5)
            time.sleep(0.001)


def _harmless(counts: Counts) -> dict[str, bool]:
    """What holds after every kill."""
    return {
        "killed": counts["restarts"] >= 1,
        "load_was_20000_a_second": counts["rate"] >= 18000 // slower(),
        **_counted(counts),
        "no_file_is_shorter": counts["shorter"] == 0,
        "store_is_json": counts["not_json"] == 0,
    }


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def full(store: str) -> Counts:
    """A full disk: the service stays, says so, and stores everything once there is room."""
    counts = _full(store, left=(1 << 20) // slower())
    rules = {"queue_went_to_disk": counts["spooled"] > 0} if queues() else {}
    return compare(
        counts,
        **rules,
        **_steadfast(counts),
        all_is_stored=counts["stored"] == counts["taken"],
    )


def full_shared(store: str) -> Counts:
    """The same disk has the queue, and is full to its last byte: what memory has room for is stored in the end."""
    counts = _full(store, left=0)
    return compare(
        counts,
        **_steadfast(counts),
        queue_stayed_in_memory=counts["spooled"] == 0,
        all_is_stored=counts["stored"] == counts["taken"],
    )


def _full(store: str, *, left: int) -> Counts:
    """Fill the store's file system but for some bytes, send, and make room again."""
    filler = Path(store).with_name(FILLER)
    status = os.statvfs(store)
    since = f"@{int(time.time())}"
    filler.write_bytes(b"x" * max(0, status.f_bavail * status.f_frsize - left))
    pid = show("MainPID")
    load = Load(store, messages=8000 // slower(), rate=2000 // slower(), sources=10)
    while load.running:
        time.sleep(0.5)
    time.sleep(2.0)
    during: Counts = json.loads(run(sys.executable, LOAD, "count", load.run_name, store))
    journal = run("journalctl", "--unit", SERVICE, "--since", since, "--output", "cat", "--no-pager")
    spooled = len(list(QUEUES.glob("netconsole.0*")))
    spooled += sum(file.stat().st_size > BUFFER for file in QUEUES.glob("*.qf"))
    filler.unlink()
    counts = load.counts()
    counts["stored_while_full"], counts["broken_while_full"] = during["stored"], during["broken"]
    counts["said"] = len(re.findall("messages wait", journal))
    return {**counts, "spooled": spooled, "stayed": show("MainPID") == pid}


def _steadfast(counts: Counts) -> dict[str, bool]:
    """What holds whenever a disk was full."""
    return {
        "said_so": counts["said"] >= 1,
        "service_stayed": counts["stayed"],
        "no_half_line": counts["broken_while_full"] == 0,
        "was_full": counts["stored_while_full"] <= counts["sent"] // 2,
        "all_was_taken": counts["taken"] == counts["sent"],
    }


def many(store: str) -> Counts:
    """10,000 senders with 1,024 open files."""
    load = Load(store, messages=20000, rate=2000, sources=10000)
    most = 0
    pid = show("MainPID")
    while load.running:
        most = max(most, len(os.listdir(f"/proc/{pid}/fd")))
        time.sleep(0.2)
    limit = Path(f"/proc/{pid}/limits").read_text()
    counts = {**load.counts(), "open_files": most, "limit": int(re.findall(r"Max open files\s+(\d+)", limit)[0])}
    return compare(
        counts,
        limited=counts["limit"] == 1024,
        every_sender_has_a_file=counts["sources"] == 10000,
        all_was_taken=counts["taken"] == counts["sent"],
        all_is_stored=counts["stored"] == counts["taken"],
    )


CENTRAL = """
module(load="imtcp") module(load="imrelp")
template(name="line" type="string" string="%rawmsg%\\n")
ruleset(name="tcp") {{ action(type="omfile" file="{0}/tcp" template="line") }}
ruleset(name="relp") {{ action(type="omfile" file="{0}/relp" template="line") }}
input(type="imtcp" address="127.0.0.1" port="5514" ruleset="tcp")
input(type="imrelp" address="127.0.0.1" port="2514" ruleset="relp")
"""
AWAY = Path("/root/central")


FAR_SIDES = {
    "lab-central": f"/usr/sbin/rsyslogd -n -iNONE -f {AWAY}/conf",
    "lab-redis": f"/usr/bin/redis-server --bind 127.0.0.1 --dir {AWAY} --appendonly yes --appendfsync always",
}
"""A central syslog (TCP on 5514, RELP on 2514) and a Redis that writes before it answers."""
FAR_SOCAT = {"lab-central": f"/usr/bin/socat -u TCP-LISTEN:5514,reuseaddr,fork OPEN:{AWAY}/tcp,creat,append"}
"""A far side for TCP where rsyslog cannot be: beside Debian's syslog-ng."""


def central(start: bool, far_sides: dict[str, str]) -> None:
    """Start or kill far sides."""
    AWAY.mkdir(exist_ok=True)
    (AWAY / "conf").write_text(CENTRAL.format(AWAY))
    for unit, command in far_sides.items():
        if start:
            run("systemd-run", "--collect", f"--unit={unit}", *command.split())
        else:
            run("systemctl", "kill", "--signal=KILL", unit)


def arrived(path: Path, run_name: str) -> int:
    """How many different messages of a run are in a file."""
    found = re.findall(rf"load {run_name} \d+ \d+ end", path.read_text()) if path.exists() else []
    return len(set(found))


def away(store: str) -> Counts:
    """Outputs whose far side goes away for a minute: RELP, Redis, journal and program get all that is stored, TCP all
    but what was on its way when the connection ended."""
    return _away(store, seconds=60, restarted=False)


def away_restarted(store: str) -> Counts:
    """The same with a restart of the receiver meanwhile. rsyslog drops the batch that an output was sending when its
    far side went (ONE_BATCH); what was behind it in the queue arrives."""
    return _away(store, seconds=30, restarted=True)


RATE = 500
"""Messages in a second of what is sent while a far side is away."""
SECONDS_OF_A_RESTART = 6
"""In which nobody listens: rsyslog waits a second for each output that is away."""
ONE_BATCH = 128
"""queue.dequeueBatchSize of an action's queue in rsyslog."""


def _away(store: str, *, seconds: int, restarted: bool) -> Counts:
    central(True, FAR_SIDES)
    time.sleep(2.0)
    load = Load(store, messages=(seconds + 6) * RATE, rate=RATE, sources=20)
    time.sleep(2.0)
    central(False, FAR_SIDES)
    time.sleep(seconds / 2)
    spooled = {name: len(list(QUEUES.glob(f"output-{name}.0*"))) for name in ("tcp", "relp", "redis")}
    if restarted:
        run("systemctl", "restart", SERVICE)
    time.sleep(seconds / 2)
    central(True, FAR_SIDES)
    counts = {**load.observed(), "spooled": spooled}
    journal = ["journalctl", "SYSLOG_IDENTIFIER=netconsole", "NETCONSOLE_FORMAT=extended", "--output=cat", "--no-pager"]
    before: Counts = {}
    for _attempt in range(60):
        (AWAY / "journal").write_text(run(*journal))
        (AWAY / "redis").write_text(run("redis-cli", "XRANGE", "netconsole", "-", "+"))
        arrivals = {name: arrived(AWAY / name, load.run_name) for name in ("tcp", "relp", "redis", "journal")}
        arrivals["program"] = arrived(Path(store) / "outputs" / "program", load.run_name)
        if arrivals == before and min(arrivals.values()) > counts["stored"] - 1000:
            break
        before = arrivals
        time.sleep(4.0)
    central(False, FAR_SIDES)
    counts |= arrivals
    in_flight = ONE_BATCH if restarted else 0
    return compare(
        counts,
        what_was_taken_is_stored=counts["stored"] == counts["taken"],
        most_was_taken=counts["sent"] - counts["taken"] <= (SECONDS_OF_A_RESTART * RATE if restarted else 0),
        **_counted(counts),
        queues_went_to_disk=all(spooled.values()),
        relp_has_all=counts["stored"] - in_flight <= counts["relp"] <= counts["stored"],
        redis_has_all=counts["stored"] - in_flight <= counts["redis"] <= counts["stored"],
        journal_has_all=counts["journal"] == counts["stored"],
        program_has_all=counts["program"] == counts["stored"],
        tcp_lost_what_was_on_its_way=counts["stored"] - counts["tcp"] <= 1000,
    )


def away_syslog_ng(store: str) -> Counts:
    """Outputs of syslog-ng, whose far side goes away for half a minute, with a restart of the receiver meanwhile: the
    program gets all that is stored, TCP all but what was on its way when the connection ended."""
    central(True, FAR_SOCAT)
    load = Load(store, messages=36 * RATE, rate=RATE, sources=20)
    time.sleep(2.0)
    central(False, FAR_SOCAT)
    time.sleep(25.0)
    buffers = [path.stat().st_size for path in QUEUES.glob("*.qf")]
    run("systemctl", "restart", SERVICE)
    time.sleep(5.0)
    central(True, FAR_SOCAT)
    counts = {**load.observed(), "buffers": buffers}
    for _attempt in range(30):
        counts["tcp"] = arrived(AWAY / "tcp", load.run_name)
        counts["program"] = arrived(Path(store) / "outputs" / "program", load.run_name)
        if min(counts["tcp"], counts["program"]) == counts["stored"]:
            break
        time.sleep(2.0)
    central(False, FAR_SOCAT)
    return compare(
        counts,
        what_was_taken_is_stored=counts["stored"] == counts["taken"],
        most_was_taken=counts["sent"] - counts["taken"] <= SECONDS_OF_A_RESTART * RATE,
        **_counted(counts),
        program_has_all=counts["program"] == counts["stored"],
        tcp_lost_what_was_on_its_way=counts["stored"] - counts["tcp"] <= 1000,
    )


KAFKA = AWAY / "kafka"
KAFKA_SAYS = AWAY / "kafka.notes"
SEARCH = AWAY / "search"
REFUSED = QUEUES / "output-finder.errors"


def platform_starts(_store: str) -> Counts:
    """Start a Kafka, which is librdkafka's mock cluster within the consumer that writes what it gets to a file, and a
    stand-in for Elasticsearch (search.py): their addresses."""
    AWAY.mkdir(exist_ok=True)
    KAFKA_SAYS.write_text("")
    for path in REFUSED.parent.glob(f"{REFUSED.name}*"):  # of an earlier run
        path.unlink()
    redirected = [f"--property=StandardOutput=append:{KAFKA}", f"--property=StandardError=file:{KAFKA_SAYS}"]
    settings = ["-X", "test.mock.num.brokers=1", "-X", "allow.auto.create.topics=true"]
    consumer = ["kcat", *settings, "-b", "mock", "-C", "-t", "netconsole", "-u"]
    run("systemd-run", "--collect", "--unit=lab-kafka", *redirected, *consumer)
    _start_search()
    for _attempt in range(60):
        found = re.findall(r"127\.0\.0\.1:\d+", KAFKA_SAYS.read_text(encoding="utf-8"))
        if found:
            return {"broker": found[0], "url": "http://127.0.0.1:9200"}
        time.sleep(0.5)
    raise SystemExit(f"no mock cluster: {KAFKA_SAYS.read_text(encoding='utf-8')}")


def _start_search() -> None:
    program = str(Path(__file__).with_name("search.py"))
    command = [sys.executable, program, "9200", str(SEARCH)]
    run("systemd-run", "--collect", "--unit=lab-search", *command)


def platform(store: str) -> Counts:
    """Outputs to a Kafka and to an Elasticsearch that go away for half a minute, with a rotation and a reload of names
    meanwhile: both get all that is stored. What Elasticsearch refuses lies in a file, which is rotated, too."""
    _send_refused(1)
    (broker,) = set(re.findall(r"127\.0\.0\.1:\d+", KAFKA_SAYS.read_text(encoding="utf-8")))
    rate = RATE // 2  # what comes at once afterwards has to fit into the mock cluster, which keeps 5 MB
    load = Load(store, messages=40 * rate, rate=rate, sources=20)
    time.sleep(2.0)
    run("nft", "add table inet lab_away")
    run("nft", "add chain inet lab_away out { type filter hook output priority 0; }")
    for_rsyslog = f"meta skuid netconsole-receiver tcp dport {broker.rpartition(':')[2]}"  # kcat reads on meanwhile
    run("nft", f"add rule inet lab_away out {for_rsyslog} reject with tcp reset")
    run("systemctl", "kill", "--signal=KILL", "lab-search")
    time.sleep(15.0)
    run("logrotate", "--force", "/etc/logrotate.d/netconsole-receiver")
    run("systemctl", "reload", SERVICE)
    time.sleep(15.0)
    run("nft", "delete table inet lab_away")
    _start_search()
    counts = load.counts()
    _send_refused(2)
    for _attempt in range(40):
        arrivals = {"kafka": arrived(KAFKA, load.run_name), "search": arrived(SEARCH, load.run_name)}
        counts["refused"] = [_refused(REFUSED.with_suffix(".errors.1")), _refused(REFUSED)]
        if min(arrivals.values()) >= counts["stored"] and counts["refused"] == [[1], [2]]:
            break
        time.sleep(4.0)
    counts |= arrivals
    counts["kafka_says"] = KAFKA_SAYS.read_text(encoding="utf-8")[-2000:]
    return compare(
        counts,
        all_was_taken=counts["taken"] == counts["sent"],
        all_is_stored=counts["stored"] == counts["taken"],
        kafka_has_all=counts["kafka"] == counts["stored"],
        search_has_all=counts["search"] == counts["stored"],
        refused_ones_are_kept=counts["refused"] == [[1], [2]],
    )


def _send_refused(number: int) -> None:
    """Send a message that the stand-in refuses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(f"4,{number},1000000,-;lab refuse {number}\n".encode(), ("127.0.0.1", 6666))


def _refused(path: Path) -> list[int]:
    """Which of those are in a file."""
    return sorted({int(number) for number in re.findall(r"lab refuse (\d)", path.read_text())}) if path.exists() else []


SUBJECTS: dict[str, Callable[[str], Counts]] = {
    function.__name__: function
    for function in (
        rotation,
        rotation_slow,
        restart,
        restart_busy,
        kill,
        kill_disk,
        full,
        full_shared,
        many,
        away,
        away_restarted,
        away_syslog_ng,
        platform_starts,
        platform,
    )
}

if __name__ == "__main__":
    print(json.dumps(SUBJECTS[sys.argv[1]](sys.argv[2])))
