# Pre-flight of a network device: can the kernel's netconsole send by it at all, and if not, what to use instead.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Facts: netpoll_setup() and __netpoll_setup() in net/core/netpoll.c (a device with a master: EBUSY;
# IFF_DISABLE_NETPOLL: ENOTSUPP; a device that is down: brought up), and each kind of device tried on the kernels 6.1,
# 6.12 and 7.2 with the wire watched: frames leave by physical devices, VLAN, macvlan, ipvlan, vxlan, bond, bridge and
# team.

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from ._iproute import SYSTEM, IpCommandError, IprouteError, JSONObject, System, ip_json, missing_device_message

LOOPBACK = "lo"
# Seconds. What the kernel itself waits for a carrier when it brings a device up for netconsole (netpoll.c).
CARRIER_TIMEOUT = 4.0
_CARRIER_POLL = 0.1
_IFF_UP = 1  # linux/if.h

# Kinds of devices that netpoll refuses (IFF_DISABLE_NETPOLL), with the kernel release since which it does. No file
# shows the flag. A kernel that has the change without the version refuses when the target is enabled.
NO_NETPOLL_SINCE: t.Mapping[str, tuple[int, int]] = {"hsr": (0, 0), "netkit": (0, 0), "veth": (6, 12)}
# Kinds that hand netpoll on: to all their ports, or to the one device below.
_OVER_PORTS = frozenset({"bond", "bridge", "team"})
_OVER_ONE = frozenset({"macvlan", "macvtap", "vlan"})
# Kinds that let no veth device join while netconsole is enabled on them (tried: a bridge answers 524, a bond EBUSY).
_REFUSES_VETH = frozenset({"bond", "bridge"})
# link_type of iproute2 (ARPHRD_*): what can carry the Ethernet frames that netpoll builds.
_ETHERNET_LINK_TYPES = frozenset({"ether", "loopback"})
_VETH_SINCE = NO_NETPOLL_SINCE["veth"]


class DeviceError(Exception):
    """The kernel would refuse this device, or send nothing by it; the message says why and what to use instead."""


class DeviceDownError(DeviceError):
    """The device is down, and nothing else is wrong with it."""

    def __init__(self, dev_name: str) -> None:
        self.dev_name = dev_name
        super().__init__(
            f"{dev_name} is down: bring it up by the host's network configuration first (netconsole would force it up, "
            "which nobody asked for), or set bring_up to true"
        )


@dataclass(frozen=True)
class Device:
    """A network device that netconsole can send by.

    mac is empty where the device has none, kind is iproute2's info_kind ("" of a physical device), operstate is in
    capitals as iproute2 prints it. arp is false where the device never asks for neighbours (NOARP). warnings are for
    the operator.
    """

    dev_name: str
    mac: str
    operstate: str
    kind: str
    master: str | None
    up: bool
    carrier: bool
    arp: bool = True
    warnings: tuple[str, ...] = ()


def check_device(dev_name: str, *, system: System = SYSTEM) -> Device:
    """The device of this name, when netconsole can send by it. Reads only: nothing is brought up.

    Raises DeviceError for a device that is missing, known by another name, a port of something, a VRF, no carrier of
    Ethernet frames, of a kind that the kernel refuses; DeviceDownError for one that is only down.
    """
    try:
        link = _link(dev_name, system=system)
        _check_name(dev_name, link)
        _check_master(link, system=system)
        _check_kind(link)
        below = _check_netpoll(link, system=system)
    except IprouteError as error:
        raise DeviceError(str(error)) from error
    device = _device(link, below, system=system)
    if not device.up:
        raise DeviceDownError(dev_name)
    return device


def is_up(dev_name: str, *, system: System = SYSTEM) -> bool:
    """Whether a device is up, so that enabling a target on it does not bring it up. True where there is none."""
    path = os.path.join(system.sysfs, "class", "net", dev_name, "flags")
    try:
        with open(path, encoding="ascii") as file:
            return bool(int(file.read(), 16) & _IFF_UP)
    except FileNotFoundError:
        return True


def bring_up(dev_name: str, *, system: System = SYSTEM) -> None:
    """Bring a device up as ip(8) does, and wait for its carrier, CARRIER_TIMEOUT seconds at most.

    A device without a carrier is up all the same: what that means for a target is found when it is resolved.

    Raises DeviceError.
    """
    _set_link(dev_name, "up", system=system)
    deadline = system.clock() + CARRIER_TIMEOUT
    while system.clock() < deadline:
        if "LOWER_UP" in (_link(dev_name, system=system).get("flags") or []):
            return
        system.sleep(_CARRIER_POLL)


def take_down(dev_name: str, *, system: System = SYSTEM) -> None:
    """Undo bring_up. Raises DeviceError."""
    _set_link(dev_name, "down", system=system)


def _set_link(dev_name: str, state: str, *, system: System) -> None:
    command = ["ip", "link", "set", "dev", dev_name, state]
    try:
        done = system.run(command)
    except IprouteError as error:
        raise DeviceError(str(error)) from error
    if done.returncode:
        raise DeviceError(
            f"{dev_name} cannot be brought {state}: {' '.join(done.stderr.split())} ('{' '.join(command)}')"
        )


def _link(dev_name: str, *, system: System) -> JSONObject:
    try:
        links = ip_json(system, "-details", "link", "show", "dev", dev_name)
    except IpCommandError as error:
        if dev_name in os.listdir(os.path.join(system.sysfs, "class", "net")):
            raise
        raise DeviceError(missing_device_message(system, dev_name)) from error
    if not links:
        raise DeviceError(missing_device_message(system, dev_name))
    return links[0]


def _check_name(dev_name: str, link: JSONObject) -> None:
    """ip also finds a device by its alternative names; the kernel would show the primary one from then on."""
    name = link.get("ifname")
    if name != dev_name:
        raise DeviceError(f"{dev_name} is another name of {name}: use {name}")


def top_master(dev_name: str, *, system: System = SYSTEM) -> str:
    """The bond, bridge or team at the top of what this device is a port of; the device itself where it is no port.

    A VRF is no master in this sense, and the one of an Open vSwitch is no device to send by.
    """
    if not os.path.islink(os.path.join(system.sysfs, "class", "net", dev_name, "master")):
        return dev_name
    names = [dev_name]
    for master in _masters(dev_name, system=system)[1:]:
        link = _link(names[-1], system=system)
        if _info(link, "info_slave_kind") not in _OVER_PORTS:
            break
        names.append(master)
    return names[-1]


def _check_master(link: JSONObject, *, system: System) -> None:
    master = link.get("master")
    if not master:
        return
    name = link["ifname"]
    kind = _info(link, "info_slave_kind")
    if kind == "vrf":
        raise DeviceError(
            f"{name} is in the VRF {master}: the kernel refuses netconsole on it, and sends nothing through {master}: "
            "use a device outside of every VRF"
        )
    if kind == "openvswitch":
        raise DeviceError(
            f"{name} is a port of an Open vSwitch: use the device of its bridge that has the host's address"
        )
    masters = _masters(str(master), system=system)
    chain = ", itself a port of ".join(masters)
    raise DeviceError(f"{name} is a port of {chain}: use {masters[-1]}")


def _masters(master: str, *, system: System) -> list[str]:
    """The master and its own masters, upwards (/sys/class/net/<device>/master). A VRF on top is left out."""
    masters = [master]
    while True:
        path = os.path.join(system.sysfs, "class", "net", masters[-1], "master")
        upper = os.path.basename(os.readlink(path)) if os.path.islink(path) else ""
        if not upper or upper in masters:
            return masters
        masters.append(upper)


def _check_kind(link: JSONObject) -> None:
    name, kind, link_type = link["ifname"], _info(link, "info_kind"), link.get("link_type")
    if kind == "vrf":
        raise DeviceError(
            f"{name} is a VRF: the kernel takes it and then sends nothing: use a device outside of every VRF"
        )
    if link_type not in _ETHERNET_LINK_TYPES:
        raise DeviceError(
            f"{name} carries no Ethernet frames ({kind or link_type}): netconsole can send nothing useful by it: use "
            "the Ethernet device below it and a receiver that is reached without the tunnel"
        )


def _check_netpoll(link: JSONObject, *, system: System) -> list[JSONObject]:
    """The devices that netpoll reaches through this one. Refuses one that has IFF_DISABLE_NETPOLL, here or below."""
    name, kind = str(link["ifname"]), _info(link, "info_kind")
    if _refused_by_kernel(kind, system=system):
        raise DeviceError(
            f"{name} is a {kind} device: the kernel {system.kernel_release} has no netconsole on those: "
            "use the physical device, bond or VLAN that leads to the receiver"
        )
    if kind not in _OVER_PORTS | _OVER_ONE:
        return []
    links = {str(other.get("ifname")): other for other in ip_json(system, "-details", "link", "show")}
    found = _below(name, links)
    for below in found:
        kind_below = _info(links[below], "info_kind")
        if _refused_by_kernel(kind_below, system=system):
            raise DeviceError(
                f"{name} runs over {below}, a {kind_below} device: the kernel {system.kernel_release} has no "
                f"netconsole on those, nor on what runs over them: use a device without {kind_below} ports"
            )
    return [links[below] for below in found]


def _refused_by_kernel(kind: str, *, system: System) -> bool:
    return kind in NO_NETPOLL_SINCE and _release(system) >= NO_NETPOLL_SINCE[kind]


def _below(name: str, links: t.Mapping[str, JSONObject]) -> list[str]:
    """The devices that netpoll reaches through a device, itself not among them."""
    found: list[str] = []
    waiting = [name]
    while waiting:
        upper = waiting.pop()
        link = links.get(upper, {})
        kind = _info(link, "info_kind")
        below: list[str] = []
        if kind in _OVER_PORTS:
            below = [other for other, entry in links.items() if entry.get("master") == upper]
        elif kind in _OVER_ONE and link.get("link") in links:
            below = [str(link["link"])]
        new = [other for other in below if other not in found]
        found.extend(new)
        waiting.extend(new)
    return found


def _device(link: JSONObject, below: t.Sequence[JSONObject], *, system: System) -> Device:
    flags = link.get("flags") or []
    return Device(
        dev_name=str(link["ifname"]),
        mac=str(link.get("address") or "").lower(),
        operstate=str(link.get("operstate") or "UNKNOWN"),
        kind=_info(link, "info_kind"),
        master=link.get("master"),
        up="UP" in flags,
        carrier="LOWER_UP" in flags,
        arp="NOARP" not in flags,
        warnings=(*_warnings(link, system=system), *_warnings_below(link, below, system=system)),
    )


def _warnings(link: JSONObject, *, system: System) -> list[str]:
    name, kind = str(link["ifname"]), _info(link, "info_kind")
    warnings = []
    if "LOWER_UP" not in (link.get("flags") or []):
        warnings.append(f"{name} has no carrier: messages are lost until it has")
    folder = os.path.join(system.sysfs, "class", "net", name)
    if any(os.path.exists(os.path.join(folder, entry)) for entry in ("phy80211", "wireless")):
        warnings.append(
            f"{name} is a Wi-Fi device: netconsole is unreliable on those, use a wired one where there is one"
        )
    if kind == "veth":
        warnings.append(f"{name} is a veth device: kernels from 6.12 on have no netconsole on those")
    if kind in _REFUSES_VETH and _release(system) >= _VETH_SINCE:
        warnings.append(
            f"{name} is a {kind}: while netconsole is enabled on it, the kernel lets no veth device (container) join it"
        )
    return warnings


def _warnings_below(link: JSONObject, below: t.Sequence[JSONObject], *, system: System) -> list[str]:
    """What netconsole on a device does to bonds and bridges below it: netpoll is on those too."""
    return [
        f"{link['ifname']} runs over {other['ifname']}, a {_info(other, 'info_kind')}: while netconsole is enabled on "
        f"{link['ifname']}, the kernel lets no veth device (container) join {other['ifname']}"
        for other in below
        if _info(other, "info_kind") in _REFUSES_VETH and _release(system) >= _VETH_SINCE
    ]


def _info(link: JSONObject, key: str) -> str:
    """A value of linkinfo, "" where there is none."""
    linkinfo = link.get("linkinfo") or {}
    return str(linkinfo.get(key) or "")


def _release(system: System) -> tuple[int, int]:
    """Major and minor number of the running kernel; the newest imaginable where it has none."""
    numbers = re.match(r"(\d+)\.(\d+)", system.kernel_release)
    return (int(numbers.group(1)), int(numbers.group(2))) if numbers else (9999, 0)
