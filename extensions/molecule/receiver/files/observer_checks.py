# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the observer makes of real datagrams that a real collector has stored: its figures over HTTP, its crash records.

Runs on the receiver, as root. Each check sends from an address of its own, so that its figures begin with nothing.
"""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

STORE = Path("/var/log/netconsole")
PORT, METRICS = 6666, "http://127.0.0.1:9666/metrics"
UNIT = "netconsole-observer.service"
SAMPLE = re.compile(r'(?P<name>\w+)\{host="(?P<host>[^"]*)"(?:,\w+="(?P<label>\w+)")?\} (?P<value>\S+)')

OOPS = (
    "BUG: kernel NULL pointer dereference, address: 0000000000000000",
    "#PF: supervisor write access in kernel mode",
    "Oops: 0002 [#1] PREEMPT SMP NOPTI",
    "CPU: 0 PID: 1 Comm: sh Tainted: G  W",
    "RIP: 0010:sysrq_handle_crash+0x16/0x20",
    "---[ end trace 0000000000000000 ]---",
)
PANIC = (
    "Kernel panic - not syncing: Fatal exception",
    "Kernel Offset: disabled",
    "---[ end Kernel panic - not syncing: Fatal exception ]---",
)

Figures = dict[tuple[str, str], float]


class Sender:
    """A kernel that sends in the extended format, from one address of this host."""

    def __init__(self, address: str) -> None:
        self.address, self.host = address, f"unknown/{address}"
        self.store = STORE / f"{self.host}.jsonl"
        subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 0))

    def send(
        self,
        sequence: int,
        text: str,
        *,
        level: int = 6,
        msgid: int | None = None,
        seconds: float = 0.0,
        pause: float = 0.001,
    ) -> None:
        """One message; its kernel time is that of its sequence number where none is given."""
        usec = int((seconds or 100 + sequence / 1000) * 1e6)
        data = "" if msgid is None else f" msgid={msgid}\n"
        self._socket.sendto(f"{level},{sequence},{usec},-;{text}\n{data}".encode(), ("127.0.0.1", PORT))
        if pause:
            time.sleep(pause)

    def figures(self) -> Figures:
        """Its figures as Prometheus would read them: {(name, label): value}."""
        try:
            with urllib.request.urlopen(METRICS, timeout=10) as answer:
                text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            return {}  # it is being restarted
        found = [match for match in map(SAMPLE.fullmatch, text.splitlines()) if match]
        mine = [match for match in found if match["host"] == self.host]
        names = [match["name"].removeprefix("netconsole_sender_").removesuffix("_total") for match in mine]
        return {(name, match["label"] or ""): float(match["value"]) for name, match in zip(names, mine, strict=True)}

    def expect(self, expected: Figures) -> None:
        """Wait until these figures are there; fail with what is there instead."""

        def found() -> Figures:
            figures = self.figures()
            return {key: figures.get(key, -1.0) for key in expected}

        wait_for(lambda: found() == expected, lambda: f"{self.host}: {found()}, expected {expected}")

    def records(self, suffix: str = ".json") -> list[Path]:
        """Its crash records, oldest first."""
        return sorted((STORE / "crashes").glob(f"{self.host.replace('/', '-')}-*{suffix}"))


def wait_for(what: Callable[[], bool], failure: Callable[[], str], seconds: float = 90.0) -> None:
    """Poll until it is so."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            sys.exit(failure())
        time.sleep(0.2)


def systemctl(*words: str) -> None:
    """One word to systemd about the observer."""
    subprocess.run(["systemctl", *words, UNIT], check=True)


def rotate() -> None:
    """What logrotate does once a day."""
    subprocess.run(["logrotate", "--force", "/etc/logrotate.d/netconsole-receiver"], check=True)


def counts() -> None:
    """A numbered sequence with a gap, a message that comes late, a reboot, and levels."""
    sender = Sender("192.0.2.41")
    for number in (*range(10), 13, 14, 12, 15):  # 10 and 11 are lost, 12 comes late
        sender.send(number, f"line {number}", level=3 if number == 9 else 6, msgid=number)
    expected = {
        ("messages", "info"): 13.0,
        ("messages", "err"): 1.0,
        ("lost", ""): 2.0,
        ("sequence_missing", ""): 2.0,
        ("reordered", ""): 1.0,
        ("boots", ""): 0.0,
        ("crashes", ""): 0.0,
    }
    sender.expect(expected)
    for number in range(3):
        sender.send(number, f"again {number}", msgid=number, seconds=0.1 + number)
    sender.expect({**expected, ("messages", "info"): 16.0, ("boots", ""): 1.0})
    seen = sender.figures()["last_seen_timestamp_seconds", ""]
    if abs(time.time() - seen) > 60:
        sys.exit(f"last seen {seen}, it is {time.time()}")


def crash() -> None:
    """An oops and its panic are one record with the lines before; a restart in their midst neither cuts nor doubles."""
    sender = Sender("192.0.2.42")
    before = [f"before {number}" for number in range(120)]
    for number, text in enumerate(before):
        sender.send(number, text)
    for number, text in enumerate(OOPS, start=120):
        sender.send(number, text, level=1)
    sender.expect({("messages", "alert"): 6.0, ("events", "oops"): 2.0, ("crashes", ""): 0.0})
    systemctl("restart", "--no-block")  # on a busy machine it takes longer than a crash may be silent
    for number, text in enumerate(PANIC, start=126):
        sender.send(number, text, level=0)
    sender.expect(
        {
            ("messages", "info"): 120.0,
            ("messages", "alert"): 6.0,
            ("messages", "emerg"): 3.0,
            ("events", "oops"): 2.0,
            ("events", "panic"): 1.0,
            ("sequence_missing", ""): 0.0,
            ("boots", ""): 0.0,
            ("crashes", ""): 1.0,
        }
    )
    (path,) = sender.records()
    record = json.loads(path.read_text())
    lines = [line["message"] for line in record["lines"]]
    if lines != [*before[20:], *OOPS, *PANIC] or record["lines_before"] != 100:
        sys.exit(f"{path}: {lines}")
    if (record["kind"], record["kinds"], record["complete"]) != ("panic", ["oops", "panic"], True):
        sys.exit(f"{path}: {record['kind']}, {record['kinds']}, complete: {record['complete']}")
    shown = path.with_suffix(".log").read_text().splitlines()
    if [line.partition("] ")[2] for line in shown] != lines:
        sys.exit(f"{path.with_suffix('.log')}: {shown}")


def rotation() -> None:
    """The store rotates while messages come, the observer is killed, and misses nothing; then the sender falls silent
    for ever with a panic that only the rotated file holds."""
    sender = Sender("192.0.2.43")
    for number in range(1000):
        sender.send(number, f"line {number}")
        if number == 400:
            rotate()
        if number == 600:
            systemctl("kill", "--signal=KILL")
    sender.expect({("messages", "info"): 1000.0, ("sequence_missing", ""): 0.0, ("boots", ""): 0.0})
    for number in range(1000, 1500):
        sender.send(number, f"line {number}")
        if number == 1200:
            rotate()
    sender.expect({("messages", "info"): 1500.0, ("sequence_missing", ""): 0.0, ("boots", ""): 0.0})
    systemctl("stop")
    for number, text in enumerate(PANIC, start=1500):
        sender.send(number, text, level=0)
    wait_for(lambda: b"end Kernel" in sender.store.read_bytes(), lambda: f"{sender.store} has no panic")
    rotate()
    systemctl("start")
    sender.expect({("events", "panic"): 1.0, ("crashes", ""): 1.0, ("messages", "emerg"): 3.0})
    if sender.store.exists() or len(json.loads(sender.records()[0].read_text())["lines"]) != 103:
        sys.exit(f"{sender.records()}, {sender.store}")


def heartbeat() -> None:
    """A sender that makes marks is known by them. (Its silence takes minutes: the unit tests move the clock.)"""
    sender = Sender("192.0.2.44")
    sender.send(1, "netconsole-sender: heartbeat, every 5 min", level=13)
    sender.expect({("heartbeat_seconds", ""): 300.0, ("messages", "notice"): 1.0})


def kernel_drops() -> dict[str, int]:
    """What the kernel says of the receiver's sockets (proc_net_udp)."""
    drops = {}
    for family, table in (("ipv4", "udp"), ("ipv6", "udp6")):
        rows = [line.split() for line in Path("/proc/net", table).read_text().splitlines()[1:]]
        drops[family] = sum(int(row[-1]) for row in rows if row[1].endswith(f":{PORT:04X}"))
    return drops


def figures_of_receiver() -> dict[str, float]:
    """The samples that belong to no sender."""
    with urllib.request.urlopen(METRICS, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _space, value in (line.rpartition(" ") for line in lines) if name[:1] == "n"}


def drops() -> None:
    """A collector that hangs while messages come: what does not fit into the socket is in the figures, exactly."""
    sender = Sender("192.0.2.45")
    before = kernel_drops()["ipv4"]
    collector = ["systemctl", "kill", "netconsole-receiver.service"]
    subprocess.run([*collector, "--signal=STOP"], check=True)
    try:
        for number in range(200_000):
            sender.send(number, "x" * 900, pause=0)
            if number % 500 == 0 and kernel_drops()["ipv4"] > before:
                break
    finally:
        subprocess.run([*collector, "--signal=CONT"], check=True)
    if kernel_drops()["ipv4"] == before:
        sys.exit("no datagram was dropped")

    def shown() -> dict[str, float]:
        figures = figures_of_receiver()
        names = {family: f'netconsole_receiver_socket_drops_total{{family="{family}"}}' for family in kernel_drops()}
        return {family: figures.get(name, -1.0) for family, name in names.items()}

    wait_for(lambda: shown() == kernel_drops(), lambda: f"{shown()}, the kernel says {kernel_drops()}")
    queue = 'netconsole_receiver_dropped_total{queue="netconsole"}'
    wait_for(lambda: queue in figures_of_receiver(), lambda: f"no figures of rsyslog: {figures_of_receiver()}")


def dashboard_rules() -> dict[str, object]:
    """The expressions of the dashboard as recording rules, with values where Grafana puts its variables."""
    dashboard = json.loads(Path("/root/monitoring/netconsole.grafana.json").read_text())
    targets = [target for panel in dashboard["panels"] for target in panel.get("targets", [])]
    expressions = [target["expr"].replace("$__rate_interval", "5m").replace("$host", ".*") for target in targets]
    if not expressions or "$" in "".join(expressions):
        sys.exit(f"the dashboard's expressions: {expressions}")
    rules = [{"record": f"dashboard:{number}", "expr": text} for number, text in enumerate(expressions)]
    return {"groups": [{"name": "dashboard", "rules": rules}]}


def readers() -> None:
    """lnav reads the store with the format that the role has put there; promtool finds nothing wrong with the figures,
    the alert rules and what they do."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--quiet=2", "--yes", "lnav"]
    subprocess.run(install, check=True, env=environment, stdout=subprocess.DEVNULL)
    levels = ";SELECT level_name, log_level, count(*) FROM netconsole_log GROUP BY level_name ORDER BY level_name"
    files = [str(path) for path in (STORE / "unknown").glob("192.0.2.42.jsonl*") if path.suffix != ".gz"]
    found = subprocess.run(
        ["lnav", "-n", "-c", levels, "-c", ":write-csv-to -", *files], check=True, capture_output=True, text=True
    )
    expected = ["alert,critical,6", "emerg,fatal,3", "info,info,120"]
    if [line for line in found.stdout.splitlines() if line in expected] != expected:
        sys.exit(f"lnav: {found.stdout} {found.stderr}")
    for command, words in ((":set-min-log-level critical", ["alert", "emerg"]), (":filter-in emerg", ["emerg"])):
        left = subprocess.run(["lnav", "-n", "-c", command, *files], check=True, capture_output=True, text=True).stdout
        counts = {word: len(re.findall(rf"^\S+ \S+ {word} ", left, re.MULTILINE)) for word in words}
        if counts != {word: {"alert": 6, "emerg": 3}[word] for word in words} or len(left.splitlines()) != sum(
            counts.values()
        ):
            sys.exit(f"lnav, {command}: {left}")
    archive = Path("/var/lib/lab/archive")
    package = [*archive.glob("promtool_*.deb"), *archive.glob("prometheus_*.deb")][0]  # Debian 12 has it in the latter
    subprocess.run(["dpkg-deb", "--extract", str(package), "/root/prometheus"], check=True)
    promtool = "/root/prometheus/usr/bin/promtool"
    with urllib.request.urlopen(METRICS, timeout=10) as answer:
        subprocess.run([promtool, "check", "metrics"], input=answer.read(), check=True)
    Path("/root/monitoring/dashboard.rules.yml").write_text(json.dumps(dashboard_rules()))
    for words in (
        ["check", "rules", "dashboard.rules.yml"],
        ["check", "rules", "netconsole.rules.yml"],
        ["test", "rules", "netconsole.rules.test.yml"],
    ):
        subprocess.run([promtool, *words], cwd="/root/monitoring", check=True)


def main() -> None:
    """Every check, or those that are named."""
    checks = {check.__name__: check for check in (counts, crash, rotation, heartbeat, drops, readers)}
    for name in sys.argv[1:] or checks:
        started = time.monotonic()
        checks[name]()
        print(f"{name}: as expected ({time.monotonic() - started:.1f} s)")


if __name__ == "__main__":
    main()
