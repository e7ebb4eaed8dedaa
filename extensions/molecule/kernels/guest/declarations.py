# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random declarations against the real kernel: whole, and with the process killed before every step of some."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import Files
from ansible_collections.fleet.netconsole.plugins.module_utils._reconcile import ENGINE_ERRORS
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.random_declarations import (
    NETWORK,
    Case,
    Interrupted,
    Offer,
    converged,
    random_case,
    try_case,
)
from kernels.guest.ground import Ground, WrongError, in_child, shell

LONG = bool(os.environ.get("FLEET_NETCONSOLE_LONG"))  # not in `make test`
WHOLE = 44 if LONG else 12  # about a quarter has nothing to do
ASKING = 8
FEW_STEPS = range(8, 22)  # long enough to be of use, short enough to be run once for each step

BOOT, UNLOADED = "with a boot target", "with the module unloaded"
BEGINNINGS: dict[str, Callable[[Case], object]] = {
    "with targets": lambda case: case.start,
    "with other targets": lambda case: case.start,
    BOOT: lambda case: any(one.enabled for one in case.boot),
    UNLOADED: lambda case: not case.start,
}
"""How a host may be before a run that is killed, and which random cases begin so."""

SHORT = ("with targets", UNLOADED)
"""Those of `make test`."""

Check = Callable[[Ground], None]


def checks(offer: Offer) -> Iterator[tuple[str, Check]]:
    for number in range(WHOLE):
        yield (
            f"random declaration {number} holds, was foretold and stays",
            _whole(random_case(f"guest {number}", offer), asking=number < ASKING),
        )
    for begin in BEGINNINGS:
        if (LONG or begin in SHORT) and (begin != BOOT or offer.boot_targets):
            yield f"killed at every step of a random declaration, {begin}, the next run converges", _killed(begin)


def _start(ground: Ground, case: Case, *, loaded: bool = True) -> None:
    ground.fresh(";".join(map(str, case.boot)), console_loglevel=case.console_loglevel, panic=case.panic_timeout)
    if not loaded:
        shell("modprobe -r netconsole")
    case.make(ground.files)


def _whole(case: Case, *, asking: bool) -> Check:
    """``asking`` the guest's own routing, which takes most of the time, instead of a table that says the same."""

    def check(ground: Ground) -> None:
        _start(ground, case)
        network = {} if asking else {"network": NETWORK}
        wrong = try_case(case, ground.host(silent=partial(ground.silent, boot=case.boot), **network))
        if wrong:
            raise WrongError("; ".join([case.seed, *wrong]))

    return check


def _killed(begin: str) -> Check:
    loaded = begin != UNLOADED

    def check(ground: Ground) -> None:
        case, lost = _case_with_few_steps(ground, begin)
        for step in range(len(lost)):
            _start(ground, case, loaded=loaded)
            host = ground.host(network=NETWORK, silent=partial(ground.silent, boot=case.boot))
            host.plan(case.options)
            before = host.targets()
            files = Interrupted(host.files, at=step, happens=_kill)
            status = in_child(partial(host.run, case.options, files))
            if status != -signal.SIGKILL:
                raise WrongError(f"{case.seed}: the child ended with {status} instead of being killed at step {step}")
            host.run(case.options)
            wrong = converged(case, host, before)
            wrong += [f"a second run would: {action}" for action in host.plan(case.options).actions]
            if wrong:
                raise WrongError(
                    "; ".join([f"{case.seed}, killed at step {step} of {len(lost)}: {lost[step]}", *wrong])
                )

    return check


def _case_with_few_steps(ground: Ground, begin: str) -> tuple[Case, list[tuple[str, ...]]]:
    """The first random case that begins so and is neither refused nor too long, and its changing calls."""
    for attempt in range(1000):
        case = random_case(f"guest kill {begin} {attempt}", ground.offer)
        if len(case.options["targets"]) < 2 or not BEGINNINGS[begin](case):
            continue
        if begin != BOOT:
            case = replace(case, boot=())
        _start(ground, case, loaded=begin != UNLOADED)
        host = ground.host(network=NETWORK)
        recorded = Recorded(host.files)
        try:
            host.plan(case.options)  # as before each kill: a look makes the boot targets visible
            host.run(case.options, recorded)
        except ENGINE_ERRORS:
            continue
        if len(recorded.calls) in FEW_STEPS:
            return case, recorded.calls
    raise WrongError("no random case has a fitting number of steps")


class Recorded(Interrupted):
    """Takes down every changing call."""

    def __init__(self, files: Files) -> None:
        super().__init__(files, at=-2, happens=_kill)
        self.calls: list[tuple[str, ...]] = []

    def _changing(self, *call: str) -> None:
        self.calls.append(call)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
