# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which events start a run, and when it is due. Times are seconds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._rtnetlink import Event
from ansible_collections.fleet.netconsole.plugins.module_utils._watch import (
    FIRST_RETRY,
    LONGEST_DEBOUNCE,
    SLOWEST_RETRY,
    Interest,
    Path,
    Schedule,
)

GATEWAY, MAC, OTHER_MAC = "192.0.2.1", "52:54:00:00:00:fe", "52:54:00:00:00:fd"
PATH = Path("eth0", "192.0.2.15", "203.0.113.9", GATEWAY, MAC)
UP, DOWN = ("eth0", 65601, b"", b""), ("eth0", 0, b"", b"")


def interest(*, failing: tuple[str, ...] = ()) -> Interest:
    made = Interest()
    made.update({"log1": PATH}, receivers={"203.0.113.9"}, failing=failing)
    made.counts(Event("link", False, index=2, name="eth0", signature=UP))
    made.counts(Event("link", False, index=3, name="veth7", signature=("veth7", 0, b"", b"")))
    made.counts(Event("address", False, index=2, family=4, address="192.0.2.15", signature=("192.0.2.15", 24, 0)))
    return made


def neighbour(address: str = GATEWAY, *, mac: str | None = None, failed: bool = False) -> Event:
    return Event("neighbour", False, index=2, family=4, address=address, mac=mac, failed=failed)


def route(address: str, prefix: int, family: int = 4) -> Event:
    return Event("route", False, family=family, address=address, prefix=prefix)


def address(text: str, *, index: int = 2, gone: bool = False, flags: int = 0, family: int = 4) -> Event:
    return Event("address", gone, index=index, family=family, address=text, signature=(text, 24, flags))


@pytest.mark.parametrize(
    ("event", "healthy", "failing"),
    [
        pytest.param(neighbour(mac=OTHER_MAC), True, True, id="the gateway has another MAC"),
        pytest.param(neighbour(mac=MAC), False, True, id="the gateway is as it was"),
        pytest.param(neighbour(failed=True), True, False, id="the gateway does not answer"),
        pytest.param(neighbour("192.0.2.99", mac=OTHER_MAC), False, False, id="another neighbour"),
        pytest.param(neighbour("203.0.113.9", mac=OTHER_MAC), False, True, id="the receiver came onto the segment"),
        pytest.param(route("203.0.113.0", 24), True, True, id="a route to the receiver"),
        pytest.param(route("", 0), True, True, id="the default route"),
        pytest.param(route("198.51.100.0", 24), False, False, id="a route to somebody else"),
        pytest.param(route("", 0, family=6), False, False, id="the default route of the other family"),
        pytest.param(Event("rule", False, family=4), True, True, id="a rule"),
        pytest.param(Event("rule", False, family=6), False, False, id="a rule of the other family"),
        pytest.param(Event("link", False, index=2, name="eth0", signature=DOWN), True, True, id="down"),
        pytest.param(Event("link", False, index=2, name="eth0", signature=UP), False, False, id="counters of the link"),
        pytest.param(Event("link", True, index=2, name="eth0"), True, True, id="unplugged"),
        pytest.param(
            Event("link", False, index=2, name="wan0", signature=("wan0", 65601, b"", b"")), True, True, id="renamed"
        ),
        pytest.param(Event("link", True, index=3, name="veth7"), False, True, id="a container ends"),
        pytest.param(address("192.0.2.15"), False, False, id="a lifetime is renewed"),
        pytest.param(address("192.0.2.16"), True, True, id="another address"),
        pytest.param(address("192.0.2.15", gone=True), True, True, id="the address goes"),
        pytest.param(address("192.0.2.15", flags=0x20), True, True, id="the address is deprecated"),
        pytest.param(address("172.17.0.1", index=3), False, True, id="an address elsewhere"),
        pytest.param(address("2001:db8::1", family=6), False, False, id="an address of the other family"),
    ],
)
def test_what_counts(event: Event, healthy: bool, failing: bool) -> None:
    assert (interest().counts(event), interest(failing=("log1",)).counts(event)) == (healthy, failing)


def test_an_address_that_comes_back_counts_again() -> None:
    watched = interest()
    assert [watched.counts(address("192.0.2.15", gone=gone)) for gone in (True, False, False)] == [True, True, False]


@pytest.mark.parametrize(
    ("paths", "failing", "neighbours"),
    [
        pytest.param({"log1": PATH}, (), {GATEWAY: MAC, "203.0.113.9": ""}, id="a gateway"),
        pytest.param({"log1": PATH}, ("log1",), {GATEWAY: "", "203.0.113.9": ""}, id="failing: all is news"),
        pytest.param(
            {"log1": replace(PATH, neighbour="203.0.113.9")}, (), {"203.0.113.9": MAC}, id="on the same segment"
        ),
        pytest.param(
            {"log1": PATH, "log2": replace(PATH, dev_name="eth1", remote_mac=OTHER_MAC)},
            (),
            {GATEWAY: "", "203.0.113.9": ""},
            id="two of one address",
        ),
    ],
)
def test_the_neighbours_are_the_next_hop_and_the_receivers(
    paths: dict[str, Path], failing: tuple[str, ...], neighbours: dict[str, str]
) -> None:
    watched = Interest()
    watched.update(paths, receivers={"203.0.113.9"}, failing=failing)
    assert watched.neighbours() == neighbours


def scheduled(*events: float, refresh: float = 0.0, ran: float = 100.0, failing: bool = False) -> Schedule:
    schedule = Schedule(refresh=refresh)
    schedule.ran(ran, failing=failing)
    for now in events:
        schedule.event(now)
    return schedule


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        pytest.param(Schedule(), 0.0, id="the first run is due at once"),
        pytest.param(scheduled(), None, id="nothing happens: no wake-up"),
        pytest.param(scheduled(200.0), 200.2, id="one event"),
        pytest.param(scheduled(200.0, 200.1, 200.2), 200.4, id="a burst"),
        pytest.param(scheduled(*[200.0 + n / 10 for n in range(50)]), 200.0 + LONGEST_DEBOUNCE, id="endless burst"),
        pytest.param(scheduled(100.1), 100.5, id="not right after a run"),
        pytest.param(scheduled(refresh=900.0), 1000.0, id="names are looked up again"),
        pytest.param(scheduled(failing=True), 100.0 + FIRST_RETRY, id="a failing target is tried again"),
        pytest.param(scheduled(101.0, failing=True), 101.2, id="an event comes first"),
    ],
)
def test_when_a_run_is_due(schedule: Schedule, due: float | None) -> None:
    found = schedule.due()
    assert found == (None if due is None else pytest.approx(due))


def test_the_distance_of_retries_grows_up_to_a_bound_and_ends_with_success() -> None:
    schedule, distances = Schedule(), []
    for _number in range(12):
        schedule.ran(0.0, failing=True)
        distances.append(schedule.due())
    assert distances[:4] == [1.0, 2.0, 4.0, 8.0] and distances[-1] == SLOWEST_RETRY
    schedule.ran(0.0, failing=False)
    assert schedule.due() is None


@pytest.mark.parametrize(("now", "timeout"), [(200.0, pytest.approx(0.2)), (300.0, 0.0)], ids=["to come", "overdue"])
def test_the_timeout_is_never_negative(now: float, timeout: object) -> None:
    assert scheduled(200.0).timeout(now) == timeout
