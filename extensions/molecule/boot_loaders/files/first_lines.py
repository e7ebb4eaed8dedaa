# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say as JSON what a recording (`lab record`) holds of a boot's first messages.

first: kernel time of the earliest message, in s. sent_at: kernel time at which the kernel logged that netconsole is up:
then the first datagram left (earlier messages are sent after the fact). root_at: when the root file system was mounted.
release: the kernels named.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

EXTENDED, LEGACY = 6666, 6667
HEADER = re.compile(r"\d+,(?P<sequence>\d+),(?P<microseconds>\d+),[^;]*;(?P<text>.*)", re.DOTALL)
"""Documentation/networking/netconsole.rst, "extended console support"."""

ROOT = re.compile(r"EXT4-fs \(vda4\): mounted filesystem")


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """What the assertions look at."""
    extended = [found for record in records if record["port"] == EXTENDED and (found := HEADER.match(record["text"]))]
    times = [_seconds(found) for found in extended]
    up = [_seconds(found) for found in extended if "netconsole: network logging started" in found["text"]]
    root = [_seconds(found) for found in extended if ROOT.match(found["text"])]
    releases = {found[1] for record in extended if (found := re.search(r"Linux version (\S+)", record["text"]))}
    return {
        "extended": {
            "lines": len(extended),
            "first": min(times, default=None),
            "sent_at": min(up, default=None),
            "root_at": min(root, default=None),
        },
        "legacy": {"lines": sum(record["port"] == LEGACY for record in records)},
        "release": sorted(releases),
    }


def _seconds(header: re.Match[str]) -> float:
    return int(header["microseconds"]) / 1e6


if __name__ == "__main__":
    print(
        json.dumps(summary([json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]))
    )
