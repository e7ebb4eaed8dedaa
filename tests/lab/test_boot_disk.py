# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that boot from their own disk, as far as none has to be started for it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lab import requirements
from lab.boot_disk import DISK_MIB, PARTITIONS, ROOT_AT_MIB, installation, partition_table
from lab.cache import Keys
from lab.guests import GUESTS, Machine
from lab.images import BOOT_RECIPE, Image, image_of
from lab.loaders import LOADERS
from lab.machine import VARIABLES, command, kernel_command_line
from lab.state import State
from lab.suites import SUITES


def booted_by(loader: str) -> Machine:
    machine = GUESTS[loader]
    assert isinstance(machine, Machine)
    return machine


def test_partitions_follow_each_other_and_fit() -> None:
    end = 0
    for start, size, _kind, _further in PARTITIONS:
        assert start >= end
        end = start + size
    assert end < DISK_MIB
    assert ROOT_AT_MIB == PARTITIONS[-1][0]
    assert partition_table().count("start=") == len(PARTITIONS)


@pytest.mark.parametrize("loader", LOADERS.values(), ids=LOADERS)
def test_every_loader_is_installed_by_the_script(loader: object) -> None:
    name = loader.name  # type: ignore[attr-defined]
    script = (BOOT_RECIPE / "install").read_text(encoding="utf-8")
    assert f"    {name})" in script or f" {name})" in script or f"{name} |" in script
    assert booted_by(name).loader == name


@pytest.mark.parametrize("loader", LOADERS)
def test_installation_is_a_drive_that_a_shell_reads(loader: str, tmp_path: Path) -> None:
    content = installation(booted_by(loader))
    assert len(content) % 512 == 0
    script = tmp_path / "script"
    script.write_bytes(content)
    subprocess.run(["sh", "-n", script], check=True)
    assert f"LAB_LOADER='{loader}'" in content.decode()


def test_installation_tells_the_loader_what_qemu_tells_other_guests() -> None:
    machine = booted_by("grub-bios")
    words = next(line for line in installation(machine).decode().splitlines() if line.startswith("LAB_WORDS="))
    told = words.partition("=")[2].strip("'").split()
    assert [word for word in told if word.startswith("console=")] == ["console=tty0", "console=ttyS0"]
    assert not [word for word in told if word.startswith("root=")]
    assert {word for word in kernel_command_line(machine).split() if not word.startswith("root=")} <= set(told)


@pytest.mark.parametrize("loader", LOADERS)
def test_qemu_starts_firmware_and_not_a_kernel(loader: str, tmp_path: Path) -> None:
    state = State(tmp_path, "0123abcd", {})
    words = command(booted_by(loader), state, tmp_path, 2222, kvm=False)
    assert not {"-kernel", "-initrd", "-append"} & set(words)
    assert any(str(tmp_path / VARIABLES) in word for word in words) is LOADERS[loader].uefi
    assert any("bootindex=1" in word for word in words)


def test_one_image_serves_all_loaders_and_is_not_that_of_other_machines(tmp_path: Path) -> None:
    for name in ("login", "host"):
        (tmp_path / f"{name}.pub").write_text(f"ssh-ed25519 AAAA{name}\n", encoding="utf-8")
    pair = Keys(tmp_path / "login", tmp_path / "host")
    digests = {image_of(booted_by(loader)).digest(pair) for loader in LOADERS}
    assert len(digests) == 1
    assert Image("machine", SUITES["trixie"]).digest(pair) not in digests


def test_a_required_file_is_missing_or_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    firmware = tmp_path / "firmware.fd"
    monkeypatch.setattr(requirements, "REQUIREMENTS", {str(firmware): "ovmf", "sh": "dash"})
    assert shutil.which("sh")
    assert requirements.missing() == ["ovmf"]
    firmware.touch()
    assert requirements.missing() == []
