# Stands in for the module sender_info: a host answers what its variable fake_info says, and no kernel is asked.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        assert tmp is None and task_vars is not None
        assert not self._task.args, "the playbook gives no options"
        fake = task_vars["fake_info"]
        if fake.get("unreachable"):
            raise AnsibleConnectionFailure("no route to host")
        if fake.get("failed"):
            return {"failed": True, "msg": fake["msg"]}
        facts = {
            "kernel_release": "6.12.107-amd64",
            "module": {"loaded": True},
            "targets": [{"enabled": True}],
            "panic": {"sent": True},
            "service": {"load_state": "loaded", "active_state": "active"},
            "drift": fake.get("drift", []),
        }
        return {"changed": False, "sender_info": facts}
