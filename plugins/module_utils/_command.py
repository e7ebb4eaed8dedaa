# Commands of the host, run the same way by every part of the engine.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import typing as t

COMMAND_TIMEOUT = 30.0
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class CommandError(Exception):
    """A command could not be run to its end; the message says why."""


class CompletedCommand(t.NamedTuple):
    """What a command left behind: exit status, standard output and standard error (text)."""

    returncode: int
    stdout: str
    stderr: str


def run_command(command: t.Sequence[str], *, package: str, timeout: float | None = None) -> CompletedCommand:
    """Run a command in the C locale, looking into the system's own program folders too.

    package is what an operator has to install where the command is missing. Raises CommandError when the command
    cannot be started or takes longer than timeout seconds, COMMAND_TIMEOUT where none is given.
    """
    timeout = COMMAND_TIMEOUT if timeout is None else timeout
    environment = dict(os.environ, LC_ALL="C", PATH=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}".lstrip(":"))
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandError(f"'{command[0]}' was not found on this host: install the package {package}") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"'{' '.join(command)}' did not end within {timeout:g} s") from error
    except OSError as error:
        raise CommandError(f"'{command[0]}' could not be run: {error}") from error
    return CompletedCommand(
        done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )
