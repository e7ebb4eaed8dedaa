# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a sender and a receiver know of their own side of the way that a probe takes. Everything is only read.

Facts: sysfs-class-net of the kernel's ``Documentation/ABI/testing``, RFC 2863 (operstate), ip-address(8), proc(5) for
/proc/net/udp, systemctl(1).
"""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any, Callable, Sequence

from ._address import AddressError, ip_text, normalize_ip
from ._arrival_reasons import SERVICE, Receiver, UdpSocket
from ._configfs import TargetState
from ._device import DeviceError
from ._iproute import SYSTEM, IprouteError, System, ip_json
from ._next_hop import NextHop, NextHopError, resolve_next_hop

NEXT_HOP_TIMEOUT = 1.0  # seconds that the neighbour of one target may take to answer


def addresses_by_device(system: System) -> dict[str, set[str]] | None:
    """The host's IP addresses, canonical, by interface. ``None`` where they cannot be had."""
    result: dict[str, set[str]] = {}
    try:
        for link in ip_json(system, "address", "show"):
            known = result.setdefault(str(link.get("ifname")), set())
            known.update(text for entry in link.get("addr_info", ()) for text in _canonical(str(entry.get("local"))))
    except IprouteError:
        return None
    return result


def _canonical(address: str) -> list[str]:
    try:
        return [normalize_ip(address)]
    except AddressError:
        return []


# -- the sender --------------------------------------------------------------------------------------------------------


@dataclass
class TargetFacts:
    """Tells of each target what may keep its datagrams from leaving or arriving."""

    system: System = SYSTEM
    next_hop: Callable[..., NextHop] = resolve_next_hop

    def of(self, targets: Sequence[TargetState]) -> list[dict[str, Any]]:
        """One flat dictionary for each target: its attributes, and the host's network as it is now.

        Added to the kernel's attributes are ``device_present``, ``up`` (IFF_UP), ``carrier``, ``operstate``,
        ``local_ip_on_device``, ``next_hop_mac`` and ``gateway`` (what the host's routing says now, to compare with
        ``remote_mac``) or else ``next_hop_error``; each ``None`` where it is not known.
        """
        addresses = addresses_by_device(self.system) if any(target.enabled for target in targets) else None
        return [self._target(target, addresses) for target in targets]

    def _target(self, target: TargetState, addresses: dict[str, set[str]] | None) -> dict[str, Any]:
        facts: dict[str, Any] = {key: value for key, value in target.as_dict().items() if key != "userdata"}
        facts.update(self._device(target.dev_name))
        known = addresses is not None and facts["device_present"]
        on_device = target.attributes.get("local_ip") in (addresses or {}).get(target.dev_name, set())
        facts["local_ip_on_device"] = on_device if known else None
        facts.update(self._next_hop(target))
        return facts

    def _device(self, dev_name: str) -> dict[str, Any]:
        path = os.path.join(self.system.sysfs, "class", "net", dev_name)
        present = dev_name not in ("", ".", "..") and "/" not in dev_name and os.path.isdir(path)
        flags = _read_or_none(os.path.join(path, "flags")) if present else None
        carrier = _read_or_none(os.path.join(path, "carrier")) if present else None  # EINVAL while it is down
        return {
            "device_present": present,
            "up": None if flags is None else bool(int(flags, 16) & 1),
            "carrier": None if carrier is None else carrier == "1",
            "operstate": _read_or_none(os.path.join(path, "operstate")) if present else None,
        }

    def _next_hop(self, target: TargetState) -> dict[str, Any]:
        facts: dict[str, Any] = {"next_hop_mac": None, "gateway": None, "next_hop_error": None}
        if target.enabled:
            remote_ip = str(target.attributes["remote_ip"])
            try:
                now = self.next_hop(remote_ip, dev_name=target.dev_name, timeout=NEXT_HOP_TIMEOUT, system=self.system)
                facts.update(next_hop_mac=now.remote_mac, gateway=now.gateway)
            except (AddressError, DeviceError, NextHopError) as error:
                facts["next_hop_error"] = str(error)
        return facts


def _read_or_none(path: str) -> str | None:
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return None


# -- the receiver ------------------------------------------------------------------------------------------------------


@dataclass
class ReceiverFacts:
    """Asks the receiver. Every member can be replaced by a test."""

    system: System = SYSTEM
    systemctl: Callable[[str], str | None] = field(default_factory=lambda: service_state)
    proc_net: str = "/proc/net"

    def of(self, name: str, *, addresses: Sequence[str], port: int, store: str) -> Receiver:
        """The receiver as it is now. ``addresses`` are those that it is known by besides the ones on its interfaces.

        Host names among them are passed over: the receiver may have no DNS, and waiting for it would cost minutes.
        """
        known = {address for given in addresses for address in _canonical(given)}
        for on_device in (addresses_by_device(self.system) or {}).values():
            known |= on_device
        present = os.path.isdir(store)
        return Receiver(
            name=name,
            addresses=frozenset(known),
            port=port,
            service=self.systemctl(SERVICE),
            sockets=self.sockets(),
            store=store,
            store_present=present,
            store_free=os.statvfs(store).f_bavail if present else None,
        )

    def sockets(self) -> tuple[UdpSocket, ...] | None:
        """The UDP sockets of /proc/net/udp and udp6, or ``None`` where neither can be read."""
        texts = []
        for name in ("udp", "udp6"):
            try:
                with open(os.path.join(self.proc_net, name), encoding="ascii") as stream:
                    texts.append(stream.read())
            except OSError:
                continue
        return tuple(entry for text in texts for entry in parse_sockets(text)) if texts else None


def parse_sockets(text: str) -> list[UdpSocket]:
    """The lines of /proc/net/udp or udp6 (proc(5)): ``sl local_address rem_address ... drops``, addresses in
    hexadecimal, each word of 32 bits in the order of the host."""
    result = []
    for line in text.splitlines()[1:]:
        columns = line.split()
        if len(columns) >= 13:
            address, _colon, port = columns[1].partition(":")
            result.append(UdpSocket(local_ip=_hex_address(address), port=int(port, 16), drops=int(columns[12])))
    return result


def _hex_address(text: str) -> str:
    words = [int(text[index : index + 8], 16) for index in range(0, len(text), 8)]
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return ip_text(ipaddress.IPv4Address(packed) if len(packed) == 4 else ipaddress.IPv6Address(packed))


def service_state(unit: str) -> str | None:
    """systemd's ActiveState of a unit, ``not-found`` without such a unit, ``None`` when systemd does not answer."""
    try:
        done = subprocess.run(
            ["systemctl", "show", "--property=LoadState,ActiveState", unit],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    states = dict(line.split("=", 1) for line in done.stdout.decode("ascii", "replace").splitlines() if "=" in line)
    return "not-found" if states.get("LoadState") == "not-found" else states.get("ActiveState")
