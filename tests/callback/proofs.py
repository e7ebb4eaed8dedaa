# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Counts what the scenarios prove: each assert of extensions/molecule that held or did not, one line for each host.

from __future__ import annotations

DOCUMENTATION = r"""
name: proofs
type: aggregate
short_description: Write down the asserts of the scenarios
description:
  - Appends one line for each assert task and host to a file, C(passed) or C(failed) and its name; one for each item
    where the task is a loop.
  - Asserts of roles and playbooks of the collection are not counted, they are not tests.
author:
  - The fleet.netconsole authors (@fleet-netconsole)
options:
  file:
    description: The file to append to.
    type: path
    required: true
    env:
      - name: FLEET_NETCONSOLE_PROOFS
"""

from typing import Any

from ansible.plugins.callback import CallbackBase

ASSERTS = ("ansible.builtin.assert", "ansible.legacy.assert", "assert")
SCENARIOS = "/extensions/molecule/"


class CallbackModule(CallbackBase):
    """Ansible's interface for what wants to hear of results."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "proofs"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write("passed", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write("failed", result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._write("passed", result, item=True)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._write("failed", result, item=True)

    def _write(self, verdict: str, result: Any, *, item: bool = False) -> None:
        """A loop ends with a result for the whole of it, which says nothing that its items did not."""
        task = result.task if hasattr(result, "task") else result._task
        host = result.host if hasattr(result, "host") else result._host
        if bool(task.loop) is item and task.action in ASSERTS and SCENARIOS in task.get_path():
            with open(self.get_option("file"), "a", encoding="utf-8") as proofs:
                proofs.write(f"{verdict} {host.get_name()} {task.get_name()}\n")
