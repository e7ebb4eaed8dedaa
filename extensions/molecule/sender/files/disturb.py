# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disturb the network of a sender and measure how long its kernel's messages stay away from the receiver.

    disturb.py DISTURBANCE...       as root on the sender; prints a line for each result, and at last all as JSON

Every 0.2 s a numbered line ("lab tick N") goes into the kernel's log. The recorder at the receiver (recorder.py) says
which arrived, on one port from an IPv4 target and on one from an IPv6 target. All times are the sender's own, so that
no two clocks are compared: `recovery` is from the end of the disturbance until the first line was written that arrived,
`network` until an ordinary program of this host sent the first datagram that was answered, `behind` how much later the
kernel's lines were than that; `outage` is how long lines written were lost. All are seconds; what takes more than LIMIT
counts as LIMIT.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

RECEIVER = {4: "192.0.2.10", 6: "2001:db8:0:1::10"}
GATEWAY = {4: "198.51.100.1", 6: "2001:db8:0:2::1"}
BEYOND = {4: "192.0.2.0/24", 6: "2001:db8:0:1::/64"}
PORTS = {4: 6670, 6: 6671}
"""Ports of the receiver that the sender's two targets send to."""

ANSWERS, ROUTER = 6669, 6668
NIC, SPARE = "eth1", "eth2"
INTERVAL = 0.2
LIMIT = 90.0
AUTOMATIC = Path("/run/systemd/network/10-lab-automatic.network")

Sources = Mapping[int, str]


def clock() -> float:
    """Seconds since boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Ticks(threading.Thread):
    """Writes the numbered lines and remembers when."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.first = int(time.time()) * 10  # numbers grow from one run to the next too
        self.times: list[float] = []

    def run(self) -> None:
        """Write until the end of the process."""
        log = os.open("/dev/kmsg", os.O_WRONLY)
        for number in itertools.count(self.first):
            self.times.append(clock())
            os.write(log, f"<5>lab tick {number}\n".encode())
            time.sleep(max(0.0, INTERVAL - (clock() - self.times[-1])))

    def at(self, moment: float) -> int:
        """Number of the first line that was written at that time or later, as far as it is known."""
        times = list(self.times)
        return self.first + sum(written < moment for written in times)

    def written(self, number: int) -> float:
        """When a line was written."""
        return self.times[number - self.first]


def command(*words: str) -> None:
    """Run a command that has to work."""
    subprocess.run(words, check=True)


def ip(arguments: str) -> None:
    """Run ip."""
    command("ip", *arguments.split())


def own_addresses() -> dict[int, str]:
    """The addresses that the lab gave to this guest's NIC: lab.eth1=ADDRESS/LENGTH,... of the kernel command line."""
    words = Path("/proc/cmdline").read_text(encoding="ascii").split()
    (given,) = [word.split("=")[1] for word in words if word.startswith(f"lab.{NIC}=")]
    interfaces = [ipaddress.ip_interface(item) for item in given.split(",") if not item.startswith("via:")]
    return {interface.version: str(interface.ip) for interface in interfaces}


OWN = own_addresses()
LEASES = [str(ipaddress.ip_address(OWN[4]) + offset) for offset in (100, 150)]
MOVED = {version: str(ipaddress.ip_address(address) + 200) for version, address in OWN.items()}
"""Addresses of the spare NIC."""


def has_address(nic: str, address: str) -> bool:
    """Whether the NIC has this address, ready for use."""
    shown = subprocess.run(
        ["ip", "-oneline", "address", "show", "dev", nic, "-tentative"], stdout=subprocess.PIPE, check=False
    )
    return f" {address}/" in shown.stdout.decode()


def wait_until(what: str, condition: Callable[[], bool]) -> float:
    """Wait for a condition; when it came true."""
    deadline = clock() + LIMIT
    while not condition():
        if clock() > deadline:
            sys.exit(f"{what}: not within {LIMIT:.0f} s")
        time.sleep(0.05)
    return clock()


def exchange(address: str, port: int, message: object, patience: float) -> Any:
    """Send a datagram and wait for the answer to it; None when there is none, for whatever reason."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as talk:
            talk.settimeout(patience)
            talk.connect((address, port))
            talk.send(json.dumps(message).encode())
            return json.loads(talk.recv(65536))
    except OSError:
        return None


def ask(question: Mapping[str, object], limit: float = LIMIT) -> Any:
    """Ask the recorder, over whichever address family works at the time, until it says something but null."""
    deadline = clock() + limit
    for version in itertools.cycle((4, 6)):
        reply = exchange(RECEIVER[version], ANSWERS, question, 0.5)
        if reply and reply["answer"] is not None:
            return reply["answer"]
        if clock() > deadline:
            return None
        time.sleep(0.1)
    return None


def reached(version: int) -> float:
    """Wait until a datagram to the receiver is answered, from whichever of our addresses; when that one was sent."""
    deadline = clock() + LIMIT
    while (sent := clock()) < deadline:
        if exchange(RECEIVER[version], ANSWERS, {"port": PORTS[version], "tick": 0}, 0.5):
            return sent
        time.sleep(0.05)
    return deadline


def tell_router(message: Mapping[str, object]) -> None:
    """Have the router do something; returns when it says that it did."""
    for _attempt in range(3):
        if exchange(GATEWAY[4], ROUTER, message, 20):
            return
    sys.exit(f"the router does not answer to {message}")


class Measurement:
    """Disturbs and measures, row by row."""

    def __init__(self) -> None:
        self.ticks = Ticks()
        self.rows: list[dict[str, object]] = []

    def settle(self, sources: Sources = OWN) -> None:
        """Wait until lines arrive from the right addresses, and for a second more."""
        since = clock()
        for version, port in PORTS.items():
            if ask({"port": port, "tick": self.ticks.at(since), "source": sources[version]}) is None:
                sys.exit(f"nothing arrives from {sources[version]} at port {port}")
        time.sleep(1)

    def measure(
        self, name: str, disturb: Callable[[], float | None], sources: Sources = OWN, *, quiet: float = 0
    ) -> None:
        """Disturb, and wait until lines arrive again from these addresses. Nothing else is sent for `quiet` seconds."""
        began = self.ticks.at(clock())
        ended = disturb() or clock()
        time.sleep(quiet)
        with ThreadPoolExecutor() as pool:
            network = {version: pool.submit(reached, version) for version in PORTS}
            for version, source in sources.items():
                self.row(name, version, source, began, ended, network[version])
        self.settle(sources)

    def row(self, name: str, version: int, source: str, began: int, ended: float, network: Future[float]) -> None:
        """Wait until lines of this address family arrive again, and write down how long it took."""
        first = ask({"port": PORTS[version], "tick": self.ticks.at(ended), "source": source})
        outage = recovery = LIMIT
        if first is not None:
            arrived = ask({"port": PORTS[version], "from": began, "to": first})
            outage = (first - began - arrived) * INTERVAL
            recovery = max(0.0, self.ticks.written(first) - ended)
        ordinary = max(0.0, network.result() - ended)
        times = {"outage": outage, "network": ordinary, "recovery": recovery, "behind": max(0.0, recovery - ordinary)}
        times = {what: round(seconds, 1) for what, seconds in times.items()}
        self.rows.append({"disturbance": name, "family": f"IPv{version}", **times})
        print(
            f"{name:36}IPv{version}" + "".join(f"  {what} {seconds:>4}" for what, seconds in times.items()), flush=True
        )


def gateway(run: Measurement) -> None:
    """Another router takes the gateway's addresses and says so."""
    word = {"do": "take", "by": "eth3", "from": "eth2", "announce": True}
    run.measure("another router takes over", lambda: tell_router(word))


def gateway_silent(run: Measurement) -> None:
    """The first router takes them back, and nobody hears of it: the sender's kernel has to find out."""
    word = {"do": "take", "by": "eth2", "from": "eth3", "announce": False}

    def disturb() -> float:
        tell_router(word)
        return clock() + 1.0  # it answers before it does it

    run.measure("another router takes over, silently", disturb, quiet=60)


def gateway_back(run: Measurement) -> None:
    """The first router takes them back."""
    word = {"do": "take", "by": "eth2", "from": "eth3", "announce": True}
    run.measure("the first router is back", lambda: tell_router(word))


def down_up(run: Measurement) -> None:
    """The interface goes down for a moment."""

    def disturb() -> None:
        ip(f"link set {NIC} down")
        time.sleep(1.5)
        ip(f"link set {NIC} up")

    run.measure("interface down and up", disturb)


def dhcp(run: Measurement) -> None:
    """From fixed addresses to DHCP and router advertisements, to another lease, and back."""
    mac = Path(f"/sys/class/net/{NIC}/address").read_text(encoding="ascii").strip()
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes((octets[0] ^ 2,)) + octets[1:3] + b"\xff\xfe" + octets[3:]  # RFC 4291, appendix A
    prefix = ipaddress.ip_network("2001:db8:0:2::/64").network_address.packed[:8]
    slaac = str(ipaddress.ip_address(prefix + identifier))

    def automatic() -> float:
        tell_router({"do": "dhcp", "lease": {mac: LEASES[0]}})
        AUTOMATIC.write_text(f"[Match]\nName={NIC}\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=yes\n", encoding="ascii")
        command("systemctl", "restart", "systemd-networkd")
        wait_until(slaac, lambda: has_address(NIC, slaac))
        return wait_until(LEASES[0], lambda: has_address(NIC, LEASES[0]))

    def other_lease() -> float:
        tell_router({"do": "dhcp", "lease": {mac: LEASES[1]}})
        # The client asks for its address again when half of the lease is over, and is refused.
        return wait_until(LEASES[1], lambda: has_address(NIC, LEASES[1]))

    def fixed() -> float:
        AUTOMATIC.unlink()
        command("systemctl", "restart", "systemd-networkd")
        wait_until(OWN[6], lambda: has_address(NIC, OWN[6]))
        return wait_until(OWN[4], lambda: has_address(NIC, OWN[4]))

    run.measure("fixed addresses to DHCP and RA", automatic, {4: LEASES[0], 6: slaac})
    run.measure("DHCP gives another address", other_lease, {4: LEASES[1], 6: slaac})
    run.measure("back to fixed addresses", fixed)
    tell_router({"do": "dhcp", "lease": {}})


def route(run: Measurement) -> None:
    """The way to the receiver leads over the other interface, and back."""
    ip(f"address add {MOVED[4]}/24 dev {SPARE}")
    ip(f"address add {MOVED[6]}/64 dev {SPARE} nodad")
    ip(f"link set {SPARE} up")
    time.sleep(1)

    def over(nic: str | None) -> None:
        for version, network in BEYOND.items():
            if nic:
                ip(f"route add {network} via {GATEWAY[version]} dev {nic}")
            else:
                ip(f"route delete {network}")

    run.measure("route moves to the other interface", lambda: over(SPARE), MOVED)
    run.measure("route moves back", lambda: over(None))
    ip(f"address flush dev {SPARE}")
    ip(f"link set {SPARE} down")


def plug(run: Measurement) -> None:
    """Somebody pulls the interface out and puts it back: from outside, while this waits for it."""
    path = Path("/sys/class/net") / NIC

    def disturb() -> float:
        print("ready", flush=True)
        wait_until("pulled out", lambda: not path.exists())
        return wait_until("put back", path.exists)

    run.measure("interface unplugged and plugged", disturb)


DISTURBANCES = {
    function.__name__: function for function in (gateway, gateway_silent, gateway_back, down_up, dhcp, route, plug)
}


def main(names: list[str]) -> None:
    """Measure what is asked for, in this order."""
    Path("/proc/sys/kernel/printk_devkmsg").write_text("on\n", encoding="ascii")
    run = Measurement()
    run.ticks.start()
    run.settle()
    for name in names:
        DISTURBANCES[name](run)
    print(json.dumps(run.rows))


if __name__ == "__main__":
    main(sys.argv[1:])
