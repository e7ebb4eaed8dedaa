# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nox sessions (antsibull-nox.toml, noxfile.py), each in its own kept environment with the pinned versions."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from process import CHECKOUT, CONSTRAINTS, LOGS, TOOLS, Outcome, clean_environment, run_logged, side_by_side

SESSIONS = (
    "ansible-lint",  # first, since it takes as long as all others together
    "formatters",
    "codeqa",
    "yamllint",
    "typing",
    "antsibull-nox-config",
    "shell",
    "spelling",
    "license-check",
    "extra-checks",
    "docs-check",
    "build-import-check",
)


def run_lint() -> Outcome:
    """Run every session, check only (nothing is reformatted); one result for each."""
    passed = sum(side_by_side(_run_session, SESSIONS))
    return Outcome(passed, len(SESSIONS) - passed)


def _run_session(name: str) -> bool:
    log = LOGS / f"lint-{name}.log"
    log.unlink(missing_ok=True)
    stamp = _stamp(name)
    # An environment that once led to success with these very settings needs no look at what pip would change.
    reuse = "-R" if stamp.exists() else "-r"
    environment = clean_environment(CI="true", PIP_CONSTRAINT=str(CONSTRAINTS))
    started = time.monotonic()
    # Long enough for a session that steps back for the machines of `make test`, and for others on this computer.
    status = run_logged([TOOLS / "nox", reuse, "--session", name], log=log, environment=environment, timeout=1800)
    took = time.monotonic() - started
    print(f"    {name}: {'ok' if status == 0 else 'FAILED'} ({took:.1f} s)", flush=True)
    if status == 0:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.touch()
    else:
        lines = [line for line in log.read_text(encoding="utf-8").splitlines() if not line.startswith("nox > ")]
        print("\n".join(f"      {line}" for line in lines[-60:]))
    return status == 0


def _stamp(session: str) -> Path:
    settings = [CONSTRAINTS, CHECKOUT / "antsibull-nox.toml", CHECKOUT / "noxfile.py"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in settings)).hexdigest()[:16]
    return CHECKOUT / ".nox" / session / f"{digest}.ready"
