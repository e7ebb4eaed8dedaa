# modprobe.d and the kernel command line: the grammar of their manual pages, and which file hides which.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._boot_parameter import BootTarget
from ansible_collections.fleet.netconsole.plugins.module_utils._boot_sources import (
    BootParameter,
    command_line_parameters,
    drop_ins,
    kernel_words,
    modprobe_parameters,
)

ONE = "@/eth0,@192.0.2.10/"
TWO = "+@/eth0,@192.0.2.10/;@/eth1,@192.0.2.11/"


@pytest.mark.parametrize(
    ("folders", "files"),
    [
        pytest.param({}, [], id="no folder"),
        pytest.param(
            {"/etc": ["b.conf", "a.conf"], "/usr": ["c.conf", "0.conf"]},
            ["/usr/0.conf", "/etc/a.conf", "/etc/b.conf", "/usr/c.conf"],
            id="by name, whatever the folder",
        ),
        pytest.param({"/etc": ["a.conf"], "/usr": ["a.conf"]}, ["/etc/a.conf"], id="the earlier folder hides"),
        pytest.param({"/usr": ["README", "a.conf~", ".a.conf", "a.conf.bak"]}, [], id="other files are not read"),
    ],
)
def test_drop_ins(folders: dict[str, list[str]], files: list[str]) -> None:
    assert drop_ins(("/etc", "/run", "/usr"), names=lambda folder: folders.get(folder, [])) == files


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", [], id="empty"),
        pytest.param("quiet  loglevel=4\n", [("quiet", None), ("loglevel", "4")], id="words and values"),
        pytest.param("a=b=c", [("a", "b=c")], id="the first = counts"),
        pytest.param('a="b c" d', [("a", "b c"), ("d", None)], id="a quoted value"),
        pytest.param('"a=b c" d', [("a", "b c"), ("d", None)], id="a quoted word"),
        pytest.param("a=", [("a", "")], id="an empty value"),
        pytest.param('a="b c', [("a", "b c")], id="a quote that is not closed"),
        pytest.param('a="', [("a", "")], id="a lone quote"),
    ],
)
def test_kernel_words(text: str, words: list[Any]) -> None:
    assert kernel_words(text) == words


@pytest.mark.parametrize(
    ("text", "values"),
    [
        pytest.param(f"options netconsole netconsole={ONE}\n", [ONE], id="plain"),
        pytest.param(f"options  netconsole\toops_only=1\tnetconsole={ONE}", [ONE], id="tabs, another option"),
        pytest.param(f'options netconsole netconsole="{TWO}"', [TWO], id="quoted"),
        pytest.param(f"options netconsole \\\n  netconsole={ONE}", [ONE], id="a continued line"),
        pytest.param(f"#options netconsole netconsole={ONE}", [], id="a comment"),
        pytest.param(f"options netconsole netconsole={ONE}\noptions netconsole netconsole={TWO}", [ONE, TWO], id="two"),
        pytest.param(f"options other netconsole={ONE}", [], id="another module"),
        pytest.param("install netconsole /bin/true\nalias x netconsole\noptions netconsole", [], id="other commands"),
        pytest.param("", [], id="empty"),
    ],
)
def test_modprobe_d(text: str, values: list[str]) -> None:
    found = modprobe_parameters(text, source="/etc/modprobe.d/x.conf")
    assert [parameter.value for parameter in found] == values
    assert {(parameter.source, parameter.read_by) for parameter in found} <= {("/etc/modprobe.d/x.conf", "modprobe")}


@pytest.mark.parametrize(
    ("text", "built_in", "found"),
    [
        pytest.param(f"quiet netconsole={ONE}", True, [("kernel", ONE)], id="built in"),
        pytest.param(f"quiet netconsole={ONE}", False, [("initramfs-tools", ONE)], id="imitated by initramfs-tools"),
        pytest.param(f"netconsole.netconsole={ONE}", False, [("modprobe", ONE)], id="of the module"),
        pytest.param(f"netconsole.netconsole={ONE}", True, [("kernel", ONE)], id="of the module, built in"),
        pytest.param(f'netconsole="{TWO}"', True, [("kernel", TWO)], id="quoted"),
        pytest.param(f"quiet -- netconsole={ONE}", True, [], id="an argument of init"),
        pytest.param("quiet", True, [], id="none"),
    ],
)
def test_command_line(text: str, built_in: bool, found: list[tuple[str, str]]) -> None:
    parameters = command_line_parameters(text, built_in=built_in)
    assert [(parameter.read_by, parameter.value) for parameter in parameters] == found
    assert {parameter.source for parameter in parameters} <= {"/proc/cmdline"}


def test_targets_are_parsed() -> None:
    (parameter,) = command_line_parameters(f"netconsole={TWO}", built_in=True)
    assert parameter.targets() == [
        BootTarget("192.0.2.10", dev_name="eth0", extended=True),
        BootTarget("192.0.2.11", dev_name="eth1"),
    ]
    assert parameter.as_dict()["targets"][1]["dev_name"] == "eth1"
    assert parameter.as_dict()["error"] is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            "netconsole=@/eth0,@192.0.2.10", "no '/' after the remote address", id="the last slash is missing"
        ),
        pytest.param("netconsole", "is empty", id="no value"),
    ],
)
def test_a_broken_value_is_shown_with_the_reason(text: str, words: str) -> None:
    (parameter,) = command_line_parameters(text, built_in=True)
    assert parameter.as_dict()["targets"] == []
    assert words in parameter.as_dict()["error"]


def test_what_a_kernel_can_read_of_a_broken_value() -> None:
    (target,) = BootParameter("x", "kernel", f"garbage;{ONE};").targets()
    assert target.remote_ip == "192.0.2.10"
