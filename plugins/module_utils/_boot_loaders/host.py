# The host's files and programs below one root folder: the running system's "/", or that of an image.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import stat
import tempfile
import time
import typing as t

from .._command import CompletedCommand, run_command

# update-grub with os-prober, or the making of an initramfs within kernel-install, on a slow machine.
GENERATOR_TIMEOUT = 900.0
_PROGRAM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_MAX_LINKS = 40
_ATTRIBUTES_OF_CONTENT = ("security.ima", "security.evm")
_WAYS_OUT = {
    errno.ENOSPC: "its file system is full: free some space there (old kernels, for example)",
    errno.EDQUOT: "its disk quota is used up",
    errno.EROFS: "its file system is mounted read-only: mount it read-write first",
    errno.EACCES: "permission denied: run as root (become)",
    errno.EPERM: "permission denied: run as root (become)",
}


class HostError(Exception):
    """A file of the host could not be read or written: the message says which, why, and the way out."""


class Host:
    """Files by their path as the host itself sees them, such as /etc/default/grub. Links stay within the root."""

    def __init__(self, root: str = "/") -> None:
        self.root = f"/{os.path.abspath(root).lstrip('/')}"

    @property
    def is_running(self) -> bool:
        """Whether this is the running system, and no image or chroot."""
        return self.root == "/"

    def read(self, path: str) -> bytes | None:
        """The content of a file, or None when there is none."""
        try:
            with open(self.real(path), "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise HostError(f"{path} cannot be read: {_reason(error)}") from error

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder."""
        return os.path.exists(self.real(path))

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder."""
        return os.path.isdir(self.real(path))

    def stat(self, path: str) -> os.stat_result | None:
        """Owner, mode and more of a file, or None when there is none."""
        return _stat(self.real(path))

    def glob(self, folder: str, pattern: str) -> list[str]:
        """The files of a folder whose names fit, sorted as the shell does in the C locale."""
        try:
            names = os.listdir(self.real(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise HostError(f"{folder} cannot be read: {_reason(error)}") from error
        return [f"{folder}/{name}" for name in sorted(names) if fnmatch.fnmatchcase(name, pattern) and name[0] != "."]

    def find(self, folder: str, pattern: str) -> list[str]:
        """The files below a folder whose names fit, hidden ones and linked ones, too; no linked folder is entered."""
        if self.is_link(folder):
            return []
        top = self.real(folder)
        return [
            f"{folder}{path[len(top) :]}"
            for place, _folders, names in os.walk(top)
            for path in (os.path.join(place, name) for name in sorted(names) if fnmatch.fnmatchcase(name, pattern))
            if os.path.isfile(path if self.is_running else self.real(f"{folder}{path[len(top) :]}"))
        ]

    def is_link(self, path: str) -> bool:
        """Whether there is a symbolic link."""
        folder, name = os.path.split(path.rstrip("/"))
        return os.path.islink(os.path.join(self.real(folder), name))

    def program(self, name: str) -> str | None:
        """The path of a program, or None when it is not installed."""
        for folder in _PROGRAM_FOLDERS:
            path = f"{folder}/{name}"
            if os.access(self.real(path), os.X_OK) and not self.is_folder(path):
                return path
        return None

    def write(self, path: str, content: bytes, *, mode: int = 0o644, like: os.stat_result | None = None) -> None:
        """Replace a file atomically, with its owner, mode and attributes; missing folders are made. Raises HostError.

        mode: that of a new file. like: take owner and mode from there instead.
        """
        real = self.real(path)
        temporary = ""
        try:
            os.makedirs(os.path.dirname(real), exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=".fleet-netconsole.", dir=os.path.dirname(real))
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                _keep_owner(file.fileno(), like or _stat(real), mode)
                _keep_attributes(file.fileno(), real)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, real)
            _sync_folder(os.path.dirname(real))
        except OSError as error:
            if temporary:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
            raise HostError(f"{path} cannot be written: {_reason(error)}") from error

    def remove(self, path: str) -> None:
        """Remove a file that may be gone already. Raises HostError."""
        try:
            os.unlink(self.real(path))
        except FileNotFoundError:
            return
        except OSError as error:
            raise HostError(f"{path} cannot be removed: {_reason(error)}") from error

    def keep_copy(self, path: str) -> str:
        """Copy a file beside itself, by a name that FAT takes, too: the copy's path. Raises HostError."""
        copy = f"{path}.{os.getpid()}.{time.strftime('%Y-%m-%d@%H-%M-%S')}~"
        self.write(copy, self.read(path) or b"", like=self.stat(path))
        return copy

    def check_room(self, path: str, needed: int) -> None:
        """Raise HostError when the file system of a file is read-only or has less than the needed bytes free."""
        folder = self.real(path)
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        try:
            space = os.statvfs(folder)
        except OSError as error:
            raise HostError(f"{folder} cannot be read: {_reason(error)}") from error
        number = 0
        if space.f_flag & os.ST_RDONLY:
            number = errno.EROFS
        elif space.f_blocks and space.f_bavail * space.f_frsize < needed:
            number = errno.ENOSPC
        if number:
            raise HostError(f"{path} cannot be written: {_WAYS_OUT[number]}")

    def run(self, argv: t.Sequence[str], *, package: str) -> CompletedCommand:
        """Run a program of the host, by chroot where the host is an image. Raises CommandError."""
        command = list(argv) if self.is_running else ["chroot", self.root, *argv]
        return run_command(command, package=package, timeout=GENERATOR_TIMEOUT)

    def real(self, path: str) -> str:
        """Where a path of the host is for this process. Links are followed as if the root were "/"."""
        if self.is_running:
            return os.path.realpath(path)
        parts = [part for part in path.split("/") if part][::-1]
        done: list[str] = []
        links = 0
        while parts:
            part = parts.pop()
            if part == ".":
                continue
            if part == "..":
                done = done[:-1]
                continue
            here = os.path.join(self.root, *done, part)
            if not os.path.islink(here):
                done.append(part)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise HostError(f"{path} is a circle of links")
            target = os.readlink(here)
            done = [] if target.startswith("/") else done
            parts += [piece for piece in target.split("/") if piece][::-1]
        return os.path.join(self.root, *done)


def _stat(real: str) -> os.stat_result | None:
    try:
        return os.stat(real)
    except FileNotFoundError:
        return None


def _keep_owner(handle: int, known: os.stat_result | None, mode: int) -> None:
    if known is None:
        _as_far_as_possible(lambda: os.fchmod(handle, mode))
        return
    _as_far_as_possible(lambda: os.fchown(handle, known.st_uid, known.st_gid))
    _as_far_as_possible(lambda: os.fchmod(handle, stat.S_IMODE(known.st_mode)))


def _keep_attributes(handle: int, real: str) -> None:
    """The label of SELinux, access lists and others, where the file is there and the file system has them."""
    with contextlib.suppress(OSError):
        for name in os.listxattr(real):
            if name not in _ATTRIBUTES_OF_CONTENT:
                os.setxattr(handle, name, os.getxattr(real, name))


def _as_far_as_possible(action: t.Callable[[], None]) -> None:
    """An EFI system partition (FAT) has neither owners nor modes."""
    with contextlib.suppress(PermissionError):
        action()


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def _reason(error: OSError) -> str:
    return _WAYS_OUT.get(error.errno or 0) or os.strerror(error.errno or errno.EIO)
