# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Targets that the kernel made at boot from a ``netconsole=`` parameter, found without harming them.

From 6.7 on they are called cmdline0, cmdline1, … and can be had in configfs, but are not listed there: mkdir of the
very name attaches the live target, and makes an ordinary new one where there is no such target (``drivers/net/
netconsole.c``, make_netconsole_target; seen on 6.8 to 7.3). So it is only tried for numbers that a parameter can have
made, and what it made new is removed at once. Older kernels neither show nor let go of them.

The parameter's text cannot be read back from the kernel: ``_boot_sources`` finds where it stands.
"""

from __future__ import annotations

import re
from typing import Iterable

from ._boot_sources import BootParameter, netconsole_parameters
from ._configfs import Configfs, Files, TargetState

_ATTACH_SINCE = (6, 7)
_NAME = re.compile(r"cmdline[0-9]+")
_UNSET = ("0.0.0.0", "::")


def is_boot_name(name: str) -> bool:
    """Whether the kernel gives this name to targets of its own."""
    return _NAME.fullmatch(name) is not None


def attachable(release: str) -> bool:
    """Whether boot targets can be had in configfs. There is no file that tells."""
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return numbers is None or (int(numbers.group(1)), int(numbers.group(2))) >= _ATTACH_SINCE


def boot_parameters(files: Files) -> list[BootParameter]:
    """Every ``netconsole=`` value that a module loaded on this host may have been given.

    A file that cannot be read has none.
    """

    def read(path: str) -> str:
        try:
            return files.read(path)
        except OSError:
            return ""

    def names(folder: str) -> list[str]:
        try:
            return files.names(folder)
        except OSError:
            return []

    return [parameter for parameter in netconsole_parameters(read, names) if parameter.value]


def attach_boot_targets(
    configfs: Configfs, parameters: Iterable[BootParameter], listed: Iterable[str]
) -> dict[str, TargetState]:
    """The boot targets that are not listed yet, by name, attached by looking. They go on as they were.

    Raises ConfigfsError.
    """
    found: dict[str, TargetState] = {}
    known = set(listed)
    for number in range(max((len(parameter.entries()) for parameter in parameters), default=0)):
        name = f"cmdline{number}"
        if name in known:
            continue
        state = configfs.create(name)
        if state.attributes["remote_ip"] in _UNSET and not state.enabled:
            configfs.remove(name)  # there was none: this one was just made
        else:
            found[name] = state
    return found
