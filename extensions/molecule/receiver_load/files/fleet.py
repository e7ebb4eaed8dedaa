# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a receiver's playbook twice with 10,000 senders in its inventory: fleet.py PLAYBOOK INVENTORY...

Prints one JSON object: the seconds of processor time that each run took on the controller, and how much it changed.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

SENDERS = 10000


def inventory() -> str:
    """Senders with an address of each family, as load.py has them."""
    hosts = {
        f"s{number:05}": {
            "netconsole_sender_addresses": [
                f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
                f"2001:2::{number:x}",
            ]
        }
        for number in range(1, SENDERS + 1)
    }
    return json.dumps({"netconsole_senders": {"hosts": hosts}})


def processor() -> float:
    """Seconds of processor time of all ended children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """See above."""
    playbook, *inventories = sys.argv[1:]
    seconds, changed = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "senders.yml"
        path.write_text(inventory(), encoding="utf-8")
        command = [str(Path(sys.executable).parent / "ansible-playbook"), playbook]
        for _time in range(2):
            before = processor()
            done = subprocess.run(
                [*command, *(f"--inventory={source}" for source in [*inventories, str(path)])],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            if done.returncode != 0:
                raise SystemExit(done.stdout)
            seconds.append(round(processor() - before, 1))
            changed.append(sum(map(int, re.findall(r"changed=(\d+)", done.stdout))))
    print(json.dumps({"senders": SENDERS, "seconds": seconds, "changed": changed}))


if __name__ == "__main__":
    main()
