# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk with a root folder that has the boot loaders' real programs, and the engine of this checkout on it.

The stage "tools" runs this as root in a mount namespace of its own (tests/pytests.py), so that nothing stays mounted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
ROOT_TAR = "FLEET_NETCONSOLE_TOOLS"
"""Variable with the path of what "lab tools" made."""


def _make_package(name: str, *folders: Path) -> None:
    """As tests/unit/conftest.py: this checkout by the collection's full name."""
    package = ModuleType(name)
    package.__path__ = [str(folder) for folder in folders]
    sys.modules[name] = package


_make_package("ansible_collections")
_make_package("ansible_collections.fleet")
_make_package("ansible_collections.fleet.netconsole", CHECKOUT)


def run(*command: str | Path) -> str:
    """A program of this machine, which has to succeed."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class Disk:
    """A mounted disk: `root` is the folder, `device` the block device below it."""

    def __init__(self, image: Path, root: Path) -> None:
        self.root = root
        self.device = run("losetup", "--find", "--show", image)
        try:
            run("mount", self.device, root)
            for name in ("dev", "proc", "sys"):
                run("mount", "--rbind", f"/{name}", root / name)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Take it away again."""
        if os.path.ismount(self.root):
            run("umount", "--recursive", "--lazy", self.root)
        run("losetup", "--detach", self.device)

    def put(self, path: str, content: str | bytes, *, mode: int = 0o644) -> None:
        """Write a file; missing folders are made."""
        real = self.root / path.lstrip("/")
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_bytes(content if isinstance(content, bytes) else content.encode())
        real.chmod(mode)

    def text(self, path: str) -> str:
        """A file's text."""
        return (self.root / path.lstrip("/")).read_text(encoding="utf-8")

    def run(self, *command: str, environment: Sequence[str] = (), timeout: float = 60) -> str:
        """A program of the disk, which has to succeed: its output and its errors. environment: NAME=value."""
        done = subprocess.run(
            ["chroot", self.root, "env", *environment, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"{command}: status {done.returncode}\n{done.stdout}"
        return done.stdout

    def files(self, *names: str) -> dict[str, bytes]:
        """Every file of these folders, or these files, and its content: to compare before and after."""
        tops = [self.root / name.lstrip("/") for name in names]
        paths = [path for top in tops for path in ([top] if top.is_file() else sorted(top.rglob("*")))]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in paths if path.is_file()}


@pytest.fixture(scope="session")
def work() -> Iterator[Path]:
    """A folder for disks and mount points, in memory."""
    with tempfile.TemporaryDirectory(prefix="fleet-netconsole-tools-") as folder:
        run("mount", "-t", "tmpfs", "tmpfs", folder)
        yield Path(folder)
        run("umount", "--lazy", folder)


@pytest.fixture(scope="session")
def master(work: Path) -> Path:
    """The disk that every test gets a copy of: a file system with the root folder."""
    image, root = work / "master.img", work / "master"
    root.mkdir()
    run("truncate", "--size=1G", image)
    run("mkfs.ext4", "-q", "-F", "-b", "4096", image)
    device = run("losetup", "--find", "--show", image)
    try:
        run("mount", device, root)
        try:
            run("tar", "--extract", f"--file={os.environ[ROOT_TAR]}", f"--directory={root}")
        finally:
            run("umount", root)
    finally:
        run("losetup", "--detach", device)
    return image


@pytest.fixture
def disk(master: Path, work: Path) -> Iterator[Disk]:
    """A disk of the test's own."""
    image, root = work / "disk.img", work / "root"
    run("cp", "--sparse=always", master, image)
    root.mkdir()
    try:
        mounted = Disk(image, root)
        try:
            yield mounted
        finally:
            mounted.close()
    finally:
        root.rmdir()
        image.unlink()


@pytest.fixture(autouse=True, scope="session")
def _usable() -> None:
    """Say at once what is missing, instead of a row of odd failures."""
    assert os.geteuid() == 0, "this needs root: run `tests/run.py boot_loaders tools`"
    assert ROOT_TAR in os.environ, f"{ROOT_TAR} is not set: run `tests/run.py boot_loaders tools`"
    for program in ("losetup", "mkfs.ext4", "chroot"):
        assert shutil.which(program), f"{program} is not in PATH"
