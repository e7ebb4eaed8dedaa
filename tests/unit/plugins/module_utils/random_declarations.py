# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random declarations on random hosts, and what has to come of each: the same for a seed on every Python.

A case is raw steps in configfs, which make the state that a run finds, and options of the module ``sender``. So the
same case runs on the model of a kernel (test__properties) and on a real one (Molecule scenario ``kernels``).
What is expected is worked out here from the options alone, not by the engine's own comparison.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Mapping, Sequence

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import (
    ROOT,
    SWITCHES,
    Configfs,
    ConsoleLoglevel,
    Files,
    TargetState,
    Value,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._declaration import declaration_from_options
from ansible_collections.fleet.netconsole.plugins.module_utils._desired import Network
from ansible_collections.fleet.netconsole.plugins.module_utils._next_hop import NextHop, NextHopError
from ansible_collections.fleet.netconsole.plugins.module_utils._reconcile import (
    ENGINE_ERRORS,
    Applied,
    Plan,
    apply,
    features,
    plan,
)

NEIGHBOUR_MAC = "52:54:00:00:00:fe"  # of every receiver
BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"
GONE = "gone0"  # an interface that no host has


@dataclass(frozen=True)
class Device:
    """An interface, its own addresses (IPv4, IPv6), and receivers on its segment."""

    name: str
    addresses: tuple[str, str]
    receivers: tuple[str, ...]

    def own(self, receiver: str) -> str:
        return self.addresses[":" in receiver]


DEVICES = (
    Device("nc0", ("203.0.113.15", "2001:db8:a::15"), ("203.0.113.10", "203.0.113.11", "2001:db8:a::10")),
    Device("nc1", ("203.0.113.143", "2001:db8:b::15"), ("203.0.113.138", "2001:db8:b::10", "2001:db8:b::11")),
)
DEVICE_OF = {receiver: device for device in DEVICES for receiver in device.receivers}


def next_hop(
    remote_ip: str, *, dev_name: str | None = None, local_ip: str | None = None, remote_mac: str | None = None
) -> NextHop:
    if dev_name == GONE:
        raise NextHopError(f"there is no interface {GONE} on this host")
    device = DEVICE_OF[remote_ip]
    mac = BROADCAST_MAC if remote_mac == "broadcast" else (remote_mac or NEIGHBOUR_MAC).lower()
    return NextHop(remote_ip, device.name, local_ip or device.own(remote_ip), mac, None)


# A host whose routing leads to each receiver by its own device, without asking anybody.
NETWORK = Network(
    remote_ip=lambda text, family=None: text,
    next_hop=next_hop,
    device_warnings=lambda dev_name: [],
    equal_next_hops=lambda hop: [],
)


@dataclass(frozen=True)
class Offer:
    """What a kernel has beyond what every kernel has."""

    release: bool = False
    userdata_keys: int = 0
    switches: bool = False
    boot_targets: bool = False  # visible, and a dead one does not keep the module from being loaded
    late_panic: bool = False  # sends nothing of a panic unless kernel.panic is 0
    siblings_stop: bool = False  # one target that is stopped silences the others on its interface

    @property
    def switches_take_places(self) -> bool:
        return self.userdata_keys == 16


# -- a case
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    """A target that is there already, made by an earlier run, by another hand, or by half."""

    name: str
    writes: Mapping[str, str]
    userdata: Mapping[str, str] = field(default_factory=dict)
    enabled: bool = False

    def make(self, files: Files) -> None:
        path = f"{ROOT}/{self.name}"
        files.make_directory(path)
        for attribute, text in self.writes.items():
            folder = f"{path}/userdata" if attribute in SWITCHES else path
            files.write(f"{folder}/{attribute}", f"{text}\n")
        for key, value in self.userdata.items():
            files.make_directory(f"{path}/userdata/{key}")
            files.write(f"{path}/userdata/{key}/value", f"{value}\n")
        if self.enabled:
            files.write(f"{path}/enabled", "1\n")


@dataclass(frozen=True)
class BootStart:
    """A target of the module's parameter. On an interface that is not there it is made all the same, and dead."""

    device: str
    local_ip: str
    local_port: int
    remote_ip: str
    remote_port: int
    extended: bool

    @property
    def enabled(self) -> bool:
        return self.device != GONE

    def __str__(self) -> str:
        plus = "+" if self.extended else ""
        source, receiver = f"{self.local_port}@{self.local_ip}", f"{self.remote_port}@{self.remote_ip}"
        return f"{plus}{source}/{self.device},{receiver}/{NEIGHBOUR_MAC}"


@dataclass(frozen=True)
class Case:
    """One declaration, and the host that it meets."""

    seed: str
    options: Mapping[str, Any]
    start: tuple[Start, ...] = ()
    boot: tuple[BootStart, ...] = ()
    console_loglevel: int = 7
    panic_timeout: int = 0

    def make(self, files: Files) -> None:
        """Bring the targets into configfs; those of the boot parameter are there already."""
        for start in self.start:
            start.make(files)


OWN_NAMES = ("log1", "log2", "log3", "log4")
FOREIGN_NAMES = ("theirs", "by hand", "192.0.2.77")
KEYS = ("rack", "role", "zone", "owner", "serial")
VALUES = ("a", "b c", "", "Zürich", "x" * 198, "k=v", "\\", "0")


def random_case(seed: str, offer: Offer) -> Case:
    source = random.Random(seed)
    start = tuple(
        _random_start(source, name, offer)
        for name in source.sample(OWN_NAMES + FOREIGN_NAMES, k=source.choice((0, 1, 2, 3, 5)))
    )
    boot = tuple(_random_boot(source) for _one in range(source.choice((0, 0, 1, 2)) if offer.boot_targets else 0))
    greedy = source.random() < 0.1  # asks for more than this kernel may have
    names = source.sample(OWN_NAMES, k=source.choice((0, 1, 1, 2, 3, 4)))
    options: dict[str, Any] = {"targets": [_random_target(source, name, offer, greedy=greedy) for name in names]}
    if source.random() < 0.3:
        options["purge"] = True
    if source.random() < 0.4:
        options["console_loglevel"] = source.randint(1, 8)
    if source.random() < 0.5:
        options["missing_capability"] = source.choice(("error", "warn"))
    if source.random() < 0.3 and (offer.userdata_keys or greedy):
        options["userdata"] = _random_userdata(source)
    if source.random() < 0.4:
        options["panic_capture"] = source.choice(("warn", "set", "require"))
    return Case(
        seed=seed,
        options=options,
        start=start,
        boot=boot,
        console_loglevel=source.randint(1, 8),
        panic_timeout=source.choice((0, 10)),
    )


def _random_userdata(source: random.Random) -> dict[str, str]:
    return {key: source.choice(VALUES) for key in source.sample(KEYS, k=source.randint(0, len(KEYS)))}


def _random_start(source: random.Random, name: str, offer: Offer) -> Start:
    device = source.choice(DEVICES)
    receiver = source.choice(device.receivers)
    extended = source.random() < 0.7
    writes = {
        "dev_name": device.name,
        "remote_ip": receiver,
        "local_ip": device.own(receiver),
        "remote_port": str(source.choice((514, 6666, 6667))),
        "local_port": str(source.choice((6665, 1))),
        "remote_mac": source.choice((NEIGHBOUR_MAC, BROADCAST_MAC)),
        "extended": str(int(extended)),
    }
    if offer.release:
        writes["release"] = str(int(extended and source.random() < 0.3))
    if source.random() < 0.3:  # left off in the middle
        kept = source.sample(sorted(writes), k=source.randint(0, len(writes) - 1))
        if "extended" not in kept:
            kept = [attribute for attribute in kept if attribute != "release"]
        return Start(name, {attribute: text for attribute, text in writes.items() if attribute in kept})
    userdata = _random_userdata(source) if offer.userdata_keys and source.random() < 0.5 else {}
    if offer.switches and source.random() < 0.5:
        writes.update((switch, str(source.randint(0, 1))) for switch in SWITCHES)
    return Start(name, writes, userdata, enabled=source.random() < 0.8)


def _random_boot(source: random.Random) -> BootStart:
    device = source.choice(DEVICES)
    receiver = source.choice(device.receivers)
    return BootStart(
        device=GONE if source.random() < 0.2 else device.name,
        local_ip=device.own(receiver),
        local_port=source.choice((6665, 1)),
        remote_ip=receiver,
        remote_port=source.choice((514, 6666, 6667)),
        extended=source.random() < 0.5,
    )


def _random_target(source: random.Random, name: str, offer: Offer, *, greedy: bool) -> dict[str, Any]:
    """One target's options. An option that is left out means: not given."""
    if source.random() < 0.2:
        return {"name": name, "state": "absent"}
    device = source.choice(DEVICES)
    receiver = source.choice(device.receivers)
    options: dict[str, Any] = {"name": name, "remote_ip": receiver}

    def maybe(option: str, *choices: Any, chance: float = 0.5) -> None:
        if source.random() < chance:
            options[option] = source.choice(choices)

    maybe("remote_port", 514, 6666, 6667)
    maybe("local_port", 6665, 1)
    maybe("dev_name", device.name, "auto")
    maybe("local_ip", device.own(receiver), chance=0.3)
    maybe("remote_mac", "broadcast", "52:54:00:AA:bb:cc", NEIGHBOUR_MAC, chance=0.4)
    maybe("enabled", True, False, chance=0.4)
    maybe("extended", "auto", "true", "false")
    if source.random() < 0.12:
        return {**options, "dev_name": GONE}  # plain otherwise: it is the device that fails it
    if offer.release or greedy:
        maybe("release", False, *([True] if options.get("extended") != "false" else []), chance=0.4)
    if offer.userdata_keys or greedy:
        if source.random() < 0.5:
            options["userdata"] = _random_userdata(source)
        elif greedy and source.random() < 0.5:
            options["userdata"] = {f"key{number}": "" for number in range((offer.userdata_keys or 16) + 1)}
    if offer.switches or greedy:
        for switch in SWITCHES:
            maybe(switch, True, False, chance=0.3)
    return options


# -- what has to come of it
# -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """``refused``: nothing is touched. ``failing`` targets stay as they are, so do all that are named nowhere here."""

    refused: bool = False
    failing: frozenset[str] = frozenset()
    present: Mapping[str, TargetState] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    console_loglevel: int = 7
    panic_timeout: int = 0
    foretold: bool = True  # False: what the kernel lacks only shows when the first target is made


def expect(case: Case, offer: Offer, before: Mapping[str, TargetState]) -> Expected:
    """What has to come of a case; ``before`` are all targets that can be seen, attached boot targets among them."""
    options = case.options
    targets = [_with_shared(target, options.get("userdata")) for target in options["targets"]]
    there = [target for target in targets if target.get("state") != "absent"]
    sending = any(target.get("enabled", True) for target in there)
    lacking = {target["name"]: _lacks(target, offer) for target in there}
    too_late = offer.late_panic and case.panic_timeout != 0 and sending
    if (
        (any(lacking.values()) and options.get("missing_capability", "error") == "error")
        or any(_too_many(target, offer, before.get(target["name"])) for target in there)
        or (too_late and options.get("panic_capture") == "require")
    ):
        return Expected(refused=True)
    failing = frozenset(target["name"] for target in there if target.get("dev_name") == GONE)
    present = {
        target["name"]: _expected_state(target, offer, before.get(target["name"]))
        for target in there
        if target["name"] not in failing
    }
    served = {(state.attributes["remote_ip"], state.attributes["remote_port"]) for state in present.values()}
    declared = {target["name"] for target in targets}
    absent = {target["name"] for target in targets if target not in there}
    for name, state in before.items():
        replaced = name.startswith("cmdline") and _receiver(state) in served
        if name not in declared and (options.get("purge") or replaced):
            absent.add(name)
    return Expected(
        failing=failing,
        present=present,
        absent=frozenset(absent),
        console_loglevel=options.get("console_loglevel", case.console_loglevel),
        panic_timeout=0 if too_late and options.get("panic_capture") == "set" else case.panic_timeout,
        foretold=bool(before) or not any(_mentions_what_lacks(target, offer) for target in there),
    )


def _receiver(state: TargetState) -> tuple[Value, Value]:
    return state.attributes["remote_ip"], state.attributes["remote_port"]


def _with_shared(target: Mapping[str, Any], shared: Mapping[str, str] | None) -> dict[str, Any]:
    if target.get("state") == "absent" or shared is None or "userdata" in target:
        return dict(target)
    return {**target, "userdata": shared}


def _lacks(target: Mapping[str, Any], offer: Offer) -> bool:
    return bool(
        (target.get("release") and not offer.release)
        or (target.get("userdata") and not offer.userdata_keys)
        or (any(target.get(switch) for switch in SWITCHES) and not offer.switches)
    )


def _mentions_what_lacks(target: Mapping[str, Any], offer: Offer) -> bool:
    """Also what is switched off there: on a kernel that has it, that is a step."""
    return bool(
        ("release" in target and not offer.release)
        or ("userdata" in target and not offer.userdata_keys)
        or (any(switch in target for switch in SWITCHES) and not offer.switches)
    )


def _too_many(target: Mapping[str, Any], offer: Offer, before: TargetState | None) -> bool:
    if not offer.userdata_keys or target.get("dev_name") == GONE:
        return False
    kept = {} if before is None else dict(before.userdata or {})
    shown: Mapping[str, Value] = {} if before is None else before.attributes
    switches = [switch for switch in SWITCHES if offer.switches and target.get(switch, shown.get(switch))]
    keys = len(target.get("userdata", kept))
    return keys + (len(switches) if offer.switches_take_places else 0) > offer.userdata_keys


def _expected_state(target: Mapping[str, Any], offer: Offer, before: TargetState | None) -> TargetState:
    receiver = target["remote_ip"]
    device = DEVICE_OF[receiver]
    shown: Mapping[str, Value] = {} if before is None else before.attributes
    mac = target.get("remote_mac", NEIGHBOUR_MAC)
    extended = target.get("extended") != "false"
    attributes: dict[str, Value] = {
        "dev_name": device.name,
        "remote_ip": receiver,
        "local_ip": device.own(receiver),
        "remote_port": target.get("remote_port", 6666),
        "local_port": target.get("local_port", 6665),
        "remote_mac": BROADCAST_MAC if mac == "broadcast" else mac.lower(),
        "extended": extended,
        "enabled": target.get("enabled", True),
    }
    if offer.release:
        attributes["release"] = target.get("release", bool(shown.get("release")) and extended)
    if offer.switches:
        attributes.update((switch, target.get(switch, shown.get(switch, False))) for switch in SWITCHES)
    userdata = None
    if offer.userdata_keys:
        userdata = dict(target.get("userdata", {} if before is None else before.userdata or {}))
    return TargetState(target["name"], attributes, userdata)


# -- a trial
# --------------------------------------------------------------------------------------------------------------


@dataclass
class Host:
    """One host, real or modelled. ``silent`` names the targets of those given whose messages do not leave."""

    files: Files
    network: Network
    offer: Offer
    silent: Callable[[Iterable[TargetState]], Sequence[str]]
    sighted: Callable[[TargetState], TargetState] = lambda state: state  # without what this kernel shows wrongly
    panic: Callable[[], int] = lambda: 0

    def targets(self) -> dict[str, TargetState]:
        found = Configfs(files=self.files).targets()
        return {name: self.sighted(state) for name, state in found.items()}

    def console_loglevel(self) -> int:
        return ConsoleLoglevel(files=self.files).read()

    def plan(self, options: Mapping[str, Any], files: Files | None = None) -> Plan:
        files = files or self.files
        return plan(
            declaration_from_options(options),
            configfs=Configfs(files=files),
            console=ConsoleLoglevel(files=files),
            network=self.network,
        )

    def apply(self, planned: Plan, files: Files | None = None) -> Applied:
        files = files or self.files
        return apply(planned, configfs=Configfs(files=files), console=ConsoleLoglevel(files=files))

    def run(self, options: Mapping[str, Any], files: Files | None = None) -> tuple[Plan, Applied]:
        planned = self.plan(options, files)
        return planned, self.apply(planned, files)


class Interrupted(Files):
    """A host's files, until something happens instead of the n-th changing call (counted from 0)."""

    def __init__(self, files: Files, *, at: int, happens: Callable[[], None]) -> None:
        self.files, self.at, self.happens = files, at, happens
        self.count = 0
        self.last: tuple[str, ...] = ()  # the call that was made or kept from being made

    def _changing(self, *call: str) -> None:
        self.count += 1
        self.last = call
        if self.count == self.at + 1:
            self.happens()

    def is_directory(self, path: str) -> bool:
        return self.files.is_directory(path)

    def names(self, path: str) -> list[str]:
        return self.files.names(path)

    def read(self, path: str) -> str:
        return self.files.read(path)

    def link(self, path: str) -> str:
        return self.files.link(path)

    def release(self) -> str:
        return self.files.release()

    def kernel_log(self) -> list[str]:
        return self.files.kernel_log()

    def write(self, path: str, text: str) -> None:
        self._changing("write", path, text)
        self.files.write(path, text)

    def make_directory(self, path: str) -> None:
        self._changing("mkdir", path)
        self.files.make_directory(path)

    def remove_directory(self, path: str) -> None:
        self._changing("rmdir", path)
        self.files.remove_directory(path)

    def run(self, command: Sequence[str]) -> tuple[int, str]:
        if "--dry-run" not in command:
            self._changing("run", *command)
        return self.files.run(command)


def try_case(case: Case, host: Host) -> list[str]:
    """Foretell, run, run again. Returns what is not as it has to be, in words; nothing when all holds."""
    listed = host.targets()
    try:
        planned = host.plan(case.options)
    except ENGINE_ERRORS as error:
        before = host.targets()
        expected = expect(case, host.offer, before)
        wrong = [] if expected.refused else [f"refused although it can be had: {error}"]
        return wrong + _untouched(case, host, before)
    before = host.targets()  # the plan may have had boot targets listed
    wrong = _unequal("foretelling changed", {name: before.get(name) for name in listed}, listed)
    boot_names = [f"cmdline{number}" for number in range(len(case.boot))]
    wrong += _unequal("foretelling made", [name for name in before if name not in (*listed, *boot_names)], [])
    expected = expect(case, host.offer, before)
    try:
        applied = host.apply(planned)
    except ENGINE_ERRORS as error:
        wrong += [] if expected.refused else [f"refused in the run although it can be had: {error}"]
        return wrong + _untouched(case, host, before)
    if expected.refused:
        return [*wrong, "was not refused"]
    wrong += outcome(case, host, before)
    wrong += _unequal("failures", set(applied.failures), expected.failing)
    wrong += _unequal("foretold failures", set(planned.failures), expected.failing)
    if expected.foretold:
        wrong += _unequal("foretold actions", list(map(str, planned.actions)), list(map(str, applied.actions)))
        wrong += _unequal("foretold diff", planned.diff(), applied.diff(planned))
    offers = next((features(state) for state in Configfs(files=host.files).targets().values()), None)
    wrong += [] if offers is None else _unequal("capabilities", applied.capabilities, offers)
    again = host.plan(case.options)
    wrong += _unequal("second run", list(map(str, again.actions)), [])
    wrong += _unequal("second run's diff", again.diff()["before"], again.diff()["after"])
    return wrong


def _untouched(case: Case, host: Host, before: Mapping[str, TargetState]) -> list[str]:
    return [
        *_unequal("targets after a refusal", host.targets(), before),
        *_unequal("console log level after a refusal", host.console_loglevel(), case.console_loglevel),
        *_unequal("kernel.panic after a refusal", host.panic(), case.panic_timeout),
        *_unequal("silent after a refusal", host.silent(host.targets().values()), []),
    ]


SILENT = "silently stopped"


def outcome(case: Case, host: Host, before: Mapping[str, TargetState], *, remembered: bool = True) -> list[str]:
    """Whether the host is what the case has to make of ``before``.

    ``remembered`` is False after a run that was killed: what was not declared of a target that has to be made anew is
    lost with it.
    """
    expected, now = expect(case, host.offer, before), host.targets()
    wrong: list[str] = []
    for name, state in now.items():
        wanted = expected.present.get(name, before.get(name))
        if name in expected.absent:
            wrong.append(f"{name} is still there")
        elif wanted is None:
            wrong.append(f"{name} came from nowhere: {state}")
        elif name in expected.present:
            wanted = host.sighted(wanted)
            declared = _declared(case, name) if not remembered else (*wanted.attributes, "userdata")
            wrong += [
                f"{name}: {attribute} is {state.attributes.get(attribute)!r} instead of {value!r}"
                for attribute, value in wanted.attributes.items()
                if state.attributes.get(attribute) != value and attribute in declared
            ]
            if "userdata" in declared:
                wrong += _unequal(f"{name}: userdata", state.userdata, wanted.userdata)
        else:
            wrong += _unequal(f"{name}, which is not this run's", state, wanted)
    gone = [name for name in {**before, **expected.present} if name not in now and name not in expected.absent]
    wrong += _unequal("gone without a word", gone, [])
    wrong += _unequal(SILENT, list(host.silent(now.values())), [])
    wrong += _unequal("console log level", host.console_loglevel(), expected.console_loglevel)
    wrong += _unequal("kernel.panic", host.panic(), expected.panic_timeout)
    return wrong


def converged(case: Case, host: Host, before: Mapping[str, TargetState]) -> list[str]:
    """Whether the run after one that was killed makes the host what it has to be, and leaves no mark."""
    marks = Configfs(files=host.files).resume_marks()
    return [*outcome(case, host, before, remembered=False), *_unequal("marks", marks, [])]


def _declared(case: Case, name: str) -> tuple[str, ...]:
    target = next(target for target in case.options["targets"] if target["name"] == name)
    always = ("dev_name", "remote_ip", "local_ip", "remote_port", "local_port", "remote_mac", "extended", "enabled")
    return (*always, *target, *(("userdata",) if "userdata" in case.options else ()))


def _unequal(what: str, found: object, wanted: object) -> list[str]:
    return [] if found == wanted else [f"{what}: {found!r} instead of {wanted!r}"]
