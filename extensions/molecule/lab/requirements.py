# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Debian packages the lab needs, and installing those that are missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lab.loaders import OVMF_CODE
from lab.process import LabError, run
from lab.progress import say, step

REQUIREMENTS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "genext2fs": "genext2fs",
    "debugfs": "e2fsprogs",
    "losetup": "mount",
    "zstd": "zstd",
    "podman": "podman",
    "runc": "runc",
    "newuidmap": "uidmap",
    "sfdisk": "fdisk",
    str(OVMF_CODE): "ovmf",
    "ssh": "openssh-client",
    "ip": "iproute2",
}
"""Program, or file with its path, and the package that brings it."""

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def missing() -> list[str]:
    """Packages whose program is not there."""
    return [package for program, package in REQUIREMENTS.items() if not _is_there(program)]


def _is_there(program: str) -> bool:
    return Path(program).exists() if "/" in program else shutil.which(program, path=_PATH) is not None


def ensure(*, install: bool) -> None:
    """Install what is missing (through sudo where not root), or say what is missing."""
    packages = missing()
    if not packages:
        return
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    install_them = [*apt, "install", "--yes", "--no-install-recommends", *packages]
    if not install:
        raise LabError(f"missing: {' '.join(packages)}\n    {' '.join(install_them)}")
    say(f"missing: {' '.join(packages)}")
    with step("apt-get update"):
        run([*apt, "update", "--quiet"])
    with step(f"apt-get install {' '.join(packages)}"):
        run(install_them)
