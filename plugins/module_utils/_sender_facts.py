# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything an audit of a sender needs, read in one pass: kernel, targets, boot parameters, console, panic, service.

Nothing is changed: the files can only be read (``ReadOnlyFiles``), and a look for a next hop changes nothing but the
neighbour cache. What cannot be read is said, not guessed. Facts: the kernel's ``drivers/net/netconsole.c``,
``Documentation/admin-guide/sysctl/kernel.rst``, modprobe(8), systemctl(1).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Callable, Mapping, Sequence

from ._address import BROADCAST_MAC, AddressError, parse_ip
from ._boot_parameter import BootTarget
from ._boot_sources import PROC_CMDLINE, command_line_words, drop_ins, netconsole_parameters
from ._command import CommandError, CompletedCommand, run_command
from ._configfs import PRINTK, ROOT, Configfs, Files, TargetState
from ._device import Device, DeviceError, check_device
from ._host_settings import SYSCTL_CONF, SYSCTL_FOLDERS, parse_consoles, printk_settings
from ._iproute import IprouteError
from ._next_hop import NextHop, NextHopError, equal_next_hops, resolve_next_hop, resolve_remote_ip
from ._panic import CRASH_KERNEL, PANIC_TIMEOUT, prints_late, read_panic_capture
from ._reconcile import features

SERVICE = "netconsole-sender.service"
DECLARATION = "/etc/netconsole-sender/declaration.json"
ENGINE = "/usr/local/lib/netconsole-sender/netconsole-sender.pyz"
NEXT_HOP_TIMEOUT = 1.0  # seconds that the neighbour of one target may take to answer

_PRINTK_FIELDS = (
    "console_loglevel",
    "default_message_loglevel",
    "minimum_console_loglevel",
    "default_console_loglevel",
)
_SERVICE_PROPERTIES = {
    "LoadState": "load_state",
    "ActiveState": "active_state",
    "SubState": "sub_state",
    "UnitFileState": "unit_file_state",
    "Result": "result",
    "StatusText": "status",
}
# Attributes of a target that a declaration gives by the same name and that are compared as they are.
# Not release_enabled: 6.17 shows another switch's state there.
_COMPARED = ("enabled", "remote_port", "local_port", "release", "cpu_nr_enabled", "taskname_enabled", "msgid_enabled")
_TRUTH = {"true": True, "false": False}

Runner = Callable[..., CompletedCommand]


class ReadOnlyFiles(Files):
    """Files that can only be read: an audit that tries to change something is a programming error.

    ``root`` is put before every path; tests have a folder of their own there.
    """

    def __init__(self, root: str = "") -> None:
        self.root = root

    def is_directory(self, path: str) -> bool:
        return super().is_directory(self.root + path)

    def names(self, path: str) -> list[str]:
        return super().names(self.root + path)

    def read(self, path: str) -> str:
        return super().read(self.root + path)

    def write(self, path: str, text: str) -> None:
        raise AssertionError(f"an audit writes nothing, not even {text!r} to {path}")

    def make_directory(self, path: str) -> None:
        raise AssertionError(f"an audit makes no directory, not even {path}")

    def remove_directory(self, path: str) -> None:
        raise AssertionError(f"an audit removes nothing, not even {path}")

    def run(self, command: Sequence[str]) -> tuple[int, str]:
        raise AssertionError(f"an audit runs nothing that configfs would need, not even {' '.join(command)}")


@dataclass(frozen=True)
class Network:
    """The host's network as the audit asks it. Tests put tables in its place."""

    remote_ip: Callable[..., str] = resolve_remote_ip
    next_hop: Callable[..., NextHop] = resolve_next_hop
    equal_next_hops: Callable[[NextHop], Sequence[NextHop]] = equal_next_hops
    device: Callable[[str], Device] = check_device


@dataclass
class Audit:
    """One audit of this host. ``unreadable`` fills up with what could not be read, and why."""

    files: Files = field(default_factory=ReadOnlyFiles)
    run: Runner = run_command
    network: Network = field(default_factory=Network)
    unreadable: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """The dictionary that the module ``sender_info`` returns as ``sender_info``; its keys are documented there."""
        release = self.files.release()
        words = command_line_words(self._text(PROC_CMDLINE) or "")
        module = self._module(release)
        declaration = self._declaration()
        states = self._states()
        targets = [self._target(state, declaration) for state in states]
        boot_parameters = self._boot_parameters(targets, built_in=bool(module["built_in"]))
        console = self._console(words)
        service = self._service()
        return {
            "kernel_release": release,
            "module": module,
            "configfs": self._configfs(module),
            "capabilities": sorted(features(states[0])) if states else None,
            "targets": targets,
            "boot_parameters": boot_parameters,
            "console": console,
            "panic": self._panic(),
            "service": service,
            "declaration": declaration,
            "drift": _all_drift(targets, boot_parameters, declaration, console, service),
            "unreadable": self.unreadable,
        }

    # -- reading ----------------------------------------------------------------------------------------------------

    def _text(self, path: str) -> str | None:
        """A file's text, None where there is none. What exists and cannot be read goes to ``unreadable``."""
        try:
            return self.files.read(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._note(path, error.strerror or str(error))
            return None

    def _names(self, path: str) -> list[str]:
        try:
            return self.files.names(path)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._note(path, error.strerror or str(error))
            return []

    def _integer(self, path: str) -> int | None:
        text = self._text(path)
        return None if text is None else int(text)

    def _truth(self, path: str) -> bool | None:
        """A boolean parameter of a module, which the kernel shows as Y or N."""
        text = self._text(path)
        return None if text is None else text.strip() in ("Y", "y", "1")

    def _command(self, command: Sequence[str], *, package: str) -> CompletedCommand | None:
        try:
            return self.run(command, package=package)
        except CommandError as error:
            self._note(" ".join(command), str(error))
            return None

    def _note(self, what: str, why: str) -> None:
        self.unreadable.append(f"{what}: {why}")

    # -- the kernel -------------------------------------------------------------------------------------------------

    def _module(self, release: str) -> dict[str, Any]:
        """Where netconsole is. modprobe shows what it would do, and does nothing (``--show-depends``)."""
        listed = self._text(f"/lib/modules/{release}/modules.builtin")
        built_in = None if listed is None else any(line.endswith("/netconsole.ko") for line in listed.splitlines())
        loaded = self.files.is_directory("/sys/module/netconsole")
        done = self._command(["modprobe", "--show-depends", "netconsole"], package="kmod")
        loadable, reason = (None, None) if done is None else _loadable(done)
        if done is not None and loadable and done.stdout.split()[:1] == ["builtin"]:
            built_in, loadable = True, False
        state = "built-in" if built_in else "loaded" if loaded else "loadable" if loadable else "missing"
        if state == "missing" and loadable is None:
            state = "unknown"
        return {
            "state": state,
            "built_in": built_in,
            "loadable": loadable,
            "loaded": loaded,
            "reason": reason if state == "missing" else None,
        }

    def _configfs(self, module: Mapping[str, Any]) -> dict[str, Any]:
        mounts = self._text("/proc/mounts") or ""
        return {
            "mounted": any(line.split()[2:3] == ["configfs"] for line in mounts.splitlines()),
            "dynamic_targets": self.files.is_directory(ROOT) if module["loaded"] else None,
        }

    def _states(self) -> list[TargetState]:
        """Every target that the kernel lists. It does not list a boot-time target that nobody has attached."""
        configfs = Configfs(files=self.files)
        states = []
        for name in configfs.target_names(self._names(ROOT)):
            try:
                state = configfs.target(name)
            except OSError as error:  # it went away meanwhile
                self._note(f"{ROOT}/{name}", error.strerror or str(error))
                continue
            states += [] if state is None else [state]
        return states

    def _boot_parameters(self, targets: Sequence[Mapping[str, Any]], *, built_in: bool) -> list[dict[str, Any]]:
        """What a boot has, and where that sends otherwise than the declared targets to the same receivers should."""
        found = netconsole_parameters(lambda path: self._text(path) or "", self._names, built_in=built_in)
        known = [target for target in targets if target["declared"] and target["next_hop"] is not None]
        return [{**parameter.as_dict(), "drift": self._boot_drift(parameter.targets(), known)} for parameter in found]

    def _boot_drift(self, boot_targets: Sequence[BootTarget], targets: Sequence[Mapping[str, Any]]) -> list[str]:
        drift = []
        for boot in boot_targets:
            given = {name: value for name, value in asdict(boot).items() if value is not None}
            receiver = _receiver(given)
            words = [
                self._boot_words(given, NextHop(**target["next_hop"]), str(target.get("local_mac")))
                for target in targets
                if _receiver(target) == receiver
            ]
            if words:  # of several declared targets to one receiver, the one that is most like it is meant
                drift += [f"target of {receiver[0]} port {receiver[1]}: {word}" for word in min(words, key=len)]
        return drift

    def _boot_words(self, given: Mapping[str, Any], hop: NextHop, local_mac: str) -> list[str]:
        """What is other than the next hop, in plain words. The kernel has its own defaults for what is left out."""
        has = {"dev_name": "eth0", "local_ip": hop.local_ip, "remote_mac": BROADCAST_MAC, **given}
        if has["dev_name"] == local_mac:  # a MAC address in place of the name
            has["dev_name"] = hop.dev_name
        return _next_hop_drift(has, self._kept(has, hop))

    def _console(self, words: Sequence[tuple[str, str | None]]) -> dict[str, Any]:
        levels = [int(number) for number in (self._text(PRINTK) or "").split()]
        command_line = dict(words)
        level = command_line.get("loglevel")
        files = [*drop_ins(SYSCTL_FOLDERS, names=self._names), SYSCTL_CONF]
        return {
            **dict.fromkeys(_PRINTK_FIELDS),
            **dict(zip(_PRINTK_FIELDS, levels)),
            "ignore_loglevel": self._truth("/sys/module/printk/parameters/ignore_loglevel"),
            "oops_only": self._truth("/sys/module/netconsole/parameters/oops_only"),
            "quiet": "quiet" in command_line,
            "debug": "debug" in command_line,
            "loglevel": int(level) if level is not None and level.isdigit() else None,
            "reset_by": [
                {"file": path, "value": value} for path in files for value in printk_settings(self._text(path) or "")
            ],
            "consoles": [
                {**asdict(console), "netconsole": console.netconsole}
                for console in parse_consoles(self._text("/proc/consoles") or "")
            ],
        }

    def _panic(self) -> dict[str, Any]:
        timeout, crash_kernel = self._integer(PANIC_TIMEOUT), self._integer(CRASH_KERNEL)
        nbcon = prints_late(self.files)
        capture = read_panic_capture(self.files)
        return {
            "timeout": timeout,
            "crash_kernel_loaded": None if crash_kernel is None else bool(crash_kernel),
            "nbcon": nbcon,
            "sent": None if timeout is None and nbcon else capture.works,
            "reason": None if capture.works else capture.reason,
        }

    # -- the service and its declaration ----------------------------------------------------------------------------

    def _service(self) -> dict[str, Any] | None:
        """systemd's view of the unit; None on a host without systemd."""
        if not self.files.is_directory("/run/systemd/system"):
            return None
        command = ["systemctl", "show", f"--property={','.join(_SERVICE_PROPERTIES)}", SERVICE]
        done = self._command(command, package="systemd")
        if done is None:
            return None
        if done.returncode != 0:
            self._note(" ".join(command), " ".join(done.stderr.split()) or f"exit status {done.returncode}")
            return None
        shown = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        folder, _slash, engine = ENGINE.rpartition("/")
        return {
            "unit": SERVICE,
            **{key: shown.get(name) or None for name, key in _SERVICE_PROPERTIES.items()},
            "engine_present": engine in self._names(folder),
        }

    def _declaration(self) -> dict[str, Any] | None:
        """The declaration that the service applies; None where there is none."""
        text = self._text(DECLARATION)
        if text is None:
            return None
        try:
            declared = json.loads(text)
            targets = [{**target, "name": str(target["name"])} for target in declared.get("targets") or []]
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            self._note(DECLARATION, f"no declaration of a sender ({error}): run the sender's play again")
            return None
        return {**declared, "targets": [target for target in targets if target.get("state") != "absent"]}

    # -- targets ----------------------------------------------------------------------------------------------------

    def _target(self, state: TargetState, declaration: Mapping[str, Any] | None) -> dict[str, Any]:
        declared = _declared_as(state, declaration)
        result: dict[str, Any] = {
            **state.as_dict(),
            "declared": None if declaration is None else declared is not None,
            "next_hop": None,
            "drift": _declared_drift(state, declared or {}),
        }
        try:
            if parse_ip(str(state.attributes["remote_ip"])).is_unspecified:
                result["drift"] += ["it has no receiver: remote_ip is not set"] if state.enabled else []
                return result
            hop = self._kept(state.attributes, self._next_hop(state, declared or {}))
            result["next_hop"] = asdict(hop)
            result["drift"] += _next_hop_drift(state.attributes, hop)
            if state.enabled:
                self.network.device(state.dev_name)
        except (AddressError, DeviceError, IprouteError, NextHopError) as error:
            result["drift"].append(str(error))
        return result

    def _next_hop(self, state: TargetState, declared: Mapping[str, Any]) -> NextHop:
        """What the host's own routing says now, with what the declaration fixes, and what no routing can say."""
        fixed = {name: declared[name] for name in ("dev_name", "local_ip", "remote_mac") if declared.get(name)}
        if fixed.get("dev_name") == "auto":
            del fixed["dev_name"]
        address = parse_ip(str(state.attributes["remote_ip"]))
        if address.is_link_local:
            fixed.setdefault("dev_name", state.dev_name)
        if address.is_multicast:
            fixed.setdefault("remote_mac", str(state.attributes["remote_mac"]))
        remote_ip = self.network.remote_ip(
            str(declared.get("remote_ip") or state.attributes["remote_ip"]),
            family=parse_ip(str(fixed["local_ip"])).version if "local_ip" in fixed else None,
        )
        return self.network.next_hop(remote_ip, timeout=NEXT_HOP_TIMEOUT, **fixed)

    def _kept(self, attributes: Mapping[str, Any], hop: NextHop) -> NextHop:
        """The next hop that the target has, while it is one of several that are as good as the one found."""
        has = (attributes["dev_name"], attributes["remote_mac"])
        if has == (hop.dev_name, hop.remote_mac):
            return hop
        others = self.network.equal_next_hops(hop)
        return next((other for other in others if has == (other.dev_name, other.remote_mac)), hop)


def _loadable(done: CompletedCommand) -> tuple[bool, str | None]:
    """Whether modprobe would load netconsole, and if not, why."""
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if done.returncode != 0:
        return False, " ".join(done.stderr.split()) or f"modprobe ended with exit status {done.returncode}"
    if last.startswith("install "):
        return False, f"modprobe.d has '{last.strip()}' run in place of loading the module"
    return True, None


def _declared_as(state: TargetState, declaration: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The declared target that this one is: by its name, or a boot-time target by what it points at."""
    targets: Sequence[Mapping[str, Any]] = [] if declaration is None else declaration["targets"]
    by_name = next((target for target in targets if target["name"] == state.name), None)
    if by_name is not None or not state.name.startswith("cmdline"):
        return by_name
    receiver = (state.attributes["remote_ip"], state.attributes["remote_port"])
    return next((target for target in targets if _receiver(target) == receiver), None)


def _receiver(declared: Mapping[str, Any]) -> tuple[Any, Any]:
    return declared.get("remote_ip"), declared.get("remote_port", 6666)


def _declared_drift(state: TargetState, declared: Mapping[str, Any]) -> list[str]:
    """Where a target is not as it was declared, apart from the way to its receiver."""
    wanted = {name: declared[name] for name in _COMPARED if declared.get(name) is not None}
    if declared:
        wanted.setdefault("enabled", True)
    extended = str(declared.get("extended")).lower()
    if extended in _TRUTH:
        wanted["extended"] = _TRUTH[extended]
    drift = [
        f"{name} is {_shown(state.attributes[name])}, declared is {_shown(value)}"
        for name, value in wanted.items()
        if name in state.attributes and state.attributes[name] != value
    ]
    if declared and extended not in _TRUTH and state.attributes.get("extended") is False:
        drift.append("extended is false, declared is auto: this kernel has it")
    userdata = declared.get("userdata")
    if userdata is not None and state.userdata is not None and dict(state.userdata) != userdata:
        drift.append(f"userdata is {dict(state.userdata)}, declared is {userdata}")
    return drift


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _next_hop_drift(has: Mapping[str, Any], hop: NextHop) -> list[str]:
    """Where a target with these attributes sends otherwise than the host's own routing would now, in plain words."""
    who = f"the receiver {hop.remote_ip}" if hop.gateway is None else f"the gateway {hop.gateway}"
    drift = []
    if has["remote_ip"] != hop.remote_ip:
        drift.append(f"it sends to {has['remote_ip']}, the receiver's name stands for {hop.remote_ip} now")
    if has["dev_name"] != hop.dev_name:
        drift.append(f"it sends by {has['dev_name']}, the way to {hop.remote_ip} is {hop.dev_name} now")
    if has["local_ip"] != hop.local_ip and not parse_ip(str(has["local_ip"])).is_unspecified:
        drift.append(f"it sends from {has['local_ip']}, the address towards {hop.remote_ip} is {hop.local_ip} now")
    if has["remote_mac"] != hop.remote_mac:
        drift.append(f"it sends to the MAC address {has['remote_mac']}, {who} has {hop.remote_mac} now")
    return drift


def _all_drift(
    targets: Sequence[Mapping[str, Any]],
    boot_parameters: Sequence[Mapping[str, Any]],
    declaration: Mapping[str, Any] | None,
    console: Mapping[str, Any],
    service: Mapping[str, Any] | None,
) -> list[str]:
    """Everything of a host that is not as it should be, each with what it is about in front."""
    drift = [f"{target['name']}: {words}" for target in targets for words in target["drift"]]
    # Not of the kernel's command line: it is what this boot had, whatever a play has given to the next one since.
    for boot in boot_parameters:
        drift += [f"{boot['source']}: {words}" for words in boot["drift"] if boot["source"] != PROC_CMDLINE]
    if declaration is None:
        return drift
    there = {_receiver(target) for target in targets if target["name"].startswith("cmdline")}
    names = {target["name"] for target in targets}
    for declared in declaration["targets"]:
        if (
            declared["name"] not in names
            and (declared.get("remote_ip"), declared.get("remote_port", 6666)) not in there
        ):
            drift.append(f"{declared['name']}: it is declared, and the kernel lists no such target")
    level = declaration.get("console_loglevel")
    if level is not None and console["console_loglevel"] not in (None, level):
        drift.append(f"console_loglevel is {console['console_loglevel']}, declared is {level}")
    if service is not None and service["active_state"] != "active":
        state = "not-found" if service["load_state"] == "not-found" else service["active_state"]
        drift.append(f"{SERVICE} is {state}, although there is a declaration for it")
    return drift
