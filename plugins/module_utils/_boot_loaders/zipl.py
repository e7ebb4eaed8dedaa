# zipl of IBM Z: parameters in /etc/zipl.conf or in entry files, put into the boot record by the program zipl.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# zipl.conf(5): a value stands bare or within one kind of quotes, and there is no escape. A bare one goes on to the end
# of its row, quotes within it included; only its first character may not be one. Entry files (Boot Loader
# Specification) have the text as it stands. At the boot, zipl fills ${NAME} in from its environment block
# (zipl-editenv(8)). Fedora and RHEL make the entry files of later kernels by kernel-install (20-zipl-kernel.install).
import re
import typing as t

from .._command_line import CommandLineError, Parameter
from . import esp, kernel_install
from .interface import BootLoader, BootLoaderError, Command, Entry, FileChange, Plan, changed_line, file_change, latin
from .systemd_boot import options_of, with_options

CONFIGURATION = "/etc/zipl.conf"
_ROW = re.compile(r"(?m)^[ \t]*(?:\[([^\]\n]+)\]|(parameters|parmfile|image)[ \t]*=[ \t]*([^\n]*?))[ \t]*$")


class Zipl(BootLoader):
    """Sections of /etc/zipl.conf, and entry files where there are some."""

    name = "zipl"

    def detect(self) -> str | None:
        """zipl's configuration."""
        return f"{CONFIGURATION} exists" if self.host.exists(CONFIGURATION) else None

    def read(self, _parameters: t.Sequence[Parameter] = ()) -> tuple[Entry, ...]:
        """Each section with parameters, and each entry file."""
        text = latin(self.host.read(CONFIGURATION) or b"")
        sections = [Entry(name, _unquoted(value)) for name, value, _at in _sections(text)]
        files = [Entry(path, options_of(latin(self.host.read(path) or b""))) for path in esp.entries(self.host)]
        if files and self.host.exists(kernel_install.FILE):
            files.append(Entry(kernel_install.FUTURE, kernel_install.read_line(self.host) or ""))
        if not sections and not files:
            raise BootLoaderError(f"{CONFIGURATION} has no section with parameters, and there are no entry files")
        return (*sections, *files)

    def plan(self, parameters: t.Sequence[Parameter]) -> Plan:
        """Change the files, then run zipl, without which nothing of it reaches the boot record."""
        content = self.host.read(CONFIGURATION) or b""
        text = latin(content)
        after: list[Entry] = []
        for parameter in parameters:
            if parameter.present and "${" in str(parameter):
                raise CommandLineError(f"{str(parameter)!r}: zipl fills ${{NAME}} in at the boot, and nothing stops it")
        for name, value, (first, last) in reversed(_sections(text)):
            new = changed_line(_unquoted(value), parameters)
            after.insert(0, Entry(name, new))
            if new != _unquoted(value):
                text = text[:first] + _quoted(new, value) + text[last:]
        files: list[FileChange] = [*file_change(CONFIGURATION, content, text)]
        for path in esp.entries(self.host):
            old = latin(self.host.read(path) or b"")
            new = with_options(old, parameters)
            files += file_change(path, old.encode("latin-1"), new)
            after.append(Entry(path, options_of(new)))
        if esp.entries(self.host) and self.host.exists(kernel_install.FILE):
            kernel_install.check(parameters, echo=False)
            future = kernel_install.change_line(self.host, parameters, template="", needed=True, keep=True)
            files += future.files
            after.append(Entry(kernel_install.FUTURE, future.line or ""))
        if not files:
            return Plan(after=tuple(after))
        program = self.host.program("zipl")
        if program is None:
            raise BootLoaderError(
                "zipl is missing, which writes the boot record: install the package s390utils or s390-tools"
            )
        # The boot record is made from the files: running zipl again after they were put back takes it back.
        return Plan(tuple(files), (Command((program,), "s390-tools", undo=(program,)),), (), tuple(after))


def _sections(text: str) -> list[tuple[str, str, tuple[int, int]]]:
    """Name, value as it is written, and its place, of each line of parameters."""
    found, section = [], ""
    rows: dict[str, set[str]] = {}
    for row in _ROW.finditer(text):
        if row.group(1):
            section = row.group(1)
            continue
        rows.setdefault(section, set()).add(row.group(2))
        if row.group(2) == "parameters":
            found.append((section, row.group(3), row.span(3)))
    for name, keywords in rows.items():
        if "parmfile" in keywords or keywords == {"image"}:
            raise BootLoaderError(
                f"the section {name} of {CONFIGURATION} has "
                f"{'a parmfile' if 'parmfile' in keywords else 'no parameters'}: write its whole line as parameters = "
                '"..." first'
            )
    return found


def _unquoted(value: str) -> str:
    if value[:1] not in ("'", '"'):
        return value
    if len(value) < 2 or value.find(value[0], 1) != len(value) - 1:
        raise BootLoaderError(
            f"{CONFIGURATION} has a value that zipl does not take, since it begins with a quote that is closed before "
            f"its end or not at all: {value!r}"
        )
    return value[1:-1]


def _quoted(line: str, old: str) -> str:
    """A line as a value in place of an old one.

    What stood bare stays so. Double quotes, unless the old value had single quotes without need.
    """
    bare = old[:1] not in ("", '"', "'")
    order = "'\"" if old[:1] == "'" and '"' not in old else "\"'"
    quotes = [quote for quote in order if quote not in line]
    begins_with_quote = line.strip()[:1] in ("", '"', "'")
    if quotes and (not bare or begins_with_quote):
        return f"{quotes[0]}{line}{quotes[0]}"
    if begins_with_quote:
        raise CommandLineError(
            f"{line!r} begins with a quote and has both kinds of them: {CONFIGURATION} has no way to say that"
        )
    return line.strip()
