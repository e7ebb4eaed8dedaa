# Unit tests of _command: what a command leaves behind, and why it might not run.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils import _command
from ansible_collections.fleet.netconsole.plugins.module_utils._command import (
    CommandError,
    CompletedCommand,
    run_command,
)


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_command_gives_its_status_and_both_outputs() -> None:
    done = run_command(_python("import sys; print('out'); sys.stderr.write('err'); sys.exit(3)"), package="x")
    assert done == CompletedCommand(3, "out\n", "err")


def test_a_command_runs_in_the_c_locale_and_finds_the_system_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("PATH", "/first")
    done = run_command(_python("import os; print(os.environ['LC_ALL'], os.environ['PATH'])"), package="x")
    assert done.stdout == "C /first:/usr/sbin:/usr/bin:/sbin:/bin\n"


def test_bytes_that_are_no_text_do_not_stop_a_command() -> None:
    assert run_command(_python("import sys; sys.stdout.buffer.write(b'a\\xffb')"), package="x").stdout == "a\ufffdb"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        pytest.param(
            ["no-such-program-anywhere"], "was not found on this host: install the package iproute2", id="absent"
        ),
        pytest.param(["/"], "'/' could not be run: ", id="no program"),
        pytest.param(_python("import time; time.sleep(60)"), r"did not end within 0.1 s$", id="endless"),
    ],
)
def test_a_command_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch, command: list[str], message: str) -> None:
    monkeypatch.setattr(_command, "COMMAND_TIMEOUT", 0.1)
    with pytest.raises(CommandError, match=message):
        run_command(command, package="iproute2")
