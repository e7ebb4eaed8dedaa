# What a host's configuration says of netconsole and of the console: modprobe.d, the kernel command line, sysctl.d,
# /proc/consoles. Only read.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Facts: modprobe.d(5), sysctl.d(5), the kernel's lib/cmdline.c (next_arg) and fs/proc/consoles.c. Of two files of one
# name the one of the earlier directory hides the other; all files left are read in the order of their names, whatever
# their directory.

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import asdict, dataclass

from ._boot_parameter import BootParameterError, BootTarget, parse_boot_parameter

SYSCTL_FOLDERS = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
)
SYSCTL_CONF = "/etc/sysctl.conf"  # read last, by sysctl(8) --system; systemd-sysctl does not know it
PROC_CMDLINE = "/proc/cmdline"
MODULE = "netconsole"
PRINTK_KEY = "kernel.printk"

# Who takes a parameter: the module loader, the kernel itself, or the boot scripts of Debian's initramfs-tools, which
# imitate the kernel where netconsole is a module.
BY_MODPROBE, BY_KERNEL, BY_INITRAMFS = "modprobe", "kernel", "initramfs-tools"

_CONSOLE_NAME = re.compile(r"netcon(_ext)?\d+")
_CONSOLE_LINE = re.compile(r"(?P<name>\S+)\s+(?P<operations>[-RWU]{3})\s+\((?P<flags>[^)]*)\)\s*(?P<device>\S*)")

Names = t.Callable[[str], t.Sequence[str]]
Word = t.Tuple[str, t.Optional[str]]


@dataclass(frozen=True)
class Console:
    """One line of /proc/consoles: flags without the blanks, device is "major:minor" or empty."""

    name: str
    flags: str
    device: str

    @property
    def netconsole(self) -> bool:
        return _CONSOLE_NAME.fullmatch(self.name) is not None


@dataclass(frozen=True)
class BootParameter:
    """One netconsole= value and where it stands. error says why the kernel would refuse or misread it, else ""."""

    source: str
    read_by: str
    value: str
    targets: tuple[BootTarget, ...]
    error: str

    def as_dict(self) -> dict[str, t.Any]:
        return {**asdict(self), "targets": [asdict(target) for target in self.targets], "error": self.error or None}


def drop_ins(folders: t.Sequence[str], *, names: Names) -> list[str]:
    """The *.conf files of drop-in folders, in the order in which they are read. names lists a folder."""
    path_of: dict[str, str] = {}
    for folder in folders:
        for name in names(folder):
            if name.endswith(".conf") and not name.startswith("."):
                path_of.setdefault(name, os.path.join(folder, name))
    return [path_of[name] for name in sorted(path_of)]


def kernel_words(text: str) -> list[Word]:
    """Names and values of a kernel command line, or of a module's options; None is a word without a value.

    Double quotes keep blanks inside a word; around a value or a whole word they are dropped, as next_arg() does.
    """
    words: list[Word] = []
    for word in _split_outside_quotes(text):
        whole = word[1:-1] if len(word) > 1 and word.startswith('"') and word.endswith('"') else word
        name, equals, value = whole.lstrip('"').partition("=")
        if value.startswith('"'):
            value = value[1:-1] if value.endswith('"') and len(value) > 1 else value[1:]
        words.append((name, value if equals else None))
    return words


def _split_outside_quotes(text: str) -> list[str]:
    words, word, quoted = [], "", False
    for character in text:
        quoted = quoted != (character == '"')
        if character.isspace() and not quoted:
            words.append(word)
            word = ""
        else:
            word += character
    return [each for each in (*words, word) if each]


def command_line_words(text: str) -> list[Word]:
    """What the kernel itself reads of its command line: a "--" ends it, the rest is for init."""
    words = kernel_words(text)
    return words[: words.index(("--", None))] if ("--", None) in words else words


def modprobe_parameters(text: str, *, source: str) -> list[BootParameter]:
    """The netconsole= values of a modprobe.d file, in its order."""
    found = []
    for line in _joined_lines(text):
        command, _blank, rest = line.partition(" ")
        module, _blank, options = rest.strip().partition(" ")
        if command == "options" and module.replace("-", "_") == MODULE:
            found += [
                _parameter(value or "", source=source, read_by=BY_MODPROBE)
                for name, value in kernel_words(options)
                if name == MODULE
            ]
    return found


def _joined_lines(text: str) -> list[str]:
    """Lines without comments, with blanks for tabs; a backslash at the end joins a line with the next."""
    lines = text.replace("\\\n", " ").replace("\t", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


def command_line_parameters(text: str, *, built_in: bool) -> list[BootParameter]:
    """The netconsole= values of the running kernel's command line, in its order."""
    readers = {
        "netconsole": BY_KERNEL if built_in else BY_INITRAMFS,
        "netconsole.netconsole": BY_KERNEL if built_in else BY_MODPROBE,
    }
    return [
        _parameter(value or "", source=PROC_CMDLINE, read_by=readers[name])
        for name, value in command_line_words(text)
        if name in readers
    ]


def _parameter(value: str, *, source: str, read_by: str) -> BootParameter:
    try:
        return BootParameter(source, read_by, value, targets=tuple(parse_boot_parameter(value)), error="")
    except BootParameterError as error:
        return BootParameter(source, read_by, value, targets=(), error=str(error))


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
