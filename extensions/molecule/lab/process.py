# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of the lab: run, start, recognise and end them. Nothing is ended that is not shown to be the lab's own."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO


class LabError(Exception):
    """Something the lab cannot do; the message says why and what helps."""


class Interrupted(BaseException):
    """A signal asked the lab to end. Not an Exception, so that nothing but the clean-up catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number


def raise_on_signals() -> None:
    """Turn SIGINT, SIGTERM and SIGHUP into Interrupted, so that every `finally` runs."""

    def handler(number: int, _frame: object) -> None:
        raise Interrupted(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


_running: set[subprocess.Popen[bytes]] = set()
_running_lock = threading.Lock()


def run(
    command: Sequence[str | Path],
    *,
    log: Path | IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
    data: bytes | None = None,
    timeout: float | None = None,
) -> str:
    """Run a command to its end and return its standard output; LabError with its last words when it fails.

    With `log`, both output streams go to that file instead. The command runs in a session of its own: a Ctrl-C reaches
    it once, through end_running().
    """
    words = [str(word) for word in command]
    stdin = subprocess.DEVNULL if data is None else subprocess.PIPE
    out: int | IO[bytes] = subprocess.PIPE
    opened = open(log, "ab") if isinstance(log, Path) else log
    if opened is not None:
        out = opened
    try:
        with _running_lock:
            process = subprocess.Popen(
                words,
                stdin=stdin,
                stdout=out,
                stderr=subprocess.STDOUT if opened is not None else subprocess.PIPE,
                env={**os.environ, **environment} if environment else None,
                start_new_session=True,
            )
            _running.add(process)
        try:
            stdout, stderr = process.communicate(data, timeout=timeout)
        except BaseException:
            _end(process)
            raise
        finally:
            with _running_lock:
                _running.discard(process)
    except FileNotFoundError as error:
        raise LabError(f"{words[0]} is not installed: run `lab requirements --install`") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{' '.join(words[:6])}` took longer than {timeout} s") from error
    finally:
        if isinstance(log, Path) and opened is not None:
            opened.close()
    if process.returncode:
        words_of_it = tail(log) if isinstance(log, Path) else stderr.decode(errors="replace").strip()
        raise LabError(f"`{' '.join(words[:6])}` failed with status {process.returncode}:\n{words_of_it}")
    return stdout.decode(errors="replace") if stdout else ""


def _end(process: subprocess.Popen[bytes], *, grace: float = 20.0) -> None:
    """End a process that run() started: SIGTERM first, so that it can clean up after itself, then its whole session."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end_running() -> None:
    """End what other threads are running: called when the lab is interrupted."""
    with _running_lock:
        running = list(_running)
    for process in running:
        _end(process)


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log file, for an error message."""
    try:
        text = path.read_bytes()[-20000:].decode(errors="replace")
    except OSError:
        return ""
    return "\n".join("    " + line.rstrip() for line in text.splitlines()[-lines:])


def find(marker: str, program: str) -> int | None:
    """Number of the process that runs this program with the word `marker` in its command line, None when there is none.

    The program may be the script of an interpreter. The marker is drawn per lab, so this finds the lab's own process
    and no other, also after its number was reused.
    """
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            names = [word.rpartition(b"/")[2] for word in words[:2]]
            if marker.encode() in words[1:] and program.encode() in names:
                return int(folder.name)
    return None


def end(marker: str, program: str, *, grace: float = 5.0) -> None:
    """End that process: SIGTERM, then SIGKILL; returns when it is gone."""
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        deadline = time.monotonic() + patience
        pid = find(marker, program)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        while find(marker, program) == pid and time.monotonic() < deadline:
            time.sleep(0.05)
    if find(marker, program) is not None:
        raise LabError(f"{program} {marker} does not end")
