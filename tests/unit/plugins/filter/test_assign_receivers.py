# Which receivers a sender sends to: shares, what moves when the receivers change, zones, and what is refused.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.fleet.netconsole.plugins.filter.assign_receivers import FilterModule

assign_receivers = FilterModule().filters()["assign_receivers"]

SENDERS = [f"web{number:05}.example.com" for number in range(4000)]


def hosts(*names: str, **variables: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The variables of all hosts: names that have none, and hosts with some."""
    return {**{name: {} for name in names}, **{name: dict(given) for name, given in variables.items()}}


def fleet(count: int) -> dict[str, dict[str, Any]]:
    return hosts(*(f"log{number}" for number in range(1, count + 1)))


def choose(receivers: Mapping[str, Mapping[str, Any]], sender: str, copies: int = 1, **more: Any) -> list[str]:
    chosen: list[str] = assign_receivers(list(receivers), sender, receivers, copies, **more)
    return chosen


def zoned(**zones: str) -> dict[str, dict[str, Any]]:
    return {name: {"netconsole_receiver_zone": zone} for name, zone in zones.items()}


def random_fleet(source: random.Random) -> dict[str, dict[str, Any]]:
    """Receivers with random names, weights and zones, at least one of a weight above 0."""
    receivers: dict[str, dict[str, Any]] = {"always": {}}
    for _each in range(source.randrange(1, 12)):
        variables: dict[str, Any] = {}
        if source.random() < 0.5:
            variables["netconsole_receiver_weight"] = source.choice([0, 0.25, 1, 2, 10])
        if source.random() < 0.7:
            variables["netconsole_receiver_zone"] = source.choice(["north", "south", "east"])
        receivers[f"log{source.randrange(10**6)}"] = variables
    return receivers


def test_the_choice_is_the_same_for_ever() -> None:
    """Another hash, or another order, would move the whole fleet: these are the values of the first release."""
    receivers = fleet(5)
    assert [choose(receivers, sender, 2) for sender in ("web1", "web2", "web3", "wëb")] == [
        ["log5", "log2"],
        ["log1", "log4"],
        ["log1", "log4"],
        ["log4", "log3"],
    ]


@pytest.mark.parametrize("count", [2, 3, 10])
@pytest.mark.parametrize("copies", [1, 2])
def test_shares_are_even(count: int, copies: int) -> None:
    """By Pearson's chi-square of the shares, four standard deviations and a little above its mean at the most."""
    receivers = fleet(count)
    found = Counter(name for sender in SENDERS for name in choose(receivers, sender, copies))
    expected = len(SENDERS) * copies / count
    chi_square = sum((found[name] - expected) ** 2 / expected for name in receivers)
    assert chi_square < count - 1 + 4 * math.sqrt(2 * (count - 1)) + 4
    assert sum(found.values()) == len(SENDERS) * copies


def test_shares_follow_the_weights() -> None:
    weights = {"small": 0.5, "plain": 1.0, "double": 2.0, "large": 4.5, "none": 0.0}
    receivers = {name: {"netconsole_receiver_weight": weight} for name, weight in weights.items()}
    receivers["plain"] = {}
    found = Counter(choose(receivers, sender)[0] for sender in SENDERS)
    for name, weight in weights.items():
        share = weight / sum(weights.values())
        assert abs(found[name] - share * len(SENDERS)) <= 4 * math.sqrt(len(SENDERS) * share * (1 - share))


@pytest.mark.parametrize("count", [1, 2, 5, 10])
def test_a_new_receiver_takes_its_share_and_no_other_sender_moves(count: int) -> None:
    before, after = fleet(count), fleet(count + 1)
    new = f"log{count + 1}"
    moved = 0
    for sender in SENDERS:
        old_choice, new_choice = choose(before, sender), choose(after, sender)
        assert new_choice in (old_choice, [new])
        moved += new_choice != old_choice
    share = 1 / (count + 1)
    assert abs(moved - len(SENDERS) * share) <= 4 * math.sqrt(len(SENDERS) * share * (1 - share))


@pytest.mark.parametrize("seed", range(20))
def test_only_what_has_to_move_does(seed: int) -> None:
    """One receiver more or less, with any weights, zones and copies: one copy of a sender moves, from it or to it."""
    source = random.Random(seed)
    for number in range(50):
        few = random_fleet(source)
        extra = f"extra{number}"
        many = {**few, extra: {"netconsole_receiver_zone": source.choice(["north", "south", "new"])}}
        sender, copies, zone = (
            f"web{source.randrange(10**6)}",
            source.randrange(1, 6),
            source.choice(["north", "", "far"]),
        )
        without, having = choose(few, sender, copies, zone=zone), choose(many, sender, copies, zone=zone)
        assert set(having) - set(without) <= {extra}
        assert len(set(without) - set(having)) <= 1
        if extra not in having:
            assert having == without


@pytest.mark.parametrize("seed", range(20))
def test_copies_are_distinct_and_the_order_of_the_inventory_has_no_say(seed: int) -> None:
    source = random.Random(seed)
    for _each in range(50):
        receivers = random_fleet(source)
        sender, copies, zone = f"web{source.randrange(10**6)}", source.randrange(1, 15), source.choice(["north", ""])
        chosen = choose(receivers, sender, copies, zone=zone)
        usable = [name for name, given in receivers.items() if given.get("netconsole_receiver_weight") != 0]
        assert len(set(chosen)) == len(chosen) == min(copies, len(usable))
        assert set(chosen) <= set(usable)
        shuffled = source.sample(list(receivers), len(receivers))
        assert assign_receivers(shuffled, sender, receivers, copies, zone) == chosen
        assert choose(receivers, sender, copies + 1, zone=zone)[: len(chosen)] == chosen


@pytest.mark.parametrize(
    ("zone", "copies", "zones"),
    [
        pytest.param("north", 1, [["north"]], id="the own zone"),
        pytest.param("north", 2, [["north", "south"], ["north", "east"]], id="the second copy elsewhere"),
        pytest.param("north", 3, [["north", "south", "east"], ["north", "east", "south"]], id="every zone once"),
        pytest.param(
            "north",
            4,
            [["north", "south", "east", "north"], ["north", "east", "south", "north"]],
            id="then the own zone again",
        ),
        pytest.param("west", 1, [["north"], ["south"], ["east"]], id="no receiver in the own zone: any"),
        pytest.param("", 1, [["north"], ["south"], ["east"]], id="a sender without a zone: any"),
    ],
)
def test_zones(zone: str, copies: int, zones: list[list[str]]) -> None:
    receivers = zoned(n1="north", n2="north", n3="north", s1="south", s2="south", e1="east", e2="east")
    found = []
    for sender in SENDERS[:300]:
        chosen = choose(receivers, sender, copies, zone=zone)
        found.append([receivers[name]["netconsole_receiver_zone"] for name in chosen])
    assert sorted(map(list, {tuple(each) for each in found})) == sorted(zones)


def test_within_a_zone_shares_are_even() -> None:
    receivers = zoned(n1="north", n2="north", s1="south")
    found = Counter(choose(receivers, sender, zone="north")[0] for sender in SENDERS)
    assert abs(found["n1"] - len(SENDERS) / 2) <= 2 * math.sqrt(len(SENDERS))
    assert found["s1"] == 0


@pytest.mark.parametrize(
    ("variables", "zone", "receiver"),
    [
        pytest.param({"netconsole_sender_zone": "south"}, None, "s1", id="the sender's variable"),
        pytest.param({"netconsole_sender_zone": "south"}, "north", "n1", id="the argument goes before it"),
        pytest.param({"netconsole_sender_zone": 7}, None, "z7", id="a number"),
    ],
)
def test_where_the_zone_of_a_sender_stands(variables: dict[str, Any], zone: str | None, receiver: str) -> None:
    receivers = zoned(n1="north", s1="south", z7="7")
    assert assign_receivers(list(receivers), "web1", {**receivers, "web1": variables}, 1, zone) == [receiver]


@pytest.mark.parametrize(
    ("copies", "expected"),
    [
        pytest.param(0, ["b", "a", "idle"], id="0: all, in the order given, whatever their weight"),
        pytest.param("0", ["b", "a", "idle"], id="the text 0"),
        pytest.param("9", ["a", "b"], id="more than there are: all that take senders"),
    ],
)
def test_all_receivers(copies: Any, expected: list[str]) -> None:
    receivers = hosts("b", "a", idle={"netconsole_receiver_weight": "0"})
    chosen = assign_receivers(["b", "a", "b", "idle"], "web1", receivers, copies)
    assert (chosen if copies in (0, "0") else sorted(chosen)) == expected


def test_no_receiver_is_for_receiver_targets_to_say() -> None:
    assert assign_receivers([], "web1", {}, 2) == []


@pytest.mark.parametrize(
    ("receivers", "copies", "words"),
    [
        pytest.param({"log9": None}, 1, "log9 is not in the inventory", id="unknown receiver"),
        pytest.param({"log1": -1}, 1, "netconsole_receiver_weight of log1 is -1", id="a negative weight"),
        pytest.param({"log1": "much"}, 1, "netconsole_receiver_weight of log1 is 'much'", id="a word as weight"),
        pytest.param({"log1": True}, 1, "netconsole_receiver_weight of log1 is True", id="a boolean as weight"),
        pytest.param({"log1": "inf"}, 1, "netconsole_receiver_weight of log1 is 'inf'", id="an endless weight"),
        pytest.param({"log1": [1]}, 1, "netconsole_receiver_weight of log1 is", id="a list as weight"),
        pytest.param({"log1": 0}, 1, "every receiver has the weight 0 .log1.", id="nobody takes senders"),
        pytest.param({"log1": 1}, -1, "copies .netconsole_sender_copies. is -1", id="negative copies"),
        pytest.param({"log1": 1}, "two", "copies .netconsole_sender_copies. is 'two'", id="a word as copies"),
        pytest.param({"log1": 1}, 1.5, "copies .netconsole_sender_copies. is 1.5", id="half a copy"),
        pytest.param({"log1": 1}, True, "copies .netconsole_sender_copies. is True", id="a boolean as copies"),
    ],
)
def test_what_is_refused(receivers: dict[str, Any], copies: Any, words: str) -> None:
    known = {name: {"netconsole_receiver_weight": weight} for name, weight in receivers.items() if name != "log9"}
    with pytest.raises(AnsibleFilterError, match=words):
        assign_receivers(list(receivers), "web1", known, copies)


def test_a_large_fleet_costs_little() -> None:
    """10,000 senders in one play: the choice of ten receivers takes less than 1 ms of processor time each."""
    receivers = fleet(10)
    start = time.process_time()
    for sender in SENDERS[:1000]:
        choose(receivers, sender, 2)
    assert (time.process_time() - start) / 1000 < 0.001
