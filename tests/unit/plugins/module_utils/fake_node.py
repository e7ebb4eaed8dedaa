# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host of files, links and systemd's words, for what puts the sender on a host. Unexpected calls fail."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Sequence

from ansible_collections.fleet.netconsole.plugins.module_utils._engine_archive import archived_digest
from ansible_collections.fleet.netconsole.plugins.module_utils._node_files import Entry, Files
from ansible_collections.fleet.netconsole.plugins.module_utils._sender_files import (
    DECLARATION,
    ENGINE,
    STATUS,
    UNIT,
    checksum,
)


class FakeNode(Files):
    """``entries`` are files and links by path; ``answers`` what commands say, by their words."""

    def __init__(self, *, folders: Sequence[str] = ("/run/systemd/system",)) -> None:
        self.entries: dict[str, Entry] = {}
        self.folders = set(folders)
        self.answers: dict[tuple[str, ...], tuple[int, str]] = {}
        self.ran: list[tuple[str, ...]] = []
        self.documents: dict[str, dict[str, Any]] = {}
        self.writes_until_death: int | None = None

    def entry(self, path: str) -> Entry:
        return self.entries.get(path, Entry(path))

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing to wait for: {seconds} s")

    def is_directory(self, path: str) -> bool:
        return path in self.folders

    def make_folder(self, path: str) -> None:
        self.folders.add(path)

    def remove_folder(self, path: str) -> None:
        self.folders.discard(path)

    def install(self, entry: Entry) -> None:
        self._write()
        self.entries[entry.path] = replace(entry, shown=None)

    def remove(self, path: str) -> None:
        self._write()
        self.entries.pop(path, None)

    def _write(self) -> None:
        if self.writes_until_death is not None:
            if self.writes_until_death == 0:
                raise KeyboardInterrupt
            self.writes_until_death -= 1

    def run(self, command: Sequence[str], *, timeout: float) -> tuple[int, str]:
        assert timeout > 0
        self.ran.append(tuple(command))
        return self.answers[tuple(command)]

    def document(self, path: str) -> dict[str, Any] | None:
        return self.documents.get(path)


@dataclass(frozen=True)
class Running:
    """What the service runs with."""

    unit: bytes | None
    engine: bytes | None
    declaration: bytes | None


class FakeSystemd(FakeNode):
    """The same, and a service that runs with what it was given at its start and at its last reload.

    ``steps_until_death``: writes and commands that change something, counted together; the one after them is not done.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loaded: bytes | None = None  # the unit as systemd knows it
        self.running: Running | None = None
        self.steps_until_death: int | None = None
        self.steps = 0

    def _write(self) -> None:
        if self.steps == self.steps_until_death:
            raise KeyboardInterrupt
        self.steps += 1

    def content(self, path: str) -> bytes | None:
        return self.entry(path).content

    def as_written(self) -> Running:
        """What the service runs with when nothing is owed."""
        return Running(self.content(UNIT), self.content(ENGINE), self.content(DECLARATION))

    def run(self, command: Sequence[str], *, timeout: float) -> tuple[int, str]:
        verb = command[1]
        if verb == "show":
            state = "inactive" if self.running is None else "active"
            return 0, f"ActiveState={state}\nNeedDaemonReload={'no' if self.loaded == self.content(UNIT) else 'yes'}"
        self._write()
        self.ran.append(tuple(command))
        if verb == "daemon-reload":
            self.loaded = self.content(UNIT)
        elif verb == "restart":
            self.running = replace(self.as_written(), unit=self.loaded)
        elif verb == "reload":
            if self.running is None:
                return 1, "netconsole-sender.service is not active, cannot reload."
            self.running = replace(self.running, declaration=self.content(DECLARATION))
        elif verb == "start":
            self.running = self.running or replace(self.as_written(), unit=self.loaded)
        else:
            assert verb == "stop", command
            self.running = None
        self._tell()
        return 0, ""

    def _tell(self) -> None:
        """What the service writes into its status file."""
        self.documents.pop(STATUS, None)
        if self.running is not None:
            self.documents[STATUS] = {
                "version": archived_digest(self.running.engine or b""),
                "unit_checksum": checksum(self.running.unit or b""),
                "declaration_checksum": checksum(self.running.declaration or b""),
            }
