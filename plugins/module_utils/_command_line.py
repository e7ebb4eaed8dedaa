# The kernel command line: words and quoting of the kernel's own parser, and changing it by declared parameters.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The rules are those of next_arg() (lib/cmdline.c) and parse_args() and parameq() (kernel/params.c):
#
# * words end at white space outside of double quotes; there is no escape: each quote in a word has its partner there;
# * a quote at the beginning of a word or of its value, and one at the word's end, are taken off;
# * "-" and "_" are the same in the name of a parameter;
# * the word "--" ends the kernel's part: what follows goes to init.
#
# Text is kept byte for byte: callers decode files as Latin-1, in which each byte is one character.

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

# isspace() of the kernel's lib/ctype.c: those of C, and 0xa0 of Latin-1.
_SPACE = " \t\n\v\f\r\xa0"
_GAP = re.compile(f"[{_SPACE}]*")
_WORD = re.compile(f'(?:[^{_SPACE}"]|"[^"]*(?:"|$))+')
_NAME = re.compile(r'(?:(?!["=])[!-~])+', re.ASCII)
_VALUE = re.compile(r"[ -~]*", re.ASCII)

# COMMAND_LINE_SIZE of arch/*/include/uapi/asm/setup.h, NUL included: the kernel cuts what is longer without a word.
COMMAND_LINE_SIZES = {
    "s390x": 4096,
    "armv7l": 1024,
    "armv6l": 1024,
    "mips64": 4096,
    "mips": 4096,
    "loongarch64": 4096,
    "riscv64": 1024,
}
DEFAULT_COMMAND_LINE_SIZE = 2048


class CommandLineError(ValueError):
    """A parameter that the kernel's command line cannot hold, or a line that cannot be changed: it says why."""


@dataclass(frozen=True)
class Word:
    """One word of the line as it stands there, with the white space before it."""

    gap: str
    text: str

    @property
    def name(self) -> str:
        """The parameter's name as the kernel reads it, in its own spelling."""
        return self._split()[0]

    @property
    def value(self) -> str | None:
        """The parameter's value as the kernel reads it; None for a bare word."""
        return self._split()[1]

    @property
    def key(self) -> str:
        """What the kernel compares: the name with "_" for "-"."""
        return key_of(self.name)

    @property
    def closed(self) -> bool:
        """Whether each quote has its partner. A word that has not goes on to the end of the line."""
        return self.text.count('"') % 2 == 0

    def _split(self) -> tuple[str, str | None]:
        quoted = self.text.startswith('"')
        text = self.text[1:] if quoted else self.text
        equals = text.find("=", 1)
        if equals < 0:
            return (text[:-1] if quoted and text.endswith('"') else text), None
        name, value = text[:equals], text[equals + 1 :]
        if value.startswith('"'):
            value = value[1:]
            if value.endswith('"'):
                return name, value[:-1]
        if quoted and value.endswith('"'):
            value = value[:-1]
        return name, value


@dataclass(frozen=True)
class CommandLine:
    """A command line in its words. str() gives back what was parsed, byte for byte."""

    words: tuple[Word, ...] = ()
    rest: str = ""  # white space at the end, and init's part with the "--" before it

    def __str__(self) -> str:
        return "".join(word.gap + word.text for word in self.words) + self.rest


@dataclass(frozen=True)
class Parameter:
    """One declared parameter.

    value None: the bare word (present), or every value of the name (absent). unique: the name has this one value only;
    else values stand side by side, such as those of console=.
    """

    name: str
    value: str | None = None
    present: bool = True
    unique: bool = True

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}={self.value}"

    @property
    def key(self) -> str:
        """What the kernel compares: the name with "_" for "-"."""
        return key_of(self.name)


def key_of(name: str) -> str:
    """The name as the kernel compares it (dash2underscore() of kernel/params.c)."""
    return name.replace("-", "_")


def parse(text: str) -> CommandLine:
    """The words of a command line. Never fails: the kernel takes any text."""
    words: list[Word] = []
    position = 0
    while True:
        gap = _GAP.match(text, position)
        start = gap.end() if gap else position
        found = _WORD.match(text, start)
        if not found:
            return CommandLine(tuple(words), text[position:])
        word = Word(text[position:start], found.group())
        if word.name == "--" and word.value is None:
            return CommandLine(tuple(words), text[position:])
        words.append(word)
        position = found.end()


def format_word(parameter: Parameter) -> str:
    """The parameter as one word of the kernel's command line. Raises CommandLineError when no word can say it."""
    _check_name(parameter.name)
    if parameter.value is None:
        return parameter.name
    _check_value(parameter)
    value = parameter.value
    if " " in value and '"' not in value:
        return f'{parameter.name}="{value}"'
    return f"{parameter.name}={value}"


def check_parameters(parameters: t.Sequence[Parameter]) -> None:
    """Raise CommandLineError when a parameter cannot be said, or two of them contradict each other."""
    if not parameters:
        raise CommandLineError("parameters is empty: give at least one kernel parameter")
    for parameter in parameters:
        format_word(parameter)
    for number, one in enumerate(parameters):
        for other in parameters[number + 1 :]:
            if one.key == other.key:
                _check_pair(one, other)


def change(line: CommandLine, parameters: t.Iterable[Parameter]) -> CommandLine:
    """The line with the declared parameters; other words, their order and spelling stay.

    A new word comes after the last one, in front of init's part. A unique parameter keeps the place of the first word
    of its name. Raises CommandLineError when a word would have to follow a quote that is never closed.
    """
    for parameter in parameters:
        if not satisfied(line, [parameter]):
            line = _add(line, parameter) if parameter.present else _remove(line, parameter)
    return line


def satisfied(line: CommandLine, parameters: t.Iterable[Parameter]) -> bool:
    """Whether the line already says what is declared."""
    return all(_is_satisfied(line, parameter) for parameter in parameters)


def machine_limit(machine: str) -> int:
    """How many characters of a command line a kernel of that machine (uname -m) takes."""
    return COMMAND_LINE_SIZES.get(machine, DEFAULT_COMMAND_LINE_SIZE) - 1


def _is_satisfied(line: CommandLine, parameter: Parameter) -> bool:
    same_key = [word for word in line.words if word.key == parameter.key]
    if not parameter.present:
        return not any(_speaks_of(parameter, word) for word in same_key)
    same = [word for word in same_key if word.value == parameter.value]
    return len(same) == len(same_key) == 1 if parameter.unique else bool(same)


def _speaks_of(parameter: Parameter, word: Word) -> bool:
    if word.key != parameter.key:
        return False
    any_value = parameter.unique if parameter.present else parameter.value is None
    return any_value or word.value == parameter.value


def _add(line: CommandLine, parameter: Parameter) -> CommandLine:
    text = format_word(parameter)
    if parameter.unique:
        numbers = [number for number, word in enumerate(line.words) if word.key == parameter.key]
        if numbers:
            equal = [number for number in numbers if line.words[number].value == parameter.value]
            kept = equal[0] if equal else numbers[0]
            words = list(line.words)
            if not equal:
                _check_closed(words[kept])
                words[kept] = Word(words[kept].gap, text)
            return _without(CommandLine(tuple(words), line.rest), [number for number in numbers if number != kept])
    if line.words:
        _check_closed(line.words[-1])
    if line.rest.startswith(("--", '"--')):  # nothing but init's part
        return CommandLine((Word("", text),), f" {line.rest}")
    gap = " " if line.words or line.rest.strip(_SPACE) else ""
    return CommandLine((*line.words, Word(gap, text)), line.rest)


def _remove(line: CommandLine, parameter: Parameter) -> CommandLine:
    return _without(line, [number for number, word in enumerate(line.words) if _speaks_of(parameter, word)])


def _without(line: CommandLine, numbers: t.Sequence[int]) -> CommandLine:
    words, rest = list(line.words), line.rest
    for number in sorted(numbers, reverse=True):
        removed = words.pop(number)
        if number == 0 and words:
            words[0] = Word(removed.gap, words[0].text)
        elif not words and not removed.gap and rest.startswith((" --", ' "--')):
            rest = rest[1:]
    return CommandLine(tuple(words), rest)


def _check_closed(word: Word) -> None:
    if not word.closed:
        raise CommandLineError(
            f"the command line has a quote that is never closed, in {word.text!r}: the kernel reads all that follows "
            "as a part of that word; correct it first"
        )


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise CommandLineError(
            f"{name!r} is no name of a kernel parameter: it has to be printable ASCII without white space, '=' and '\"'"
        )
    if name == "--":
        raise CommandLineError("'--' is no kernel parameter: the kernel gives all that follows it to init")


def _check_value(parameter: Parameter) -> None:
    value = parameter.value or ""
    if '"' in value and not _is_read_back(parameter):
        raise CommandLineError(
            f"the value of {parameter.name} has a double quote in it ({value!r}) that the kernel would not leave as "
            "it is: it takes one off at the beginning and at the end, and each one has to have its partner, with all "
            "blanks between the two"
        )
    if not _VALUE.fullmatch(value):
        raise CommandLineError(
            f"the value of {parameter.name} ({value!r}) is not printable ASCII: no boot loader hands that on unchanged"
        )


def _is_read_back(parameter: Parameter) -> bool:
    """Whether the kernel takes name and value, with no quote around them, for this one word."""
    words = parse(str(parameter)).words
    return len(words) == 1 and words[0].closed and (words[0].name, words[0].value) == (parameter.name, parameter.value)


def _check_pair(one: Parameter, other: Parameter) -> None:
    if one.present and other.present:
        if one.value == other.value:
            raise CommandLineError(f"{one} is given twice")
        if one.unique or other.unique:
            raise CommandLineError(
                f"{one.name} is given twice with different values ({one.value!r}, {other.value!r}): set unique to "
                "false in both for values side by side"
            )
        return
    if one.present != other.present:
        present, absent = (one, other) if one.present else (other, one)
        if absent.value is None or absent.value == present.value:
            raise CommandLineError(f"{absent} is declared present and absent at the same time")
        return
    if one.value == other.value:
        raise CommandLineError(f"{one} is given twice")
