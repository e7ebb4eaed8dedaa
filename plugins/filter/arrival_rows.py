# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# What became of every sender's probe, for the whole fleet. Runs on the controller and touches no host.

from __future__ import annotations

DOCUMENTATION = r"""
name: arrival_rows
short_description: Say of every sender what became of its probe
version_added: 1.0.0
author:
  - The fleet.netconsole authors (@fleet-netconsole)
description:
  - Puts together what M(fleet.netconsole.probe) returned on the senders and M(fleet.netconsole.arrival) on the
    receivers, and adds what neither can know, such as senders and receivers that Ansible did not reach, senders
    without a target, and targets that send to no receiver of the inventory.
  - A target that sends to no receiver of the inventory cannot be checked. It is a fault only where it leaves
    nothing of a sender that could be checked.
positional: hostvars, receivers, elsewhere, among
options:
  _input:
    description: The inventory names of the senders.
    type: list
    elements: str
    required: true
  hostvars:
    description:
      - The variables of all hosts, C(hostvars).
      - The result of M(fleet.netconsole.probe) is taken from the variable C(netconsole_probe) of a sender, that of
        M(fleet.netconsole.arrival) from the variable C(netconsole_arrival) of a receiver.
    type: dict
    required: true
  receivers:
    description: The inventory names of the receivers.
    type: list
    elements: str
    required: true
  elsewhere:
    description:
      - The C(results) of a task that ran M(fleet.netconsole.arrival) in a loop over the names of more receivers.
    type: list
    elements: dict
    default: []
  among:
    description:
      - Only senders that are in this list too are told of, such as those of the play, C(ansible_play_hosts_all).
      - When not given, all senders.
    type: list
    elements: str
seealso:
  - plugin: fleet.netconsole.arrival
    plugin_type: module
  - plugin: fleet.netconsole.probes
    plugin_type: filter
  - plugin: fleet.netconsole.arrival_table
    plugin_type: filter
"""

EXAMPLES = r"""
---
- name: Show the senders whose probe did not arrive as it should
  ansible.builtin.debug:
    msg: "{{ rows | rejectattr('ok') | map(attribute='host') | unique }}"
  vars:
    senders: "{{ groups['netconsole_senders'] }}"
    rows: "{{ senders | fleet.netconsole.arrival_rows(hostvars, groups['netconsole_receivers']) }}"
"""

RETURN = r"""
_value:
  description:
    - One entry for each sender and target, in the order of the input. The keys are those of the return value
      RV(fleet.netconsole.arrival#module:arrivals).
    - C(receiver) and C(target) are V(null) where there is none to name.
  type: list
  elements: dict
  sample:
    - host: web1
      receiver: log1
      target: log1
      nonce: 0f1e2d3c4b5a69788796a5b4c3d2e1f0
      arrived: true
      ok: true
      after: 0.0021
      received: "2026-11-23T05:43:11.123456+00:00"
      file: /var/log/netconsole/web1.jsonl
      stored_as: web1
      format: extended
      reason: ""
      reasons: []
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleet.netconsole.plugins.module_utils._address import AddressError, normalize_ip
from ansible_collections.fleet.netconsole.plugins.module_utils._arrival_reasons import NOT_PROBED, belongs_to

PROBE = "netconsole_probe"
ARRIVAL = "netconsole_arrival"
SITE = "run fleet.netconsole.site"

HostVars = Mapping[str, Mapping[str, Any]]
Row = dict[str, Any]


@dataclass
class Receiver:
    """A receiver of the inventory: the addresses it is known by, and what its arrival check said, or why it did not."""

    name: str
    addresses: frozenset[str]
    rows: dict[str, list[Row]] = field(default_factory=dict)  # by sender
    fault: str | None = None


def arrival_rows(
    senders: Iterable[str],
    hostvars: HostVars,
    receivers: Iterable[str],
    elsewhere: Sequence[Mapping[str, Any]] = (),
    among: Iterable[str] | None = None,
) -> list[Row]:
    """The rows of the whole fleet, see RETURN."""
    if among is not None:
        hosts = set(among)
        senders = [sender for sender in senders if sender in hosts]
    by_item = {result["item"]: result for result in elsewhere if "item" in result}
    asked = [_receiver(name, hostvars[name], by_item.get(name)) for name in receivers]
    return [row for sender in senders for row in _sender_rows(sender, hostvars[sender].get(PROBE), asked)]


def _receiver(name: str, variables: Mapping[str, Any], result: Mapping[str, Any] | None) -> Receiver:
    result = variables.get(ARRIVAL) if result is None else result
    receiver = Receiver(name=name, addresses=frozenset(_addresses(variables)))
    if result is None:
        receiver.fault = f"receiver {name} was not asked: Ansible did not reach it, or a task failed there before"
    elif result.get("unreachable"):
        receiver.fault = f"receiver {name} was not reached by Ansible"
    elif "arrivals" not in result:
        receiver.fault = f"receiver {name} could not be asked: {result.get('msg', 'the arrival check failed there')}"
    else:
        for row in result["arrivals"]:
            receiver.rows.setdefault(row["host"], []).append(dict(row))
    return receiver


def _addresses(variables: Mapping[str, Any]) -> Iterator[str]:
    for variable in ("netconsole_receiver_address", "ansible_host"):
        try:
            yield normalize_ip(str(variables.get(variable)))
        except AddressError:  # a host name, or nothing
            continue


def _sender_rows(sender: str, probe: Any, receivers: Sequence[Receiver]) -> list[Row]:
    reason = _no_probe(probe)
    if reason is not None:
        return [_row(sender, reason=reason)]
    if not probe["written"]:
        return [_row(sender, ok=True, arrived=None, nonce=probe["nonce"], reason=NOT_PROBED)]
    told = [row for receiver in receivers for row in receiver.rows.get(sender, ())]
    claimed = {row["target"] for row in told}
    strangers: list[Row] = []
    for target in probe["targets"]:
        if not target["enabled"] or target["name"] in claimed:
            continue
        mute = [receiver for receiver in receivers if receiver.fault and _means(target, sender, receiver)]
        told += [_target_row(sender, probe, target, receiver=entry.name, reason=entry.fault) for entry in mute]
        if not mute:
            reason = f"no receiver in the inventory has {target['remote_ip']}"
            strangers.append(_target_row(sender, probe, target, receiver=None, reason=reason))
    for row in strangers:
        row["ok"] = bool(told)
    if told or strangers:
        return told + strangers
    return [_row(sender, nonce=probe["nonce"], reason=_no_target(probe))]


def _means(target: Mapping[str, Any], sender: str, receiver: Receiver) -> bool:
    return belongs_to(target, sender=sender, receiver=receiver.name, addresses=receiver.addresses)


def _no_probe(probe: Any) -> str | None:
    if not isinstance(probe, Mapping):
        return "not probed: Ansible did not reach the host, or a task failed there before"
    if probe.get("unreachable"):
        return "not probed: Ansible did not reach the host"
    if "nonce" not in probe:
        return f"not probed: {probe.get('msg', 'the probe failed')}"
    return None


def _no_target(probe: Mapping[str, Any]) -> str:
    if not probe["loaded"]:
        return f"netconsole is not loaded, so there is no target: {SITE}"
    names = [target["name"] for target in probe["targets"]]
    if names:
        return f"no target is enabled, and none means a receiver of the inventory ({', '.join(names)}): {SITE}"
    return f"there is no target: {SITE}"


def _target_row(
    sender: str, probe: Mapping[str, Any], target: Mapping[str, Any], *, receiver: str | None, reason: str | None
) -> Row:
    row = _row(sender, nonce=probe["nonce"], target=target["name"], arrived=None, reason=reason or "")
    row["receiver"] = receiver
    return row


def _row(
    sender: str,
    *,
    reason: str,
    target: str | None = None,
    nonce: str | None = None,
    arrived: bool | None = False,
    ok: bool = False,
) -> Row:
    return {
        "host": sender,
        "receiver": None,
        "target": target,
        "nonce": nonce,
        "arrived": arrived,
        "ok": ok,
        "after": None,
        "received": None,
        "file": None,
        "stored_as": None,
        "format": None,
        "reason": reason,
        "reasons": [reason],
    }


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"arrival_rows": arrival_rows}
