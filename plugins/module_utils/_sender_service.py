# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What netconsole-sender.service does: make the kernel as declared, at boot and whenever the network changes.

The engine is the one that the module runs (plan, apply). Here is only what is around it: the declared-state file, the
status for operators, systemd's notifications (sd_notify(3)), and the loop over events.
"""

from __future__ import annotations

import functools
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass, field, replace
from typing import Any, Callable, ContextManager, Mapping

from ._boot_targets import attachable
from ._changes import changes, describe
from ._configfs import ROOT, Configfs, ConfigfsError, ConsoleLoglevel, TargetState
from ._declaration import Declaration, declaration_from_options
from ._desired import Network, host_network
from ._folder_watch import FolderWatch
from ._heartbeat import Heartbeat
from ._iproute import IprouteError
from ._kmsg import Paths as KmsgPaths
from ._next_hop import NextHopError, resolve_remote_ip
from ._panic import PanicCaptureError
from ._reconcile import ENGINE_ERRORS, Applied, CapabilityError, Plan, apply, plan
from ._rtnetlink import Listener, keep_fresh
from ._sender_files import (
    DECLARATION,
    EARLY_PARAMETER,
    STATUS,
    UNIT,
    checksum_of,
    json_text,
    locked,
    read_json,
    write_atomically,
)
from ._watch import Interest, Path, Schedule

NAME_SECONDS = 900.0  # a receiver's name is looked up again after this time
NEIGHBOUR_SECONDS = 30.0  # kernels without managed neighbours: the next hop is used once in this time
NEIGHBOUR_WAIT = 0.7  # for an answer of the next hop: other targets wait meanwhile, and a later answer is an event
BOOT_WAIT = 30.0  # how long the start is held up at most
TAKEN_UP = ("version", "unit_checksum", "declaration_checksum")  # what the service runs with, in its status file
_BOOT_RETRY = 1.0
_LEVELS = {"error": "<3>", "warning": "<4>", "info": "<6>"}  # sd-daemon(3)


def say(level: str, line: str) -> None:
    """A line for the journal."""
    sys.stdout.write(f"{_LEVELS[level]}{line}\n")
    sys.stdout.flush()


class ServiceError(Exception):
    """The service cannot do its work at all; the message says why and the way out."""


@dataclass
class Names:
    """Receivers' addresses by name, kept for NAME_SECONDS: no event shall wait for a name server."""

    lookup: Callable[..., str] = resolve_remote_ip
    clock: Callable[[], float] = time.monotonic
    _known: dict[tuple[str, int | None], tuple[float, str]] = field(default_factory=dict)

    def resolve(self, name: str, *, family: int | None = None) -> str:
        known = self._known.get((name, family))
        if known is not None and self.clock() - known[0] < NAME_SECONDS - 1:
            return known[1]
        try:
            address = self.lookup(name, family=family)
        except NextHopError:
            if known is None:
                raise
            address = known[1]  # a name server that is away for a while: go on with what it said last
        self._known[name, family] = (self.clock(), address)
        return address


@dataclass
class Host:
    """Everything that the service asks of its host. Tests put their own in its place."""

    configfs: Configfs = field(default_factory=Configfs)
    console: ConsoleLoglevel = field(default_factory=ConsoleLoglevel)
    names: Names = field(default_factory=Names)
    host_network: Callable[[], Network] = host_network
    keep_fresh: Callable[..., bool] = keep_fresh
    declaration_path: str = DECLARATION
    status_path: str = STATUS
    early_path: str = EARLY_PARAMETER
    unit_path: str = UNIT
    kmsg: KmsgPaths = field(default_factory=KmsgPaths)
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    say: Callable[[str, str], None] = say

    def network(self) -> Network:
        """The host's network for one run, with names remembered, and no long wait for a neighbour."""
        network = self.host_network()
        next_hop = functools.partial(network.next_hop, timeout=NEIGHBOUR_WAIT)
        return replace(network, remote_ip=self.names.resolve, next_hop=next_hop)

    def locked(self) -> ContextManager[None]:
        return locked(os.path.dirname(self.declaration_path))


def read_declaration(path: str) -> Declaration:
    """The declaration that the module left on this host. Raises ServiceError."""
    options = read_json(path)
    if options is None:
        raise ServiceError(
            f"{path} is missing or no JSON object: run the role netconsole_sender for this host again, "
            "or the module fleet.netconsole.sender with persist"
        )
    try:
        return declaration_from_options(options)
    except ENGINE_ERRORS as error:
        raise ServiceError(f"{path}: {error}: run the role netconsole_sender for this host again") from error


@dataclass
class Sender:
    """The declaration of this host and what became of it in the last run."""

    host: Host
    version: str = ""
    taken_up: dict[str, Any] = field(default_factory=dict)
    declaration: Declaration = field(default_factory=lambda: Declaration(targets=()))
    failures: Mapping[str, str] = field(default_factory=dict)
    refusal: str = ""  # what the declaration asks of this host and cannot have: the targets are made without it
    warnings: tuple[str, ...] = ()
    paths: dict[str, Path] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()  # devices with a target that can only be helped once they are up
    managed: dict[tuple[str, str], bool] = field(default_factory=dict)
    _last_changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    _states: Mapping[str, TargetState | None] = field(default_factory=dict)

    def run(self) -> None:
        """One comparison of declaration and kernel. Whatever fails is said once, and kept in ``failures``.

        The declaration is read anew each time: with the lock, no run ever works against the module's. Raises
        ServiceError when there is none.
        """
        with self.host.locked():
            self.declaration = read_declaration(self.host.declaration_path)
            if self.taken_up:
                self.taken_up["declaration_checksum"] = checksum_of(self.host.declaration_path)
            self._reconcile()

    def serve(self) -> None:
        """From now on this is the service: the status file says which engine, unit and declaration it runs with.

        The module compares: a run of it may have been killed before systemd was told of what it wrote.
        """
        self.taken_up = {"version": self.version, "unit_checksum": checksum_of(self.host.unit_path)}

    def take_over(self) -> None:
        """Kernels before 6.7 neither show nor let go of the targets of early boot: load the module without them.

        Otherwise each message would be sent twice. Nothing is touched where somebody has made targets already.
        """
        configfs = self.host.configfs
        files = configfs.files
        if attachable(files.release()) or not os.path.exists(self.host.early_path):
            return
        if not configfs.loaded() or configfs.targets():
            return
        files.run(["modprobe", "--remove", "netconsole"])
        files.run(["modprobe", "--config=/dev/null", "netconsole"])
        self.host.say("info", "netconsole loaded anew: this kernel does not let go of the targets of early boot")

    def _reconcile(self) -> None:
        before, refused, warned = self.failures, self.refusal, self.warnings
        try:
            planned, applied = self._applied()
        except (*ENGINE_ERRORS, OSError) as error:
            self.failures = {"": str(error)}
        else:
            self.failures = dict(applied.failures)
            self._states = applied.after
            self.warnings = applied.warnings
            for name, line in changes(planned, applied):
                self._say_change(name, line)
            self._follow(applied)
            self.waiting = frozenset(mark.dev_name for mark in self.host.configfs.resume_marks())
        for name, reason in self.failures.items():
            if before.get(name) != reason:
                self.host.say("warning", f"{name}: {reason}" if name else reason)
        for name in before:
            if name and name not in self.failures:
                self.host.say("info", f"{name}: is as declared")
        for warning in (self.refusal, *self.warnings):
            if warning and warning not in (refused, *warned):
                self.host.say("warning", warning)
        self.write_status()

    def _applied(self) -> tuple[Plan, Applied]:
        """Plan and apply. What the module refuses outright shall not silence a host that has changed since.

        A newer kernel, or a crash kernel, came with the last reboot: the targets are made all the same, as far as they
        can be had, and what cannot stays in ``refusal``. Raises what the engine raises.
        """
        declaration, refusals = self.declaration, []
        while True:
            try:
                planned = plan(
                    declaration,
                    configfs=self.host.configfs,
                    console=self.host.console,
                    network=self.host.network(),
                )
                applied = apply(planned, configfs=self.host.configfs, console=self.host.console)
            except PanicCaptureError as error:
                if declaration.panic_capture == "warn":
                    raise
                refusals.append(str(error))
                declaration = replace(declaration, panic_capture="warn")
            except CapabilityError as error:
                if declaration.missing_capability == "warn":
                    raise
                refusals.append(str(error))
                declaration = replace(declaration, missing_capability="warn")
            else:
                self.refusal = "; ".join(refusals)
                return planned, applied

    def _say_change(self, name: str, line: str) -> None:
        self.host.say("info", f"{name}: {line}" if name else line)
        self._last_changes[name] = {"time": _utc(self.host.wall_clock()), "what": line}

    def _follow(self, applied: Applied) -> None:
        """Remember what the targets stand on. A failing one stands on what it stood on before."""
        current = {name: path for name, path in self.paths.items() if name in self.failures}
        for desired in applied.desired:
            hop = desired.next_hop
            if desired.name not in self.failures and desired.present and desired.enabled and hop is not None:
                neighbour = hop.gateway or hop.remote_ip
                current[desired.name] = Path(hop.dev_name, hop.local_ip, hop.remote_ip, neighbour, hop.remote_mac)
        self.paths = current

    def freshen(self, *, managed: bool = True) -> None:
        """Have the kernel keep the next hops' neighbour entries fresh, as far as it can; the others are used once."""
        wanted = {
            (path.neighbour, path.dev_name)
            for name, path in self.paths.items()
            if managed and name not in self.failures and path.dev_name != "lo" and self._is_resolved(name)
        }
        for neighbour, dev_name in sorted(set(self.managed) - wanted):
            self._keep_fresh(neighbour, dev_name, managed=False)
        self.managed = {key: self._keep_fresh(*key, managed=True) for key in sorted(wanted)}

    def _is_resolved(self, name: str) -> bool:
        """An address that the operator fixed is no business of the neighbour table."""
        return all(target.remote_mac is None for target in self.declaration.targets if target.name == name)

    def _keep_fresh(self, neighbour: str, dev_name: str, *, managed: bool) -> bool:
        try:
            return self.host.keep_fresh(neighbour, dev_name, managed=managed)
        except IprouteError:
            return False  # the device or the entry went away: the event of that starts a run

    def status(self) -> dict[str, Any]:
        """What an operator wants to know of each target, as it stands in the status file."""
        targets = []
        for declared in self.declaration.targets:
            state, path = self._states.get(declared.name), self.paths.get(declared.name)
            targets.append(
                {
                    "name": declared.name,
                    "failure": self.failures.get(declared.name),
                    "last_change": self._last_changes.get(declared.name),
                    "next_hop": None if path is None else path.neighbour,
                    "shown": None if state is None else state.as_dict(),
                }
            )
        return {"failure": self.failures.get("") or self.refusal or None, "targets": targets, **self.taken_up}

    def folders(self) -> list[str]:
        """Where another program would change what is ours: the folder of all targets, those of the declared ones."""
        names = [target.name for target in self.declaration.targets if target.present]
        return [ROOT, *(f"{ROOT}/{name}{part}" for name in names for part in ("", "/userdata"))]

    def is_as_left(self) -> bool:
        """Whether the targets, but those that fail, are there, enabled or not, as the last run has left them."""
        if "" in self.failures:
            return True
        try:
            shown = self.host.configfs.targets()
        except (ConfigfsError, OSError):
            return True  # the next run says why
        return all(
            (name in shown and shown[name].enabled) == (state is not None and state.enabled)
            for name, state in self._states.items()
            if name not in self.failures
        )

    def write_status(self) -> None:
        if not os.path.isdir(os.path.dirname(self.host.status_path)):
            return
        status = self.status()
        if not self.taken_up:  # called by hand: what the service runs with is as before
            told = read_json(self.host.status_path) or {}
            status.update({key: told[key] for key in TAKEN_UP if key in told})
        write_atomically(self.host.status_path, json_text(status))

    def summary(self) -> str:
        """Each target at a glance, one line (systemctl status)."""
        if "" in self.failures:
            return f"Failing: {self.failures['']}"
        words = [f"Refused: {self.refusal}"] if self.refusal else []
        for declared in self.declaration.targets:
            state = self._states.get(declared.name)
            if declared.name in self.failures:
                words.append(f"{declared.name} FAILS: {self.failures[declared.name]}")
            elif state is not None:
                words.append(f"{declared.name} {describe(state)}")
        return "; ".join(words) or "No target is declared"

    def has_names(self) -> bool:
        """Whether a receiver is given by its name, which has to be looked up again now and then."""
        return any(
            target.present and target.remote_ip is not None and not _is_address(target.remote_ip)
            for target in self.declaration.targets
        )


def _is_address(text: str) -> bool:
    return ":" in text or text.replace(".", "").isdigit()


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


# -- systemd
# -------------------------------------------------------------------------------------------------------------


def notify(*lines: str) -> None:
    """sd_notify(3), where systemd asked for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notification:
        path = "\0" + address[1:] if address[0] == "@" else address
        notification.sendto("\n".join(lines).encode("utf-8", "replace"), path)


# -- the two services
# -------------------------------------------------------------------------------------------------------------


def apply_once(sender: Sender, *, wait: float = 0.0, sleep: Callable[[float], None] = time.sleep) -> int:
    """The boot step alone: try until everything stands, ``wait`` seconds at most. Returns the exit status."""
    sender.take_over()
    deadline = sender.host.clock() + wait
    while True:
        sender.run()
        if not sender.failures or sender.host.clock() >= deadline:
            notify(f"STATUS={sender.summary()}")
            return 1 if sender.failures or sender.refusal else 0
        sleep(_BOOT_RETRY)


class Watcher:
    """The service that stays: one run at the start, then one after each change that counts."""

    def __init__(self, sender: Sender, listener: Listener, folders: FolderWatch) -> None:
        self.sender, self.listener, self.folders = sender, listener, folders
        self.interest, self.schedule = Interest(), Schedule()
        self.heartbeat = Heartbeat(paths=sender.host.kmsg)
        self._ready_until = sender.host.clock() + BOOT_WAIT
        self._ready = False
        self._looked_again = False
        self._neighbours: dict[str, str] | None = None

    def run(self) -> None:
        """Compare, remember what the targets stand on now, and tell systemd."""
        sender = self.sender
        self.listener.read()  # what came until now is covered by this run
        self.folders.stop()
        sender.run()
        self.folders.start(sender.folders())
        sender.freshen()
        receivers = self._receivers()
        self.interest.update(sender.paths, receivers=receivers, failing=sender.failures, waiting=sender.waiting)
        neighbours = self.interest.neighbours()
        if neighbours != self._neighbours:
            self.listener.hear_neighbours(neighbours)
            self._neighbours = neighbours
        self.schedule.refresh = self._refresh()
        self.schedule.ran(sender.host.clock(), failing=bool(sender.failures))
        # Another program may have changed something while nobody watched. Once: this shall never go on and on.
        self._looked_again = not self._looked_again and not sender.is_as_left()
        if self._looked_again:
            self.touched()
        notify(f"STATUS={sender.summary()}")
        self.heartbeat.declare(sender.declaration.heartbeat, sender.host.clock())
        self._tell_ready()
        self._beat()

    def _receivers(self) -> set[str]:
        found = {path.remote_ip for path in self.sender.paths.values()}
        for target in self.sender.declaration.targets:
            if target.present and target.remote_ip is not None and _is_address(target.remote_ip):
                found.add(target.remote_ip)
        return found

    def _refresh(self) -> float:
        if any(not kept for kept in self.sender.managed.values()):
            return NEIGHBOUR_SECONDS
        return NAME_SECONDS if self.sender.has_names() else 0.0

    def _tell_ready(self) -> None:
        if not self._ready and (not self.sender.failures or self.sender.host.clock() >= self._ready_until):
            self._ready = True
            notify("READY=1")

    def _beat(self) -> None:
        """The first mark is written when the targets stand: before, nobody would receive it."""
        if not self._ready:
            return
        before = self.heartbeat.failure
        self.heartbeat.beat(self.sender.host.clock())
        if self.heartbeat.failure and self.heartbeat.failure != before:
            self.sender.host.say("warning", self.heartbeat.failure)

    def timeout(self) -> float | None:
        """Seconds until there is something to do without an event, None: nothing."""
        now = self.sender.host.clock()
        left = self.schedule.timeout(now)
        if self._ready:
            waits = [wait for wait in (left, self.heartbeat.timeout(now)) if wait is not None]
            return min(waits) if waits else None
        # While systemd waits for us, try often, and end its waiting in time.
        return max(0.0, min(_BOOT_RETRY if left is None else min(left, _BOOT_RETRY), self._ready_until - now))

    def touched(self) -> None:
        """Another program has changed something in the watched folders."""
        self.schedule.event(self.sender.host.clock())

    def woken(self, *, listening: bool) -> None:
        """After select(2): take the events, and run when it is time."""
        now = self.sender.host.clock()
        if listening:
            events, lost = self.listener.read()
            if lost or any(self.interest.counts(event) for event in events):
                self.schedule.event(now)
        due = self.schedule.due()
        if (due is not None and due <= now) or (not self._ready and not listening):
            self.run()
        self._tell_ready()
        self._beat()


def watch(sender: Sender) -> int:
    """Run until SIGTERM. SIGHUP: the declaration has changed. Targets stay as they are at the end."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGIO):
        signal.signal(number, lambda *_arguments: None)
    sender.serve()
    watcher = Watcher(sender, Listener(), FolderWatch())
    sender.take_over()
    watcher.run()
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    poll.register(watcher.listener.fileno(), select.POLLIN)
    while True:
        timeout = watcher.timeout()
        ready = {descriptor for descriptor, _event in poll.poll(None if timeout is None else timeout * 1000)}
        received = os.read(reading, 64) if reading in ready else b""
        if {signal.SIGTERM, signal.SIGINT} & set(received):
            notify("STOPPING=1")
            sender.freshen(managed=False)
            return 0
        if signal.SIGHUP in received:
            watcher.run()
            continue
        if signal.SIGIO in received:
            watcher.touched()
        watcher.woken(listening=watcher.listener.fileno() in ready)
