# Unit tests of _device: every kind of device as a real iproute2 shows it, and what netconsole can do with it.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._command import CompletedCommand
from ansible_collections.fleet.netconsole.plugins.module_utils._device import (
    CARRIER_TIMEOUT,
    Device,
    DeviceDownError,
    DeviceError,
    bring_up,
    check_device,
    take_down,
    top_master,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._iproute import System
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_host import (
    IPROUTE2_VERSIONS,
    FakeHost,
    make_sysfs,
)

DEVICES = ("lo", "eth0", "eth1", "bond0", "br0", "team0", "red")

# name: (device, steps, kind, carrier, arp, beginning of each warning)
USABLE: dict[str, tuple[str, list[Any], str, bool, bool, list[str]]] = {
    "physical": ("eth0", ["link eth0"], "", True, True, []),
    "loopback": ("lo", ["link lo"], "", True, True, []),
    "bond": (
        "bond0",
        ["bond", "all links, bridge without ports"],
        "bond",
        True,
        True,
        ["bond0 is a bond: while netconsole is enabled on it, the kernel lets no veth device (container) join it"],
    ),
    "bridge": (
        "br1",
        ["link bridge without ports", "all links, bridge without ports"],
        "bridge",
        False,
        True,
        ["br1 has no carrier", "br1 is a bridge: while netconsole is enabled on it"],
    ),
    "vlan": ("eth0.5", ["link eth0.5", "all links, bridge without ports"], "vlan", True, True, []),
    "macvlan": ("mv0", ["link mv0", "all links, bridge without ports"], "macvlan", True, True, []),
    "vxlan": ("vx0", ["link vx0"], "vxlan", True, True, []),
    "dummy": ("dum0", ["link dum0"], "dummy", True, False, []),
}


@pytest.mark.parametrize("iproute2", IPROUTE2_VERSIONS)
@pytest.mark.parametrize(
    ("dev_name", "script", "kind", "carrier", "arp", "warnings"), USABLE.values(), ids=USABLE.keys()
)
def test_usable(
    tmp_path: Path,
    dev_name: str,
    script: list[Any],
    kind: str,
    carrier: bool,
    arp: bool,
    warnings: list[str],
    iproute2: str,
) -> None:
    host = FakeHost(script, iproute2=iproute2, sysfs=make_sysfs(tmp_path, DEVICES))
    device = check_device(dev_name, system=host.system)
    host.finish()
    assert (device.dev_name, device.kind, device.up, device.carrier, device.arp) == (dev_name, kind, True, carrier, arp)
    assert device.master is None
    assert len(device.warnings) == len(warnings)
    for number, start in enumerate(warnings):
        assert device.warnings[number].startswith(start)


def test_all_facts_of_a_device(tmp_path: Path) -> None:
    host = FakeHost(["link eth0"], sysfs=make_sysfs(tmp_path, DEVICES))
    assert check_device("eth0", system=host.system) == Device(
        dev_name="eth0",
        mac="52:54:00:00:00:00",
        operstate="UP",
        kind="",
        master=None,
        up=True,
        carrier=True,
        arp=True,
        warnings=(),
    )


# name: (device, steps, message)
UNUSABLE: dict[str, tuple[str, list[Any], str]] = {
    "missing": ("eth9", ["link missing"], "^eth9 does not exist on this host: it has bond0, br0, eth0, eth1"),
    "down": ("eth1", ["link down"], "^eth1 is down: bring it up"),
    "port of a bond": ("eth1", ["bond port"], "^eth1 is a port of bond0: use bond0$"),
    "port of a bridge": ("eth1", ["bridge port"], "^eth1 is a port of br0: use br0$"),
    "port of a team": ("eth1", ["team port"], "^eth1 is a port of team0: use team0$"),
    "port of a VRF": ("eth1", ["vrf port"], "^eth1 is in the VRF red: .* use a device outside of every VRF$"),
    "VRF": ("red", ["vrf"], "^red is a VRF: the kernel takes it and then sends nothing"),
    "alternative name": ("enx525400000001", ["altname"], "^enx525400000001 is another name of eth0: use eth0$"),
    "wireguard": ("wg0", ["link wg0"], "^wg0 carries no Ethernet frames \\(wireguard\\)"),
    "tun": ("tun0", ["link tun0"], "^tun0 carries no Ethernet frames \\(tun\\)"),
    "veth": ("ve0", ["link ve0"], "^ve0 is a veth device: the kernel 6.12.107.* has no netconsole on those"),
    "bridge over veth": (
        "br1",
        ["link br1", "all links, veth in a bridge"],
        "^br1 runs over ve1, a veth device: .* use a device without veth ports$",
    ),
    "VLAN over a bridge over veth": (
        "br1.7",
        ["link br1.7", "all links, veth in a bridge"],
        "^br1.7 runs over ve1, a veth device",
    ),
}


@pytest.mark.parametrize("iproute2", IPROUTE2_VERSIONS)
@pytest.mark.parametrize(("dev_name", "script", "message"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_unusable(tmp_path: Path, dev_name: str, script: list[Any], message: str, iproute2: str) -> None:
    host = FakeHost(script, iproute2=iproute2, sysfs=make_sysfs(tmp_path, DEVICES))
    with pytest.raises(DeviceError, match=message):
        check_device(dev_name, system=host.system)
    host.finish()


def test_the_outermost_master_is_the_one_to_use(tmp_path: Path) -> None:
    host = FakeHost(["bond port in a bridge"], sysfs=make_sysfs(tmp_path, DEVICES, masters={"bond0": "br0"}))
    with pytest.raises(DeviceError, match=r"^eth1 is a port of bond0, itself a port of br0: use br0$"):
        check_device("eth1", system=host.system)
    host.finish()


@pytest.mark.parametrize(
    ("kernel_release", "taken"),
    [
        ("5.10.0-32-amd64", True),
        ("6.1.0-50-amd64", True),
        ("6.11.0", True),
        ("6.12.0", False),
        ("6.17.0-14-generic", False),
        ("7.2.13+deb14-amd64", False),
        ("unreadable", False),
    ],
)
def test_veth_is_refused_since_kernel_6_12(tmp_path: Path, kernel_release: str, taken: bool) -> None:
    sysfs = make_sysfs(tmp_path, DEVICES)
    veth = FakeHost(["link ve0"], kernel_release=kernel_release, sysfs=sysfs)
    bridge = FakeHost(["link br1", "all links, veth in a bridge"], kernel_release=kernel_release, sysfs=sysfs)
    if taken:
        (warning,) = check_device("ve0", system=veth.system).warnings
        assert warning.startswith("ve0 is a veth device: kernels from 6.12 on have no netconsole")
        assert check_device("br1", system=bridge.system).warnings == ()
    else:
        with pytest.raises(DeviceError, match="has no netconsole on those"):
            check_device("ve0", system=veth.system)
        with pytest.raises(DeviceError, match="runs over ve1"):
            check_device("br1", system=bridge.system)
    veth.finish()
    bridge.finish()


def _link(**facts: Any) -> tuple[list[str], str]:
    link = {
        "ifname": "eth0",
        "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
        "operstate": "UP",
        "link_type": "ether",
        "address": "52:54:00:00:00:00",
    }
    return ["-json", "-details", "link", "show", "dev", "eth0"], json.dumps([{}, {**link, **facts}])


# What the machine for the records could not have: (facts of the link, message or None, beginnings of the warnings)
CONSTRUCTED: dict[str, tuple[dict[str, Any], str | None, list[str]]] = {
    "port of an Open vSwitch": (
        {"master": "ovs-system", "linkinfo": {"info_slave_kind": "openvswitch"}},
        "^eth0 is a port of an Open vSwitch: use the device of its bridge",
        [],
    ),
    "port of a master of unknown kind": ({"master": "odd0"}, "^eth0 is a port of odd0: use odd0$", []),
    "netkit": ({"linkinfo": {"info_kind": "netkit"}}, "^eth0 is a netkit device", []),
    "hsr": ({"linkinfo": {"info_kind": "hsr"}}, "^eth0 is a hsr device", []),
    "infiniband": ({"link_type": "infiniband"}, "^eth0 carries no Ethernet frames \\(infiniband\\)", []),
    "no carrier": (
        {"flags": ["NO-CARRIER", "BROADCAST", "UP"], "operstate": "DOWN"},
        None,
        ["eth0 has no carrier: messages are lost until it has"],
    ),
    "no facts but the name": ({"flags": None, "linkinfo": None, "operstate": None}, "^eth0 is down", []),
}


LINK_COMMON: dict[str, Any] = {
    "flags": ["UP", "LOWER_UP"],
    "operstate": "UP",
    "link_type": "ether",
    "address": "52:54:00:00:00:00",
}
BELOW: list[dict[str, Any]] = [
    {"ifname": "eth0", "linkinfo": {"info_kind": "macvlan"}, "link": "br0"},
    {"ifname": "br0", "linkinfo": {"info_kind": "bridge"}},
    {"ifname": "bond0", "linkinfo": {"info_kind": "bond"}, "master": "br0"},
    {"ifname": "eth1", "master": "bond0"},
]


@pytest.mark.parametrize(("kernel_release", "warned"), [("6.11.0", False), ("6.12.107+deb13-amd64", True)])
def test_a_device_over_a_bridge_over_a_bond_tells_of_both(tmp_path: Path, kernel_release: str, warned: bool) -> None:
    links = [{**LINK_COMMON, **link} for link in BELOW]
    script = [_link(**links[0]), (["-json", "-details", "link", "show"], json.dumps(links))]
    host = FakeHost(script, kernel_release=kernel_release, sysfs=make_sysfs(tmp_path, DEVICES))
    warnings = check_device("eth0", system=host.system).warnings
    host.finish()
    assert [warning.split(":")[0] for warning in warnings] == (
        ["eth0 runs over br0, a bridge", "eth0 runs over bond0, a bond"] if warned else []
    )
    assert all("veth device (container) join b" in warning for warning in warnings)


@pytest.mark.parametrize(("facts", "message", "warnings"), CONSTRUCTED.values(), ids=CONSTRUCTED.keys())
def test_constructed(tmp_path: Path, facts: dict[str, Any], message: str | None, warnings: list[str]) -> None:
    host = FakeHost([_link(**facts)], sysfs=make_sysfs(tmp_path, DEVICES), kernel_release="5.10.0")
    if message is None:
        assert list(check_device("eth0", system=host.system).warnings) == warnings
    else:
        with pytest.raises(DeviceError, match=message):
            check_device("eth0", system=host.system)
    host.finish()


def test_wifi_is_warned_of(tmp_path: Path) -> None:
    host = FakeHost(["link eth0"], sysfs=make_sysfs(tmp_path, DEVICES, wifi=["eth0"]))
    (warning,) = check_device("eth0", system=host.system).warnings
    assert warning.startswith("eth0 is a Wi-Fi device")


def test_a_host_without_devices_says_so(tmp_path: Path) -> None:
    host = FakeHost(["link missing"], sysfs=make_sysfs(tmp_path, ["lo"]))
    with pytest.raises(DeviceError, match=r"^eth9 does not exist on this host: it has no network device but lo$"):
        check_device("eth9", system=host.system)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(CompletedCommand(255, "", "Error: something else\n"), "failed: something else$", id="other error"),
        pytest.param(CompletedCommand(1, "", ""), "failed: exit status 1$", id="no words"),
        pytest.param(CompletedCommand(0, "1: lo: <LOOPBACK>", ""), "printed no JSON: install iproute2", id="busybox"),
        pytest.param(CompletedCommand(0, "{}", ""), "printed a JSON dict instead of a list", id="no list"),
    ],
)
def test_a_failing_ip_is_a_device_error(tmp_path: Path, answer: CompletedCommand, message: str) -> None:
    system = System(run=lambda command: answer, sysfs=str(make_sysfs(tmp_path, DEVICES)))
    with pytest.raises(DeviceError, match=message):
        check_device("eth0", system=system)


@pytest.mark.parametrize("output", ["", "[]", "[{}]", "[null]"])
def test_no_link_means_missing(tmp_path: Path, output: str) -> None:
    sysfs = make_sysfs(tmp_path, ["lo", "eth1"])
    system = System(run=lambda command: CompletedCommand(0, output, ""), sysfs=str(sysfs))
    with pytest.raises(DeviceError, match=r"^eth0 does not exist on this host: it has eth1$"):
        check_device("eth0", system=system)


# -- bringing a device up
# -------------------------------------------------------------------------------------------------------------------


def _set(state: str, dev_name: str = "eth0") -> tuple[list[str], str]:
    return ["link", "set", "dev", dev_name, state], ""


NO_CARRIER = {"flags": ["NO-CARRIER", "BROADCAST", "UP"]}


def test_a_device_that_is_down_is_told_from_one_that_is_wrong(tmp_path: Path) -> None:
    host = FakeHost(["link down"], sysfs=make_sysfs(tmp_path, DEVICES))
    with pytest.raises(DeviceDownError, match=r"or set bring_up to true$") as error:
        check_device("eth1", system=host.system)
    assert error.value.dev_name == "eth1"


def test_it_is_brought_up_and_its_carrier_waited_for(tmp_path: Path) -> None:
    host = FakeHost([_set("up"), _link(**NO_CARRIER), _link(**NO_CARRIER), _link()], sysfs=tmp_path)
    bring_up("eth0", system=host.system)
    host.finish()
    assert len(host.slept) == 2


def test_the_wait_for_a_carrier_ends(tmp_path: Path) -> None:
    host = FakeHost([_set("up"), *[_link(**NO_CARRIER)] * 41], sysfs=tmp_path)
    bring_up("eth0", system=host.system)
    assert CARRIER_TIMEOUT <= sum(host.slept) < CARRIER_TIMEOUT + 0.2


def test_it_is_taken_down_again() -> None:
    host = FakeHost([_set("down")])
    take_down("eth0", system=host.system)
    host.finish()


def test_a_device_that_cannot_be_brought_up_says_why() -> None:
    system = System(run=lambda command: CompletedCommand(2, "", "RTNETLINK answers: Operation not permitted\n"))
    with pytest.raises(DeviceError, match=r"^eth0 cannot be brought up: RTNETLINK answers: Operation not permitted"):
        bring_up("eth0", system=system)


@pytest.mark.parametrize(
    ("device", "masters", "kinds", "top"),
    [
        pytest.param("eth0", {}, {}, "eth0", id="no port"),
        pytest.param("eth1", {"eth1": "bond0"}, {"eth1": "bond"}, "bond0", id="port of a bond"),
        pytest.param(
            "eth1", {"eth1": "bond0", "bond0": "br0"}, {"eth1": "bond", "bond0": "bridge"}, "br0", id="bond in a bridge"
        ),
        pytest.param("eth1", {"eth1": "red"}, {"eth1": "vrf"}, "eth1", id="port of a VRF"),
        pytest.param(
            "eth1", {"eth1": "bond0", "bond0": "red"}, {"eth1": "bond", "bond0": "vrf"}, "bond0", id="bond in a VRF"
        ),
    ],
)
def test_top_master(tmp_path: Path, device: str, masters: dict[str, str], kinds: dict[str, str], top: str) -> None:
    script = [
        (
            ["-json", "-details", "link", "show", "dev", name],
            json.dumps([{"ifname": name, "master": masters[name], "linkinfo": {"info_slave_kind": kind}}]),
        )
        for name, kind in kinds.items()
    ]
    host = FakeHost(script, sysfs=make_sysfs(tmp_path, DEVICES, masters=masters))
    assert top_master(device, system=host.system) == top
    host.finish()
