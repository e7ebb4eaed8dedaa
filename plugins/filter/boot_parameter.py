# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Targets as the kernel's parameter netconsole=. Runs on the controller and touches no host.

from __future__ import annotations

DOCUMENTATION = r"""
name: boot_parameter
short_description: Write netconsole targets as the value of the kernel's parameter netconsole=
version_added: 1.0.0
author:
  - The fleet.netconsole authors (@fleet-netconsole)
description:
  - Gives the value, without C(netconsole=) and without any quoting, as M(fleet.netconsole.kernel_cmdline) takes it.
  - Refuses what a kernel would refuse or silently misread, and a value of more than 255 characters, which the kernel
    would cut.
  - The kernel resolves nothing. A target without C(remote_mac) sends to the broadcast address, one without
    C(dev_name) over C(eth0).
requirements:
  - netaddr (Python package, on the controller)
options:
  _input:
    description:
      - The targets, each with C(remote_ip) and, where the kernel's default does not do, with C(dev_name) (or the
        interface's MAC address, for kernels from 6.15 on), C(local_ip), C(local_port), C(remote_port),
        C(remote_mac), C(extended) and C(release).
      - A C(name) is left out, since the kernel numbers these targets.
    type: list
    elements: dict
    required: true
seealso:
  - plugin: fleet.netconsole.parse_boot_parameter
    plugin_type: filter
  - plugin: fleet.netconsole.kernel_cmdline
    plugin_type: module
"""

EXAMPLES = r"""
---
- name: Send from the first line on
  fleet.netconsole.kernel_cmdline:
    parameters:
      - name: netconsole
        value: "{{ targets | fleet.netconsole.boot_parameter }}"
  vars:
    targets:
      - {remote_ip: 192.0.2.10, remote_mac: "52:54:00:00:00:02", dev_name: eth0, extended: true}
      - {remote_ip: 192.0.2.11, remote_mac: "52:54:00:00:00:02", dev_name: eth0, extended: true}
# => +@/eth0,@192.0.2.10/52:54:00:00:00:02;+@/eth0,@192.0.2.11/52:54:00:00:00:02
"""

RETURN = r"""
_value:
  description: The value.
  type: str
  sample: +@/eth0,@192.0.2.10/52:54:00:00:00:02
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from ansible.errors import AnsibleFilterError

try:
    import netaddr
except ImportError:
    NETADDR_MISSING = True
else:
    NETADDR_MISSING = False

from ansible_collections.fleet.netconsole.plugins.module_utils._boot_parameter import (
    BootParameterError,
    BootTarget,
    format_boot_parameter,
)

KEYS = tuple(field.name for field in fields(BootTarget))
_SWITCHES = ("extended", "release")
_PORTS = ("local_port", "remote_port")


def boot_parameter(targets: Sequence[Mapping[str, Any]]) -> str:
    """The value of netconsole= for these targets. Raises AnsibleFilterError."""
    if NETADDR_MISSING:
        raise AnsibleFilterError("boot_parameter needs the Python package netaddr on the controller")
    if isinstance(targets, (str, Mapping)) or not isinstance(targets, Sequence):
        raise AnsibleFilterError(f"boot_parameter needs a list of targets, not {targets!r}")
    try:
        return format_boot_parameter([_target(number, target) for number, target in enumerate(targets, 1)])
    except BootParameterError as error:
        raise AnsibleFilterError(str(error)) from error


def _target(number: int, target: Any) -> BootTarget:
    where = f"target {number}"
    if not isinstance(target, Mapping):
        raise AnsibleFilterError(f"{where} is {target!r}: it has to be a dictionary")
    unknown = [key for key in target if key not in (*KEYS, "name")]
    if unknown:
        raise AnsibleFilterError(
            f"{where} has {unknown[0]!r}, which the kernel's parameter cannot say: use {', '.join(KEYS)}"
        )
    values: dict[str, Any] = {key: value for key, value in target.items() if key != "name" and value is not None}
    if "remote_ip" not in values:
        raise AnsibleFilterError(f"{where} has no remote_ip")
    for key, value in values.items():
        _check(where, key, value)
    values.update({key: int(values[key]) for key in _PORTS if key in values})
    return BootTarget(**values)


def _check(where: str, key: str, value: Any) -> None:
    if key in _SWITCHES:
        if not isinstance(value, bool):
            raise AnsibleFilterError(f"{where}: {key} is {value!r}: it has to be true or false")
    elif key in _PORTS:
        if isinstance(value, bool) or not str(value).isascii() or not str(value).isdigit():
            raise AnsibleFilterError(f"{where}: {key} is {value!r}: it has to be a UDP port")
    elif not isinstance(value, str):
        raise AnsibleFilterError(f"{where}: {key} is {value!r}: it has to be text")
    elif key in ("local_ip", "remote_ip") and not (netaddr.valid_ipv4(value) or netaddr.valid_ipv6(value)):
        raise AnsibleFilterError(f"{where}: {key} is {value!r}: the kernel takes an IP address, it resolves no names")
    elif (key == "remote_mac" or (key == "dev_name" and ":" in value)) and not netaddr.valid_mac(value):
        raise AnsibleFilterError(f"{where}: {key} is {value!r}: it has to be a MAC address")


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"boot_parameter": boot_parameter}
