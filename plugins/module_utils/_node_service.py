# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stays of a sender on its host: engine, declared state and unit, compared, written, taken away.

``plan_present`` and ``plan_absent`` list what is other than it should be, and change nothing. Facts: systemd.unit(5),
systemd.exec(5), systemctl(1).
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ._early import PATHS as EARLY_PATHS
from ._early import STAMP, fingerprint, regeneration
from ._engine_archive import archive, archived_digest, digest, engine_sources
from ._node_files import Entry, FileChange, Files, NodeError, same
from ._sender_files import BEFORE, COMMAND, DECLARATION, ENGINE, SERVICE, STATUS, UNIT, WANTED, checksum, json_text

FOLDERS = ("/usr/local/lib/netconsole-sender", "/etc/netconsole-sender", os.path.dirname(STATUS))
SYSTEMD = "/run/systemd/system"  # sd_booted(3)
NO_STAMP = Entry(STAMP)
TAKE_UP = ("systemctl", "reload", SERVICE)
TAKEN_UP_TIMEOUT = 30.0  # seconds; for one run of the service on a slow host
TAKEN_UP_POLL = 0.1
INITRAMFS_TIMEOUT = 1800.0  # seconds; one initramfs for each kernel on a slow host


# -- what shall be there
# ----------------------------------------------------------------------------------------------------------

# Whoever reads this unit on a host: why it may do what it may.
_UNIT = """\
# Written by Ansible (fleet.netconsole). Changes are overwritten.
[Unit]
Description=Kernel messages over the network (netconsole)
Documentation=file:{declaration}
# Early: as soon as there is configfs. The network is waited for by itself, and not for long. After systemd-sysctl, so
# that the declared console log level wins. netconsole itself is only loaded when an interface can send: with a boot
# parameter it must not come before the interface.
After=systemd-sysctl.service systemd-modules-load.service sys-kernel-config.mount modprobe@configfs.service
Wants=sys-kernel-config.mount modprobe@configfs.service

[Service]
{kind}
TimeoutStartSec=300
RuntimeDirectory=netconsole-sender
# The kernel's modules, its netconsole directory, the console log level, interfaces and neighbours; nothing else.
CapabilityBoundingSet=CAP_NET_ADMIN CAP_SYS_MODULE CAP_SYSLOG
ReadWritePaths=-/sys/kernel/config -/proc/sys/kernel/printk -/proc/sys/kernel/panic
ProtectSystem=strict
ProtectHome={home}
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
PrivateTmp=yes
DevicePolicy=closed
DeviceAllow=/dev/kmsg rw
RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service @module
SystemCallErrorNumber=EPERM
UMask=0077

[Install]
WantedBy=multi-user.target
"""
_WATCH = """\
Type=notify
ExecStart={python} -I -S {engine} watch
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=5"""
_ONCE = """\
Type=oneshot
NotifyAccess=main
RemainAfterExit=yes
RuntimeDirectoryPreserve=yes
ExecStart={python} -I -S {engine} apply --wait"""


def unit_text(*, watch: bool, python: str) -> str:
    """The unit file. ``python`` is the interpreter that the byte code of the engine is for."""
    kind = (_WATCH if watch else _ONCE).format(python=python, engine=ENGINE)
    in_home = python.startswith(("/home/", "/root/"))
    return _UNIT.format(kind=kind, declaration=DECLARATION, home="read-only" if in_home else "yes")


def present_entries(
    document: Mapping[str, Any], *, watch: bool, python: str = sys.executable, sources: Mapping[str, str] | None = None
) -> list[Entry]:
    """Everything that a sender has on its host, in the order in which it is written; ``BEFORE`` is there by then."""
    engine = engine_sources() if sources is None else sources
    version = digest(engine)
    return [
        Entry(ENGINE, content=archive(engine), mode=0o755, shown=_engine_shown(version)),
        Entry(COMMAND, link=os.path.relpath(ENGINE, os.path.dirname(COMMAND))),
        Entry(DECLARATION, content=json_text(document).encode("utf-8", "surrogateescape")),
        Entry(UNIT, content=unit_text(watch=watch, python=python).encode()),
        Entry(WANTED, link=UNIT),
    ]


def absent_entries() -> list[Entry]:
    """The same files, gone; what leads to others first."""
    return [Entry(path) for path in (WANTED, UNIT, COMMAND, ENGINE, DECLARATION)]


def no_early() -> list[Entry]:
    """Nothing for the time before the service."""
    return [Entry(path) for path in EARLY_PATHS]


def _engine_shown(version: str | None) -> str:
    return f"engine of fleet.netconsole, digest {version or 'unknown'}\n"


# -- the plan
# ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NodePlan:
    """What is other than it should be on the host: files, then what systemd has to be told."""

    changes: tuple[FileChange, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    folders: tuple[str, ...] = ()  # to be removed at the end
    initramfs: tuple[str, ...] = ()  # the command that makes it anew
    stamp: Entry = NO_STAMP  # what it is made of then

    @property
    def changed(self) -> bool:
        return bool(self.changes or self.commands or self.initramfs)

    def actions(self) -> list[str]:
        commands = [*self.commands, *([self.initramfs] if self.initramfs else [])]
        return [*map(str, self.changes), *(" ".join(command) for command in commands)]


def file_changes(entries: Sequence[Entry], *, files: Files) -> list[FileChange]:
    """The files that are other than they should be. An engine of the same sources and Python is the same."""
    found = []
    for wanted in entries:
        before = files.entry(wanted.path)
        if wanted.path == ENGINE and before.content is not None:
            version = archived_digest(before.content)
            before = Entry(before.path, before.content, before.mode, shown=_engine_shown(version))
        if not same(before, wanted):
            found.append(FileChange(before, wanted))
    return found


def plan_present(
    document: Mapping[str, Any],
    *,
    watch: bool,
    files: Files,
    before: Mapping[str, Any] | None = None,
    early: Sequence[Entry] | None = None,
    python: str = sys.executable,
) -> NodePlan:
    """What has to be done so that the host makes itself as declared at every boot.

    ``before`` is what the host had before the first run. ``early`` are the files for the time before the service,
    ``None`` leaves those that are there. Raises NodeError.
    """
    _require_systemd(files)
    entries = present_entries(document, watch=watch, python=python)
    initramfs, stamp = ((), NO_STAMP) if early is None else _initramfs(early, files)
    remembered = Entry(BEFORE, content=json_text(before or {}).encode())
    changes = file_changes([remembered, *entries, *(early or ())], files=files)
    changed = {change.after.path for change in changes}
    # What the service runs with: the run that wrote a file may have been killed before systemd was told.
    changed |= _not_taken_up(entries, files, watch=watch)
    shown = _show(files)
    commands: list[tuple[str, ...]] = []
    not_loaded = shown.get("NeedDaemonReload") == "yes"
    if {UNIT, WANTED} & {change.after.path for change in changes} or not_loaded:
        commands.append(("systemctl", "daemon-reload"))
    if shown.get("ActiveState") != "active" or {UNIT, ENGINE} & changed or not_loaded:
        commands.append(("systemctl", "restart", SERVICE))
    elif watch and DECLARATION in changed:
        commands.append(TAKE_UP)
    return NodePlan(changes=tuple(changes), commands=tuple(commands), initramfs=initramfs, stamp=stamp)


def _initramfs(early: Sequence[Entry], files: Files) -> tuple[tuple[str, ...], Entry]:
    command = regeneration(early, files=files)
    text = fingerprint(early)
    return tuple(command or ()), Entry(STAMP, content=text.encode() if text else None)


def _not_taken_up(entries: Sequence[Entry], files: Files, *, watch: bool) -> set[str]:
    """Of engine, declaration and unit those that are other ones than the service says that it runs with."""
    told = files.document(STATUS)
    if told is None:
        return set()
    wanted = {entry.path: entry for entry in entries}
    found = set()
    if told.get("unit_checksum") != checksum(wanted[UNIT].content or b""):
        found.add(UNIT)
    if watch and _engine_shown(told.get("version")) != wanted[ENGINE].text():
        found.add(ENGINE)
    if watch and told.get("declaration_checksum") != checksum(wanted[DECLARATION].content or b""):
        found.add(DECLARATION)
    return found


def plan_absent(*, files: Files, before_stays: bool = False) -> NodePlan:
    """What has to be done so that nothing of the sender is left. Nothing there: nothing to do, systemd is not asked.

    ``BEFORE`` goes last of all: while it is there, a run that was killed is ended by the next. ``before_stays``: what
    was changed goes on being changed, so that a later run still has to know what was before.
    """
    early = no_early()
    initramfs, stamp = _initramfs(early, files)
    remembered = [] if before_stays else [Entry(BEFORE)]
    changes = file_changes([*absent_entries(), *early, *remembered], files=files)
    folders = tuple(folder for folder in FOLDERS if files.is_directory(folder))
    if not changes and not initramfs:
        return NodePlan(folders=folders)
    commands: list[tuple[str, ...]] = []
    if files.is_directory(SYSTEMD):
        commands.append(("systemctl", "daemon-reload"))
        if any(change.after.path in (UNIT, WANTED) for change in changes):
            commands.insert(0, ("systemctl", "stop", SERVICE))
    return NodePlan(tuple(changes), tuple(commands), folders=folders, initramfs=initramfs, stamp=stamp)


def _require_systemd(files: Files) -> None:
    if not files.is_directory(SYSTEMD):
        raise NodeError(
            "persist needs systemd, which does not run this host: set persist to false (and run the play at every "
            "boot), or have the host's own init call the module"
        )


def _show(files: Files) -> dict[str, str]:
    """What systemd says of the service; of one that it does not know, that it is inactive."""
    command = ["systemctl", "show", SERVICE, "--property=ActiveState,NeedDaemonReload"]
    status, output = files.run(command, timeout=30)
    if status:
        raise NodeError(f"systemd does not say how {SERVICE} is: {output or f'exit status {status}'}")
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


# -- applied
# ----------------------------------------------------------------------------------------------------------


def stop_service(planned: NodePlan, *, files: Files) -> bool:
    """Before anything else is taken away: the service would put it back. Whether it ran. Raises NodeError."""
    ran = False
    for command in planned.commands:
        if command[1] == "stop":
            ran = _show(files).get("ActiveState") == "active"
            _systemctl(command, files)
    return ran


def start_service(*, files: Files) -> None:
    """After a run that came to nothing. Raises NodeError."""
    _systemctl(("systemctl", "start", SERVICE), files)


def remember(planned: NodePlan, *, files: Files) -> None:
    """Before anything is changed: write down what was before. Raises NodeError."""
    for change in planned.changes:
        if change.after.path == BEFORE:
            _put(change.after, files)


def forget(planned: NodePlan, *, files: Files) -> None:
    """What ``remember`` wrote, as it was: nothing was changed after all."""
    for change in planned.changes:
        if change.after.path == BEFORE:
            _put(change.before, files)
            files.remove_folder(os.path.dirname(BEFORE))


def write_files(planned: NodePlan, *, files: Files) -> None:
    """Put every file as planned, but ``BEFORE``. Raises NodeError; a second run ends what failed."""
    for change in planned.changes:
        if change.after.path != BEFORE:
            _put(change.after, files)


def _put(entry: Entry, files: Files) -> None:
    try:
        if entry.present:
            files.make_folder(os.path.dirname(entry.path))
            files.install(entry)
        else:
            files.remove(entry.path)
    except OSError as error:
        raise NodeError(f"{entry.path} cannot be written: {error.strerror}: is it mounted read-only?") from error


def tell_systemd(planned: NodePlan, *, files: Files) -> None:
    """Have systemd take up what was written. Not under the lock, which the service needs. Raises NodeError."""
    for command in planned.commands:
        if command[1] != "stop":
            _systemctl(command, files)
        if command == TAKE_UP:
            _wait_until_taken_up(files)
    if planned.initramfs:
        _regenerate(planned, files)


def end(planned: NodePlan, *, files: Files) -> None:
    """After all else is gone: what was before is not needed any more. Raises NodeError."""
    remember(planned, files=files)
    files.remove(STATUS)  # of a service that does not stay: systemd leaves it
    for folder in planned.folders:
        files.remove_folder(folder)


def _wait_until_taken_up(files: Files) -> None:
    """A reload is a signal, which does not wait for what becomes of it. Raises NodeError."""
    declared = checksum(files.entry(DECLARATION).content or b"")
    for _number in range(int(TAKEN_UP_TIMEOUT / TAKEN_UP_POLL)):
        told = files.document(STATUS)
        if told is None or told.get("declaration_checksum") == declared:
            return
        files.sleep(TAKEN_UP_POLL)
    raise NodeError(
        f"{SERVICE} has not taken up the declaration within {TAKEN_UP_TIMEOUT:.0f} seconds: see 'journalctl -u "
        f"{SERVICE}' on the host"
    )


def _regenerate(planned: NodePlan, files: Files) -> None:
    status, output = files.run(planned.initramfs, timeout=INITRAMFS_TIMEOUT)
    if status:
        raise NodeError(f"'{' '.join(planned.initramfs)}' failed: {output or f'exit status {status}'}")
    if planned.stamp.present:
        files.install(planned.stamp)
    else:
        files.remove(STAMP)


def _systemctl(command: Sequence[str], files: Files) -> None:
    status, output = files.run(command, timeout=120)
    if status:
        raise NodeError(
            f"'{' '.join(command)}' failed: {output or f'exit status {status}'}: see 'journalctl -u {SERVICE}' on "
            "the host"
        )
