#!/usr/bin/python

# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sender
short_description: Manage a host's netconsole targets and console log level in one call
version_added: 1.0.0
description:
  - Makes the running kernel match a host's whole declaration, all of its netconsole targets and the level from which
    on messages are sent, in one
    round trip.
  - Works as M(fleet.netconsole.target) does, for several targets. A wrong declaration, and one that asks for what this
    kernel lacks, is refused before anything is touched.
  - A target that cannot be had now (its receiver's name does not resolve, its next hop does not answer, its device is
    gone, the kernel refuses it) stays, or is put back, exactly as it was. The others are made as declared, and the
    module then fails and names each failing target with its reason.
  - Targets that an earlier run with O(persist) declared and that are no longer declared are removed. Those that others
    made are never changed, unless O(purge=true). On kernels that stop all targets of an
    interface when one is stopped, one of the others is switched off and on again.
  - A target that the kernel made at boot (C(cmdline0), C(cmdline1), …) and that sends to the receiver and port of a
    declared target is replaced by that one, once that one sends, so that nothing is sent twice. Kernels before 6.7
    neither show nor let go of such targets, which is said in a warning. The module C(netconsole) is loaded without
    boot targets of modprobe.d, since the declared ones are made at once.
notes:
  - An enabled target is no proof that messages arrive. Run the playbook C(fleet.netconsole.verify), or use
    M(fleet.netconsole.probe) and
    M(fleet.netconsole.arrival).
  - Without O(persist), targets, console log level and C(kernel.panic) are gone after a reboot.
author:
  - The fleet.netconsole authors (@fleet-netconsole)
extends_documentation_fragment:
  - fleet.netconsole._attributes
  - fleet.netconsole._attributes.actiongroup
  - fleet.netconsole._target
  - fleet.netconsole._target.sender
options:
  targets:
    description:
      - The targets, each with the options of M(fleet.netconsole.target).
      - Required when O(state=present).
    type: list
    elements: dict
  purge:
    description:
      - Whether targets that are not declared are removed. They are shown in C(before), C(after) and the diff.
      - V(false) never touches them, such as those of Debian's package C(netconsole).
      - Targets that the kernel made at boot from a C(netconsole=) parameter go too, from kernel 6.7 on. They are back
        after the next boot as long as the parameter is there.
    type: bool
    default: false
  state:
    description:
      - V(present) makes the host as declared.
      - V(absent) leaves no trace. The targets of the declaration that is stored on the host and those of O(targets) are
        removed, the service is stopped and its files, the engine and the declaration are removed, and the console log
        level from before the first run with O(persist) comes back, as does the C(kernel.panic) that
        O(panic_capture=set) had set to 0, unless somebody set it since. The kernel's module is unloaded if it was not
        loaded before that run and nobody else has a use for it. On a host that has nothing of it, nothing is changed
        and nothing loaded.
    type: str
    choices: [present, absent]
    default: present
  persist:
    description:
      - Whether the host makes itself as declared at every boot. V(true) puts the engine, the declaration and the
        service C(netconsole-sender.service) on the host. It needs systemd.
      - With V(false) the declaration holds until the next reboot. A service of an earlier run is removed, since it
        would put back what it was told. This is the default because a module call alone should leave nothing on a host
        that nobody asked for; the role P(fleet.netconsole.netconsole_sender#role) asks for it.
    type: bool
    default: false
  watch:
    description:
      - Whether the service stays and makes the targets right whenever the network changes (another address, gateway,
        route or interface). Used with O(persist=true).
      - V(false) leaves only the boot step, which waits for the network for half a minute at most. Nothing stays in
        memory then, and nothing is repaired before the next boot or run.
    type: bool
    default: true
  early:
    description:
      - Whether messages are sent from before the network is configured on, even from before the root file system is
        mounted. Used with O(persist=true).
      - V(module) has udev load netconsole with a boot parameter as soon as the interface appears, in the initramfs
        (initramfs-tools or dracut) and otherwise in the root file system. The initramfs is made anew when something
        of it changes. The parameter holds the addresses as they are resolved now, in at most 255 characters for all
        targets together, and no user data. The interface has to be one of the hardware.
      - On kernels from 6.7 on, the service goes on with these targets. Older ones cannot let go of them, so the service
        loads the module anew, without the parameter, and makes its own; a few messages can be lost between.
    type: str
    choices: ['none', module]
    default: 'none'
  heartbeat:
    description:
      - Every how many minutes the service writes a mark into the kernel's log, so that the receiver's observer can tell
        a host that has fallen silent from one whose kernel has nothing to say. V(0) is never, and wakes nothing up.
        V(1440) is the most.
      - A mark is an ordinary line of C(/dev/kmsg), so C(dmesg) and every console show it. It has the level notice, or
        where O(console_loglevel) sends only more severe messages a level that is sent, err at the most. A console log
        level lower than 4 is refused.
      - Needs O(persist=true) and O(watch=true).
    type: int
    default: 0
  console_loglevel:
    description:
      - The kernel's console log level, the first number of C(kernel.printk). A message is sent when its level is
        lower than this number, so V(7) sends all but debug messages and V(4) sends
        errors and worse.
      - It holds for every console of the host, a serial one included.
      - When not given, it stays as it is.
    type: int
  userdata:
    description: User data for every target that has none of its own. See O(targets[].userdata).
    type: dict
  panic_capture:
    description:
      - What to do where the messages of a panic would not reach the receivers. Kernels from 7.0 on send them last of
        all, after the reboot that C(kernel.panic) asks for, and after a crash kernel (kdump) took over.
      - V(warn) says so. V(require) refuses and leaves the host as it was.
      - V(set) sets C(kernel.panic) to 0 until the next boot. The host then stays down after a panic until somebody,
        or a watchdog, restarts it. A loaded crash kernel is refused.
      - Kernels before 7.0 always send them. There is nothing to do then.
    type: str
    choices: [warn, require, set]
    default: warn
seealso:
  - module: fleet.netconsole.target
  - module: fleet.netconsole.probe
"""

EXAMPLES = r"""
---
- name: Send to two receivers everything but debug messages
  fleet.netconsole.sender:
    targets:
      - name: log1
        remote_ip: 192.0.2.10
      - name: log2
        remote_ip: 192.0.2.11
    console_loglevel: 7

- name: The same, at every boot and whenever the network changes
  fleet.netconsole.sender:
    targets:
      - name: log1
        remote_ip: 192.0.2.10
    console_loglevel: 7
    persist: true

- name: Leave no trace
  fleet.netconsole.sender:
    state: absent

- name: Send to one receiver and to nobody else, and let a panic be received
  fleet.netconsole.sender:
    targets:
      - name: log1
        remote_ip: 192.0.2.10
    purge: true
    panic_capture: set

- name: Move from one receiver to another
  fleet.netconsole.sender:
    targets:
      - name: log1
        state: absent
      - name: log3
        remote_ip: log3.example.com
"""

RETURN = r"""
before:
  description: Each declared target, and each that goes, by name, as the kernel showed it before, or V(null) when there
    was none.
  returned: success
  type: dict
after:
  description:
    - Each declared target, and each that goes, by name, as the kernel shows it afterwards, or V(null) when there is
      none.
    - In check mode, what it would show as far as that can be told beforehand.
  returned: success
  type: dict
  sample:
    log1:
      name: log1
      enabled: true
      dev_name: eth0
      local_ip: 192.0.2.15
      remote_ip: 192.0.2.10
      remote_mac: 52:54:00:00:00:02
      remote_port: 6666
next_hops:
  description: How the host reaches each receiver, by target name.
  returned: success
  type: dict
console_loglevel:
  description: The console log level before and after. V(null) when O(console_loglevel) was not given.
  returned: success
  type: dict
  sample: {before: 4, after: 7}
failures:
  description:
    - Why a target is not as declared, or in check mode could not be, by target name. It is empty when all is well.
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

from ansible_collections.fleet.netconsole.plugins.module_utils._sender_module import run_sender
from ansible_collections.fleet.netconsole.plugins.module_utils._target_module import (
    BRING_UP,
    MISSING_CAPABILITY,
    PANIC_CAPTURE,
    PURGE,
    target_argument_spec,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "targets": {
                "type": "list",
                "elements": "dict",
                "options": target_argument_spec(),
                "required_if": [("state", "present", ("remote_ip",))],
            },
            "purge": PURGE,
            "console_loglevel": {"type": "int"},
            "heartbeat": {"type": "int", "default": 0},
            "userdata": {"type": "dict"},
            "missing_capability": MISSING_CAPABILITY,
            "panic_capture": PANIC_CAPTURE,
            "bring_up": BRING_UP,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "persist": {"type": "bool", "default": False},
            "watch": {"type": "bool", "default": True},
            "early": {"type": "str", "choices": ["none", "module"], "default": "none"},
        },
        required_if=[("state", "present", ("targets",))],
        supports_check_mode=True,
    )
    run_sender(module)


if __name__ == "__main__":
    main()
