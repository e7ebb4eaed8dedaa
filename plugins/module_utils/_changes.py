# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One line for each change of a target: what changed and why. For the journal, and for ``netconsole-sender status``."""

from __future__ import annotations

from typing import Mapping

from ._configfs import WRITABLE, TargetState
from ._desired import DesiredTarget
from ._next_hop import NextHop
from ._reconcile import Applied, Plan


def changes(planned: Plan, applied: Applied) -> list[tuple[str, str]]:
    """(target, what and why) of everything that is other than before. Of what nobody asked for, the action itself."""
    lines: list[tuple[str, str]] = []
    for desired in applied.desired:
        before, after = planned.before.get(desired.name), applied.after.get(desired.name)
        lines.extend((desired.name, line) for line in _target_changes(desired, before, after))
    declared = {desired.name for desired in applied.desired}
    lines.extend(("", str(action)) for action in applied.actions if action.target not in declared)
    return lines


def _target_changes(desired: DesiredTarget, before: TargetState | None, after: TargetState | None) -> list[str]:
    if after is None:
        return [] if before is None else ["removed, as declared"]
    hop = desired.next_hop
    if before is None:
        return [f"made: {describe(after)}{_why_this_way(hop)}"]
    lines = [
        f"{name} {_shown(before.attributes[name])} -> {_shown(after.attributes[name])}"
        f"{_why(name, str(before.attributes[name]), hop)}"
        for name in WRITABLE
        if name in after.attributes and name in before.attributes and before.attributes[name] != after.attributes[name]
    ]
    if after.enabled and not before.enabled:
        lines.append(
            "enabled (it was off: the kernel stops a target whose interface went away or became a port, or another "
            "program has disabled it)"
        )
    if before.enabled and not after.enabled:
        lines.append("disabled, as declared")
    if before.userdata != after.userdata:
        lines.append(f"userdata {dict(before.userdata or {})} -> {dict(after.userdata or {})}, as declared")
    return lines


def describe(state: TargetState) -> str:
    """Where a target's messages go, in a few words."""
    attributes = state.attributes
    words = f"{_socket(attributes['remote_ip'], attributes['remote_port'])} by {attributes['dev_name'] or '?'}"
    return f"{'sends' if state.enabled else 'off,'} to {words}"


def _socket(address: object, port: object) -> str:
    return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return str(value) if value != "" else "nothing"


def _why_this_way(hop: NextHop | None) -> str:
    if hop is None:
        return ""
    return f", source {hop.local_ip}, next hop {hop.gateway or hop.remote_ip} ({hop.remote_mac})"


def _why(name: str, before: str, hop: NextHop | None) -> str:
    """The reason of a change that the host's network made. Other attributes only change with the declaration."""
    if hop is None:
        return ""
    reasons: Mapping[str, str] = {
        "remote_mac": f"the gateway {hop.gateway} has another MAC" if hop.gateway else "the receiver has another MAC",
        "dev_name": f"the route to {hop.remote_ip} leads through {hop.dev_name}",
        "local_ip": f"{before} is no longer this host's source address to {hop.remote_ip}",
        "remote_ip": "the receiver's address as declared or as its name gives it",
    }
    return f" ({reasons[name]})" if name in reasons else ""
