# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An installation of the collection as a user has it, and commands run with it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from process import clean_environment, collection_copy

FULL_NAME = "fleet.netconsole"


class Installed(NamedTuple):
    """One installation; commands run in an empty folder that has nothing to do with the checkout."""

    tarball: Path
    collections_path: Path
    elsewhere: Path

    @property
    def root(self) -> Path:
        return self.collections_path.joinpath("ansible_collections", *FULL_NAME.split("."))

    def run(self, *command: str) -> str:
        """Run a command of .venv with only this installation on the collections path; return its output."""
        environment = clean_environment(ANSIBLE_COLLECTIONS_PATH=str(self.collections_path))
        done = subprocess.run(
            command,
            cwd=self.elsewhere,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def documentation(self, kind: str) -> dict[str, Any]:
        """Return what ansible-doc says of every plugin of a kind (module, filter, role), by full name."""
        names = sorted(json.loads(self.run("ansible-doc", "--list", "--json", "--type", kind, FULL_NAME)))
        if not names:
            return {}
        documents: dict[str, Any] = json.loads(self.run("ansible-doc", "--json", "--type", kind, *names))
        return documents


def install(folder: Path) -> Installed:
    """Build what git tracks and install it into an empty path below the folder, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(parents=True)
    copy = collection_copy(folder / "source")
    for name in (".venv", ".nox", "build"):  # what lies about in a clone that was worked in
        (copy / name).mkdir()
        (copy / name / "leftover").touch()
    not_yet = Installed(folder / "none", folder / "installed", elsewhere)
    not_yet.run("ansible-galaxy", "collection", "build", str(copy), "--output-path", str(folder))
    (tarball,) = folder.glob("*.tar.gz")
    path = str(not_yet.collections_path)
    not_yet.run("ansible-galaxy", "collection", "install", str(tarball), "--collections-path", path)
    return not_yet._replace(tarball=tarball)
