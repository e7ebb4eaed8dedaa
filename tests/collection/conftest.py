# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection as a user gets it: built from what git tracks, installed into an empty path, used from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from installation import Installed
from process import collection_copy


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Build, then install into an empty path."""
    folder = tmp_path_factory.mktemp("collection")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    copy = collection_copy(folder / "source")
    for name in (".venv", ".nox", "build"):  # what a clone that was worked in has lying about
        Path(copy / name).mkdir()
        (copy / name / "leftover").touch()
    nothing = Installed(folder, folder / "none", elsewhere)
    nothing.run("ansible-galaxy", "collection", "build", str(copy), "--output-path", str(folder))
    (tarball,) = folder.glob("*.tar.gz")
    installation = Installed(tarball, folder / "installed", elsewhere)
    target = str(installation.collections_path)
    installation.run("ansible-galaxy", "collection", "install", str(tarball), "--collections-path", target)
    return installation
