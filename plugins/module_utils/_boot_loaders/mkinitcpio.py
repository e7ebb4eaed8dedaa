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
import typing as t
from dataclasses import dataclass

from .._command import CommandError
from .._command_line import Parameter, parse, satisfied
from . import kernel_install
from .host import Host
from .interface import HEADER, BootLoaderError, Command, FileChange, latin, latin_output

PRESETS = "/etc/mkinitcpio.d"
_DROP_INS = "/etc/cmdline.d"
_OWN = "zz-fleet-netconsole.conf"
_MARK, _END = "\x01", "\x02"
# What mkinitcpio's process_preset takes out of a preset, which is a file of bash: image, plain image, line, options.
_READ_PRESET = r"""
. "$1" >/dev/null || exit 1
for variant in "${PRESETS[@]}"; do
  image="${variant}_uki" plain="${variant}_image" cmdline="${variant}_cmdline" words=()
  if [[ ! -v "$image" ]]; then image="${variant}_efi_image"; fi
  declare -n options="${variant}_options"
  if [[ "${options@a}" == *a* ]]; then words=("${options[@]}")
  elif [[ -n "$options" ]]; then mapfile -d ' ' -t words < <(printf '%s' "$options"); fi
  printf '%s\1' "${!image}" "${!plain}" "${!cmdline:-$ALL_cmdline}" "${words[@]}"
  printf '\2'
done
"""
_SUFFIXES = re.compile(rb"(?s)(.+?)(?:\.[A-Za-z~][A-Za-z0-9~]*)*\Z")
_LETTER = re.compile(rb"[A-Za-z]")


@dataclass(frozen=True)
class Source:
    """Where a line comes from: the first of the files that exists, and behind it what is in the folder."""

    files: tuple[str, ...] = ()
    folder: str | None = None

    def __str__(self) -> str:
        folder = () if self.folder is None else (f"{self.folder}/*.conf",)
        return ", ".join((*self.files, *folder))


DEFAULT = Source((kernel_install.FILE, kernel_install.FALLBACK), _DROP_INS)
NO_LINE = Source()  # of a preset with --no-cmdline


@dataclass(frozen=True)
class Preset:
    """What makes one image: where its line comes from, the program, and all files that this writes."""

    image: str
    source: Source
    command: Command
    made: tuple[str, ...]


def presets(host: Host) -> tuple[list[Preset], list[str]]:
    """What makes each unified kernel image, and why presets cannot be read, one sentence each."""
    found: list[Preset] = []
    problems = []
    for path in host.glob(PRESETS, "*.preset"):
        try:
            found += _read_preset(host, path)
        except BootLoaderError as error:
            problems.append(str(error))
    return found, problems


def _read_preset(host: Host, path: str) -> list[Preset]:
    try:
        done = host.run(["bash", "-c", _READ_PRESET, "bash", path], package="bash")
    except CommandError as error:
        raise BootLoaderError(f"{path} cannot be read by the shell: {error}") from error
    if done.returncode:
        raise BootLoaderError(f"{path} cannot be read by the shell: {done.stderr.strip() or 'no reason given'}")
    name = path.rsplit("/", 1)[1][: -len(".preset")]
    command = Command((host.program("mkinitcpio") or "mkinitcpio", "-p", name), "mkinitcpio")
    images: list[tuple[str, Source]] = []
    made: list[str] = []
    for variant in latin_output(done.stdout).split(_END)[:-1]:
        image, plain, cmdline, *options = variant.split(_MARK)[:-1]
        image = _option(options, "-U", "--uki") or image
        plain = _option(options, "-g", "--generate") or plain
        if image:
            images.append((image, _source(host, cmdline, options)))
        # mkinitcpio writes a plain image under another name first, and leaves that when it fails.
        made += [path for path in (image, plain, plain and f"{plain}.tmp") if path]
    return [Preset(image, source, command, tuple(made)) for image, source in images]


def _option(options: t.Sequence[str], *names: str) -> str:
    """The value of an option, the last one where it stands several times."""
    value = ""
    for number, option in enumerate(options):
        if option in names:
            value = options[number + 1] if number + 1 < len(options) else ""
        elif option.startswith(tuple(f"{name}=" for name in names if name.startswith("--"))):
            value = option.partition("=")[2]
    return value


def _source(host: Host, cmdline: str, options: t.Sequence[str]) -> Source:
    if "--no-cmdline" in options:
        return NO_LINE
    path = _option(options, "--cmdline") or cmdline
    if not path:
        return DEFAULT
    return Source((), path.rstrip("/")) if host.is_folder(path) else Source((path,))


class Files:
    """The files of all lines while a change of them is planned: nothing is written."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._names: dict[str, str] = {}  # the path of each file, by its path for this process
        self._before: dict[str, bytes | None] = {}
        self._after: dict[str, str | None] = {}

    def take(self, changes: t.Iterable[FileChange]) -> None:
        """Begin with changes that are planned already."""
        for change in changes:
            self._put(change.path, None if change.after is None else latin(change.after))

    def text(self, path: str) -> str | None:
        """A file as it will be; None where there will be none."""
        key = self.host.real(path)
        if key not in self._after:
            content = None if self.host.is_folder(path) else self.host.read(path)
            self._names[key] = path
            self._before[key] = content
            self._after[key] = None if content is None else latin(content)
        return self._after[key]

    def line(self, source: Source) -> str | None:
        """The line that the next image gets; None where no file has it, and so the running kernel's is taken."""
        paths = self._paths(source)
        return (
            _line(row for path in paths for row in kernel_install.ROW.findall(self.text(path) or "")) if paths else None
        )

    def change(self, source: Source, parameters: t.Sequence[Parameter], *, needed: bool) -> None:
        """Change the files for the declared parameters: new ones go into a file of their own in the folder.

        needed: raise BootLoaderError where no file has a line, since one that has only the parameters would not boot.
        """
        if source == NO_LINE and needed:
            raise BootLoaderError("a preset of mkinitcpio makes an image with --no-cmdline: take that out of it first")
        paths = self._paths(source)
        if not paths:
            if needed:
                raise BootLoaderError(
                    f"no file has the line that mkinitcpio would make the image from ({source}): write the line of "
                    f"the running kernel into {source.files[0] if source.files else f'{source.folder}/00.conf'} first"
                )
            return
        if satisfied(parse(self.line(source) or ""), parameters):
            return
        if source.folder is not None and not self.host.is_link(source.folder):
            own = f"{source.folder}/{_OWN}"
            paths = [path for path in paths if path != own] + [own]
        texts = {path: self.text(path) for path in paths}
        rows: list[str] = []
        owners: list[str] = []
        for path, text in texts.items():
            found = kernel_install.ROW.findall(f"{HEADER}\n" if text is None else text)
            rows += [row if row.endswith("\n") else f"{row}\n" for row in found]
            owners += [path] * len(found)
        numbers = [number for number, row in enumerate(rows) if not row.startswith("#")]
        if not numbers:
            numbers = [kernel_install.add_row(rows)]
            owners.append(paths[-1])
        kernel_install.change_rows(rows, numbers, parameters, _line, place=str(source))
        for path, text in texts.items():
            new = "".join(row for row, owner in zip(rows, owners) if owner == path)
            if text is not None and not text.endswith("\n") and new == f"{text}\n":
                continue
            # What a package brings is not changed: /etc comes before it.
            in_place = path != kernel_install.FALLBACK or len(source.files) == 1 or new == text
            self._put(path if in_place else kernel_install.FILE, None if new == f"{HEADER}\n" else new)

    def changes(self) -> tuple[FileChange, ...]:
        """What is to be written and removed."""
        after = {key: None if text is None else text.encode("latin-1") for key, text in self._after.items()}
        return tuple(
            FileChange(self._names[key], self._before[key], content)
            for key, content in after.items()
            if content != self._before[key]
        )

    def _put(self, path: str, text: str | None) -> None:
        self.text(path)  # so that it is known what is there
        self._after[self.host.real(path)] = text

    def _paths(self, source: Source) -> list[str]:
        paths = [path for path in source.files if self.text(path) is not None][:1]
        folder = source.folder
        if folder is not None and not self.host.is_link(folder):
            # Those that a change makes or removes count as if it were done.
            planned = [
                name for name in self._names.values() if name.startswith(f"{folder}/") and name.endswith(".conf")
            ]
            drop_ins = {*self.host.find(folder, "*.conf"), *planned}
            paths += _in_order(path for path in drop_ins if self.text(path) is not None)
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
