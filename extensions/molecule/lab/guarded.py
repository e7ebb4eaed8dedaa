# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command while guests are up, and end them whatever happens to the command, the lab or its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.lab import down, up
from lab.process import Interrupted, LabError
from lab.progress import say, step

_PR_SET_PDEATHSIG = 1  # prctl(2)
WATCHER = (sys.executable, str(Path(__file__).parent))
"""The lab tool itself, for its command `watch`."""

_FINISHED = b"finished"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_guarded(folder: Path, names: Sequence[str], command: Sequence[str]) -> int:
    """Bring the guests up, run the command (it finds folder and guests in its environment), bring the lab down."""
    if not command:
        raise LabError("no command given: lab run -- COMMAND")
    with guarded(folder):
        up(folder, names)
        environment = {**os.environ, "FLEET_NETCONSOLE_LAB": str(folder), "FLEET_NETCONSOLE_GUESTS": " ".join(names)}
        try:
            process = subprocess.Popen(command, env=environment, preexec_fn=_end_with_parent)
        except OSError as error:
            raise LabError(f"{command[0]}: {error.strerror}") from error
        try:
            return process.wait()
        except Interrupted:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
            raise


@contextmanager
def guarded(folder: Path, *, keep_when_done: bool = False) -> Iterator[None]:
    """Whatever is up in this lab is brought down at the end of the block, on request only when the block fails.

    Three nets: the block's own end; SIGTERM from the kernel when the parent dies, which ends the block; and a watcher
    that sees its pipe close when this process is killed outright.
    """
    _end_with_parent()
    watcher = subprocess.Popen(
        [*WATCHER, "--state", str(folder), "watch"],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    keep = False
    try:
        yield
        keep = keep_when_done
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        if not keep:
            with step("ending the lab"):
                ended = down(folder)
            if ended:
                say(f"ended: {', '.join(ended)}")
        watcher.communicate(_FINISHED)


def _end_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent dies."""
    if ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError("prctl refused PR_SET_PDEATHSIG")


def watch(folder: Path) -> None:
    """The watcher: wait for the end of the guarding process, and end the lab when that did not."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() != _FINISHED:
        down(folder)
