# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Molecule scenarios: receivers in containers, senders and receivers in virtual machines with real kernels.

A scenario works with the collection as a user has it, built and installed. The lab ends its guests itself, also after
a failure or Ctrl-C. What counts is every assert of a scenario, for each host (tests/callback/proofs.py).
"""

from __future__ import annotations

import os
from pathlib import Path

from installation import install
from process import BUILD, CHECKOUT, LOGS, TOOLS, Outcome, clean_environment, run_logged

LAB = CHECKOUT / "extensions" / "molecule" / "lab"


def run_containers() -> Outcome:
    """A receiver in a container: minutes less than a machine, and a whole systemd all the same."""
    return _run_scenario("receiver", guests=("box1",), timeout=1800)


def run_machines() -> Outcome:
    """Senders with different kernels and a receiver in virtual machines."""
    return _run_scenario("machines", guests=("log1", "web1", "web2"), timeout=3600)


def run_kernels() -> Outcome:
    """The engine on one real kernel, by a program inside the guest; FLEET_NETCONSOLE_KERNEL_GUEST names another one."""
    return _run_scenario("kernels", guests=(os.environ.get("FLEET_NETCONSOLE_KERNEL_GUEST", "web2"),), timeout=1800)


BOOT_LOADERS = ("grub-bios", "grub-uefi", "systemd-boot", "uki", "extlinux")
"""Guests that boot from their own disk, each by another boot loader; the first one is the usual one."""


def run_boot_loader() -> Outcome:
    """Kernel parameters in a machine that boots by the most usual boot loader."""
    return _run_scenario("boot_loaders", guests=BOOT_LOADERS[:1], timeout=2400)


def run_boot_loaders() -> Outcome:
    """The same with every boot loader, one machine after the other."""
    outcomes = {}
    for guest in BOOT_LOADERS:
        print(f"-- {guest}", flush=True)
        outcomes[guest] = _run_scenario("boot_loaders", guests=(guest,), timeout=2400, run=f"boot_loaders-{guest}")
    note = ", ".join(
        f"{guest} {outcome.passed}/{outcome.passed + outcome.failed}" for guest, outcome in outcomes.items()
    )
    passed = sum(outcome.passed for outcome in outcomes.values())
    return Outcome(passed, sum(outcome.failed for outcome in outcomes.values()), note)


def _run_scenario(name: str, *, guests: tuple[str, ...], timeout: float, run: str = "") -> Outcome:
    """Run a scenario with these guests. `run` names its log, where one scenario has several runs."""
    log, proofs = LOGS / f"{run or name}.log", BUILD / f"{run or name}.proofs"
    log.unlink(missing_ok=True)
    proofs.unlink(missing_ok=True)
    proofs.parent.mkdir(parents=True, exist_ok=True)
    proofs.touch()
    installation = install(BUILD / "scenarios")
    environment = clean_environment(
        ANSIBLE_CALLBACKS_ENABLED="proofs",
        ANSIBLE_CALLBACK_PLUGINS=str(CHECKOUT / "tests" / "callback"),
        ANSIBLE_COLLECTIONS_PATH=str(installation.collections_path),
        # Not the demo's lab: a demo that is up stays up.
        FLEET_NETCONSOLE_LAB=os.environ.get("FLEET_NETCONSOLE_LAB", str(CHECKOUT / ".lab-test")),
        FLEET_NETCONSOLE_GUESTS=" ".join(guests),
        FLEET_NETCONSOLE_PROOFS=str(proofs),
    )
    lab = [str(TOOLS / "python"), str(LAB), "run", *(f"--guest={guest}" for guest in guests), "--"]
    molecule = [str(TOOLS / "molecule"), "test", "--scenario-name", name]
    status = run_logged(lab + molecule, log=log, environment=environment, live=True, timeout=timeout)
    return _outcome(proofs, status)


def _outcome(proofs: Path, status: int) -> Outcome:
    lines = proofs.read_text(encoding="utf-8").splitlines()
    passed = sum(line.startswith("passed ") for line in lines)
    if status == 0:
        return Outcome(passed, 0) if passed else Outcome(0, 1, "nothing was asserted")
    return Outcome(passed, max(len(lines) - passed, 1))
