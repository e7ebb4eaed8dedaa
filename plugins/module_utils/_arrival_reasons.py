# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a probe did not arrive, from what the sender and the receiver know. Pure functions on facts, no host is touched.

Facts: the kernel's ``drivers/net/netconsole.c`` and ``net/core/netpoll.c`` for the sender (a target's datagrams are put
on the wire with the addresses and the MAC that it was given, whatever the host's routing says by then), udp(7) and
proc(5) for the receiver.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping

from ._address import BROADCAST_MAC
from ._kmsg import LEVELS, passes

SERVICE = "netconsole-receiver.service"
NOT_PROBED = "not probed (check mode)"


@dataclass(frozen=True)
class UdpSocket:
    """A line of /proc/net/udp or udp6: local address (canonical), port, datagrams dropped since it was opened."""

    local_ip: str
    port: int
    drops: int = 0


@dataclass(frozen=True)
class Receiver:
    """What the receiver knows of itself. ``None`` is: could not be found out.

    ``service`` is systemd's ActiveState of the collector's service, or ``not-found``. ``sockets`` are all UDP sockets
    of the host.
    """

    name: str
    addresses: frozenset[str] = frozenset()
    port: int = 6666
    service: str | None = None
    sockets: tuple[UdpSocket, ...] | None = None
    store: str = "/var/log/netconsole"
    store_present: bool = True
    store_free: int | None = None

    def listens(self, remote_ip: str | None) -> bool | None:
        """Whether a socket takes datagrams that are sent to ``remote_ip`` and the receiver's port."""
        if self.sockets is None:
            return None
        if remote_ip is None:
            return any(entry.port == self.port for entry in self.sockets)
        # A socket on "::" takes IPv4 as well, unless it was told not to, which is not shown.
        wildcards = ("::",) if ":" in remote_ip else ("0.0.0.0", "::")
        return any(entry.port == self.port and entry.local_ip in (remote_ip, *wildcards) for entry in self.sockets)

    @property
    def drops(self) -> int:
        return sum(entry.drops for entry in self.sockets or () if entry.port == self.port)


@dataclass(frozen=True)
class Probe:
    """A probe as its sender returned it (see ``_probe.probe``), with the sender's inventory name."""

    host: str
    nonce: str
    time: float | None = None
    written: bool = True
    level: int = LEVELS.index("notice")
    console_loglevel: int | None = None
    ignore_loglevel: bool = False
    oops_only: bool = False
    loaded: bool = True
    targets: tuple[Mapping[str, Any], ...] | None = None  # None: not told, so that any receiver may be meant

    @property
    def passes(self) -> bool:
        """Whether the kernel gives a line of the probe's level to netconsole."""
        if self.console_loglevel is None:
            return True
        return passes(self.level, console_loglevel=self.console_loglevel, ignore_loglevel=self.ignore_loglevel)


@dataclass(frozen=True)
class LastSeen:
    """The last sign of a sender in the receiver's store, as text (RFC 3339), and whether it is newer than the probe."""

    received: str
    after_probe: bool


@dataclass(frozen=True)
class Case:
    """One probe that is missing at one receiver: everything that a reason may be found in."""

    probe: Probe
    target: Mapping[str, Any]
    receiver: Receiver
    last_seen: LastSeen | None = None

    @property
    def name(self) -> str:
        return str(self.target["name"])


def belongs_to(target: Mapping[str, Any], *, sender: str, receiver: str, addresses: frozenset[str]) -> bool:
    """Whether a sender's target is meant for a receiver: it has the receiver's name, or one of its addresses.

    A loopback address is the sender's own, so it means the receiver only where both are one host.
    """
    if target["name"] == receiver:
        return True
    remote_ip = str(target.get("remote_ip"))
    if is_loopback(remote_ip):
        return sender == receiver
    return remote_ip in addresses


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def hopeless(probe: Probe, target: Mapping[str, Any]) -> bool:
    """Whether the kernel certainly sent nothing to this target, so that nobody has to wait for it."""
    return not target.get("enabled") or not probe.passes or probe.oops_only


def reasons(case: Case) -> list[str]:
    """Why the probe did not arrive, most certain first. Never empty."""
    return [reason for find in _FINDERS for reason in find(case)]


def likely_reason(case: Case) -> str:
    """The first of ``reasons``."""
    return reasons(case)[0]


# -- one function per cause, each gives what it is sure to see ---------------------------------------------------------


def _disabled(case: Case) -> Iterator[str]:
    if not case.target.get("enabled"):
        why = _device_problem(case)
        yield f"target {case.name} is disabled" + (f": {why}" if why else ", by hand or by the kernel")


def _log_level(case: Case) -> Iterator[str]:
    probe = case.probe
    if not probe.passes:
        limit = (
            "nothing at all leaves the host"
            if probe.console_loglevel is not None and probe.console_loglevel <= 0
            else f"a message of level {LEVELS[probe.level]} does not leave the host"
        )
        yield f"console_loglevel is {probe.console_loglevel}, so {limit}: raise it (netconsole_sender_console_loglevel)"


def _oops_only(case: Case) -> Iterator[str]:
    if case.probe.oops_only:
        yield (
            "netconsole's parameter oops_only is set, so messages leave the host only during an oops: "
            "write 0 to /sys/module/netconsole/parameters/oops_only"
        )


def _own_host(case: Case) -> Iterator[str]:
    if case.probe.host == case.receiver.name and case.target.get("dev_name") != "lo":
        yield f"{case.receiver.name} is sender and receiver: what netconsole sends over a wire never comes back"


def _port(case: Case) -> Iterator[str]:
    port = case.target.get("remote_port")
    if port != case.receiver.port:
        yield f"target {case.name} sends to port {port}, but {case.receiver.name} receives on port {case.receiver.port}"


def _device(case: Case) -> Iterator[str]:
    why = _device_problem(case)
    if why:
        yield why


def _device_problem(case: Case) -> str | None:
    target = case.target
    dev_name = target.get("dev_name")
    if target.get("device_present") is False:
        return f"there is no interface {dev_name} on {case.probe.host}"
    if target.get("up") is False:
        return f"interface {dev_name} of {case.probe.host} is down"
    if target.get("carrier") is False:
        return f"interface {dev_name} of {case.probe.host} has no carrier"
    if target.get("operstate") in ("down", "lowerlayerdown"):
        return f"interface {dev_name} of {case.probe.host} does not work (operstate {target['operstate']})"
    return None


def _service(case: Case) -> Iterator[str]:
    receiver = case.receiver
    if receiver.service == "not-found":
        yield f"{SERVICE} is not installed on {receiver.name}: run fleet.netconsole.site"
    elif receiver.service is not None and receiver.service not in ("active", "reloading"):
        yield f"{SERVICE} is not running on {receiver.name} (it is {receiver.service})"


def _listens(case: Case) -> Iterator[str]:
    remote_ip = case.target.get("remote_ip")
    if case.receiver.listens(remote_ip) is False:
        elsewhere = any(entry.port == case.receiver.port for entry in case.receiver.sockets or ())
        where = f" at {remote_ip}" if elsewhere else ""
        yield f"nothing listens on UDP port {case.receiver.port} of {case.receiver.name}{where}"


def _store(case: Case) -> Iterator[str]:
    receiver = case.receiver
    if not receiver.store_present:
        yield f"{receiver.name} has no directory {receiver.store}: the collector stores nowhere, or somewhere else"
    elif receiver.store_free is not None and receiver.store_free == 0:
        yield f"the file system of {receiver.store} on {receiver.name} is full"


def _address(case: Case) -> Iterator[str]:
    remote_ip = case.target.get("remote_ip")
    addresses = case.receiver.addresses
    if remote_ip and addresses and remote_ip not in addresses and not is_loopback(remote_ip):
        shown = ", ".join(sorted(address for address in addresses if not is_loopback(address))) or "no address"
        yield f"target {case.name} sends to {remote_ip}, but {case.receiver.name} has {shown}"


def _next_hop(case: Case) -> Iterator[str]:
    target = case.target
    mac, now = target.get("remote_mac"), target.get("next_hop_mac")
    via = f"the gateway {target['gateway']}" if target.get("gateway") else str(target.get("remote_ip"))
    if mac == BROADCAST_MAC:
        if target.get("gateway"):
            yield (
                f"target {case.name} sends to the broadcast MAC, but {target.get('remote_ip')} is behind {via}, "
                "and no gateway passes broadcasts on"
            )
    elif now is not None and mac != now:
        yield (
            f"target {case.name} sends to the MAC {mac}, but the next hop, {via}, has {now} now: "
            "run fleet.netconsole.site"
        )


def _local_ip(case: Case) -> Iterator[str]:
    if case.target.get("local_ip_on_device") is False:
        yield (
            f"target {case.name} sends from {case.target.get('local_ip')}, which {case.target.get('dev_name')} of "
            f"{case.probe.host} does not have (any more): run fleet.netconsole.site"
        )


def _no_next_hop(case: Case) -> Iterator[str]:
    error = case.target.get("next_hop_error")
    if error:
        yield f"{case.probe.host} does not find the way to {case.target.get('remote_ip')}: {error}"


def _drops(case: Case) -> Iterator[str]:
    receiver = case.receiver
    if receiver.drops:
        yield (
            f"the socket on {receiver.name} has dropped {receiver.drops} datagrams since it was opened, "
            "perhaps this one too: enlarge its receive buffer"
        )


def _transmit_errors(case: Case) -> Iterator[str]:
    errors = case.target.get("transmit_errors")
    if errors:
        dev_name = case.target.get("dev_name")
        yield f"{errors} datagrams of target {case.name} did not get out of {dev_name}, perhaps this one too"


def _between(case: Case) -> Iterator[str]:
    target, seen = case.target, case.last_seen
    source = target.get("local_ip") or case.probe.host
    look = "look between the two hosts (firewall, VLAN, wrong next hop)"
    if target.get("dev_name"):
        look += (
            f"; {case.probe.host} sends from {source} over {target['dev_name']} to the MAC {target.get('remote_mac')}"
        )
    if seen is None:
        yield f"nothing has ever come from {source}: {look}"
    elif seen.after_probe:
        yield f"other messages of {case.probe.host} came later, the last {seen.received}: lost on the way, try again"
    else:
        yield f"nothing has come from {case.probe.host} since {seen.received}: {look}"


# Most certain first. Sure of it: nothing was sent, or nothing could take it. Then: it went to the wrong place, perhaps.
_FINDERS: tuple[Callable[[Case], Iterator[str]], ...] = (
    _disabled,
    _log_level,
    _oops_only,
    _own_host,
    _port,
    _device,
    _service,
    _listens,
    _store,
    _next_hop,
    _address,
    _local_ip,
    _no_next_hop,
    _transmit_errors,
    _drops,
    _between,
)
