# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Let unit tests import this checkout by the collection's full name, whatever folder it lies in.

An installed collection of the same name (pip's "ansible" package, a collections path) must not be tested instead,
and on a Python that has no ansible-core the engine's tests still run: so the packages are made here, without Ansible.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

CHECKOUT = Path(__file__).resolve().parents[2]


def _make_package(name: str, *folders: Path) -> None:
    """Make a package that finds its modules in the folders; without folders it holds only what is made here."""
    package = ModuleType(name)
    package.__path__ = [str(folder) for folder in folders]
    sys.modules[name] = package


_make_package("ansible_collections")
_make_package("ansible_collections.fleet")
_make_package("ansible_collections.fleet.netconsole", CHECKOUT)


def _fsync_without_disk(file: int) -> None:
    """No test cuts the power, so none has to wait for the disk. A file that is not open is still an error."""
    os.fstat(file)


os.fsync = _fsync_without_disk  # type: ignore[assignment]
