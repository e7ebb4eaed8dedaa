# GRUB 2 whose grub.cfg is generated from /etc/default/grub: Debian, Ubuntu, SUSE.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from .._command_line import Parameter, Word, parse, satisfied
from . import grub_defaults, grub_script
from .interface import BootLoader, BootLoaderError, Command, Entry, Plan, latin

_SECTION = "### BEGIN /etc/grub.d/10_linux"
_LINUX_COMMANDS = ("linux", "linux16", "linuxefi")
FUTURE = "kernels installed later"


class _GeneratedGrub(BootLoader):
    """grub.cfg is made by a program; what GRUB would hand on is read from grub.cfg itself."""

    configuration: t.ClassVar[str]
    drop_ins: t.ClassVar[bool]
    generator: t.ClassVar[tuple[str, ...]]
    package: t.ClassVar[str]

    def detect(self) -> str | None:
        """A generated grub.cfg and the settings for it."""
        if not self.host.exists(self.configuration) or not self.host.exists(grub_defaults.SETTINGS):
            return None
        return f"{self.configuration} and {grub_defaults.SETTINGS} exist"

    def read(self, parameters: t.Sequence[Parameter] = ()) -> tuple[Entry, ...]:
        """Every entry of 10_linux, and the line of a kernel that is installed later.

        Recovery entries have to have what GRUB_CMDLINE_LINUX has.
        """
        settings = grub_defaults.read_settings(self.host, drop_ins=self.drop_ins)
        linux = grub_defaults.as_line(settings.linux)
        recovery = tuple(one for one in parameters if one.present and satisfied(linux, [one]))
        content = self.host.read(self.configuration)
        if content is None:
            raise BootLoaderError(f"{self.configuration} does not exist: run {' '.join(self.generator)} once")
        try:
            lines = _kernel_lines(latin(content))
        except grub_script.GrubScriptError as error:
            raise BootLoaderError(f"{self.configuration}: {error}") from error
        entries = [Entry(name, line, recovery if "-recovery-" in name else None) for name, line in lines.items()]
        return (*entries, Entry(FUTURE, settings.line))

    def plan(self, parameters: t.Sequence[Parameter]) -> Plan:
        """Change the settings and generate grub.cfg anew, if it does not have the parameters yet."""
        old = grub_defaults.read_settings(self.host, drop_ins=self.drop_ins)
        new, files = grub_defaults.change_settings(self.host, parameters, drop_ins=self.drop_ins)
        before = self.read(parameters)
        stale = any(
            not satisfied(parse(entry.line), parameters if entry.required is None else entry.required)
            for entry in before
        )
        if not files and not stale:
            return Plan(after=before)
        program = self.host.program(self.generator[0])
        if program is None:
            raise BootLoaderError(
                f"{self.generator[0]} is missing, which makes {self.configuration}: install the package {self.package}"
            )
        return Plan(
            files=files,
            commands=(Command((program, *self.generator[1:]), self.package),),
            # grub-mkconfig leaves the second one behind when it fails.
            generated=(self.configuration, f"{self.configuration}.new"),
            after=tuple(_expected(entry, old, new) for entry in before),
        )


class DebianGrub(_GeneratedGrub):
    """Debian and Ubuntu: a drop-in in /etc/default/grub.d, and update-grub."""

    name = "grub"
    configuration = "/boot/grub/grub.cfg"
    drop_ins = True
    generator = ("update-grub",)
    package = "grub2-common"


class SuseGrub(_GeneratedGrub):
    """SUSE: /etc/default/grub itself, and grub2-mkconfig. There are no drop-ins."""

    name = "grub_suse"
    configuration = "/boot/grub2/grub.cfg"
    drop_ins = False
    generator = ("grub2-mkconfig", "-o", "/boot/grub2/grub.cfg")
    package = "grub2"

    def detect(self) -> str | None:
        """Not where entries are files of their own (Boot Loader Specification)."""
        return None if self.host.glob("/boot/loader/entries", "*.conf") else super().detect()


def _kernel_lines(text: str) -> dict[str, str]:
    """Identifier of each entry of 10_linux and its kernel command line, in the order of the menu."""
    found: dict[str, str] = {}
    inside, name = False, ""
    for row in text.split("\n"):  # splitlines() would also split at the second byte of some letters in UTF-8
        stripped = row.strip(" \t\r")
        if stripped.startswith("### BEGIN "):
            inside = stripped.startswith(_SECTION)
        elif inside and stripped.startswith("menuentry "):
            name = _identifier(grub_script.words(stripped))
        elif inside and stripped.split(" ")[0].split("\t")[0] in _LINUX_COMMANDS:
            found.setdefault(name, grub_script.join(grub_script.words(stripped)[2:]))
    return found


def _identifier(arguments: t.Sequence[str]) -> str:
    for option in ("$menuentry_id_option", "--id"):
        if option in arguments[:-1]:
            return arguments[arguments.index(option) + 1]
    return arguments[1]


def _expected(entry: Entry, old: grub_defaults.Settings, new: grub_defaults.Settings) -> Entry:
    """The entry with the old settings' words, where they stand in it, replaced by the new ones."""
    words = [word.text for word in parse(entry.line).words]
    recovery = entry.required is not None
    before = _texts(old.linux) if recovery else _texts((*old.linux, *old.default))
    after = _texts(new.linux) if recovery else _texts((*new.linux, *new.default))
    at = _position(words, before)
    exact = words[at : at + len(before)] == before and (bool(before) or words[-1:] in ([], ["ro"], ["rw"]))
    return Entry(entry.id, " ".join([*words[:at], *after, *words[at + len(before) :]]), entry.required, exact)


def _texts(words: t.Iterable[Word]) -> list[str]:
    return [word.text for word in words]


def _position(words: list[str], part: list[str]) -> int:
    """Where a part stands, the last place first; an entry that was made from other settings gets all at its end."""
    for at in range(len(words) - len(part), -1, -1):
        if words[at : at + len(part)] == part:
            return at
    return len(words)
