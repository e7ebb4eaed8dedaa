# Carrying out a boot loader's plan: under a lock, verified by reading back, and taken back when anything fails.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
import typing as t
from dataclasses import dataclass

from .._command import CommandError
from .._command_line import CommandLineError, Parameter, check_parameters, machine_limit, parse, satisfied
from .host import Host, HostError
from .interface import BootLoader, BootLoaderError, Command, Entry, Plan

LOCK_TIMEOUT = 120.0  # seconds: longer than most generators take
ROOM = 1024 * 1024  # bytes: a grub.cfg beside the old one, or an image that grows by a longer command line
ENGINE_ERRORS = (BootLoaderError, CommandError, CommandLineError, HostError)
_LOCK_FOLDERS = ("/run", "/tmp")  # not /run/lock, where every user can write


@dataclass(frozen=True)
class Outcome:
    """Entries before and after, what was (or would be) changed, and copies of files that were kept."""

    before: tuple[Entry, ...]
    after: tuple[Entry, ...]
    changed: bool
    actions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    backups: tuple[str, ...] = ()


def plan(loader: BootLoader, parameters: t.Sequence[Parameter]) -> tuple[tuple[Entry, ...], Plan]:
    """The entries as they are, and a plan that is known to be sayable. Raises one of ENGINE_ERRORS."""
    before = loader.read(parameters)
    planned = loader.plan(parameters)
    limit = machine_limit(os.uname().machine)
    old = {entry.id: entry.line for entry in before}
    for entry in planned.after:
        for parameter in parameters if entry.required is None else entry.required:
            if not satisfied(parse(entry.line), [parameter]):
                raise BootLoaderError(
                    f"{parameter} cannot be declared {'present' if parameter.present else 'absent'} with "
                    f"{loader.name}: the boot loader itself makes the line of {entry.id}, which would be {entry.line!r}"
                )
        if len(entry.line) > limit and len(entry.line) > len(old.get(entry.id, "")):
            raise BootLoaderError(
                f"the command line of {entry.id} would have {len(entry.line)} characters: the kernel silently cuts "
                f"what comes after {limit}"
            )
    # Before anything is written: what a generator says of a full disk is not always clear, and kernel-install removes
    # the old image before it copies the new one.
    for path in planned.generated:
        loader.host.check_room(path, ROOM)
    for change in planned.files:
        loader.host.check_room(change.path, len(change.after or b""))
    return before, planned


def run(
    loader: BootLoader,
    parameters: t.Sequence[Parameter],
    *,
    check_mode: bool,
    backup: bool = False,
    lock_timeout: float = LOCK_TIMEOUT,
) -> Outcome:
    """Make the entries as declared, or foretell it. Raises one of ENGINE_ERRORS with everything as it was before."""
    check_parameters(parameters)
    if check_mode:
        before, planned = plan(loader, parameters)
        return Outcome(before, planned.after, planned.changed, _actions(planned), planned.notes)
    with lock(loader.host, timeout=lock_timeout):
        before, planned = plan(loader, parameters)
        if not planned.changed:
            return Outcome(before, before, changed=False, notes=planned.notes)
        backups = _keep_copies(loader.host, planned) if backup else ()
        _carry_out(loader, planned, parameters, before)
        return Outcome(before, loader.read(parameters), True, _actions(planned), planned.notes, backups)


@contextlib.contextmanager
def lock(host: Host, *, timeout: float) -> t.Iterator[None]:
    """Only one run at a time for one root folder. Raises BootLoaderError when the other one takes too long."""
    name = hashlib.sha256(host.root.encode()).hexdigest()[:12]
    usable = (folder for folder in _LOCK_FOLDERS if os.path.isdir(folder) and os.access(folder, os.W_OK))
    folder = next(usable, _LOCK_FOLDERS[-1])
    path = f"{folder}/fleet-netconsole-kernel-cmdline.{name}.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise BootLoaderError(f"the lock {path} cannot be opened: {error.strerror}: run as root (become)") from error
    try:
        _wait_for(handle, path, timeout)
        yield
    finally:
        os.close(handle)


def _wait_for(handle: int, path: str, timeout: float) -> None:
    end = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise BootLoaderError(f"the lock {path} cannot be taken: {error.strerror}") from error
        if time.monotonic() >= end:
            raise BootLoaderError(
                f"another run has been changing the boot loader for {timeout:g} s (lock {path}): wait for it, then run "
                "again"
            )
        time.sleep(0.1)


def _keep_copies(host: Host, planned: Plan) -> tuple[str, ...]:
    """Copies of the files that exist, by their paths for this process; all of them, or none."""
    copies: list[str] = []
    try:
        for change in planned.files:
            if change.before is not None:
                copies.append(host.keep_copy(change.path))
    except HostError:
        for copy in copies:
            host.remove(copy)
        raise
    return tuple(host.real(copy) for copy in copies)


def _carry_out(loader: BootLoader, planned: Plan, parameters: t.Sequence[Parameter], before: t.Sequence[Entry]) -> None:
    host = loader.host
    done: list[Command] = []
    with _Snapshot(host, planned) as snapshot:
        try:
            for change in planned.files:
                if change.after is None:
                    host.remove(change.path)
                else:
                    host.write(change.path, change.after, mode=change.mode)
            for command in planned.commands:
                done.append(command)
                _run(host, command)
            mistakes = loader.verify(planned, parameters)
            if mistakes:
                raise BootLoaderError("read back after the change: " + "; ".join(mistakes))
        except (*ENGINE_ERRORS, OSError) as error:
            failures = [*snapshot.restore(), *_undo(loader, done, before)]
            raise BootLoaderError(_failed(str(error), planned, failures)) from error


def _run(host: Host, command: Command) -> None:
    result = host.run(command.argv, package=command.package)
    if result.returncode:
        output = (result.stderr.strip() or result.stdout.strip() or "no output")[-1000:]
        raise BootLoaderError(f"'{' '.join(command.argv)}' failed with exit status {result.returncode}: {output}")


def _undo(loader: BootLoader, commands: t.Iterable[Command], before: t.Sequence[Entry]) -> list[str]:
    failures = []
    for command in commands:
        try:
            undo = loader.undo(command, before)
            if undo:
                _run(loader.host, Command(undo, command.package))
        except ENGINE_ERRORS as error:
            failures.append(str(error))
    return failures


def _failed(cause: str, planned: Plan, failures: t.Sequence[str]) -> str:
    if failures:
        return f"{cause}. Taking the change back failed, too: {'; '.join(failures)}"
    versions = "; ".join(
        f"{change.path} was {_shown(change.before)} and would have become {_shown(change.after)}"
        for change in planned.files
    )
    return f"{cause}. Everything is as it was before" + (f" ({versions})" if versions else "")


def _shown(content: bytes | None) -> str:
    return "absent" if content is None else repr(content.decode("utf-8", "replace"))


def _actions(planned: Plan) -> tuple[str, ...]:
    verbs = [f"{'remove' if change.after is None else 'write'} {change.path}" for change in planned.files]
    return (*verbs, *(f"run {' '.join(command.argv)}" for command in planned.commands))


class _Snapshot:
    """Copies of all that a plan rewrites; on a disk of their own, since a unified kernel image has 50 MB and more."""

    def __init__(self, host: Host, planned: Plan) -> None:
        self.host = host
        self.planned = planned
        self.copies: dict[str, str] = {}
        self.known: dict[str, os.stat_result | None] = {}
        self.folder = ""

    def __enter__(self) -> _Snapshot:
        try:
            self.folder = tempfile.mkdtemp(prefix="fleet-netconsole-")
            self.known = {change.path: self.host.stat(change.path) for change in self.planned.files}
            for path in self._generated():
                copy = os.path.join(self.folder, str(len(self.copies)))
                shutil.copyfile(self.host.real(path), copy)
                self.copies[path] = copy
                self.known[path] = self.host.stat(path)
        except OSError as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise BootLoaderError(f"the old files cannot be copied to {self.folder}: {error.strerror}") from error
        return self

    def __exit__(self, *dummy: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def restore(self) -> list[str]:
        """Put everything back; what failed, one sentence each."""
        failures = []
        for change in self.planned.files:
            failures += self._put_back(change.path, change.before)
        for path in self._generated():
            if path not in self.copies:
                failures += self._put_back(path, None)
        for path, copy in self.copies.items():
            with open(copy, "rb") as file:
                content = file.read()
            # Where the file system is full, there is no room for the old file beside the broken one.
            if self._put_back(path, content):
                failures += self._put_back(path, None) or self._put_back(path, content)
        return failures

    def _put_back(self, path: str, content: bytes | None) -> list[str]:
        try:
            if self.host.read(path) == content:
                return []
            if content is None:
                self.host.remove(path)
            else:
                self.host.write(path, content, like=self.known[path])
        except HostError as error:
            return [str(error)]
        return []

    def _generated(self) -> list[str]:
        paths = []
        for path in self.planned.generated:
            if self.host.is_folder(path):
                paths += [name for name in self.host.glob(path, "*") if not self.host.is_folder(name)]
            elif self.host.exists(path):
                paths.append(path)
        return list(dict.fromkeys(paths))
