# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# What sender_info found on each host of the fleet, in a row each. Runs on the controller and touches no host.

from __future__ import annotations

DOCUMENTATION = r"""
name: audit_rows
short_description: Put the audits of all senders together
version_added: 1.0.0
author:
  - The fleet.netconsole authors (@fleet-netconsole)
description:
  - Gives one row for each sender from the registered results of M(fleet.netconsole.sender_info). A sender without a
    result was not reached by Ansible, and its row says so.
extends_documentation_fragment: fleet.netconsole._hostvars
positional: hostvars, variable
options:
  _input:
    description: The inventory names of the senders.
    type: list
    elements: str
    required: true
  variable:
    description: The variable that the result of M(fleet.netconsole.sender_info) was registered in.
    type: str
    default: netconsole_audit
seealso:
  - plugin: fleet.netconsole.sender_info
    plugin_type: module
  - plugin: fleet.netconsole.audit_table
    plugin_type: filter
"""

EXAMPLES = r"""
---
- name: Look at every sender
  fleet.netconsole.sender_info:
  register: netconsole_audit

- name: Show the senders that drift
  ansible.builtin.debug:
    msg: "{{ rows | rejectattr('ok') | map(attribute='host') }}"
  vars:
    rows: "{{ ansible_play_hosts_all | fleet.netconsole.audit_rows(hostvars) }}"
  run_once: true
"""

RETURN = r"""
_value:
  description:
    - One entry for each sender, in the order of the input.
    - C(targets) is how many targets the kernel lists, C(enabled) how many of them are enabled. C(panic_sent) is
      V(null) where there is no netconsole. C(ok) is V(true) where nothing drifted. What is not known is V(null).
  type: list
  elements: dict
  sample:
    - host: web1
      ok: false
      kernel: 6.12.107-amd64
      targets: 2
      enabled: 1
      panic_sent: true
      service: active
      drift: ["log2: eth1 is down: bring it up"]
"""

from collections.abc import Mapping, Sequence
from typing import Any


def audit_rows(
    senders: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]], variable: str = "netconsole_audit"
) -> list[dict[str, Any]]:
    """One row for each sender, see RETURN."""
    return [_row(sender, hostvars[sender].get(variable)) for sender in senders]


def _row(host: str, result: Any) -> dict[str, Any]:
    if not isinstance(result, Mapping) or result.get("unreachable"):
        return _unknown(host, "not audited: Ansible did not reach the host")
    if "sender_info" not in result:
        return _unknown(host, f"not audited: {result.get('msg', 'the module failed there')}")
    facts = result["sender_info"]
    return {
        "host": host,
        "ok": not facts["drift"],
        "kernel": facts["kernel_release"],
        "targets": len(facts["targets"]),
        "enabled": sum(target["enabled"] for target in facts["targets"]),
        "panic_sent": facts["panic"]["sent"] if facts["module"]["loaded"] else None,
        "service": _service(facts["service"]),
        "drift": list(facts["drift"]),
    }


def _unknown(host: str, why: str) -> dict[str, Any]:
    unknown = dict.fromkeys(("kernel", "targets", "enabled", "panic_sent", "service"))
    return {"host": host, "ok": False, **unknown, "drift": [why]}


def _service(service: Mapping[str, Any] | None) -> str | None:
    if service is None:
        return None
    state: str | None = service["load_state"] if service["load_state"] == "not-found" else service["active_state"]
    return state


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"audit_rows": audit_rows}
