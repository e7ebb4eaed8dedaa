# sysctl.d and /proc/consoles, as their manual page and the kernel write them.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._host_settings import (
    Console,
    parse_consoles,
    printk_settings,
)

# fs/proc/consoles.c: name, -WU for its operations, (flags), device numbers where it has some
CONSOLES = """\
tty0                 -WU (EC   p  )    4:7
ttyS0                -W- (E    p a)    4:64
netcon_ext0          -W- (E       )
"""


@pytest.mark.parametrize(
    ("text", "values"),
    [
        pytest.param("kernel.printk = 4 4 1 7\n", ["4 4 1 7"], id="as Ubuntu ships it"),
        pytest.param("-kernel/printk=3\t4  1 3", ["3 4 1 3"], id="with slashes, a dash, tabs"),
        pytest.param("#kernel.printk = 3 4 1 3\n;kernel.printk=1", [], id="comments, as Debian ships it"),
        pytest.param("kernel.printk_devkmsg = on\nkernel.printk", [], id="another key, no value"),
        pytest.param("kernel.printk=7\nkernel.printk=4\n", ["7", "4"], id="twice"),
    ],
)
def test_sysctl_d(text: str, values: list[str]) -> None:
    assert printk_settings(text) == values


def test_consoles_are_read() -> None:
    assert parse_consoles(CONSOLES) == (
        Console("tty0", "ECp", "4:7"),
        Console("ttyS0", "Epa", "4:64"),
        Console("netcon_ext0", "E", ""),
    )


@pytest.mark.parametrize("text", ["", "\n", "garbage", "name (E)"])
def test_what_is_no_console_is_passed_over(text: str) -> None:
    assert parse_consoles(text) == ()
