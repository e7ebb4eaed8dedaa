# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random parameters, quoted by the collection for GRUB, and whether GRUB read them as they were meant.

write: print a configuration for GRUB, which prints each word on the serial line. check CONSOLE: say whether a boot's
console has all of them.
"""

from __future__ import annotations

import os
import random
import string
import sys
from pathlib import Path

COUNT = 200
BEGIN, END = "lab: words begin", "lab: words end"
SIGNS = [sign for sign in string.ascii_letters + string.digits + string.punctuation + " " * 20 if sign not in "\"'\\"]
"""What GRUB can hand on, blanks more often than the rest."""


def words() -> list[tuple[str, str]]:
    """Names and values, the same ones every time; short enough for one line of a terminal."""
    generator = random.Random(2026)
    return [
        (f"p{number}", "".join(generator.choice(SIGNS) for _sign in range(generator.randrange(60))))
        for number in range(COUNT)
    ]


def configuration() -> str:
    """What GRUB reads at the next boot."""
    sys.path[:0] = os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":")
    from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.grub_script import quote
    from ansible_collections.fleet.netconsole.plugins.module_utils._command_line import Parameter

    lines = [f"echo {quote(Parameter(name, value))}" for name, value in words()]
    return "\n".join(["serial --unit=0", "terminal_output serial", f"echo '{BEGIN}'", *lines, f"echo '{END}'"])


def verdict(console: str) -> str:
    """The words "all as meant", or the first parameter that is not."""
    shown = console.replace("\r", "").rpartition(f"{BEGIN}\n")[2].partition(END)[0].split("\n")
    for (name, value), line in zip(words(), [*shown, *[""] * COUNT], strict=False):
        if line != f"{name}={value}":
            return f"{name}={value!r} was read as {line!r}"
    return "all as meant"


if __name__ == "__main__":
    if sys.argv[1] == "write":
        print(configuration())
    else:
        print(verdict(Path(sys.argv[2]).read_bytes().decode("latin-1")))
