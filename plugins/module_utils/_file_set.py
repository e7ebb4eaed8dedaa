# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many files of one service brought to their declared content in one go, and what is not declared taken away."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from typing import Callable, Sequence

CACHE = "__pycache__"
"""Made by Python beside programs that were declared: no leftover."""


class FileSetError(Exception):
    """A file cannot be as it was declared; the message says which one and why.

    What is seen beforehand leaves all as it was. If only writing shows it, those before it are in place.
    """


@dataclass(frozen=True)
class Place:
    """A directory, or with content a file, as it shall be. Mode: permission bits."""

    path: str
    owner: str
    group: str
    mode: int
    content: bytes | None = None
    validate: str | None = None
    """A command that has to end well before the file is put in place; %s in it is the new file."""

    @property
    def directory(self) -> bool:
        return self.content is None


@dataclass(frozen=True)
class Found:
    """What is there. Content is None for a directory."""

    owner: int
    group: int
    mode: int
    content: bytes | None = None


@dataclass
class Outcome:
    """What was done, or in check mode would be."""

    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.written or self.removed)


class Host:
    """The system calls. ``move`` puts a new file in the place of an old one, ``run`` gives its status and words."""

    def __init__(
        self, move: Callable[[str, str], None] = os.replace, run: Callable[[str], tuple[int, str]] | None = None
    ) -> None:
        self.move = move
        self._run = run

    def run(self, command: str) -> tuple[int, str]:
        return (127, "nothing runs commands here") if self._run is None else self._run(command)

    def find(self, path: str) -> Found | None:
        """What is at this path, or None. Raises FileSetError for what is neither file nor directory."""
        try:
            state = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        mode = stat.S_IMODE(state.st_mode)
        if stat.S_ISDIR(state.st_mode):
            return Found(state.st_uid, state.st_gid, mode)
        if not stat.S_ISREG(state.st_mode):
            raise FileSetError(f"{path} is neither a file nor a directory: move it out of the way")
        with open(path, "rb") as stream:
            return Found(state.st_uid, state.st_gid, mode, stream.read())

    def account(self, owner: str, group: str) -> tuple[int, int]:
        """The numbers of a user and a group. KeyError where there is none."""
        return pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid

    def put(self, place: Place, account: tuple[int, int]) -> None:
        """Make a directory, or put a file in place so that everybody sees the old one or the new one."""
        if place.content is None:
            os.makedirs(place.path, exist_ok=True)
            self.mark(place.path, place, account)
            return
        folder, name = os.path.split(place.path)
        os.makedirs(folder, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(place.content)
                stream.flush()
                os.fsync(stream.fileno())
            self.mark(temporary, place, account)
            if place.validate is not None:
                status, words = self.run(place.validate.replace("%s", temporary))
                if status != 0:
                    raise FileSetError(f"{place.path} was not changed, {place.validate.split()[0]} refuses it: {words}")
            self.move(temporary, place.path)
        finally:
            if os.path.lexists(temporary):
                os.unlink(temporary)

    def mark(self, path: str, place: Place, account: tuple[int, int]) -> None:
        os.chown(path, *account)
        os.chmod(path, place.mode)

    def notes(self, path: str) -> list[str]:
        """The lines of a file, none if there is no such file."""
        try:
            with open(path, encoding="utf-8") as stream:
                return stream.read().splitlines()
        except FileNotFoundError:
            return []

    def note(self, path: str, lines: Sequence[str]) -> None:
        """Have a file of these lines, that only root reads; no lines, no file."""
        if lines:
            content = "".join(f"{line}\n" for line in lines).encode()
            self.put(Place(path, "root", "root", 0o600, content), (os.getuid(), os.getgid()))
        else:
            self.remove(path)

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []

    def remove(self, path: str) -> None:
        """Remove a file or link, or a directory and what is in it."""
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


@dataclass(frozen=True)
class Step:
    """A place that is not as it shall be. Account is None where check mode does not know the numbers yet."""

    place: Place
    found: Found | None
    account: tuple[int, int] | None

    @property
    def wanted(self) -> Found | None:
        return None if self.account is None else Found(*self.account, self.place.mode, self.place.content)


def bring(
    places: Sequence[Place], *, exclusive: Sequence[str], host: Host, dry_run: bool, pending: str | None = None
) -> Outcome:
    """Have these places, in this order, and in the exclusive directories nothing else. Raises FileSetError.

    ``pending`` is a file of paths, one in a line: before anything is written, what will be is added to it. What it
    names already counts as written again, because nobody has acted on it.
    """
    steps = [step for place in places for step in [_compare(place, host, dry_run)] if step is not None]
    to_write = [step.place.path for step in steps]
    noted = [] if pending is None else host.notes(pending)
    outcome = Outcome(
        written=[place.path for place in places if place.path in to_write or place.path in noted],
        diff=[_difference(step) for step in steps],
    )
    if pending is not None and not dry_run and to_write:
        host.note(pending, [*noted, *to_write])
    for number, step in enumerate(steps):
        if dry_run or step.account is None:
            continue
        try:
            _write(step, step.account, host)
        except FileSetError:
            if pending is not None:  # this one and those after it are as they were
                host.note(pending, [*noted, *to_write[:number]])
            raise
    declared = {place.path for place in places}
    for folder in exclusive:
        for name in host.names(folder):
            path = os.path.join(folder, name)
            if path not in declared and name != CACHE:
                outcome.removed.append(path)
                if not dry_run:
                    host.remove(path)
    return outcome


def _compare(place: Place, host: Host, dry_run: bool) -> Step | None:
    """What has to be done to this place, if anything."""
    try:
        found = host.find(place.path)
    except OSError as error:
        raise FileSetError(f"{place.path}: {error.strerror}") from error
    if found is not None and (found.content is None) != place.directory:
        raise FileSetError(
            f"{place.path} is a {'directory' if found.content is None else 'file'}: move it out of the way"
        )
    try:
        account = host.account(place.owner, place.group)
    except KeyError:
        if not dry_run:
            raise FileSetError(f"{place.path}: there is no user {place.owner} with a group {place.group}") from None
        account = None  # what this run would have made before
    step = Step(place, found, account)
    return None if found is not None and found == step.wanted else step


def _write(step: Step, account: tuple[int, int], host: Host) -> None:
    place = step.place
    try:
        if step.found is not None and step.found.content == place.content:
            host.mark(place.path, place, account)
        else:
            host.put(place, account)
    except OSError as error:
        raise FileSetError(f"{place.path}: {error.strerror}") from error


def _difference(step: Step) -> dict[str, str]:
    """Before and after, as Ansible shows it: content, or where that is the same, who may do what."""
    place, found, wanted = step.place, step.found, step.wanted
    if place.directory or (found is not None and found.content == place.content):
        return {
            "before": "" if found is None else f"{found.owner}:{found.group} {found.mode:04o}\n",
            "after": f"{place.owner}:{place.group} {place.mode:04o}\n"
            if wanted is None
            else f"{wanted.owner}:{wanted.group} {wanted.mode:04o}\n",
            "before_header": f"{place.path} (owner and mode)",
            "after_header": f"{place.path} (owner and mode)",
        }
    before = b"" if found is None or found.content is None else found.content
    return {
        "before": before.decode("utf-8", "replace"),
        "after": (place.content or b"").decode("utf-8", "replace"),
        "before_header": place.path,
        "after_header": place.path,
    }
