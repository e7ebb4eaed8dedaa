# What every boot loader of this package offers, and the plain values that go in and out.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import abc
import typing as t
from dataclasses import dataclass, field

from .._command_line import Parameter, change, parse, satisfied
from .host import Host

HEADER = "# Kernel parameters that the Ansible module fleet.netconsole.kernel_cmdline was given. Change them there.\n"
"""The first line of a file that is this module's own."""


class BootLoaderError(Exception):
    """The boot loader's configuration cannot be read, or cannot be changed as declared: the message says why."""


@dataclass(frozen=True)
class Entry:
    """One thing that is booted, or that kernels installed later take their line from.

    line is what the kernel gets, after the boot loader's own rules. required: the declared parameters that this entry
    has to satisfy; None for all of them.
    """

    id: str
    line: str
    required: tuple[Parameter, ...] | None = None
    exact: bool = True


@dataclass(frozen=True)
class FileChange:
    """A file of the host, by its path as the host sees it; None where it does not exist. mode: of a new file."""

    path: str
    before: bytes | None
    after: bytes | None
    mode: int = 0o644


@dataclass(frozen=True)
class Command:
    """A program that makes the boot loader's own files from the changed ones; undo takes it back, done or not."""

    argv: tuple[str, ...]
    package: str
    undo: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All that has to be done, and what every entry will be afterwards."""

    files: tuple[FileChange, ...] = ()
    commands: tuple[Command, ...] = ()
    generated: tuple[str, ...] = ()  # files, or folders of files, that the commands rewrite
    after: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.files or self.commands)


class BootLoader(abc.ABC):
    """One kind of boot loader on one host. Only the engine of transaction.py writes."""

    name: t.ClassVar[str]

    def __init__(self, host: Host) -> None:
        self.host = host

    @abc.abstractmethod
    def detect(self) -> str | None:
        """Why this boot loader is thought to boot the host; None when it does not."""

    @abc.abstractmethod
    def read(self, parameters: t.Sequence[Parameter] = ()) -> tuple[Entry, ...]:
        """Every entry as the kernel would get it, with those of the parameters that it has to satisfy.

        Raises BootLoaderError for a configuration that is not understood.
        """

    @abc.abstractmethod
    def plan(self, parameters: t.Sequence[Parameter]) -> Plan:
        """What has to be done for the declared parameters. Raises BootLoaderError, CommandLineError."""

    def undo(self, command: Command, _before: t.Sequence[Entry]) -> tuple[str, ...]:
        """What to run to take a command back that may have been done or not; empty where there is nothing to do.

        The files are as before already. Raises BootLoaderError.
        """
        return command.undo

    def verify(self, plan: Plan, parameters: t.Sequence[Parameter]) -> list[str]:
        """What is wrong when the entries are read back after the plan: one sentence for each mistake."""
        actual = {entry.id: entry for entry in self.read(parameters)}
        mistakes = []
        for expected in plan.after:
            entry = actual.get(expected.id)
            if entry is None:
                mistakes.append(f"the entry {expected.id} is gone")
            elif expected.exact and _meaning(entry.line) != _meaning(expected.line):
                mistakes.append(
                    f"{expected.id}: expected {expected.line!r}, the boot loader would hand on {entry.line!r}"
                )
        mistakes += [
            f"{entry.id}: {parameter} is not as declared in {entry.line!r}"
            for entry in actual.values()
            for parameter in (parameters if entry.required is None else entry.required)
            if not satisfied(parse(entry.line), [parameter])
        ]
        return mistakes


def changed_line(line: str, parameters: t.Sequence[Parameter]) -> str:
    """The command line with the declared parameters. Raises CommandLineError."""
    return str(change(parse(line), parameters))


def latin(content: bytes) -> str:
    """Bytes of a file as text in which each byte is one character."""
    return content.decode("latin-1")


def latin_output(text: str) -> str:
    """What a program printed, likewise."""
    return latin(text.encode("utf-8"))


def file_change(path: str, before: bytes | None, after: str | None, *, mode: int = 0o644) -> tuple[FileChange, ...]:
    """The change of a file as a tuple, which is empty where nothing changes."""
    content = None if after is None else after.encode("latin-1")
    return () if content == before else (FileChange(path, before, content, mode),)


def _meaning(line: str) -> list[tuple[str, str | None]]:
    return [(word.name, word.value) for word in parse(line).words]
