# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the sender keeps things on its host, and how they are read and written. Module and service use the same."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
import zlib
from typing import Any, Iterator, Mapping

SERVICE = "netconsole-sender.service"
ENGINE = "/usr/local/lib/netconsole-sender/netconsole-sender.pyz"
COMMAND = "/usr/local/sbin/netconsole-sender"
UNIT = f"/etc/systemd/system/{SERVICE}"
WANTED = f"/etc/systemd/system/multi-user.target.wants/{SERVICE}"
DECLARATION = "/etc/netconsole-sender/declaration.json"
BEFORE = "/etc/netconsole-sender/before.json"  # what the host had before the first run, for state absent
EARLY_PARAMETER = "/etc/modprobe.d/netconsole-sender.conf"
STATUS = "/run/netconsole-sender/status.json"


def json_text(document: Mapping[str, Any]) -> str:
    """The one form in which a document is stored, so that equal documents are equal files."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def checksum(content: bytes) -> str:
    """Tells one file of ours from another. zlib is in memory anyway, hashlib would be another 4 MiB of the service."""
    return f"{len(content)}-{zlib.crc32(content):08x}"


def checksum_of(path: str) -> str:
    """The checksum of a file, "" where there is none."""
    try:
        with open(path, "rb") as stream:
            return checksum(stream.read())
    except OSError:
        return ""


def write_atomically(path: str, text: str, *, mode: int = 0o644) -> None:
    """Replace a file so that everybody sees the old content or the new one, also after a power failure.

    The folder has to be there. Raises OSError.
    """
    folder = os.path.dirname(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=folder)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_json(path: str) -> dict[str, Any] | None:
    """The object in a JSON file; ``None`` where there is no such file or it holds something else."""
    try:
        with open(path, encoding="utf-8") as stream:
            document = json.load(stream)
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
    """Alone while changing the kernel's targets: module and service wait for each other (flock(2) of their folder).

    Where there is no such folder there is no service.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
