# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The kernel's parameter netconsole= as targets. Runs on the controller and touches no host.

from __future__ import annotations

DOCUMENTATION = r"""
name: parse_boot_parameter
short_description: Read the value of the kernel's parameter netconsole= as targets
version_added: 1.0.0
author:
  - The fleet.netconsole authors (@fleet-netconsole)
description:
  - Gives one dictionary for each target, with the names of the kernel's attributes. What the value leaves out, and the
    kernel's default stands for, is V(null).
  - Addresses are given in their canonical form.
  - Refuses what a kernel would refuse or silently misread.
options:
  _input:
    description: The value, without C(netconsole=) and without quotes around it.
    type: str
    required: true
seealso:
  - plugin: fleet.netconsole.boot_parameter
    plugin_type: filter
"""

EXAMPLES = r"""
---
- name: Show the targets of a command line
  ansible.builtin.debug:
    msg: "{{ '+@/eth0,@192.0.2.10/' | fleet.netconsole.parse_boot_parameter }}"
"""

RETURN = r"""
_value:
  description: The targets, in their order.
  type: list
  elements: dict
  sample:
    - dev_name: eth0
      extended: true
      local_ip: null
      local_port: null
      release: false
      remote_ip: 192.0.2.10
      remote_mac: null
      remote_port: null
"""

from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fleet.netconsole.plugins.module_utils._boot_parameter import (
    BootParameterError,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._boot_parameter import (
    parse_boot_parameter as parse,
)


def parse_boot_parameter(text: str) -> list[dict[str, Any]]:
    """The targets of a netconsole= value. Raises AnsibleFilterError."""
    if not isinstance(text, str):
        raise AnsibleFilterError(f"parse_boot_parameter needs the value of netconsole= as text, not {text!r}")
    try:
        return [asdict(target) for target in parse(text)]
    except BootParameterError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"parse_boot_parameter": parse_boot_parameter}
