# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real programs of boot loaders that no guest can start by, and dracut: all in one root folder, kept like an image."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.cache import cache_folder, locked
from lab.images import apt_dates, last_line
from lab.mirror import Mirror, find_mirror, machine_sources
from lab.process import run
from lab.progress import step
from lab.suites import SUITES

FORMAT = "1"
"""Raise it when this file makes the folder differently from the same packages and recipe."""

RECIPE = Path(__file__).resolve().parent / "tools_recipe"

SUITE = SUITES["trixie"]
PACKAGES = (
    *("grub-common", "grub2-common", "libc6-s390x-cross", "qemu-user", "raspi-firmware"),
    *("dracut", "systemd-standalone-sysusers", "xz-utils"),
)
"""grub-mkconfig and grub-script-check; what programs of s390x need; the hook that writes cmdline.txt; dracut."""

ZIPL = "s390-tools"
KERNEL = "linux-image-cloud-amd64"
"""The smallest kernel of the suite: modules for an initramfs."""

GRUB_SUITE = "forky"
"""The first Debian whose GRUB (2.14) reads entry files by blscfg."""

LEFT_OUT = (
    *("path-exclude=/usr/bin/qemu-*", "path-include=/usr/bin/qemu-s390x", "path-exclude=/usr/lib/raspi-firmware/*"),
    *(f"path-exclude=/usr/share/{folder}/*" for folder in ("doc", "locale", "man")),
)


def sources(mirror: Mirror) -> list[str]:
    """The sources.list lines of the root: zipl from the main archive only, which each architecture has."""
    own = [line.replace("deb ", "deb [arch=amd64] ", 1) for line in mirror.lines(SUITE)]
    return [
        *own,
        f"deb [arch=amd64] {mirror.main} {SUITE.name} non-free-firmware",
        f"deb [arch=s390x] {mirror.main} {SUITE.name} main",
    ]


def digest() -> str:
    """Twelve hex digits over everything that decides the content."""
    content = hashlib.sha256()
    for word in (FORMAT, repr(SUITE), *PACKAGES, ZIPL, KERNEL, GRUB_SUITE, *LEFT_OUT):
        content.update(word.encode() + b"\0")
    for path in sorted(RECIPE.iterdir()):
        content.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return content.hexdigest()[:12]


def ensure_tools() -> Path:
    """The root folder as a tar file, made first where the cache does not have it."""
    name = f"{SUITE.name}-tools-{digest()}"
    folder = cache_folder() / "images" / name
    with locked(cache_folder() / "locks" / name, waiting_for="boot loaders' programs"):
        if not folder.exists():
            _build(folder)
    return folder / "root.tar"


def _build(folder: Path) -> None:
    """Make it beside its place and move it there when it is whole."""
    building = folder.with_name(f"{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    log = cache_folder() / "logs" / f"{folder.name}.log"
    log.parent.mkdir(exist_ok=True)
    log.write_bytes(b"")
    mirror = find_mirror(machine_sources())
    try:
        with (
            step("fetching boot loaders' programs", now=lambda: last_line(log)),
            tempfile.TemporaryDirectory(prefix="lab-") as work,
        ):
            os.chmod(work, 0o755)
            recipe = shutil.copytree(RECIPE, Path(work) / "recipe")
            grub = Path(work) / "grub-emu"
            grub.mkdir(mode=0o777)
            os.chmod(grub, 0o777)
            known = {"LAB_GRUB_EMU": str(grub), "LAB_ZIPL": ZIPL, "LAB_KERNEL": KERNEL}
            extract = ["--variant=extract", "--include=grub-emu", f"--extract-hook={recipe}/grub-emu"]
            _mmdebstrap(extract, GRUB_SUITE, "/dev/null", [f"deb {mirror.main} {GRUB_SUITE} main"], known, log)
            install = [
                *("--variant=essential", "--architectures=amd64,s390x", f"--include={','.join(PACKAGES)}"),
                *(f"--dpkgopt={option}" for option in LEFT_OUT),
                f"--customize-hook={recipe}/finish",
            ]
            _mmdebstrap(install, SUITE.name, str(building / "root.tar"), sources(mirror), known, log)
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _mmdebstrap(
    options: Sequence[str], suite: str, result: str, lines: Sequence[str], known: Mapping[str, str], log: Path
) -> None:
    common = [
        *("mmdebstrap", "--mode=auto", f"--format={'tar' if result.endswith('.tar') else 'null'}"),
        '--aptopt=Acquire::Languages "none"',
        *(f"--aptopt={line}" for line in apt_dates(SUITE)),
    ]
    environment = {
        "PATH": f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin",
        "LC_ALL": "C.UTF-8",
        **known,
    }
    run([*common, *options, suite, result, *lines], log=log, environment=environment)
