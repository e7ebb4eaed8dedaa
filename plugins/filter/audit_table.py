# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# An audit of the fleet as a table for people. Runs on the controller and touches no host.

from __future__ import annotations

DOCUMENTATION = r"""
name: audit_table
short_description: Show as a table what an audit of the senders found
version_added: 1.0.0
author:
  - The fleet.netconsole authors (@fleet-netconsole)
description:
  - Gives aligned lines of text with host, kernel, how many of the host's targets are enabled, whether the messages of a
    panic are V(sent) or V(lost), the state of the service, and what drifted. The last line sums it up.
  - Of a large fleet, every host that drifts or was not audited is shown, and of the rest no more than O(limit).
positional: limit
options:
  _input:
    description: The rows, as the filter P(fleet.netconsole.audit_rows#filter) gives them.
    type: list
    elements: dict
    required: true
  limit:
    description: How many hosts without drift are shown at most.
    type: int
    default: 100
seealso:
  - plugin: fleet.netconsole.audit_rows
    plugin_type: filter
  - plugin: fleet.netconsole.sender_info
    plugin_type: module
"""

EXAMPLES = r"""
---
- name: Look at every sender
  fleet.netconsole.sender_info:
  register: netconsole_audit

- name: Show what was found
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts_all | fleet.netconsole.audit_rows(hostvars) | fleet.netconsole.audit_table }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: The lines of the table.
  type: list
  elements: str
  sample:
    - "host  kernel          targets  panic  service    drift"
    - "web1  6.12.107-amd64   2 of 2  sent   active"
    - "web2  7.2.13-amd64     1 of 2  lost   not-found  log2: eth1 is down: bring it up"
    - "1 of 2 hosts without drift. To look at: web2"
"""

from collections.abc import Iterable
from typing import Any

from ansible_collections.fleet.netconsole.plugins.module_utils._table import Row, fleet_table, named

HEADER = ("host", "kernel", "targets", "panic", "service", "drift")
NOT_KNOWN = "-"
PANIC = {True: "sent", False: "lost", None: NOT_KNOWN}


def audit_table(rows: Iterable[Row], limit: int = 100) -> list[str]:
    """The lines of the table, the sum last. See RETURN."""
    rows = list(rows)
    drifting = [row["host"] for row in rows if not row["ok"]]
    fine = len(rows) - len(drifting)
    lines = fleet_table(
        rows, header=HEADER, cells=_cells, right="targets", limit=limit, more=lambda _hidden: "without drift"
    )
    return [*lines, f"{fine} of {len(rows)} hosts without drift{named(drifting)}"]


def _cells(row: Row) -> tuple[str, ...]:
    targets = NOT_KNOWN if row["targets"] is None else f"{row['enabled']} of {row['targets']}"
    return (
        row["host"],
        row["kernel"] or NOT_KNOWN,
        targets,
        PANIC[row["panic_sent"]],
        row["service"] or NOT_KNOWN,
        "; ".join(row["drift"]),
    )


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"audit_table": audit_table}
