# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and end the process that joins a lab's machines (switch.py)."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from lab import process as processes
from lab.guests import GUESTS, Machine
from lab.process import LabError, tail
from lab.state import State

PROGRAM = Path(__file__).with_name("switch.py")
SEGMENTS = sorted({link.segment for guest in GUESTS.values() if isinstance(guest, Machine) for link in guest.links})
NAME = "segments"
"""Of the process, among the lab's markers and logs."""


def ensure(state: State) -> None:
    """Have it run; returns when machines can connect."""
    if processes.find(state.marker(NAME), PROGRAM.name) is not None:
        return
    paths = [state.segment(name) for name in SEGMENTS]
    for path in paths:
        path.unlink(missing_ok=True)
    log = state.log(NAME, "switch")
    log.parent.mkdir(exist_ok=True)
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, PROGRAM, state.marker(NAME), *paths],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while not all(path.exists() for path in paths):
        if process.poll() is not None:
            raise LabError(f"{PROGRAM.name} ended at once:\n{tail(log)}")
        time.sleep(0.02)


def end(state: State) -> None:
    """End it."""
    processes.end(state.marker(NAME), PROGRAM.name)
