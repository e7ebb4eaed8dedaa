# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's dracut makes an initramfs of the files that early writes, by the command that early runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from jinja2 import Template

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import Value
from ansible_collections.fleet.netconsole.plugins.module_utils._early import (
    DRACUT,
    RULE,
    early_entries,
    regeneration,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._node_files import Entry
from ansible_collections.fleet.netconsole.plugins.module_utils._sender_files import EARLY_PARAMETER as MODPROBE
from ansible_collections.fleet.netconsole.tests.boot_tools.conftest import Disk
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_node import FakeNode

ROOT = Path(__file__).resolve().parents[2]
LINK = "/usr/lib/systemd/network/99-default.link"
"""Which says how interfaces are named. Without it they have the kernel's names in the initramfs."""

TARGET: dict[str, Value] = {
    "enabled": True,
    "dev_name": "eth1",
    "local_ip": "192.0.2.15",
    "local_port": 6665,
    "remote_ip": "192.0.2.10",
    "remote_port": 6666,
    "remote_mac": "52:54:00:00:00:01",
    "extended": True,
}


def declare(disk: Disk) -> Sequence[str]:
    """Write what early writes on a host with dracut. Returns the command that early runs then."""
    files = FakeNode()
    program = next(path for path in ("/usr/bin/dracut", "/usr/sbin/dracut") if (disk.root / path[1:]).exists())
    files.entries[program] = Entry(program, content=b"")
    files.entries["/sys/class/net/eth1/device/driver/module"] = Entry("", link="../../../module/virtio_net")
    entries = early_entries([TARGET], files=files)
    for entry in entries:
        if entry.present:
            disk.put(entry.path, entry.text())
    command = regeneration(entries, files=files)
    assert command is not None
    return command


def listed(disk: Disk, command: Sequence[str], *paths: str) -> list[str]:
    """Which of these files and our modules are in the initramfs that this command makes of the disk's one kernel."""
    disk.run(*command, timeout=300)
    (initramfs,) = (disk.root / "boot").glob("initrd.img-*")
    lines = disk.run("lsinitrd", f"/boot/{initramfs.name}").splitlines()
    files = [path for path in paths if any(line.endswith(f" {path[1:]}") for line in lines)]
    return [*files, *(name for name in ("netconsole", "virtio_net") if any(f"/{name}.ko" in line for line in lines))]


def test_the_initramfs_has_the_rule_the_parameter_and_the_modules(disk: Disk) -> None:
    command = declare(disk)
    paths = (RULE, MODPROBE, LINK)
    assert listed(disk, command, *paths) == [*paths, "netconsole", "virtio_net"]
    (disk.root / DRACUT[1:]).unlink()
    assert "netconsole" not in listed(disk, command)  # so it was this file


def test_the_initramfs_has_what_the_role_writes_for_the_command_line(disk: Disk) -> None:
    known = yaml.safe_load((ROOT / "roles/netconsole_sender/vars/main.yml").read_text(encoding="utf-8"))
    rule, file = known["__netconsole_sender_rule"], known["__netconsole_sender_initramfs_files"]["dracut"]
    disk.put(rule, "# a rule\n")
    template = Template(file["content"])
    content = template.render(__netconsole_sender_drivers="virtio_net", __netconsole_sender_rule=rule)
    disk.put(file["dest"], f"{content}\n")
    command = ("dracut", "--force", "--regenerate-all")
    assert listed(disk, command, rule, LINK) == [rule, LINK, "netconsole", "virtio_net"]
    (disk.root / file["dest"][1:]).unlink()
