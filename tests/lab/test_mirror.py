# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which mirror the images are made from, for the ways in which a machine's apt can name it."""

from __future__ import annotations

import pytest

from lab import tools
from lab.mirror import PUBLIC, PUBLIC_SECURITY, Mirror, find_mirror
from lab.suites import Suite

NEAR = "http://mirror.example/debian"
NEAR_SECURITY = "http://mirror.example/debian-security"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        pytest.param("sources.list", "", Mirror(PUBLIC, PUBLIC_SECURITY), id="nothing named"),
        pytest.param(
            "sources.list",
            f"deb {NEAR} bookworm main\ndeb {NEAR_SECURITY} bookworm-security main\n",
            Mirror(NEAR, NEAR_SECURITY),
            id="one line each",
        ),
        pytest.param(
            "sources.list",
            f"# deb http://old.example/debian sid main\ndeb-src http://src.example/debian sid main\n"
            f"deb [signed-by=/a/key.gpg arch=amd64] {NEAR}/ bookworm main contrib\n",
            Mirror(NEAR, PUBLIC_SECURITY),
            id="comment, source packages, options, trailing slash",
        ),
        pytest.param(
            "other.list", "deb http://packages.example/tool stable main\n", Mirror(), id="somebody else's packages"
        ),
        pytest.param(
            "debian.sources",
            f"Types: deb\n# a comment\nURIs: {NEAR}\nSuites: trixie trixie-updates\nComponents: main\n\n"
            f"Types: deb deb-src\nURIs: {NEAR_SECURITY}/\nSuites: trixie-security\nComponents: main\n",
            Mirror(NEAR, NEAR_SECURITY),
            id="stanzas",
        ),
        pytest.param(
            "debian.sources",
            f"Types: deb\nEnabled: no\nURIs: http://off.example/debian\nSuites: trixie\n\n"
            f"Types: deb\nURIs:\n {NEAR}\n http://second.example/debian\nSuites: trixie\n",
            Mirror(NEAR, PUBLIC_SECURITY),
            id="a stanza that is off, a value over several lines",
        ),
        pytest.param("debian.sources", f"Types: deb-src\nURIs: {NEAR}\nSuites: sid\n", Mirror(), id="only sources"),
    ],
)
def test_find_mirror(name: str, text: str, expected: Mirror) -> None:
    assert find_mirror([(name, text)]) == expected


def test_lines_of_a_stable_suite() -> None:
    assert Mirror(NEAR, NEAR_SECURITY).lines(Suite("trixie", series="6.12")) == [
        f"deb {NEAR} trixie main",
        f"deb {NEAR} trixie-updates main",
        f"deb {NEAR_SECURITY} trixie-security main",
    ]


def test_lines_of_a_suite_without_updates() -> None:
    assert Mirror(NEAR).lines(Suite("sid", series="7", updates=False)) == [f"deb {NEAR} sid main"]


def test_lines_of_backports_stand_on_their_suite() -> None:
    suite = Suite("trixie-backports", series="7.3", base="trixie")
    assert Mirror(NEAR, NEAR_SECURITY).lines(suite) == [
        f"deb {NEAR} trixie main",
        f"deb {NEAR} trixie-updates main",
        f"deb {NEAR_SECURITY} trixie-security main",
        f"deb {NEAR} trixie-backports main",
    ]


def test_lines_of_the_root_with_programs_of_boot_loaders() -> None:
    assert tools.sources(Mirror(NEAR, NEAR_SECURITY)) == [
        f"deb [arch=amd64] {NEAR} trixie main",
        f"deb [arch=amd64] {NEAR} trixie-updates main",
        f"deb [arch=amd64] {NEAR_SECURITY} trixie-security main",
        f"deb [arch=amd64] {NEAR} trixie non-free-firmware",
        f"deb [arch=s390x] {NEAR} trixie main",
    ]
