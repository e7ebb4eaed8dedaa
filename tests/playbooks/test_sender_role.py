# The role netconsole_sender as Ansible runs it: which targets come of its defaults and the inventory alone. No host and
# no kernel is needed: an action plugin stands in for the module.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from standin_fleet import Fleet

PLAYBOOK = """- hosts: netconsole_senders
  gather_facts: false
  roles:
    - role: fleet.netconsole.netconsole_sender
"""
SENDERS = [f"web{number}" for number in range(1, 5)]
ADDRESSES = {"log1": "192.0.2.10", "log2": "192.0.2.20", "log3": "2001:db8::30"}


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """Three receivers, the last one in another zone and on another port; every sender is in the zone east."""
    fleet = Fleet(tmp_path)
    for name, address in ADDRESSES.items():
        fleet.receiver(name, address)
        fleet.receivers[name]["netconsole_receiver_zone"] = "east"
    fleet.receivers["log3"].update(netconsole_receiver_zone="west", netconsole_receiver_port=6667)
    for name in SENDERS:
        fleet.senders[name] = {"fake_sender": str(tmp_path / f"{name}.json"), "netconsole_sender_zone": "east"}
    return fleet


def declared(fleet: Fleet, **variables: Any) -> dict[str, dict[str, Any]]:
    """What the role gives the module, of each sender."""
    for sender in fleet.senders.values():
        sender.update(variables)
    (fleet.path / "role.yml").write_text(PLAYBOOK)
    outcome = fleet.play("role.yml")
    assert outcome.status == 0, outcome.output
    return {name: json.loads(Path(sender["fake_sender"]).read_text()) for name, sender in fleet.senders.items()}


def receivers(options: dict[str, Any]) -> list[str]:
    return [target["name"] for target in options["targets"]]


def target(name: str) -> dict[str, Any]:
    return {"name": name, "remote_ip": ADDRESSES[name], "remote_port": 6667 if name == "log3" else 6666}


def test_without_copies_every_receiver_is_a_target(fleet: Fleet) -> None:
    found = declared(fleet)
    assert [options["targets"] for options in found.values()] == [[target(name) for name in ADDRESSES]] * len(SENDERS)
    assert all("userdata" not in options for options in found.values())


def test_the_first_copy_is_in_the_own_zone_and_the_second_in_the_other(fleet: Fleet) -> None:
    fleet.senders["web4"]["netconsole_sender_zone"] = "west"
    found = declared(fleet, netconsole_sender_copies=2)
    for name, options in found.items():
        first, second = receivers(options)
        assert options["targets"] == [target(first), target(second)]
        assert (first == "log3", second == "log3") == (name == "web4", name != "web4")
    assert {name for options in found.values() for name in receivers(options)} == set(ADDRESSES)


def test_without_zones_two_of_the_three(fleet: Fleet) -> None:
    for receiver in fleet.receivers.values():
        del receiver["netconsole_receiver_zone"]
    for sender in fleet.senders.values():
        del sender["netconsole_sender_zone"]
    pairs = [receivers(options) for options in declared(fleet, netconsole_sender_copies=2).values()]
    assert all(len(set(pair)) == 2 for pair in pairs)
    assert len({frozenset(pair) for pair in pairs}) > 1  # not the first two for everybody
    assert {name for pair in pairs for name in pair} == set(ADDRESSES)


def test_user_data_of_the_inventory_is_declared(fleet: Fleet) -> None:
    fleet.senders = {"web1": fleet.senders["web1"]}
    found = declared(fleet, netconsole_sender_userdata={"rack": "{{ inventory_hostname }}-a1"})
    assert found["web1"]["userdata"] == {"rack": "web1-a1"}
