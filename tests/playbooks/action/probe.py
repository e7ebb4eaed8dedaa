# Stands in for the module probe: a host answers what its variable fake_probe says, and no kernel is asked.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

TARGET = {
    "name": "log1",
    "enabled": True,
    "dev_name": "eth1",
    "local_ip": "192.0.2.11",
    "remote_ip": "192.0.2.10",
    "remote_port": 6666,
    "remote_mac": "52:54:00:00:00:10",
    "extended": True,
}


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        assert tmp is None and task_vars is not None
        assert not self._task.args, "the playbook gives no options"
        fake = dict(task_vars["fake_probe"])
        if fake.get("unreachable"):
            raise AnsibleConnectionFailure("no route to host")
        if fake.get("failed"):
            return {"failed": True, "msg": fake["msg"]}
        written = not self._task.check_mode
        return {
            "changed": False,
            "nonce": fake["nonce"],
            "written": written,
            "time": 1795413600.0 if written else None,
            "level": 5,
            "level_name": "notice",
            "console_loglevel": 7,
            "ignore_loglevel": False,
            "oops_only": False,
            "loaded": fake.get("loaded", True),
            "targets": [{**TARGET, **target} for target in fake["targets"]],
        }
