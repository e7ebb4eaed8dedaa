# The playbook verify as Ansible runs it: who fails, with which words, and at what cost. No host and no kernel is
# needed: two action plugins stand in for the modules, everything else is the collection itself.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from standin_fleet import Fleet

HEADER = "host target arrived after reason"


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_everything_arrives(fleet: Fleet) -> None:
    fleet.receiver("log1").receiver("log2", "192.0.2.20")
    both = ({"name": "log1"}, {"name": "log2", "remote_ip": "192.0.2.20"})
    fleet.sender("web1", *both, arrives_at=("log1", "log2")).sender("web2", *both, arrives_at=("log1", "log2"))
    outcome = fleet.verify()
    assert outcome.status == 0, outcome.output
    assert outcome.table == [
        HEADER,
        "web1 log1 yes 0.002 s",
        "web1 log2 yes 0.002 s",
        "web2 log1 yes 0.002 s",
        "web2 log2 yes 0.002 s",
        "4 of 4 probes arrived",
    ]
    assert outcome.bad == set()
    assert "WARNING" not in outcome.output
    # The cost: web2 runs one task. The first host of a play also runs what is run once for all.
    assert outcome.recap["web2"] == {"ok": 1}
    assert outcome.recap["log2"] == {"ok": 1}
    assert sum(sum(counts.values()) for counts in outcome.recap.values()) <= 4 + 6


def test_only_those_that_did_not_arrive_fail(fleet: Fleet) -> None:
    fleet.receiver("log1")
    fleet.sender("web1", {}, arrives_at=["log1"])
    fleet.sender("web2", {"enabled": False})
    fleet.sender("web3", {"remote_port": 6667})
    fleet.sender("web4", {}, arrives_at=["log1"], stored_as="unknown/192.0.2.11")
    fleet.sender("web5")
    fleet.sender("web6", loaded=False)
    outcome = fleet.verify()
    assert outcome.status == 2
    assert outcome.bad == {"web2", "web3", "web4", "web5", "web6"}
    assert outcome.table == [
        HEADER,
        "web1 log1 yes 0.002 s",
        "web2 log1 no - target log1 is disabled, by hand or by the kernel",
        "web3 log1 no - target log1 sends to port 6667, but log1 receives on port 6666",
        "web4 log1 yes 0.002 s arrived, but stored as unknown/192.0.2.11: add the address 192.0.2.11 to "
        "netconsole_sender_addresses of web4, and run fleet.netconsole.site",
        "web5 - no - there is no target: run fleet.netconsole.site",
        "web6 - no - netconsole is not loaded, so there is no target: run fleet.netconsole.site",
        "2 of 6 probes arrived. To look at: web2, web3, web4, web5, web6",
    ]
    assert '"msg": "target log1 is disabled, by hand or by the kernel"' in outcome.output


def test_a_target_that_no_receiver_of_the_inventory_is_meant_by(fleet: Fleet) -> None:
    fleet.receiver("log1")
    stranger = {"name": "central", "remote_ip": "192.0.2.99"}
    fleet.sender("web1", {}, stranger, arrives_at=["log1"]).sender("web2", stranger)
    outcome = fleet.verify()
    assert outcome.bad == {"web2"}
    assert outcome.table == [
        HEADER,
        "web1 log1 yes 0.002 s",
        "web1 central - - no receiver in the inventory has 192.0.2.99",
        "web2 central - - no receiver in the inventory has 192.0.2.99",
        "1 of 2 probes arrived. To look at: web2",
    ]


def test_hosts_that_are_not_reached(fleet: Fleet) -> None:
    fleet.receiver("log1").receiver("log2", "192.0.2.20", unreachable=True)
    fleet.sender("web1", {}, arrives_at=["log1"])
    fleet.sender("web2", {}, {"name": "log2", "remote_ip": "192.0.2.20"}, arrives_at=["log1"])
    fleet.sender("web3", unreachable=True)
    fleet.sender("web4", failed=True, msg="/dev/kmsg may not be written")
    outcome = fleet.verify()
    assert outcome.bad >= {"web2", "web3", "web4"}
    assert outcome.bad <= {"web2", "web3", "web4", "log2"}
    assert outcome.table == [
        HEADER,
        "web1 log1 yes 0.002 s",
        "web2 log1 yes 0.002 s",
        "web2 log2 - - receiver log2 was not reached by Ansible",
        "web3 - no - not probed: Ansible did not reach the host",
        "web4 - no - not probed: /dev/kmsg may not be written",
        "2 of 5 probes arrived. To look at: web2, web3, web4",
    ]


def test_the_only_receiver_is_not_reached(fleet: Fleet) -> None:
    fleet.receiver("log1", unreachable=True).sender("web1", {})
    outcome = fleet.verify()
    assert "web1" in outcome.bad
    assert outcome.table == [
        HEADER,
        "web1 log1 - - receiver log1 was not reached by Ansible",
        "0 of 1 probes arrived. To look at: web1",
    ]


def test_a_receiver_that_cannot_be_asked(fleet: Fleet) -> None:
    fleet.receiver("log1", failed=True, msg="no permission").receiver("log2", "192.0.2.20").sender("web1", {})
    outcome = fleet.verify()
    assert outcome.bad == {"web1", "log1"}
    assert "web1 log1 - - receiver log1 could not be asked: no permission" in outcome.table


@pytest.mark.parametrize("mode", [("--check",), ("--check", "--diff")], ids=" ".join)
def test_check_mode_fails_nobody(fleet: Fleet, mode: tuple[str, ...]) -> None:
    fleet.receiver("log1").sender("web1", {}).sender("web2")
    outcome = fleet.verify(*mode)
    assert outcome.status == 0, outcome.output
    assert outcome.table == [
        HEADER,
        "web1 - - - not probed (check mode)",
        "web2 - - - not probed (check mode)",
        "nothing was checked",
    ]


def test_limited_to_a_sender_its_receiver_is_asked_all_the_same(fleet: Fleet) -> None:
    fleet.receiver("log1").receiver("log2", "192.0.2.20", unreachable=True)
    fleet.sender("web1", {}, arrives_at=["log1"]).sender("web2", {})
    outcome = fleet.verify("--limit", "web1")
    assert outcome.status == 0, outcome.output
    assert outcome.table == [HEADER, "web1 log1 yes 0.002 s", "1 of 1 probes arrived"]
    assert "web2" not in outcome.recap


def test_limited_to_a_sender_that_fails(fleet: Fleet) -> None:
    fleet.receiver("log1").sender("web1", {}).sender("web2", {})
    outcome = fleet.verify("--limit", "web1")
    assert (outcome.status, outcome.bad) == (2, {"web1"})
    assert outcome.table[1].startswith("web1 log1 no - nothing has ever come from 192.0.2.11")


def test_limited_to_a_receiver(fleet: Fleet) -> None:
    fleet.receiver("log1").sender("web1", {})
    outcome = fleet.verify("--limit", "log1")
    assert outcome.status == 0, outcome.output
    assert outcome.table == [HEADER, "nothing was checked"]


def test_a_host_that_sends_and_receives(fleet: Fleet) -> None:
    fleet.receiver("log1").receiver("log2", "192.0.2.20")
    fleet.sender("log2", {}, {"name": "log2", "remote_ip": "192.0.2.20"}, arrives_at=["log1"])
    fleet.senders["log2"].update(fleet.receivers["log2"])
    outcome = fleet.verify()
    assert outcome.bad == {"log2"}
    assert outcome.table[1:3] == [
        "log2 log1 yes 0.002 s",
        "log2 log2 no - log2 is sender and receiver: what netconsole sends over a wire never comes back",
    ]


@pytest.mark.parametrize("group", ["receivers", "senders"])
def test_nothing_to_verify(fleet: Fleet, group: str) -> None:
    if group == "senders":
        fleet.receiver("log1")
    else:
        fleet.sender("web1", {})
    outcome = fleet.verify()
    assert outcome.status != 0
    assert "There is nothing to verify" in outcome.output
    assert f"netconsole_{group} (it has 0)" in " ".join(outcome.output.split())


def test_a_large_fleet_costs_one_task_for_each_sender(fleet: Fleet) -> None:
    fleet.receiver("log1")
    for number in range(20):
        fleet.sender(f"web{number}", {}, arrives_at=["log1"])
    outcome = fleet.verify("--forks", "2")
    assert outcome.status == 0, outcome.output
    assert [outcome.recap[f"web{number}"] for number in range(1, 20)] == [{"ok": 1}] * 19
