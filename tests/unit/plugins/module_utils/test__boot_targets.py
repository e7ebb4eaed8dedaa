# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""netconsole= parameters are found wherever they stand, and boot targets without harming one."""

from __future__ import annotations

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._boot_targets import (
    attach_boot_targets,
    attachable,
    boot_parameters,
    is_boot_name,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import Configfs
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_kernel import FakeKernel

A, B = "@192.0.2.15/eth0,6666@192.0.2.10/", "+@/eth1,@192.0.2.11/52:54:00:00:00:02"


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        pytest.param({}, [], id="none"),
        pytest.param({"/proc/cmdline": f"ro netconsole={A} quiet\n"}, [("/proc/cmdline", A)], id="built in"),
        pytest.param({"/proc/cmdline": f"netconsole.netconsole={A}"}, [("/proc/cmdline", A)], id="for the module"),
        pytest.param({"/proc/cmdline": f'ro netconsole="{A};{B}"'}, [("/proc/cmdline", f"{A};{B}")], id="quoted value"),
        pytest.param({"/proc/cmdline": f'"netconsole={A};{B}" ro'}, [("/proc/cmdline", f"{A};{B}")], id="quoted word"),
        pytest.param({"/proc/cmdline": "netconsole= xnetconsole=a@/,b"}, [], id="empty, and another's"),
        pytest.param({"/proc/cmdline": f"ro -- netconsole={A}"}, [], id="an argument of init"),
        pytest.param(
            {"/etc/modprobe.d/a.conf": f"# x\noptions netconsole oops_only=1 netconsole={A}\n"},
            [("/etc/modprobe.d/a.conf", A)],
            id="modprobe.d",
        ),
        pytest.param(
            {"/etc/modprobe.d/a.conf": f"options netconsole \\\n  netconsole={A};{B}\n"},
            [("/etc/modprobe.d/a.conf", f"{A};{B}")],
            id="modprobe.d, over two lines",
        ),
        pytest.param(
            {
                "/etc/modprobe.d/a.conf": "",
                "/lib/modprobe.d/a.conf": f"options netconsole netconsole={A}\n",
                "/lib/modprobe.d/b.conf": f"options netconsole netconsole={B}\n",
            },
            [("/lib/modprobe.d/b.conf", B)],
            id="a file of one name hides the other",
        ),
        pytest.param(
            {"/etc/modprobe.d/a.conf.bak": f"options netconsole netconsole={A}\n"}, [], id="a file that is not read"
        ),
        pytest.param(
            {"/etc/modprobe.d/a.conf": f"#options netconsole netconsole={A}\noptions other netconsole={A}\n"},
            [],
            id="a comment, and another module",
        ),
    ],
)
def test_parameters(texts: dict[str, str], found: list[tuple[str, str]]) -> None:
    kernel = FakeKernel()
    kernel.texts.clear()
    kernel.texts.update(texts)
    assert [(parameter.source, parameter.value) for parameter in boot_parameters(kernel)] == found


def test_boot_targets_are_attached_and_send_on_what_was_made_by_looking_goes() -> None:
    kernel = FakeKernel("6.12")
    kernel.boot(A, enabled=True, remote_ip="192.0.2.10")
    kernel.boot("garbage")  # never made: nothing is there
    kernel.boot_table.pop("cmdline1")
    kernel.boot(B, remote_ip="192.0.2.11")  # dead, but there
    states = attach_boot_targets(Configfs(files=kernel), boot_parameters(kernel), [])
    assert {name: (state.enabled, state.attributes["remote_ip"]) for name, state in states.items()} == {
        "cmdline0": (True, "192.0.2.10"),
        "cmdline2": (False, "192.0.2.11"),
    }
    assert sorted(kernel.target_table) == ["cmdline0", "cmdline2"]
    assert kernel.sends("cmdline0")
    assert [call[0] for call in kernel.calls] == ["mkdir", "mkdir", "rmdir", "mkdir"]


def test_what_is_listed_already_is_not_looked_for() -> None:
    kernel = FakeKernel("6.12")
    kernel.boot(A, enabled=True, remote_ip="192.0.2.10")
    assert attach_boot_targets(Configfs(files=kernel), boot_parameters(kernel), ["cmdline0"]) == {}
    assert kernel.calls == []


@pytest.mark.parametrize(
    ("release", "can"),
    [("5.10.0-33-amd64", False), ("6.6.1", False), ("6.7.0", True), ("7.3-rc7", True), ("unreadable", True)],
)
def test_kernels_that_show_boot_targets(release: str, can: bool) -> None:
    assert attachable(release) is can


@pytest.mark.parametrize(("name", "boot"), [("cmdline0", True), ("cmdline12", True), ("cmdline", False), ("c1", False)])
def test_boot_names(name: str, boot: bool) -> None:
    assert is_boot_name(name) is boot
