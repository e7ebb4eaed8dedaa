# systemd-boot with an entry file for each kernel, as kernel-install makes them.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# systemd-boot hands the text of "options" on as it stands: it has no quoting (Boot Loader Specification, type 1).
# Entries of the kernels that are there are changed in place. kernel-install gives later kernels the text of
# /etc/kernel/cmdline, where runs of white space become one blank, also within quotes (90-loaderentry.install,
# 60-ukify.install).
import re
import typing as t

from .._command_line import Parameter, parse, satisfied
from . import esp, kernel_install
from .interface import BootLoader, BootLoaderError, Entry, FileChange, Plan, changed_line, file_change, latin

OPTIONS = re.compile(r"(?m)^([ \t]*options[ \t]+)([^\r\n]*?)([ \t]*)$")


class SystemdBoot(BootLoader):
    """Entries below loader/entries, /etc/kernel/cmdline for kernels that are installed later."""

    name = "systemd-boot"

    def detect(self) -> str | None:
        """systemd-boot on the EFI system partition, and at least one entry file."""
        loader = esp.has_systemd_boot(self.host)
        found = esp.entries(self.host)
        return f"{loader} and {found[0]} exist" if loader and found else None

    def read(self, _parameters: t.Sequence[Parameter] = ()) -> tuple[Entry, ...]:
        """Every entry that boots Linux, and the line of a kernel that is installed later."""
        return (*(Entry(path, options_of(text)) for path, text in self._texts().items()), *self._future())

    def plan(self, parameters: t.Sequence[Parameter]) -> Plan:
        """Change each entry's options, and /etc/kernel/cmdline."""
        kernel_install.check(parameters, echo=True)
        files: list[FileChange] = []
        after: list[Entry] = []
        texts = self._texts()
        for path, text in texts.items():
            new = with_options(text, parameters)
            files += file_change(path, text.encode("latin-1"), new)
            after.append(Entry(path, options_of(new)))
        template = options_of(next(iter(texts.values())))
        future = kernel_install.change_line(self.host, parameters, template=template, needed=bool(files))
        after += [] if future.line is None else [Entry(kernel_install.FUTURE, future.line)]
        return Plan(files=(*future.files, *files), after=tuple(after), notes=future.notes)

    def _texts(self) -> dict[str, str]:
        found = {}
        for path in esp.entries(self.host):
            text = latin(self.host.read(path) or b"")
            if re.search(r"(?m)^[ \t]*linux[ \t]", text):
                found[path] = text
        if not found:
            raise BootLoaderError("no entry below loader/entries boots a Linux kernel: is the boot partition mounted?")
        return found

    def _future(self) -> tuple[Entry, ...]:
        line = kernel_install.read_line(self.host)
        return () if line is None else (Entry(kernel_install.FUTURE, line),)


def options_of(text: str) -> str:
    """The command line of an entry file: several "options" are joined by a blank."""
    return " ".join(found.group(2) for found in OPTIONS.finditer(text))


def with_options(text: str, parameters: t.Sequence[Parameter]) -> str:
    """The entry file with the declared parameters; a new one goes into the last "options". Raises CommandLineError."""
    for parameter in parameters:
        if not satisfied(parse(options_of(text)), [parameter]):
            text = _with_one(text, parameter)
    return text


def _with_one(text: str, parameter: Parameter) -> str:
    found = list(OPTIONS.finditer(text))
    if not found:
        start = "" if text.endswith("\n") or not text else "\n"
        return f"{text}{start}options {changed_line('', [parameter])}\n"
    elsewhere = Parameter(parameter.name, None if parameter.present else parameter.value, present=False)
    for options in reversed(found):
        wanted = [parameter] if options is found[-1] else [elsewhere]
        if options is found[-1] or parameter.unique or not parameter.present:
            line = changed_line(options.group(2), wanted)
            text = text[: options.start(2)] + line + text[options.end(2) :]
    return text
