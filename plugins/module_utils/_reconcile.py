# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Desired + observed -> plan -> applied: the one function that makes a sender's kernel match its declaration.

1. ``Declaration`` (``_declaration``) is what somebody wrote down.
2. ``resolve`` fills in what was left out (interface, source address, next hop's MAC) from the host's own routing.
3. ``plan`` compares with what the kernel shows and lists every step. It changes nothing: it is what check mode shows.
4. ``apply`` carries the steps out, reads back, and on a failure puts everything that it touched back as it was.

Who needs the plan: the modules ``target`` and ``sender`` (the watcher on the host will be the third).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Callable, Iterable, Mapping, Sequence

from ._address import BROADCAST_MAC, AddressError, normalize_ip
from ._configfs import (
    SWITCHES,
    WRITABLE,
    Configfs,
    ConfigfsError,
    ConsoleLoglevel,
    TargetState,
    Value,
)
from ._declaration import Declaration, DeclarationError, DeclaredTarget
from ._device import DeviceError, check_device
from ._next_hop import NextHop, NextHopError, resolve_next_hop, resolve_remote_ip

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


# Everything that the engine raises on purpose. The message of each is complete: cause and way out.
ENGINE_ERRORS = (AddressError, CapabilityError, ConfigfsError, DeclarationError, DeviceError, NextHopError)


@dataclass(frozen=True)
class DesiredTarget:
    """A declared target with everything resolved: what the kernel shall show afterwards."""

    name: str
    present: bool
    attributes: Mapping[str, Value] = field(default_factory=dict)  # writable attributes, switches and ``enabled``
    userdata: Mapping[str, str] | None = None
    next_hop: NextHop | None = None

    @property
    def enabled(self) -> bool:
        return bool(self.attributes["enabled"])


@dataclass(frozen=True)
class Network:
    """The host's network as the engine asks it. Tests put tables in its place."""

    remote_ip: Callable[..., str] = resolve_remote_ip
    next_hop: Callable[..., NextHop] = resolve_next_hop
    device_warnings: Callable[[str], Sequence[str]] = lambda dev_name: check_device(dev_name).warnings


def resolve(declared: DeclaredTarget, network: Network) -> tuple[DesiredTarget, list[str]]:
    """Fill in what was not given from the host's routing, and check that the kernel will be able to send.

    Returns warnings too.
    """
    if not declared.present:
        return DesiredTarget(name=declared.name, present=False), []
    family = None
    if declared.local_ip is not None:
        family = 6 if ":" in normalize_ip(declared.local_ip) else 4
    remote_ip = network.remote_ip(str(declared.remote_ip), family=family)
    hop = network.next_hop(
        remote_ip, dev_name=declared.dev_name, local_ip=declared.local_ip, remote_mac=declared.remote_mac
    )
    warnings: list[str] = []
    if declared.enabled:
        warnings.extend(network.device_warnings(hop.dev_name))
    if hop.remote_mac == BROADCAST_MAC:
        warnings.append(
            f"target {declared.name}: remote_mac is the broadcast address: every host on the segment of "
            f"{hop.dev_name} can read this host's kernel messages"
        )
    attributes: dict[str, Value] = {
        "dev_name": hop.dev_name,
        "remote_ip": hop.remote_ip,
        "local_ip": hop.local_ip,
        "remote_port": declared.remote_port,
        "local_port": declared.local_port,
        "remote_mac": hop.remote_mac,
        "extended": True if declared.extended is None else declared.extended,
        "enabled": declared.enabled,
    }
    if declared.release is not None:
        attributes["release"] = declared.release
    attributes.update(declared.switches)
    return DesiredTarget(
        name=declared.name, present=True, attributes=attributes, userdata=declared.userdata, next_hop=hop
    ), warnings


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


OPTIONAL_FEATURES = ("extended", "release", "userdata", *SWITCHES, "transmit_errors")


def features(state: TargetState) -> frozenset[str]:
    """What this kernel's targets offer beyond what every kernel has. Read from the files of one target."""
    found = {name for name in OPTIONAL_FEATURES if name in state.attributes}
    return frozenset(found | ({"userdata"} if state.userdata is not None else set()))


# -- the plan
# -----------------------------------------------------------------------------------------------------------

MOUNT, LOAD, CREATE, REMOVE, DISABLE, ENABLE = "mount", "load", "create", "remove", "disable", "enable"
WRITE, WRITE_USERDATA, REMOVE_USERDATA, LOGLEVEL, RESUME = (
    "write",
    "write userdata",
    "remove userdata",
    "console_loglevel",
    "resume",
)


@dataclass(frozen=True)
class Action:
    """One step. ``before`` and ``after`` are the values of ``item`` (an attribute or a user-data key)."""

    kind: str
    target: str = ""
    item: str = ""
    before: Value | None = None
    after: Value | None = None
    dev_name: str = ""

    def __str__(self) -> str:
        if self.kind == MOUNT:
            return "mount configfs"
        if self.kind == LOAD:
            return "load module netconsole"
        if self.kind == LOGLEVEL:
            return f"set console_loglevel from {self.before} to {self.after}"
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

    ``after`` is what the kernel will show as far as it can be told beforehand.
    """

    actions: tuple[Action, ...]
    desired: tuple[DesiredTarget, ...]
    before: Mapping[str, TargetState | None]
    after: Mapping[str, TargetState | None]
    console_loglevel: tuple[int, int] | None  # before, after
    capabilities: frozenset[str] | None  # None: not known before a first target exists
    warnings: tuple[str, ...]
    missing_capability: str = "error"
    failures: Mapping[str, str] = field(default_factory=dict)  # target name -> why it stays as it is

    @property
    def changed(self) -> bool:
        return bool(self.actions)

    def diff(self) -> dict[str, dict[str, object]]:
        """Before and after, of exactly what is declared: by target name, plus console_loglevel."""
        before: dict[str, object] = {}
        after: dict[str, object] = {}
        for desired in self.desired:
            before[desired.name] = _declared_part(self.before[desired.name], desired)
            after[desired.name] = _declared_part(self.after[desired.name], desired)
        if self.console_loglevel is not None:
            before["console_loglevel"], after["console_loglevel"] = self.console_loglevel
        return {"before": before, "after": after}


def _declared_part(state: TargetState | None, desired: DesiredTarget) -> dict[str, object] | None:
    if state is None:
        return None
    names = [*WRITABLE, *SWITCHES, "enabled"]
    part: dict[str, object] = {
        name: state.attributes[name]
        for name in names
        if name in state.attributes and (name in desired.attributes or not desired.present)
    }
    if state.userdata is not None and (desired.userdata is not None or not desired.present):
        part["userdata"] = dict(state.userdata)
    return part


def plan(declaration: Declaration, *, configfs: Configfs, console: ConsoleLoglevel, network: Network) -> Plan:
    """Compare the declaration with this host, list the steps.

    Changes nothing (a neighbour lookup may fill the neighbour cache).
    """
    warnings: list[str] = []
    desired: list[DesiredTarget] = []
    for declared in declaration.targets:
        target, found = resolve(declared, network)
        desired.append(target)
        warnings.extend(found)

    actions: list[Action] = []
    observed = configfs.targets()
    if not configfs.ready() and any(target.present for target in desired):
        actions.extend(_preparation(configfs))
    capabilities = next((features(state) for state in observed.values()), None)
    if capabilities is not None:
        desired = [_fit(target, capabilities, declaration.missing_capability, warnings) for target in desired]

    # First what goes, then what comes: whatever is enabled last on an interface brings its stopped siblings back to
    # life.
    for target in sorted(desired, key=lambda wanted: wanted.present):
        actions.extend(target_actions(target, observed.get(target.name)))
    after: dict[str, TargetState | None] = {
        target.name: _predict(target, observed.get(target.name)) for target in desired
    }
    actions.extend(_resumed_siblings(actions, {**observed, **after}, own=after, release=configfs.files.release()))

    loglevel: tuple[int, int] | None = None
    if declaration.console_loglevel is not None:
        loglevel = (console.read(), declaration.console_loglevel)
        if loglevel[0] != loglevel[1]:
            actions.append(Action(LOGLEVEL, before=loglevel[0], after=loglevel[1]))
    return Plan(
        actions=tuple(actions),
        desired=tuple(desired),
        before={target.name: observed.get(target.name) for target in desired},
        after=after,
        console_loglevel=loglevel,
        capabilities=capabilities,
        warnings=tuple(warnings),
        missing_capability=declaration.missing_capability,
    )


def _preparation(configfs: Configfs) -> list[Action]:
    if configfs.mounted() and configfs.loaded():
        raise ConfigfsError(
            "netconsole is loaded but offers no directory in configfs: this kernel was built without "
            "CONFIG_NETCONSOLE_DYNAMIC, "
            "so its targets can only be given as a module or boot parameter"
        )
    actions = [] if configfs.mounted() else [Action(MOUNT)]
    if not configfs.loaded():
        configfs.load(dry_run=True)
        actions.append(Action(LOAD))
    return actions


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


def target_actions(desired: DesiredTarget, observed: TargetState | None) -> list[Action]:
    """The steps from what the kernel shows of one target to what is wanted. No steps: nothing to change."""
    name = desired.name
    if not desired.present:
        return (
            [] if observed is None else [Action(REMOVE, name, dev_name=observed.dev_name if observed.enabled else "")]
        )
    dev_name = str(desired.attributes["dev_name"])
    if observed is not None and _family_is_fixed(desired, observed):
        # Kernels up to 6.17 never let go of IPv6: only a new target can be IPv4 again. What was not declared moves
        # over.
        kept = dict(observed.attributes)
        moved = replace(
            desired,
            attributes={
                **{attribute: kept[attribute] for attribute in ("release", *SWITCHES) if attribute in kept},
                **desired.attributes,
            },
            userdata=observed.userdata if desired.userdata is None else desired.userdata,
        )
        return [
            Action(REMOVE, name, dev_name=observed.dev_name if observed.enabled else ""),
            *target_actions(moved, None),
        ]

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
    for switch in SWITCHES:
        if switch in desired.attributes and shown.get(switch) != desired.attributes[switch]:
            actions.append(Action(WRITE, name, switch, shown.get(switch), desired.attributes[switch]))
    if desired.userdata is not None:
        current = {} if observed is None or observed.userdata is None else dict(observed.userdata)
        actions.extend(
            Action(REMOVE_USERDATA, name, key, current[key]) for key in current if key not in desired.userdata
        )
        actions.extend(
            Action(WRITE_USERDATA, name, key, current.get(key), value)
            for key, value in desired.userdata.items()
            if current.get(key) != value
        )
    if desired.enabled and not running:
        actions.append(Action(ENABLE, name, dev_name=dev_name))
    return actions


def _family_is_fixed(desired: DesiredTarget, observed: TargetState) -> bool:
    was_ipv6 = any(":" in str(observed.attributes[attribute]) for attribute in ("remote_ip", "local_ip"))
    return was_ipv6 and ":" not in str(desired.attributes["remote_ip"])


def _predict(desired: DesiredTarget, observed: TargetState | None) -> TargetState | None:
    if not desired.present:
        return None
    attributes: dict[str, Value] = dict(KERNEL_DEFAULTS if observed is None else observed.attributes)
    attributes.update(desired.attributes)
    userdata = observed.userdata if observed is not None and desired.userdata is None else desired.userdata
    return TargetState(name=desired.name, attributes=attributes, userdata=userdata)


def siblings_may_stop(release: str) -> bool:
    """True on kernels that may have the fault: stopping one target silently stops the others on its interface.

    Fixed upstream in 6.18 and in updates of several stable kernels. No file tells, so all older ones are treated alike:
    it costs one more switch off and on.
    """
    numbers = release.split("-")[0].split(".")
    return (int(numbers[0]), int("".join(c for c in numbers[1] if c.isdigit()))) < (6, 18)


def _resumed_siblings(
    actions: Sequence[Action], states: Mapping[str, TargetState | None], *, own: Iterable[str], release: str
) -> list[Action]:
    """One switch off and on for each interface on which a target was stopped and none was enabled after it."""
    if not siblings_may_stop(release):
        return []
    stopped: set[str] = set()
    for action in actions:
        if action.kind in (DISABLE, REMOVE) and action.dev_name:
            stopped.add(action.dev_name)
        elif action.kind == ENABLE:
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
    """What the kernel shows after the run, read back."""

    after: Mapping[str, TargetState | None]
    capabilities: frozenset[str] | None
    warnings: tuple[str, ...]
    failures: Mapping[str, str] = field(default_factory=dict)  # target name -> why it is not as declared

    def diff(self, planned: Plan) -> dict[str, dict[str, object]]:
        return replace(planned, after=self.after).diff()


def apply(planned: Plan, *, configfs: Configfs, console: ConsoleLoglevel) -> Applied:
    """Carry out a plan. When a step fails, everything touched is put back as it was, and the error says so."""
    done: list[Action] = []
    try:
        warnings = _carry_out(planned, done, configfs=configfs, console=console)
        after = {desired.name: _verified(desired, configfs, planned) for desired in planned.desired}
    except (*ENGINE_ERRORS, OSError) as error:
        trouble = _put_back(planned, done, configfs=configfs, console=console)
        kind = ConfigfsError if isinstance(error, OSError) else type(error)
        left = f". What could not be put back as it was: {'; '.join(trouble)}" if trouble else ""
        raise kind(f"{error}{left}") from error
    capabilities = planned.capabilities
    for state in after.values():
        capabilities = capabilities if state is None else features(state)
    return Applied(after=after, capabilities=capabilities, warnings=(*planned.warnings, *warnings))


def _carry_out(planned: Plan, done: list[Action], *, configfs: Configfs, console: ConsoleLoglevel) -> list[str]:
    warnings: list[str] = []
    desired = {target.name: target for target in planned.desired}
    lacking: dict[str, frozenset[str]] = {}
    for action in planned.actions:
        done.append(action)  # before the step, since a failed write may have changed the value all the same
        if action.kind == CREATE:
            offered = features(configfs.create(action.target))
            _fit(desired[action.target], offered, planned.missing_capability, warnings)
            lacking[action.target] = frozenset(OPTIONAL_FEATURES) - offered
            continue
        gone = lacking.get(action.target, frozenset())
        if action.item in gone or (action.kind == WRITE_USERDATA and "userdata" in gone):
            continue
        if action.kind == ENABLE:
            _verify_cold(desired[action.target], configfs, gone)
        _step(action, configfs=configfs, console=console)
    return warnings


def _step(action: Action, *, configfs: Configfs, console: ConsoleLoglevel) -> None:
    if action.kind == MOUNT:
        configfs.mount()
    elif action.kind == LOAD:
        configfs.load()
        if not configfs.ready():
            raise ConfigfsError(
                "netconsole was loaded but offers no directory in configfs: this kernel was built without "
                "CONFIG_NETCONSOLE_DYNAMIC, "
                "so its targets can only be given as a module or boot parameter"
            )
    elif action.kind == REMOVE:
        configfs.remove(action.target)
    elif action.kind == DISABLE:
        configfs.disable(action.target)
    elif action.kind == ENABLE:
        configfs.enable(action.target, dev_name=action.dev_name)
    elif action.kind == RESUME:
        configfs.disable(action.target)
        configfs.enable(action.target, dev_name=action.dev_name)
    elif action.kind == WRITE and action.after is not None:
        configfs.write(action.target, action.item, action.after)
    elif action.kind == WRITE_USERDATA:
        configfs.write_userdata(action.target, action.item, str(action.after))
    elif action.kind == REMOVE_USERDATA:
        configfs.remove_userdata(action.target, action.item)
    elif action.kind == LOGLEVEL and isinstance(action.after, int):
        console.write(action.after)
    else:
        raise ValueError(f"no such step: {action!r}")


def _verify_cold(desired: DesiredTarget, configfs: Configfs, lacking: frozenset[str]) -> None:
    """Before a target is enabled: it must hold what was written, or the first messages would go astray."""
    cold = {name: value for name, value in desired.attributes.items() if name in WRITABLE and name not in lacking}
    configfs.verify(desired.name, attributes=cold)


def _verified(desired: DesiredTarget, configfs: Configfs, planned: Plan) -> TargetState | None:
    """Read one target back, at the very end, and make sure that it is what was wanted."""
    state = configfs.target(desired.name)
    if not desired.present:
        if state is not None:
            raise ConfigfsError(
                f"target {desired.name} is there again right after it was removed: something else on this host makes it"
            )
        return None
    if state is None:
        raise ConfigfsError(
            f"target {desired.name} vanished while it was being changed: something else on this host removes "
            "netconsole targets"
        )
    fitted = _fit(desired, features(state), planned.missing_capability, [])
    return configfs.verify(desired.name, attributes=fitted.attributes, userdata=fitted.userdata)


def _put_back(planned: Plan, done: Sequence[Action], *, configfs: Configfs, console: ConsoleLoglevel) -> list[str]:
    """Undo, newest target first, by the same comparison that makes a plan. Returns what could not be undone."""
    trouble: list[str] = []
    undone: list[Action] = []
    for name in reversed(list(dict.fromkeys(action.target for action in done if action.target))):
        was = planned.before.get(name)
        if name not in planned.before:
            continue  # a sibling that was only switched off and on
        actions = target_actions(_as_it_was(name, was), configfs.target(name) if configfs.ready() else None)
        undone.extend(actions)
        trouble.extend(_try(actions, configfs=configfs, console=console))
    states = configfs.targets()
    trouble.extend(
        _try(
            _resumed_siblings(undone, states, own=(), release=configfs.files.release()),
            configfs=configfs,
            console=console,
        )
    )
    if any(action.kind == LOGLEVEL for action in done) and planned.console_loglevel is not None:
        trouble.extend(_try([Action(LOGLEVEL, after=planned.console_loglevel[0])], configfs=configfs, console=console))
    if any(action.kind == LOAD for action in done):
        configfs.unload()
    if any(action.kind == MOUNT for action in done):
        configfs.unmount()
    return trouble


def _as_it_was(name: str, state: TargetState | None) -> DesiredTarget:
    if state is None:
        return DesiredTarget(name=name, present=False)
    writable = {
        attribute: value
        for attribute, value in state.attributes.items()
        if attribute in WRITABLE or attribute in SWITCHES or attribute == "enabled"
    }
    return DesiredTarget(name=name, present=True, attributes=writable, userdata=state.userdata)


def _try(actions: Sequence[Action], *, configfs: Configfs, console: ConsoleLoglevel) -> list[str]:
    for action in actions:
        try:
            if action.kind == CREATE:
                configfs.create(action.target)
            else:
                _step(action, configfs=configfs, console=console)
        except (*ENGINE_ERRORS, OSError) as error:
            return [str(error)]
    return []
