# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sender's half of an arrival check: one marked line in the kernel's log, and what is known of the way it takes."""

from __future__ import annotations

import os
import re
import time
from typing import Any, Callable

from ._arrival_facts import TargetFacts
from ._configfs import Configfs
from ._kmsg import LEVELS, Paths, read_switches, write_line

AUTO = "auto"
MARK = "fleet.netconsole probe nonce="
_NONCE = re.compile(r"[0-9a-f]{32}")


class ProbeError(Exception):
    """The probe makes no sense. The message names the cause and the way out."""


def new_nonce() -> str:
    """32 random hexadecimal digits."""
    return os.urandom(16).hex()


def check_nonce(nonce: str) -> str:
    """Return a nonce that the receiver will find, else raise ProbeError."""
    if not _NONCE.fullmatch(nonce):
        raise ProbeError(f"{nonce!r} is no nonce: write 32 hexadecimal digits in lower case, or leave it out")
    return nonce


def probe(
    *,
    level: str = AUTO,
    nonce: str | None = None,
    dry_run: bool = False,
    configfs: Configfs | None = None,
    facts: TargetFacts | None = None,
    paths: Paths | None = None,
    clock: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Write a probe, unless ``dry_run``, and return what the module ``probe`` returns. Raises ProbeError, KmsgError.

    A host without netconsole, or without a target, is no error here: the arrival check says so among the rest.
    """
    configfs, paths = configfs or Configfs(), paths or Paths()
    nonce = new_nonce() if nonce is None else check_nonce(nonce)
    switches = read_switches(paths)
    number = switches.choose_level() if level == AUTO else LEVELS.index(level)
    targets = (facts or TargetFacts()).of(list(configfs.targets().values()))
    return {
        "nonce": nonce,
        "written": not dry_run,
        "time": None if dry_run else write_line(MARK + nonce, level=number, paths=paths, clock=clock),
        "level": number,
        "level_name": LEVELS[number],
        "console_loglevel": switches.console_loglevel,
        "ignore_loglevel": switches.ignore_loglevel,
        "oops_only": switches.oops_only,
        "loaded": configfs.loaded(),
        "targets": targets,
    }
