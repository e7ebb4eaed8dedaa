# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The receivers of an inventory as targets of a sender. Runs on the controller and touches no host.

from __future__ import annotations

DOCUMENTATION = r"""
name: receiver_targets
short_description: Turn receivers of the inventory into netconsole targets
version_added: 1.0.0
author:
  - The fleet.netconsole authors (@fleet-netconsole)
description:
  - Gives one target for each receiver, named by its inventory name, as M(fleet.netconsole.sender) takes them.
  - A receiver's address is its variable C(netconsole_receiver_address), else its C(ansible_host), else its inventory
    name, which the sender then resolves itself. Its port is C(netconsole_receiver_port), else 6666.
extends_documentation_fragment: fleet.netconsole._hostvars
positional: hostvars
options:
  _input:
    description: The inventory names of the receivers.
    type: list
    elements: str
    required: true
seealso:
  - plugin: fleet.netconsole.sender
    plugin_type: module
"""

EXAMPLES = r"""
---
- name: Send to every receiver of the inventory
  fleet.netconsole.sender:
    targets: "{{ groups['netconsole_receivers'] | fleet.netconsole.receiver_targets(hostvars) }}"
"""

RETURN = r"""
_value:
  description: The targets.
  type: list
  elements: dict
  sample:
    - name: log1
      remote_ip: 192.0.2.10
      remote_port: 6666
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

DEFAULT_PORT = 6666


def receiver_targets(receivers: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One target for each receiver, in the order given. Raises AnsibleFilterError when there is none to send to."""
    if not receivers:
        raise AnsibleFilterError(
            "there is no receiver: put at least one host into the inventory group netconsole_receivers, "
            "or set netconsole_sender_targets"
        )
    return [_target(name, hostvars) for name in receivers]


def _target(name: str, hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if name not in hostvars:
        raise AnsibleFilterError(f"receiver {name} is not in the inventory: check the spelling, or add it")
    variables = hostvars[name]
    address = variables.get("netconsole_receiver_address") or variables.get("ansible_host") or name
    if not isinstance(address, str):
        raise AnsibleFilterError(
            f"netconsole_receiver_address of {name} is {address!r}: it has to be one address or host name"
        )
    return {
        "name": name,
        "remote_ip": address,
        "remote_port": int(variables.get("netconsole_receiver_port") or DEFAULT_PORT),
    }


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"receiver_targets": receiver_targets}
