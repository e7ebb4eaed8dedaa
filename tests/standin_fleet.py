# A fleet that does not exist, for the tests of playbooks: an inventory, the receivers' stores, and the collection with
# stand-ins (tests/playbooks/action) in place of its modules.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
NOW = 1795413600.0  # 2026-11-23T06:00:00+00:00

LINKED = ("galaxy.yml", "meta", "playbooks", "plugins/filter", "plugins/module_utils", "roles")


def nonce_of(host: str) -> str:
    return host.encode().hex().rjust(32, "0")


class Fleet:
    """An inventory of hosts that do not exist, the receivers' stores, and a collection whose modules are stand-ins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        collection = path / "ansible_collections" / "fleet" / "netconsole"
        (collection / "plugins").mkdir(parents=True)
        for name in LINKED:
            os.symlink(ROOT / name, collection / name)
        os.symlink(TESTS / "playbooks" / "action", collection / "plugins" / "action")
        self.senders: dict[str, dict[str, Any]] = {}
        self.receivers: dict[str, dict[str, Any]] = {}

    def sender(
        self,
        name: str,
        *targets: Mapping[str, Any],
        arrives_at: Iterable[str] = (),
        stored_as: str | None = None,
        **fake: Any,
    ) -> Fleet:
        self.senders[name] = {"fake_probe": {"nonce": nonce_of(name), "targets": list(targets), **fake}}
        for receiver in arrives_at:
            self.store(receiver, sender=name, stored_as=stored_as or name)
        return self

    def receiver(self, name: str, address: str = "192.0.2.10", **fake: Any) -> Fleet:
        store = self.path / f"store-{name}"
        (store / "unknown").mkdir(parents=True)
        self.receivers[name] = {
            "fake_receiver": fake,
            "netconsole_receiver_address": address,
            "netconsole_receiver_store": str(store),
        }
        return self

    def store(self, receiver: str, *, sender: str, stored_as: str) -> None:
        path = self.path / f"store-{receiver}" / f"{stored_as}.jsonl"
        entry = {
            "received": "2026-11-23T06:00:00.002000+00:00",
            "host": stored_as.rpartition("/")[2],
            "source": "192.0.2.11",
            "format": "extended",
            "message": f"fleet.netconsole probe nonce={nonce_of(sender)}",
        }
        with path.open("a") as stream:
            stream.write(json.dumps(entry) + "\n")
        os.utime(path, (NOW, NOW))

    def verify(self, *arguments: str) -> Outcome:
        return self.play("verify", *arguments)

    def play(self, playbook: str, *arguments: str) -> Outcome:
        """Run a playbook of the collection's, or a file in `path`."""
        groups = {"netconsole_senders": self.senders, "netconsole_receivers": self.receivers}
        inventory = {
            "all": {
                "vars": {"ansible_connection": "local", "ansible_become": False, "netconsole_verify_timeout": 0.5},
                "children": {group: {"hosts": hosts} for group, hosts in groups.items() if hosts},
                "hosts": {"bystander": {}},
            }
        }
        (self.path / "inventory.json").write_text(json.dumps(inventory))
        name = playbook if (self.path / playbook).exists() else f"fleet.netconsole.{playbook}"
        ansible = Path(sys.executable).with_name("ansible-playbook")
        done = subprocess.run(
            [ansible, "-i", self.path / "inventory.json", name, *arguments],
            cwd=self.path,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.path),
                "LC_ALL": "C.UTF-8",
                "ANSIBLE_COLLECTIONS_PATH": str(self.path),
                "ANSIBLE_HOST_PATTERN_MISMATCH": "error",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_DEPRECATION_WARNINGS": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        return Outcome(done.returncode, done.stdout)


class Outcome:
    def __init__(self, status: int, output: str) -> None:
        self.status, self.output = status, output

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """Of each host the counts that are not zero."""
        lines = self.output.partition("PLAY RECAP")[2].splitlines()[1:]
        counts = {line.partition(":")[0].strip(): re.findall(r"(\w+)=(\d+)", line) for line in lines if ":" in line}
        return {host: {key: int(value) for key, value in pairs if value != "0"} for host, pairs in counts.items()}

    @property
    def bad(self) -> set[str]:
        """The hosts that failed or were not reached."""
        return {host for host, counts in self.recap.items() if counts.keys() & {"failed", "unreachable"}}

    @property
    def table(self) -> list[str]:
        """The lines of the table, with single blanks."""
        found = re.search(r'"msg": \[\n(.*?)\n    \]', self.output, re.DOTALL)
        assert found, self.output
        return [" ".join(json.loads(line.strip().rstrip(",")).split()) for line in found.group(1).splitlines()]
