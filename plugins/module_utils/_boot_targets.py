# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Targets that the kernel made at boot from a ``netconsole=`` parameter, found without harming them.

From 6.7 on they are called cmdline0, cmdline1, … and can be had in configfs, but are not listed there: mkdir of the
very name attaches the live target, and makes an ordinary new one where there is no such target (``drivers/net/
netconsole.c``, make_netconsole_target; seen on 6.8 to 7.3). So it is only tried for numbers that a parameter can have
made, and what it made new is removed at once. Older kernels neither show nor let go of them.

The parameter's text cannot be read back from the kernel. Where it comes from is modprobe.d(5) and the kernel's
command line: ``netconsole=`` (built in, or loaded so by Debian's initramfs) and ``netconsole.netconsole=``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable

from ._boot_parameter import BootParameterError, BootTarget, parse_boot_parameter
from ._configfs import Configfs, Files, TargetState

COMMAND_LINE = "/proc/cmdline"
# modprobe.d(5), the first one wins where two have a file of one name.
MODPROBE_FOLDERS = (
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
)
_ATTACH_SINCE = (6, 7)
_NAME = re.compile(r"cmdline[0-9]+")
_UNSET = ("0.0.0.0", "::")


@dataclass(frozen=True)
class BootParameter:
    """One ``netconsole=`` value, and the file that has it."""

    source: str
    value: str

    def entries(self) -> list[str]:
        """The texts of its targets, also of those that a kernel cannot read."""
        return self.value.split(";")

    def targets(self) -> list[BootTarget]:
        """Those of its targets that can be read."""
        found: list[BootTarget] = []
        for entry in self.entries():
            try:
                found.extend(parse_boot_parameter(entry))
            except BootParameterError:
                continue  # newer kernels pass over it too, older ones do not even load the module
        return found


def is_boot_name(name: str) -> bool:
    """Whether the kernel gives this name to targets of its own."""
    return _NAME.fullmatch(name) is not None


def attachable(release: str) -> bool:
    """Whether boot targets can be had in configfs. There is no file that tells."""
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return numbers is None or (int(numbers.group(1)), int(numbers.group(2))) >= _ATTACH_SINCE


def boot_parameters(files: Files) -> list[BootParameter]:
    """Every ``netconsole=`` value that a module loaded on this host may have been given."""
    found = [
        BootParameter(COMMAND_LINE, value)
        for value in _values(_read(files, COMMAND_LINE), ("netconsole", "netconsole.netconsole"))
    ]
    seen: set[str] = set()
    for folder in MODPROBE_FOLDERS:
        for name in _names(files, folder):
            if name.endswith(".conf") and name not in seen:
                seen.add(name)
                path = f"{folder}/{name}"
                found.extend(BootParameter(path, value) for value in _option_values(_read(files, path)))
    return [parameter for parameter in found if parameter.value]


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


def _option_values(text: str) -> list[str]:
    """The values of netconsole= in the ``options netconsole …`` lines of a modprobe.d file."""
    values: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        words = line.split(None, 2)
        if len(words) == 3 and words[:2] == ["options", "netconsole"]:
            values.extend(_values(words[2], ("netconsole",)))
    return values


def _values(text: str, keys: Iterable[str]) -> list[str]:
    """The values of parameters in a line as the kernel splits it: at blanks, with quotes around a value taken off."""
    wanted = set(keys)
    values = []
    for word in re.findall(r'(?:[^\s"]|"[^"]*")+', text):
        key, equals, value = word.strip('"').partition("=")
        if equals and key in wanted:
            values.append(value.strip('"'))
    return values


def _read(files: Files, path: str) -> str:
    try:
        return files.read(path)
    except OSError:
        return ""


def _names(files: Files, folder: str) -> list[str]:
    try:
        return files.names(folder)
    except OSError:
        return []
