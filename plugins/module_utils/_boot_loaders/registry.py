# Every boot loader that is known, and which one boots a host.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from .extlinux import Extlinux, UBootMenu
from .grub import DebianGrub, SuseGrub
from .grub_bls import BlsGrub
from .host import Host
from .interface import BootLoader, BootLoaderError, latin
from .ostree import Bootc, RpmOstree
from .raspberry_pi import RaspberryPi
from .systemd_boot import SystemdBoot
from .uki import UnifiedKernelImage
from .zipl import Zipl

LOADERS: dict[str, type[BootLoader]] = {
    loader.name: loader
    for loader in (
        DebianGrub,
        BlsGrub,
        SuseGrub,
        SystemdBoot,
        UnifiedKernelImage,
        Extlinux,
        UBootMenu,
        RaspberryPi,
        RpmOstree,
        Bootc,
        Zipl,
    )
}
_EFI_VARIABLES = "/sys/firmware/efi/efivars"
_VENDOR = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"  # systemd's boot loader interface


def choose(host: Host, name: str) -> tuple[BootLoader, str]:
    """The boot loader and why it is this one; name "auto" looks for it. Raises BootLoaderError when it is not clear."""
    if not host.is_folder("/"):
        raise BootLoaderError(f"root_path {host.root} is no folder")
    if name != "auto":
        if name not in LOADERS:
            raise BootLoaderError(f"{name!r} is no boot loader that is known: use one of auto, {', '.join(LOADERS)}")
        loader = LOADERS[name](host)
        found = loader.detect()
        if found is None:
            raise BootLoaderError(f"there is no {name} on this host: {_found(_detected(host))}")
        return loader, f"asked for; {found}"
    detected = _detected(host)
    if len(detected) > 1:
        running = _running(host, detected)
        if running is not None:
            return running
    if len(detected) != 1:
        raise BootLoaderError(
            f"which boot loader boots this host is not clear: {_found(detected)}; set boot_loader to one of "
            f"{', '.join([loader.name for loader, _why in detected] or list(LOADERS))}"
        )
    return detected[0]


def _detected(host: Host) -> list[tuple[BootLoader, str]]:
    loaders = [loader(host) for loader in LOADERS.values()]
    return [(loader, why) for loader in loaders for why in [loader.detect()] if why is not None]


def _found(detected: t.Sequence[tuple[BootLoader, str]]) -> str:
    if not detected:
        return "none of the known ones was found"
    return "found " + "; ".join(f"{loader.name} ({why})" for loader, why in detected)


def _running(host: Host, detected: t.Sequence[tuple[BootLoader, str]]) -> tuple[BootLoader, str] | None:
    """The one that the firmware's variables name as what booted the running system."""
    if not host.is_running:
        return None
    wanted: tuple[str, ...]
    stub, loader_info = _variable(host, "StubInfo"), _variable(host, "LoaderInfo")
    if stub:
        wanted, why = ("uki",), f"the running kernel was started by {stub}"
    elif loader_info.startswith("systemd-boot"):
        wanted, why = ("systemd-boot",), f"the running kernel was started by {loader_info}"
    elif loader_info.startswith("GRUB"):
        wanted, why = ("grub", "grub_bls", "grub_suse"), f"the running kernel was started by {loader_info}"
    else:
        return None
    matching = [(loader, f"{why}; {found}") for loader, found in detected if loader.name in wanted]
    return matching[0] if len(matching) == 1 else None


def _variable(host: Host, name: str) -> str:
    """An EFI variable's text, empty when there is none: 4 bytes of attributes, then UTF-16."""
    content = host.read(f"{_EFI_VARIABLES}/{name}-{_VENDOR}")
    return (
        ""
        if content is None
        else latin(content[4:].decode("utf-16-le", "replace").encode("latin-1", "replace")).rstrip("\0")
    )
