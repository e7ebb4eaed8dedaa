# Stands in for the module arrival: the engine looks into a real store; the rest comes from the variable fake_receiver.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.fleet.netconsole.plugins.module_utils._arrival import Asking, parse_probe
from ansible_collections.fleet.netconsole.plugins.module_utils._arrival_facts import ReceiverFacts
from ansible_collections.fleet.netconsole.plugins.module_utils._arrival_reasons import Receiver, UdpSocket
from ansible_collections.fleet.netconsole.plugins.module_utils._arrival_store import Store

NOW = 1795413600.0


class FakeFacts(ReceiverFacts):
    def of(self, name: str, *, addresses: Sequence[str], port: int, store: str) -> Receiver:
        sockets = (UdpSocket("0.0.0.0", 6666),)
        return Receiver(name=name, addresses=frozenset(addresses), port=port, store=store, sockets=sockets)


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        assert tmp is None and task_vars is not None
        args = self._task.args
        fake = task_vars["hostvars"][args["receiver"]]["fake_receiver"]
        if fake.get("unreachable"):
            raise AnsibleConnectionFailure("no route to host")
        if fake.get("failed"):
            return {"failed": True, "msg": fake["msg"]}
        assert set(args) <= {"receiver", "addresses", "port", "store", "timeout", "window", "probes"}
        assert all(set(probe) >= {"host", "nonce", "targets"} for probe in args["probes"])
        asking = Asking(
            name=args["receiver"],
            store=Store(args["store"], clock=lambda: NOW),
            addresses=args["addresses"],
            timeout=float(args["timeout"]),
            facts=FakeFacts(),
        )
        return {"changed": False, "arrivals": asking.answer([parse_probe(probe) for probe in args["probes"]])}
