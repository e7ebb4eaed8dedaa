# Stands in for the module kernel_cmdline: it writes its options into a file, the host's variable fake_cmdline.
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
        Path(task_vars["fake_cmdline"]).write_text(json.dumps(self._task.args))
        return {"changed": False, "reboot_required": False}
