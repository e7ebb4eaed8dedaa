# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Counts what the scenarios prove: each assert of extensions/molecule that held or did not, one line for each host. And
# keeps what any task said that failed.

from __future__ import annotations

DOCUMENTATION = r"""
name: proofs
type: aggregate
short_description: Write down the asserts of the scenarios
description:
  - Appends one line for each assert task and host to a file, C(passed) or C(failed) and its name; one for each item
    where the task is a loop.
  - Asserts of roles and playbooks of the collection are not counted, they are not tests.
  - Appends C(said), the host, the task and its message for each task that failed, whichever it is.
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

from collections.abc import Mapping
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
        self._say(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._say(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._write("passed", result, item=True)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._write("failed", result, item=True)

    def _write(self, verdict: str, result: Any, *, item: bool = False) -> None:
        """A loop ends with a result for the whole of it, which says nothing that its items did not."""
        host, task, _returned = _parts(result)
        if bool(task.loop) is item and task.action in ASSERTS and SCENARIOS in task.get_path():
            self._append(f"{verdict} {host.get_name()} {task.get_name()}")

    def _say(self, result: Any) -> None:
        """A command's message is only that it failed: what it printed says more."""
        host, task, returned = _parts(result)
        bad = [item for item in returned.get("results", ()) if item.get("failed")] or [returned]
        words = [str(bad[0][key]) for key in ("msg", "stdout", "stderr") if bad[0].get(key)]
        self._append(f"said {host.get_name()} {task.get_name()}: " + " ".join(" ".join(words).split()))

    def _append(self, line: str) -> None:
        with open(self.get_option("file"), "a", encoding="utf-8") as proofs:
            proofs.write(f"{line}\n")


def _parts(result: Any) -> tuple[Any, Any, Mapping[str, Any]]:
    """Host, task and what was returned; ansible-core 2.19 has them under names of their own."""
    if hasattr(result, "task"):
        return result.host, result.task, result.result
    return result._host, result._task, result._result
