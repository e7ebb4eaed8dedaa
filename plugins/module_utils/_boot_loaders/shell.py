# Files of shell assignments, such as /etc/default/grub: one variable's words changed, all other bytes kept.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

# An assignment at the beginning of a line (or after blanks), as far as it has no command substitution.
_ASSIGNMENT = r"(?m)^[ \t]*(?:export[ \t]+)?{name}(\+?)="
_EXPANSION = re.compile(r"\$(?:\w+|\{[^}]*\})", re.ASCII)


class ShellError(ValueError):
    """An assignment that cannot be changed safely: the message says why."""


@dataclass(frozen=True)
class Piece:
    """One character of the value and where it stands in the file; expansion: text that the shell fills in."""

    character: str
    start: int
    end: int
    expansion: bool = False


@dataclass(frozen=True)
class Assignment:
    """One assignment of the file: its value in pieces, and where and within which quote its value ends."""

    start: int
    end: int
    pieces: tuple[Piece, ...]
    insert_at: int
    quote: str  # the quote that insert_at stands in: '"', "'" or none

    @property
    def value(self) -> str:
        """The value; an expansion stands in it as the shell's own text."""
        return "".join(piece.character for piece in self.pieces)


def assignments(text: str, name: str) -> list[Assignment]:
    """Every assignment of one variable in a file. Raises ShellError for one with a command substitution."""
    found = []
    for match in re.finditer(_ASSIGNMENT.format(name=re.escape(name)), text):
        found.append(_parse(text, match.end(), match.start()))
    return found


def quoted(value: str) -> str:
    """Text within double quotes of the shell, without the quotes themselves."""
    return re.sub(r'([\\"$`])', r"\\\1", value)


def append(text: str, assignment: Assignment, word: str) -> str:
    """The file with one more word at the end of an assignment's value."""
    new = f" {word}" if assignment.value.strip() else word
    if assignment.quote == '"':
        inserted = quoted(new)
    elif assignment.quote == "'":
        inserted = new.replace("'", "'\\''")
    else:
        inserted = f'"{quoted(new)}"'
    return text[: assignment.insert_at] + inserted + text[assignment.insert_at :]


def remove(text: str, assignment: Assignment, spans: t.Iterable[tuple[int, int]]) -> str:
    """The file without parts of an assignment's value, given as positions in the value."""
    wanted = {number for first, last in spans for number in range(first, last)}
    ends = {piece.end for piece in assignment.pieces}
    for piece in reversed(_by_position(assignment, wanted)):
        if piece.expansion:
            raise ShellError(f"{piece.character} is filled in by the shell")
        # A single quote within single quotes: '\'' goes as a whole, which joins what is before and after it.
        whole = text[piece.start - 1 : piece.end + 1] == "'\\''" and piece.start not in ends
        text = text[: piece.start - whole] + text[piece.end + whole :]
    return text


def _by_position(assignment: Assignment, wanted: set[int]) -> list[Piece]:
    pieces, position = [], 0
    for piece in assignment.pieces:
        if wanted & set(range(position, position + len(piece.character))):
            pieces.append(piece)
        position += len(piece.character)
    return pieces


def _parse(text: str, position: int, start: int) -> Assignment:
    pieces: list[Piece] = []
    quote, insert_at, last_quote = "", position, ""
    while position < len(text):
        character = text[position]
        if not quote and character in " \t\n;&|#":
            break
        if character == quote:
            insert_at, last_quote, quote = position, quote, ""
            position += 1
            continue
        if not quote and character in "\"'":
            quote = character
            position += 1
            continue
        piece = _piece(text, position, quote)
        if piece.character:
            pieces.append(piece)
        position = piece.end
        if not quote:
            insert_at, last_quote = position, ""
    if quote:
        raise ShellError("a quote is never closed")
    return Assignment(start, position, tuple(pieces), insert_at, last_quote)


def _piece(text: str, position: int, quote: str) -> Piece:
    character = text[position]
    if quote == "'":
        return Piece(character, position, position + 1)
    if character == "`" or text.startswith("$(", position):
        raise ShellError("a command substitution stands in it")
    if character == "\\" and position + 1 < len(text):
        following = text[position + 1]
        if following == "\n":
            return Piece("", position, position + 2)
        if not quote or following in '\\"$`':
            return Piece(following, position, position + 2)
    expansion = _EXPANSION.match(text, position) if character == "$" else None
    if expansion:
        return Piece(expansion.group(), position, expansion.end(), expansion=True)
    return Piece(character, position, position + 1)
