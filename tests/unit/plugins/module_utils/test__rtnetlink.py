# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rtnetlink messages that the kernel 6.12 sent for commands of ip, and the filter that the kernel runs."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._rtnetlink import (
    Event,
    neighbour_filter,
    parse_events,
)

RECORDED = json.loads(Path(__file__).with_name("recorded_rtnetlink.json").read_text(encoding="utf-8"))
MAC = "52:54:00:00:00:99"
NEIGHBOUR = f"ip neigh add 192.0.2.78 dev lab-d0 lladdr {MAC} nud reachable"
NEIGHBOUR6 = "ip -6 neigh add 2001:db8:7::2 dev lab-d0 lladdr 52:54:00:00:00:98 nud stale"
ROUTE = "ip route add 198.51.100.0/24 via 192.0.2.78 dev lab-d0"


def events_of(command: str) -> list[Event]:
    return [event for datagram in RECORDED[command] for event in parse_events(bytes.fromhex(datagram))]


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        pytest.param(ROUTE, {"kind": "route", "gone": False, "address": "198.51.100.0", "prefix": 24}, id="route"),
        pytest.param(
            "ip route del 198.51.100.0/24",
            {"kind": "route", "gone": True, "address": "198.51.100.0", "prefix": 24},
            id="route gone",
        ),
        pytest.param(
            "ip -6 route add default via 2001:db8:7::2 dev lab-d0 metric 4000",
            {"kind": "route", "family": 6, "address": "", "prefix": 0},
            id="default route",
        ),
        pytest.param(
            "ip addr add 192.0.2.77/25 dev lab-d0",
            {"kind": "address", "gone": False, "family": 4, "address": "192.0.2.77", "prefix": 25},
            id="address",
        ),
        pytest.param(
            "ip addr del 192.0.2.77/25 dev lab-d0", {"kind": "address", "gone": True, "family": 4}, id="address gone"
        ),
        pytest.param(
            "ip rule add to 203.0.113.0/24 lookup 77", {"kind": "rule", "gone": False, "family": 4}, id="rule"
        ),
        pytest.param(
            NEIGHBOUR,
            {"kind": "neighbour", "address": "192.0.2.78", "mac": "52:54:00:00:00:99", "failed": False},
            id="neighbour",
        ),
        pytest.param(
            NEIGHBOUR6,
            {"kind": "neighbour", "family": 6, "address": "2001:db8:7::2", "mac": "52:54:00:00:00:98"},
            id="neighbour of IPv6",
        ),
        pytest.param(
            "ip neigh change 192.0.2.78 dev lab-d0 nud failed",
            {"kind": "neighbour", "gone": False, "mac": None, "failed": True},
            id="neighbour failed",
        ),
        pytest.param(
            "ip neigh del 192.0.2.78 dev lab-d0",
            {"kind": "neighbour", "gone": True, "mac": None, "failed": True},
            id="neighbour gone",
        ),
        pytest.param("ip link add lab-d0 type dummy", {"kind": "link", "gone": False, "name": "lab-d0"}, id="link"),
        pytest.param("ip link del lab-d0", {"kind": "link", "gone": True, "name": "lab-d0"}, id="link gone"),
    ],
)
def test_a_command_shows_as_an_event(command: str, wanted: dict[str, object]) -> None:
    assert any(all(getattr(event, key) == value for key, value in wanted.items()) for event in events_of(command))


def test_up_shows_in_the_signature_of_a_link() -> None:
    signatures = [event.signature for event in events_of("ip link set lab-d0 up") if event.kind == "link"]
    assert len(set(signatures)) == 2


@pytest.mark.parametrize("length", range(0, 60, 7))
def test_a_message_that_is_cut_short_is_passed_over(length: int) -> None:
    assert parse_events(bytes.fromhex(RECORDED[ROUTE][0])[:length]) == []


def test_garbage_after_a_message_is_passed_over() -> None:
    message = bytes.fromhex(RECORDED[ROUTE][0])
    assert len(parse_events(message + b"\xff" * 20)) == 1


# -- the filter, run as the kernel runs classic BPF (Documentation/networking/filter.rst)


def run_filter(neighbours: dict[str, str], message: bytes) -> bool:
    """Whether the kernel would pass the message on."""
    program = neighbour_filter(neighbours)
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, operand = program[at]
        at += 1
        if code == 0x06:
            return operand != 0
        if code == 0x15:
            at += if_true if accumulator == operand else if_false
            continue
        form = {0x20: ">I", 0x28: ">H"}[code]
        if operand + struct.calcsize(form) > len(message):
            return False
        accumulator = struct.unpack_from(form, message, operand)[0]


@pytest.mark.parametrize(
    ("command", "addresses", "passed"),
    [
        pytest.param(NEIGHBOUR, ["192.0.2.78"], True, id="the next hop"),
        pytest.param(NEIGHBOUR, ["192.0.2.1", "192.0.2.78", "2001:db8::1"], True, id="one of several"),
        pytest.param(NEIGHBOUR, ["192.0.2.79", "2001:db8::1"], False, id="another neighbour"),
        pytest.param(NEIGHBOUR, [], False, id="no neighbour counts"),
        pytest.param(NEIGHBOUR6, ["2001:db8:7::2"], True, id="IPv6"),
        pytest.param(NEIGHBOUR6, ["2001:db8:7::3", "192.0.2.78"], False, id="another of IPv6"),
        pytest.param(ROUTE, [], True, id="a route always passes"),
        pytest.param("ip link set lab-d0 up", [], True, id="so do links and addresses"),
    ],
)
def test_the_kernel_passes_over_neighbours_of_others(command: str, addresses: list[str], passed: bool) -> None:
    neighbours = dict.fromkeys(addresses, "")
    assert {run_filter(neighbours, bytes.fromhex(text)) for text in RECORDED[command]} == {passed}


@pytest.mark.parametrize(
    ("command", "neighbours", "passed"),
    [
        pytest.param(NEIGHBOUR, {"192.0.2.78": MAC}, False, id="as ever"),
        pytest.param(NEIGHBOUR, {"192.0.2.1": "", "192.0.2.78": MAC, "2001:db8::1": MAC}, False, id="one of several"),
        pytest.param(NEIGHBOUR, {"192.0.2.78": "52:54:00:00:00:01"}, True, id="another MAC address"),
        pytest.param(NEIGHBOUR, {"192.0.2.78": f"02{MAC[2:]}"}, True, id="other by its first octet"),
        pytest.param(NEIGHBOUR6, {"2001:db8:7::2": "52:54:00:00:00:98"}, False, id="IPv6, as ever"),
        pytest.param(NEIGHBOUR6, {"2001:db8:7::2": MAC}, True, id="IPv6, another MAC address"),
        pytest.param(NEIGHBOUR6, {"192.0.2.78": MAC}, False, id="another neighbour"),
        pytest.param("ip neigh change 192.0.2.78 dev lab-d0 nud failed", {"192.0.2.78": MAC}, True, id="failed"),
        pytest.param("ip neigh del 192.0.2.78 dev lab-d0", {"192.0.2.78": MAC}, True, id="gone"),
    ],
)
def test_a_neighbour_that_is_as_ever_wakes_nobody(command: str, neighbours: dict[str, str], passed: bool) -> None:
    messages = [bytes.fromhex(text) for text in RECORDED[command]]
    assert any(run_filter(neighbours, message) for message in messages) is passed
