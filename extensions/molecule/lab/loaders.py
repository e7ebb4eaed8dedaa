# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot loaders that a guest can start by, from its own disk. boot_disk.py makes such a disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

OVMF_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
OVMF_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
"""UEFI for virtual machines, from Debian's package ovmf: the program, and its variables as they leave the factory."""


@dataclass(frozen=True)
class Loader:
    """One boot loader on one firmware. boot_recipe/install has a part for each name."""

    name: str
    uefi: bool
    packages: tuple[str, ...]
    """What is installed for it, without recommendations."""
    group: str = "lab_boot_loaders"
    """Which scenario's guest starts by it."""

    def firmware_options(self, variables: Path) -> list[str]:
        """qemu's options for the firmware. `variables` is the guest's own copy of UEFI's variables."""
        if not self.uefi:
            return []
        return [
            *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}"),
            *("-drive", f"if=pflash,format=raw,unit=1,file={variables}"),
        ]


LOADERS = {
    loader.name: loader
    for loader in (
        Loader("grub-bios", uefi=False, packages=("grub-pc",)),
        Loader("grub-uefi", uefi=True, packages=("grub-efi-amd64",)),
        Loader("systemd-boot", uefi=True, packages=("systemd-boot", "systemd-boot-efi")),
        Loader("uki", uefi=True, packages=("systemd-boot", "systemd-boot-efi", "systemd-ukify")),
        Loader("extlinux", uefi=False, packages=("extlinux", "syslinux-common", "u-boot-menu")),
        # The loader of grub-bios, with an initramfs by dracut: its package takes the place of initramfs-tools.
        Loader("dracut", uefi=False, packages=("grub-pc", "dracut"), group="lab_dracut"),
    )
}
