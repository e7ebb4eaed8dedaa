# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that firmware can boot: a partition table, the image's root file system, and a boot loader of Debian's.

No loop device is needed, and no root: the root file system is copied to its place in the disk, and the guest itself,
once started on it with qemu's -kernel, installs the boot loader as an administrator would (boot_recipe/install).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from lab.cache import cache_folder, locked
from lab.guests import GUESTS, Machine
from lab.images import BOOT_RECIPE, ensure_images, image_of
from lab.loaders import LOADERS
from lab.machine import PROGRAM, accelerator, clock_words, kernel_command_line, kvm_works
from lab.process import LabError, run, tail
from lab.progress import step

MIB = 1024 * 1024
DISK_MIB = 4096
PARTITIONS = (
    # start and size in MiB, sfdisk's word for the type (GPT), and its further words
    (1, 1, "21686148-6449-6E6F-744E-656564454649", ""),  # GRUB's second stage on BIOS
    (2, 254, "U", ""),  # EFI system partition
    (256, 256, "L", ", attrs=LegacyBIOSBootable"),  # /boot; the mark is for extlinux's first stage
    (512, DISK_MIB - 512 - 1, "L", ""),  # /
)
ROOT_AT_MIB = PARTITIONS[3][0]

INSTALL_LIMIT = 3600.0
"""Seconds that installing a boot loader may take in the guest: several times what it takes on two busy cores."""

INSTALLED = b"lab: boot loader installed"


def partition_table() -> str:
    """What sfdisk(8) reads."""
    lines = ["label: gpt", "unit: sectors"]
    for start, size, kind, further in PARTITIONS:
        lines.append(f"start={start * MIB // 512}, size={size * MIB // 512}, type={kind}{further}")
    return "\n".join(lines) + "\n"


def installation(machine: Machine) -> bytes:
    """The script that the guest runs, as the content of a drive: whole sectors, with what it needs to know in front."""
    loader = LOADERS[machine.loader]
    # Two consoles, as machines with a screen and a serial line have; the last one is /dev/console.
    words = kernel_command_line(machine, clock_words(kvm=kvm_works())).replace("console=", "console=tty0 console=", 1)
    known = {
        "LAB_LOADER": loader.name,
        "LAB_UEFI": "yes" if loader.uefi else "no",
        "LAB_PACKAGES": " ".join(loader.packages),
        "LAB_WORDS": " ".join(word for word in words.split() if not word.startswith("root=")),
    }
    head = "".join(f"{name}='{value}'\n" for name, value in known.items())
    script = head.encode() + (BOOT_RECIPE / "install").read_bytes()
    return script + b"\n" * (-len(script) % 512)


def ensure_folders(names: Iterable[str], *, rebuild: bool = False) -> dict[str, Path]:
    """For each guest the folder of what it starts from: its image, or its boot disk. Made first where it is missing."""
    wanted = list(names)
    images = ensure_images((image_of(GUESTS[name]) for name in wanted), rebuild=rebuild)
    folders = {}
    for name in wanted:
        guest = GUESTS[name]
        folders[name] = images[image_of(guest)]
        if isinstance(guest, Machine) and guest.loader:
            folders[name] = _ensure(guest, folders[name], rebuild=rebuild)
    return folders


def _ensure(machine: Machine, image: Path, *, rebuild: bool) -> Path:
    script = installation(machine)
    digest = hashlib.sha256(b"\0".join((image.name.encode(), partition_table().encode(), script))).hexdigest()[:12]
    name = f"{machine.suite}-{machine.loader}-{digest}"
    folder = cache_folder() / "images" / name
    with locked(cache_folder() / "locks" / name, waiting_for=f"boot disk {machine.loader}"):
        if rebuild and folder.exists():
            shutil.rmtree(folder)
        if not folder.exists():
            _build(machine.loader, image, script, folder)
    return folder


def _build(loader: str, image: Path, script: bytes, folder: Path) -> None:
    """Make a disk beside its place and move it there when its boot loader is installed."""
    building = folder.with_name(f"{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    log = cache_folder() / "logs" / f"{folder.name}.log"
    log.write_bytes(b"")
    disk = building / "disk.img"
    try:
        with step(f"installing {loader} on a disk", now=lambda: tail(log, 1).strip()[:60]):
            run(["truncate", "-s", f"{DISK_MIB}M", disk])
            run(["/sbin/sfdisk", "--quiet", disk], data=partition_table().encode())
            words = [f"seek={ROOT_AT_MIB}", "bs=1M", "conv=notrunc,sparse", "status=none"]
            run(["dd", f"if={image / 'disk.img'}", f"of={disk}", *words])
            (building / "install").write_bytes(script)
            _run_installation(image, building, log)
            (building / "install").unlink()
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _run_installation(image: Path, building: Path, log: Path) -> None:
    """Start the guest on the new disk; its first process is a shell that reads the second drive as its script."""
    kvm = kvm_works()
    words = f"root=/dev/vda{len(PARTITIONS)} rw console=ttyS0 quiet mitigations=off panic=-1 init=/bin/sh"
    run(
        [
            PROGRAM,
            *accelerator(kvm=kvm),
            *("-smp", "1", "-m", "768", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-serial", f"file:{log}"),
            *("-kernel", str(image / "kernel"), "-initrd", str(image / "initrd")),
            *("-append", f"{words} -- /dev/vdb"),
            *("-drive", f"file={building / 'disk.img'},format=raw,if=virtio,cache=unsafe"),
            *("-drive", f"file={building / 'install'},format=raw,if=virtio,readonly=on"),
            *("-device", "virtio-rng-pci"),
        ],
        timeout=INSTALL_LIMIT,
    )
    if INSTALLED not in log.read_bytes():
        raise LabError(f"the boot loader could not be installed, see {log}:\n{tail(log)}")
