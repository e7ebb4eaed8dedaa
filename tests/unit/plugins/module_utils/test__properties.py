# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every declaration on every host: random ones on the model of each kernel, whole and interrupted.

The same cases run on real kernels in the Molecule scenario ``kernels``. One that fails names its number; it runs alone
with FLEET_NETCONSOLE_CASES=NUMBER in the environment.
"""

from __future__ import annotations

import errno
import os
from typing import Any, Callable, Iterable

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import TargetState
from ansible_collections.fleet.netconsole.plugins.module_utils._reconcile import ENGINE_ERRORS
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_kernel import (
    PROFILES,
    FakeKernel,
    Interface,
)
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.random_declarations import (
    DEVICES,
    NEIGHBOUR_MAC,
    NETWORK,
    Case,
    Host,
    Interrupted,
    Offer,
    converged,
    expect,
    outcome,
    random_case,
    try_case,
)

CHOSEN = os.environ.get("FLEET_NETCONSOLE_CASES", "").split()
WHOLE = CHOSEN or [str(number) for number in range(int(os.environ.get("FLEET_NETCONSOLE_RANDOM_CASES", "300")))]
# Every step of these is interrupted: 5 where all 300 run, less where only a part of them does.
INTERRUPTED = CHOSEN or [str(number) for number in range(min(5, 1 + len(WHOLE) // 60))]


def offer_of(profile: str) -> Offer:
    known = PROFILES[profile]
    return Offer(
        release=known.release_attribute,
        userdata_keys=known.userdata_keys,
        switches=known.switches,
        # 6.8 shows boot targets, but does not load the module with one that is dead: its cases have none.
        boot_targets=known.attach and profile != "6.8",
        late_panic=known.nbcon,
        siblings_stop=known.siblings_stop,
    )


def modelled(profile: str, case: Case) -> Host:
    kernel = FakeKernel(profile)
    kernel.interfaces = {device.name: Interface(device.addresses) for device in DEVICES}
    kernel.printk[0], kernel.panic = case.console_loglevel, case.panic_timeout
    for boot in case.boot:
        kernel.boot(
            str(boot),
            enabled=boot.enabled,
            extended=boot.extended,
            dev_name=boot.device,
            local_ip=boot.local_ip,
            local_port=boot.local_port,
            remote_ip=boot.remote_ip,
            remote_port=boot.remote_port,
            remote_mac=NEIGHBOUR_MAC,
        )
    case.make(kernel)
    for target in kernel.target_table.values():
        target.silent = False
    kernel.calls.clear()

    def sighted(state: TargetState) -> TargetState:
        if not PROFILES[profile].release_misread:
            return state
        attributes = {name: value for name, value in state.attributes.items() if name != "release_enabled"}
        return TargetState(state.name, attributes, state.userdata)

    def silent(states: Iterable[TargetState]) -> list[str]:
        return [state.name for state in states if state.enabled and not kernel.sends(state.name)]

    return Host(kernel, NETWORK, offer_of(profile), silent, sighted, panic=lambda: kernel.panic)


class Killed(BaseException):
    """No handler of the engine's own catches it: what happens to a process that is killed."""


def kill() -> None:
    raise Killed


def input_output_error() -> None:
    raise OSError(errno.EIO, "injected fault")


def steps_of(profile: str, case: Case) -> int:
    """How many changing calls a run of the case makes."""
    host = modelled(profile, case)
    counted = Interrupted(host.files, at=-2, happens=kill)
    try:
        host.run(case.options, counted)
    except ENGINE_ERRORS:
        return 0  # refused: nothing to interrupt
    return counted.count


def hold(profile: str, numbers: Iterable[str], trial: Callable[[str, Case], list[str]]) -> None:
    """Fail with the cases that do not hold, and all that is wrong with each."""
    report: list[str] = []
    for number in numbers:
        case = random_case(f"{profile} {number}", offer_of(profile))
        report += [f"FLEET_NETCONSOLE_CASES={number} ({case.seed}): {wrong}" for wrong in trial(profile, case)]
    if report:
        pytest.fail("\n".join([f"{len(report)} times wrong, such as", *report[:20]]), pytrace=False)


@pytest.mark.parametrize("profile", PROFILES)
class TestRandomDeclarations:
    def test_state_is_as_declared_as_foretold_and_stays(self, profile: str) -> None:
        hold(profile, WHOLE, lambda name, case: try_case(case, modelled(name, case)))

    def test_killed_before_any_step_the_next_run_converges(self, profile: str) -> None:
        hold(profile, INTERRUPTED, killed_anywhere)

    def test_an_error_at_any_step_is_put_back_or_reported(self, profile: str) -> None:
        hold(profile, INTERRUPTED, failed_anywhere)


def killed_anywhere(profile: str, case: Case) -> list[str]:
    wrong: list[str] = []
    before = seen_after_looking(profile, case)
    for step in range(steps_of(profile, case)):
        host = modelled(profile, case)
        files = Interrupted(host.files, at=step, happens=kill)
        with pytest.raises(Killed):
            host.run(case.options, files)
        host.run(case.options)
        found = converged(case, host, before)
        found += [f"second run: {action}" for action in host.plan(case.options).actions]
        wrong += [f"killed at step {step}: {what}" for what in found]
    return wrong


def failed_anywhere(profile: str, case: Case) -> list[str]:
    """One step fails: a target is as declared, or as it was and reported; and the next run makes all of it."""
    wrong: list[str] = []
    before = seen_after_looking(profile, case)
    expected = expect(case, offer_of(profile), before)
    for step in range(steps_of(profile, case)):
        host = modelled(profile, case)
        found: list[str] = []
        try:
            _planned, applied = host.run(case.options, Interrupted(host.files, at=step, happens=input_output_error))
        except ENGINE_ERRORS:
            now = host.targets()
            found += [f"{name} is not as it was" for name in before if name in now and now[name] != before[name]]
            found += [f"{name} is gone" for name in before if name not in now and not name.startswith("cmdline")]
            found += [f"{name} was left" for name in now if name not in before]
            found += [f"{name} is silent" for name in host.silent(now.values())]
        else:
            found += half_done(host, before, expected, set(applied.failures))
        host.run(case.options)
        found += outcome(case, host, before, remembered=False)
        wrong += [f"error at step {step}: {what}" for what in found]
    return wrong


def half_done(host: Host, before: Any, expected: Any, failures: set[str]) -> list[str]:
    now = host.targets()
    found = [f"{name} is silent" for name in host.silent(now.values()) if name not in failures]
    for name in {**before, **now, **expected.present}:
        as_it_was = now.get(name) == before.get(name)
        wanted = expected.present.get(name)
        as_wanted = wanted is not None and name in now and holds(now[name], host.sighted(wanted))
        as_wanted = as_wanted or (name in expected.absent and name not in now)
        if not (as_it_was or as_wanted):
            found.append(f"{name} is half a target: {now.get(name)}")
        if not as_wanted and name in expected.present and name not in failures:
            found.append(f"{name} is not as declared, and no failure says so")
    return found


def holds(state: TargetState, wanted: TargetState) -> bool:
    """Whether a target is as wanted in all that can be written."""
    same = all(state.attributes.get(attribute) == value for attribute, value in wanted.attributes.items())
    return same and state.userdata == wanted.userdata


def seen_after_looking(profile: str, case: Case) -> dict[str, TargetState]:
    """All targets before the run, also the boot targets that only show when a plan has looked for them."""
    host = modelled(profile, case)
    host.plan(case.options)
    return host.targets()
