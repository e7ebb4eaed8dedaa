# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print as JSON how a guest is configured to boot and how it was booted.

Its own reading of the kernel's command line, so that the collection is not measured by itself.
Source: next_arg() of the kernel's lib/cmdline.c.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from pathlib import Path

TREES = ("/boot", "/etc/default", "/etc/kernel", "/etc/grub.d", "/etc/u-boot-menu")
LEFT_OUT = ("/boot/efi/loader/random-seed",)
"""systemd-boot changes its random seed at every boot."""

MODULE_PARAMETERS = (
    "gpiolib_acpi.ignore_wake",
    "gpiolib_acpi.ignore_interrupt",
    "firmware_class.path",
    "pstore.backend",
)
"""Text, of modules that are built in, shown again by the kernel as it has parsed it."""


def arguments(line: str) -> list[list[str | None]]:
    """Name and value of each argument: quotes group, one pair around a value or a whole argument falls off."""
    found: list[list[str | None]] = []
    quoted, word = False, ""
    for sign in line.strip() + " ":
        if sign == " " and not quoted:
            if word:
                found.append(_argument(word))
            word = ""
        else:
            quoted ^= sign == '"'
            word += sign
    return found


def _argument(word: str) -> list[str | None]:
    whole = word.startswith('"')
    name, equals, value = (word[1:] if whole else word).partition("=")
    if not equals:
        return [name.rstrip('"') if whole else name, None]
    if value.startswith('"'):
        value, whole = value[1:], True
    return [name, value[:-1] if whole and value.endswith('"') else value]


def files() -> dict[str, str]:
    """Every file and link below the trees, with a digest of its content."""
    found = {}
    for tree in TREES:
        for folder, _folders, names in os.walk(tree):
            for name in names:
                path = Path(folder, name)
                if str(path) in LEFT_OUT:
                    continue
                content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
                found[str(path)] = hashlib.sha256(content).hexdigest()
    return found


def module_parameter(name: str) -> str:
    """What the kernel shows of one, without the newline that it adds."""
    module, _dot, parameter = name.partition(".")
    return Path("/sys/module", module, "parameters", parameter).read_text(encoding="utf-8")[:-1]


if __name__ == "__main__":
    line = Path("/proc/cmdline").read_text(encoding="utf-8").rstrip("\n")
    state = {
        "line": line,
        "arguments": arguments(line),
        "module_parameters": {name: module_parameter(name) for name in MODULE_PARAMETERS},
        "kernel": platform.release(),
        "later": Path("/var/lib/lab/later-kernel").read_text(encoding="utf-8").strip(),
        "files": files(),
    }
    print(json.dumps(state))
