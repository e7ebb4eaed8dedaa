# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine of kernel_cmdline on a disk of the test, as the module calls it with root_path."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence

from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.host import Host
from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.registry import choose
from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.transaction import Outcome, run
from ansible_collections.fleet.netconsole.plugins.module_utils._command_line import Parameter, parse
from ansible_collections.fleet.netconsole.tests.boot_tools.conftest import Disk


def foretell(disk: Disk, name: str, parameters: Sequence[Parameter]) -> Outcome:
    """In check mode."""
    return run(choose(Host(str(disk.root)), name)[0], parameters, check_mode=True)


def apply(disk: Disk, name: str, parameters: Sequence[Parameter]) -> Outcome:
    """Really. What check mode says is what is done."""
    foretold = foretell(disk, name, parameters)
    done = run(choose(Host(str(disk.root)), name)[0], parameters, check_mode=False)
    assert [(entry.id, entry.line) for entry in done.after] == [(entry.id, entry.line) for entry in foretold.after]
    return done


def absent(parameters: Sequence[Parameter]) -> list[Parameter]:
    """The same parameters declared absent."""
    return [Parameter(one.name, None if one.unique else one.value, present=False) for one in parameters]


def meaning(line: str) -> list[tuple[str, str | None]]:
    """Name and value of each word, as the kernel reads them."""
    return [(word.name, word.value) for word in parse(line).words]


def random_parameters(count: int, *, without: str) -> list[Parameter]:
    """Values of any printable characters but a double quote and these, with many blanks. The same ones each time."""
    generator = random.Random(2026)
    alphabet = [sign for sign in string.ascii_letters + string.digits + string.punctuation + " " if sign not in without]
    alphabet.remove('"')
    alphabet += " " * 20
    lengths = [generator.randrange(1, 30) for _number in range(count)]
    return [
        Parameter(f"p{number}", "".join(generator.choice(alphabet) for _sign in range(length)))
        for number, length in enumerate(lengths)
    ]
