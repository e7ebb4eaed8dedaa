# Where netconsole= parameters stand on a host: modprobe.d and the kernel command line. Only read.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Facts: modprobe.d(5) and the kernel's lib/cmdline.c (next_arg). Of two drop-in files of one name the one of the
# earlier directory hides the other; all files left are read in the order of their names, whatever their directory.

from __future__ import annotations

import os
import typing as t
from dataclasses import asdict, dataclass

from ._boot_parameter import BootParameterError, BootTarget, parse_boot_parameter

PROC_CMDLINE = "/proc/cmdline"
MODULE = "netconsole"
MODPROBE_FOLDERS = (
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
)

# Who takes a parameter: the module loader, the kernel itself, or the boot scripts of Debian's initramfs-tools, which
# imitate the kernel where netconsole is a module.
BY_MODPROBE, BY_KERNEL, BY_INITRAMFS = "modprobe", "kernel", "initramfs-tools"

Names = t.Callable[[str], t.Sequence[str]]
Word = t.Tuple[str, t.Optional[str]]


@dataclass(frozen=True)
class BootParameter:
    """One netconsole= value, where it stands and who takes it."""

    source: str
    read_by: str
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

    def as_dict(self) -> dict[str, t.Any]:
        """For an audit: error says why a kernel would refuse or misread it, and there are no targets then."""
        try:
            targets, error = parse_boot_parameter(self.value), None
        except BootParameterError as refusal:
            targets, error = [], str(refusal)
        return {**asdict(self), "targets": [asdict(target) for target in targets], "error": error}


def netconsole_parameters(read: t.Callable[[str], str], names: Names, *, built_in: bool = False) -> list[BootParameter]:
    """Every netconsole= value that a module loaded on this host, or the kernel, may have been given.

    read gives a file's text and names lists a folder, both nothing where there is none.
    """
    found = []
    for path in drop_ins(MODPROBE_FOLDERS, names=names):
        found += modprobe_parameters(read(path), source=path)
    return [*found, *command_line_parameters(read(PROC_CMDLINE), built_in=built_in)]


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
                BootParameter(source, BY_MODPROBE, value or "")
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
        BootParameter(PROC_CMDLINE, readers[name], value or "")
        for name, value in command_line_words(text)
        if name in readers
    ]
