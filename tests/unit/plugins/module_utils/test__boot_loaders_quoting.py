# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Quoting for GRUB and for the shell: GRUB's rules by table and at random, the shell's by the real sh."""

from __future__ import annotations

import random
import string
import subprocess

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders import grub_script, shell
from ansible_collections.fleet.netconsole.plugins.module_utils._command_line import Parameter, parse

PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("a b\tc", ["a", "b", "c"], id="blanks"),
        pytest.param("a=A;+B quiet", ["a=A"], id="a semicolon ends the command"),
        pytest.param("'a;b c' d", ["a;b c", "d"], id="single quotes"),
        pytest.param(r'"a\"b\$c\\d\e"', ['a"b$c\\d\\e'], id="escapes in double quotes"),
        pytest.param(r"a\ b \;", ["a b", ";"], id="escapes outside"),
        pytest.param("a#b #c", ["a#b"], id="a comment begins a word"),
        pytest.param("a${x}b $y", ["a1", "2b", "$y"], id="known and unknown variables"),
        pytest.param('"$x" $x', ["1 2", "1", "2"], id="only unquoted variables are split"),
        pytest.param("''", [""], id="empty word"),
        pytest.param('$"a b" c$"d"', ["a b", "cd"], id="a text that GRUB translates"),
    ],
)
def test_words_of_grub(text, words):
    assert grub_script.words(text, {"x": "1 2"}) == words


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("a=b c", '"a=b c"'),
        ("a\\b", "a\\\\b"),
        ("a'b", "a\\'b"),
        ('a"b', 'a\\"b'),
        ("a\\x20b", "a\\x20b"),
    ],
)
def test_the_line_that_grub_makes_of_an_argument(argument, line):
    assert grub_script.join([argument]) == line


def _parameters(count, alphabet):
    generator = random.Random(2026)
    for number in range(count):
        value = "".join(generator.choice(alphabet) for _count in range(generator.randrange(40)))
        yield Parameter(f"p{number}", value)


def test_any_value_that_gets_through_grub_reaches_the_kernel():
    for parameter in _parameters(2000, PRINTABLE.translate({ord(bad): None for bad in "\"'\\"})):
        arguments = grub_script.words(f"before {grub_script.quote(parameter)} after")
        assert arguments == ["before", str(parameter), "after"]
        (word,) = parse(grub_script.join(arguments[1:2])).words
        assert (word.name, word.value) == (parameter.name, parameter.value)


@pytest.mark.once
def test_a_drop_in_says_to_the_real_shell_what_was_meant():
    words = [f"p={parameter.value}" for parameter in _parameters(150, PRINTABLE)]
    for start in ('X="quiet"\n', "X='quiet'\n", "X=quiet\n", 'Y=1\nX="$Y"\n'):
        text = start
        for word in words:
            text = shell.append(text, shell.assignments(text, "X")[-1], word)
        done = subprocess.run(["sh", "-c", f'{text}printf %s "$X"'], capture_output=True, text=True, check=True)
        first = "1" if "$Y" in start else "quiet"
        assert done.stdout == " ".join([first, *words])


@pytest.mark.parametrize(
    "text", ['X="quiet"\n', "X='quiet'\n", "X=quiet\n", 'X=""\n', '# c\nexport X="a  b" # d\nY=2\n'], ids=repr
)
def test_a_word_that_was_added_is_removed_byte_for_byte(text):
    for parameter in _parameters(300, PRINTABLE.translate({ord(bad): None for bad in "\"'\\"})):
        word = grub_script.quote(parameter)
        before = shell.assignments(text, "X")[-1]
        longer = shell.append(text, before, word)
        after = shell.assignments(longer, "X")[-1]
        assert after.value.startswith(before.value) and after.value.endswith(word)
        shorter = shell.remove(longer, after, [(len(before.value), len(after.value))])
        assert shell.assignments(shorter, "X")[-1].value == before.value
        if before.quote:
            assert shorter == text
