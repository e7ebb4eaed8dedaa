# /etc/kernel/cmdline: what kernel-install gives a kernel that is installed later.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# Without the file, kernel-install (90-loaderentry.install, 60-ukify.install) takes /usr/lib/kernel/cmdline, and without
# that the running kernel's line. Runs of white space become one blank, also within quotes. White space is that of the
# shell: str.split() and str.splitlines() would take bytes of UTF-8 letters for some.
import re
import typing as t
from dataclasses import dataclass

from .._command_line import CommandLineError, Parameter, parse, satisfied
from .host import Host
from .interface import BootLoaderError, FileChange, changed_line, file_change, latin

FUTURE = "kernels installed later"
FILE = "/etc/kernel/cmdline"
MADE = "/etc/kernel/cmdline.made-by-fleet-netconsole"  # holds the line that FILE was made from
FALLBACK = "/usr/lib/kernel/cmdline"
_RUNNING = "/proc/cmdline"
ROW = re.compile(r"[^\n]*\n|[^\n]+")
_BLANKS = re.compile(r"[ \t\r\n]+")
_NOT_KEPT = ("BOOT_IMAGE", "initrd", "systemd.machine_id")


@dataclass(frozen=True)
class Future:
    """The line of kernels that are installed later (None: the running kernel's), and what changes for it."""

    line: str | None
    files: tuple[FileChange, ...] = ()
    notes: tuple[str, ...] = ()


def check(parameters: t.Iterable[Parameter], *, echo: bool) -> None:
    """Raise CommandLineError for a value that kernel-install would change. echo: it writes the line by sh's echo."""
    for parameter in parameters:
        if echo and parameter.present and "\\" in str(parameter):
            raise CommandLineError(
                f"{str(parameter)!r} has a backslash: kernel-install writes the entries of kernels that are installed "
                "later by the shell's echo, which may interpret it"
            )
        if parameter.present and "  " in (parameter.value or ""):
            raise CommandLineError(
                f"the value of {parameter.name} has two blanks in a row: kernel-install makes one of them for kernels "
                "that are installed later"
            )


def read_line(host: Host) -> str | None:
    """The text of /etc/kernel/cmdline as one line; None when kernel-install takes the running kernel's line."""
    content = host.read(FILE)
    if content is None:
        content = host.read(FALLBACK)
    return None if content is None else _one_line(latin(content))


def changed_text(text: str, parameters: t.Sequence[Parameter]) -> str:
    """The file with the declared parameters. Lines that are comments, and the line ends, stay."""
    rows = ROW.findall(text)
    numbers = [number for number, row in enumerate(rows) if _BLANKS.sub("", row) and not _is_comment(row)]
    if not numbers and not satisfied(parse(""), parameters):
        numbers = [add_row(rows)]
    change_rows(rows, numbers, parameters, lambda rows: _one_line("".join(rows)), place=FILE)
    return "".join(rows)


def add_row(rows: list[str]) -> int:
    """Put an empty row behind the others: its number."""
    if rows and not rows[-1].endswith("\n"):
        rows[-1] += "\n"
    rows.append("\n")
    return len(rows) - 1


def change_rows(
    rows: list[str],
    numbers: t.Sequence[int],
    parameters: t.Sequence[Parameter],
    line: t.Callable[[t.Sequence[str]], str],
    *,
    place: str,
) -> None:
    """Change rows so that the line that they make is as declared; line ends stay.

    numbers: of the rows that parameters stand in. A value is changed where it stands; a new parameter goes into the
    last row, or into the one with "--". Raises CommandLineError; BootLoaderError where a row cannot be changed alone.
    """
    wanted = changed_line(line(rows), parameters)
    for parameter in parameters:
        if satisfied(parse(line(rows)), [parameter]):
            continue
        elsewhere = Parameter(parameter.name, None if parameter.present else parameter.value, present=False)
        chosen = _chosen(rows, numbers, parameter) if parameter.present else None
        for number in numbers:
            if number == chosen or parameter.unique or not parameter.present:
                row = rows[number]
                body = row.rstrip("\r\n")
                rows[number] = changed_line(body, [parameter if number == chosen else elsewhere]) + row[len(body) :]
    if _sorted_words(line(rows)) != _sorted_words(wanted):
        raise BootLoaderError(
            f"{place} cannot be changed line by line: a quoted value goes over several lines, or a word begins with "
            f"'#'; make one line of it first: {line(rows)!r} would not be {wanted!r}"
        )


def _chosen(rows: t.Sequence[str], numbers: t.Sequence[int], parameter: Parameter) -> int:
    lines = {number: parse(rows[number].rstrip("\r\n")) for number in numbers}
    if parameter.unique:
        same = [number for number, line in lines.items() if satisfied(line, [parameter])]
        named = [number for number, line in lines.items() if any(word.key == parameter.key for word in line.words)]
        if same or named:
            return (same or named)[0]
    ending = [number for number, line in lines.items() if line.rest.strip()]
    return (ending or numbers)[0 if ending else -1]


def _sorted_words(line: str) -> list[str]:
    parsed = parse(line)
    return sorted([*(word.text for word in parsed.words), parsed.rest.strip()])


def change_line(
    host: Host,
    parameters: t.Sequence[Parameter],
    *,
    template: str,
    needed: bool,
    keep: bool = False,
    change_text: t.Callable[[str, t.Sequence[Parameter]], str] = changed_text,
) -> Future:
    """The line with the declared parameters.

    Where there is no file, it is made from template (an entry's line) if needed, or if the running kernel does not have
    a parameter that is to be present. Without keep, it goes again as soon as it says what it was made from.
    change_text: changes a text of the boot loader's language.
    """
    content = host.read(FILE)
    if content is None:
        fallback = read_line(host)
        if fallback is None and not needed and _running_has(host, parameters):
            return Future(None)
        base = fallback if fallback is not None else _kept(template)
        line = _one_line(change_text(base, parameters))
        if fallback is not None and line == fallback:
            return Future(line)
        made = FileChange(MADE, host.read(MADE), f"{base}\n".encode("latin-1"))
        return Future(line, (*file_change(FILE, None, f"{line}\n"), made))
    text = latin(content)
    new = change_text(text, parameters)
    made_from = host.read(MADE)
    if not keep and made_from is not None and new != text and _one_line(new) == _one_line(latin(made_from)):
        files = (FileChange(FILE, content, None), FileChange(MADE, made_from, None))
        note = "a kernel that is installed before the next reboot takes over the running kernel's parameters"
        return Future(None, files, (note,)) if host.read(FALLBACK) is None else Future(_one_line(new), files)
    return Future(_one_line(new), file_change(FILE, content, new))


def _one_line(text: str) -> str:
    """As 90-loaderentry.install reads it."""
    return _BLANKS.sub(" ", "".join(row for row in ROW.findall(text) if not _is_comment(row))).strip(" ")


def _is_comment(row: str) -> bool:
    return row.lstrip(" \t").startswith("#")


def _kept(line: str) -> str:
    return " ".join(word.text for word in parse(line).words if word.name not in _NOT_KEPT)


def _running_has(host: Host, parameters: t.Sequence[Parameter]) -> bool:
    wanted = [one for one in parameters if one.present]
    content = host.read(_RUNNING) if host.is_running else None
    return not wanted or (content is not None and satisfied(parse(latin(content)), wanted))
