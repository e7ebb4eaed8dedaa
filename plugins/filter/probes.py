# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The probes of all senders as one list for the receivers. Runs on the controller and touches no host.

from __future__ import annotations

DOCUMENTATION = r"""
name: probes
short_description: Collect the probes that senders wrote
version_added: 1.0.0
author:
  - The fleet.netconsole authors (@fleet-netconsole)
description:
  - Gives what M(fleet.netconsole.probe) returned on each of the senders as one list, as M(fleet.netconsole.arrival)
    takes it. Senders without a probe are left out, be it that they were not reached, that the probe failed, or that
    they were not in the play.
  - Attributes of targets that the arrival check has no use for are left out, since the list goes to every receiver.
extends_documentation_fragment: fleet.netconsole._hostvars
positional: hostvars, variable
options:
  _input:
    description: The inventory names of the senders.
    type: list
    elements: str
    required: true
  variable:
    description: The variable that the result of M(fleet.netconsole.probe) was registered in.
    type: str
    default: netconsole_probe
seealso:
  - plugin: fleet.netconsole.arrival
    plugin_type: module
  - plugin: fleet.netconsole.arrival_rows
    plugin_type: filter
"""

EXAMPLES = r"""
---
- name: Look for the probes of all senders
  fleet.netconsole.arrival:
    receiver: "{{ inventory_hostname }}"
    probes: "{{ groups['netconsole_senders'] | fleet.netconsole.probes(hostvars) }}"
"""

RETURN = r"""
_value:
  description: One entry for each sender that has a probe, in the order of the input.
  type: list
  elements: dict
  sample:
    - host: web1
      nonce: 0f1e2d3c4b5a69788796a5b4c3d2e1f0
      time: 1795413600.123456
      level: 5
      console_loglevel: 7
      targets:
        - name: log1
          enabled: true
          remote_ip: 192.0.2.10
"""

from collections.abc import Iterable, Mapping
from typing import Any

PROBE_KEYS = (
    "nonce",
    "time",
    "written",
    "level",
    "console_loglevel",
    "ignore_loglevel",
    "oops_only",
    "targets",
)
TARGET_KEYS = (
    "name",
    "enabled",
    "dev_name",
    "local_ip",
    "remote_ip",
    "remote_port",
    "remote_mac",
    "extended",
    "transmit_errors",
    "device_present",
    "up",
    "carrier",
    "operstate",
    "local_ip_on_device",
    "next_hop_mac",
    "gateway",
    "next_hop_error",
)


def probes(
    senders: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], variable: str = "netconsole_probe"
) -> list[dict[str, Any]]:
    """The registered results of all senders that have one, cut down to what the arrival check needs."""
    found = ((sender, hostvars[sender].get(variable)) for sender in senders)
    return [_probe(sender, result) for sender, result in found if isinstance(result, Mapping) and result.get("nonce")]


def _probe(sender: str, result: Mapping[str, Any]) -> dict[str, Any]:
    probe: dict[str, Any] = {"host": sender, **_only(result, PROBE_KEYS)}
    probe["targets"] = [_only(target, TARGET_KEYS) for target in probe.get("targets", ())]
    return probe


def _only(given: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: given[key] for key in keys if given.get(key) is not None}


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"probes": probes}
