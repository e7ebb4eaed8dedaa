# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sender's last boot was like, as JSON: seconds since the kernel's start, and the targets as they are now."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

TARGETS = Path("/sys/kernel/config/netconsole")


def output(*words: str) -> str:
    """What a command prints."""
    return subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout.decode()


def multi_user() -> float:
    """When multi-user.target was reached; waits for it."""
    while True:
        shown = output("systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "multi-user.target")
        reached = int(shown.strip().partition("=")[2])
        if reached:
            return reached / 1e6
        time.sleep(0.5)


def kernel_times(pattern: str) -> list[float]:
    """When the kernel said something, by its own clock."""
    lines = output("dmesg").splitlines()
    found = [re.match(r"\[ *([0-9.]+)\] .*" + pattern, line) for line in lines]
    return [float(match.group(1)) for match in found if match]


def journal() -> list[str]:
    """What the service said in this boot, with the kernel's clock."""
    shown = output(
        "journalctl", "--boot", "--unit=netconsole-sender", "--output=short-monotonic", "--no-pager", "--quiet"
    )
    return shown.splitlines()


def sending(lines: list[str]) -> dict[str, float]:
    """When the service said of each target for the first time that it sends."""
    found: dict[str, float] = {}
    for line in lines:
        match = re.match(r"\[ *([0-9.]+)\] .*?\]: ([^ ]+): (made: sends|enabled 0 -> 1|enabled)", line)
        if match:
            found.setdefault(match.group(2), float(match.group(1)))
    return found


def main() -> None:
    """Print it."""
    reached = multi_user()
    targets = {path.name: (path / "enabled").read_text(encoding="ascii").strip() == "1" for path in TARGETS.iterdir()}
    said = journal()
    print(
        json.dumps(
            {
                "console_loglevel": int(output("cat", "/proc/sys/kernel/printk").split()[0]),
                "multi_user": reached,
                "root_mounted": kernel_times(r"EXT4-fs \(vda\d*\): mounted filesystem")[0],
                "journal": said,
                "sending": sending(said),
                "started": kernel_times("netconsole: network logging started"),
                "panic_timeout": int(output("cat", "/proc/sys/kernel/panic")),
                "targets": targets,
            }
        )
    )


if __name__ == "__main__":
    main()
