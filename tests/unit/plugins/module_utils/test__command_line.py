# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words of the kernel's command line as next_arg() sees them, and changing them."""

from __future__ import annotations

import random
import re
import string

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.registry import choose
from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.transaction import run
from ansible_collections.fleet.netconsole.plugins.module_utils._command_line import (
    CommandLineError,
    Parameter,
    Word,
    change,
    check_parameters,
    format_word,
    machine_limit,
    parse,
    satisfied,
)
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_boot_host import MACHINES

NAME = re.compile(r"[!#-<>-~]+")
PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "


def absent(name, value=None):
    return Parameter(name, value, present=False)


def side_by_side(name, value):
    return Parameter(name, value, unique=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", [], id="empty"),
        pytest.param("  quiet\tro ", [("quiet", None), ("ro", None)], id="white space"),
        pytest.param("a=b=c", [("a", "b=c")], id="second equals sign"),
        pytest.param('a="b c" d', [("a", "b c"), ("d", None)], id="quoted value"),
        pytest.param('"a=b c" d', [("a", "b c"), ("d", None)], id="quoted word"),
        pytest.param('"a b"', [("a b", None)], id="quoted name"),
        pytest.param('a=b" c"d', [("a", 'b" c"d')], id="quotes inside stay"),
        pytest.param("a=", [("a", "")], id="empty value"),
        pytest.param('a="b c', [("a", "b c")], id="never closed"),
        pytest.param("=a=b", [("=a", "b")], id="leading equals sign"),
        pytest.param("netconsole=A;+B", [("netconsole", "A;+B")], id="semicolon"),
        pytest.param("a\xa0b", [("a", None), ("b", None)], id="the kernel's ctype has 0xa0"),
        pytest.param("a -- single quiet", [("a", None)], id="init's part"),
        pytest.param("a --x=1 b", [("a", None), ("--x", "1"), ("b", None)], id="two dashes in a name"),
    ],
)
def test_words_are_those_of_the_kernel(text, words):
    assert [(word.name, word.value) for word in parse(text).words] == words
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "parameters", "expected"),
    [
        pytest.param("ro quiet", [Parameter("a", "1")], "ro quiet a=1", id="added at the end"),
        pytest.param("", [Parameter("a")], "a", id="added to nothing"),
        pytest.param("ro -- init", [Parameter("a")], "ro a -- init", id="in front of init's part"),
        pytest.param("-- init", [Parameter("a")], "a -- init", id="only init's part"),
        pytest.param("a=1 ro a=2", [Parameter("a", "3")], "a=3 ro", id="unique keeps the first place"),
        pytest.param("a=1 ro a=2", [Parameter("a", "2")], "ro a=2", id="unique keeps the equal one"),
        pytest.param("a=1  ro", [Parameter("a", "1")], "a=1  ro", id="unchanged byte for byte"),
        pytest.param("net-x=1", [Parameter("net_x", "1")], "net-x=1", id="dash is underscore"),
        pytest.param("console=tty0", [side_by_side("console", "ttyS0")], "console=tty0 console=ttyS0", id="both"),
        pytest.param("a=1 b a=2 c", [absent("a")], "b c", id="every value removed"),
        pytest.param("a=1 b a=2 c", [absent("a", "2")], "a=1 b c", id="one value removed"),
        pytest.param('"a=x y" b', [absent("a", "x y")], "b", id="quoted word removed"),
        pytest.param("b", [Parameter("a", "x y")], 'b a="x y"', id="spaces are quoted"),
        pytest.param("b", [Parameter("a", "")], "b a=", id="empty value"),
        pytest.param("b", [Parameter("a", 'x" y"z')], 'b a=x" y"z', id="quotes inside"),
    ],
)
def test_change(text, parameters, expected):
    changed = change(parse(text), parameters)
    assert str(changed) == expected
    assert satisfied(changed, parameters)
    assert change(changed, parameters) == changed


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        pytest.param([], "parameters is empty", id="nothing"),
        pytest.param([Parameter("")], "is no name", id="no name"),
        pytest.param([Parameter("a b")], "is no name", id="space in the name"),
        pytest.param([Parameter("a\tb")], "is no name", id="tab in the name"),
        pytest.param([Parameter("a\nb")], "is no name", id="line end in the name"),
        pytest.param([Parameter("a=b")], "is no name", id="equals sign in the name"),
        pytest.param([Parameter('a"')], "is no name", id="quote in the name"),
        pytest.param([Parameter("ä")], "is no name", id="letter beyond ASCII in the name"),
        pytest.param([Parameter("a\0")], "is no name", id="NUL in the name"),
        pytest.param([absent("a b")], "is no name", id="absent, space in the name"),
        pytest.param([Parameter("--")], "gives all that follows it to init", id="init's dashes"),
        pytest.param([Parameter("a", 'x"y')], "has a double quote in it", id="quote in the value"),
        pytest.param([Parameter("a", '"x"')], "has a double quote in it", id="value with its own quotes"),
        pytest.param([absent("a", '"x"')], "has a double quote in it", id="absent value with quotes"),
        pytest.param(
            [Parameter("a", 'x" y" z')], "has a double quote in it", id="blank outside of quotes in the value"
        ),
        pytest.param([Parameter("a", "x\ny")], "is not printable ASCII", id="line end in the value"),
        pytest.param([Parameter("a", "x\ty")], "is not printable ASCII", id="tab in the value"),
        pytest.param([Parameter("a", "ü")], "is not printable ASCII", id="letter beyond ASCII in the value"),
        pytest.param([Parameter("a", "\x7f")], "is not printable ASCII", id="DEL in the value"),
        pytest.param([Parameter("a", "x\0")], "is not printable ASCII", id="NUL in the value"),
        pytest.param([Parameter("a", "1"), Parameter("a", "1")], "given twice", id="twice the same"),
        pytest.param([Parameter("a", "1"), Parameter("a", "2")], "different values", id="two values"),
        pytest.param([Parameter("a_b", "1"), Parameter("a-b", "2")], "different values", id="two spellings"),
        pytest.param([Parameter("a", "1"), side_by_side("a", "2")], "different values", id="unique and not"),
        pytest.param([Parameter("a"), absent("a")], "present and absent", id="present and absent"),
        pytest.param([side_by_side("a", "1"), absent("a")], "present and absent", id="all absent"),
        pytest.param([absent("a", "1"), side_by_side("a", "1")], "present and absent", id="one value both"),
        pytest.param([absent("a"), absent("a")], "given twice", id="absent twice"),
    ],
)
def test_wrong_parameters_are_refused_and_nothing_is_written(parameters, message, tmp_path):
    with pytest.raises(CommandLineError, match=message):
        check_parameters(parameters)
    host = MACHINES["grub"](tmp_path)
    before = host.tree()
    for check_mode in (True, False):
        with pytest.raises(CommandLineError, match=message):
            run(choose(host, "auto")[0], parameters, check_mode=check_mode)
    assert host.tree() == before and not host.commands


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param([side_by_side("a", "1"), side_by_side("a", "2")], id="two values side by side"),
        pytest.param([Parameter("a", "1"), absent("a", "2")], id="one instead of the other"),
        pytest.param([absent("a", "1"), absent("a", "2")], id="two values absent"),
        pytest.param([Parameter("a", 'x"y"z')], id="quotes inside"),
        pytest.param([Parameter("a", 'x" ;"z')], id="quoted blank inside"),
        pytest.param([Parameter("a", "x;$'\\#|&<>{}[]*?`!~%^")], id="every other character"),
    ],
)
def test_right_parameters_pass(parameters):
    check_parameters(parameters)


@pytest.mark.parametrize("parameter", [Parameter("c"), Parameter("a", "new"), side_by_side("a", "2")], ids=str)
def test_nothing_is_put_behind_a_quote_that_is_never_closed(parameter):
    with pytest.raises(CommandLineError, match="never closed"):
        change(parse('b a="x y'), [parameter])


@pytest.mark.parametrize(
    ("machine", "limit"), [("x86_64", 2047), ("aarch64", 2047), ("armv7l", 1023), ("s390x", 4095), ("riscv64", 1023)]
)
def test_machine_limit(machine, limit):
    assert machine_limit(machine) == limit


def _lines(count):
    """Seeded: pieces that matter to the parser, and any printable characters, up to 4,096 bytes."""
    generator = random.Random(4096)
    pieces = ["console=tty0 ", "console=ttyS0,115200 ", '"', "=", " ", "  ", "-- ", 'a="b c" ', "quiet ", "a;b|c "]
    for _number in range(count):
        length = generator.choice((0, 1, 3, 10, 80, 500, 4096))
        text = ""
        while len(text) < length:
            text += generator.choice(pieces) if generator.random() < 0.5 else generator.choice(PRINTABLE)
        yield text[:4096], generator


def test_any_line_survives():
    for text, _generator in _lines(1500):
        line = parse(text)
        assert str(line) == text
        assert all(word.text and not word.text[0].isspace() for word in line.words)


def test_added_then_removed_is_the_identity():
    """A new name, and one more value of a name that is there."""
    added = {True: 0, False: 0}
    for text, generator in _lines(1500):
        line = parse(text)
        value = "".join(generator.choice(PRINTABLE.replace('"', "")) for _number in range(generator.randrange(30)))
        names = [word.name for word in line.words if NAME.fullmatch(word.name)]
        is_new = not names or generator.random() < 0.5
        name = "zz-new" if is_new else generator.choice(names)
        unique = is_new and generator.random() < 0.5
        parameter = Parameter(name, generator.choice((None, value)) if is_new else f"{value}zz", unique=unique)
        if line.words and not line.words[-1].closed:
            continue
        added[is_new] += 1
        changed = change(line, [parameter])
        assert satisfied(changed, [parameter])
        assert parse(str(changed)) == changed
        assert str(change(changed, [absent(name.replace("-", "_"), parameter.value)])) == text
    assert added[True] > 300 and added[False] > 300


def test_a_formatted_word_is_read_back():
    generator = random.Random(7)
    read_back = {True: 0, False: 0}
    for _number in range(4000):
        signs = PRINTABLE if generator.random() < 0.5 else 'ab" '
        value = "".join(generator.choice(signs) for _count in range(generator.randrange(40)))
        try:
            word = Word("", format_word(Parameter("name", value)))
        except CommandLineError:
            assert '"' in value
            continue
        read_back['"' in value] += 1
        assert (word.name, word.value) == ("name", value)
        assert [one.text for one in parse(word.text).words] == [word.text]
    assert min(read_back.values()) > 50
