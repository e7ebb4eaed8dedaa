# Stands in for the module sender: what a host is to declare is written to the file of its variable fake_sender, if it
# has one. It returns one target, over the interface that the host's variable fake_device says.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        assert tmp is None and task_vars is not None
        if "fake_sender" in task_vars:
            Path(task_vars["fake_sender"]).write_text(json.dumps(self._task.args), encoding="utf-8")
        if self._task.args.get("state") == "absent":
            return {"changed": False, "next_hops": {}, "after": {}}
        hop = {
            "remote_ip": "192.0.2.10",
            "remote_mac": "52:54:00:00:00:02",
            "local_ip": "192.0.2.11",
            "dev_name": task_vars.get("fake_device", "eth0"),
        }
        target = {"local_mac": "52:54:00:00:00:0b", "local_port": 6665, "remote_port": 6666, "extended": True}
        return {"changed": False, "next_hops": {"log1": hop}, "after": {"log1": target}}
