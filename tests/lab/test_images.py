# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides whether an image is made anew, and taking the kernel out of a bzImage."""

from __future__ import annotations

import gzip
import lzma
import shutil
import struct
from pathlib import Path

import pytest

from lab import images
from lab.cache import Keys
from lab.guests import GUESTS
from lab.images import Image, image_of, unpack_kernel
from lab.suites import SUITES, Suite

ELF = b"\x7fELF" + bytes(range(256)) * 40
SECTORS = 3


def bzimage(packed: bytes) -> bytes:
    """A bzImage's frame around a packed kernel: boot.rst, sections 1.1 and 1.3."""
    header = bytearray((SECTORS + 1) * 512 + 100)
    header[0x1F1] = SECTORS
    header[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", header, 0x248, 100, len(packed))
    return bytes(header) + packed + b"what follows"


SIZE = struct.pack("<I", len(ELF))  # the kernel's build appends the unpacked size to what it packs, but not to xz


@pytest.mark.parametrize(
    "packed",
    [pytest.param(lzma.compress(ELF), id="xz"), pytest.param(gzip.compress(ELF) + SIZE, id="gzip")],
)
def test_unpack_kernel(packed: bytes) -> None:
    assert unpack_kernel(bzimage(packed)) == ELF


@pytest.mark.parametrize(
    ("image", "message"),
    [
        pytest.param(b"\x7fELF" + bytes(2000), "not a bzImage", id="already unpacked"),
        pytest.param(b"short", "not a bzImage", id="too short"),
        pytest.param(bzimage(b"LZO kernel"), "unknown way", id="unknown packing"),
        pytest.param(bzimage(lzma.compress(b"no kernel")), "no ELF", id="something else inside"),
    ],
)
def test_unpack_kernel_refuses(image: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unpack_kernel(image)


@pytest.fixture
def pair(tmp_path: Path) -> Keys:
    for name in ("login", "host"):
        (tmp_path / f"{name}.pub").write_text(f"ssh-ed25519 AAAA{name} comment\n", encoding="utf-8")
    return Keys(tmp_path / "login", tmp_path / "host")


def test_digest_is_the_same_for_the_same_content(pair: Keys) -> None:
    assert Image("machine", SUITES["trixie"]).digest(pair) == Image("machine", SUITES["trixie"]).digest(pair)


def test_digest_tells_images_apart(pair: Keys) -> None:
    suite = SUITES["trixie"]
    variants = [
        Image("machine", suite),
        Image("container", suite),
        Image("machine", SUITES["bookworm"]),
        Image("machine", Suite(suite.name, suite.series, kernel="linux-image-rt-amd64")),
        Image("machine", Suite(suite.name, suite.series, check_valid_until=False)),
    ]
    assert len({image.digest(pair) for image in variants}) == len(variants)


def test_digest_follows_keys_and_recipe(pair: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image("machine", SUITES["trixie"])
    digests = [image.digest(pair)]
    (tmp_path / "login.pub").write_text("ssh-ed25519 BBBB\n", encoding="utf-8")
    digests.append(image.digest(pair))
    recipe = shutil.copytree(images.RECIPE, tmp_path / "recipe")
    monkeypatch.setattr(images, "RECIPE", recipe)
    assert image.digest(pair) == digests[-1]
    with open(recipe / "after-packages", "a", encoding="utf-8") as script:
        script.write("true\n")
    digests.append(image.digest(pair))
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("guest", GUESTS.values(), ids=GUESTS)
def test_every_guest_has_an_image(guest: object) -> None:
    assert image_of(GUESTS[guest.name]).packages()  # type: ignore[attr-defined]


def test_what_a_killed_build_left_mounted_is_unmounted_innermost_first(tmp_path, monkeypatch):
    building = tmp_path / "trixie.building"
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "proc /proc proc rw 0 0\n"
        f"dev {building}/root/dev devtmpfs rw 0 0\n"
        f"none {building}/root/dev/pts devpts rw 0 0\n"
        f"none {building}-other/dev devpts rw 0 0\n",
        encoding="utf-8",
    )
    commands: list[list[str]] = []
    monkeypatch.setattr(images, "run", commands.append)
    images._unmount_below(building, mounts)
    assert commands == [["umount", f"{building}/root/dev/pts"], ["umount", f"{building}/root/dev"]]


def test_the_rule_that_users_are_given_is_the_one_that_every_machine_has() -> None:
    recipe = images.RECIPE / "machine/usr/lib/udev/rules.d/90-lab.rules"
    rules = [line for line in recipe.read_text().splitlines() if line and not line.startswith("#")]
    guide = (images.RECIPE.parents[3] / "docs/senders.md").read_text().splitlines()
    assert rules == [line for line in guide if line.startswith("ACTION==")] != []
