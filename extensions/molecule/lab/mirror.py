# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which package mirror the images are made from: the one that this machine's own apt uses (sources.list(5))."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.suites import Suite

PUBLIC = "http://deb.debian.org/debian"
PUBLIC_SECURITY = "http://deb.debian.org/debian-security"


@dataclass(frozen=True)
class Mirror:
    """Addresses of the Debian archive and of its security archive."""

    main: str = PUBLIC
    security: str = PUBLIC_SECURITY

    def lines(self, suite: Suite) -> list[str]:
        """The sources.list lines of a suite."""
        name = suite.base or suite.name
        lines = [f"deb {self.main} {name} main"]
        if suite.updates:
            lines.append(f"deb {self.main} {name}-updates main")
            lines.append(f"deb {self.security} {name}-security main")
        if suite.base:
            lines.append(f"deb {self.main} {suite.name} main")
        return lines


def _one_line(text: str) -> Iterator[tuple[str, str]]:
    """(address, suite) of the one-line format."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", line)
        if match:
            yield match.group(1), match.group(2)


def _stanzas(text: str) -> Iterator[tuple[str, str]]:
    """(address, suite) of the deb822 format."""
    for stanza in re.split(r"\n\s*\n", "\n".join(line for line in text.splitlines() if not line.startswith("#"))):
        fields = {
            name.lower(): " ".join(value.split())
            for name, value in re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        }
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() not in ("no", "false"):
            for address in fields.get("uris", "").split():
                for suite in fields.get("suites", "").split():
                    yield address, suite


def find_mirror(sources: Iterable[tuple[str, str]]) -> Mirror:
    """The mirror that (file name, text) of the machine's sources speak of; Debian's public one where they name none."""
    main = security = ""
    for name, text in sources:
        for address, suite in _stanzas(text) if name.endswith(".sources") else _one_line(text):
            plain = address.rstrip("/")
            if plain.endswith("/debian") and not main:
                main = plain
            elif plain.endswith("/debian-security") or (suite.endswith("-security") and "debian" in plain):
                security = security or plain
    return Mirror(main or PUBLIC, security or PUBLIC_SECURITY)


def machine_sources(etc_apt: Path = Path("/etc/apt")) -> list[tuple[str, str]]:
    """Name and text of this machine's source files."""
    paths = [etc_apt / "sources.list"]
    for pattern in ("*.list", "*.sources"):
        paths += sorted((etc_apt / "sources.list.d").glob(pattern))
    return [(path.name, path.read_text(encoding="utf-8")) for path in paths if path.is_file()]
