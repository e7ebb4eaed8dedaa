# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Molecule scenarios: receivers in containers, senders and receivers in virtual machines with real kernels.

A scenario works with the collection as a user has it, built and installed. The lab ends its guests itself, also after
a failure or Ctrl-C. What counts is every assert of a scenario, for each host (tests/callback/proofs.py).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from installation import install
from process import BUILD, CHECKOUT, LOGS, TOOLS, Outcome, clean_environment, run_logged

LAB = CHECKOUT / "extensions" / "molecule" / "lab"


def run_containers(guest: str = "box1") -> Outcome:
    """A receiver in a container: minutes less than a machine, and a whole systemd all the same."""
    title = "receiver" if guest == "box1" else f"receiver-{guest}"
    return _run_scenario("receiver", guests=(guest,), timeout=3600, title=title)


def run_receiver_load() -> Outcome:
    """What a receiver in a container holds under load: kill -9, restart, rotation, a full disk, 10,000 senders."""
    return _run_scenario("receiver_load", guests=("box1",), timeout=3600)


def run_receiver_bench() -> Outcome:
    """Every collector measured, at the role's settings and at its package's defaults: build/logs/bench.md."""
    figures = LOGS / "bench.jsonl"
    for path in (figures, figures.with_suffix(".md")):
        path.unlink(missing_ok=True)
    variables = {
        "FLEET_NETCONSOLE_FIGURES": str(figures),
        "FLEET_NETCONSOLE_SCALE": os.environ.get("FLEET_NETCONSOLE_SCALE", "1"),
    }
    with _receive_buffers_of_the_role():
        return _run_scenario("receiver_bench", guests=("box1",), timeout=3 * 3600, variables=variables)


@contextmanager
def _receive_buffers_of_the_role() -> Iterator[None]:
    """The kernel's limit for receive buffers, as the role raises it on a host. In a container it cannot: the limit is
    this machine's. Given back at the end."""
    limit, wanted = Path("/proc/sys/net/core/rmem_max"), 33554432  # netconsole_receiver_receive_buffer
    before = int(limit.read_text(encoding="ascii"))
    if before >= wanted:
        yield
        return
    try:
        limit.write_text(f"{wanted}\n", encoding="ascii")
    except OSError as error:
        raise SystemExit(
            f"{limit} is {before}, the bench needs {wanted}, and root to set it: {error.strerror}"
        ) from None
    try:
        yield
    finally:
        limit.write_text(f"{before}\n", encoding="ascii")


def run_machines() -> Outcome:
    """Senders with different kernels, one of them behind a router, and a receiver in virtual machines."""
    return _run_scenario("machines", guests=("log1", "web1", "router", "edge612"), timeout=3600, variables=TIMES)


SENDERS = {"5.10": "edge510", "6.1": "edge61", "6.12": "edge612", "7": "edge7"}
"""Kernel and the lab's sender behind the router that runs it."""

BOOT_LOADERS = ("grub-bios", "grub-uefi", "systemd-boot", "uki", "extlinux")
"""Guests that boot from their own disk, each by another boot loader."""

WORDS = 1500
"""How much of a failed task's message goes into the summary: what is seen of a run elsewhere is often only its end."""

TIMES = {"FLEET_NETCONSOLE_TIMES": str(LOGS)}
"""Where a sender's scenario leaves how long messages stayed away, in GUEST.times."""


LONG = {"FLEET_NETCONSOLE_LONG": "yes"}
"""For the targets of their own: what `make test` has no time for."""


def run_engine(kernel: str = "6.12") -> Outcome:
    """The engine on one real kernel, by a program inside the guest."""
    guest = SENDERS[kernel]
    return _run_scenario("kernels", guests=(guest,), timeout=2400, title=f"kernels-{guest}", variables=LONG)


def run_senders(*kernels: str) -> Outcome:
    """Senders behind a router that stay right by themselves, one for each of these kernels; with what takes minutes."""
    guests = [SENDERS[kernel] for kernel in kernels]
    return _run_scenario(
        "sender",
        guests=("log1", "router", *guests),
        timeout=2400 + 1800 * len(guests),
        title=f"sender-{guests[0]}" if len(guests) == 1 else "sender",
        variables={**TIMES, **LONG},
    )


def run_boot_loader(loader: str = "grub-bios", *, long: bool = False) -> Outcome:
    """Kernel parameters in a machine that boots by this boot loader, really rebooted; `long` with the sender role."""
    title = f"boot_loaders-{loader}"
    return _run_scenario("boot_loaders", guests=(loader,), timeout=5400, title=title, variables=LONG if long else None)


def run_dracut() -> Outcome:
    """A sender whose initramfs dracut has made, booted with both forms of netconsole_sender_early."""
    return _run_scenario("dracut", guests=("dracut",), timeout=5400)


def _run_scenario(
    name: str, *, guests: tuple[str, ...], timeout: float, title: str = "", variables: Mapping[str, str] | None = None
) -> Outcome:
    """Run a scenario with these guests. The title names its log, where one scenario has several runs."""
    title = title or name
    log, proofs = LOGS / f"{title}.log", BUILD / f"{title}.proofs"
    log.unlink(missing_ok=True)
    proofs.unlink(missing_ok=True)
    proofs.parent.mkdir(parents=True, exist_ok=True)
    proofs.touch()
    home = CHECKOUT / ".cache" / f"ansible-{name}"  # Molecule's notes, too: two scenarios may run at once
    shutil.rmtree(home / "tmp", ignore_errors=True)  # those of a run that was cut off
    installation = install(BUILD / "scenarios" / title)
    environment = clean_environment(
        ANSIBLE_CALLBACKS_ENABLED="proofs",
        ANSIBLE_CALLBACK_PLUGINS=str(CHECKOUT / "tests" / "callback"),
        ANSIBLE_COLLECTIONS_PATH=str(installation.collections_path),
        ANSIBLE_HOME=str(home),
        # Not the demo's lab: a demo that is up stays up. And short: sockets are below it.
        FLEET_NETCONSOLE_LAB=os.environ.get("FLEET_NETCONSOLE_LAB", str(CHECKOUT / ".lab-test" / name[:4])),
        FLEET_NETCONSOLE_GUESTS=" ".join(guests),
        FLEET_NETCONSOLE_PROOFS=str(proofs),
        **(variables or {}),
    )
    lab = [str(TOOLS / "python"), str(LAB), "run", *(f"--guest={guest}" for guest in guests), "--"]
    molecule = [str(TOOLS / "molecule"), "test", "--scenario-name", name]
    status = run_logged(lab + molecule, log=log, environment=environment, live=title, timeout=timeout)
    return _outcome(proofs, status)


def _outcome(proofs: Path, status: int) -> Outcome:
    lines = proofs.read_text(encoding="utf-8").splitlines()
    passed, failed = (sum(line.startswith(word) for line in lines) for word in ("passed ", "failed "))
    if status == 0:
        return Outcome(passed, 0) if passed else Outcome(0, 1, "nothing was asserted")
    said = [line[5:] for line in lines if line.startswith("said ")]  # the last one is what ended the scenario
    return Outcome(passed, max(failed, 1), said[-1][:WORDS] if said else "no task failed: see the log's end")
