# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab ends with the command that it was made for, however that, the lab tool or its parent ends.

Real processes, a lab without guests: what is looked at is whether `down` is called, in a stand-in that leaves a mark.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parents[2] / "extensions" / "molecule"

TOOL = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from lab import cli, guarded
folder = Path(sys.argv[2])
guarded.up = lambda folder, names: []
guarded.down = cli.down = lambda folder, names=(): [(folder / "ended").touch()] and []
guarded.WATCHER = [sys.executable, str(folder / "tool.py"), sys.argv[1], sys.argv[2]]
sys.exit(cli.main(sys.argv[3:]))
"""


COMMAND = ("sh", "-c", 'cd "$0"; trap \'touch "command ended"; exit\' TERM; touch running; sleep 20 & wait')
"""Says that it runs, and that it was asked to end."""


def tool(folder: Path, *command: str) -> list[str]:
    """The command line of `lab run` with a lab that has no guests."""
    script = folder / "tool.py"
    script.write_text(TOOL, encoding="utf-8")
    return [sys.executable, str(script), str(LAB), str(folder), "--state", str(folder), "run", "--", *command]


def start(folder: Path, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(tool(folder, *command), stderr=subprocess.DEVNULL)


def wait_for(path: Path) -> bool:
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return path.exists()


@pytest.mark.parametrize("status", [0, 7])
def test_status_of_the_command_is_handed_on(tmp_path: Path, status: int) -> None:
    assert start(tmp_path, "sh", "-c", f"exit {status}").wait(30) == status
    assert (tmp_path / "ended").exists()


def test_command_that_cannot_start(tmp_path: Path) -> None:
    assert start(tmp_path, "/no/such/command").wait(30) == 1
    assert (tmp_path / "ended").exists()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda number: number.name
)
def test_signal(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, *COMMAND, str(tmp_path))
    assert wait_for(tmp_path / "running")
    assert not (tmp_path / "ended").exists()
    process.send_signal(number)
    assert process.wait(30) == (-number if number == signal.SIGKILL else 128 + number)
    assert wait_for(tmp_path / "ended")
    assert wait_for(tmp_path / "command ended")


def test_death_of_the_parent(tmp_path: Path) -> None:
    words = tool(tmp_path, *COMMAND, str(tmp_path))
    script = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    parent = subprocess.Popen([sys.executable, "-c", script, *words], stderr=subprocess.DEVNULL)
    assert wait_for(tmp_path / "running")
    parent.kill()
    parent.wait()
    assert wait_for(tmp_path / "ended")
    assert wait_for(tmp_path / "command ended")
