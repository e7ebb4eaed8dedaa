# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the Python interpreters of this machine: those on PATH and those of pyenv, one per minor version."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

MANAGED_NODE_VERSIONS = tuple((3, minor) for minor in range(7, 14))
"""What the collection promises to run on (README.md)."""


class Interpreter(NamedTuple):
    version: tuple[int, int]
    path: Path

    @property
    def name(self) -> str:
        return f"{self.version[0]}.{self.version[1]}"


def find_interpreters() -> list[Interpreter]:
    """Return one working interpreter for each promised version that is installed, oldest first."""
    found: dict[tuple[int, int], Path] = {sys.version_info[:2]: Path(sys.executable)}
    for folder in _folders():
        for path in sorted(folder.glob("python3.*")):
            match = re.fullmatch(r"python3\.(\d+)", path.name)
            version = (3, int(match.group(1))) if match else (0, 0)
            if version in MANAGED_NODE_VERSIONS and version not in found and _answers(path, version):
                found[version] = path
    return [Interpreter(version, found[version]) for version in sorted(found)]


def missing_versions(interpreters: list[Interpreter]) -> list[str]:
    """Name the promised versions for which this machine has no interpreter."""
    have = {interpreter.version for interpreter in interpreters}
    return [f"{major}.{minor}" for major, minor in MANAGED_NODE_VERSIONS if (major, minor) not in have]


def _folders() -> list[Path]:
    """Folders to look in. pyenv's shims are left out: they are there for versions that are switched off, too."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    on_path = [Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    return [folder for folder in on_path if folder.name != "shims"] + sorted(pyenv.glob("versions/*/bin"))


def _answers(path: Path, version: tuple[int, int]) -> bool:
    """Tell whether the interpreter starts, is that version and can make virtual environments."""
    program = "import ensurepip, sys, venv; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run([path, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.split() == [str(number) for number in version]
