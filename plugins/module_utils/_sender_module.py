# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module ``sender`` does: the live kernel and what stays on the host, in one plan and one run."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ._boot_parameter import BootParameterError
from ._boot_targets import boot_parameters
from ._configfs import Configfs, ConsoleLoglevel
from ._declaration import Declaration, DeclarationError, DeclaredTarget, declaration_from_options, document
from ._desired import host_network
from ._early import early_entries
from ._engine_archive import ArchiveError
from ._heartbeat import write_mark
from ._kmsg import KmsgError
from ._kmsg import Paths as KmsgPaths
from ._node_files import Entry, Files, NodeError
from ._node_service import (
    NodePlan,
    end,
    forget,
    no_early,
    plan_absent,
    plan_present,
    remember,
    start_service,
    stop_service,
    tell_systemd,
    write_files,
)
from ._reconcile import ENGINE_ERRORS, Applied, Plan, apply, plan
from ._sender_files import BEFORE, DECLARATION, EARLY_PARAMETER, locked, read_json
from ._sender_main import main as engine_main  # the engine of the host: Ansible sends along what is imported
from ._target_module import fail, finish, result_of

ENGINE_MAIN = engine_main
_ERRORS = (*ENGINE_ERRORS, NodeError, ArchiveError, BootParameterError, OSError)


class ModuleFiles(Files):
    """Files put in place by Ansible's own way, which keeps the SELinux context of the place."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module

    def move(self, source: str, destination: str) -> None:
        mode = stat.S_IMODE(os.stat(source).st_mode)
        self._module.atomic_move(source, destination)
        os.chmod(destination, mode)  # Ansible gives a new file a mode of its own


def run_sender(module: AnsibleModule) -> None:
    """From the module's parameters to its end."""
    files = ModuleFiles(module)
    try:
        _check_heartbeat(module.params)
        if module.params["state"] == "present" and module.params["persist"]:
            result = _persistent(module, files)
        else:
            result = _passing(module, files)
    except _ERRORS as error:
        fail(module, str(error))
    finish(module, result)


def _check_heartbeat(options: Mapping[str, Any]) -> None:
    if options["heartbeat"] and options["state"] == "present" and not (options["persist"] and options["watch"]):
        raise DeclarationError("heartbeat needs a service that stays: set persist and watch to true, or heartbeat to 0")


def _end_heartbeat(module: AnsibleModule, stored: Mapping[str, Any] | None) -> None:
    """Tell the receivers that no mark is missing from now on."""
    if module.check_mode or not (stored or {}).get("heartbeat"):
        return
    try:
        write_mark(0, paths=KmsgPaths())
    except KmsgError as error:
        module.warn(f"The receivers are not told that there is no heartbeat any more: {error}")


def _persistent(module: AnsibleModule, files: Files) -> dict[str, Any]:
    """The live kernel first: what it refuses for good shall not be declared. A target that only fails now is."""
    declaration = declaration_from_options(module.params)
    applied = None
    with locked(os.path.dirname(DECLARATION)):
        was_stored = read_json(DECLARATION)
        planned = _plan(without_former(declaration, was_stored))
        stored = document(module.params)
        node = plan_present(
            stored,
            watch=module.params["watch"],
            files=files,
            before=state_before(planned, read_json(BEFORE), loaded=Configfs().loaded()),
            early=_early(module, planned, files),
        )
        if not module.check_mode:
            applied = _remembered(planned, node, files)
            write_files(node, files=files)
    if applied is not None:
        try:
            tell_systemd(node, files=files)
        except NodeError as error:
            if not applied.failures:
                raise
            module.warn(str(error))  # it fails for the same reason, which is said at the end
        if not stored.get("heartbeat"):
            _end_heartbeat(module, was_stored)
    return _result(module, planned, applied, node)


def _remembered(planned: Plan, node: NodePlan, files: Files) -> Applied:
    """Apply the plan; what the host had before is on its disk by then, lest a run that is killed forgets it."""
    remember(node, files=files)
    try:
        return _apply(planned)
    except _ERRORS:  # the engine has put everything back
        forget(node, files=files)
        raise


def _passing(module: AnsibleModule, files: Files) -> dict[str, Any]:
    """Nothing stays on the host: the service of an earlier run goes first, since it would put back what it knows."""
    goes = module.params["state"] == "absent"
    stored, before = read_json(DECLARATION) or {}, read_json(BEFORE) or {}
    declaration = (
        goodbye(module.params, stored, before)
        if goes
        else without_former(declaration_from_options(module.params), stored)
    )
    node = plan_absent(files=files, before_stays=not goes)
    applied = None
    with locked(os.path.dirname(DECLARATION)):
        planned = _plan(declaration)  # what is refused is refused while the service runs
    ran = False if module.check_mode else stop_service(node, files=files)
    _end_heartbeat(module, stored)  # while somebody still sends it
    try:
        with locked(os.path.dirname(DECLARATION)):
            if not module.check_mode:
                planned = _plan(declaration)
                applied = _apply(planned)
                write_files(node, files=files)
    except _ERRORS:
        if ran:
            start_service(files=files)
        raise
    if not module.check_mode:
        tell_systemd(node, files=files)
    result = _result(module, planned, applied, node)
    if goes and before.get("netconsole_loaded") is False and _is_idle(planned):
        result["actions"].append("unload module netconsole")
        if not module.check_mode:
            Configfs().unload()
    if not module.check_mode:
        end(node, files=files)
    return result


def _is_idle(planned: Plan) -> bool:
    """Whether nobody else has a use for the loaded module: no target stays, no parameter but that of early boot."""
    configfs = Configfs()
    going = {name for name, state in planned.after.items() if state is None}
    others = [parameter for parameter in boot_parameters(configfs.files) if parameter.source != EARLY_PARAMETER]
    return configfs.loaded() and not others and set(configfs.targets()) <= going


def without_former(declaration: Declaration, stored: Mapping[str, Any] | None) -> Declaration:
    """The declaration, and that the targets which an earlier one on this host had and this one has not are to go.

    They are no foreign ones: a sender whose receiver has left the inventory, or was changed for another, stops sending
    to the former one.
    """
    names = {target.name for target in declaration.targets}
    former = sorted({target["name"] for target in (stored or {}).get("targets", [])} - names)
    return replace(
        declaration, targets=(*declaration.targets, *(DeclaredTarget(name=name, present=False) for name in former))
    )


def goodbye(options: Mapping[str, Any], stored: Mapping[str, Any], before: Mapping[str, Any]) -> Declaration:
    """Everything that was declared here goes; what was before comes back, as far as it was written down."""
    names = {target["name"] for target in (*stored.get("targets", []), *(options["targets"] or []))}
    declaration = declaration_from_options(
        {
            "targets": [{"name": name, "state": "absent"} for name in sorted(names)],
            "console_loglevel": before.get("console_loglevel"),
        }
    )
    return replace(declaration, panic_timeout=before.get("panic_timeout"))


def _early(module: AnsibleModule, planned: Plan, files: Files) -> list[Entry] | None:
    """The files for the time before the service. While a target fails, those that are there stay."""
    if module.params["early"] == "none":
        return no_early()
    if planned.failures or planned.deferred:
        return None
    return early_entries([target.attributes for target in planned.desired if target.present], files=files)


def _plan(declaration: Declaration) -> Plan:
    return plan(declaration, configfs=Configfs(), console=ConsoleLoglevel(), network=host_network())


def state_before(planned: Plan, known: Mapping[str, Any] | None, *, loaded: bool) -> dict[str, int]:
    """What the host had before the first run, for state absent: written down once. ``loaded``: the kernel's module."""
    known = dict(known or {})
    known.setdefault("netconsole_loaded", loaded)
    if planned.console_loglevel is not None:
        known.setdefault("console_loglevel", planned.console_loglevel[0])
    if planned.panic_timeout is not None and planned.panic_timeout[0]:
        known.setdefault("panic_timeout", planned.panic_timeout[0])
    return known


def _apply(planned: Plan) -> Applied:
    return apply(planned, configfs=Configfs(), console=ConsoleLoglevel())


def _result(module: AnsibleModule, planned: Plan, applied: Applied | None, node: NodePlan) -> dict[str, Any]:
    for warning in (planned if applied is None else applied).warnings:
        module.warn(warning)
    result = result_of(planned, applied)
    result["changed"] = result["changed"] or node.changed
    result["actions"] = [*result["actions"], *node.actions()]
    targets = {**result["diff"], "before_header": "netconsole targets", "after_header": "netconsole targets"}
    result["diff"] = [targets, *(change.diff() for change in node.changes)]
    return result
