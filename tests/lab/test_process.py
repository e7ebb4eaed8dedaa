# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes: recognised as the lab's own, ended for certain, and what a failing command says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.process import LabError, end, find, run

PROGRAM = Path(sys.executable).name
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
MARKER = f"fleet-netconsole-test-{os.getpid()}"


@pytest.fixture
def stubborn() -> Iterator[subprocess.Popen[bytes]]:
    """A process with the marker in its command line that does not listen to SIGTERM."""
    with subprocess.Popen([sys.executable, "-c", STUBBORN, MARKER], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_find(stubborn: subprocess.Popen[bytes]) -> None:
    assert find(MARKER, PROGRAM) == stubborn.pid


def test_find_wants_the_program_too(stubborn: subprocess.Popen[bytes]) -> None:
    assert stubborn.poll() is None
    assert find(MARKER, "qemu-system-x86_64") is None


def test_find_wants_the_whole_word(stubborn: subprocess.Popen[bytes]) -> None:
    assert stubborn.poll() is None
    assert find(MARKER[:-1], PROGRAM) is None


def test_end_takes_the_stubborn_one_too(stubborn: subprocess.Popen[bytes]) -> None:
    end(MARKER, PROGRAM, grace=0.2)
    assert find(MARKER, PROGRAM) is None
    assert stubborn.wait(5) == -signal.SIGKILL


def test_end_of_nothing() -> None:
    end(MARKER, PROGRAM)


def test_run_returns_output() -> None:
    assert run(["sh", "-c", "cat; echo $WORD"], data=b"in ", environment={"WORD": "out"}) == "in out\n"


@pytest.mark.parametrize("logged", [pytest.param(False, id="no log"), pytest.param(True, id="log")])
def test_run_says_why_it_failed(tmp_path: Path, logged: bool) -> None:
    with pytest.raises(LabError, match=r"(?s)status 3.*the reason"):
        run(["sh", "-c", "echo the reason >&2; exit 3"], log=tmp_path / "log" if logged else None)


def test_run_names_a_program_that_is_missing() -> None:
    with pytest.raises(LabError, match="no-such-program is not installed"):
        run(["no-such-program"])


def test_run_ends_what_takes_too_long() -> None:
    with pytest.raises(LabError, match="longer than"):
        run([sys.executable, "-c", "import time; time.sleep(60)", MARKER], timeout=0.3)
    assert find(MARKER, PROGRAM) is None
