# The playbook audit as Ansible runs it: what the table shows, who fails and when, and at what cost. No host and no
# kernel is needed: an action plugin stands in for the module, everything else is the collection itself.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from standin_fleet import Fleet

HEADER = "host kernel targets panic service drift"
FINE = "6.12.107-amd64 1 of 1 sent active"
DRIFT = "log1: it sends by eth1, the way to 192.0.2.10 is eth2 now"
STRICT = ("--extra-vars", "netconsole_audit_strict=true")


def fleet_of(path: Path, **senders: dict[str, Any]) -> Fleet:
    fleet = Fleet(path)
    fleet.senders.update({name: {"fake_info": fake} for name, fake in senders.items()})
    return fleet


@pytest.mark.parametrize("arguments", [(), STRICT, ("--check", *STRICT)], ids=["plain", "strict", "check"])
def test_nothing_drifts(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    outcome = fleet_of(tmp_path, web1={}, web2={}).play("audit", *arguments)
    assert outcome.status == 0, outcome.output
    assert outcome.table == [HEADER, f"web1 {FINE}", f"web2 {FINE}", "2 of 2 hosts without drift"]
    assert "WARNING" not in outcome.output
    # The cost: web2 runs one task. The first host of the play also runs what is run once for all.
    assert outcome.recap["web2"] == {"ok": 1}


@pytest.mark.parametrize(("arguments", "status"), [((), 0), (STRICT, 2)], ids=["plain", "strict"])
def test_drift_fails_only_where_it_shall(tmp_path: Path, arguments: tuple[str, ...], status: int) -> None:
    outcome = fleet_of(tmp_path, web1={}, web2={"drift": [DRIFT]}).play("audit", *arguments)
    assert outcome.status == status, outcome.output
    assert outcome.table == [
        HEADER,
        f"web1 {FINE}",
        f"web2 {FINE} {DRIFT}",
        "1 of 2 hosts without drift. To look at: web2",
    ]
    assert outcome.bad == ({"web2"} if status else set())
    assert (DRIFT in outcome.output.partition("TASK [Say what drifted]")[2]) is (status == 2)


@pytest.mark.parametrize("arguments", [(), STRICT], ids=["plain", "strict"])
def test_hosts_that_are_not_audited(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    outcome = fleet_of(tmp_path, web1={"unreachable": True}, web2={}, web3={"failed": True, "msg": "no python"}).play(
        "audit", *arguments
    )
    assert outcome.table == [
        HEADER,
        "web1 - - - - not audited: Ansible did not reach the host",
        f"web2 {FINE}",
        "web3 - - - - not audited: no python",
        "1 of 3 hosts without drift. To look at: web1, web3",
    ]
    assert outcome.status != 0
    assert outcome.bad >= {"web3"}
    assert ("web1" in outcome.bad) is (arguments == STRICT)
    assert "web2" not in outcome.bad
