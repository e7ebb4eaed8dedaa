# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host of files, links and systemd's words, for what puts the sender on a host. Unexpected calls fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Sequence

from ansible_collections.fleet.netconsole.plugins.module_utils._node_files import Entry, Files


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
