# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the store within its budget, and say what was dropped on the way in.

    upkeep.py STORE BYTES PORT SERVICE STATE

A timer calls it every minute, and the receiver when it stops. While the store takes more than BYTES on disk, the oldest
rotated file goes; where none is left, the largest file that is written to is put aside as rotated first, and SERVICE is
told to open its files again. Then it prints (into the journal) how many datagrams the kernel dropped on PORT because
the receive buffer was full, and which sources were over their rate, since the last call; STATE is its memory. BYTES 0
is no limit. Runs on the receiver: Python 3.7, standard library.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from typing import Any, NamedTuple

LIVE = re.compile(r"\.(log|jsonl)$")
ASIDE = "-over-budget"
"""Between the name and .1: not a name that logrotate counts up, and found by people who look for the sender."""


class StoreFile(NamedTuple):
    """A file of the store. Size: bytes that it takes on disk, so that many small files count as well."""

    path: str
    size: int
    changed: float

    @property
    def live(self) -> bool:
        """Whether the collector writes to it."""
        return LIVE.search(self.path) is not None


def files_of(store: str) -> list[StoreFile]:
    """The regular files in the store and its folder unknown."""
    found = []
    for folder in (store, os.path.join(store, "unknown")):
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            continue
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                found.append(StoreFile(entry.path, status.st_blocks * 512, status.st_mtime))
    return found


def keep_budget(store: str, budget: int, service: str) -> None:
    """Remove the oldest messages until the store is within its budget."""
    files = files_of(store)
    total = sum(file.size for file in files)
    rotated = sorted((file for file in files if not file.live), key=lambda file: file.changed)
    live = sorted((file for file in files if file.live), key=lambda file: file.size)
    aside = False
    while total > budget and (rotated or live):
        if rotated:
            oldest = rotated.pop(0)
        else:
            largest = live.pop()
            oldest = largest._replace(path=largest.path + ASIDE + ".1")
            os.rename(largest.path, oldest.path)
            aside = True
        os.unlink(oldest.path)
        total -= oldest.size
        print(f"{store} is over its budget of {budget} bytes: removed {oldest.path} ({oldest.size} bytes)")
    if aside:
        subprocess.run(["systemctl", "kill", "--kill-who=main", "--signal=HUP", service], check=True)


def socket_drops(port: int, folder: str = "/proc/net") -> dict[str, int]:
    """Datagrams that the kernel dropped at each socket of a port, by inode (proc_net_udp: the last column). A service
    that was restarted has other sockets."""
    found = {}
    for path in (os.path.join(folder, "udp"), os.path.join(folder, "udp6")):
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                rows = [line.split() for line in file][1:]
            found.update({row[9]: int(row[-1]) for row in rows if int(row[1].rpartition(":")[2], 16) == port})
    return found


def over_rate() -> dict[str, int]:
    """Datagrams dropped by the rate limit (firewall.py), by source, within the last hour."""
    found: dict[str, int] = {}
    for family in ("ip", "ip6"):
        if shutil.which("nft") is None:
            break
        words = ["nft", "--json", "list", "set", "inet", "netconsole_receiver", "over_" + family]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        for entry in json.loads(done.stdout)["nftables"] if done.returncode == 0 else []:
            for element in entry.get("set", {}).get("elem", []):
                found[element["elem"]["val"]] = element["elem"]["counter"]["packets"]
    return found


def say_drops(port: int, state: str) -> None:
    """Print what is new since the last call."""
    before: dict[str, Any] = {"sockets": {}, "over": {}}
    if os.path.exists(state):
        with open(state, encoding="ascii") as file:
            before.update(json.load(file))
    now: dict[str, Any] = {"sockets": socket_drops(port), "over": over_rate()}
    with open(state + ".new", "w", encoding="ascii") as file:
        json.dump(now, file)
    os.replace(state + ".new", state)
    new = sum(count - before["sockets"].get(inode, 0) for inode, count in now["sockets"].items())
    if new:
        print(f"port {port}: the kernel dropped {new} datagrams, the receive buffer was full")
    for source, count in sorted(now["over"].items()):
        earlier = before["over"].get(source, 0)
        if count != earlier:
            more = count - earlier if count > earlier else count
            print(f"{source}: dropped {more} datagrams over the rate limit")


def main() -> None:
    """See above."""
    store, budget, port, service, state = sys.argv[1:]
    if int(budget):
        keep_budget(store, int(budget), service)
    say_drops(int(port), state)


if __name__ == "__main__":
    main()
