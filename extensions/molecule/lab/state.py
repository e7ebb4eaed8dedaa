# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running lab as noted on disk: which guests run, by which process and port, and the segments that join them."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab.process import LabError

_TOP = Path(__file__).resolve().parents[3]
_SOCKET_PATH_MAX = 107
_LONGEST_SOCKET = len("/cp/") + 10 + 17  # Ansible's name of an ssh control socket and ssh's suffix to it


def state_folder(given: str | None = None) -> Path:
    """Folder of a lab's state: as given, else FLEET_NETCONSOLE_LAB, else .lab beside the collection's galaxy.yml."""
    folder = Path(given or os.environ.get("FLEET_NETCONSOLE_LAB") or _TOP / ".lab").expanduser().resolve()
    if len(str(folder)) + _LONGEST_SOCKET > _SOCKET_PATH_MAX:
        raise LabError(f"{folder} is too long for sockets below it: set FLEET_NETCONSOLE_LAB to a shorter folder")
    return folder


@dataclass
class Record:
    """One guest that was started. Its process or container carries the marker in its command line or as its name."""

    kind: str
    suite: str
    marker: str
    port: int = 0
    """Port of 127.0.0.1 that leads to a machine's ssh."""


@dataclass
class State:
    """The content of lab.json."""

    folder: Path
    instance: str
    """Drawn once per lab: tells its processes and containers from those of every other lab."""
    guests: dict[str, Record] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> State:
        """What is noted in this folder, or a new lab."""
        try:
            noted: dict[str, Any] = json.loads((folder / "lab.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls(folder, secrets.token_hex(4))
        guests = {name: Record(**record) for name, record in noted["guests"].items()}
        return cls(folder, noted["instance"], guests)

    def save(self) -> None:
        """Write lab.json, whole or not at all."""
        content = {
            "instance": self.instance,
            "guests": {name: asdict(record) for name, record in self.guests.items()},
        }
        new = self.folder / "lab.json.new"
        new.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        new.replace(self.folder / "lab.json")

    def segment(self, name: str) -> Path:
        """The socket by which machines join a segment (switch.py)."""
        return self.folder / f"{name}.sock"

    def marker(self, name: str) -> str:
        """The name by which a guest's process or container is known again."""
        return f"fleet-netconsole-{self.instance}-{name}"

    def log(self, name: str, what: str) -> Path:
        """A guest's log file: console, qemu or podman."""
        return self.folder / "logs" / f"{name}.{what}"
