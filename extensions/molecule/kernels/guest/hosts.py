# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that lack something. A part of this one is hidden, in a mount namespace that only the check sees."""

from __future__ import annotations

import ctypes
import lzma
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import LOCKDOWN, Configfs
from ansible_collections.fleet.netconsole.plugins.module_utils._node_files import Files as NodeFiles
from ansible_collections.fleet.netconsole.plugins.module_utils._node_service import plan_present
from kernels.guest.ground import Ground, in_child, must, only, refused, shell
from kernels.guest.selftests import LOG1

CLONE_NEWNS = 0x20000  # unshare(2)
XZ = b"\xfd7zXZ\0"
SIGNED = b"~Module signature appended~\n"


def checks() -> Iterator[tuple[str, Callable[[Ground], None]]]:
    yield "host: a kernel without the module netconsole is refused, with the way out", no_module
    yield "host: without systemd, persist is refused and targets are made", no_systemd
    yield "host: locked down, an unsigned module is refused with the reason, and the signed one sends", locked_down


def no_module(ground: Ground) -> None:
    ground.fresh()
    shell("modprobe -r netconsole")

    def work() -> None:
        with refused("install the package with the kernel's full set of modules"):
            ground.host().run({"targets": [LOG1]})

    must(_without("/lib/modules", work) == 0, "not refused, or in other words: the guest's program says which")
    must(not Configfs().loaded(), "it is loaded all the same")
    ground.fresh()
    ground.run(LOG1)
    only(ground.say("with the module"))


def no_systemd(ground: Ground) -> None:
    ground.fresh()

    def work() -> None:
        with refused("persist needs systemd"):
            plan_present({"targets": [LOG1]}, watch=True, files=NodeFiles())
        ground.run(LOG1)

    must(_without("/run/systemd", work) == 0, "not refused, or no target: the guest's program says which")
    only(ground.say("without systemd"))


def locked_down(ground: Ground) -> None:
    """The last check of all: nothing but a boot takes the lock away again."""
    ground.fresh()
    shell("modprobe -r netconsole")
    shell("mountpoint -q /sys/kernel/security || mount -t securityfs none /sys/kernel/security")
    if "[none]" in ground.files.read(LOCKDOWN):
        ground.files.write(LOCKDOWN, "integrity\n")
    path = Path(shell("modinfo -n netconsole").strip())
    unsigned = Path("/run", path.name)
    unsigned.write_bytes(_without_signature(path.read_bytes()))

    def work() -> None:
        with refused("is not signed, and this kernel is locked down"):
            ground.host().run({"targets": [LOG1]})

    must(_with_mount(f"--bind {unsigned} {path}", work) == 0, "not refused, or in other words: see above")
    ground.fresh()
    ground.run(LOG1)
    only(ground.say("locked down"))


def _without_signature(module: bytes) -> bytes:
    """A kernel module as it was before it was signed (linux/module_signature.h)."""
    compressed = module.startswith(XZ)
    plain = lzma.decompress(module) if compressed else module
    must(plain.endswith(SIGNED), "the distribution's module is not signed")
    information = plain[: -len(SIGNED)][-12:]
    (length,) = struct.unpack(">8xI", information)
    plain = plain[: -len(SIGNED) - len(information) - length]
    return lzma.compress(plain, check=lzma.CHECK_CRC32) if compressed else plain


def _without(folder: str, work: Callable[[], None]) -> int:
    """Run something where this folder is empty; 0 when it went well."""
    return _with_mount(f"-t tmpfs none {folder}", work)


def _with_mount(words: str, work: Callable[[], None]) -> int:
    """Run something where this is mounted, and only there; 0 when it went well."""

    def elsewhere() -> None:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
            raise OSError(ctypes.get_errno(), "unshare")
        shell(f"mount --make-rprivate / && mount {words}")
        work()

    return in_child(elsewhere)
