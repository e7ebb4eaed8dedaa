# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of ours on a host: as they are, as they shall be, and put in place so that nobody ever sees half of one."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
import time
from dataclasses import dataclass
from typing import Any, Sequence

from ._command import CommandError, run_command
from ._sender_files import read_json


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

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def document(self, path: str) -> dict[str, Any] | None:
        return read_json(path)


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


def same(before: Entry, wanted: Entry) -> bool:
    """Whether nothing has to be done: kind, content and mode (-1 for a file that is not root's)."""
    if wanted.link is not None or not wanted.present:
        return (before.link, before.present) == (wanted.link, wanted.present)
    if before.content is None or before.mode != wanted.mode:
        return False
    return before.text() == wanted.text() if wanted.shown is not None else before.content == wanted.content
