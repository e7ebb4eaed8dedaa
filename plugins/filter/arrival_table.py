# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The result of an arrival check as a table for people. Runs on the controller and touches no host.

from __future__ import annotations

DOCUMENTATION = r"""
name: arrival_table
short_description: Show as a table which probes arrived
version_added: 1.0.0
author:
  - The fleet.netconsole authors (@fleet-netconsole)
description:
  - Gives aligned lines of text with host, target, whether the probe arrived, after how long, and the reason or a
    remark. The last line sums it up.
  - Of a large fleet, everything that is not as it should be is shown, and of the rest no more than O(limit) lines.
positional: limit
options:
  _input:
    description:
      - The rows, as M(fleet.netconsole.arrival) returns them, or the filter P(fleet.netconsole.arrival_rows#filter) for
        the whole fleet.
    type: list
    elements: dict
    required: true
  limit:
    description: How many rows without a fault are shown at most.
    type: int
    default: 100
seealso:
  - plugin: fleet.netconsole.arrival
    plugin_type: module
  - plugin: fleet.netconsole.arrival_rows
    plugin_type: filter
"""

EXAMPLES = r"""
---
- name: Show what arrived
  ansible.builtin.debug:
    msg: "{{ netconsole_arrivals | fleet.netconsole.arrival_table }}"
"""

RETURN = r"""
_value:
  description: The lines of the table.
  type: list
  elements: str
  sample:
    - "host  target  arrived    after  reason"
    - "web1  log1    yes      0.002 s"
    - "web2  log1    no             -  target log1 is disabled, by hand or by the kernel"
    - "1 of 2 probes arrived. To look at: web2"
"""

from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.fleet.netconsole.plugins.module_utils._table import Row, fleet_table, named

HEADER = ("host", "target", "arrived", "after", "reason")
ARRIVED = {True: "yes", False: "no", None: "-"}


def arrival_table(rows: Iterable[Row], limit: int = 100) -> list[str]:
    """The lines of the table, the sum last. See RETURN."""
    rows = list(rows)
    lines = fleet_table(rows, header=HEADER, cells=_cells, right="after", limit=limit, more=_more)
    return [*lines, _sum(rows)]


def _cells(row: Row) -> tuple[str, ...]:
    target = row["target"] or "-"
    if row["receiver"] not in (None, target):
        target = f"{target} ({row['receiver']})"
    after = "-" if row["after"] is None else f"{row['after']:.3f} s"
    return (row["host"], target, ARRIVED[row["arrived"]], after, row["reason"])


def _more(hidden: Iterable[Row]) -> str:
    known = [row["after"] for row in hidden if row["after"] is not None]
    return "without a fault" + (f", the slowest after {max(known):.3f} s" if known else "")


def _sum(rows: Sequence[Row]) -> str:
    checked = [row for row in rows if row["arrived"] is not None or not row["ok"]]
    if not checked:
        return "nothing was checked"
    arrived = sum(row["arrived"] is True for row in checked)
    faulty = named(row["host"] for row in rows if not row["ok"])
    return f"{arrived} of {len(checked)} probes arrived{faulty}"


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"arrival_table": arrival_table}
