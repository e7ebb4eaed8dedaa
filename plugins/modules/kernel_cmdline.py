#!/usr/bin/python

# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_cmdline
short_description: Manage parameters on the kernel's command line under every boot loader
version_added: 1.0.0
description:
  - Adds, changes or removes parameters of the kernel's command line, for every boot entry that there is and for
    kernels that are installed later.
  - Knows the boot loaders that O(boot_loader) lists, quotes as each of them needs it, and reads back afterwards what
    the boot loader would hand to the kernel. When that is not what was declared, or the boot loader's own program
    fails, every file is put back as it was.
  - Parameters that are not declared stay as they are, with their order and spelling.
  - Never reboots. RV(reboot_required) says whether the running kernel differs from what is declared.
notes:
  - A new parameter comes after the others, in front of C(--). For GRUB, it comes at the end of C(GRUB_CMDLINE_LINUX),
    so that recovery entries have it, too, and what stands in C(GRUB_CMDLINE_LINUX_DEFAULT) comes after it. The last
    C(console=) is the one that becomes C(/dev/console).
  - The kernel's command line has no escapes. A value cannot begin or end with a double quote, and one within it needs a
    partner. GRUB changes backslashes and quotes on the way to the kernel, U-Boot changes backslashes, single quotes and
    C($). Such values are refused.
  - Two runs on one host do not meet. The second one waits two minutes at most.
author:
  - The fleet.netconsole authors (@fleet-netconsole)
extends_documentation_fragment:
  - fleet.netconsole._attributes
  - fleet.netconsole._attributes.actiongroup
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - Python 3.7 or newer
  - root
  - The boot loader's own program, such as C(update-grub), where its configuration is generated
options:
  parameters:
    description: The parameters. Each name stands for the kernel's, in which C(-) and C(_) are the same.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The parameter's name, without C(=).
        type: str
        required: true
      value:
        description:
          - The value, as the kernel is to see it, without any quoting.
          - When not given, the parameter is a bare word such as V(quiet).
        type: str
      state:
        description:
          - V(present) adds it.
          - V(absent) removes the parameter with this O(parameters[].value) or, without one, each one of that name.
        type: str
        choices: [present, absent]
        default: present
      unique:
        description:
          - Whether the name has this one value. Others of the same name are removed then.
          - With V(false), several values stand side by side, as for C(console=).
        type: bool
        default: true
  boot_loader:
    description:
      - The boot loader. V(auto) finds it and says why in RV(boot_loader). It is an error when none is found, or
        more than one and the firmware does not tell which one started the running kernel.
      - V(grub) is GRUB 2 of Debian and Ubuntu. V(grub_bls) is that of Fedora and RHEL, with entry files. V(grub_suse)
        is that of SUSE.
      - V(systemd-boot) is systemd-boot with entry files, V(uki) are unified kernel images made by kernel-install
        (with ukify, or another generator) or by mkinitcpio.
      - V(extlinux) is a configuration file of EXTLINUX or U-Boot written by hand, V(u-boot-menu) one made by
        C(u-boot-update).
      - V(raspberry-pi) is C(cmdline.txt). V(rpm-ostree) is a running image-based host, V(bootc) an image that is being
        built. V(zipl) is that of IBM Z.
    type: str
    choices:
      - auto
      - grub
      - grub_bls
      - grub_suse
      - systemd-boot
      - uki
      - extlinux
      - u-boot-menu
      - raspberry-pi
      - rpm-ostree
      - bootc
      - zipl
    default: auto
  root_path:
    description:
      - The root folder of the system, for images and chroots. The boot loader's programs are run by C(chroot).
    type: path
    default: /
  backup:
    description: Whether to keep a copy of each settings file that is changed, beside it.
    type: bool
    default: false
seealso:
  - name: The kernel's command-line parameters
    description: What the kernel says of its parameters.
    link: https://docs.kernel.org/admin-guide/kernel-parameters.html
"""

EXAMPLES = r"""
---
- name: Send the kernel's messages from the first line on, also to the screen and the serial port
  fleet.netconsole.kernel_cmdline:
    parameters:
      - name: netconsole
        value: +@/eth0,6666@192.0.2.10/52:54:00:00:00:02;+@/eth0,6666@192.0.2.11/52:54:00:00:00:02
      - name: console
        value: tty0
        unique: false
      - name: console
        value: ttyS0,115200
        unique: false
      - name: quiet
        state: absent

- name: Set a value with spaces
  fleet.netconsole.kernel_cmdline:
    parameters:
      - name: dyndbg
        value: file drivers/net/* +p

- name: Prepare an image
  fleet.netconsole.kernel_cmdline:
    root_path: /srv/images/node
    boot_loader: systemd-boot
    parameters:
      - name: loglevel
        value: "7"
"""

RETURN = r"""
boot_loader:
  description: The boot loader, and why it was taken.
  returned: success
  type: dict
  sample:
    name: grub
    why: /boot/grub/grub.cfg and /etc/default/grub exist
entries:
  description:
    - The kernel command line of each boot entry before and after, without what the boot loader itself adds at boot.
    - The last entry is what a kernel gets that is installed later.
    - V(null) stands for an entry that is not there.
  returned: success
  type: list
  elements: dict
  sample:
    - id: gnulinux-simple-3e8a
      before: root=UUID=3e8a ro quiet
      after: root=UUID=3e8a ro loglevel=7 quiet
running:
  description: The running kernel's command line, or V(null) when O(root_path) is not C(/).
  returned: success
  type: str
reboot_required:
  description: Whether the running kernel's command line differs from the declared parameters.
  returned: success
  type: bool
actions:
  description: The files that were written and the programs that were run, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - write /etc/default/grub.d/zz-fleet-netconsole.cfg
    - run /usr/sbin/update-grub
backup_files:
  description: The copies that O(backup) made.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.host import Host
from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.registry import LOADERS, choose
from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.transaction import (
    ENGINE_ERRORS,
    Outcome,
    run,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._command_line import (
    Parameter,
    parse,
    satisfied,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "parameters": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "value": {"type": "str"},
                    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                    "unique": {"type": "bool", "default": True},
                },
            },
            "boot_loader": {"type": "str", "choices": ["auto", *LOADERS], "default": "auto"},
            "root_path": {"type": "path", "default": "/"},
            "backup": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    parameters = [
        Parameter(entry["name"], entry["value"], entry["state"] == "present", entry["unique"])
        for entry in module.params["parameters"]
    ]
    try:
        result = _result(module, parameters)
    except (*ENGINE_ERRORS, OSError) as error:
        module.fail_json(msg=_shown(str(error)))
    module.exit_json(**result)


def _result(module: AnsibleModule, parameters: list[Parameter]) -> dict[str, Any]:
    host = Host(module.params["root_path"])
    loader, why = choose(host, module.params["boot_loader"])
    outcome = run(
        loader,
        parameters,
        check_mode=module.check_mode,
        backup=module.params["backup"],
    )
    for note in outcome.notes:
        module.warn(note)
    running = (host.read("/proc/cmdline") or b"").decode("latin-1").strip() if host.is_running else None
    entries = _entries(outcome)
    return {
        "changed": outcome.changed,
        "boot_loader": {"name": loader.name, "why": why},
        "entries": entries,
        "running": None if running is None else _shown(running),
        "reboot_required": running is not None and not satisfied(parse(running), parameters),
        "actions": list(outcome.actions),
        "backup_files": list(outcome.backups),
        "diff": {part: _diff(entries, part) for part in ("before", "after")},
    }


def _entries(outcome: Outcome) -> list[dict[str, str | None]]:
    before = {entry.id: _shown(entry.line) for entry in outcome.before}
    after = {entry.id: _shown(entry.line) for entry in outcome.after}
    names = [*before, *(name for name in after if name not in before)]
    return [{"id": name, "before": before.get(name), "after": after.get(name)} for name in names]


def _diff(entries: list[dict[str, str | None]], part: str) -> str:
    return "".join(f"{entry['id']}: {entry[part]}\n" for entry in entries if entry[part] is not None)


def _shown(text: str) -> str:
    """Text that was read byte by byte, for people."""
    return text.encode("latin-1", "replace").decode("utf-8", "replace")


if __name__ == "__main__":
    main()
