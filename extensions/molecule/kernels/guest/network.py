# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's own network with the real kernel and the real ip(8): which way a target is sent, and what is refused."""

from __future__ import annotations

import ctypes
import socket
import time
from collections.abc import Callable, Iterator

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import Configfs
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.random_declarations import NEIGHBOUR_MAC
from kernels.guest.ground import NC0, NC1, Ground, in_child, must, only, refused, shell
from kernels.guest.selftests import LOG1

Check = Callable[[Ground], None]
FAR = "198.18.0.10"  # a receiver behind a gateway
DEFAULT = "128.0.0.0/1"  # instead of default, which the guest has already, without a metric
CLONE_NEWNET = 0x40000000  # unshare(2)


def checks() -> Iterator[tuple[str, Check]]:
    yield "network: a receiver on this very host is sent to over lo, by IPv6", loopback
    yield "network: of several routes, as wide as a default route, the one with the lowest metric is taken", metrics
    yield "network: policy routing by the source address is followed", policy
    yield "network: of several next hops that are as good, a target keeps its own", as_good
    yield "network: a receiver that answers neither ARP nor neighbour discovery is a failure within seconds", silence
    yield "network: a device in a VRF is refused", vrf
    yield "network: a port of a team is refused with the team's name, released it works", team_port
    yield "network: in another network namespace, as after unshare --net, nothing is done", elsewhere


def loopback(ground: Ground) -> None:
    ground.fresh()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("::1", 0))
        receiver.settimeout(10)
        port = receiver.getsockname()[1]
        ground.run({"name": "log1", "remote_ip": "::1", "remote_port": port})
        must(ground.state("log1").attributes["dev_name"] == "lo", f"not over lo: {ground.state('log1')}")
        must(not ground.say("to this host", 0), "it left by another device")
        while b"-to this host\n" not in receiver.recv(2048):  # the kernel's own lines come, too; in the end a timeout
            pass
    failures = ground.host().plan({"targets": [{"name": "log2", "remote_ip": "127.0.0.1"}]}).failures
    must("this host itself" in failures.get("log2", ""), f"refused in other words: {failures}")


def metrics(ground: Ground) -> None:
    gateways = f"via {NC0.receivers[0]} dev {NC0.name}", f"via {NC1.receivers[0]} dev {NC1.name}"
    for first, second, device in ((10, 20, NC0), (20, 10, NC1)):
        ground.fresh()
        shell(f"ip route add {DEFAULT} {gateways[0]} metric {first}")
        shell(f"ip route add {DEFAULT} {gateways[1]} metric {second}")
        try:
            _sends_by(ground, {"name": "log1", "remote_ip": FAR}, device.name)
            must(ground.state("log1").attributes["local_ip"] == device.own(FAR), "from the other one's address")
        finally:
            shell(f"ip route delete {DEFAULT} {gateways[0]} && ip route delete {DEFAULT} {gateways[1]}")


def policy(ground: Ground) -> None:
    """The rule only leads those by nc1 that have its address as their source."""
    ground.fresh()
    shell(f"ip route add {DEFAULT} via {NC0.receivers[0]} dev {NC0.name} metric 10")
    shell(f"ip route add {DEFAULT} via {NC1.receivers[0]} dev {NC1.name} table 100")
    shell(f"ip rule add from {NC1.own(FAR)} table 100")
    try:
        _sends_by(ground, {"name": "log1", "remote_ip": FAR}, NC0.name)
        _sends_by(ground, {"name": "log1", "remote_ip": FAR, "local_ip": NC1.own(FAR)}, NC1.name)
    finally:
        shell(f"ip rule delete from {NC1.own(FAR)} table 100 && ip route flush table 100")
        shell(f"ip route delete {DEFAULT} via {NC0.receivers[0]} dev {NC0.name} metric 10")


def as_good(ground: Ground) -> None:
    ground.fresh()
    hops = [f"nexthop via {device.receivers[0]} dev {device.name}" for device in (NC0, NC1)]
    shell(f"ip route add {DEFAULT} {' '.join(hops)}")
    try:
        ground.run({"name": "log1", "remote_ip": FAR})
        first = only(ground.say("one of two")).device
        other = next(device for device in (NC0, NC1) if device.name != first)
        ground.fresh()
        ground.run({"name": "log1", "remote_ip": FAR, "dev_name": other.name})
        ground.run({"name": "log1", "remote_ip": FAR})
        must(only(ground.say("kept")).device == other.name, f"it moved to {first} without need")
    finally:
        shell(f"ip route delete {DEFAULT}")


def silence(ground: Ground) -> None:
    ground.fresh()
    ground.run(LOG1)
    was = Configfs().targets()
    for receiver in ("203.0.113.12", "2001:db8:a::12"):
        began = time.monotonic()
        planned = ground.host().plan({"targets": [{"name": "log2", "remote_ip": receiver}]})
        took = time.monotonic() - began
        must("does not answer" in planned.failures.get("log2", ""), f"refused in other words: {planned.failures}")
        must(took < 8, f"{receiver}: it took {took:.1f} s")
    must(Configfs().targets() == was, "the other target was touched")


def _sends_by(ground: Ground, target: dict[str, str], device: str) -> None:
    ground.run(target)
    heard = only(ground.say("routed"))
    must((heard.device, heard.destination_mac) == (device, NEIGHBOUR_MAC), f"it went {heard}")


def vrf(ground: Ground) -> None:
    ground.fresh()
    shell("modprobe vrf && ip link add kv0 type vrf table 200 && ip link set kv0 up")
    try:
        shell(f"ip link set {NC0.name} master kv0")
        ground.address(NC0, NC0.name)
        planned = ground.host().plan({"targets": [{**LOG1, "dev_name": NC0.name}]})
        words = planned.failures.get("log1", "")
        must("is in the VRF kv0" in words, f"refused in other words: {planned.failures}")
        must(ground.configfs_names() == [], "half a target was left")
    finally:
        shell(f"ip link set {NC0.name} nomaster && ip link delete kv0")
        ground.address(NC0, NC0.name)
    _sends_by(ground, LOG1, NC0.name)


def team_port(ground: Ground) -> None:
    ground.fresh()
    shell("modprobe team && ip link add kt0 type team")
    try:
        shell(f"ip link set {NC0.name} down && ip link set {NC0.name} master kt0 && ip link set kt0 up")
        failures = ground.host().plan({"targets": [{**LOG1, "dev_name": NC0.name}]}).failures
        must("is a port of kt0: use kt0" in failures.get("log1", ""), f"refused in other words: {failures}")
        must(ground.configfs_names() == [], "half a target was left")
    finally:
        shell(f"ip link set {NC0.name} nomaster; ip link delete kt0")
        ground.address(NC0, NC0.name)
    _sends_by(ground, LOG1, NC0.name)


def elsewhere(ground: Ground) -> None:
    ground.fresh()
    ground.run(LOG1)
    was = Configfs().targets()

    def work() -> None:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        with refused("another network namespace"):
            ground.host().run({"targets": [{**LOG1, "remote_port": 6667}]})

    must(in_child(work) == 0, "not refused, or for another reason: the guest's program says which")
    must(Configfs().targets() == was, "the refusal changed something")
    only(ground.say("still"))
