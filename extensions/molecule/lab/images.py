# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images: made by mmdebstrap from the machine's own package mirror, kept by content, never changed afterwards."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.cache import Keys, cache_folder, keys, locked
from lab.guests import Guest, Machine
from lab.loaders import LOADERS
from lab.mirror import find_mirror, machine_sources
from lab.process import LabError, end_running, run
from lab.progress import step
from lab.suites import SUITES, Suite

FORMAT = "1"
"""Raise it when this file makes an image differently from the same packages and recipe."""

RECIPE = Path(__file__).resolve().parent / "recipe"
BOOT_RECIPE = Path(__file__).resolve().parent / "boot_recipe"
"""What is further done for guests that boot from their own disk."""

COMMON = ("iproute2", "kmod", "openssh-server", "procps", "python3", "python3-apt", "systemd-sysv")
MACHINE = (*COMMON, "e2fsprogs", "initramfs-tools", "udev")
BOOTING = (
    *("dosfstools", "linux-base"),
    # What the boot loaders' packages depend on: installed here, where the processor is real.
    *(
        "gettext-base",
        "libdevmapper1.02.1",
        "libefiboot1t64",
        "libfreetype6",
        "libfuse3-4",
        "python3-pefile",
        "python3-zstandard",
        "ucf",
    ),
)
PACKAGES = {"machine": MACHINE, "booting": (*MACHINE, *BOOTING), "container": COMMON}
"""What every guest has. No syslog daemon: what is installed beyond this is a role's doing."""

_EVERY_ARCHIVE = ("rsyslog", "logrotate")
_OBSERVER = ("python3-prometheus-client",)
_READERS = ("lnav", "prometheus")  # of what a receiver offers: tests try its files with them
_OUTPUTS = ("rsyslog-elasticsearch", "rsyslog-gnutls", "rsyslog-hiredis", "rsyslog-kafka", "rsyslog-relp")
_FAR_SIDES = ("kcat", "redis-server")  # of outputs: what a test sends to
_COLLECTORS = ("netcat-openbsd", "netconsd", "nftables", "socat", "syslog-ng-core", "syslog-ng-mod-add-contextual-data")
ARCHIVE: dict[str, tuple[str, ...]] = {
    "machine": (*_EVERY_ARCHIVE, *_OBSERVER),
    "booting": _EVERY_ARCHIVE,
    "container": (*_EVERY_ARCHIVE, *_COLLECTORS, *_OUTPUTS, *_FAR_SIDES, *_OBSERVER, *_READERS),
}
"""What a role or a test may install: lies in the guest as an archive of its own, because a guest has no way out."""

MISSING = {("bookworm", "netconsd")}
"""Which of these a suite does not have."""

LEFT_OUT = (
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    *(
        f"{lib}/modules/*/kernel/{folder}/*"
        for lib in ("/lib", "/usr/lib")
        for folder in (
            "sound",
            *(f"drivers/{name}" for name in ("bluetooth", "comedi", "gpu", "iio", "infiniband", "isdn", "media")),
            *(f"drivers/{name}" for name in ("mtd", "net/wireless", "scsi", "staging", "usb/gadget")),
        )
    ),
)
"""Files that no guest of the lab needs: half of the kernel package is drivers for other hardware."""

KEPT_MODULES = (
    *("/kernel/arch/", "/kernel/crypto/", "/kernel/lib/"),
    *("/kernel/fs/(configfs|ext4|fat|jbd2|mbcache|nls|efivarfs|fscrypto|binfmt|autofs)", "/kernel/net/core/"),
    *("/kernel/drivers/(virtio|block/virtio_blk|char|rtc|firmware|input/misc|input/evdev)",),
    *("/kernel/drivers/net/(netconsole|virtio_net|net_failover|dummy)", "/kernel/net/(ipv6|packet|unix)/"),
)
"""Of the kernel that is installed later in a guest with a boot loader: patterns of grep -E."""

DISK_SIZE = "3G"
"""Sparse: an image takes about 0.4 GB."""


@dataclass(frozen=True)
class Image:
    """What an image is made from. Two images with the same content have the same name."""

    kind: str
    """machine, container, or booting: a machine that boots from its own disk"""
    suite: Suite

    def packages(self) -> tuple[str, ...]:
        """Packages to install, the kernel's among them for a machine."""
        return tuple(sorted((*PACKAGES[self.kind], *((self.suite.kernel,) if self.kind == "machine" else ()))))

    def archive(self) -> tuple[str, ...]:
        """Packages that lie in the guest's archive."""
        return tuple(package for package in ARCHIVE[self.kind] if (self.suite.name, package) not in MISSING)

    def digest(self, pair: Keys) -> str:
        """Twelve hex digits over everything that decides the content, the recipe's files included."""
        content = hashlib.sha256()
        for word in (FORMAT, self.kind, repr(self.suite), *self.packages(), *self.archive(), *LEFT_OUT, DISK_SIZE):
            content.update(word.encode() + b"\0")
        for path in (pair.login, pair.host):
            content.update(pair.public(path).encode() + b"\0")
        paths = [path for path in sorted(RECIPE.rglob("*")) if path.is_file()]
        if self.kind == "booting":
            paths.append(BOOT_RECIPE / "kernels-and-loaders")
            content.update(repr(_boot_environment(self.suite)).encode())
        for path in paths:
            content.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return content.hexdigest()[:12]

    def title(self) -> str:
        """For messages."""
        return f"image {self.suite.name} {self.kind}"


def image_of(guest: Guest) -> Image:
    """The image that a guest runs."""
    if guest.suite not in SUITES:
        raise LabError(f"{guest.name}: suite {guest.suite} is not in suites.py ({', '.join(sorted(SUITES))} are)")
    if not isinstance(guest, Machine):
        return Image("container", SUITES[guest.suite])
    return Image("booting" if guest.loader else "machine", SUITES[guest.suite])


def _boot_environment(suite: Suite) -> dict[str, str]:
    """What boot_recipe/kernels-and-loaders is told."""
    return {
        "LAB_LOADERS": "\n".join(" ".join(loader.packages) for loader in LOADERS.values()),
        "LAB_KERNEL": rf"linux-image-{re.escape(suite.series)}\.[0-9]+\+deb[0-9]+-amd64",
        "LAB_KEPT_MODULES": "|".join(KEPT_MODULES),
    }


def ensure_images(images: Iterable[Image], *, rebuild: bool = False) -> dict[Image, Path]:
    """Folder of each image, made first where the cache does not have it: at most two at a time."""
    wanted = sorted(set(images), key=lambda image: (image.kind == "container", image.suite.name))
    pair = keys()
    pool = ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1))
    try:
        futures = {image: pool.submit(_ensure, image, pair, rebuild) for image in wanted}
        return {image: future.result() for image, future in futures.items()}
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        end_running()
        raise
    finally:
        pool.shutdown()


def _ensure(image: Image, pair: Keys, rebuild: bool) -> Path:
    name = f"{image.suite.name}-{image.kind}-{image.digest(pair)}"
    folder = cache_folder() / "images" / name
    with locked(cache_folder() / "locks" / name, waiting_for=image.title()):
        if rebuild and folder.exists():
            shutil.rmtree(folder)
        if not folder.exists():
            _build(image, pair, folder)
    return folder


def _build(image: Image, pair: Keys, folder: Path) -> None:
    """Make an image beside its place and move it there when it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = folder.with_name(f"{folder.name}.building")
    _unmount_below(building)
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    log = cache_folder() / "logs" / f"{folder.name}.log"
    log.parent.mkdir(exist_ok=True)
    log.write_bytes(b"")
    result = building / ("root.tar" if image.kind == "container" else "disk.img")
    try:
        with step(f"building {image.title()}", now=lambda: last_line(log)):
            # As root the guest grows in the cache; without root it must be where mmdebstrap's user namespace gets to.
            with tempfile.TemporaryDirectory(dir=building if os.geteuid() == 0 else None, prefix="lab-") as work:
                os.chmod(work, 0o755)
                recipe = shutil.copytree(RECIPE, Path(work) / "recipe")
                shutil.copytree(BOOT_RECIPE, Path(work) / "boot_recipe")
                run(
                    _mmdebstrap(image, result, recipe),
                    log=log,
                    environment={
                        "TMPDIR": work if os.geteuid() == 0 else tempfile.gettempdir(),
                        "PATH": f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin",
                        "LC_ALL": "C.UTF-8",
                        "LAB_RECIPE": str(recipe),
                        "LAB_IMAGE_KIND": "container" if image.kind == "container" else "machine",
                        **_boot_environment(image.suite),
                        "LAB_ARCHIVE": " ".join(image.archive()),
                        "LAB_AUTHORIZED_KEY": pair.public(pair.login),
                        "LAB_HOST_KEY": pair.host.read_text(encoding="utf-8").strip(),
                        "LAB_HOST_KEY_PUBLIC": pair.public(pair.host),
                    },
                )
            if image.kind != "container":
                _finish_disk(result, log)
                _extract_boot(result, building)
        (building / "image.json").write_text(
            json.dumps({"kind": image.kind, "suite": image.suite.name, "packages": image.packages()}, indent=2) + "\n",
            encoding="utf-8",
        )
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _unmount_below(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> None:
    """What a build that was killed has left mounted: without this, nothing below the folder may be removed."""
    points = [line.split()[1].replace("\\040", " ") for line in mounts.read_text(encoding="utf-8").splitlines()]
    for point in reversed([point for point in points if point.startswith(f"{folder}/")]):
        run(["umount", point])


def last_line(log: Path) -> str:
    lines = log.read_bytes()[-400:].decode(errors="replace").split("\n")
    return next((line.strip()[:60] for line in reversed(lines) if line.strip()), "")


def _mmdebstrap(image: Image, result: Path, recipe: Path) -> list[str]:
    options = [
        "mmdebstrap",
        "--mode=auto",
        "--variant=apt",
        f"--format={'tar' if image.kind == 'container' else 'ext2'}",
        f"--include={','.join(image.packages())}",
        "--skip=cleanup/apt",
        '--aptopt=Acquire::Languages "none"',
        *(f"--aptopt={line}" for line in apt_dates(image.suite)),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
        "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr",
        f"--essential-hook={recipe}/before-packages",
        *([f"--customize-hook={recipe}/../boot_recipe/kernels-and-loaders"] if image.kind == "booting" else []),
        f"--customize-hook={recipe}/after-packages",
    ]
    return [
        *options,
        image.suite.base or image.suite.name,
        str(result),
        *find_mirror(machine_sources()).lines(image.suite),
    ]


def apt_dates(suite: Suite) -> list[str]:
    """Checks of the release file's date: as this machine's apt has them, and off where the suite needs it."""
    lines = [
        line
        for line in run(["apt-config", "dump", "Acquire::Check-Valid-Until", "Acquire::Check-Date"]).splitlines()
        if line.endswith('"false";')
    ]
    if not suite.check_valid_until:
        lines.append('Acquire::Check-Valid-Until "false";')
    return [line.rstrip(";") for line in lines]


def _finish_disk(disk: Path, log: Path) -> None:
    """genext2fs leaves a small ext2: grow it and make it the ext4 that Debian's installer would make."""
    features = "dir_index,dir_nlink,extents,extra_isize,flex_bg,has_journal,huge_file"
    run(["truncate", "-s", DISK_SIZE, disk], log=log)
    run(["/sbin/resize2fs", "-f", disk], log=log)
    run(["/sbin/tune2fs", "-c", "0", "-i", "0", "-O", features, disk], log=log)
    # Status 1 of fsck is "errors corrected": here the directory index that the new feature asks for.
    run(["sh", "-c", '/sbin/fsck.ext4 -fDp "$1" || test $? -le 1', "sh", disk], log=log)


def _extract_boot(disk: Path, folder: Path) -> None:
    """Take kernel and initramfs out of the disk, unpacked as far as possible: qemu starts them directly."""
    run(["/sbin/debugfs", "-R", f"rdump /boot {folder}", disk], timeout=120)
    boot = folder / "boot"
    max(boot.glob("vmlinuz-*")).rename(folder / "kernel")
    unpack_kernel_file(folder / "kernel")
    (folder / "initrd").write_bytes(max(boot.glob("initrd.img-*")).read_bytes())
    shutil.rmtree(boot)


def unpack_kernel_file(path: Path) -> None:
    """Put the ELF kernel in the place of its bzImage. One packed in an unknown way stays: qemu takes that too."""
    with suppress(ValueError):
        path.write_bytes(unpack_kernel(path.read_bytes()))


def unpack_kernel(image: bytes) -> bytes:
    """The ELF kernel inside a bzImage; ValueError when it is packed in an unknown way.

    qemu starts the ELF file by its PVH note, which saves an emulated processor the unpacking (several seconds).
    Source: the kernel's Documentation/arch/x86/boot.rst (setup_sects, payload_offset, payload_length).
    """
    if len(image) < 0x250 or image[0x202:0x206] != b"HdrS":
        raise ValueError("not a bzImage")
    sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (sectors + 1) * 512 + offset
    packed = image[start : start + length]
    if packed.startswith(b"\xfd7zXZ\0"):
        unpacked = lzma.LZMADecompressor().decompress(packed)
    elif packed.startswith(b"\x1f\x8b"):
        unpacked = gzip.decompress(packed[:-4])
    elif packed.startswith(b"\x28\xb5\x2f\xfd"):
        unpacked = _unzstd(packed[:-4])
    else:
        raise ValueError("kernel packed in an unknown way")
    if not unpacked.startswith(b"\x7fELF"):
        raise ValueError("no ELF kernel inside")
    return unpacked


def _unzstd(packed: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as work:
        source = Path(work) / "kernel.zst"
        source.write_bytes(packed)
        run(["zstd", "-q", "-d", source])
        return (Path(work) / "kernel").read_bytes()
