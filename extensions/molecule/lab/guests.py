# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guests of the lab and the segments that join them. A further guest is a further entry here.

Addresses are from the documentation ranges (RFC 5737, RFC 3849).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from lab.loaders import LOADERS


@dataclass(frozen=True)
class Link:
    """One NIC on one segment (a shared layer-2 network). `via` are gateways, for guests behind a router."""

    segment: str
    addresses: tuple[str, ...]
    """Interface addresses with their prefix length."""
    via: tuple[str, ...] = ()


@dataclass(frozen=True)
class Guest:
    """What every guest has."""

    name: str
    suite: str
    """A key of suites.SUITES."""
    variables: dict[str, object] = field(default_factory=dict)
    """Host variables for the Ansible inventory."""
    groups: tuple[str, ...] = ()
    """Groups of the inventory, beside the one for its kind. Only guests that run are in them."""


@dataclass(frozen=True)
class Machine(Guest):
    """A virtual machine. eth0 is for ssh from the host, its links are eth1, eth2, ... in this order."""

    links: tuple[Link, ...] = ()
    words: tuple[str, ...] = ()
    """Further words of its kernel command line."""
    memory: int = 512
    """MiB"""
    loader: str = ""
    """A key of loaders.LOADERS: it boots by this from its own disk. Else qemu hands it a kernel."""

    def mac(self, number: int) -> str:
        """MAC address of ethN: local, and the same in every run."""
        digest = hashlib.sha256(f"{self.name} eth{number}".encode()).digest()
        return "52:54:00:" + ":".join(f"{octet:02x}" for octet in digest[:3])


@dataclass(frozen=True)
class Container(Guest):
    """A container with systemd, in a network namespace of its own that has no NIC but lo."""


ROUTER = ("192.0.2.1", "2001:db8:0:1::1")
"""The router's addresses on segment1."""

GATEWAY = ("198.51.100.1", "2001:db8:0:2::1")
"""Its addresses on segment2. They move between its two NICs there when a test has another router take over."""

ROUTES = (
    "sysctl.net.ipv4.ip_forward=1",
    "sysctl.net.ipv6.conf.all.forwarding=1",
    # An address is answered for by the NIC that has it, not by the other one on the same segment.
    "sysctl.net.ipv4.conf.all.arp_ignore=1",
    "sysctl.net.ipv4.conf.all.arp_announce=2",
)
"""Kernel words of a router."""


def _on_segment1(number: int, *, via: tuple[str, ...] = ()) -> tuple[Link, ...]:
    return (Link("segment1", (f"192.0.2.{number}/24", f"2001:db8:0:1::{number}/64"), via=via),)


def _sender(name: str, suite: str, number: int) -> Machine:
    addresses = [f"192.0.2.{number}", f"2001:db8:0:1::{number}"]
    return Machine(name, suite, links=_on_segment1(number), variables={"netconsole_sender_addresses": addresses})


def _edge(name: str, suite: str, number: int) -> Machine:
    """A sender behind the router, with a second NIC that is still without a use."""
    addresses = [f"198.51.100.{number}", f"2001:db8:0:2::{number}"]
    link = Link("segment2", (f"{addresses[0]}/24", f"{addresses[1]}/64"), via=GATEWAY)
    return Machine(
        name,
        suite,
        links=(link, Link("segment2", ())),
        variables={"netconsole_sender_addresses": addresses},
        groups=("lab_edges",),
    )


def _router(name: str, suite: str) -> Machine:
    """Between the segments, with two NICs on segment2."""
    links = (
        Link("segment1", (f"{ROUTER[0]}/24", f"{ROUTER[1]}/64")),
        Link("segment2", (f"{GATEWAY[0]}/24", f"{GATEWAY[1]}/64")),
        Link("segment2", ()),
    )
    return Machine(name, suite, links=links, words=ROUTES, groups=("lab_routers",))


def _booted_by(loader: str, number: int) -> Machine:
    """A sender that boots as a real machine does, named after its boot loader."""
    return replace(_sender(loader, "trixie", number), loader=loader, groups=(LOADERS[loader].group,))


GUESTS: dict[str, Guest] = {
    guest.name: guest
    for guest in (
        Machine(
            "log1",
            "bookworm",
            links=_on_segment1(10, via=ROUTER),
            variables={"netconsole_receiver_address": "192.0.2.10"},
        ),
        _sender("web1", "bookworm", 11),
        _sender("web2", "trixie", 12),
        _router("router", "bookworm"),
        _edge("edge510", "bullseye", 21),
        _edge("edge61", "bookworm", 22),
        _edge("edge612", "trixie", 23),
        _edge("edge7", "trixie-backports", 24),
        *(_booted_by(loader, number) for number, loader in enumerate(LOADERS, start=31)),
        Container("box1", "trixie", groups=("lab_receivers",)),
        Container("box2", "bookworm", groups=("lab_receivers",)),
    )
}

DEMO_GUESTS = ("log1", "web1", "web2")

USUAL_GUESTS = (*DEMO_GUESTS, "box1")
"""Those that are meant where nobody says which."""
