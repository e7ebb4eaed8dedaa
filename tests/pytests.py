# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run tests with pytest and count them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from process import BUILD, LOGS, TOOLS, Outcome, clean_environment, run_logged, side_by_side
from scenarios import LAB

AS_ROOT = ("unshare", "--mount") if os.geteuid() == 0 else ("sudo", "--preserve-env", "unshare", "--mount")
"""What a program that mounts disks is started by, so that they are gone with it."""


def run_collection() -> Outcome:
    """Build and install the collection and look at what a user then has; run its playbooks against stand-ins."""
    outcomes = side_by_side(_run_folder, ("playbooks", "collection"))
    return Outcome(sum(outcome.passed for outcome in outcomes), sum(outcome.failed for outcome in outcomes))


def _run_folder(name: str) -> Outcome:
    (LOGS / f"{name}.log").unlink(missing_ok=True)
    return run_pytest(name, [f"tests/{name}"], python=TOOLS / "python", environment=clean_environment())


def run_boot_tools() -> Outcome:
    """The engine with real programs of boot loaders that no machine of the lab starts by: root and loop devices."""
    (LOGS / "boot_tools.log").unlink(missing_ok=True)
    environment = clean_environment()
    environment["PATH"] += f"{os.pathsep}/usr/sbin{os.pathsep}/sbin"
    command = [str(TOOLS / "python"), str(LAB), "tools"]
    made = subprocess.run(command, stdout=subprocess.PIPE, env=environment, text=True, check=True)
    environment["FLEET_NETCONSOLE_TOOLS"] = made.stdout.strip()
    # Nothing of root's in the clone: no cache of pytest's, which the options of pyproject.toml would insist on.
    options = ["-p", "no:cacheprovider", "--override-ini=addopts=--import-mode=importlib -ra"]
    return run_pytest(
        "boot_tools",
        [*options, "tests/boot_tools"],
        python=TOOLS / "python",
        environment=environment,
        prefix=AS_ROOT,
    )


def run_pytest(
    name: str, tests: Sequence[str], *, python: Path, environment: Mapping[str, str], prefix: Sequence[str] = ()
) -> Outcome:
    """Run tests with that Python; the name is that of the log and of the report below build/."""
    log, report, scratch = LOGS / f"{name}.log", BUILD / f"{name}.xml", BUILD / "pytest" / name
    report.unlink(missing_ok=True)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.parent.mkdir(parents=True, exist_ok=True)
    command = [*prefix, str(python), "-m", "pytest", "-q", f"--junit-xml={report}", f"--basetemp={scratch}", *tests]
    status = run_logged(command, log=log, environment={**environment, "PYTHONDONTWRITEBYTECODE": "1"})
    outcome = _count(report)
    if status != 0:
        print("    " + "\n    ".join(log.read_text(encoding="utf-8").splitlines()[-60:]))
        outcome = outcome._replace(failed=max(outcome.failed, 1))
    return outcome


def _count(report: Path) -> Outcome:
    """Count what a JUnit report of pytest says; a test that was skipped did not pass."""
    if not report.exists():
        return Outcome(0, 1)
    passed = failed = 0
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        bad = sum(int(suite.get(kind, 0)) for kind in ("failures", "errors", "skipped"))
        passed, failed = passed + int(suite.get("tests", 0)) - bad, failed + bad
    return Outcome(passed, failed)
