# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stays of a sender on its host: engine, declared state and unit, compared, written, taken away.

``plan_present`` and ``plan_absent`` list what is other than it should be, and change nothing. Facts: systemd.unit(5),
systemd.exec(5), systemctl(1).
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Sequence

from ._command import CommandError, run_command
from ._engine_archive import archive, archived_digest, digest, engine_sources
from ._sender_files import COMMAND, DECLARATION, ENGINE, SERVICE, STATUS, UNIT, WANTED, json_text, read_json

FOLDERS = ("/usr/local/lib/netconsole-sender", "/etc/netconsole-sender")
SYSTEMD = "/run/systemd/system"  # sd_booted(3)


class NodeError(Exception):
    """Something of the sender cannot be put on this host, or taken from it; the message says why and the way out."""


@dataclass(frozen=True)
class Entry:
    """A file of ours as it shall be: its content, or where the link leads, or neither: gone.

    ``shown`` stands for a content that is no text in the diff.
    """

    path: str
    content: bytes | None = None
    mode: int = 0o644
    link: str | None = None
    shown: str | None = None

    def text(self) -> str:
        if self.link is not None:
            return f"link to {self.link}\n"
        if self.shown is not None:
            return self.shown
        return "" if self.content is None else self.content.decode("utf-8", "replace")

    @property
    def present(self) -> bool:
        return self.content is not None or self.link is not None


class Files:
    """The system calls for files, and commands. Tests put a model of a host in its place."""

    def entry(self, path: str) -> Entry:
        """A file or link as it is on this host."""
        try:
            state = os.lstat(path)
            if stat.S_ISLNK(state.st_mode):
                return Entry(path, link=os.readlink(path))
            with open(path, "rb") as stream:
                content = stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return Entry(path)
        mode = stat.S_IMODE(state.st_mode) if (state.st_uid, state.st_gid) == (0, 0) else -1
        return Entry(path, content=content, mode=mode)

    def is_directory(self, path: str) -> bool:
        return os.path.isdir(path)

    def make_folder(self, path: str) -> None:
        """A folder that everybody may look into, those above it too."""
        if not os.path.isdir(path):
            self.make_folder(os.path.dirname(path))
            os.mkdir(path)
            os.chmod(path, 0o755)

    def remove_folder(self, path: str) -> None:
        """Remove a folder of ours unless somebody else put something into it."""
        try:
            os.rmdir(path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                raise

    def install(self, entry: Entry) -> None:
        """Put a file or link in place, so that everybody sees the old one or the new one."""
        folder, name = os.path.split(entry.path)
        if entry.link is not None:
            temporary = os.path.join(folder, f".{name}.new")
            if os.path.lexists(temporary):
                os.unlink(temporary)
            os.symlink(entry.link, temporary)
            os.replace(temporary, entry.path)
            return
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(entry.content or b"")
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, entry.mode)
        os.chown(temporary, 0, 0)
        self.move(temporary, entry.path)

    def move(self, source: str, destination: str) -> None:
        """Rename within a folder. The module puts Ansible's way in its place, which minds SELinux."""
        os.replace(source, destination)

    def remove(self, path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError:
            return

    def run(self, command: Sequence[str], *, timeout: float) -> tuple[int, str]:
        """Exit status and words of a command of systemd."""
        try:
            done = run_command(command, package="systemd", timeout=timeout)
        except CommandError as error:
            return 127, str(error)
        return done.returncode, (done.stdout + done.stderr).strip()

    def document(self, path: str) -> dict[str, Any] | None:
        return read_json(path)


# -- what shall be there
# ----------------------------------------------------------------------------------------------------------

# Whoever reads this unit on a host: why it may do what it may.
_UNIT = """\
# Written by Ansible (fleet.netconsole). Changes are overwritten.
[Unit]
Description=Kernel messages over the network (netconsole)
Documentation=man:netconsole(4) file:{declaration}
# Early: as soon as there is configfs. The network is waited for by itself, and not for long. After systemd-sysctl, so
# that the declared console log level wins.
After=systemd-sysctl.service systemd-modules-load.service sys-kernel-config.mount
After=modprobe@configfs.service modprobe@netconsole.service
Wants=sys-kernel-config.mount modprobe@configfs.service modprobe@netconsole.service

[Service]
{kind}
TimeoutStartSec=90
RuntimeDirectory=netconsole-sender
# The kernel's modules, its netconsole directory, the console log level, interfaces and neighbours; nothing else.
CapabilityBoundingSet=CAP_NET_ADMIN CAP_SYS_MODULE CAP_SYSLOG CAP_SYS_ADMIN
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
UMask=0022

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
    """Everything that a sender has on its host, in the order in which it is written."""
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


def _engine_shown(version: str | None) -> str:
    return f"engine of fleet.netconsole, digest {version or 'unknown'}\n"


# -- the plan
# ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FileChange:
    """One file before and after."""

    before: Entry
    after: Entry

    def __str__(self) -> str:
        return f"{'write' if self.after.present else 'remove'} {self.after.path}"

    def diff(self) -> dict[str, str]:
        return {
            "before": self.before.text(),
            "after": self.after.text(),
            "before_header": self.after.path,
            "after_header": self.after.path,
        }


@dataclass(frozen=True)
class NodePlan:
    """What is other than it should be on the host: files, then what systemd has to be told."""

    changes: tuple[FileChange, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    folders: tuple[str, ...] = ()  # to be removed at the end
    warnings: tuple[str, ...] = field(default=())

    @property
    def changed(self) -> bool:
        return bool(self.changes or self.commands)

    def actions(self) -> list[str]:
        return [*map(str, self.changes), *(" ".join(command) for command in self.commands)]


def file_changes(entries: Sequence[Entry], *, files: Files) -> list[FileChange]:
    """The files that are other than they should be. An engine of the same sources and Python is the same."""
    found = []
    for wanted in entries:
        before = files.entry(wanted.path)
        if wanted.path == ENGINE and before.content is not None:
            version = archived_digest(before.content)
            before = Entry(before.path, before.content, before.mode, shown=_engine_shown(version))
        if not _same(before, wanted):
            found.append(FileChange(before, wanted))
    return found


def _same(before: Entry, wanted: Entry) -> bool:
    if wanted.link is not None or not wanted.present:
        return (before.link, before.present) == (wanted.link, wanted.present)
    if before.content is None or before.mode != wanted.mode:
        return False
    return before.text() == wanted.text() if wanted.shown is not None else before.content == wanted.content


def plan_present(
    document: Mapping[str, Any], *, watch: bool, files: Files, python: str = sys.executable
) -> NodePlan:
    """What has to be done so that the host makes itself as declared at every boot. Raises NodeError."""
    _require_systemd(files)
    entries = present_entries(document, watch=watch, python=python)
    changes = file_changes(entries, files=files)
    changed = {change.after.path for change in changes}
    shown = _show(files)
    commands: list[tuple[str, ...]] = []
    if {UNIT, WANTED} & changed or shown.get("NeedDaemonReload") == "yes":
        commands.append(("systemctl", "daemon-reload"))
    if shown.get("ActiveState") != "active":
        commands.append(("systemctl", "restart", SERVICE))
    elif {UNIT, ENGINE} & changed or (watch and _runs_another_engine(entries[0], files)):
        commands.append(("systemctl", "restart", SERVICE))
    elif watch and DECLARATION in changed:
        commands.append(("systemctl", "reload", SERVICE))
    return NodePlan(changes=tuple(changes), commands=tuple(commands))


def _runs_another_engine(engine: Entry, files: Files) -> bool:
    """A run that was killed between the file and the restart leaves the old one running."""
    told = files.document(STATUS)
    return told is not None and _engine_shown(told.get("version")) != engine.text()


def plan_absent(*, files: Files) -> NodePlan:
    """What has to be done so that nothing of the sender is left. Nothing there: nothing to do, systemd is not asked."""
    changes = file_changes(absent_entries(), files=files)
    folders = tuple(folder for folder in FOLDERS if files.is_directory(folder))
    if not changes:
        return NodePlan(folders=folders)
    commands: list[tuple[str, ...]] = []
    if files.is_directory(SYSTEMD):
        commands.append(("systemctl", "daemon-reload"))
        if any(change.after.path in (UNIT, WANTED) for change in changes):
            commands.insert(0, ("systemctl", "stop", SERVICE))
    return NodePlan(changes=tuple(changes), commands=tuple(commands), folders=folders)


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


def stop_service(planned: NodePlan, *, files: Files) -> None:
    """Before anything else is taken away: the service would put it back. Raises NodeError."""
    for command in planned.commands:
        if command[1] == "stop":
            _systemctl(command, files)


def write_files(planned: NodePlan, *, files: Files) -> None:
    """Put every file as planned. Raises NodeError; a second run ends what failed."""
    for change in planned.changes:
        try:
            if change.after.present:
                files.make_folder(os.path.dirname(change.after.path))
                files.install(change.after)
            else:
                files.remove(change.after.path)
        except OSError as error:
            raise NodeError(
                f"{change.after.path} cannot be written: {error.strerror}: is it mounted read-only?"
            ) from error
    for folder in planned.folders:
        files.remove_folder(folder)


def tell_systemd(planned: NodePlan, *, files: Files) -> None:
    """Have systemd take up what was written. Not under the lock, which the service needs. Raises NodeError."""
    for command in planned.commands:
        if command[1] != "stop":
            _systemctl(command, files)


def _systemctl(command: Sequence[str], files: Files) -> None:
    status, output = files.run(command, timeout=120)
    if status:
        raise NodeError(
            f"'{' '.join(command)}' failed: {output or f'exit status {status}'}: see 'journalctl -u {SERVICE}' on "
            "the host"
        )
