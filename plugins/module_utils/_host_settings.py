# What a host's configuration says of the console: sysctl.d and /proc/consoles. Only read.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Facts: sysctl.d(5) and the kernel's fs/proc/consoles.c.

from __future__ import annotations

import re
from dataclasses import dataclass

SYSCTL_FOLDERS = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
)
SYSCTL_CONF = "/etc/sysctl.conf"  # read last, by sysctl(8) --system; systemd-sysctl does not know it
PRINTK_KEY = "kernel.printk"

_CONSOLE_NAME = re.compile(r"netcon(_ext)?\d+")
_CONSOLE_LINE = re.compile(r"(?P<name>\S+)\s+(?P<operations>[-RWU]{3})\s+\((?P<flags>[^)]*)\)\s*(?P<device>\S*)")


@dataclass(frozen=True)
class Console:
    """One line of /proc/consoles: flags without the blanks, device is "major:minor" or empty."""

    name: str
    flags: str
    device: str

    @property
    def netconsole(self) -> bool:
        return _CONSOLE_NAME.fullmatch(self.name) is not None


def printk_settings(text: str) -> list[str]:
    """The values that a sysctl.d file gives kernel.printk, blanks between the numbers made one each."""
    found = []
    for line in text.splitlines():
        if line.lstrip().startswith(("#", ";")):
            continue
        key, equals, value = line.partition("=")
        if equals and key.strip().lstrip("-").replace("/", ".") == PRINTK_KEY:
            found.append(" ".join(value.split()))
    return found


def parse_consoles(text: str) -> tuple[Console, ...]:
    """The consoles of /proc/consoles, in the kernel's order."""
    found = (_CONSOLE_LINE.fullmatch(line.strip()) for line in text.splitlines())
    return tuple(
        Console(line["name"], "".join(line["flags"].split()), line["device"]) for line in found if line is not None
    )
