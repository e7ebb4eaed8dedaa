# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unit tests with plain pytest, under several of this machine's Pythons.

Plain pytest, not ansible-test units: the engine has no Ansible in it and is tested without; one environment of a second
or two for each Python instead of ansible-test's own; and the tests run from any folder (tests/unit/conftest.py).
On .venv's Python all tests run, those of the lab too. On the others, which stand for managed nodes, those of modules
and module_utils run, with the sources of an ansible-core that supports that Python as target, but those marked "once".
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import zipfile
from pathlib import Path

from interpreters import Interpreter, find_interpreters, missing_versions
from process import CHECKOUT, LOGS, TOOLS, Outcome, clean_environment, run_logged, side_by_side
from pytests import run_pytest

ENVIRONMENTS = CHECKOUT / ".cache" / "python"
REQUIREMENTS = CHECKOUT / "tests" / "unit" / "requirements.txt"
ANSIBLE_CORE_FOR_PYTHON_3_7 = "2.17.14"
"""The last release line that has Python 3.7 as target, and the oldest that meta/runtime.yml allows."""

FEW_CASES = "30"
"""Random cases of each property: all of them take a minute, and one Python tries all."""

NODE_TESTS = ("tests/unit/plugins/module_utils", "tests/unit/plugins/modules")


def run_units(choice: str = "ends") -> Outcome:
    """Run the unit tests under several interpreters; the outcome counts tests, the note names what this machine lacks.

    A choice is .venv's and: with "oldest" the oldest one, whose grammar and library are the smallest; with "ends" the
    newest, too, which has what was taken away; with "all" every one.
    """
    interpreters = find_interpreters()
    ends = {"oldest": interpreters[:1], "ends": [interpreters[0], interpreters[-1]], "all": interpreters}[choice]
    chosen = [one for one in interpreters if _is_own(one) or one in ends]
    outcomes = side_by_side(_run_under, sorted(chosen, key=_is_own, reverse=True))  # the longest first
    note = f"Python {', '.join(one.name for one in chosen)}; make test-pythons: all"
    if choice == "all":
        missing = missing_versions(interpreters)
        note = f"not on this machine: Python {', '.join(missing)}" if missing else ""
    return Outcome(sum(outcome.passed for outcome in outcomes), sum(outcome.failed for outcome in outcomes), note)


def _is_own(interpreter: Interpreter) -> bool:
    return interpreter.path.parent == TOOLS


def _run_under(interpreter: Interpreter) -> Outcome:
    own = _is_own(interpreter)
    name = f"unit-{interpreter.name}"
    log = LOGS / f"{name}.log"
    log.unlink(missing_ok=True)
    try:
        python = interpreter.path if own else _environment(interpreter, log)
        environment = (
            clean_environment()
            if own
            else clean_environment(PYTHONPATH=str(_ansible_for(interpreter)), FLEET_NETCONSOLE_RANDOM_CASES=FEW_CASES)
        )
    except (OSError, subprocess.CalledProcessError, zipfile.BadZipFile) as error:
        print(f"    Python {interpreter.name}: no environment: {error}; see {log.relative_to(CHECKOUT)}")
        return Outcome(0, 1)
    node_tests = ["-m", "not once", *(folder for folder in NODE_TESTS if (CHECKOUT / folder).is_dir())]
    tests = ["tests/unit", "tests/lab"] if own else node_tests
    outcome = run_pytest(name, tests, python=python, environment=environment)
    print(f"    Python {interpreter.name}: {outcome.passed} passed, {outcome.failed} failed", flush=True)
    return outcome


def _environment(interpreter: Interpreter, log: Path) -> Path:
    """Return the Python of an environment that holds pytest; make it if its requirements changed."""
    folder = ENVIRONMENTS / interpreter.name
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + str(folder).encode()).hexdigest()[:16]
    stamp = folder / f"{wanted}.ready"
    python = folder / "bin" / "python"
    if not stamp.exists():
        shutil.rmtree(folder, ignore_errors=True)
        for command in (
            [str(interpreter.path), "-m", "venv", str(folder)],
            [str(python), "-m", "pip", "install", "-qq", "--requirement", str(REQUIREMENTS)],
        ):
            status = run_logged(command, log=log)
            if status != 0:
                raise subprocess.CalledProcessError(status, command)
        stamp.touch()
    return python


def _ansible_for(interpreter: Interpreter) -> Path:
    """Return a folder that holds the sources of an ansible-core which can run modules on that Python."""
    if interpreter.version > (3, 7):
        folder = ENVIRONMENTS / interpreter.name / "ansible-core"
        folder.mkdir(exist_ok=True)
        link = folder / "ansible"
        link.unlink(missing_ok=True)
        link.symlink_to(next(TOOLS.parent.glob("lib/python3.*/site-packages/ansible")))
        return folder
    folder = ENVIRONMENTS / f"ansible-core-{ANSIBLE_CORE_FOR_PYTHON_3_7}"
    if not folder.exists():
        download = ENVIRONMENTS / "download"
        options = ["-qq", "--no-deps", "--only-binary=:all:", f"--dest={download}"]
        command = [
            str(TOOLS / "python"),
            "-m",
            "pip",
            "download",
            *options,
            f"ansible-core=={ANSIBLE_CORE_FOR_PYTHON_3_7}",
        ]
        subprocess.run(command, env=clean_environment(), check=True)
        partly = folder.with_suffix(".part")
        with zipfile.ZipFile(next(download.glob(f"ansible_core-{ANSIBLE_CORE_FOR_PYTHON_3_7}-*.whl"))) as wheel:
            wheel.extractall(partly, [name for name in wheel.namelist() if name.startswith("ansible/")])
        partly.rename(folder)
    return folder
