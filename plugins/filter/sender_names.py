# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The senders of an inventory by the addresses that their messages come from. Runs on the controller, touches no host.

from __future__ import annotations

DOCUMENTATION = r"""
name: sender_names
short_description: Give every address that a sender's messages come from the sender's inventory name
version_added: 1.0.0
author:
  - The fleet.netconsole authors (@fleet-netconsole)
description:
  - Gives a dictionary of addresses and inventory names. A receiver names its files by it, so that no DNS is asked while
    messages arrive.
  - A sender's addresses are its variable C(netconsole_sender_addresses). When that is not set, they are its
    C(ansible_host) if that is an address, else all addresses that its C(ansible_host), or else its inventory name,
    resolves to on the controller.
  - Addresses are spelt as the receiver's C library spells them, IPv6 compressed in lower case, IPv4 in IPv6 as IPv4.
    The zone of a link-local address (C(%eth1)) is left out.
  - A name that does not resolve is warned of and left out, because the sender still sends and its messages are still
    kept, by address.
  - Two senders with one address are an error, because the receiver could not tell them apart.
requirements:
  - netaddr (Python package, on the controller)
extends_documentation_fragment: fleet.netconsole._hostvars
positional: hostvars
options:
  _input:
    description: The inventory names of the senders.
    type: list
    elements: str
    required: true
seealso:
  - plugin: fleet.netconsole.netconsole_receiver
    plugin_type: role
"""

EXAMPLES = r"""
---
- name: Show which sender is known by which address
  ansible.builtin.debug:
    msg: "{{ groups['netconsole_senders'] | fleet.netconsole.sender_names(hostvars) }}"

# web1 has netconsole_sender_addresses: [192.0.2.11, "2001:DB8::0:11"], web2 has ansible_host: 192.0.2.12
# => {"192.0.2.11": "web1", "192.0.2.12": "web2", "2001:db8::11": "web1"}
"""

RETURN = r"""
_value:
  description: Inventory names by address, sorted by address, so that the same inventory gives the same text.
  type: dict
  sample:
    192.0.2.11: web1
    2001:db8::11: web1
"""

import re
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

try:
    import netaddr
except ImportError:
    NETADDR_MISSING = True
else:
    NETADDR_MISSING = False

RESOLVERS = 32
"""Names resolved at once: thousands of names at a slow name server take seconds, not hours."""

NAMES_SHOWN = 5

display = Display()


def sender_names(senders: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Inventory names by canonical address. Raises AnsibleFilterError, naming the hosts that cannot be told apart."""
    if NETADDR_MISSING:
        raise AnsibleFilterError(
            "the filter fleet.netconsole.sender_names needs the Python package netaddr on the controller: "
            "install netaddr (Debian: python3-netaddr) for the Python that runs Ansible"
        )
    addresses: dict[str, list[str]] = {}
    to_resolve: dict[str, str] = {}
    for sender in senders:
        known = _known_addresses(_file_name(sender), hostvars)
        if isinstance(known, str):
            to_resolve[sender] = known
        else:
            addresses[sender] = known
    resolved = _resolve_all(sorted(set(to_resolve.values())))
    for sender, name in to_resolve.items():
        addresses[sender] = resolved[name]
    _warn_of_unresolved([sender for sender, name in to_resolve.items() if not resolved[name]])
    return _by_address({sender: addresses[sender] for sender in senders})


def _file_name(sender: str) -> str:
    """The name itself, once it is sure that a file in the store can have it (rsyslog writes <store>/<name>.log)."""
    if sender.startswith(".") or re.search(r"[/\x00-\x1f\x7f]", sender) or len(sender.encode()) > 240:
        raise AnsibleFilterError(
            f"the inventory name {sender!r} cannot name a file of the receiver: it must not hold '/' or control "
            "characters, start with '.', or be longer than 240 bytes. Rename the host"
        )
    return sender


def _known_addresses(sender: str, hostvars: Mapping[str, Mapping[str, Any]]) -> list[str] | str:
    """The addresses that the inventory gives for this sender, or the name that has to be resolved instead."""
    if sender not in hostvars:
        raise AnsibleFilterError(f"sender {sender} is not in the inventory: check the spelling, or add it")
    variables = hostvars[sender]
    given = variables.get("netconsole_sender_addresses")
    if given is not None:
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise AnsibleFilterError(f"netconsole_sender_addresses of {sender} is {given!r}: it has to be a list")
        return [_required_address(text, sender) for text in given]
    name = str(variables.get("ansible_host") or sender)
    address = canonical_address(name)
    return name if address is None else [address]


def _required_address(text: Any, sender: str) -> str:
    address = canonical_address(str(text))
    if address is None:
        raise AnsibleFilterError(
            f"netconsole_sender_addresses of {sender} holds {text!r}: it has to be an IPv4 or IPv6 address, "
            "without a prefix length"
        )
    return address


def canonical_address(text: str) -> str | None:
    """An address as inet_ntop(3) spells it, or None when it is none.

    The zone of a link-local one (fe80::1%eth1) is left out: it names an interface of whoever writes it down.
    """
    bare, percent, zone = text.partition("%")
    try:
        address = netaddr.IPAddress(bare, flags=netaddr.INET_PTON)
    except (netaddr.AddrFormatError, ValueError):
        return None
    if address.version == 6 and address.is_ipv4_mapped():
        address = address.ipv4()
    if percent and (address.version == 4 or not zone):
        return None
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return socket.inet_ntop(family, address.packed)


def resolve(name: str) -> list[str]:
    """All addresses of a name by the controller's resolver, canonical. Empty when there is none."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return []
    addresses = (canonical_address(str(entry[4][0])) for entry in found)
    return sorted({address for address in addresses if address is not None})


def _resolve_all(names: Sequence[str]) -> dict[str, list[str]]:
    if not names:
        return {}
    with ThreadPoolExecutor(max_workers=RESOLVERS) as pool:
        return dict(zip(names, pool.map(resolve, names), strict=True))


def _warn_of_unresolved(senders: Sequence[str]) -> None:
    if not senders:
        return
    shown = ", ".join(senders[:NAMES_SHOWN]) + (" ..." if len(senders) > NAMES_SHOWN else "")
    display.warning(
        f"{len(senders)} sender(s) have no known address, their messages are kept by address: {shown}. "
        "The name does not resolve on the controller: set netconsole_sender_addresses"
    )


def _by_address(addresses: Mapping[str, Sequence[str]]) -> dict[str, str]:
    names: dict[str, str] = {}
    for sender, own in addresses.items():
        for address in own:
            other = names.setdefault(address, sender)
            if other != sender:
                raise AnsibleFilterError(
                    f"{other} and {sender} both have the address {address}: the receiver could not tell them apart. "
                    "Set netconsole_sender_addresses of each to the addresses that its own messages come from"
                    + (" (the zone of a link-local one does not count)" if address.startswith("fe80:") else "")
                )
    return dict(sorted(names.items()))


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"sender_names": sender_names}
