# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Desired + observed -> plan -> applied: the one function that makes a sender's kernel match its declaration.

1. ``Declaration`` (``_declaration``) is what somebody wrote down.
2. ``resolve`` (``_desired``) fills in what was left out (interface, source address, next hop's MAC) from the host's own
   routing.
3. ``plan`` compares with what the kernel shows and lists every step. It is what check mode shows.
4. ``apply`` carries the steps out and reads back.

A declaration that is wrong, or asks for what this kernel lacks, is refused as a whole before anything is touched. A
target that cannot be had now (no route, a device that is gone, a kernel that refuses it) is left, or put back, as it
was; it stands in ``failures`` and the others are as declared.

Who needs the plan: the modules ``target`` and ``sender``, and the service on the host.
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass, field, replace
from typing import Iterable, Mapping, Sequence

from ._address import BROADCAST_MAC, AddressError
from ._boot_sources import BootParameter
from ._boot_targets import attach_boot_targets, attachable, boot_parameters, is_boot_name
from ._configfs import (
    ADDRESSES,
    SWITCHES,
    WRITABLE,
    Configfs,
    ConfigfsError,
    ConsoleLoglevel,
    ResumeMark,
    TargetState,
    Value,
)
from ._declaration import Declaration, DeclarationError, DeclaredTarget
from ._desired import DesiredTarget, Network, foreseen, resolve
from ._device import DeviceDownError, DeviceError
from ._next_hop import NextHopError
from ._panic import PanicCapture, PanicCaptureError, read_panic_capture, write_panic_timeout
from ._preflight import PreflightError, check_place

# What the kernel puts into a new target (netconsole.c, alloc_and_init). Only used to predict, in check mode.
KERNEL_DEFAULTS: Mapping[str, Value] = {
    "dev_name": "eth0",
    "local_ip": "0.0.0.0",
    "local_port": 6665,
    "remote_ip": "0.0.0.0",
    "remote_port": 6666,
    "remote_mac": BROADCAST_MAC,
    "extended": False,
    "enabled": False,
}


class CapabilityError(Exception):
    """This kernel lacks something that the declaration asks for."""


# What makes one target impossible now and says nothing of the others.
_TARGET_ERRORS = (DeviceError, NextHopError)

# Everything that the engine raises on purpose. The message of each is complete: cause and way out.
ENGINE_ERRORS = (
    AddressError,
    CapabilityError,
    ConfigfsError,
    DeclarationError,
    DeviceError,
    NextHopError,
    PanicCaptureError,
    PreflightError,
)

OPTIONAL_FEATURES = ("extended", "release", "userdata", *SWITCHES, "transmit_errors")


def features(state: TargetState) -> frozenset[str]:
    """What this kernel's targets offer beyond what every kernel has. Read from the files of one target."""
    found = {name for name in OPTIONAL_FEATURES if name in state.attributes}
    return frozenset(found | ({"userdata"} if state.userdata is not None else set()))


def _needs(desired: DesiredTarget) -> frozenset[str]:
    """The features of the kernel without which ``desired`` cannot be had."""
    needs = {name for name in ("extended", "release", *SWITCHES) if desired.attributes.get(name)}
    if desired.userdata:
        needs.add("userdata")
    return frozenset(needs)


def _without(desired: DesiredTarget, missing: Iterable[str]) -> DesiredTarget:
    gone = set(missing)
    attributes = {name: value for name, value in desired.attributes.items() if name not in gone}
    return replace(desired, attributes=attributes, userdata=None if "userdata" in gone else desired.userdata)


# -- the plan
# -----------------------------------------------------------------------------------------------------------

MOUNT, LOAD, CREATE, REMOVE, DISABLE, ENABLE = "mount", "load", "create", "remove", "disable", "enable"
WRITE, WRITE_USERDATA, REMOVE_USERDATA, LOGLEVEL, RESUME, PANIC, BRING_UP = (
    "write",
    "write userdata",
    "remove userdata",
    "console_loglevel",
    "resume",
    "kernel.panic",
    "bring up",
)


@dataclass(frozen=True)
class Action:
    """One step. ``before`` and ``after`` are the values of ``item`` (an attribute or a user-data key).

    ``why`` stands in words behind a step that would otherwise surprise.
    """

    kind: str
    target: str = ""
    item: str = ""
    before: Value | None = None
    after: Value | None = None
    dev_name: str = ""
    why: str = ""

    def __str__(self) -> str:
        return f"{self._words()}, {self.why}" if self.why else self._words()

    def _words(self) -> str:
        if self.kind == MOUNT:
            return "mount configfs"
        if self.kind == LOAD:
            return "load module netconsole"
        if self.kind in (LOGLEVEL, PANIC):
            return f"set {self.kind} from {self.before} to {self.after}"
        if self.kind == BRING_UP:
            return f"bring up {self.dev_name}"
        if self.kind == RESUME:
            return (
                f"{self.target}: switch off and on again, since this kernel silently stops it when a sibling on "
                f"{self.dev_name} is stopped"
            )
        if self.kind in (WRITE, WRITE_USERDATA):
            name = f"userdata {self.item}" if self.kind == WRITE_USERDATA else self.item
            return f"{self.target}: set {name} to {_shown(self.after)}" + (
                "" if self.before is None else f" (was {_shown(self.before)})"
            )
        return f"{self.target}: {self.kind}{' ' + self.item if self.item else ''}"


def _shown(value: Value | None) -> str:
    return str(int(value)) if isinstance(value, bool) else repr(value) if value == "" else str(value)


@dataclass(frozen=True)
class Plan:
    """What has to be done, and what it starts from.

    ``after`` is what the kernel will show as far as it can be told beforehand. ``deferred`` are the targets whose
    device has to be brought up before it can be said how they send: their steps are foretold without that.
    """

    actions: tuple[Action, ...]
    desired: tuple[DesiredTarget, ...]
    before: Mapping[str, TargetState | None]
    after: Mapping[str, TargetState | None]
    console_loglevel: tuple[int, int] | None  # before, after
    capabilities: frozenset[str] | None  # None: not known before a first target exists
    warnings: tuple[str, ...]
    panic_capture: PanicCapture  # as it will be
    missing_capability: str = "error"
    failures: Mapping[str, str] = field(default_factory=dict)  # target name -> why it stays as it is
    panic_timeout: tuple[int, int] | None = None  # kernel.panic before, after; None: not to be changed
    deferred: Mapping[str, DeclaredTarget] = field(default_factory=dict)
    network: Network = field(default_factory=Network, compare=False, repr=False)
    marks: tuple[ResumeMark, ...] = ()  # of runs that were killed

    @property
    def changed(self) -> bool:
        return bool(self.actions)

    def diff(self) -> dict[str, dict[str, object]]:
        """Before and after, of exactly what is declared: by target name, plus console_loglevel and kernel.panic."""
        before: dict[str, object] = {}
        after: dict[str, object] = {}
        for desired in self.desired:
            before[desired.name] = _declared_part(self.before[desired.name], desired)
            after[desired.name] = _declared_part(self.after[desired.name], desired)
        if self.console_loglevel is not None:
            before["console_loglevel"], after["console_loglevel"] = self.console_loglevel
        if self.panic_timeout is not None:
            before["kernel.panic"], after["kernel.panic"] = self.panic_timeout
        return {"before": before, "after": after}


def _declared_part(state: TargetState | None, desired: DesiredTarget) -> dict[str, object] | None:
    if state is None:
        return None
    names = [*WRITABLE, *SWITCHES, "enabled"]
    part: dict[str, object] = {
        name: state.attributes[name]
        for name in names
        if name in state.attributes
        and (name in desired.attributes or not desired.present)
        and name not in desired.unreadable
    }
    if state.userdata is not None and (desired.userdata is not None or not desired.present):
        part["userdata"] = dict(state.userdata)
    return part


def plan(declaration: Declaration, *, configfs: Configfs, console: ConsoleLoglevel, network: Network) -> Plan:
    """Compare the declaration with this host, list the steps.

    Changes nothing. A neighbour lookup may fill the neighbour cache, and targets that the kernel made at boot can only
    be seen by having configfs list them from then on: they go on as they were.
    """
    files = configfs.files
    ready = configfs.ready()
    check_place(files, container_will_do=ready or not any(target.present for target in declaration.targets))
    observed = configfs.targets()
    found = _resolved(declaration, observed, network)
    warnings, failures = found.warnings, found.failures
    panic, panic_timeout = _panic(declaration, configfs, warnings)

    actions: list[Action] = []
    parameters = boot_parameters(files) if declaration.purge or found.present() else []
    if not ready and found.present():
        actions.extend(_preparation(configfs, parameters))
    if ready and attachable(files.release()):
        observed = {**observed, **attach_boot_targets(configfs, parameters, observed)}
    capabilities = next((features(state) for state in observed.values()), None)
    if capabilities is not None:
        for wanted in found.failing:
            _fit(wanted, capabilities, declaration.missing_capability, [])
    desired = [
        _fitted(target, observed.get(target.name), capabilities, declaration, warnings, files.release())
        for target in found.desired
    ]
    if configfs.loaded() and not attachable(files.release()):
        warnings.extend(_unseen_boot_targets(parameters, desired, purge=declaration.purge))
    goes = [target for target in desired if not target.present]
    comes = [target for target in desired if target.present]
    replaced = _replaced(comes, observed)
    if declaration.purge:
        declared = {target.name for target in declaration.targets} | {target.name for target in replaced}
        goes.extend(DesiredTarget(name=name, present=False) for name in observed if name not in declared)

    loglevel: tuple[int, int] | None = None
    if declaration.console_loglevel is not None:
        loglevel = (console.read(), declaration.console_loglevel)
        if loglevel[0] != loglevel[1]:
            actions.append(Action(LOGLEVEL, before=loglevel[0], after=loglevel[1]))
    if panic_timeout is not None and panic_timeout[0] != panic_timeout[1]:
        actions.append(Action(PANIC, before=panic_timeout[0], after=panic_timeout[1]))
    down = dict.fromkeys(str(target.attributes["dev_name"]) for target in comes if target.name in found.deferred)
    actions.extend(Action(BRING_UP, dev_name=dev_name) for dev_name in down)

    # First what goes, then what comes: whatever is enabled last on an interface brings its stopped siblings back to
    # life. Last of all a boot target whose place is taken, so that somebody sends all the time.
    ordered = (*goes, *comes, *replaced)
    for target in ordered:
        actions.extend(target_actions(target, observed.get(target.name)))
    before = {name: observed.get(name) for name in (*(target.name for target in ordered), *failures)}
    after: dict[str, TargetState | None] = dict(before)
    after.update({target.name: _predict(target, observed.get(target.name)) for target in ordered})
    marks = configfs.resume_marks()
    states = {**observed, **after}
    siblings = _interrupted_siblings(marks, states, own=after)
    siblings += _resumed_siblings([*actions, *siblings], states, own=after, release=files.release(), marks=marks)
    # Enabling brings a device up. On one that is down nothing is sent anyway: the mark stays until it is up.
    actions.extend(action for action in siblings if network.is_up(action.dev_name))
    return Plan(
        actions=tuple(actions),
        desired=ordered,
        before=before,
        after=after,
        console_loglevel=loglevel,
        capabilities=capabilities,
        warnings=tuple(warnings),
        panic_capture=panic,
        missing_capability=declaration.missing_capability,
        failures=failures,
        panic_timeout=panic_timeout,
        deferred=found.deferred,
        network=network,
        marks=tuple(marks),
    )


@dataclass
class _Resolved:
    """What became of each declared target when the host's network was asked."""

    desired: list[DesiredTarget] = field(default_factory=list)
    failing: list[DesiredTarget] = field(default_factory=list)  # as far as they are known
    failures: dict[str, str] = field(default_factory=dict)
    deferred: dict[str, DeclaredTarget] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def present(self) -> bool:
        return any(target.present for target in self.desired)


def _resolved(declaration: Declaration, observed: Mapping[str, TargetState], network: Network) -> _Resolved:
    found = _Resolved()
    for declared in declaration.targets:
        try:
            target, warnings = resolve(declared, network, observed.get(declared.name))
        except _TARGET_ERRORS as error:
            if isinstance(error, DeviceDownError) and declaration.bring_up and declared.dev_name is not None:
                found.desired.append(foreseen(declared, network))
                found.deferred[declared.name] = declared
            else:
                found.failing.append(foreseen(declared, network))
                found.failures[declared.name] = _sentence(error)
            continue
        found.desired.append(target)
        found.warnings.extend(warnings)
    return found


def _sentence(error: Exception) -> str:
    text = str(error)
    return text if text.endswith(".") else f"{text}."


def _panic(
    declaration: Declaration, configfs: Configfs, warnings: list[str]
) -> tuple[PanicCapture, tuple[int, int] | None]:
    """What will become of a panic, and kernel.panic before and after where the declaration has a say in it."""
    now = read_panic_capture(configfs.files)
    if not any(target.present and target.enabled for target in declaration.targets):
        back = declaration.panic_timeout
        if not back or now.timeout:  # nothing was changed, or somebody has changed it since
            return now, None
        return read_panic_capture(configfs.files, timeout=back), (now.timeout, back)
    if declaration.panic_capture == "set":
        then = read_panic_capture(configfs.files, timeout=0)
        if not then.works:
            raise PanicCaptureError(f"panic_capture is set: {then.reason}")
        # Older kernels send a panic whatever kernel.panic is: there is nothing to set.
        return (now, None) if now.works and now.timeout else (then, (now.timeout, 0))
    if not now.works and declaration.panic_capture == "require":
        raise PanicCaptureError(f"panic_capture is require: {now.reason}")
    if not now.works:
        warnings.append(f"a panic of this host will not be received. {now.reason}")
    return now, None


def _preparation(configfs: Configfs, parameters: Sequence[BootParameter]) -> list[Action]:
    if configfs.mounted() and configfs.loaded():
        raise ConfigfsError(
            "netconsole is loaded but offers no directory in configfs: this kernel was built without "
            "CONFIG_NETCONSOLE_DYNAMIC, "
            "so its targets can only be given as a module or boot parameter"
        )
    actions = [] if configfs.mounted() else [Action(MOUNT)]
    if not configfs.loaded():
        configfs.load(dry_run=True)
        sources = sorted({parameter.source for parameter in parameters})
        why = f"without the boot targets of {', '.join(sources)}" if sources else ""
        actions.append(Action(LOAD, item="netconsole=" if sources else "", why=why))
    return actions


def _fitted(
    target: DesiredTarget,
    observed: TargetState | None,
    capabilities: frozenset[str] | None,
    declaration: Declaration,
    warnings: list[str],
    release: str,
) -> DesiredTarget:
    if capabilities is not None:
        target = _fit(target, capabilities, declaration.missing_capability, warnings)
    _check_room(target, observed, release)
    if not target.present or not _misread_switch(observed, release):
        return target
    if "release_enabled" in target.attributes and observed is not None:
        warnings.append(
            f"target {target.name}: this kernel may show taskname_enabled where release_enabled is asked for, so it "
            "cannot be told what release_enabled is: it is written in every run"
        )
    return replace(target, unreadable=frozenset({"release_enabled"}))


def _fit(
    desired: DesiredTarget, capabilities: frozenset[str], missing_capability: str, warnings: list[str]
) -> DesiredTarget:
    """Drop what this kernel lacks if that changes nothing (a switch that is off) or is allowed, else refuse."""
    absent = {
        name for name in (*desired.attributes, "userdata") if name in OPTIONAL_FEATURES and name not in capabilities
    }
    missing = sorted(_needs(desired) - capabilities)
    if missing:
        message = f"target {desired.name}: this kernel's netconsole has no {', '.join(missing)}"
        if missing_capability != "warn":
            raise CapabilityError(
                f"{message}: leave it out for this host, or set missing_capability to warn to go on without it"
            )
        warnings.append(f"{message}: went on without")
    return _without(desired, absent)


def _version(release: str) -> tuple[int, int]:
    """Major and minor number of a kernel's release; the newest imaginable where it has none."""
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return (int(numbers.group(1)), int(numbers.group(2))) if numbers else (9999, 0)


# MAX_USERDATA_ITEMS, before and from the kernel that raised it. No file shows it.
_FEW_KEYS, _MANY_KEYS, _MANY_KEYS_SINCE = 16, 256, (6, 19)


def _check_room(desired: DesiredTarget, observed: TargetState | None, release: str) -> None:
    """Refuse more user data than a target holds. Kernels with few places count the switches that are on, too."""
    if not desired.present:
        return
    few = _version(release) < _MANY_KEYS_SINCE
    userdata = observed.userdata if observed is not None and desired.userdata is None else desired.userdata
    shown = {} if observed is None else observed.attributes
    on = [switch for switch in SWITCHES if few and desired.attributes.get(switch, shown.get(switch, False))]
    keys, places = len(userdata or {}), _FEW_KEYS if few else _MANY_KEYS
    if keys + len(on) > places:
        switches = f" and {len(on)} of the switches ({', '.join(on)})" if on else ""
        raise DeclarationError(
            f"target {desired.name}: {keys} userdata keys{switches} are more than the {places} that a target of "
            f"kernel {release} holds: leave some out"
        )


# Kernels that print the taskname bit in release_enabled: seen on 6.17, which is the first that was looked at with the
# switches; right on 7.0.
_MISREAD = ((6, 15), (7, 0))


def _misread_switch(observed: TargetState | None, release: str) -> bool:
    """Whether what the kernel shows of release_enabled may be taskname_enabled.

    Where the two differ, it is not. Where they are alike, or there is no target yet, only the version tells.
    """
    if not _MISREAD[0] <= _version(release) < _MISREAD[1]:
        return False
    shown = {} if observed is None else observed.attributes
    return shown.get("release_enabled") == shown.get("taskname_enabled")


def _unseen_boot_targets(
    parameters: Sequence[BootParameter], desired: Sequence[DesiredTarget], *, purge: bool
) -> list[str]:
    """Warnings of boot targets that a kernel before 6.7 neither shows nor lets go of."""
    warnings = []
    for parameter in parameters:
        served = {
            target.name
            for target in desired
            for boot in parameter.targets()
            if target.present
            and (boot.remote_ip, boot.remote_port or KERNEL_DEFAULTS["remote_port"])
            == (target.attributes.get("remote_ip"), target.attributes["remote_port"])
        }
        way_out = f"take netconsole= out of {parameter.source} and reboot"
        if served:
            warnings.append(
                f"{parameter.source} has a netconsole= parameter with the receiver of {', '.join(sorted(served))}: if "
                "the module was loaded with it, every message is sent there twice, since this kernel (before 6.7) "
                f"does not show its boot targets: {way_out}"
            )
        elif purge:
            warnings.append(
                f"{parameter.source} has a netconsole= parameter: if the module was loaded with it, its targets send "
                f"on, since this kernel (before 6.7) does not show its boot targets: {way_out}"
            )
    return warnings


def _replaced(comes: Sequence[DesiredTarget], observed: Mapping[str, TargetState]) -> list[DesiredTarget]:
    """Boot targets whose receiver a declared target has: they go when that one is as declared."""
    taken: dict[tuple[object, object], str] = {
        (target.attributes.get("remote_ip"), target.attributes["remote_port"]): target.name
        for target in reversed(comes)
    }
    replaced = []
    for name, state in observed.items():
        successor = taken.get((state.attributes["remote_ip"], state.attributes["remote_port"]))
        if is_boot_name(name) and successor is not None:
            replaced.append(DesiredTarget(name=name, present=False, successor=successor))
    return replaced


def target_actions(desired: DesiredTarget, observed: TargetState | None) -> list[Action]:
    """The steps from what the kernel shows of one target to what is wanted. No steps: nothing to change."""
    name = desired.name
    if not desired.present:
        return [] if observed is None else [_removal(observed, successor=desired.successor)]
    dev_name = str(desired.attributes["dev_name"])
    if observed is not None and _family_is_fixed(desired, observed):
        # Kernels up to 6.17 never let go of IPv6: only a new target can be IPv4 again. What was not declared moves
        # over.
        kept = dict(observed.attributes)
        moved = replace(
            desired,
            attributes={
                **{
                    attribute: kept[attribute]
                    for attribute in ("release", *SWITCHES)
                    if attribute in kept and attribute not in desired.unreadable
                },
                **desired.attributes,
            },
            userdata=observed.userdata if desired.userdata is None else desired.userdata,
        )
        return [_removal(observed), *target_actions(moved, None)]

    actions = [] if observed is not None else [Action(CREATE, name)]
    shown: Mapping[str, Value] = {} if observed is None else observed.attributes
    cold = [
        attribute
        for attribute in WRITABLE
        if attribute in desired.attributes and shown.get(attribute) != desired.attributes[attribute]
    ]
    running = observed is not None and observed.enabled
    if running and (cold or not desired.enabled):
        actions.append(Action(DISABLE, name, dev_name=observed.dev_name if observed is not None else ""))
        running = False
    for attribute in cold:
        actions.append(Action(WRITE, name, attribute, shown.get(attribute), desired.attributes[attribute]))
    actions.extend(_switch_actions(desired, shown, on=False))
    current = {} if observed is None or observed.userdata is None else dict(observed.userdata)
    if desired.userdata is not None:
        actions.extend(
            Action(REMOVE_USERDATA, name, key, current[key]) for key in current if key not in desired.userdata
        )
    actions.extend(_switch_actions(desired, shown, on=True))  # after what makes room for them
    if desired.userdata is not None:
        actions.extend(
            Action(WRITE_USERDATA, name, key, current.get(key), value)
            for key, value in desired.userdata.items()
            if current.get(key) != value
        )
    if desired.enabled and not running:
        actions.append(Action(ENABLE, name, dev_name=dev_name))
    return actions


def _removal(observed: TargetState, *, successor: str = "") -> Action:
    why = ""
    if successor:
        why = f"which the kernel made at boot: {successor} sends to this receiver now"
    elif is_boot_name(observed.name):
        why = "which is back after the next boot if a netconsole= parameter made it"
    return Action(REMOVE, observed.name, dev_name=observed.dev_name if observed.enabled else "", why=why)


def _switch_actions(desired: DesiredTarget, shown: Mapping[str, Value], *, on: bool) -> list[Action]:
    return [
        Action(WRITE, desired.name, switch, shown.get(switch), on)
        for switch in SWITCHES
        if desired.attributes.get(switch) is on
        and shown.get(switch) is not on
        and not (switch in desired.unreadable and switch in shown)
    ]


def _family_is_fixed(desired: DesiredTarget, observed: TargetState) -> bool:
    was_ipv6 = any(":" in str(observed.attributes[attribute]) for attribute in ("remote_ip", "local_ip"))
    return was_ipv6 and ":" not in str(desired.attributes.get("remote_ip", ":"))


def _predict(desired: DesiredTarget, observed: TargetState | None) -> TargetState | None:
    if not desired.present:
        return None
    attributes: dict[str, Value] = dict(KERNEL_DEFAULTS if observed is None else observed.attributes)
    attributes.update(desired.attributes)
    for switch in desired.unreadable:
        attributes[switch] = attributes.get("taskname_enabled", False)
    userdata = observed.userdata if observed is not None and desired.userdata is None else desired.userdata
    return TargetState(name=desired.name, attributes=attributes, userdata=userdata)


def siblings_may_stop(release: str) -> bool:
    """True on kernels that may have the fault: stopping one target silently stops the others on its interface.

    Fixed upstream in 6.18 and in updates of several stable kernels. No file tells, so all older ones are treated alike:
    it costs one more switch off and on.
    """
    return _version(release) < (6, 18)


def _interrupted_siblings(
    marks: Iterable[ResumeMark], states: Mapping[str, TargetState | None], *, own: Mapping[str, object]
) -> list[Action]:
    """Siblings that a run which was killed had switched off and did not come to switch on again.

    The declaration says nothing of them, so only the mark does.
    """
    names = dict.fromkeys(mark.sibling for mark in marks if mark.sibling not in own)
    found = [states.get(name) for name in names]
    return [Action(RESUME, state.name, dev_name=state.dev_name) for state in found if state and not state.enabled]


def _resumed_siblings(
    actions: Iterable[Action],
    states: Mapping[str, TargetState | None],
    *,
    own: Iterable[str],
    release: str,
    marks: Iterable[ResumeMark] = (),
) -> list[Action]:
    """One switch off and on for each interface on which a target was stopped and none was enabled after it.

    The kernel shows a sibling that it stopped as enabled. So a run that was killed between the two is only known by
    its mark, and its interfaces count as those of a stopped target.
    """
    if not siblings_may_stop(release):
        return []
    stopped = {mark.dev_name for mark in marks}
    for action in actions:
        if action.kind in (DISABLE, REMOVE) and action.dev_name:
            stopped.add(action.dev_name)
        elif action.kind in (ENABLE, RESUME):
            stopped.discard(action.dev_name)
    mine = set(own)
    resumed: list[Action] = []
    for dev_name in sorted(stopped):
        running = [
            state.name
            for state in states.values()
            if state is not None and state.enabled and state.dev_name == dev_name
        ]
        if running:
            resumed.append(Action(RESUME, min(running, key=lambda name: (name not in mine, name)), dev_name=dev_name))
    return resumed


# -- applied
# ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Applied:
    """What was done, and what the kernel shows after the run, read back."""

    after: Mapping[str, TargetState | None]
    capabilities: frozenset[str] | None
    warnings: tuple[str, ...]
    failures: Mapping[str, str] = field(default_factory=dict)  # target name -> why it is not as declared
    actions: tuple[Action, ...] = ()  # those that stay: not those of a target that was put back
    desired: tuple[DesiredTarget, ...] = ()  # with what could only be told after a device was brought up

    @property
    def changed(self) -> bool:
        return bool(self.actions)

    def diff(self, planned: Plan) -> dict[str, dict[str, object]]:
        return replace(planned, desired=self.desired or planned.desired, after=self.after).diff()


def apply(planned: Plan, *, configfs: Configfs, console: ConsoleLoglevel) -> Applied:
    """Carry out a plan, target by target.

    A target that fails is put back as it was, stands in ``failures``, and the others go on. What concerns all targets
    (configfs, module, console log level, a kernel that turns out to lack something) fails the whole: what was done of
    it is put back and the error is raised.
    """
    return _Run(planned, configfs=configfs, console=console).result()


_FOR_ALL = (MOUNT, LOAD, LOGLEVEL, PANIC)


class _Run:
    """One application of a plan."""

    def __init__(self, planned: Plan, *, configfs: Configfs, console: ConsoleLoglevel) -> None:
        self.planned, self.configfs, self.console = planned, configfs, console
        self.release = configfs.files.release()
        self.desired = {target.name: target for target in planned.desired}
        self.capabilities = planned.capabilities
        self.warnings = list(planned.warnings)
        self.failures = dict(planned.failures)
        self.after = dict(planned.before)
        self.done: list[Action] = []
        self.marks = {mark.dev_name: mark for mark in planned.marks}
        self.sourceless: set[str] = set()  # targets whose local_ip the kernel refuses, so that it chooses one itself
        self.silenced = set(self.marks)  # interfaces on which a target was stopped and none enabled since

    def result(self) -> Applied:
        try:
            applied = self._result()
        except Exception:  # everything was put back; a run that is killed does not come here, and its marks stay
            self._unmark()
            raise
        self._unmark()
        return applied

    def _result(self) -> Applied:
        self._for_all([action for action in self.planned.actions if action.kind in _FOR_ALL])
        for action in self.planned.actions:
            if action.kind == BRING_UP:
                self._bring_up(action)
        for name in list(self.desired):
            self._target(name)
        for action in self.planned.actions:
            # Of a device that is not silenced, what was to stop a target has failed.
            if action.kind == RESUME and action.dev_name in self.silenced and self._is_up(action):
                self._resume(action)
        self._nothing_came_of_it()
        return Applied(
            after=self.after,
            capabilities=self.capabilities,
            warnings=tuple(self.warnings),
            failures=self.failures,
            actions=tuple(self.done),
            desired=tuple(self.desired.values()),
        )

    # -- what concerns all targets ----------------------------------------------------------------------------------

    def _for_all(self, actions: Sequence[Action]) -> None:
        for action in actions:
            self.done.append(action)  # before the step, since a failed write may have changed the value all the same
            try:
                self._step(action)
            except (*ENGINE_ERRORS, OSError) as error:
                raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> Exception:
        """The error that ends the run, after everything was put back."""
        trouble = self._undo_for_all()
        kind = ConfigfsError if isinstance(error, OSError) else type(error)
        return kind(f"{error}{_left_over(trouble)}")

    def _undo_for_all(self) -> list[str]:
        trouble: list[str] = []
        for action in reversed([action for action in self.done if action.kind in _FOR_ALL]):
            if action.kind in (LOGLEVEL, PANIC):
                trouble.extend(self._try([replace(action, before=action.after, after=action.before)]))
            elif action.kind == LOAD:
                self.configfs.unload()
            else:
                self.configfs.unmount()
        return trouble

    def _nothing_came_of_it(self) -> None:
        """Take a module away again that was loaded for targets of which none could be made, and devices down again."""
        used = {state.dev_name for state in self.after.values() if state is not None and state.enabled}
        for action in [action for action in self.done if action.kind == BRING_UP and action.dev_name not in used]:
            self.done.remove(action)
            try:
                self.planned.network.take_down(action.dev_name)
            except DeviceError as error:
                self.warnings.append(str(error))
        loaded = [action for action in self.done if action.kind in (MOUNT, LOAD)]
        if self.failures and loaded and not self.configfs.targets():
            for action in reversed(loaded):
                self.done.remove(action)
                if action.kind == LOAD:
                    self.configfs.unload()
                else:
                    self.configfs.unmount()

    def _bring_up(self, action: Action) -> None:
        try:
            self.planned.network.bring_up(action.dev_name)
        except DeviceError as error:
            for name in self.planned.deferred:
                if self.desired[name].attributes["dev_name"] == action.dev_name:
                    self._fail(name, _sentence(error))
            return
        self.done.append(action)

    # -- one target ---------------------------------------------------------------------------------------------------

    def _target(self, name: str) -> None:
        desired = self.desired[name]
        if name in self.failures or desired.successor in self.failures:
            return  # a boot target stays while its successor does not send
        done: list[Action] = []
        try:
            actions = self._actions(name)
            self._write_unreadable(name)
            for action in actions:
                if action.kind == CREATE:
                    done.append(action)
                    self._created(self.configfs.create(name))
                    continue
                if self._lacks(action):
                    continue
                done.append(action)  # before the step: see _for_all
                if action.kind == ENABLE:
                    self._settle(name)
                self._step(action)
            self.after[name] = self._verified(name)
        except CapabilityError as error:  # known only since the first target was made: nothing else was touched yet
            trouble = self._put_back(name, done)
            raise self._refusal(CapabilityError(f"{error}{_left_over(trouble)}")) from error
        except (*ENGINE_ERRORS, OSError) as error:
            self._fail(name, _sentence(Exception(f"{error}{_left_over(self._put_back(name, done))}")))
            return
        self.done.extend(done)

    def _actions(self, name: str) -> list[Action]:
        """The planned steps of a target; those of a deferred one now that its device is up."""
        if name not in self.planned.deferred:
            return [action for action in self.planned.actions if action.target == name and action.kind != RESUME]
        was = self.planned.before.get(name)
        target, warnings = resolve(self.planned.deferred[name], self.planned.network, was)
        if self.capabilities is not None:
            target = _fit(target, self.capabilities, self.planned.missing_capability, [])
        self.warnings.extend(warnings)
        self.desired[name] = replace(target, unreadable=self.desired[name].unreadable)
        return target_actions(self.desired[name], was)

    def _created(self, state: TargetState) -> None:
        """A first target shows what this kernel offers: no target may ask for more."""
        if self.capabilities is not None:
            return
        self.capabilities = features(state)
        for name, desired in self.desired.items():
            self.desired[name] = _fit(desired, self.capabilities, self.planned.missing_capability, self.warnings)

    def _lacks(self, action: Action) -> bool:
        """Whether a step is about a feature that this kernel turned out not to have."""
        if self.capabilities is None:
            return False
        item = "userdata" if action.kind in (WRITE_USERDATA, REMOVE_USERDATA) else action.item
        return item in OPTIONAL_FEATURES and item not in self.capabilities

    def _write_unreadable(self, name: str) -> None:
        """Switches whose state cannot be read, of a target that is there already: writing them again does no harm."""
        desired = self.desired[name]
        if self.planned.before.get(name) is None:
            return
        for switch in desired.unreadable:
            if switch in desired.attributes:
                self.configfs.write(name, switch, desired.attributes[switch])

    def _settle(self, name: str) -> None:
        """Before a target is enabled it must hold what is wanted, or the first messages would go astray.

        What the kernel let go when the target was disabled is written again: targets that were bound to a MAC address
        at boot forget dev_name then (7.0 and newer), and an address written first is read anew with the other one.
        """
        left = {"local_ip"} if name in self.sourceless else set()
        cold = {
            attribute: value
            for attribute, value in self.desired[name].attributes.items()
            if attribute in WRITABLE and attribute not in left
        }
        state = self.configfs.target(name)
        lost = [] if state is None else [item for item in cold if state.attributes.get(item) != cold[item]]
        if not lost:
            return
        if any(item in ADDRESSES for item in lost):
            lost.extend(item for item in ADDRESSES if item in cold and item not in lost)
        for item in WRITABLE:
            if item in lost:
                self._write(name, item, cold[item])
        self.configfs.verify(name, attributes=cold)

    def _verified(self, name: str) -> TargetState | None:
        """Read one target back and make sure that it is what was wanted."""
        desired, state = self.desired[name], self.configfs.target(name)
        if not desired.present:
            if state is not None:
                raise ConfigfsError(
                    f"target {name} is there again right after it was removed: something else on this host makes it"
                )
            return None
        source = desired.attributes.get("local_ip")
        if name in self.sourceless and state is not None and state.attributes["local_ip"] != source:
            raise ConfigfsError(
                f"target {name}: this kernel takes no local_ip of more than 15 characters, and chose "
                f"{state.attributes['local_ip']} instead of {source} itself: give the target as a boot parameter "
                "(early), which can name it, or use a kernel without this fault"
            )
        unreadable = desired.unreadable
        wanted = {attribute: value for attribute, value in desired.attributes.items() if attribute not in unreadable}
        return self.configfs.verify(name, attributes=wanted, userdata=desired.userdata, state=state)

    def _fail(self, name: str, reason: str) -> None:
        self.failures[name] = reason
        try:
            self.after[name] = self.configfs.target(name)
        except OSError:
            pass  # it was put back, so it is what it was

    def _put_back(self, name: str, done: Sequence[Action]) -> list[str]:
        """Undo what was done of one target, by the same comparison that makes a plan. Returns what could not be."""
        was = _as_it_was(name, self.planned.before.get(name), self.desired[name].unreadable)
        try:
            actions = target_actions(was, self.configfs.target(name))
        except OSError as error:
            return [str(error)]
        trouble = self._try(actions)
        siblings = _resumed_siblings([*done, *actions], self.configfs.targets(), own=(), release=self.release)
        return [*trouble, *self._try([action for action in siblings if self._is_up(action)])]

    def _is_up(self, action: Action) -> bool:
        return self.planned.network.is_up(action.dev_name)

    def _resume(self, action: Action) -> None:
        """Switch a sibling off and on again. It is not this run's to lose, so a failing step is tried once more."""
        self.done.append(action)
        self._mark(action)
        try:
            self._step(action)
        except (ConfigfsError, OSError):
            try:
                if self.configfs.target(action.target) is not None:
                    self._step(action)
            except (ConfigfsError, OSError) as error:
                self._fail(action.target, _sentence(error))

    # -- steps --------------------------------------------------------------------------------------------------------

    def _try(self, actions: Sequence[Action]) -> list[str]:
        for action in actions:
            try:
                self._step(action)
            except (*ENGINE_ERRORS, OSError) as error:
                return [str(error)]
        return []

    def _mark(self, action: Action) -> None:
        """Before a step that may silence siblings: one of them has to be switched off and on, by whatever run."""
        if not siblings_may_stop(self.release):
            return
        self.silenced.add(action.dev_name)
        if action.dev_name in self.marks:
            return
        running = [
            state.name
            for state in self.configfs.targets().values()
            if state.enabled and state.dev_name == action.dev_name and state.name != action.target
        ]
        if running:
            chosen = {planned.target for planned in self.planned.actions if planned.kind == RESUME}
            goes = {name for name, desired in self.desired.items() if not desired.present}
            sibling = min(running, key=lambda name: (name not in chosen, name in goes, name))
            self.marks[action.dev_name] = ResumeMark(action.dev_name, sibling)
            self.configfs.mark(self.marks[action.dev_name])

    def _unmark(self) -> None:
        """The marks of interfaces whose targets send go; with one that could not be brought back, the mark stays."""
        marks = {*self.marks.values(), *self.planned.marks}
        running = {state.dev_name for state in self.configfs.targets().values() if state.enabled} if marks else set()
        for mark in marks:
            if not (mark.dev_name in self.silenced and (mark.dev_name in running or mark.sibling in self.failures)):
                self.configfs.unmark(mark)

    def _step(self, action: Action) -> None:
        if action.kind in (DISABLE, REMOVE) and action.dev_name:
            self._mark(action)
        self._do(action)
        if action.kind in (ENABLE, RESUME):
            self.silenced.discard(action.dev_name)

    def _do(self, action: Action) -> None:
        configfs, after = self.configfs, action.after
        whole_target = {CREATE: configfs.create, REMOVE: configfs.remove, DISABLE: configfs.disable}
        if action.kind in whole_target:
            whole_target[action.kind](action.target)
        elif action.kind == MOUNT:
            configfs.mount()
        elif action.kind == LOAD:
            self._load(action)
        elif action.kind == ENABLE:
            self._enable(action)
        elif action.kind == RESUME:
            state = configfs.target(action.target)
            if state is None or state.enabled:
                configfs.disable(action.target)
            configfs.enable(action.target, dev_name=action.dev_name)
        elif action.kind == WRITE and after is not None:
            self._write(action.target, action.item, after)
        elif action.kind == WRITE_USERDATA:
            configfs.write_userdata(action.target, action.item, str(after))
        elif action.kind == REMOVE_USERDATA:
            configfs.remove_userdata(action.target, action.item)
        elif action.kind == LOGLEVEL and isinstance(after, int):
            self.console.write(after)
        elif action.kind == PANIC and isinstance(after, int):
            write_panic_timeout(configfs.files, after)
        else:
            raise ValueError(f"no such step: {action!r}")

    def _write(self, name: str, item: str, value: Value) -> None:
        """Ubuntu's 6.8.0-136 and later check the length of local_ip as if it were dev_name."""
        try:
            self.configfs.write(name, item, value)
        except ConfigfsError as error:
            cause = error.__cause__
            if item != "local_ip" or not isinstance(cause, OSError) or cause.errno != errno.ENAMETOOLONG:
                raise
            self.configfs.write(name, item, "::")
            self.sourceless.add(name)

    def _enable(self, action: Action) -> None:
        """The kernel would bring up a device that went down meanwhile."""
        if not self._is_up(action):
            raise DeviceDownError(action.dev_name)
        self.configfs.enable(action.target, dev_name=action.dev_name)

    def _load(self, action: Action) -> None:
        self.configfs.load(*([action.item] if action.item else []))
        if not self.configfs.ready():
            raise ConfigfsError(
                "netconsole was loaded but offers no directory in configfs: this kernel was built without "
                "CONFIG_NETCONSOLE_DYNAMIC, "
                "so its targets can only be given as a module or boot parameter"
            )


def _left_over(trouble: Sequence[str]) -> str:
    return f". What could not be put back as it was: {'; '.join(trouble)}" if trouble else ""


def _as_it_was(name: str, state: TargetState | None, unreadable: frozenset[str]) -> DesiredTarget:
    if state is None:
        return DesiredTarget(name=name, present=False)
    writable = {
        attribute: value
        for attribute, value in state.attributes.items()
        if (attribute in WRITABLE or attribute in SWITCHES or attribute == "enabled") and attribute not in unreadable
    }
    return DesiredTarget(name=name, present=True, attributes=writable, userdata=state.userdata, unreadable=unreadable)
