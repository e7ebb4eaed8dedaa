# From a receiver's address to what netconsole has to be told: device, source address and the next hop's MAC address.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# netconsole routes nothing: it builds frames to remote_mac and pushes them out of dev_name (net/core/netpoll.c). So
# the host's own routing is asked once (ip-route(8) "route get", ip-neighbour(8)), in the same way for IPv4 and IPv6.

from __future__ import annotations

import ipaddress
import re
import socket
import typing as t
from dataclasses import dataclass, replace

from ._address import (
    BROADCAST_MAC,
    NULL_MAC,
    AddressError,
    ip_family,
    ip_text,
    normalize_ip,
    normalize_mac,
    normalize_remote_mac,
    parse_ip,
)
from ._device import LOOPBACK, DeviceError, check_device, top_master
from ._iproute import SYSTEM, IpCommandError, IprouteError, JSONObject, System, ip_json

# Neighbour states with a usable MAC address (NUD_VALID of include/net/neighbour.h without NOARP).
_VALID_STATES = frozenset({"DELAY", "PERMANENT", "PROBE", "REACHABLE", "STALE"})
_FAILED_STATE = "FAILED"
_RESOLUTION = {4: "ARP", 6: "neighbour discovery"}
_NO_ROUTE_TYPES = frozenset({"blackhole", "prohibit", "throw", "unreachable"})
_GROUP_TYPES = frozenset({"anycast", "broadcast", "multicast"})
# The kernel asks three times, a second apart; a neighbour that lives answers the first time, in well under 20 ms.
_FIRST_POLL, _SLOWEST_POLL = 0.02, 0.25
_EQUAL_WAIT = 0.5  # seconds, for a next hop that is only needed if it is the one in use

AddressInfo = t.Tuple[t.Any, t.Any, t.Any, t.Any, t.Any]
Lookup = t.Callable[..., t.Sequence[AddressInfo]]


class NextHopError(Exception):
    """No datagram can be sent to this receiver as asked; the message says why and the way out."""


@dataclass(frozen=True)
class NextHop:
    """How to reach a receiver, by the kernel's own attribute names. gateway is None where it is on the segment."""

    remote_ip: str
    dev_name: str
    local_ip: str
    remote_mac: str
    gateway: str | None


@dataclass(frozen=True)
class _Asked:
    """What is wanted, normalised: the receiver, and what the operator fixed."""

    remote_ip: str
    dev_name: str | None
    local_ip: str | None
    remote_mac: str | None
    timeout: float

    @property
    def family(self) -> int:
        return ip_family(self.remote_ip)


@dataclass(frozen=True)
class _Route:
    """What the host's routing says of the receiver; kind is "unicast", "local" or a group type."""

    kind: str
    dev_name: str
    local_ip: str | None
    gateway: str | None


def resolve_next_hop(
    remote_ip: str,
    *,
    dev_name: str | None = None,
    local_ip: str | None = None,
    remote_mac: str | None = None,
    timeout: float = 3.0,
    system: System = SYSTEM,
) -> NextHop:
    """Device, source address and next hop's MAC address for a receiver.

    What is given is checked and kept; the rest comes from the host's routing, asked for exactly what is given (policy
    routing by source included). Rules by firewall mark, user or protocol say nothing of netconsole's frames, which pass
    neither routing nor firewall: the route is that of a datagram without a mark. An unspecified local_ip (0.0.0.0, ::)
    counts as not given, as it does for the kernel. Where the neighbour cache has no MAC address, the kernel is made to
    ask for it and the answer is waited for, timeout seconds at most. Nothing on the host changes but that cache.

    A receiver on this host itself works over lo for IPv6 only, with the MAC address that lo has.

    Raises AddressError for malformed addresses, DeviceError for a device that netconsole cannot use, NextHopError for
    everything else.
    """
    asked = _asked(remote_ip, dev_name=dev_name, local_ip=local_ip, remote_mac=remote_mac, timeout=timeout)
    try:
        if asked.dev_name is not None:
            check_device(asked.dev_name, system=system)
        if asked.local_ip is not None:
            _check_local_ip(asked, system=system)
        return _resolve(asked, system=system)
    except IprouteError as error:
        raise NextHopError(str(error)) from error


def equal_next_hops(hop: NextHop, *, system: System = SYSTEM) -> list[NextHop]:
    """The next hops of the route to a receiver that the kernel takes for as good as the one found (ECMP), that one too.

    Only those that have a MAC address. One that nothing on the host has used lately is no longer in the neighbour cache
    (netconsole itself does not use it), so it is asked, and not waited for long. Empty where the route has one next
    hop. The kernel chooses among them by addresses and by a secret of this boot, so its choice may be another one after
    a reboot or when a next hop came or went: whoever uses one of them already has no reason to change.
    """
    family = ip_family(hop.remote_ip)
    try:
        routes = ip_json(system, f"-{family}", "route", "get", hop.remote_ip, "fibmatch")
    except IprouteError:
        return []
    found: list[NextHop] = []
    for entry in [entry for route in routes for entry in route.get("nexthops") or []]:
        route = _parse_route({"dev": "", **entry})
        if route.gateway is None or not route.dev_name or {"dead", "linkdown"} & set(entry.get("flags") or []):
            continue
        try:
            asked = _Asked(hop.remote_ip, dev_name=None, local_ip=None, remote_mac=None, timeout=_EQUAL_WAIT)
            mac = _neighbour_mac(asked, route, system=system)
            local_ip = _source_through(hop, route.dev_name, system=system)
        except (DeviceError, IprouteError, NextHopError):
            continue  # one that cannot be used now
        found.append(
            NextHop(
                remote_ip=hop.remote_ip,
                dev_name=route.dev_name,
                local_ip=local_ip,
                remote_mac=mac,
                gateway=route.gateway,
            )
        )
    return found


def _source_through(hop: NextHop, dev_name: str, *, system: System) -> str:
    """The source address for a receiver by another device."""
    if dev_name == hop.dev_name:
        return hop.local_ip
    asked = _Asked(remote_ip=hop.remote_ip, dev_name=dev_name, local_ip=None, remote_mac=None, timeout=0)
    return _route(asked, system=system).local_ip or _first_address(asked, dev_name, system=system)


def resolve_remote_ip(name_or_address: str, *, family: int | None = None, lookup: Lookup = socket.getaddrinfo) -> str:
    """The canonical address of a receiver: of an address itself, of a host name the first that getaddrinfo(3) gives.

    family is 4, 6 or None for either. What looks like an IPv4 address has to be one, four numbers long: the shorthands
    of inet_aton(3) are refused.

    Raises AddressError for a malformed address, NextHopError for one of another family and for a name without an
    address.
    """
    if _is_literal(name_or_address):
        address = normalize_ip(name_or_address)
        if family is not None and ip_family(address) != family:
            raise NextHopError(f"{address} is no IPv{family} address: receiver and local_ip must be of one family")
        return address
    wanted = {None: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}[family]
    what = "address" if family is None else f"IPv{family} address"
    try:
        found = lookup(name_or_address, None, wanted, socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NextHopError(
            f"the name {name_or_address} has no {what} on this host ({reason}): correct it, have it resolved "
            "(DNS or /etc/hosts), or give the receiver's address"
        ) from error
    for _family, _type, _protocol, _name, socket_address in found:
        return normalize_ip(str(socket_address[0]).partition("%")[0])
    raise NextHopError(f"the name {name_or_address} has no {what} on this host: give the receiver's address")


def check_given(
    remote_ip: str, *, dev_name: str | None = None, local_ip: str | None = None, remote_mac: str | None = None
) -> None:
    """Refuse what is wrong on any host, without asking this one. Of a receiver given by name nothing is known yet.

    Raises AddressError and NextHopError, as resolve_next_hop would.
    """
    if _is_literal(remote_ip):
        _asked(remote_ip, dev_name=dev_name, local_ip=local_ip, remote_mac=remote_mac, timeout=0)


def _is_literal(name_or_address: str) -> bool:
    """Whether this can only be meant as an address."""
    return ":" in name_or_address or _looks_like_ipv4(name_or_address) or not name_or_address.strip()


def _looks_like_ipv4(text: str) -> bool:
    """Whether the last label is a number, as no top-level domain is (WHATWG URL, "ends in a number")."""
    last = text.rstrip(".").rpartition(".")[2]
    return re.fullmatch(r"0[xX][0-9a-fA-F]*|[0-9]+|[0-9]+/[0-9]+", last) is not None


def _asked(
    remote_ip: str, *, dev_name: str | None, local_ip: str | None, remote_mac: str | None, timeout: float
) -> _Asked:
    """Normalise and check what can be checked without asking the host."""
    remote = parse_ip(remote_ip)
    local = None if local_ip is None else parse_ip(local_ip)
    mac = None if remote_mac is None else _given_mac(remote_mac, dev_name)
    if remote.is_unspecified:
        raise NextHopError(f"{ip_text(remote)} is no receiver: give the receiver's own address")
    if local is not None and local.version != remote.version:
        raise NextHopError(
            f"local_ip {ip_text(local)} and remote_ip {ip_text(remote)} must be of one family, both IPv4 or both IPv6"
        )
    if remote.is_multicast and mac is None:
        raise NextHopError(_group_message(ip_text(remote), "a multicast group"))
    if remote.version == 6 and remote.is_link_local and dev_name is None:
        raise NextHopError(f"{ip_text(remote)} is a link-local address: say by dev_name which segment it is on")
    return _Asked(
        remote_ip=ip_text(remote),
        dev_name=dev_name,
        local_ip=None if local is None or local.is_unspecified else ip_text(local),
        remote_mac=mac,
        timeout=timeout,
    )


def _given_mac(remote_mac: str, dev_name: str | None) -> str:
    """The operator's MAC address. Only on lo the null address is somebody's."""
    if dev_name == LOOPBACK and remote_mac == NULL_MAC:
        return NULL_MAC
    return normalize_remote_mac(remote_mac)


def _group_message(remote_ip: str, group: str) -> str:
    return (
        f"{remote_ip} is {group}: give the receiver's own address, or remote_mac too (for instance 'broadcast') if "
        "every host on the segment may read this kernel's log"
    )


def _check_local_ip(asked: _Asked, *, system: System) -> None:
    """local_ip has to be an address of this host, on whatever device; netconsole itself would send any."""
    addresses = _addresses(system, family=asked.family)
    if any(text == asked.local_ip for _name, text, _entry in addresses):
        return
    has = sorted({text for name, text, _entry in addresses if asked.dev_name in (None, name) and name != LOOPBACK})
    where = asked.dev_name or "it"
    raise NextHopError(
        f"local_ip {asked.local_ip} is no address of this host ({where} has {', '.join(has) if has else 'none'}): "
        "correct it, or leave it out to have it found"
    )


def _resolve(asked: _Asked, *, system: System) -> NextHop:
    route = _route(asked, system=system)
    if route.kind == "local":
        return _on_this_host(asked, route)
    if asked.dev_name is None:
        # A route by the port of a bond, bridge or team: only the master is taken, and only it hears the answers.
        route = replace(route, dev_name=top_master(route.dev_name, system=system))
    if route.kind in _GROUP_TYPES and asked.remote_mac is None:
        raise NextHopError(_group_message(asked.remote_ip, f"an address of the type {route.kind}"))
    local_ip = asked.local_ip or route.local_ip or _first_address(asked, route.dev_name, system=system)
    if route.gateway is not None and parse_ip(local_ip).is_link_local and asked.family == 6:
        raise NextHopError(
            f"the source address {local_ip} is link-local, so the gateway {route.gateway} passes nothing on to the "
            f"receiver {asked.remote_ip}: give {route.dev_name} an IPv6 address of a wider scope"
        )
    return NextHop(
        remote_ip=asked.remote_ip,
        dev_name=route.dev_name,
        local_ip=local_ip,
        remote_mac=asked.remote_mac or _neighbour_mac(asked, route, system=system),
        gateway=route.gateway,
    )


def _route(asked: _Asked, *, system: System) -> _Route:
    """The route that the host itself would take, from the given source, through the given device."""
    arguments = [f"-{asked.family}", "route", "get", asked.remote_ip]
    if asked.local_ip is not None:
        arguments += ["from", asked.local_ip]
    if asked.dev_name is not None:
        arguments += ["oif", asked.dev_name]
    try:
        routes = ip_json(system, *arguments)
        reason = "ip printed none"
    except IpCommandError as error:
        routes, reason = [], error.reason
    if routes:
        reason = f"its route is of the type {routes[0].get('type')}"
    if not routes or routes[0].get("type") in _NO_ROUTE_TYPES or "dev" not in routes[0]:
        if asked.dev_name is not None and asked.remote_mac is not None:  # nothing that a route would have to say
            return _Route(kind="unicast", dev_name=asked.dev_name, local_ip=None, gateway=None)
        raise NextHopError(_no_route_message(asked, reason))
    return _parse_route(routes[0])


def _parse_route(route: JSONObject) -> _Route:
    via = route.get("via") or {}  # a gateway of the other family (RFC 5549): {"family": "inet6", "host": "fe80::1"}
    gateway = route.get("gateway") or via.get("host")
    source = None if route.get("prefsrc") is None else parse_ip(str(route["prefsrc"]))
    if source is not None and source.is_loopback and route["dev"] != LOOPBACK:
        source = None  # while every other address is tentative or not there yet, which lasts for seconds at a boot
    return _Route(
        kind=str(route.get("type") or "unicast"),
        dev_name=str(route["dev"]),
        local_ip=None if source is None else ip_text(source),
        gateway=None if gateway is None else normalize_ip(str(gateway)),
    )


def _no_route_message(asked: _Asked, reason: str) -> str:
    through = "" if asked.dev_name is None else f" through {asked.dev_name}"
    source = "" if asked.local_ip is None else f" from {asked.local_ip}"
    return (
        f"no route to the receiver {asked.remote_ip}{through}{source} ({reason}): give this host a route to it, or "
        "give dev_name and remote_mac"
    )


def _on_this_host(asked: _Asked, route: _Route) -> NextHop:
    """A receiver on this very host: over lo, where the kernel takes back IPv6 and drops IPv4 as martian."""
    if asked.family == 4:
        raise NextHopError(
            f"the receiver {asked.remote_ip} is this host itself: the kernel drops what netconsole sends to an own "
            "IPv4 address: give ::1 or another IPv6 address of this host as remote_ip, or use another receiver"
        )
    if asked.dev_name not in (None, LOOPBACK):
        raise NextHopError(
            f"the receiver {asked.remote_ip} is this host itself and not reached through {asked.dev_name}: leave "
            f"dev_name out, or give {LOOPBACK}"
        )
    if asked.remote_mac not in (None, NULL_MAC):
        raise NextHopError(
            f"the receiver {asked.remote_ip} is this host itself: leave remote_mac out ({LOOPBACK} takes {NULL_MAC} "
            "only)"
        )
    return NextHop(
        remote_ip=asked.remote_ip,
        dev_name=LOOPBACK,
        local_ip=asked.local_ip or route.local_ip or asked.remote_ip,
        remote_mac=NULL_MAC,
        gateway=None,
    )


def _addresses(system: System, *, family: int, dev_name: str | None = None) -> list[tuple[str, str, JSONObject]]:
    """(device, address, iproute2's entry) of every address of a family on this host, or on one device."""
    where = () if dev_name is None else ("dev", dev_name)
    wanted = {4: "inet", 6: "inet6"}[family]
    return [
        (str(link.get("ifname")), normalize_ip(str(entry["local"])), entry)
        for link in ip_json(system, f"-{family}", "addr", "show", *where)
        for entry in link.get("addr_info") or []
        if entry.get("family") == wanted and "local" in entry
    ]


def _first_address(asked: _Asked, dev_name: str, *, system: System) -> str:
    """What the kernel would take where the route names none: the first address, for IPv6 of the receiver's scope."""
    remote_scope = parse_ip(asked.remote_ip).is_link_local
    for _name, text, entry in _addresses(system, family=asked.family, dev_name=dev_name):
        unusable = entry.get("tentative") or entry.get("dadfailed")
        if not unusable and (asked.family == 4 or parse_ip(text).is_link_local == remote_scope):
            return text
    raise NextHopError(
        f"{dev_name} has no IPv{asked.family} address to send to {asked.remote_ip} from: give it one, or give local_ip"
    )


def _neighbour_mac(asked: _Asked, route: _Route, *, system: System) -> str:
    """The next hop's MAC address: from the neighbour cache, which the kernel is made to fill where it has none."""
    address = route.gateway or asked.remote_ip
    mac, state = _cached_neighbour(address, route.dev_name, system=system)
    if mac is not None:
        return mac
    if state in _VALID_STATES:  # and no way to have another one: asking would only spoil a permanent entry
        raise NextHopError(
            f"the neighbour cache gives {_who(asked, route)} no MAC address on {route.dev_name} that one device alone "
            f"has ('ip neigh show to {address} dev {route.dev_name}'): correct the entry, or give remote_mac"
        )
    _check_can_ask(asked, route, system=system)
    system.provoke(address, route.dev_name)
    deadline = system.clock() + asked.timeout
    pause = _FIRST_POLL
    while True:
        mac, state = _cached_neighbour(address, route.dev_name, system=system)
        if mac is not None:
            return mac
        left = deadline - system.clock()
        if state == _FAILED_STATE or left <= 0:
            raise NextHopError(_no_answer_message(asked, route, system=system))
        system.sleep(min(pause, left))
        pause = min(pause * 2, _SLOWEST_POLL)


def _cached_neighbour(address: str, dev_name: str, *, system: System) -> tuple[str | None, str]:
    """(MAC address or None, state or "") of the neighbour cache's entry."""
    for entry in ip_json(system, f"-{ip_family(address)}", "neigh", "show", "to", address, "dev", dev_name):
        states = entry.get("state") or []
        state = str(states[0]) if states else ""
        try:
            mac = normalize_mac(str(entry.get("lladdr") or ""))
        except AddressError:
            return None, state
        # A log goes to a whole segment only where the operator says so: broadcast is never taken from the cache.
        usable = state in _VALID_STATES and mac not in (NULL_MAC, BROADCAST_MAC)
        return (mac if usable else None), state
    return None, ""


def _check_can_ask(asked: _Asked, route: _Route, *, system: System) -> None:
    """Say at once what would make the wait for an answer vain."""
    device = check_device(route.dev_name, system=system)
    if not device.arp:
        raise NextHopError(
            f"{route.dev_name} never looks for neighbours (NOARP), so the MAC address of {_who(asked, route)} cannot "
            "be found: give remote_mac, or use a device that does"
        )
    if not device.carrier:
        raise NextHopError(
            f"{route.dev_name} has no carrier, so the MAC address of {_who(asked, route)} cannot be found: check the "
            "cable and the other end, or give remote_mac"
        )


def _who(asked: _Asked, route: _Route) -> str:
    if route.gateway is None:
        return f"the receiver {asked.remote_ip}"
    return f"the gateway {route.gateway} to the receiver {asked.remote_ip}"


def _no_answer_message(asked: _Asked, route: _Route, *, system: System) -> str:
    address = route.gateway or asked.remote_ip
    return (
        f"{_who(asked, route)} does not answer {_RESOLUTION[ip_family(address)]} on {route.dev_name}"
        f"{_foreign_subnet_hint(asked, route, system=system)}: check that it is up, and cable, VLAN and firewall, or "
        "give remote_mac"
    )


def _foreign_subnet_hint(asked: _Asked, route: _Route, *, system: System) -> str:
    """Given a device without a route to an IPv4 receiver, the kernel assumes that it is on the segment."""
    if asked.family != 4 or asked.dev_name is None or route.gateway is not None:
        return ""
    receiver = parse_ip(asked.remote_ip)
    for _name, text, entry in _addresses(system, family=4, dev_name=route.dev_name):
        if receiver in ipaddress.ip_network(f"{text}/{entry.get('prefixlen', 32)}", strict=False):
            return ""
    return (
        f" (which has no address in its subnet and no gateway to it: leave dev_name out if {route.dev_name} was a "
        "guess)"
    )
