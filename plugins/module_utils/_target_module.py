# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules ``target`` and ``sender`` share: arguments in, one run of the engine, result out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Mapping, NoReturn

from ansible.module_utils.basic import AnsibleModule

from ._configfs import SWITCHES, Configfs, ConsoleLoglevel, TargetState
from ._declaration import Declaration, declaration_from_options
from ._reconcile import (
    ENGINE_ERRORS,
    Applied,
    Network,
    Plan,
    apply,
    plan,
)

MISSING_CAPABILITY: dict[str, Any] = {"type": "str", "choices": ["error", "warn"], "default": "error"}


def target_argument_spec() -> dict[str, Any]:
    """The options of one target: those of the module ``target``, and of each entry of ``sender``'s ``targets``."""
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "enabled": {"type": "bool", "default": True},
        "remote_ip": {"type": "str"},
        "remote_port": {"type": "int", "default": 6666},
        "remote_mac": {"type": "str"},
        "local_ip": {"type": "str"},
        "local_port": {"type": "int", "default": 6665},
        "dev_name": {"type": "str"},
        "extended": {"type": "str", "choices": ["auto", "true", "false"], "default": "auto"},
        "release": {"type": "bool"},
        "userdata": {"type": "dict"},
        **{switch: {"type": "bool"} for switch in SWITCHES},
    }


def reconcile(module: AnsibleModule, declaration: Declaration) -> tuple[Plan, Applied | None]:
    """Plan, and apply unless in check mode. Raises one of ENGINE_ERRORS."""
    configfs, console = Configfs(), ConsoleLoglevel()
    planned = plan(declaration, configfs=configfs, console=console, network=Network())
    if module.check_mode:
        return planned, None
    return planned, apply(planned, configfs=configfs, console=console)


def result_of(planned: Plan, applied: Applied | None) -> dict[str, Any]:
    """The part of the result that both modules return. ``before`` and ``after`` are by target name."""
    after = planned.after if applied is None else applied.after
    capabilities = planned.capabilities if applied is None else applied.capabilities
    return {
        "changed": planned.changed,
        "actions": [str(action) for action in planned.actions],
        "before": _states(planned.before),
        "after": _states(after),
        "next_hops": {
            target.name: asdict(target.next_hop) for target in planned.desired if target.next_hop is not None
        },
        "capabilities": None if capabilities is None else sorted(capabilities),
        "console_loglevel": planned.console_loglevel and dict(zip(("before", "after"), planned.console_loglevel)),
        "diff": planned.diff() if applied is None else applied.diff(planned),
    }


def _states(states: Mapping[str, TargetState | None]) -> dict[str, dict[str, object] | None]:
    return {name: None if state is None else state.as_dict() for name, state in states.items()}


def run_engine(module: AnsibleModule, options: Mapping[str, Any]) -> dict[str, Any]:
    """From the options of a declaration to the result; fails the module in the engine's own words."""
    try:
        declaration = declaration_from_options(options)
        planned, applied = reconcile(module, declaration)
    except (*ENGINE_ERRORS, OSError) as error:
        fail(module, str(error))
    for warning in planned.warnings if applied is None else applied.warnings:
        module.warn(warning)
    return result_of(planned, applied)


def fail(module: AnsibleModule, message: str) -> NoReturn:
    module.fail_json(msg=message)
    raise AssertionError("fail_json returns never")
