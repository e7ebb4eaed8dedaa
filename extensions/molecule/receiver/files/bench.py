# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the collector of this host: messages kept, processor time for each, peak memory.

    bench.py role|package COLLECTOR SCALE

`role`: the receiver as the role has set it up. `package`: the same program with its package's defaults, or where the
package has none the shortest command that stores what comes in. SCALE divides the number of messages. Prints one JSON
object for each workload. Runs on the receiver, as root, with load.py and hold.py beside it, nothing else using UDP.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from hold import LOAD, SERVICE, run, show, udp

PORT = "6666"
UNIT = "lab-bench.service"
OUTPUT = Path("/root/bench")
BLASTER = "netconsblaster"


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
    "rsyslog": f"exec /usr/sbin/rsyslogd -n -iNONE -f {OUTPUT}/conf",
    "syslog_ng": "exec /usr/sbin/syslog-ng -F --no-caps -f conf -R state -p pid -c ctl",
    "netconsd": f"exec netconsd -u {PORT} /usr/libexec/netconsd/logger.so",
    "socat": f"exec socat -u UDP6-RECV:{PORT},ipv6only=0 OPEN:all,creat,append",
    "netcat": f"exec nc.openbsd -6 -u -l -k {PORT} >>all",
}


def start(kind: str, collector: str) -> tuple[str, Path]:
    """Have the collector run, with an empty store. Its unit and the store."""
    run("systemctl", "stop", SERVICE)
    subprocess.run(["systemctl", "stop", UNIT], capture_output=True, check=False)
    store = Path("/var/log/netconsole")
    if kind == "role":
        for path in [*store.glob("*.log*"), *store.glob("*.jsonl*"), *store.glob("unknown/*")]:
            path.unlink()
        run("systemctl", "start", SERVICE)
        return SERVICE, store
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir()
    (OUTPUT / "conf").write_text({"rsyslog": RSYSLOG, "syslog_ng": SYSLOG_NG}.get(collector, ""))
    words = ("--collect", f"--unit={UNIT}", f"--working-directory={OUTPUT}", "/bin/sh", "-c", PACKAGE[collector])
    run("systemd-run", *words)
    time.sleep(3.0)
    return UNIT, OUTPUT


class Meter:
    """Processor time and memory of a unit's processes."""

    def __init__(self, unit: str) -> None:
        self._cgroup = Path("/sys/fs/cgroup" + run("systemctl", "show", "--property=ControlGroup", "--value", unit))
        self._ended = threading.Event()
        self.peak = 0
        """Most resident memory at once, KiB."""
        self._started = self.processor()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def processor(self) -> int:
        """Microseconds so far."""
        return int(re.findall(r"usage_usec (\d+)", (self._cgroup / "cpu.stat").read_text())[0])

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            used = 0
            for pid in (self._cgroup / "cgroup.procs").read_text().split():
                try:
                    resident = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
                except OSError:
                    continue  # it has ended meanwhile
                used += int(resident.group(1)) if resident else 0
            self.peak = max(self.peak, used)

    def end(self) -> int:
        """Stop watching. Microseconds of processor time since the start."""
        used = self.processor() - self._started
        self._ended.set()
        self._thread.join()
        return used


def kept(store: Path, run_name: str) -> int:
    """How many different messages of a run are in a store, whatever its files look like."""
    found: set[bytes] = set()
    for path in store.rglob("*"):
        if path.is_file() and not path.name.endswith(".log" if store != OUTPUT else ".conf"):
            with path.open("rb") as file:
                for line in file:
                    found.update(re.findall(rb"load %s (\d+ \d+) end" % run_name.encode(), line))
    return len(found)


def settle(store: Path) -> None:
    """Wait until the store has not grown for four seconds, five minutes at most."""
    last, quiet = -1, 0
    for _second in range(300):
        size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
        quiet = quiet + 1 if size == last else 0
        last = size
        if quiet == 4:
            return
        time.sleep(1.0)


def measure(kind: str, collector: str, name: str, workload: Workload, scale: int) -> dict[str, object]:
    """One workload against a fresh start of the collector."""
    unit, store = start(kind, collector)
    meter, before = Meter(unit), udp()
    run_name = f"bench{time.time_ns()}"
    messages = max(workload.messages // scale, workload.sources)
    words = ["--messages", str(messages), "--sources", str(workload.sources), "--families", workload.families]
    words += ["--rate", str(workload.rate), "--mix", workload.mix]
    sent = json.loads(run(sys.executable, LOAD, "send", run_name, *words))
    settle(store)
    used = meter.end()
    taken, dropped = (after - earlier for after, earlier in zip(udp(), before, strict=True))
    stored = kept(store, run_name)
    return {
        "collector": collector,
        "settings": kind,
        "workload": name,
        "sent": sent["messages"],
        "datagrams": sent["datagrams"],
        "rate": sent["rate"],
        "taken": taken,
        "dropped": dropped,
        "kept": stored,
        "cpu_us": round(used / max(stored, 1), 1),
        "peak_mib": round(meter.peak / 1024, 1),
    }


def blast(kind: str, collector: str, scale: int) -> dict[str, object]:
    """netconsblaster of Debian's package netconsd: as fast as it can for ten seconds, from one network of IPv6. Its
    messages have no numbers: what is kept is counted in lines, and what was sent is what the kernel saw."""
    unit, store = start(kind, collector)
    meter, before = Meter(unit), udp()
    words = [BLASTER, "-o", "10", "-s", "2001:2::", "-p", PORT]  # 1,024 addresses
    blaster = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(max(10.0 / scale, 1.0))
    if blaster.poll() is not None:
        raise SystemExit(f"{' '.join(words)} ended with status {blaster.returncode}")
    blaster.kill()
    blaster.wait()
    settle(store)
    used = meter.end()
    taken, dropped = (after - earlier for after, earlier in zip(udp(), before, strict=True))
    ends = ".jsonl" if store != OUTPUT else ""
    lines = sum(path.read_bytes().count(b"\n") for path in store.rglob("*" + ends) if path.is_file())
    return {
        "collector": collector,
        "settings": kind,
        "workload": BLASTER,
        "sent": taken + dropped,
        "datagrams": taken + dropped,
        "rate": 0,
        "taken": taken,
        "dropped": dropped,
        "kept": lines,
        "cpu_us": round(used / max(lines, 1), 1),
        "peak_mib": round(meter.peak / 1024, 1),
    }


def main() -> None:
    """See above."""
    kind, collector, scale = sys.argv[1], sys.argv[2], int(sys.argv[3])
    print(json.dumps({"receive_buffer": int(Path("/proc/sys/net/core/rmem_max").read_text()), "pid": show("MainPID")}))
    for name, workload in WORKLOADS.items():
        print(json.dumps(measure(kind, collector, name, workload, scale)), flush=True)
    if shutil.which(BLASTER) is not None:
        print(json.dumps(blast(kind, collector, scale)))
    subprocess.run(["systemctl", "stop", UNIT], capture_output=True, check=False)


if __name__ == "__main__":
    main()
