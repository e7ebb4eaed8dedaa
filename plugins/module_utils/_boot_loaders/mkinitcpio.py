# mkinitcpio, as Arch Linux makes unified kernel images with it: presets, and the files that it takes the line from.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# A preset names the images and may name their lines' file or folder. Without one, mkinitcpio (41, function build_uki)
# takes /etc/kernel/cmdline or /usr/lib/kernel/cmdline, then every *.conf below /etc/cmdline.d. Lines that begin with #
# and empty ones are left out, the others joined by blanks, and runs of blanks become one.
import os
import re
import shlex
import typing as t
from dataclasses import dataclass

from .._command_line import Parameter, parse, satisfied
from . import kernel_install
from .host import Host
from .interface import BootLoaderError, Command, FileChange, changed_line, latin
from .shell import ShellError, assignments

PRESETS = "/etc/mkinitcpio.d"
_DROP_INS = "/etc/cmdline.d"
_OWN = "zz-fleet-netconsole.conf"
_HEADER = "# Kernel parameters that the Ansible module fleet.netconsole.kernel_cmdline was given. Change them there.\n"
_ARRAY = r"(?ms)^[ \t]*{name}=\((.*?)\)"
_ROW = re.compile(r"[^\n]*\n|[^\n]+")
_SUFFIXES = re.compile(rb"(?s)(.+?)(?:\.[A-Za-z~][A-Za-z0-9~]*)*\Z")
_LETTER = re.compile(rb"[A-Za-z]")


@dataclass(frozen=True)
class Source:
    """Where a line comes from: the first of the files that exists, and behind it what is in the folder."""

    files: tuple[str, ...]
    folder: str | None = None

    def __str__(self) -> str:
        folder = () if self.folder is None else (f"{self.folder}/*.conf",)
        return ", ".join((*self.files, *folder))


DEFAULT = Source((kernel_install.FILE, kernel_install.FALLBACK), _DROP_INS)


@dataclass(frozen=True)
class Preset:
    """What makes one image: where its line comes from, the program, and which plain images that makes beside it."""

    source: Source
    command: Command
    also_made: tuple[str, ...]


def presets(host: Host) -> dict[str, Preset]:
    """What makes each unified kernel image, by the image's path for this process. Raises BootLoaderError."""
    found = {}
    for path in host.glob(PRESETS, "*.preset"):
        text = latin(host.read(path) or b"")
        name = path.rsplit("/", 1)[1][: -len(".preset")]
        command = Command((host.program("mkinitcpio") or "mkinitcpio", "-p", name), "mkinitcpio")
        try:
            variants = _array(text, "PRESETS")
            plain = tuple(image for variant in variants for image in [_value(text, f"{variant}_image")] if image)
            for variant in variants:
                image = _value(text, f"{variant}_uki") or _value(text, f"{variant}_efi_image")
                if image:
                    found[host.real(image)] = Preset(_source(host, text, variant), command, plain)
        except ValueError as error:
            raise BootLoaderError(f"{path} cannot be read: {error}") from error
    return found


class Files:
    """The files of all lines while a change of them is planned: nothing is written."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.before: dict[str, bytes | None] = {}
        self.after: dict[str, str | None] = {}

    def take(self, changes: t.Iterable[FileChange]) -> None:
        """Begin with changes that are planned already."""
        for change in changes:
            self.before[change.path] = change.before
            self.after[change.path] = None if change.after is None else latin(change.after)

    def line(self, source: Source) -> str | None:
        """The line that the next image gets; None where no file has it, and so the running kernel's is taken."""
        paths = self._paths(source)
        return _line(row for path in paths for row in _ROW.findall(self._text(path) or "")) if paths else None

    def change(self, source: Source, parameters: t.Sequence[Parameter], *, needed: bool) -> None:
        """Change the files for the declared parameters: new ones go into a file of their own in the folder.

        needed: raise BootLoaderError where no file has a line, since one that has only the parameters would not boot.
        """
        paths = self._paths(source)
        if not paths:
            if needed:
                raise BootLoaderError(
                    f"no file has the line that mkinitcpio would make the image from ({source}): write the line of "
                    f"the running kernel into {source.files[0] if source.files else f'{source.folder}/00.conf'} first"
                )
            return
        line = self.line(source) or ""
        if satisfied(parse(line), parameters):
            return
        changed_line(line, parameters)  # whether it can be changed at all: a row alone does not show an open quote
        if source.folder is not None:
            own = f"{source.folder}/{_OWN}"
            paths = [path for path in paths if path != own] + [own]
        rows, owners = [], []
        for path in paths:
            text = self._text(path)
            for row in _ROW.findall(f"{_HEADER}\n" if text is None else text):
                rows.append(row)
                owners.append(path)
        if all(row.startswith("#") for row in rows):
            rows.append("\n")
            owners.append(paths[-1])
        numbers = [number for number, row in enumerate(rows) if not row.startswith("#")]
        kernel_install.change_rows(rows, numbers, parameters, _line)
        for path in paths:
            text = "".join(row for row, owner in zip(rows, owners) if owner == path)
            self.after[path] = None if text == f"{_HEADER}\n" else text

    def changes(self) -> tuple[FileChange, ...]:
        """What is to be written and removed."""
        return tuple(
            FileChange(path, self.before[path], None if text is None else text.encode("latin-1"))
            for path, text in self.after.items()
            if (None if text is None else text.encode("latin-1")) != self.before[path]
        )

    def _text(self, path: str) -> str | None:
        if path not in self.after:
            content = self.before[path] = self.host.read(path)
            self.after[path] = None if content is None else latin(content)
        return self.after[path]

    def _paths(self, source: Source) -> list[str]:
        paths = [path for path in source.files if self._text(path) is not None][:1]
        if source.folder is not None:
            drop_ins = self.host.find(source.folder, "*.conf")
            own = f"{source.folder}/{_OWN}"
            # Those that a change makes or removes count as if it were done.
            drop_ins = [path for path in {*drop_ins, own} if self._text(path) is not None]
            paths += _in_order(drop_ins)
        return paths


def version_order(path: str) -> tuple[object, object]:
    """What "sort -V" of GNU coreutils (from 9.0 on) compares; paths that it takes for one have the same."""
    name = os.fsencode(path)
    found = _SUFFIXES.match(name)
    return _version(found.group(1) if found else name), _version(name)


def _version(name: bytes) -> list[tuple[list[int], int]]:
    return [
        ([*map(_rank, (letters[at : at + 1] for at in range(len(letters)))), 0], int(digits or b"0"))
        for letters, digits in re.findall(rb"([^0-9]*)([0-9]*)", name)
    ]


def _rank(character: bytes) -> int:
    """A tilde comes before the end, letters before all else."""
    if character == b"~":
        return -1
    return ord(character) if _LETTER.match(character) else ord(character) + 256


def _in_order(paths: t.Iterable[str]) -> list[str]:
    ordered = sorted(paths, key=version_order)
    for one, other in zip(ordered, ordered[1:]):
        if version_order(one) == version_order(other):
            raise BootLoaderError(f"mkinitcpio takes only one of {one} and {other}: rename one of them")
    return ordered


def _line(rows: t.Iterable[str]) -> str:
    kept = [row.rstrip("\n") for row in rows if row.strip("\n") and not row.startswith("#")]
    return re.sub(" +", " ", " ".join(kept)).strip(" ")


def _source(host: Host, text: str, name: str) -> Source:
    """The value of NAME_cmdline or ALL_cmdline, or what NAME_options says, which comes later."""
    options = _array(text, f"{name}_options") or shlex.split(_value(text, f"{name}_options"))
    path = _value(text, f"{name}_cmdline") or _value(text, "ALL_cmdline")
    for number, option in enumerate(options):
        if option == "--cmdline" and number + 1 < len(options):
            path = options[number + 1]
        elif option.startswith("--cmdline="):
            path = option[len("--cmdline=") :]
    if not path:
        return DEFAULT
    return Source((), path.rstrip("/")) if host.is_folder(path) else Source((path,))


def _array(text: str, name: str) -> list[str]:
    found = re.findall(_ARRAY.format(name=re.escape(name)), text)
    return shlex.split(found[-1], comments=True) if found else []


def _value(text: str, name: str) -> str:
    """The last assignment's value, empty where there is none. Raises ShellError for one that the shell fills in."""
    found = assignments(text, name)
    if not found or re.search(_ARRAY.format(name=re.escape(name)), text):
        return ""
    if any(piece.expansion for piece in found[-1].pieces):
        raise ShellError(f"{name} is filled in by the shell: give the path itself")
    return found[-1].value
