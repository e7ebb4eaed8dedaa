# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian suites that a guest can run. A further kernel is a further line here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Suite:
    """One Debian suite. `series` is the kernel that `kernel` brings, for people to read; nothing depends on it."""

    name: str
    series: str
    kernel: str = "linux-image-amd64"
    base: str = ""
    """For a suite of backports: the suite that it stands on. All but the kernel comes from there."""
    updates: bool = True
    """Whether the suite has an -updates and a -security suite beside it."""
    check_valid_until: bool = True
    """Whether the release file of the mirror can be expected to be in date."""


SUITES = {
    suite.name: suite
    for suite in (
        # Without its updates: the kernel of the last point release, 5.10.223, stops the siblings of a target that is
        # switched off. Debian has mended that since, and in the kernels of the younger suites.
        Suite("bullseye", series="5.10", updates=False),
        Suite("bookworm", series="6.1"),
        Suite("trixie", series="6.12"),
        Suite("trixie-backports", series="7.3", kernel="linux-image-amd64/trixie-backports", base="trixie"),
    )
}
