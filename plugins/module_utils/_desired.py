# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a declared target to a desired one: everything that was left out comes from the host's own routing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Callable, Mapping, Sequence

from ._address import BROADCAST_MAC, normalize_ip, normalize_remote_mac
from ._configfs import TargetState, Value
from ._declaration import DeclaredTarget
from ._device import bring_up, check_device, is_up, take_down
from ._iproute import SYSTEM, Remembering, System
from ._next_hop import NextHop, NextHopError, equal_next_hops, resolve_next_hop, resolve_remote_ip


@dataclass(frozen=True)
class DesiredTarget:
    """A declared target with everything resolved: what the kernel shall show afterwards.

    ``successor`` is the target that takes the place of one that goes. ``unreadable`` are attributes of which this
    kernel does not show the truth.
    """

    name: str
    present: bool
    attributes: Mapping[str, Value] = field(default_factory=dict)  # writable attributes, switches and ``enabled``
    userdata: Mapping[str, str] | None = None
    next_hop: NextHop | None = None
    successor: str = ""
    unreadable: frozenset[str] = frozenset()

    @property
    def enabled(self) -> bool:
        return bool(self.attributes["enabled"])


@dataclass(frozen=True)
class Network:
    """The host's network as the engine asks it. Tests put tables in its place.

    ``equal_next_hops`` gives, for a next hop, the others of the same route that are as good (ECMP).
    """

    remote_ip: Callable[..., str] = resolve_remote_ip
    next_hop: Callable[..., NextHop] = resolve_next_hop
    device_warnings: Callable[[str], Sequence[str]] = lambda dev_name: check_device(dev_name).warnings
    equal_next_hops: Callable[[NextHop], Sequence[NextHop]] = equal_next_hops
    bring_up: Callable[[str], None] = bring_up
    take_down: Callable[[str], None] = take_down
    is_up: Callable[[str], bool] = is_up


def host_network(system: System = SYSTEM) -> Network:
    """This host's network for one run: links and addresses are asked for once, and again after a device was changed."""
    memory = Remembering(system)

    def change(step: Callable[..., None], dev_name: str) -> None:
        memory.forget()
        step(dev_name, system=system)

    return Network(
        next_hop=lambda remote_ip, **given: resolve_next_hop(remote_ip, system=memory.system, **given),
        device_warnings=lambda dev_name: check_device(dev_name, system=memory.system).warnings,
        equal_next_hops=lambda hop: equal_next_hops(hop, system=memory.system),
        bring_up=lambda dev_name: change(bring_up, dev_name),
        take_down=lambda dev_name: change(take_down, dev_name),
        is_up=lambda dev_name: is_up(dev_name, system=system),
    )


def resolve(
    declared: DeclaredTarget, network: Network, observed: TargetState | None = None
) -> tuple[DesiredTarget, list[str]]:
    """Fill in what was not given from the host's routing, and check that the kernel will be able to send.

    ``observed`` is the target as it is: of several next hops that are as good, it keeps the one that it has. Returns
    warnings too. Raises NextHopError or DeviceError when nothing can be sent to this receiver now.
    """
    if not declared.present:
        return DesiredTarget(name=declared.name, present=False), []
    hop = network.next_hop(
        _remote_ip(declared, network),
        dev_name=declared.dev_name,
        local_ip=declared.local_ip,
        remote_mac=declared.remote_mac,
    )
    if declared.remote_mac is None and observed is not None:
        hop = _kept(hop, declared, observed, network)
    warnings: list[str] = []
    if declared.enabled:
        warnings.extend(network.device_warnings(hop.dev_name))
    if hop.remote_mac == BROADCAST_MAC:
        warnings.append(
            f"target {declared.name}: remote_mac is the broadcast address: every host on the segment of "
            f"{hop.dev_name} can read this host's kernel messages"
        )
    attributes: dict[str, Value] = {
        "dev_name": hop.dev_name,
        "remote_ip": hop.remote_ip,
        "local_ip": hop.local_ip,
        "remote_mac": hop.remote_mac,
        **_declared_attributes(declared),
    }
    if observed is None and declared.release is None:
        attributes.pop("release", None)  # a new target has it off, and this kernel may have no such attribute
    return DesiredTarget(
        name=declared.name, present=True, attributes=attributes, userdata=declared.userdata, next_hop=hop
    ), warnings


def foreseen(declared: DeclaredTarget, network: Network) -> DesiredTarget:
    """What is known of a target that cannot be resolved now: what was given, and nothing else."""
    given: dict[str, Value] = {}
    if declared.dev_name is not None:
        given["dev_name"] = declared.dev_name
    if declared.local_ip is not None:
        given["local_ip"] = normalize_ip(declared.local_ip)
    if declared.remote_mac is not None:
        given["remote_mac"] = normalize_remote_mac(declared.remote_mac)
    try:
        given["remote_ip"] = _remote_ip(declared, network)
    except NextHopError:
        pass  # a name that does not resolve
    return DesiredTarget(
        name=declared.name,
        present=True,
        attributes={**given, **_declared_attributes(declared)},
        userdata=declared.userdata,
    )


def _remote_ip(declared: DeclaredTarget, network: Network) -> str:
    family = None
    if declared.local_ip is not None:
        family = 6 if ":" in normalize_ip(declared.local_ip) else 4
    return network.remote_ip(str(declared.remote_ip), family=family)


def _declared_attributes(declared: DeclaredTarget) -> dict[str, Value]:
    attributes: dict[str, Value] = {
        "remote_port": declared.remote_port,
        "local_port": declared.local_port,
        "extended": True if declared.extended is None else declared.extended,
        "enabled": declared.enabled,
    }
    if declared.release is not None:
        attributes["release"] = declared.release
    elif declared.extended is False:
        attributes["release"] = False  # the kernel enables no target that has it without the extended format
    attributes.update(declared.switches)
    return attributes


def _kept(hop: NextHop, declared: DeclaredTarget, observed: TargetState, network: Network) -> NextHop:
    """The next hop that a target has already, as long as it is one of several that are as good as the one found."""
    shown = observed.attributes
    current = (shown["dev_name"], shown["remote_mac"])
    if shown["remote_ip"] != hop.remote_ip or current == (hop.dev_name, hop.remote_mac):
        return hop
    for other in network.equal_next_hops(hop):
        if current == (other.dev_name, other.remote_mac) and declared.dev_name in (None, other.dev_name):
            return other if declared.local_ip is None else replace(other, local_ip=hop.local_ip)
    return hop
