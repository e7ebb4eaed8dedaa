# GRUB's script language, as far as it stands between a configuration file and the kernel's command line.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# Two of GRUB's rules make the line: its lexer (grub-core/script/yylex.l) takes quotes and backslashes off and splits at
# blanks; then the linux command (grub-core/lib/cmdline.c) joins the words again. That puts a backslash before each
# backslash and quote, which the kernel takes literally, and double quotes around a word with spaces. So no value with
# a backslash or a single quote reaches the kernel unchanged, but for \xNN, which GRUB leaves alone.
import re
import typing as t

from .._command_line import CommandLineError, Parameter, Word, format_word, parse, satisfied

_BARE = re.compile(r"[A-Za-z0-9_+=.,:/@%-]+")
_BLANK = " \t"
_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*|[0-9]+|[?#*@])|\{([A-Za-z_]\w*|[0-9]+|[?#*@])\})", re.ASCII)
_HEX_ESCAPE = re.compile(r"\\x[0-9A-Fa-f]{2}")
_SPECIAL = re.compile(r"\\(?!x[0-9A-Fa-f]{2})|['\"]")


class GrubScriptError(ValueError):
    """A line that GRUB itself would not take."""


def quote(parameter: Parameter) -> str:
    """A parameter as one word of GRUB's language. Raises CommandLineError when GRUB would change it on its way."""
    format_word(parameter)
    text = str(parameter)
    bad = _SPECIAL.search(text)
    if bad:
        raise CommandLineError(
            f"{text!r}: GRUB puts a backslash before {bad.group()!r} on its way to the kernel, which takes it "
            "literally: no quoting gets this value through GRUB"
        )
    return text if _BARE.fullmatch(text) else f"'{text}'"


def quote_for_kernel(parameter: Parameter, *, grubby: bool = False) -> str:
    """A parameter as one word that GRUB's language and the kernel's parser read alike, for whoever writes entry files.

    grubby: it may edit the line. It takes a blank for the end of a word and would leave a half of a value with spaces
    behind, and so a quote that is never closed: it does not find a name that a quote stands before.
    Raises CommandLineError when GRUB would change the word.
    """
    text = quote(parameter)
    if "$" in text:
        raise CommandLineError(f"{str(parameter)!r}: GRUB fills variables in wherever '$' stands in an entry file")
    if text == str(parameter):
        return text
    if parameter.value is None or not _BARE.fullmatch(parameter.name) or (grubby and " " in parameter.value):
        return f'"{parameter}"'
    return f'{parameter.name}="{parameter.value}"'


def is_cut(word: str) -> bool:
    """Whether GRUB ends the command within a word that stands on an entry file's line of options."""
    try:
        spans(word)
    except GrubScriptError:
        return True
    return False


def words(text: str, variables: t.Mapping[str, str] | None = None) -> list[str]:
    """The arguments of one simple command. A variable that is not known stays as it is written.

    The command ends at an unquoted ";", "|", "&", brace or line end. Raises GrubScriptError for a quote that is never
    closed.
    """
    return _Lexer(text, variables or {}).words()


def join(arguments: t.Iterable[str]) -> str:
    """The kernel's command line that GRUB's linux command makes from its arguments."""
    return " ".join(_argument(argument) for argument in arguments)


def spans(text: str) -> list[tuple[int, int, str]]:
    """Each argument of one simple command with its first position and the one after it, blanks not included.

    Raises GrubScriptError where the text ends before its last character, as at an unquoted ";".
    """
    lexer = _Lexer(text, {})
    lexer.words()
    if lexer.position < len(text):
        raise GrubScriptError(f"GRUB ends the command at the unquoted {text[lexer.position]!r} of {text!r}")
    return lexer.spans


def change_text(text: str, parameters: t.Iterable[Parameter]) -> str:
    """A text of GRUB's language, such as "options" of an entry file, with the declared parameters; the rest stays.

    Raises CommandLineError for a value that does not get through GRUB, GrubScriptError for a text that GRUB cuts.
    """
    for parameter in parameters:
        line = parse(join(argument for _first, _last, argument in spans(text)))
        if satisfied(line, [parameter]):
            continue
        any_value = parameter.present or parameter.value is None
        if parameter.unique or not parameter.present:
            for first, last, argument in reversed(_spans_of_kernel(text)):
                word = Word("", join([argument]))
                if word.key == parameter.key and (any_value or word.value == parameter.value):
                    before = text[:first].rstrip(" \t")
                    text = before + text[last:] if before else text[:first] + text[last:].lstrip(" \t")
        if parameter.present:
            quoted = quote_for_kernel(parameter, grubby=True)
            end = _end_of_kernel(text)
            before, after = text[:end].rstrip(_BLANK) if end < len(text) else text, text[end:]
            text = " ".join(part for part in (before, quoted, after) if part.strip(_BLANK))
    return text


def _end_of_kernel(text: str) -> int:
    """Where the "--" stands that gives all that follows it to init; else the end of the text."""
    return next((first for first, _last, argument in spans(text) if argument == "--"), len(text))


def _spans_of_kernel(text: str) -> list[tuple[int, int, str]]:
    end = _end_of_kernel(text)
    return [span for span in spans(text) if span[0] < end]


def _argument(argument: str) -> str:
    out, position = [], 0
    while position < len(argument):
        escape = _HEX_ESCAPE.match(argument, position)
        if escape:
            out.append(escape.group())
            position = escape.end()
            continue
        character = argument[position]
        out.append(f"\\{character}" if character in "\\'\"" else character)
        position += 1
    text = "".join(out)
    return f'"{text}"' if " " in argument else text


class _Lexer:
    """One pass over one command."""

    def __init__(self, text: str, variables: t.Mapping[str, str]) -> None:
        self.text = text
        self.variables = variables
        self.position = 0
        self.found: list[str] = []
        self.spans: list[tuple[int, int, str]] = []
        self.word: str | None = None
        self.start = 0

    def words(self) -> list[str]:
        while self.position < len(self.text):
            character = self.text[self.position]
            if character in "\n;|&<>{}" or (character == "#" and self.word is None):
                break
            if self.word is None:
                self.start = self.position
            self.position += 1
            self._take(character)
        self._end_word(self.position)
        return self.found

    def _take(self, character: str) -> None:
        if character in _BLANK:
            self._end_word(self.position - 1)
        elif character == "'":
            end = self._closing("'")
            self._add(self.text[self.position : end])
            self.position = end + 1
        elif character == '"':
            self._double_quoted()
        elif character == "\\":
            escaped = self.text[self.position : self.position + 1]
            self._add("" if escaped == "\n" else escaped)
            self.position += 1
        elif self.text.startswith('$"', self.position - 1):  # a text that GRUB would translate
            self.position += 1
            self._double_quoted()
        elif character == "$":
            self._variable(split=True)
        else:
            self._add(character)

    def _double_quoted(self) -> None:
        self._add("")
        while True:
            character = self.text[self.position : self.position + 1]
            if not character:
                raise GrubScriptError(f"a double quote is never closed in {self.text!r}")
            self.position += 1
            if character == '"':
                return
            if character == "$":
                self._variable(split=False)
            elif character == "\\" and self.text[self.position : self.position + 1] in ("$", "\\", '"', "\n"):
                escaped = self.text[self.position]
                self._add("" if escaped == "\n" else escaped)
                self.position += 1
            else:
                self._add(character)

    def _variable(self, *, split: bool) -> None:
        found = _VARIABLE.match(self.text, self.position - 1)
        if not found:
            self._add("$")
            return
        self.position = found.end()
        value = self.variables.get(found.group(1) or found.group(2), found.group())
        if not split:
            self._add(value)
            return
        pieces = re.split(r"[ \t\n]+", value)
        for number, piece in enumerate(pieces):
            if number:
                self._end_word(self.position)
            if piece:
                self._add(piece)

    def _closing(self, quote_character: str) -> int:
        end = self.text.find(quote_character, self.position)
        if end < 0:
            raise GrubScriptError(f"a quote is never closed in {self.text!r}")
        return end

    def _add(self, text: str) -> None:
        self.word = (self.word or "") + text

    def _end_word(self, end: int) -> None:
        if self.word is not None:
            self.found.append(self.word)
            self.spans.append((self.start, end, self.word))
        self.word = None
