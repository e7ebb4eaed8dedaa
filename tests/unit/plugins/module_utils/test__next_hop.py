# Unit tests of _next_hop: what a real iproute2 said of routes and neighbours, and what netconsole is told from it.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The host of the records has eth0 (192.0.2.11/24, 192.0.2.111/24, 2001:db8:0:1::11/64) and eth1 (198.51.100.11/24,
# 2001:db8:0:2::11/64), on each of them a gateway with the address 1, and the receivers 192.0.2.10, 2001:db8:0:1::10
# and, behind the gateways, 203.0.113.10 and 2001:db8:0:3::10.

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._address import AddressError
from ansible_collections.fleet.netconsole.plugins.module_utils._command import CompletedCommand
from ansible_collections.fleet.netconsole.plugins.module_utils._device import DeviceError
from ansible_collections.fleet.netconsole.plugins.module_utils._iproute import (
    IprouteError,
    System,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._next_hop import (
    NextHop,
    NextHopError,
    check_given,
    equal_next_hops,
    resolve_next_hop,
    resolve_remote_ip,
)
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_host import (
    IPROUTE2_VERSIONS,
    FakeHost,
    make_sysfs,
)

NEIGHBOUR0 = "52:54:00:00:00:02"  # whoever answers on eth0: receiver and gateway are one machine there
NEIGHBOUR1 = "52:54:00:00:00:03"
OTHER = "52:54:00:aa:bb:cc"
ZERO = "00:00:00:00:00:00"


def _hop(remote_ip: str, dev_name: str, local_ip: str, remote_mac: str, gateway: str | None = None) -> NextHop:
    return NextHop(remote_ip=remote_ip, dev_name=dev_name, local_ip=local_ip, remote_mac=remote_mac, gateway=gateway)


# name: (receiver, what is given, steps, next hop)
RESOLVED: dict[str, tuple[str, dict[str, Any], list[Any], NextHop]] = {
    "same subnet": (
        "192.0.2.10",
        {},
        ["route same subnet", "neigh after use"],
        _hop("192.0.2.10", "eth0", "192.0.2.11", NEIGHBOUR0),
    ),
    "same subnet, nothing cached": (
        "192.0.2.10",
        {},
        ["route same subnet", "neigh empty", "link eth0", "provoke 192.0.2.10 eth0", "neigh after use"],
        _hop("192.0.2.10", "eth0", "192.0.2.11", NEIGHBOUR0),
    ),
    "same subnet, stale entry": (
        "192.0.2.10",
        {},
        ["route same subnet", "neigh stale"],
        _hop("192.0.2.10", "eth0", "192.0.2.11", NEIGHBOUR0),
    ),
    "same subnet, permanent entry": (
        "192.0.2.10",
        {},
        ["route same subnet", "neigh permanent"],
        _hop("192.0.2.10", "eth0", "192.0.2.11", NEIGHBOUR0),
    ),
    "same subnet, ipv6": (
        "2001:DB8:0:1:0::10",
        {},
        ["route same subnet 6", "neigh after use 6"],
        _hop("2001:db8:0:1::10", "eth0", "2001:db8:0:1::11", NEIGHBOUR0),
    ),
    "same subnet, ipv6, nothing cached": (
        "2001:db8:0:1::10",
        {},
        ["route same subnet 6", "neigh empty 6", "link eth0", "provoke 2001:db8:0:1::10 eth0", "neigh after use 6"],
        _hop("2001:db8:0:1::10", "eth0", "2001:db8:0:1::11", NEIGHBOUR0),
    ),
    "gateway": (
        "203.0.113.10",
        {},
        ["route gateway", "neigh gateway"],
        _hop("203.0.113.10", "eth0", "192.0.2.11", NEIGHBOUR0, "192.0.2.1"),
    ),
    "gateway, nothing cached": (
        "203.0.113.10",
        {},
        ["route gateway", "neigh empty 192.0.2.1", "link eth0", "provoke 192.0.2.1 eth0", "neigh gateway"],
        _hop("203.0.113.10", "eth0", "192.0.2.11", NEIGHBOUR0, "192.0.2.1"),
    ),
    "gateway, ipv6": (
        "2001:db8:0:3::10",
        {},
        ["route gateway 6", "neigh gateway 6"],
        _hop("2001:db8:0:3::10", "eth0", "2001:db8:0:1::11", NEIGHBOUR0, "2001:db8:0:1::1"),
    ),
    "ipv6 gateway of an ipv4 route": (
        "203.0.113.129",
        {},
        ["route via inet6", "neigh empty fe80::1", "link eth0", "provoke fe80::1 eth0", "neigh after use ll"],
        _hop("203.0.113.129", "eth0", "192.0.2.11", NEIGHBOUR0, "fe80::1"),
    ),
    "several gateways of one route": (
        "203.0.113.145",
        {},
        ["route multipath", "neigh gateway eth1"],
        _hop("203.0.113.145", "eth1", "198.51.100.11", NEIGHBOUR1, "198.51.100.1"),
    ),
    "device given: its own default route": (
        "203.0.113.10",
        {"dev_name": "eth1"},
        ["link eth1 up", "route gateway oif", "neigh gateway eth1"],
        _hop("203.0.113.10", "eth1", "198.51.100.11", NEIGHBOUR1, "198.51.100.1"),
    ),
    "device given, ipv6": (
        "2001:db8:0:3::10",
        {"dev_name": "eth1"},
        ["link eth1 up", "route gateway oif 6", "neigh gateway eth1 6"],
        _hop("2001:db8:0:3::10", "eth1", "2001:db8:0:2::11", NEIGHBOUR1, "2001:db8:0:2::1"),
    ),
    "device given, link-local receiver": (
        "fe80::1",
        {"dev_name": "eth0"},
        ["link eth0", "route link local", "neigh after use ll"],
        _hop("fe80::1", "eth0", "fe80::5054:ff:fe00:0", NEIGHBOUR0),
    ),
    "source given": (
        "203.0.113.10",
        {"local_ip": "192.0.2.111"},
        ["addresses 4", "route from", "neigh gateway"],
        _hop("203.0.113.10", "eth0", "192.0.2.111", NEIGHBOUR0, "192.0.2.1"),
    ),
    "source given: policy routing by it": (
        "203.0.113.10",
        {"local_ip": "192.0.2.111"},
        ["addresses 4", "route policy from", "neigh gateway eth1"],
        _hop("203.0.113.10", "eth1", "192.0.2.111", NEIGHBOUR1, "198.51.100.1"),
    ),
    "source and device given": (
        "203.0.113.10",
        {"local_ip": "192.0.2.111", "dev_name": "eth1"},
        ["link eth1 up", "addresses 4", "route from oif", "neigh gateway eth1"],
        _hop("203.0.113.10", "eth1", "192.0.2.111", NEIGHBOUR1, "198.51.100.1"),
    ),
    "unspecified source is none": (
        "192.0.2.10",
        {"local_ip": "0.0.0.0"},
        ["route same subnet", "neigh after use"],
        _hop("192.0.2.10", "eth0", "192.0.2.11", NEIGHBOUR0),
    ),
    "unspecified source is none, ipv6": (
        "2001:db8:0:1::10",
        {"local_ip": "::"},
        ["route same subnet 6", "neigh after use 6"],
        _hop("2001:db8:0:1::10", "eth0", "2001:db8:0:1::11", NEIGHBOUR0),
    ),
    "MAC given: no neighbour is asked": (
        "203.0.113.10",
        {"remote_mac": OTHER.upper()},
        ["route gateway"],
        _hop("203.0.113.10", "eth0", "192.0.2.11", OTHER, "192.0.2.1"),
    ),
    "MAC and device given: no route is needed": (
        "2001:db8:0:3::10",
        {"remote_mac": OTHER, "dev_name": "eth1"},
        ["link eth1 up", "route oif without route 6", "addresses 6 eth1"],
        _hop("2001:db8:0:3::10", "eth1", "2001:db8:0:2::11", OTHER),
    ),
    "everything given": (
        "203.0.113.10",
        {"remote_mac": OTHER, "dev_name": "eth1", "local_ip": "192.0.2.111"},
        ["link eth1 up", "addresses 4", "route from oif"],
        _hop("203.0.113.10", "eth1", "192.0.2.111", OTHER, "198.51.100.1"),
    ),
    "broadcast asked for by name": (
        "192.0.2.255",
        {"remote_mac": "broadcast"},
        ["route broadcast"],
        _hop("192.0.2.255", "eth0", "192.0.2.11", "ff:ff:ff:ff:ff:ff"),
    ),
    "this host, ipv6 loopback": ("::1", {}, ["route loopback 6"], _hop("::1", "lo", "::1", ZERO)),
    "this host, ipv6 loopback, all given": (
        "::1",
        {"dev_name": "lo", "remote_mac": ZERO},
        ["link lo", "route loopback 6 lo"],
        _hop("::1", "lo", "::1", ZERO),
    ),
    "this host, own ipv6 address": (
        "2001:db8:0:1::11",
        {},
        ["route own 6"],
        _hop("2001:db8:0:1::11", "lo", "2001:db8:0:1::11", ZERO),
    ),
}


@pytest.mark.parametrize("iproute2", IPROUTE2_VERSIONS)
@pytest.mark.parametrize(("remote_ip", "given", "script", "expected"), RESOLVED.values(), ids=RESOLVED.keys())
def test_resolved(
    tmp_path: Path, remote_ip: str, given: dict[str, Any], script: list[Any], expected: NextHop, iproute2: str
) -> None:
    host = FakeHost(script, iproute2=iproute2, sysfs=make_sysfs(tmp_path, ["lo", "eth0", "eth1"]))
    assert resolve_next_hop(remote_ip, **given, system=host.system) == expected
    host.finish()
    assert host.slept == []


# name: (receiver, what is given, steps, error, message)
REFUSED: dict[str, tuple[str, dict[str, Any], list[Any], type[Exception], str]] = {
    "no route": (
        "203.0.113.10",
        {},
        ["route none"],
        NextHopError,
        "^no route to the receiver 203.0.113.10 \\(Network is unreachable\\): .* give dev_name and remote_mac$",
    ),
    "no route, ipv6": (
        "2001:db8:0:3::10",
        {},
        ["route none 6"],
        NextHopError,
        "^no route to the receiver 2001:db8:0:3::10 \\(Network is unreachable\\)",
    ),
    "no route through the device, ipv6": (
        "2001:db8:0:3::10",
        {"dev_name": "eth1"},
        ["link eth1 up", "route oif without route 6"],
        NextHopError,
        "^no route to the receiver 2001:db8:0:3::10 through eth1 \\(Network is unreachable\\)",
    ),
    "blackhole": ("203.0.113.65", {}, ["route blackhole"], NextHopError, "\\(Invalid argument\\)"),
    "unreachable": ("203.0.113.81", {}, ["route unreachable"], NextHopError, "\\(No route to host\\)"),
    "prohibited": ("203.0.113.97", {}, ["route prohibit"], NextHopError, "\\(Permission denied\\)"),
    "blackhole, ipv6": ("2001:db8:b::1", {}, ["route blackhole 6"], NextHopError, "\\(Invalid argument\\)"),
    "unreachable, ipv6": ("2001:db8:c::1", {}, ["route unreachable 6"], NextHopError, "\\(No route to host\\)"),
    "prohibited, ipv6": ("2001:db8:d::1", {}, ["route prohibit 6"], NextHopError, "\\(Permission denied\\)"),
    "its own address is tentative, ipv6": (
        "2001:db8:0:3::10",
        {},
        [
            (
                ["-json", "-6", "route", "get", "2001:db8:0:3::10"],
                '[{"dst":"2001:db8:0:3::10","gateway":"2001:db8:0:1::1","dev":"eth0","prefsrc":"::1"}]',
            ),
            (
                ["-json", "-6", "addr", "show", "dev", "eth0"],
                '[{"ifname":"eth0","addr_info":[{"family":"inet6","local":"2001:db8:0:1::11","tentative":true}]}]',
            ),
        ],
        NextHopError,
        "^eth0 has no IPv6 address to send to 2001:db8:0:3::10 from",
    ),
    "receiver does not answer": (
        "192.0.2.99",
        {},
        ["route dead", "neigh failed", "link eth0", "provoke 192.0.2.99 eth0", "neigh incomplete", "neigh failed"],
        NextHopError,
        "^the receiver 192.0.2.99 does not answer ARP on eth0: check that it is up, and cable, VLAN and firewall, or "
        "give remote_mac$",
    ),
    "receiver does not answer, ipv6": (
        "2001:db8:0:1::99",
        {},
        ["route dead 6", "neigh failed 6", "link eth0", "provoke 2001:db8:0:1::99 eth0", "neigh failed 6"],
        NextHopError,
        "^the receiver 2001:db8:0:1::99 does not answer neighbour discovery on eth0: ",
    ),
    "gateway does not answer": (
        "203.0.113.10",
        {},
        [
            "route gateway",
            "neigh empty 192.0.2.1",
            "link eth0",
            "provoke 192.0.2.1 eth0",
            (
                ["-json", "-4", "neigh", "show", "to", "192.0.2.1", "dev", "eth0"],
                '[{"dst":"192.0.2.1","state":["FAILED"]}]',
            ),
        ],
        NextHopError,
        "^the gateway 192.0.2.1 to the receiver 203.0.113.10 does not answer ARP on eth0: ",
    ),
    "guessed device": (
        "203.0.113.20",
        {"dev_name": "eth1"},
        [
            "link eth1 up",
            "route oif without route",
            "neigh oif without route",
            "link eth1 up",
            "provoke 203.0.113.20 eth1",
            "neigh oif without route",
            "addresses 4 eth1",
        ],
        NextHopError,
        "does not answer ARP on eth1 \\(which has no address in its subnet and no gateway to it: leave dev_name out if "
        "eth1 was a guess\\): ",
    ),
    "device given, receiver in its subnet does not answer": (
        "192.0.2.10",
        {"dev_name": "eth0", "timeout": 0},
        [
            "link eth0",
            "route oif same subnet",
            "neigh empty",
            "link eth0",
            "provoke 192.0.2.10 eth0",
            "neigh empty",
            "addresses 4 eth0",
        ],
        NextHopError,
        "^the receiver 192.0.2.10 does not answer ARP on eth0: ",
    ),
    "cached broadcast MAC": (
        "192.0.2.51",
        {},
        ["route to broadcast neighbour", "neigh broadcast"],
        NextHopError,
        "^the neighbour cache gives the receiver 192.0.2.51 no MAC address on eth0 that one device alone has",
    ),
    "device without neighbours": (
        "198.51.100.210",
        {},
        [
            "route noarp",
            (["-json", "-4", "neigh", "show", "to", "198.51.100.210", "dev", "dum0"], "[]"),
            "link noarp",
        ],
        NextHopError,
        "^dum0 never looks for neighbours \\(NOARP\\), so the MAC address of the receiver 198.51.100.210 cannot be "
        "found",
    ),
    "device missing": ("192.0.2.10", {"dev_name": "eth9"}, ["link missing"], DeviceError, "^eth9 does not exist"),
    "device down": ("198.51.100.1", {"dev_name": "eth1"}, ["link down"], DeviceError, "^eth1 is down"),
    "port of a bond": (
        "198.51.100.1",
        {"dev_name": "eth1"},
        ["bond port"],
        DeviceError,
        "^eth1 is a port of bond0: use bond0$",
    ),
    "port of a VRF": ("198.51.100.1", {"dev_name": "eth1"}, ["vrf port"], DeviceError, "^eth1 is in the VRF red"),
    "source of nobody": (
        "203.0.113.10",
        {"local_ip": "192.0.2.77"},
        ["addresses 4"],
        NextHopError,
        "^local_ip 192.0.2.77 is no address of this host \\(it has 192.0.2.11, 192.0.2.111, 198.51.100.11\\)",
    ),
    "source of nobody, device given": (
        "2001:db8:0:3::10",
        {"local_ip": "2001:db8:0:1::77", "dev_name": "eth1"},
        ["link eth1 up", "addresses 6"],
        NextHopError,
        "\\(eth1 has 2001:db8:0:2::11, fe80::5054:ff:fe00:1\\)",
    ),
    "families": (
        "192.0.2.10",
        {"local_ip": "2001:db8:0:1::11"},
        [],
        NextHopError,
        "^local_ip 2001:db8:0:1::11 and remote_ip 192.0.2.10 must be of one family",
    ),
    "this host, ipv4": ("192.0.2.11", {}, ["route own"], NextHopError, "^the receiver 192.0.2.11 is this host itself"),
    "this host, ipv4 by its device": (
        "192.0.2.11",
        {"dev_name": "eth0"},
        ["link eth0", "route own oif"],
        NextHopError,
        "^the receiver 192.0.2.11 is this host itself: ",
    ),
    "this host, ipv4 loopback": ("127.0.0.1", {}, ["route loopback"], NextHopError, "is this host itself: .* give ::1"),
    "this host, ipv6 by its device": (
        "2001:db8:0:1::11",
        {"dev_name": "eth0"},
        ["link eth0", "route own 6 oif"],
        NextHopError,
        "not reached through eth0: leave dev_name out, or give lo$",
    ),
    "this host, ipv6, with a MAC": ("::1", {"remote_mac": OTHER}, ["route loopback 6"], NextHopError, "remote_mac out"),
    "subnet broadcast": ("192.0.2.255", {}, ["route broadcast"], NextHopError, "^192.0.2.255 is .* type broadcast"),
    "multicast": ("239.1.1.1", {}, [], NextHopError, "^239.1.1.1 is a multicast group: "),
    "multicast, ipv6": ("ff02::1", {"dev_name": "eth0"}, [], NextHopError, "^ff02::1 is a multicast group: "),
    "unspecified": ("0.0.0.0", {}, [], NextHopError, "^0.0.0.0 is no receiver"),
    "unspecified, ipv6": ("::", {}, [], NextHopError, "^:: is no receiver"),
    "link-local without device": ("fe80::1", {}, [], NextHopError, "^fe80::1 is a link-local address: say by dev_name"),
    "no address": ("192.0.2.300", {}, [], AddressError, "no IPv4 address"),
    "no local address": ("192.0.2.10", {"local_ip": "192.0.2.11/24"}, [], AddressError, "prefix length"),
    "MAC with a typo": ("192.0.2.10", {"remote_mac": "52:54:00:12:34:5g"}, [], AddressError, "no MAC address"),
    "null MAC": ("192.0.2.10", {"remote_mac": ZERO}, [], AddressError, "address of no device"),
    "multicast MAC": ("192.0.2.10", {"remote_mac": "01:00:5e:00:00:01"}, [], AddressError, "multicast address"),
}


@pytest.mark.parametrize("iproute2", IPROUTE2_VERSIONS)
@pytest.mark.parametrize(("remote_ip", "given", "script", "error", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(
    tmp_path: Path,
    remote_ip: str,
    given: dict[str, Any],
    script: list[Any],
    error: type[Exception],
    message: str,
    iproute2: str,
) -> None:
    host = FakeHost(script, iproute2=iproute2, sysfs=make_sysfs(tmp_path, ["lo", "eth0", "eth1"]))
    with pytest.raises(error, match=message):
        resolve_next_hop(remote_ip, **given, system=host.system)
    host.finish()


def test_the_answer_is_waited_for_and_polled_slower_and_slower() -> None:
    host = FakeHost(
        [
            "route same subnet",
            "neigh empty",
            "link eth0",
            "provoke 192.0.2.10 eth0",
            *["neigh empty"] * 6,
            "neigh after use",
        ]
    )
    assert resolve_next_hop("192.0.2.10", system=host.system).remote_mac == NEIGHBOUR0
    host.finish()
    assert host.slept == [0.02, 0.04, 0.08, 0.16, 0.25, 0.25]


@pytest.mark.parametrize(("timeout", "looks"), [(0, 1), (0.02, 2), (0.5, 6)])
def test_the_wait_is_bounded(timeout: float, looks: int) -> None:
    host = FakeHost(
        ["route dead", "neigh failed", "link eth0", "provoke 192.0.2.99 eth0", *["neigh incomplete"] * looks]
    )
    with pytest.raises(NextHopError, match="does not answer ARP"):
        resolve_next_hop("192.0.2.99", timeout=timeout, system=host.system)
    host.finish()
    assert sum(host.slept) == pytest.approx(timeout)


def _route(**facts: Any) -> tuple[list[str], str]:
    return ["-json", "-4", "route", "get", "203.0.113.10"], json.dumps([{"dst": "203.0.113.10", **facts}])


# Answers that no recorded version gave, though others may.
@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param([_route(type="blackhole", dev="lo")], "\\(its route is of the type blackhole\\)", id="route type"),
        pytest.param([_route()], "^no route to the receiver 203.0.113.10", id="route without device"),
        pytest.param([(["-json", "-4", "route", "get", "203.0.113.10"], "[{}]")], "\\(ip printed none\\)", id="empty"),
        pytest.param([_route(type="anycast", dev="eth0")], "is an address of the type anycast", id="anycast"),
        pytest.param(
            [
                _route(dev="eth0"),
                (["-json", "-4", "addr", "show", "dev", "eth0"], '[{},{"ifname":"eth0","addr_info":[{}]}]'),
            ],
            "^eth0 has no IPv4 address to send to 203.0.113.10 from",
            id="no source",
        ),
    ],
)
def test_constructed_routes(script: list[Any], message: str) -> None:
    host = FakeHost(script)
    with pytest.raises(NextHopError, match=message):
        resolve_next_hop("203.0.113.10", system=host.system)
    host.finish()


def test_a_device_without_carrier_is_not_waited_for() -> None:
    link = '[{"ifname":"eth0","flags":["NO-CARRIER","BROADCAST","UP"],"link_type":"ether","operstate":"DOWN"}]'
    host = FakeHost(
        ["route same subnet", "neigh empty", (["-json", "-details", "link", "show", "dev", "eth0"], link)],
    )
    with pytest.raises(NextHopError, match=r"^eth0 has no carrier, so the MAC address of the receiver 192.0.2.10 "):
        resolve_next_hop("192.0.2.10", system=host.system)
    host.finish()


def test_a_link_local_source_does_not_leave_the_segment() -> None:
    route = '[{"dst":"2001:db8:0:3::10","gateway":"fe80::1","dev":"eth0","prefsrc":"fe80::5054:ff:fe00:0"}]'
    host = FakeHost([(["-json", "-6", "route", "get", "2001:db8:0:3::10"], route)])
    with pytest.raises(NextHopError, match=r"^the source address fe80::5054:ff:fe00:0 is link-local, so the gateway"):
        resolve_next_hop("2001:db8:0:3::10", system=host.system)
    host.finish()


def test_unusable_ipv6_addresses_are_no_source() -> None:
    addresses = [
        {"family": "inet6", "local": "2001:db8:0:2::1", "tentative": True},
        {"family": "inet6", "local": "2001:db8:0:2::2", "dadfailed": True},
        {"family": "inet6", "local": "fe80::2"},
        {"family": "inet6", "local": "2001:db8:0:2::3"},
    ]
    host = FakeHost(
        [
            "link eth1 up",
            "route oif without route 6",
            (
                ["-json", "-6", "addr", "show", "dev", "eth1"],
                json.dumps([{}, {"ifname": "eth1", "addr_info": addresses}]),
            ),
        ]
    )
    hop = resolve_next_hop("2001:db8:0:3::10", dev_name="eth1", remote_mac=OTHER, system=host.system)
    assert hop.local_ip == "2001:db8:0:2::3"
    host.finish()


def test_a_kernel_that_refuses_to_look_is_a_next_hop_error() -> None:
    host = FakeHost(["route same subnet", "neigh empty", "link eth0"])

    def refuse(address: str, dev_name: str) -> None:
        raise IprouteError(f"the kernel refused to look for {address} on {dev_name}: Operation not permitted")

    system = System(run=host.system.run, provoke=refuse)
    with pytest.raises(NextHopError, match=r"refused to look for 192.0.2.10 on eth0: Operation not permitted"):
        resolve_next_hop("192.0.2.10", system=system)
    host.finish()


def test_another_program_called_ip_is_named() -> None:
    system = System(run=lambda command: CompletedCommand(0, "192.0.2.10 dev eth0", ""))
    with pytest.raises(NextHopError, match="printed no JSON: install iproute2"):
        resolve_next_hop("192.0.2.10", system=system)


class FakeResolver:
    """getaddrinfo with one answer, which knows what it was asked."""

    def __init__(self, *addresses: str, error: Exception | None = None) -> None:
        self._addresses = addresses
        self._error = error
        self.asked: list[tuple[Any, ...]] = []

    def __call__(self, *arguments: Any) -> list[tuple[Any, Any, Any, Any, Any]]:
        self.asked.append(arguments)
        if self._error is not None:
            raise self._error
        return [(0, 0, 0, "", (address, 0)) for address in self._addresses]


@pytest.mark.parametrize(
    ("text", "family", "expected"),
    [
        ("192.0.2.10", None, "192.0.2.10"),
        ("192.0.2.10", 4, "192.0.2.10"),
        ("2001:DB8::10", None, "2001:db8::10"),
        ("2001:db8::10", 6, "2001:db8::10"),
    ],
)
def test_an_address_needs_no_resolver(text: str, family: int | None, expected: str) -> None:
    resolver = FakeResolver()
    assert resolve_remote_ip(text, family=family, lookup=resolver) == expected
    assert resolver.asked == []


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2",
        "192.0.2.300",
        "192.0.2.10.",
        "3221225994",
        "0xc000020a",
        "192.0.2.0x0a",
        "192.0.2.010",
        "192.0.2.10/24",
        "[2001:db8::10]",
        "fe80::1%eth0",
        "2001:db8::/64",
        "",
        " ",
    ],
)
def test_what_looks_like_an_address_has_to_be_one(text: str) -> None:
    resolver = FakeResolver("192.0.2.10")
    with pytest.raises(AddressError):
        resolve_remote_ip(text, lookup=resolver)
    assert resolver.asked == []


@pytest.mark.parametrize(("text", "family"), [("192.0.2.10", 6), ("2001:db8::10", 4)])
def test_an_address_of_another_family(text: str, family: int) -> None:
    with pytest.raises(NextHopError, match=f"is no IPv{family} address: receiver and local_ip must be of one family"):
        resolve_remote_ip(text, family=family, lookup=FakeResolver())


@pytest.mark.parametrize(
    ("family", "wanted"), [(None, socket.AF_UNSPEC), (4, socket.AF_INET), (6, socket.AF_INET6)], ids=str
)
def test_a_name_gives_its_first_address(family: int | None, wanted: int) -> None:
    resolver = FakeResolver("2001:DB8::10", "192.0.2.10")
    assert resolve_remote_ip("log1.example.org", family=family, lookup=resolver) == "2001:db8::10"
    assert resolver.asked == [("log1.example.org", None, wanted, socket.SOCK_DGRAM)]


def test_a_zone_from_the_resolver_is_left_out() -> None:
    assert resolve_remote_ip("log1.local", lookup=FakeResolver("fe80::10%eth0")) == "fe80::10"


@pytest.mark.parametrize(
    ("resolver", "message"),
    [
        pytest.param(
            FakeResolver(error=socket.gaierror(socket.EAI_NONAME, "Name or service not known")),
            "^the name log1.example.org has no IPv4 address on this host \\(Name or service not known\\): correct it",
            id="unknown",
        ),
        pytest.param(
            FakeResolver(error=UnicodeError("label empty or too long")), "\\(label empty or too long\\)", id="no name"
        ),
        pytest.param(FakeResolver(), "has no IPv4 address on this host: give the receiver's address$", id="none"),
    ],
)
def test_a_name_that_does_not_resolve(resolver: FakeResolver, message: str) -> None:
    with pytest.raises(NextHopError, match=message):
        resolve_remote_ip("log1.example.org", family=4, lookup=resolver)


# -- several next hops that are as good (ECMP)
# -----------------------------------------------------------------------------------------------------------

# "ip route get ADDRESS fibmatch" of iproute2 6.1 on kernel 7.2, two next hops, and what the host has of neighbours.
FIBMATCH = (
    '[{"dst":"203.0.113.0/24","flags":[],"nexthops":[{"gateway":"192.0.2.1","dev":"eth0","weight":1,"flags":[%s]},'
    '{"gateway":"198.51.100.1","dev":"eth1","weight":1,"flags":[]}]}]'
)
FIBMATCH_VIA = (
    '[{"dst":"203.0.113.0/24","flags":[],"nexthops":[{"via":{"family":"inet6","host":"fe80::1"},"dev":"eth0",'
    '"weight":1,"flags":[]},{"gateway":"198.51.100.1","dev":"eth1","weight":1,"flags":[]}]}]'
)
FIBMATCH_6 = (
    '[{"dst":"2001:db8:0:3::/64","metric":1024,"flags":[],"pref":"medium","nexthops":[{"gateway":"2001:db8:0:1::1",'
    '"dev":"eth0","weight":1,"flags":[]},{"gateway":"2001:db8:0:2::1","dev":"eth1","weight":1,"flags":[]}]}]'
)
FIB, FIB_6 = (
    ["-json", "-4", "route", "get", "203.0.113.10", "fibmatch"],
    ["-json", "-6", "route", "get", "2001:db8:0:3::10", "fibmatch"],
)
FIB_OIF = ["-json", "-4", "route", "get", "203.0.113.10", "oif", "eth0"]
HOP_0 = _hop("203.0.113.10", "eth0", "192.0.2.11", NEIGHBOUR0, "192.0.2.1")
HOP_1 = _hop("203.0.113.10", "eth1", "198.51.100.11", NEIGHBOUR1, "198.51.100.1")
HOP_0_6 = _hop("2001:db8:0:3::10", "eth0", "2001:db8:0:1::11", NEIGHBOUR0, "2001:db8:0:1::1")
HOP_1_6 = _hop("2001:db8:0:3::10", "eth1", "2001:db8:0:2::11", NEIGHBOUR1, "2001:db8:0:2::1")

# name: (the one found, steps, all that are as good)
EQUAL: dict[str, tuple[NextHop, list[Any], list[NextHop]]] = {
    "two": (
        HOP_0,
        [(FIB, FIBMATCH % ""), "neigh gateway", "neigh gateway eth1", "route gateway oif"],
        [HOP_0, HOP_1],
    ),
    "two, ipv6": (
        HOP_0_6,
        [(FIB_6, FIBMATCH_6), "neigh gateway 6", "neigh gateway eth1 6", "route gateway oif 6"],
        [HOP_0_6, HOP_1_6],
    ),
    "one of them dead": (HOP_1, [(FIB, FIBMATCH % '"dead"'), "neigh gateway eth1"], [HOP_1]),
    "one of them without carrier": (HOP_1, [(FIB, FIBMATCH % '"linkdown"'), "neigh gateway eth1"], [HOP_1]),
    "one of them unknown": (
        HOP_1,
        [
            (FIB, FIBMATCH % ""),
            "neigh empty 192.0.2.1",
            "link eth0",
            "provoke 192.0.2.1 eth0",
            *["neigh empty 192.0.2.1"] * 6,
            "neigh gateway eth1",
        ],
        [HOP_1],
    ),
    "one of them not in the cache any more": (
        HOP_1,
        [
            (FIB, FIBMATCH % ""),
            "neigh empty 192.0.2.1",
            "link eth0",
            "provoke 192.0.2.1 eth0",
            "neigh empty 192.0.2.1",
            "neigh gateway",
            (FIB_OIF, '[{"dst":"203.0.113.10","gateway":"192.0.2.1","dev":"eth0","prefsrc":"192.0.2.11","flags":[]}]'),
            "neigh gateway eth1",
        ],
        [HOP_0, HOP_1],
    ),
    "a gateway of the other family": (
        _hop("203.0.113.10", "eth0", "192.0.2.11", NEIGHBOUR0, "fe80::1"),
        [(FIB, FIBMATCH_VIA), "neigh after use ll", "neigh gateway eth1", "route gateway oif"],
        [_hop("203.0.113.10", "eth0", "192.0.2.11", NEIGHBOUR0, "fe80::1"), HOP_1],
    ),
    "one next hop": (HOP_0, [(FIB, '[{"dst":"default","gateway":"192.0.2.1","dev":"eth0","flags":[]}]')], []),
    "same subnet": (HOP_0, [(FIB, '[{"dst":"192.0.2.0/24","dev":"eth0","scope":"link","flags":[]}]')], []),
}


@pytest.mark.parametrize(("found", "script", "equal"), EQUAL.values(), ids=EQUAL.keys())
def test_equal_next_hops(found: NextHop, script: list[Any], equal: list[NextHop]) -> None:
    host = FakeHost(script)
    assert equal_next_hops(found, system=host.system) == equal
    host.finish()


def test_an_ip_without_fibmatch_knows_of_no_other() -> None:
    system = System(run=lambda command: CompletedCommand(255, "", 'Error: argument "fibmatch" is wrong'))
    assert equal_next_hops(HOP_0, system=system) == []


# -- routes by the port of a master
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bond", "bridge", "team"])
def test_a_route_by_a_port_leads_to_its_master(tmp_path: Path, kind: str) -> None:
    """The address was left on eth0 when it became a port: frames and answers go by the master."""
    port = {"ifname": "eth0", "master": "top0", "linkinfo": {"info_slave_kind": kind}}
    host = FakeHost(
        [
            "route same subnet",
            (["-json", "-details", "link", "show", "dev", "eth0"], json.dumps([port])),
            (
                ["-json", "-4", "neigh", "show", "to", "192.0.2.10", "dev", "top0"],
                json.dumps([{"dst": "192.0.2.10", "lladdr": NEIGHBOUR0, "state": ["REACHABLE"]}]),
            ),
        ],
        sysfs=make_sysfs(tmp_path, ["eth0", "top0"], masters={"eth0": "top0"}),
    )
    assert resolve_next_hop("192.0.2.10", system=host.system) == _hop("192.0.2.10", "top0", "192.0.2.11", NEIGHBOUR0)
    host.finish()


@pytest.mark.parametrize("kind", ["vrf", "openvswitch"])
def test_a_master_that_nothing_is_sent_by_is_not_taken(tmp_path: Path, kind: str) -> None:
    port = {"ifname": "eth0", "master": "top0", "linkinfo": {"info_slave_kind": kind}}
    host = FakeHost(
        [
            "route same subnet",
            (["-json", "-details", "link", "show", "dev", "eth0"], json.dumps([port])),
            "neigh after use",
        ],
        sysfs=make_sysfs(tmp_path, ["eth0", "top0"], masters={"eth0": "top0"}),
    )
    assert resolve_next_hop("192.0.2.10", system=host.system).dev_name == "eth0"
    host.finish()


def test_several_default_routes_the_kernel_has_chosen_one() -> None:
    """ip prints one route, the one of the lowest metric that fits: nothing is left to choose here."""
    two = (
        ["-json", "-4", "route", "get", "203.0.113.10"],
        '[{"dst":"203.0.113.10","gateway":"198.51.100.1","dev":"eth1","prefsrc":"198.51.100.11","flags":[],"cache":[]}]',
    )
    host = FakeHost([two, "neigh gateway eth1"])
    assert resolve_next_hop("203.0.113.10", system=host.system) == HOP_1
    host.finish()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"remote_ip": "0.0.0.0"}, "is no receiver"),
        ({"remote_ip": "224.0.0.1"}, "a multicast group"),
        ({"remote_ip": "fe80::1"}, "say by dev_name"),
        ({"remote_ip": "192.0.2.10", "local_ip": "::1"}, "must be of one family"),
    ],
)
def test_what_is_wrong_on_any_host(given: dict[str, str], words: str) -> None:
    with pytest.raises(NextHopError, match=words):
        check_given(**given)


@pytest.mark.parametrize("remote_ip", ["192.0.2.10", "2001:db8::1", "log1", "log1.example.com"])
def test_what_may_be_right(remote_ip: str) -> None:
    check_given(remote_ip)
