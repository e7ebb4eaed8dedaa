# Raspberry Pi: the firmware hands on the first line of cmdline.txt.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# Raspberry Pi OS keeps the file in /boot/firmware (before Debian 12 in /boot, where a note stands now), and kernel
# packages leave it alone. Debian's package raspi-firmware writes it anew with every kernel (z50-raspi-firmware), with
# the text of /etc/default/raspi-extra-cmdline at the end.
import typing as t

from .._command_line import CommandLine, Parameter, Word, parse, satisfied
from .interface import BootLoader, BootLoaderError, Entry, Plan, changed_line, file_change, latin

FILES = ("/boot/firmware/cmdline.txt", "/boot/cmdline.txt")
PACKAGE = "/etc/default/raspi-firmware"
EXTRA = "/etc/default/raspi-extra-cmdline"
FUTURE = "kernels installed later"


class RaspberryPi(BootLoader):
    """cmdline.txt, which every kernel gets."""

    name = "raspberry-pi"

    def detect(self) -> str | None:
        """cmdline.txt with the firmware's config.txt beside it."""
        path = self._path()
        return None if path is None else f"{path} and config.txt exist"

    def read(self, parameters: t.Sequence[Parameter] = ()) -> tuple[Entry, ...]:
        """The line; with Debian's package also what it adds to the line of a later kernel."""
        path, text = self._text()
        entry = Entry(path, _first_line(text))
        extra = self.host.read(EXTRA)
        if not self.host.exists(PACKAGE) or extra is None:
            return (entry,)
        # What the package writes by itself has to be nowhere else; what is to be absent, nowhere at all.
        line = parse(_first_line(latin(extra)))
        required = tuple(one for one in parameters if not one.present or satisfied(line, [one]))
        return (entry, Entry(FUTURE, str(line), required))

    def plan(self, parameters: t.Sequence[Parameter]) -> Plan:
        """Change the line in place, and the package's settings for later kernels."""
        path, text = self._text()
        old = _first_line(text)
        new = changed_line(old, parameters)
        files = file_change(path, text.encode("latin-1"), new + text[len(old) :])
        after = [Entry(path, new)]
        notes: tuple[str, ...] = ()
        if self.host.exists(PACKAGE):
            extra = self.host.read(EXTRA)
            before = _first_line(latin(extra or b""))
            generated = _without(parse(old), parse(before))
            wanted = [one for one in parameters if not one.present or not satisfied(generated, [one])]
            line = changed_line(before, wanted)
            rest = latin(extra or b"\n")[len(before) :]
            text_of_extra = None if not line and rest == "\n" else line + rest
            files += file_change(EXTRA, extra, text_of_extra)
            after += [] if text_of_extra is None else [Entry(FUTURE, line, tuple(wanted))]
            same = [word.text for word in generated.words if any(_is_against(one, word) for one in wanted)]
            if same and files:
                notes = (f"the package raspi-firmware adds {', '.join(same)} again with the next kernel",)
        return Plan(files=files, after=tuple(after), notes=notes)

    def _path(self) -> str | None:
        return next(
            (
                path
                for path in FILES
                if self.host.exists(path) and self.host.exists(f"{path.rsplit('/', 1)[0]}/config.txt")
            ),
            None,
        )

    def _text(self) -> tuple[str, str]:
        path = self._path()
        if path is None:
            raise BootLoaderError(f"none of {', '.join(FILES)} exists with a config.txt beside it")
        text = latin(self.host.read(path) or b"")
        if not _first_line(text).strip():
            raise BootLoaderError(f"the first line of {path} is empty: the firmware would hand on nothing")
        return path, text


def _without(line: CommandLine, part: CommandLine) -> CommandLine:
    """The line without the words of a part of it, each once, the last one first."""
    words = list(line.words)
    for gone in part.words:
        numbers = [number for number, word in enumerate(words) if word.text == gone.text]
        if numbers:
            del words[numbers[-1]]
    return CommandLine(tuple(words))


def _is_against(parameter: Parameter, word: Word) -> bool:
    """Whether a word is one that the declared parameter allows nowhere."""
    if word.key != parameter.key:
        return False
    return parameter.unique if parameter.present else parameter.value in (None, word.value)


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0].rstrip("\r")
