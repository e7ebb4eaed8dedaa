# Where boot loaders of UEFI machines keep their files: the EFI system partition and the extended boot partition.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from .host import Host

# bootctl(1) looks for the EFI system partition at /efi, /boot and /boot/efi; /boot may be the extended boot partition.
FOLDERS = ("/boot", "/efi", "/boot/efi")


def entries(host: Host) -> list[str]:
    """The files of entries (Boot Loader Specification, type 1) in every place; a place mounted twice counts once."""
    return _once(host, "loader/entries", "*.conf")


def images(host: Host) -> list[str]:
    """The unified kernel images (type 2)."""
    return _once(host, "EFI/Linux", "*.efi")


def has_systemd_boot(host: Host) -> str | None:
    """The file of systemd-boot itself, or None."""
    found = _once(host, "EFI/systemd", "systemd-boot*.efi")
    return found[0] if found else None


def _once(host: Host, folder: str, pattern: str) -> list[str]:
    seen: dict[str, str] = {}
    for place in FOLDERS:
        for path in host.glob(f"{place}/{folder}", pattern):
            seen.setdefault(host.real(path), path)
    return list(seen.values())
