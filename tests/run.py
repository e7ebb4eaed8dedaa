# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the project's checks in stages and say what they prove: "run.py check" the fast part, "run.py test" everything,
"run.py pythons" the unit tests under every Python, "run.py receiver" what a receiver holds under load, "run.py kernels"
senders on all kernels of the lab, "run.py boot_loaders" each boot loader, "run.py boot_loaders tools" the programs of
those that cannot be booted here.

Every stage runs, also after one that failed: one run shows all that is wrong. The status is 0 only if nothing failed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from lint import run_lint
from process import CHECKOUT, LOGS, Outcome, end_running
from pytests import run_boot_tools, run_collection
from sanity import run_sanity
from scenarios import (
    BOOT_LOADERS,
    SENDERS,
    run_boot_loader,
    run_containers,
    run_dracut,
    run_engine,
    run_machines,
    run_receiver_bench,
    run_receiver_load,
    run_senders,
)
from units import run_units

Stage = Callable[[], Outcome]
Row = tuple[str, Outcome, float]
"""A stage's name, what it proved, and how many seconds it took."""

CHECK: dict[str, Stage] = {
    "lint": run_lint,
    "unit": partial(run_units, "oldest"),
    "collection": run_collection,
}
TEST: dict[str, Stage] = {
    **CHECK,
    "unit": run_units,
    "sanity": run_sanity,
    "containers": run_containers,
    "boot": run_boot_loader,
    "machines": run_machines,
}
BESIDE = "machines"
"""The longest stage leaves half of two processors idle: the others run beside it, one after the other."""

NICENESS = 10
"""Of the stages beside it: the longest one decides when all are done."""

PLANS: dict[str, dict[str, Stage]] = {
    "check": CHECK,
    "test": TEST,
    "pythons": {"unit": partial(run_units, "all")},
    "receiver": {"load": run_receiver_load, "debian12": partial(run_containers, "box2")},
    "bench": {"receiver": run_receiver_bench},
    "kernels": {"senders": partial(run_senders, *SENDERS)},
    "kernel": {kernel: partial(run_senders, kernel) for kernel in SENDERS},
    "engine": {kernel: partial(run_engine, kernel) for kernel in SENDERS},
    "boot_loaders": {
        "tools": run_boot_tools,
        **{loader: partial(run_boot_loader, loader, long=True) for loader in BOOT_LOADERS},
        "dracut": run_dracut,
    },
}


def main(arguments: Sequence[str]) -> int:
    """Run one plan, or only the stages of it that are named after it."""
    plan = PLANS.get(arguments[0]) if arguments else None
    if plan is None or not set(arguments[1:]) <= set(plan):
        print("usage: run.py PLAN [STAGE...]", file=sys.stderr)
        print("\n".join(f"  {name}: {' '.join(stages)}" for name, stages in PLANS.items()), file=sys.stderr)
        return 2
    _make_standard_streams_ordinary()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return _conclude(_run_all({name: stage for name, stage in plan.items() if name in (arguments[1:] or plan)}))


def _run_all(stages: Mapping[str, Stage]) -> list[Row]:
    """Run the stages in their order, the longest one beside the others."""
    if BESIDE not in stages or len(stages) == 1:
        return [_run(name, stage) for name, stage in stages.items()]
    with ThreadPoolExecutor() as pool:
        longest = pool.submit(_run, BESIDE, stages[BESIDE])
        try:
            os.nice(NICENESS)  # this thread, and what it starts
            rows = [_run(name, stage) for name, stage in stages.items() if name != BESIDE]
            return [*rows, longest.result()]
        except BaseException:
            end_running()
            raise


def _run(name: str, stage: Stage) -> Row:
    print(f"== {name}", flush=True)
    started = time.monotonic()
    try:
        outcome = stage()
    except Exception:  # a stage that breaks is a failure of that stage, and the others still have something to say
        traceback.print_exc(file=sys.stdout)
        outcome = Outcome(0, 1, "the stage itself broke")
    took = time.monotonic() - started
    print(f"== {name}: {outcome.passed} passed, {outcome.failed} failed in {took:.0f} s", flush=True)
    return name, outcome, took


def _conclude(rows: list[Row]) -> int:
    passed, failed = sum(row[1].passed for row in rows), sum(row[1].failed for row in rows)
    print(f"\n{'stage':<12}{'passed':>8}{'failed':>8}{'seconds':>9}")
    for name, outcome, took in rows:
        print(f"{name:<12}{outcome.passed:>8}{outcome.failed:>8}{took:>9.0f}  {outcome.note}".rstrip())
    if failed:
        print(f"\nThe output of every tool is in {LOGS.relative_to(CHECKOUT)}/.")
    print(f"\n{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def _make_standard_streams_ordinary() -> None:
    """Open what a runner has closed, and make output wait for a slow reader: Ansible refuses anything else."""
    for number in (0, 1, 2):
        try:
            os.set_blocking(number, True)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(130)
