# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a test tool: bounded in time, its output kept in build/logs, nothing of it left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

CHECKOUT = Path(__file__).resolve().parent.parent
BUILD = CHECKOUT / "build"
LOGS = BUILD / "logs"
TOOLS = CHECKOUT / ".venv" / "bin"
USER_CACHE = Path.home() / ".cache" / "fleet-netconsole"
CONSTRAINTS = CHECKOUT / "tests" / "requirements.txt"

PATIENCE = 90.0
"""Seconds that an interrupted tool gets to clean up (the lab destroys its guests) before it is killed."""


Item = TypeVar("Item")
Result = TypeVar("Result")

_running: set[subprocess.Popen[str]] = set()
"""The tools that run now, for the one who is interrupted while they run in other threads."""


class Outcome(NamedTuple):
    """What a stage proved: real test counts, and what it could not run and why."""

    passed: int
    failed: int
    note: str = ""


def clean_environment(**changes: str) -> dict[str, str]:
    """Return this process's environment without settings of Ansible or Python, the pinned tools first on PATH."""
    foreign = ("ANSIBLE_", "MOLECULE_", "PYTEST_", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    BUILD.mkdir(exist_ok=True)
    configuration = BUILD / "ansible.cfg"
    configuration.touch()
    environment |= {
        "ANSIBLE_CONFIG": str(configuration),
        "ANSIBLE_HOME": str(CHECKOUT / ".cache" / "ansible"),
        "ANSIBLE_NOCOWS": "1",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "PATH": f"{TOOLS}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(USER_CACHE / "pip")),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return environment | changes


def run_logged(
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path = CHECKOUT,
    live: str = "",
    timeout: float = 600.0,
) -> int:
    """Run the command, append its output to the log and return its exit status. `live`: show its lines after
    this word and the seconds since the start.

    It gets a session of its own, so that a timeout (seconds) or Ctrl-C reaches everything it started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("a", encoding="utf-8") as written:
        written.write(f"$ {' '.join(str(word) for word in command)}\n")
        written.flush()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment() if environment is None else environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        alarm = threading.Timer(timeout, _stop, [process, f"\ntimed out after {timeout:.0f} s\n", written])
        alarm.daemon = True
        alarm.start()
        _running.add(process)
        _share_niceness(process.pid)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                written.write(line)
                written.flush()
                if live:
                    print(f"{live:<12} {time.monotonic() - started:>5.0f} | {line}", end="", flush=True)
            return process.wait()
        except KeyboardInterrupt:
            _stop(process, "\ninterrupted\n", written)
            raise
        finally:
            alarm.cancel()
            _running.discard(process)


def side_by_side(run: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Call run for every item, as many at a time as there are processors; the results in the items' order.

    When it is interrupted, the tools that run are ended and nothing more is started.
    """
    pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
    futures = [pool.submit(run, item) for item in items]
    try:
        return [future.result() for future in futures]
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        end_running()
        raise
    finally:
        pool.shutdown()


def end_running() -> None:
    """End every tool that runs, in whichever thread: Ctrl-C reaches only the main one."""
    for process in list(_running):
        _stop(process, "\ninterrupted\n", sys.stderr)


def _share_niceness(pid: int) -> None:
    """Let this thread's niceness count for a session of its own, too, where the kernel divides its time by session."""
    niceness, autogroup = os.getpriority(os.PRIO_PROCESS, 0), Path(f"/proc/{pid}/autogroup")
    if niceness > 0 and autogroup.exists():
        autogroup.write_text(f"{niceness}\n", encoding="ascii")


def collection_copy(folder: Path) -> Path:
    """Copy what git tracks or would track to ansible_collections/fleet/netconsole below the folder; return that path.

    ansible-test wants that path, and no tool's leftovers belong into a test.
    """
    copy = folder / "ansible_collections" / "fleet" / "netconsole"
    shutil.rmtree(copy, ignore_errors=True)
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={CHECKOUT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    for name in filter(None, listing.split("\0")):
        source, target = CHECKOUT / name, copy / name
        if source.exists() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return copy


def _stop(process: subprocess.Popen[str], why: str, log: object) -> None:
    """Ask the whole process group to end, wait for its clean-up, then end it."""
    print(why, file=log, flush=True)  # type: ignore[call-overload]
    for number, patience in ((signal.SIGINT, PATIENCE), (signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        else:
            return
