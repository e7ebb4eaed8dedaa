# The audit of a sender on made-up hosts: a folder stands for the file system, strict tables for commands and network.
# What is in the files is as Debian 12 and 13 and Ubuntu have it.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._command import CommandError, CompletedCommand
from ansible_collections.fleet.netconsole.plugins.module_utils._device import Device, DeviceError
from ansible_collections.fleet.netconsole.plugins.module_utils._next_hop import NextHop, NextHopError
from ansible_collections.fleet.netconsole.plugins.module_utils._sender_facts import Audit, Network, ReadOnlyFiles

CONFIGFS = "sys/kernel/config/netconsole"
MODPROBE = "modprobe --show-depends netconsole"
SYSTEMCTL = (
    "systemctl show --property=LoadState,ActiveState,SubState,UnitFileState,Result,StatusText netconsole-sender.service"
)
NO_MODULE = CompletedCommand(1, "", "modprobe: FATAL: Module netconsole not found in directory /lib/modules/6.12\n")
LOADABLE = CompletedCommand(0, "insmod /lib/modules/6.12/kernel/drivers/net/netconsole.ko.xz \n", "")
ACTIVE = "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nResult=success\n"

ATTRIBUTES = {
    "enabled": "1",
    "extended": "1",
    "release": "0",
    "dev_name": "eth1",
    "local_ip": "192.0.2.11",
    "local_port": "6665",
    "local_mac": "52:54:00:00:00:11",
    "remote_ip": "192.0.2.10",
    "remote_port": "6666",
    "remote_mac": "52:54:00:00:00:10",
}
HOP = NextHop("192.0.2.10", "eth1", "192.0.2.11", "52:54:00:00:00:10", gateway=None)


class Host:
    """A host: its files below a folder, its commands and its network as tables. Every other question fails."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands: dict[str, CompletedCommand | CommandError] = {MODPROBE: LOADABLE}
        self.hops: dict[str, NextHop | Exception] = {"192.0.2.10": HOP}
        self.hops_by: dict[str, NextHop] = {}
        self.names: dict[str, str] = {}
        self.faulty_devices: dict[str, str] = {}
        self.asked: list[Mapping[str, Any]] = []
        self.equal: list[NextHop] = []
        self.release = "6.12.107+deb13-amd64"

    def file(self, path: str, text: str) -> Host:
        there = self.root / path
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(text, encoding="utf-8")
        return self

    def folder(self, path: str) -> Host:
        (self.root / path).mkdir(parents=True, exist_ok=True)
        return self

    def target(self, name: str, *, userdata: Mapping[str, str] | None = None, **attributes: str) -> Host:
        self.folder("sys/module/netconsole")
        for attribute, value in {**ATTRIBUTES, **attributes}.items():
            self.file(f"{CONFIGFS}/{name}/{attribute}", f"{value}\n")
        for key, value in (userdata or {}).items():
            self.file(f"{CONFIGFS}/{name}/userdata/{key}/value", f"{value}\n")
        return self

    def declare(self, *targets: Mapping[str, Any], **more: Any) -> Host:
        return self.file("etc/netconsole-sender/declaration.json", json.dumps({"targets": targets, **more}))

    def systemd(self, shown: str) -> Host:
        self.commands[SYSTEMCTL] = CompletedCommand(0, shown, "")
        return self.folder("run/systemd/system")

    def audit(self, files: ReadOnlyFiles | None = None) -> dict[str, Any]:
        files = ReadOnlyFiles(str(self.root)) if files is None else files
        files.release = lambda: self.release  # type: ignore[method-assign]
        network = Network(
            remote_ip=self._remote_ip,
            next_hop=self._next_hop,
            equal_next_hops=lambda hop: self.equal,
            device=self._device,
        )
        before = _tree(self.root)
        facts = Audit(files=files, run=self._run, network=network).facts()
        assert _tree(self.root) == before
        return facts

    def _run(self, command: Sequence[str], *, package: str) -> CompletedCommand:
        assert package
        answer = self.commands[" ".join(command)]
        if isinstance(answer, CommandError):
            raise answer
        return answer

    def _remote_ip(self, name_or_address: str, *, family: int | None) -> str:
        assert family in (None, 4, 6)
        return self.names.get(name_or_address, name_or_address)

    def _next_hop(self, remote_ip: str, *, timeout: float, **fixed: str) -> NextHop:
        assert timeout <= 1
        self.asked.append({"remote_ip": remote_ip, **fixed})
        answer = self.hops_by.get(fixed.get("dev_name", ""), self.hops[remote_ip])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _device(self, dev_name: str) -> Device:
        if dev_name in self.faulty_devices:
            raise DeviceError(self.faulty_devices[dev_name])
        return Device(dev_name, mac="", operstate="UP", kind="", master=None, up=True, carrier=True)


def _tree(root: Path) -> dict[str, str]:
    return {str(path): path.read_text(encoding="utf-8") if path.is_file() else "" for path in sorted(root.rglob("*"))}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_host_with_nothing_at_all(host: Host) -> None:
    host.commands[MODPROBE] = CommandError("'modprobe' was not found on this host: install the package kmod")
    assert host.audit() == {
        "kernel_release": "6.12.107+deb13-amd64",
        "module": {"state": "unknown", "built_in": None, "loadable": None, "loaded": False, "reason": None},
        "configfs": {"mounted": False, "dynamic_targets": None},
        "capabilities": None,
        "targets": [],
        "boot_parameters": [],
        "console": {
            "console_loglevel": None,
            "default_message_loglevel": None,
            "minimum_console_loglevel": None,
            "default_console_loglevel": None,
            "ignore_loglevel": None,
            "oops_only": None,
            "quiet": False,
            "debug": False,
            "loglevel": None,
            "reset_by": [],
            "consoles": [],
        },
        "panic": {"timeout": None, "crash_kernel_loaded": None, "nbcon": False, "sent": True, "reason": None},
        "service": None,
        "declaration": None,
        "drift": [],
        "unreadable": [f"{MODPROBE}: 'modprobe' was not found on this host: install the package kmod"],
    }


@pytest.mark.parametrize(
    ("builtin", "loaded", "modprobe", "expected"),
    [
        pytest.param("", False, LOADABLE, ("loadable", False, True, None), id="a module that waits"),
        pytest.param("", True, LOADABLE, ("loaded", False, True, None), id="a loaded module"),
        pytest.param(
            "kernel/drivers/net/netconsole.ko\n",
            True,
            CompletedCommand(0, "builtin netconsole\n", ""),
            ("built-in", True, False, None),
            id="built in",
        ),
        pytest.param(
            None,
            True,
            CompletedCommand(0, "builtin netconsole\n", ""),
            ("built-in", True, False, None),
            id="built in, modprobe alone says so",
        ),
        pytest.param(
            "kernel/net/mynetconsole.ko\n",
            False,
            NO_MODULE,
            (
                "missing",
                False,
                False,
                "modprobe: FATAL: Module netconsole not found in directory /lib/modules/6.12",
            ),
            id="a kernel without it",
        ),
        pytest.param(
            "",
            False,
            CompletedCommand(0, "insmod /lib/configfs.ko\ninstall /bin/false \n", ""),
            ("missing", False, False, "modprobe.d has 'install /bin/false' run in place of loading the module"),
            id="modprobe.d keeps it away",
        ),
    ],
)
def test_module(
    host: Host, builtin: str | None, loaded: bool, modprobe: CompletedCommand, expected: tuple[Any, ...]
) -> None:
    if builtin is not None:
        host.file(f"lib/modules/{host.release}/modules.builtin", builtin)
    if loaded:
        host.folder("sys/module/netconsole")
    host.commands[MODPROBE] = modprobe
    module = host.audit()["module"]
    assert (module["state"], module["built_in"], module["loadable"], module["reason"]) == expected
    assert module["loaded"] is loaded


@pytest.mark.parametrize(
    ("mounts", "folders", "expected"),
    [
        pytest.param("", [], (False, None), id="nothing"),
        pytest.param("configfs /sys/kernel/config configfs rw 0 0\n", [], (True, None), id="mounted, not loaded"),
        pytest.param("", ["sys/module/netconsole"], (False, False), id="loaded, not mounted"),
        pytest.param(
            "configfs /sys/kernel/config configfs rw 0 0\n",
            ["sys/module/netconsole", CONFIGFS],
            (True, True),
            id="both",
        ),
    ],
)
def test_configfs(host: Host, mounts: str, folders: list[str], expected: tuple[bool, bool | None]) -> None:
    host.file("proc/mounts", f"proc /proc proc rw 0 0\n{mounts}")
    for folder in folders:
        host.folder(folder)
    configfs = host.audit()["configfs"]
    assert (configfs["mounted"], configfs["dynamic_targets"]) == expected


def test_a_target_as_it_should_be(host: Host) -> None:
    host.target("log1", userdata={"rack": "b7"}, transmit_errors="3")
    facts = host.audit()
    assert facts["targets"] == [
        {
            "name": "log1",
            "enabled": True,
            "extended": True,
            "release": False,
            "dev_name": "eth1",
            "local_ip": "192.0.2.11",
            "local_port": 6665,
            "local_mac": "52:54:00:00:00:11",
            "remote_ip": "192.0.2.10",
            "remote_port": 6666,
            "remote_mac": "52:54:00:00:00:10",
            "transmit_errors": 3,
            "userdata": {"rack": "b7"},
            "declared": None,
            "next_hop": {
                "remote_ip": "192.0.2.10",
                "dev_name": "eth1",
                "local_ip": "192.0.2.11",
                "remote_mac": "52:54:00:00:00:10",
                "gateway": None,
            },
            "drift": [],
        }
    ]
    assert facts["capabilities"] == ["extended", "release", "transmit_errors", "userdata"]
    assert facts["drift"] == []
    assert host.asked == [{"remote_ip": "192.0.2.10"}]


@pytest.mark.parametrize(
    ("attributes", "hop", "drift"),
    [
        pytest.param(
            {},
            NextHop("192.0.2.10", "eth1", "192.0.2.11", "52:54:00:00:00:99", gateway=None),
            [
                "it sends to the MAC address 52:54:00:00:00:10, the receiver 192.0.2.10 has 52:54:00:00:00:99 now",
            ],
            id="the receiver has another MAC address",
        ),
        pytest.param(
            {},
            NextHop("192.0.2.10", "eth2", "203.0.113.5", "52:54:00:00:00:01", gateway="203.0.113.1"),
            [
                "it sends by eth1, the way to 192.0.2.10 is eth2 now",
                "it sends from 192.0.2.11, the address towards 192.0.2.10 is 203.0.113.5 now",
                "it sends to the MAC address 52:54:00:00:00:10, the gateway 203.0.113.1 has 52:54:00:00:00:01 now",
            ],
            id="the route has moved",
        ),
        pytest.param({"local_ip": "0.0.0.0"}, HOP, [], id="a source address that the kernel chooses"),
        pytest.param(
            {},
            NextHopError("no route to the receiver 192.0.2.10"),
            ["no route to the receiver 192.0.2.10"],
            id="no way at all",
        ),
        pytest.param(
            {"remote_mac": "ff:ff:ff:ff:ff:ff"},
            HOP,
            ["it sends to the MAC address ff:ff:ff:ff:ff:ff, the receiver 192.0.2.10 has 52:54:00:00:00:10 now"],
            id="to everybody on the segment",
        ),
    ],
)
def test_drift_of_the_way(host: Host, attributes: dict[str, Any], hop: NextHop | Exception, drift: list[str]) -> None:
    host.target("log1", **attributes)
    host.hops["192.0.2.10"] = hop
    facts = host.audit()
    assert facts["targets"][0]["drift"] == drift
    assert facts["drift"] == [f"log1: {words}" for words in drift]


@pytest.mark.parametrize(
    ("enabled", "drift"), [("1", ["eth1 is a port of bond0: use bond0"]), ("0", [])], ids=["enabled", "disabled"]
)
def test_a_device_that_cannot_send(host: Host, enabled: str, drift: list[str]) -> None:
    host.target("log1", enabled=enabled)
    host.faulty_devices["eth1"] = "eth1 is a port of bond0: use bond0"
    assert host.audit()["targets"][0]["drift"] == drift


@pytest.mark.parametrize(
    ("enabled", "drift"), [("1", ["it has no receiver: remote_ip is not set"]), ("0", [])], ids=["enabled", "disabled"]
)
def test_a_target_without_a_receiver(host: Host, enabled: str, drift: list[str]) -> None:
    host.target("log1", enabled=enabled, remote_ip="0.0.0.0")
    (target,) = host.audit()["targets"]
    assert (target["drift"], target["next_hop"], host.asked) == (drift, None, [])


@pytest.mark.parametrize(
    ("attributes", "declared", "asked"),
    [
        pytest.param({}, {}, {"remote_ip": "192.0.2.10"}, id="nothing is fixed"),
        pytest.param(
            {},
            {"dev_name": "eth1", "local_ip": "192.0.2.11", "remote_mac": "broadcast"},
            {"remote_ip": "192.0.2.10", "dev_name": "eth1", "local_ip": "192.0.2.11", "remote_mac": "broadcast"},
            id="what is declared is fixed",
        ),
        pytest.param({}, {"dev_name": "auto"}, {"remote_ip": "192.0.2.10"}, id="auto is not fixed"),
        pytest.param(
            {"remote_ip": "fe80::10"},
            {"remote_ip": "fe80::10"},
            {"remote_ip": "fe80::10", "dev_name": "eth1"},
            id="no routing says which segment a link-local address is on",
        ),
        pytest.param(
            {"remote_ip": "239.1.1.1"},
            {"remote_ip": "239.1.1.1"},
            {"remote_ip": "239.1.1.1", "remote_mac": "52:54:00:00:00:10"},
            id="no neighbour has the address of a group",
        ),
    ],
)
def test_what_the_routing_is_asked(
    host: Host, attributes: dict[str, Any], declared: dict[str, Any], asked: dict[str, str]
) -> None:
    host.target("log1", **attributes).declare({"name": "log1", "remote_ip": "192.0.2.10", **declared})
    host.hops = {asked["remote_ip"]: NextHopError("no answer is needed here")}
    host.audit()
    assert host.asked == [asked]


@pytest.mark.parametrize(
    ("attributes", "declared", "drift"),
    [
        pytest.param({}, {}, [], id="as declared"),
        pytest.param(
            {"enabled": "0"}, {}, ["log1: enabled is false, declared is true"], id="the kernel switched it off"
        ),
        pytest.param({}, {"enabled": False}, ["log1: enabled is true, declared is false"], id="switched on by hand"),
        pytest.param(
            {"remote_port": "514", "local_port": "1"},
            {"remote_port": 6666, "local_port": 6665},
            ["log1: remote_port is 514, declared is 6666", "log1: local_port is 1, declared is 6665"],
            id="ports",
        ),
        pytest.param(
            {"extended": "0"},
            {"extended": "auto"},
            ["log1: extended is false, declared is auto: this kernel has it"],
            id="auto takes the better format",
        ),
        pytest.param(
            {"extended": "0"}, {"extended": "true"}, ["log1: extended is false, declared is true"], id="the format"
        ),
        pytest.param(
            {"userdata/msgid_enabled": "0"},
            {"msgid_enabled": True},
            ["log1: msgid_enabled is false, declared is true"],
            id="a switch",
        ),
        pytest.param(
            {"userdata/release_enabled": "0"}, {"release_enabled": True}, [], id="a switch that 6.17 misreads"
        ),
        pytest.param({}, {"release": True}, ["log1: release is false, declared is true"], id="the release"),
        pytest.param(
            {},
            {"userdata": {"rack": "b8"}},
            ["log1: userdata is {'rack': 'b7'}, declared is {'rack': 'b8'}"],
            id="userdata",
        ),
        pytest.param({}, {"userdata": {"rack": "b7"}}, [], id="userdata as declared"),
        pytest.param(
            {},
            {"remote_ip": "log1.example.com"},
            [
                "log1: it sends to 192.0.2.10, the receiver's name stands for 192.0.2.77 now",
                "log1: it sends to the MAC address 52:54:00:00:00:10, "
                "the receiver 192.0.2.77 has 52:54:00:00:00:77 now",
            ],
            id="the name has another address",
        ),
    ],
)
def test_drift_from_the_declaration(
    host: Host, attributes: dict[str, Any], declared: dict[str, Any], drift: list[str]
) -> None:
    host.target("log1", userdata={"rack": "b7"}, **attributes)
    host.declare({"name": "log1", "remote_ip": "192.0.2.10", **declared})
    host.names["log1.example.com"] = "192.0.2.77"
    host.hops["192.0.2.77"] = NextHop("192.0.2.77", "eth1", "192.0.2.11", "52:54:00:00:00:77", gateway=None)
    facts = host.audit()
    assert facts["drift"] == drift
    assert facts["targets"][0]["declared"] is True


@pytest.mark.parametrize(
    ("names", "declared", "drift"),
    [
        pytest.param(["log1"], ["log1"], [], id="there"),
        pytest.param([], ["log1"], ["log1: it is declared, and the kernel lists no such target"], id="gone"),
        pytest.param(["cmdline0"], ["log1"], [], id="a boot-time target that points at the receiver"),
        pytest.param(["other", "log1"], ["log1"], [], id="a foreign one beside it"),
    ],
)
def test_declared_targets_that_are_missing(host: Host, names: list[str], declared: list[str], drift: list[str]) -> None:
    host.folder("sys/module/netconsole")
    for name in names:
        host.target(name)
    host.declare(*({"name": name, "remote_ip": "192.0.2.10"} for name in declared))
    facts = host.audit()
    assert facts["drift"] == drift
    assert [target["declared"] for target in facts["targets"]] == [
        name in ("cmdline0", "log1") for name in sorted(names)
    ]


@pytest.mark.parametrize(
    ("printk", "declared", "drift"),
    [
        pytest.param("7\t4\t1\t7\n", 7, [], id="as declared"),
        pytest.param("4\t4\t1\t7\n", 7, ["console_loglevel is 4, declared is 7"], id="reset by somebody"),
        pytest.param("4\t4\t1\t7\n", None, [], id="not declared"),
    ],
)
def test_drift_of_the_console_level(host: Host, printk: str, declared: int | None, drift: list[str]) -> None:
    host.file("proc/sys/kernel/printk", printk).declare(console_loglevel=declared)
    assert host.audit()["drift"] == drift


def test_console(host: Host) -> None:
    host.file("proc/sys/kernel/printk", "4\t4\t1\t7\n")
    host.file("proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet debug loglevel=5 -- loglevel=6\n")
    host.file("proc/consoles", "tty0                 -WU (EC   p  )    4:7\nnetcon_ext0          -W- (E       )\n")
    host.file("sys/module/printk/parameters/ignore_loglevel", "Y\n")
    host.file("sys/module/netconsole/parameters/oops_only", "N\n")
    host.file("etc/sysctl.d/99-own.conf", "kernel.printk = 7\n")
    host.file("usr/lib/sysctl.d/55-console-messages.conf", "kernel.printk = 4 4 1 7\n")
    host.file("usr/lib/sysctl.d/50-other.conf", "kernel.pid_max = 4194304\n")
    host.file("etc/sysctl.conf", "#kernel.printk = 3 4 1 3\n")
    assert host.audit()["console"] == {
        "console_loglevel": 4,
        "default_message_loglevel": 4,
        "minimum_console_loglevel": 1,
        "default_console_loglevel": 7,
        "ignore_loglevel": True,
        "oops_only": False,
        "quiet": True,
        "debug": True,
        "loglevel": 5,
        "reset_by": [
            {"file": "/usr/lib/sysctl.d/55-console-messages.conf", "value": "4 4 1 7"},
            {"file": "/etc/sysctl.d/99-own.conf", "value": "7"},
        ],
        "consoles": [
            {"name": "tty0", "flags": "ECp", "device": "4:7", "netconsole": False},
            {"name": "netcon_ext0", "flags": "E", "device": "", "netconsole": True},
        ],
    }


@pytest.mark.parametrize(
    ("release", "timeout", "crash_kernel", "sent"),
    [
        pytest.param("6.12.107", "10", "1", True, id="a kernel that sends at once"),
        pytest.param("7.2.13", "0", "0", True, id="nothing comes before it"),
        pytest.param("7.2.13", "10", "0", False, id="a reboot"),
        pytest.param("7.2.13", "0", "1", False, id="a crash kernel"),
        pytest.param("7.2.13", "0", None, True, id="a kernel that cannot have a crash kernel"),
        pytest.param("7.2.13", None, None, None, id="not known"),
    ],
)
def test_panic(host: Host, release: str, timeout: str | None, crash_kernel: str | None, sent: bool | None) -> None:
    host.release = release
    for path, value in (("proc/sys/kernel/panic", timeout), ("sys/kernel/kexec_crash_loaded", crash_kernel)):
        if value is not None:
            host.file(path, f"{value}\n")
    panic = host.audit()["panic"]
    assert panic["sent"] is sent
    assert (panic["reason"] is not None) is (sent is False)
    assert panic["timeout"] == (None if timeout is None else int(timeout))
    assert panic["crash_kernel_loaded"] is (None if crash_kernel is None else crash_kernel == "1")


def test_boot_parameters(host: Host) -> None:
    host.file("usr/lib/modprobe.d/zz.conf", "options netconsole netconsole=@/eth9,@192.0.2.9/\n")
    host.file("etc/modprobe.d/netconsole.conf", "options netconsole netconsole=@/eth0,@192.0.2.10\n")
    host.file("lib/modprobe.d/netconsole.conf", "options netconsole netconsole=@/hidden,@192.0.2.10/\n")
    host.file("proc/cmdline", "quiet netconsole.netconsole=+@/eth0,@192.0.2.10/\n")
    found = host.audit()["boot_parameters"]
    assert [(entry["source"], entry["read_by"], len(entry["targets"])) for entry in found] == [
        ("/etc/modprobe.d/netconsole.conf", "modprobe", 0),
        ("/usr/lib/modprobe.d/zz.conf", "modprobe", 1),
        ("/proc/cmdline", "modprobe", 1),
    ]
    assert "no '/' after the remote address" in found[0]["error"]
    assert found[2]["targets"][0] == {
        "remote_ip": "192.0.2.10",
        "dev_name": "eth0",
        "local_port": None,
        "local_ip": None,
        "remote_port": None,
        "remote_mac": None,
        "extended": True,
        "release": False,
    }


@pytest.mark.parametrize(
    ("value", "drift"),
    [
        pytest.param("+6665@192.0.2.11/eth1,6666@192.0.2.10/52:54:00:00:00:10", [], id="as it is"),
        pytest.param("@192.0.2.11/52:54:00:00:00:11,@192.0.2.10/52:54:00:00:00:10", [], id="device by its MAC address"),
        pytest.param(
            "@192.0.2.11/52:54:00:00:00:77,@192.0.2.10/52:54:00:00:00:10",
            ["it sends by 52:54:00:00:00:77, the way to 192.0.2.10 is eth1 now"],
            id="device by the MAC address of another one",
        ),
        pytest.param(
            "@/,@192.0.2.10/",
            [
                "it sends by eth0, the way to 192.0.2.10 is eth1 now",
                "it sends to the MAC address ff:ff:ff:ff:ff:ff, the receiver 192.0.2.10 has 52:54:00:00:00:10 now",
            ],
            id="the kernel's own defaults",
        ),
        pytest.param("@/eth9,7777@192.0.2.10/;@/eth9,@192.0.2.9/", [], id="receivers of nobody"),
        pytest.param(
            "6665@/eth1,6666@192.0.2.10/52:54:00:00:00:99;@/eth1,6667@192.0.2.10/",
            ["it sends to the MAC address 52:54:00:00:00:99, the receiver 192.0.2.10 has 52:54:00:00:00:10 now"],
            id="another next hop",
        ),
        pytest.param(
            "@192.0.2.12/eth0,@192.0.2.10/52:54:00:00:00:10",
            [
                "it sends by eth0, the way to 192.0.2.10 is eth1 now",
                "it sends from 192.0.2.12, the address towards 192.0.2.10 is 192.0.2.11 now",
            ],
            id="another device and address",
        ),
    ],
)
def test_drift_of_a_boot_parameter(host: Host, value: str, drift: list[str]) -> None:
    host.target("log1").declare({"name": "log1", "remote_ip": "192.0.2.10"})
    host.file("etc/modprobe.d/netconsole-sender.conf", f'options netconsole netconsole="{value}"\n')
    facts = host.audit()
    expected = [f"target of 192.0.2.10 port 6666: {words}" for words in drift]
    assert facts["boot_parameters"][0]["drift"] == expected
    assert facts["drift"] == [f"/etc/modprobe.d/netconsole-sender.conf: {words}" for words in expected]


def test_each_of_two_declared_ways_to_one_receiver_may_stand_in_a_boot_parameter(host: Host) -> None:
    host.target("log1").declare(
        {"name": "log1", "remote_ip": "192.0.2.10", "dev_name": "eth1"},
        {"name": "log2", "remote_ip": "192.0.2.10", "dev_name": "eth2"},
    )
    host.hops_by["eth2"] = NextHop("192.0.2.10", "eth2", "203.0.113.5", "52:54:00:00:00:20", gateway=None)
    host.target("log2", dev_name="eth2", local_ip="203.0.113.5", remote_mac="52:54:00:00:00:20")
    ways = "@192.0.2.11/eth1,@192.0.2.10/52:54:00:00:00:10;@203.0.113.5/eth2,@192.0.2.10/52:54:00:00:00:20"
    host.file("etc/modprobe.d/netconsole-sender.conf", f'options netconsole netconsole="{ways}"\n')
    assert host.audit()["drift"] == []


def test_drift_of_the_command_line_is_that_of_this_boot_alone(host: Host) -> None:
    host.target("log1").declare({"name": "log1", "remote_ip": "192.0.2.10"})
    host.file("proc/cmdline", "quiet netconsole.netconsole=@/eth9,@192.0.2.10/52:54:00:00:00:10\n")
    facts = host.audit()
    words = "target of 192.0.2.10 port 6666: it sends by eth9, the way to 192.0.2.10 is eth1 now"
    assert (facts["boot_parameters"][0]["drift"], facts["drift"]) == ([words], [])


def test_drift_of_a_boot_parameter_that_nobody_declared(host: Host) -> None:
    host.target("log1")
    host.file("etc/modprobe.d/netconsole.conf", "options netconsole netconsole=@/eth9,@192.0.2.10/\n")
    assert host.audit()["drift"] == []


def test_a_boot_parameter_that_is_one_of_several_ways_that_are_as_good(host: Host) -> None:
    host.target("log1").declare({"name": "log1", "remote_ip": "192.0.2.10"})
    other = NextHop("192.0.2.10", "eth2", "203.0.113.5", "52:54:00:00:00:02", gateway="203.0.113.1")
    host.equal = [HOP, other]
    value = "@203.0.113.5/eth2,@192.0.2.10/52:54:00:00:00:02"
    host.file("etc/modprobe.d/netconsole-sender.conf", f'options netconsole netconsole="{value}"\n')
    assert host.audit()["drift"] == []


@pytest.mark.parametrize(
    ("shown", "declared", "drift"),
    [
        pytest.param(ACTIVE, True, [], id="active"),
        pytest.param(
            ACTIVE.replace("=active", "=failed"),
            True,
            ["netconsole-sender.service is failed, although there is a declaration for it"],
            id="failed",
        ),
        pytest.param(
            "LoadState=not-found\nActiveState=inactive\n",
            True,
            ["netconsole-sender.service is not-found, although there is a declaration for it"],
            id="no such unit",
        ),
        pytest.param("LoadState=not-found\nActiveState=inactive\n", False, [], id="no such unit, none needed"),
    ],
)
def test_drift_of_the_service(host: Host, shown: str, declared: bool, drift: list[str]) -> None:
    host.systemd(shown)
    if declared:
        host.declare()
    assert host.audit()["drift"] == drift


def test_service(host: Host) -> None:
    host.systemd(f"{ACTIVE}StatusText=log1: sends = yes\n").file(
        "usr/local/lib/netconsole-sender/netconsole-sender.pyz", ""
    )
    assert host.audit()["service"] == {
        "unit": "netconsole-sender.service",
        "load_state": "loaded",
        "active_state": "active",
        "sub_state": "running",
        "unit_file_state": "enabled",
        "result": "success",
        "status": "log1: sends = yes",
        "engine_present": True,
    }


def test_a_systemd_that_does_not_answer(host: Host) -> None:
    host.systemd("").commands[SYSTEMCTL] = CompletedCommand(1, "", "Failed to connect to bus: No such file\n")
    facts = host.audit()
    assert facts["service"] is None
    assert facts["unreadable"] == [f"{SYSTEMCTL}: Failed to connect to bus: No such file"]


@pytest.mark.parametrize("text", ["{", "[]", '{"targets": [{}]}', '{"targets": 3}', '{"targets": ["log1"]}'])
def test_a_broken_declaration(host: Host, text: str) -> None:
    facts = host.file("etc/netconsole-sender/declaration.json", text).audit()
    assert facts["declaration"] is None
    (words,) = facts["unreadable"]
    assert words.startswith("/etc/netconsole-sender/declaration.json: no declaration of a sender")


def test_targets_that_are_declared_absent_are_not_missed(host: Host) -> None:
    host.declare({"name": "old", "state": "absent"})
    facts = host.audit()
    assert facts["drift"] == []
    assert facts["declaration"] == {"targets": []}


class Guarded(ReadOnlyFiles):
    """Files of an ordinary user's sight: some refuse to be read, others vanish."""

    def __init__(self, root: str, refused: Mapping[str, Callable[[], OSError]]) -> None:
        super().__init__(root)
        self.refused = refused

    def read(self, path: str) -> str:
        if path in self.refused:
            raise self.refused[path]()
        return super().read(path)

    def names(self, path: str) -> list[str]:
        if path in self.refused:
            raise self.refused[path]()
        return super().names(path)


@pytest.mark.parametrize(
    "path",
    [
        "/sys/module/netconsole/parameters/oops_only",
        "/etc/netconsole-sender/declaration.json",
        "/etc/modprobe.d",
        "/etc/modprobe.d/secret.conf",
        "/sys/kernel/config/netconsole",
        "/sys/kernel/config/netconsole/log1",
        "/proc/sys/kernel/printk",
    ],
)
def test_what_must_not_be_read_is_said(host: Host, path: str) -> None:
    host.target("log1").file("etc/modprobe.d/secret.conf", "")
    facts = host.audit(Guarded(str(host.root), {path: lambda: PermissionError(13, os.strerror(13))}))
    assert facts["unreadable"] == [f"{path}: Permission denied"]


def test_a_target_that_goes_away_meanwhile(host: Host) -> None:
    host.target("log1").target("log2")
    gone = {"/sys/kernel/config/netconsole/log1/enabled": lambda: FileNotFoundError(2, os.strerror(2))}
    facts = host.audit(Guarded(str(host.root), gone))
    assert [target["name"] for target in facts["targets"]] == ["log2"]
    assert facts["unreadable"] == ["/sys/kernel/config/netconsole/log1: No such file or directory"]


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files.write("/proc/sys/kernel/printk", "7\n"),
        lambda files: files.make_directory("/sys/kernel/config/netconsole/cmdline0"),
        lambda files: files.remove_directory("/sys/kernel/config/netconsole/cmdline0"),
        lambda files: files.run(["modprobe", "netconsole"]),
    ],
    ids=["write", "mkdir", "rmdir", "modprobe"],
)
def test_nothing_can_be_changed(tmp_path: Path, change: Callable[[ReadOnlyFiles], object]) -> None:
    with pytest.raises(AssertionError, match="an audit"):
        change(ReadOnlyFiles(str(tmp_path)))


def test_one_of_several_next_hops_that_are_as_good_is_no_drift(host: Host) -> None:
    host.target("log1")
    other = NextHop("192.0.2.10", "eth2", "203.0.113.5", "52:54:00:00:00:02", gateway="203.0.113.1")
    host.hops["192.0.2.10"] = other
    host.equal = [other, HOP]
    assert host.audit()["drift"] == []
