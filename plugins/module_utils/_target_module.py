# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules ``target`` and ``sender`` share: arguments in, one run of the engine, result out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Mapping, NoReturn

from ansible.module_utils.basic import AnsibleModule

from ._configfs import SWITCHES, Configfs, ConsoleLoglevel, TargetState
from ._declaration import (
    EXTENDED_CHOICES,
    MISSING_CAPABILITY_CHOICES,
    PANIC_CAPTURE_CHOICES,
    STATE_CHOICES,
    Declaration,
    declaration_from_options,
)
from ._desired import host_network
from ._reconcile import (
    ENGINE_ERRORS,
    Applied,
    Plan,
    apply,
    plan,
)

MISSING_CAPABILITY: dict[str, Any] = {"type": "str", "choices": list(MISSING_CAPABILITY_CHOICES), "default": "error"}
PANIC_CAPTURE: dict[str, Any] = {"type": "str", "choices": list(PANIC_CAPTURE_CHOICES), "default": "warn"}
BRING_UP: dict[str, Any] = {"type": "bool", "default": False}
PURGE: dict[str, Any] = {"type": "bool", "default": False}


def target_argument_spec() -> dict[str, Any]:
    """The options of one target: those of the module ``target``, and of each entry of ``sender``'s ``targets``."""
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": list(STATE_CHOICES), "default": "present"},
        "enabled": {"type": "bool", "default": True},
        "remote_ip": {"type": "str"},
        "remote_port": {"type": "int", "default": 6666},
        "remote_mac": {"type": "str"},
        "local_ip": {"type": "str"},
        "local_port": {"type": "int", "default": 6665},
        "dev_name": {"type": "str"},
        "extended": {"type": "str", "choices": [str(choice) for choice in EXTENDED_CHOICES], "default": "auto"},
        "release": {"type": "bool"},
        "userdata": {"type": "dict"},
        **{switch: {"type": "bool"} for switch in SWITCHES},
    }


def reconcile(module: AnsibleModule, declaration: Declaration) -> tuple[Plan, Applied | None]:
    """Plan, and apply unless in check mode. Raises one of ENGINE_ERRORS."""
    configfs, console = Configfs(), ConsoleLoglevel()
    planned = plan(declaration, configfs=configfs, console=console, network=host_network())
    if module.check_mode:
        return planned, None
    return planned, apply(planned, configfs=configfs, console=console)


def result_of(planned: Plan, applied: Applied | None) -> dict[str, Any]:
    """The part of the result that both modules return. ``before`` and ``after`` are by target name."""
    done = planned if applied is None else applied
    panic = planned.panic_capture
    return {
        "changed": done.changed,
        "actions": [str(action) for action in done.actions],
        "before": _states(planned.before),
        "after": _states(done.after),
        "failures": dict(done.failures),
        "next_hops": {
            target.name: asdict(target.next_hop)
            for target in (done.desired or planned.desired)
            if target.next_hop is not None
        },
        "capabilities": None if done.capabilities is None else sorted(done.capabilities),
        "console_loglevel": planned.console_loglevel and dict(zip(("before", "after"), planned.console_loglevel)),
        "panic_capture": panic.as_dict(),
        "diff": planned.diff() if applied is None else applied.diff(planned),
    }


def _states(states: Mapping[str, TargetState | None]) -> dict[str, dict[str, object] | None]:
    return {name: None if state is None else state.as_dict() for name, state in states.items()}


def failure_message(failures: Mapping[str, str], *, check_mode: bool) -> str:
    """What a module ends with when not every target is, or in check mode could be, as declared."""
    reasons = " ".join(f"{name}: {reason}" for name, reason in failures.items())
    if check_mode:
        return f"These targets would stay as they are, all others would be as declared. {reasons}"
    return f"These targets are not as declared, all others are. {reasons}"


def run_engine(module: AnsibleModule, options: Mapping[str, Any]) -> dict[str, Any]:
    """From the options of a declaration to the result; fails the module in the engine's own words.

    Targets that are not as declared stand in the result's ``failures``: see ``finish``.
    """
    try:
        planned, applied = reconcile(module, declaration_from_options(options))
    except (*ENGINE_ERRORS, OSError) as error:
        fail(module, str(error))
    for warning in planned.warnings if applied is None else applied.warnings:
        module.warn(warning)
    return result_of(planned, applied)


def finish(module: AnsibleModule, result: dict[str, Any]) -> NoReturn:
    """End the module: with an error when a target is not as declared, and the whole result all the same."""
    if result["failures"]:
        module.fail_json(msg=failure_message(result["failures"], check_mode=module.check_mode), **result)
    module.exit_json(**result)
    raise AssertionError("exit_json returns never")


def fail(module: AnsibleModule, message: str) -> NoReturn:
    module.fail_json(msg=message)
    raise AssertionError("fail_json returns never")
