# netconsole_sender_early: kernel_cmdline as Ansible runs it: which parameter the role chooses, what it puts into the
# initramfs, when that is made anew, and whom it refuses. The modules are stand-ins. What the role looks at and writes,
# and the programs that make an initramfs, lie in a folder of the test's own.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from standin_fleet import ROOT, Fleet, Outcome

ROLE = ROOT / "roles" / "netconsole_sender"
LOOKED_AT = re.compile(r"(?<!\w)/(?=(?:etc|lib|sys|usr|var)/)")
BY_NAME = "+6665@192.0.2.11/eth0,6666@192.0.2.10/52:54:00:00:00:02"
BY_MAC = "+6665@192.0.2.11/52:54:00:00:00:0b,6666@192.0.2.10/52:54:00:00:00:02"
LEVEL: list[dict[str, Any]] = [
    {"name": "loglevel", "value": "7"},
    {"name": "quiet", "state": "absent"},
    {"name": "rd.driver.post", "value": "netconsole", "state": "absent"},
]
INITRAMFS_TOOLS = "etc/initramfs-tools/hooks/netconsole-cmdline"
DRACUT = "etc/dracut.conf.d/netconsole-cmdline.conf"
RULE = "etc/udev/rules.d/85-netconsole-cmdline.rules"


class Host:
    """A host with an interface, eth0, whose driver is a module and whose name is the kernel's, until told otherwise."""

    def __init__(self, path: Path) -> None:
        self.fleet, self.root = Fleet(path), path / "root"
        self.kernel = "6.12.0"
        for folder in ("var/lib", "etc/initramfs-tools/hooks", "etc/dracut.conf.d", "etc/udev/rules.d", "usr/sbin"):
            (self.root / folder).mkdir(parents=True)
        self.write("sys/module/virtio_net/initstate", "live")
        self.write("sys/class/net/eth0/name_assign_type", "1")
        self.write("sys/class/net/eth0/device/driver/uevent")
        (self.root / "sys/class/net/eth0/device/driver/module").symlink_to(self.root / "sys/module/virtio_net")
        self.fleet.senders["web1"] = {
            "ansible_python_interpreter": sys.executable,
            "fake_cmdline": str(path / "cmdline"),
            "fake_device": "eth0",
            "netconsole_sender_targets": [{"name": "log1", "remote_ip": "192.0.2.10"}],
            "netconsole_sender_early": "kernel_cmdline",
        }
        play = {"hosts": "web1", "gather_facts": False, "roles": ["fleet.netconsole.netconsole_sender"]}
        (path / "role.yml").write_text(json.dumps([play]))

    def write(self, name: str, text: str = "") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
        return path

    def initramfs(self, program: str, *, works: bool = True, runs: str = "mkinitramfs") -> None:
        """Install a program that makes an initramfs, by another one: it notes how it was called, and may fail."""
        script = f'#!/bin/sh\n# {runs}\necho "${{0##*/}} $*" >>{self.root}/made\nexit {0 if works else 1}'
        self.write(f"usr/sbin/{program}", script).chmod(0o755)

    def built_in(self, kernel: str, *, driver: bool = True) -> None:
        self.kernel = kernel
        self.write(f"lib/modules/{kernel}/modules.builtin", "kernel/drivers/net/netconsole.ko")
        if driver:
            (self.root / "sys/module/virtio_net/initstate").unlink()

    def play(self, playbook: str = "role.yml", *arguments: str) -> Outcome:
        (self.fleet.path / "cmdline").unlink(missing_ok=True)
        return self.fleet.play(playbook, "--extra-vars", json.dumps(self._elsewhere()), *arguments)

    def _elsewhere(self) -> dict[str, Any]:
        """The role's variables that name a place of the host, with one in the test's folder instead."""
        known = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
        look = LOOKED_AT.sub(f"{self.root}/", known["__netconsole_sender_look"])
        for words, instead in (
            ("uname -r | sed", f"echo {self.kernel} | sed"),
            ("$(uname -r)", self.kernel),
            ("command -v dracut", f"[ -x {self.root}/usr/sbin/dracut ]"),
        ):
            assert look.count(words) == 1
            look = look.replace(words, instead)
        files = known["__netconsole_sender_initramfs_files"]
        for file in files.values():
            file["dest"] = LOOKED_AT.sub(f"{self.root}/", file["dest"])  # the rule's is a variable of its own
        path = f"PATH={self.root}/usr/sbin:$PATH; "
        return {
            "__netconsole_sender_look": look,
            "__netconsole_sender_initramfs_files": files,
            "__netconsole_sender_rule": LOOKED_AT.sub(f"{self.root}/", known["__netconsole_sender_rule"]),
            "__netconsole_sender_stamp": LOOKED_AT.sub(f"{self.root}/", known["__netconsole_sender_stamp"]),
            "__netconsole_sender_make_initramfs": path
            + LOOKED_AT.sub(f"{self.root}/", known["__netconsole_sender_make_initramfs"]),
        }

    @property
    def parameters(self) -> Any:
        """What the module was told; None when it was not called."""
        path = self.fleet.path / "cmdline"
        return json.loads(path.read_text())["parameters"] if path.exists() else None

    @property
    def made(self) -> list[str]:
        """The calls of a program that makes an initramfs."""
        path = self.root / "made"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_module_and_initramfs_tools(host: Host) -> None:
    host.initramfs("update-initramfs")
    outcome = host.play()
    assert outcome.status == 0, outcome.output
    assert host.parameters == [{"name": "netconsole", "value": BY_NAME}, *LEVEL]
    hook = host.root / INITRAMFS_TOOLS
    assert hook.stat().st_mode & 0o777 == 0o755
    assert hook.read_text().endswith("\nmanual_add_modules netconsole virtio_net\n")
    assert host.made == ["update-initramfs -u -k all"]
    assert not (host.root / DRACUT).exists()


@pytest.mark.parametrize(
    ("more", "made"),
    [
        pytest.param((), "dracut --force --regenerate-all", id="dracut"),
        pytest.param(("update-initramfs",), "update-initramfs -u -k all", id="from-107-on"),
    ],
)
def test_a_module_and_dracut(host: Host, more: Sequence[str], made: str) -> None:
    for program in ("dracut", *more):
        host.initramfs(program, runs="dracut")
    outcome = host.play()
    assert outcome.status == 0, outcome.output
    assert host.parameters == [{"name": "netconsole.netconsole", "value": BY_NAME}, *LEVEL]
    rule = host.root / RULE
    assert rule.read_text().splitlines()[1:] == [
        'ACTION=="add", SUBSYSTEM=="net", NAME=="eth0", RUN{builtin}+="kmod load netconsole"',
        'ACTION=="add", SUBSYSTEM=="net", NAME=="", KERNEL=="eth0", RUN{builtin}+="kmod load netconsole"',
    ]
    words = f'\nadd_drivers+=" netconsole virtio_net "\ninstall_items+=" {rule} "\n'
    assert words in (host.root / DRACUT).read_text()
    assert host.made == [made]
    assert not (host.root / INITRAMFS_TOOLS).exists()


def test_a_module_and_no_initramfs(host: Host) -> None:
    outcome = host.play()
    assert outcome.status == 0, outcome.output
    assert host.parameters == [{"name": "netconsole.netconsole", "value": BY_NAME}, *LEVEL]
    assert (host.root / RULE).exists()
    assert not (host.root / DRACUT).exists()
    assert not (host.root / INITRAMFS_TOOLS).exists()
    outcome = host.play()
    assert "changed" not in outcome.recap["web1"], outcome.output


def test_built_in(host: Host) -> None:
    host.built_in("6.1.0")
    host.initramfs("update-initramfs")
    host.initramfs("dracut")
    outcome = host.play()
    assert outcome.status == 0, outcome.output
    assert host.parameters == [{"name": "netconsole", "value": BY_NAME}, *LEVEL]
    assert host.made == []
    assert not (host.root / DRACUT).exists()
    assert not (host.root / INITRAMFS_TOOLS).exists()


def test_built_in_by_mac_address(host: Host) -> None:
    host.built_in("6.15.0")
    host.write("sys/class/net/eth0/name_assign_type", "4")
    outcome = host.play()
    assert outcome.status == 0, outcome.output
    assert host.parameters == [{"name": "netconsole", "value": BY_MAC}, *LEVEL]


def refused(host: Host) -> str:
    outcome = host.play()
    assert outcome.bad == {"web1"}, outcome.output
    assert host.parameters is None
    assert host.made == []
    found = re.search(r'"msg": "(.*)"', outcome.output)
    assert found, outcome.output
    return found[1]


def test_built_in_and_renamed_is_refused(host: Host) -> None:
    host.built_in("6.14.9")
    host.write("sys/class/net/eth0/name_assign_type", "4")
    assert refused(host) == (
        "netconsole_sender_early: netconsole is built into kernel 6.14.9 and starts before eth0 has this name; only "
        "kernels from 6.15 on find an interface by its MAC address: let it keep the kernel's name (net.ifnames=0), or "
        "set netconsole_sender_early to none on this host, the service sends from then on"
    )


def test_built_in_before_its_driver_is_refused(host: Host) -> None:
    host.built_in("6.15.0", driver=False)
    assert refused(host) == (
        "netconsole_sender_early: netconsole is built into kernel 6.15.0 and starts before the driver of eth0 is "
        "loaded, which is a module: set netconsole_sender_early to none on this host, the service sends from then on"
    )


def test_an_interface_made_by_software_is_refused(host: Host) -> None:
    host.initramfs("update-initramfs")
    host.fleet.senders["web1"]["fake_device"] = "bond0"
    host.write("sys/class/net/bond0/name_assign_type", "3")
    assert refused(host) == (
        "netconsole_sender_early: bond0 is no interface of the hardware (bond, bridge or VLAN): it is only made when "
        "the network is configured: set netconsole_sender_early to none on this host, the service sends from then on"
    )


def test_the_initramfs_is_made_until_it_has_succeeded(host: Host) -> None:
    host.initramfs("update-initramfs", works=False)
    assert host.play().bad == {"web1"}
    assert host.play().bad == {"web1"}
    assert host.parameters is None
    host.initramfs("update-initramfs")
    outcome = host.play()
    assert outcome.status == 0, outcome.output
    assert outcome.recap["web1"]["changed"] == 1
    assert len(host.made) == 3
    outcome = host.play()
    assert "changed" not in outcome.recap["web1"], outcome.output
    assert len(host.made) == 3


@pytest.mark.parametrize(("program", "playbook"), [("update-initramfs", "role.yml"), ("dracut", "remove")])
def test_absent_leaves_no_trace(host: Host, program: str, playbook: str) -> None:
    before = sorted(host.root.rglob("*"))
    host.initramfs(program)
    assert host.play().status == 0
    if playbook == "role.yml":
        host.fleet.senders["web1"]["netconsole_sender_state"] = "absent"
    outcome = host.play(playbook)
    assert outcome.status == 0, outcome.output
    assert host.parameters == [
        {"name": "netconsole", "state": "absent"},
        {"name": "netconsole.netconsole", "state": "absent"},
        {"name": "loglevel", "value": 7, "state": "absent"},
        {"name": "rd.driver.post", "value": "netconsole", "state": "absent"},
    ]
    assert len(host.made) == 2
    left = {path.relative_to(host.root).as_posix() for path in set(host.root.rglob("*")) - set(before)}
    assert left == {"made", f"usr/sbin/{program}"}
    outcome = host.play(playbook)
    assert "changed" not in outcome.recap["web1"], outcome.output
    assert len(host.made) == 2


def test_remove_leaves_hosts_alone_that_never_had_it(host: Host) -> None:
    del host.fleet.senders["web1"]["netconsole_sender_early"]
    outcome = host.play("remove")
    assert outcome.status == 0, outcome.output
    assert host.parameters is None
