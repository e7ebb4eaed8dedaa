#!/usr/bin/python

# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: target
short_description: Manage one netconsole target of the running kernel
version_added: 1.0.0
description:
  - Makes, changes or removes one target of the kernel's netconsole, a directory below
    C(/sys/kernel/config/netconsole), and reads back what the kernel made of it.
  - Options have the names of the kernel's attributes. What is not given (O(dev_name), O(local_ip), O(remote_mac)) is
    resolved from the host's own routing.
  - Loads the module C(netconsole) and mounts configfs where needed.
  - Refuses what the kernel would refuse, or would take and then send nothing, before anything is touched. When a
    later step fails all the same, the target is put back as it was.
  - A target that the kernel made at boot (C(cmdline0), C(cmdline1), …) and that sends to the same receiver and port
    is replaced, once this target sends, so that nothing is sent twice. Kernels before 6.7 neither show nor let go of
    such targets, which is said in a warning.
  - Other targets are never changed. On kernels that stop all targets of an interface when one is stopped, one of the
    others is switched off and on again.
notes:
  - An enabled target is no proof that messages arrive. Run the playbook C(fleet.netconsole.verify), or use
    M(fleet.netconsole.probe) and M(fleet.netconsole.arrival).
  - The target is gone after a reboot.
  - A target that M(fleet.netconsole.sender) has declared with O(fleet.netconsole.sender#module:persist) belongs to the
    service on the host, which makes it as declared there within seconds. This is said in a warning.
author:
  - The fleet.netconsole authors (@fleet-netconsole)
extends_documentation_fragment:
  - fleet.netconsole._attributes
  - fleet.netconsole._attributes.actiongroup
  - fleet.netconsole._target
  - fleet.netconsole._target.target
seealso:
  - module: fleet.netconsole.sender
  - module: fleet.netconsole.probe
  - name: Netconsole in the kernel's documentation
    description: What the kernel says of targets and their attributes.
    link: https://docs.kernel.org/networking/netconsole.html
"""

EXAMPLES = r"""
---
- name: Send this host's kernel messages to a receiver
  fleet.netconsole.target:
    name: log1
    remote_ip: 192.0.2.10

- name: Send over a given interface to another port, with user data
  fleet.netconsole.target:
    name: log2
    remote_ip: 2001:db8::10
    remote_port: 6667
    dev_name: eth1
    userdata:
      rack: a12
      role: web
    missing_capability: warn

- name: Prepare a target that does not send yet
  fleet.netconsole.target:
    name: log3
    remote_ip: 192.0.2.11
    enabled: false

- name: Remove a target
  fleet.netconsole.target:
    name: log1
    state: absent
"""

RETURN = r"""
before:
  description: The target as the kernel showed it before, or V(null) when there was none.
  returned: success
  type: dict
after:
  description:
    - The target as the kernel shows it afterwards, all attributes read back, or V(null) when there is none.
    - In check mode, what it would show as far as that can be told beforehand.
  returned: success
  type: dict
  sample:
    name: log1
    enabled: true
    dev_name: eth0
    local_ip: 192.0.2.15
    local_mac: 52:54:00:00:00:01
    local_port: 6665
    remote_ip: 192.0.2.10
    remote_mac: 52:54:00:00:00:02
    remote_port: 6666
    extended: true
    release: false
    userdata: {}
next_hop:
  description: How the host reaches the receiver. V(null) when O(state=absent).
  returned: success
  type: dict
  sample:
    remote_ip: 192.0.2.10
    dev_name: eth0
    local_ip: 192.0.2.15
    remote_mac: 52:54:00:00:00:02
    gateway: null
failures:
  description:
    - Why the target is not as declared, or in check mode could not be, by target name. It is empty when all is well.
    - It is returned with an error, too, as are all other values.
  returned: always
  type: dict
  sample:
    log2: "eth1 is a port of bond0: use bond0."
panic_capture:
  description:
    - Whether the messages of a panic will reach the receivers, C(works), and why or why not, C(reason).
    - Kernels from 7.0 on send them last of all. With C(kernel.panic) other than 0, or a crash kernel (kdump) loaded,
      they do not come to it.
  returned: success
  type: dict
  sample:
    works: true
    reason: This kernel sends the messages of a panic while it prints them.
actions:
  description: The steps that were taken, or in check mode would be taken, in their order.
  returned: success
  type: list
  elements: str
  sample:
    - "log1: disable"
    - "log1: set remote_port to 6667 (was 6666)"
    - "log1: enable"
capabilities:
  description:
    - What this kernel's targets offer beyond what every kernel has.
    - V(null) in check mode when no target exists yet.
  returned: success
  type: list
  elements: str
  sample: [extended, release, userdata]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.netconsole.plugins.module_utils._sender_files import DECLARATION, read_json
from ansible_collections.fleet.netconsole.plugins.module_utils._target_module import (
    BRING_UP,
    MISSING_CAPABILITY,
    finish,
    run_engine,
    target_argument_spec,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **target_argument_spec(),
            "missing_capability": MISSING_CAPABILITY,
            "bring_up": BRING_UP,
        },
        required_if=[("state", "present", ("remote_ip",))],
        supports_check_mode=True,
    )
    name = module.params["name"]
    result = run_engine(
        module,
        {
            "targets": [{option: module.params[option] for option in target_argument_spec()}],
            "missing_capability": module.params["missing_capability"],
            "bring_up": module.params["bring_up"],
        },
    )
    for part in ("before", "after"):
        result[part] = result[part][name]
        result["diff"][part] = result["diff"][part].get(name)
    stored = read_json(DECLARATION) or {}
    if name in [target["name"] for target in stored.get("targets", [])]:
        module.warn(
            f"{name} is also declared by the module sender, and the service on this host makes it as declared there: "
            "change it with fleet.netconsole.sender"
        )
    del result["console_loglevel"]
    result["next_hop"] = result.pop("next_hops").get(name)
    finish(module, result)


if __name__ == "__main__":
    main()
