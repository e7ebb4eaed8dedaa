# The receiver's answer: whom it is asked about, how long it waits, what it says of what was found and what was not.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._arrival import (
    ArrivalError,
    Asking,
    assign,
    least_severe,
    parse_probe,
    questions,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._arrival_facts import ReceiverFacts
from ansible_collections.fleet.netconsole.plugins.module_utils._arrival_reasons import Receiver, UdpSocket
from ansible_collections.fleet.netconsole.plugins.module_utils._arrival_store import Sighting, Store

NOW = 1795413600.0  # 2026-11-23T06:00:00+00:00
LISTENING = (UdpSocket("0.0.0.0", 6666),)


def nonce_of(host):
    return host.encode().hex().rjust(32, "0")


def target(name="log1", **more):
    return {
        "name": name,
        "enabled": True,
        "dev_name": "eth1",
        "local_ip": "192.0.2.11",
        "remote_ip": "192.0.2.10",
        "remote_port": 6666,
        "remote_mac": "52:54:00:00:00:10",
        "extended": True,
        **more,
    }


def probe(host="web1", **more):
    given = {
        "host": host,
        "nonce": nonce_of(host),
        "time": NOW,
        "written": True,
        "level": 5,
        "console_loglevel": 7,
        "targets": [target()],
        **more,
    }
    return parse_probe(given)


class FakeFacts(ReceiverFacts):
    """What the receiver would say of itself, one answer after the other; the last one stays."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def of(self, name, *, addresses, port, store):
        facts = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        known = frozenset(["192.0.2.10", *addresses])
        return Receiver(name=name, addresses=known, port=port, store=store, **{"service": "active", **facts})


class World:
    """A store on disk, and a clock that moves only when somebody sleeps; then what was planned happens."""

    def __init__(self, path):
        self.path = path
        (path / "unknown").mkdir()
        self.now = 0.0
        self.plans = []

    def store_line(self, sender="web1", *, name=None, delay=0.5, **more):
        """The probe of ``sender`` comes ``delay`` seconds after it was sent, and is stored in the file ``name``."""
        received = datetime.fromtimestamp(NOW, tz=timezone.utc) + timedelta(seconds=delay)
        entry = {
            "received": received.isoformat(timespec="microseconds"),
            "host": sender,
            "source": "192.0.2.11",
            "format": "extended",
            "message": f"fleet.netconsole probe nonce={nonce_of(sender)}",
            **more,
        }
        path = self.path / f"{name or sender}.jsonl"
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")
        os.utime(path, (NOW, NOW))

    def later(self, seconds, action):
        self.plans.append((seconds, action))

    def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds
        for plan in [plan for plan in self.plans if plan[0] <= self.now]:
            self.plans.remove(plan)
            plan[1]()

    def ask(self, *probes, facts=None, timeout=10.0, **more):
        asking = Asking(
            name="log1",
            store=Store(str(self.path), clock=lambda: NOW),
            timeout=timeout,
            facts=FakeFacts(*(facts or [{"sockets": LISTENING}])),
            clock=lambda: self.now,
            sleep=self.sleep,
            **more,
        )
        return asking.answer(probes)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_arrived(world):
    world.store_line(delay=0.0125)
    assert world.ask(probe()) == [
        {
            "host": "web1",
            "receiver": "log1",
            "target": "log1",
            "nonce": nonce_of("web1"),
            "arrived": True,
            "ok": True,
            "after": 0.0125,
            "received": "2026-11-23T06:00:00.012500+00:00",
            "file": str(world.path / "web1.jsonl"),
            "stored_as": "web1",
            "format": "extended",
            "reason": "",
            "reasons": [],
        }
    ]
    assert world.now == 0.0  # nothing to wait for


def test_not_arrived(world):
    (row,) = world.ask(probe())
    assert (row["arrived"], row["ok"], row["after"], row["file"]) == (False, False, None, None)
    assert row["reason"].startswith("nothing has ever come from 192.0.2.11")
    assert 10.0 <= world.now < 11.0


def test_arrives_while_waiting(world):
    world.later(4.0, world.store_line)
    (row,) = world.ask(probe())
    assert row["ok"]
    assert 4.0 <= world.now < 4.5


def test_only_what_is_missing_is_waited_for(world):
    world.store_line("web1")
    world.later(2.0, lambda: world.store_line("web2"))
    rows = world.ask(*(probe(host) for host in ("web1", "web2", "web3")))
    assert [(row["host"], row["arrived"]) for row in rows] == [("web1", True), ("web2", True), ("web3", False)]


@pytest.mark.parametrize(
    ("given", "start"),
    [
        pytest.param({"console_loglevel": 0}, "console_loglevel is 0", id="level"),
        pytest.param({"oops_only": True}, "netconsole's parameter oops_only", id="oops only"),
        pytest.param({"targets": [target(enabled=False)]}, "target log1 is disabled", id="disabled"),
    ],
)
def test_what_was_not_sent_is_not_waited_for(world, given, start):
    (row,) = world.ask(probe(**given))
    assert row["reason"].startswith(start)
    assert world.now == 0.0


def test_what_was_surely_not_sent_and_is_there_all_the_same(world):
    world.store_line()
    (row,) = world.ask(probe(targets=[target(enabled=False)]))
    assert row["ok"]


def test_a_receiver_that_hears_nothing_is_not_waited_for_long(world):
    (row,) = world.ask(probe(), facts=[{"sockets": (), "service": "inactive"}])
    assert row["reason"] == "netconsole-receiver.service is not running on log1 (it is inactive)"
    assert 3.0 <= world.now < 4.0


def test_the_reason_is_from_after_the_waiting(world):
    facts = [{"sockets": LISTENING}, {"sockets": (), "service": "failed"}]
    (row,) = world.ask(probe(), facts=facts)
    assert row["reason"] == "netconsole-receiver.service is not running on log1 (it is failed)"


@pytest.mark.parametrize(
    ("line", "given", "expected"),
    [
        pytest.param(
            {"name": "unknown/192.0.2.11", "host": "192.0.2.11"},
            {},
            (
                False,
                "arrived, but stored as unknown/192.0.2.11: add the address 192.0.2.11 to netconsole_sender_addresses "
                "of web1, and run fleet.netconsole.site",
            ),
            id="unknown sender",
        ),
        pytest.param(
            {"name": "web2", "host": "web2"},
            {},
            (
                False,
                "arrived, but stored as web2: the receiver takes 192.0.2.11 for an address of web2; correct "
                "netconsole_sender_addresses of both, and run fleet.netconsole.site",
            ),
            id="another's name",
        ),
        pytest.param(
            {"name": "unknown/192.0.2.11", "host": "192.0.2.11"},
            {"targets": [target(local_ip_on_device=False)]},
            (
                False,
                "arrived, but stored as unknown/192.0.2.11: web1 sends from an address that eth1 does not have (any "
                "more), run fleet.netconsole.site",
            ),
            id="unknown sender, since its address has changed",
        ),
        pytest.param({"name": "web-1"}, {}, (True, ""), id="file named otherwise, name in the line right"),
        pytest.param({"host": None}, {}, (True, ""), id="no name in the line, file named right"),
        pytest.param(
            {"delay": -3.0},
            {},
            (True, "received before it was sent: the clocks of web1 and log1 differ"),
            id="clocks differ",
        ),
        pytest.param(
            {},
            {"console_loglevel": 1, "level": 0},
            (True, "console_loglevel is 1: only emerg leaves the host"),
            id="only emerg leaves the host",
        ),
        pytest.param(
            {},
            {"console_loglevel": 4, "level": 3},
            (True, "console_loglevel is 4: only emerg to err leaves the host"),
            id="only errors leave the host",
        ),
        pytest.param({}, {"console_loglevel": 6}, (True, ""), id="notice leaves the host"),
        pytest.param({}, {"console_loglevel": 1, "ignore_loglevel": True}, (True, ""), id="log level ignored"),
        pytest.param({"format": "legacy"}, {}, (True, ""), id="other format than the target's"),
    ],
)
def test_what_is_said_of_an_arrival(world, line, given, expected):
    world.store_line(**line)
    (row,) = world.ask(probe(**given))
    assert row["arrived"] is True
    assert (row["ok"], row["reason"]) == expected


def test_a_line_that_is_no_json(world):
    (world.path / "web1.jsonl").write_text(f"fleet.netconsole probe nonce={nonce_of('web1')}\n")
    os.utime(world.path / "web1.jsonl", (NOW, NOW))
    (row,) = world.ask(probe())
    assert (row["arrived"], row["ok"], row["after"]) == (True, False, None)
    assert row["reason"].startswith("arrived, but its line in ")


def test_not_written_in_check_mode(world):
    (row,) = world.ask(probe(written=False, time=None))
    assert (row["arrived"], row["ok"], row["reason"]) == (None, True, "not probed (check mode)")
    assert world.now == 0.0


def test_targets_not_told(world):
    rows = world.ask(probe(targets=None), probe("web2", targets=None))
    assert [(row["target"], row["arrived"]) for row in rows] == [(None, False)] * 2
    assert rows[0]["reason"].startswith("nothing has ever come from web1: look between the two hosts")


def test_last_seen(world):
    (world.path / "web1.jsonl").write_text("{}\n")
    os.utime(world.path / "web1.jsonl", (NOW - 500, NOW - 500))
    (row,) = world.ask(probe())
    assert row["reason"].startswith("nothing has come from web1 since 2026-11-23T05:51:40+00:00")


def test_last_seen_as_unknown_after_the_probe(world):
    (world.path / "unknown" / "192.0.2.11.jsonl").write_text("{}\n")
    os.utime(world.path / "unknown" / "192.0.2.11.jsonl", (NOW + 1, NOW + 1))
    (row,) = world.ask(probe())
    assert row["reason"].startswith("other messages of web1 came later")


def test_no_store(world, tmp_path):
    asking = Asking(
        name="log1", store=Store(str(tmp_path / "none")), timeout=0.0, facts=FakeFacts({"store_present": False})
    )
    (row,) = asking.answer([probe()])
    assert row["reason"] == f"log1 has no directory {tmp_path}/none: the collector stores nowhere, or somewhere else"


def test_nobody_to_ask_about(world):
    assert world.ask() == []
    assert world.ask(probe(targets=[target("log2", remote_ip="192.0.2.20")])) == []
    assert world.now == 0.0


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        pytest.param([target()], ["log1"], id="one"),
        pytest.param([], [], id="none"),
        pytest.param([target("log2", remote_ip="192.0.2.20"), target()], ["log1"], id="another receiver's too"),
        pytest.param([target("a"), target("b", extended=False)], ["a", "b"], id="two for this receiver"),
        pytest.param([target(enabled=False)], ["log1"], id="disabled"),
        pytest.param([target("old", enabled=False), target()], ["log1"], id="a disabled one beside an enabled one"),
        pytest.param([target("vip", remote_ip="203.0.113.1")], ["vip"], id="by an address from before a firewall"),
    ],
)
def test_questions(targets, expected):
    receiver = Receiver(name="log1", addresses=frozenset(["192.0.2.10", "203.0.113.1"]))
    assert [question.target["name"] for question in questions([probe(targets=targets)], receiver)] == expected


def sighting(source, format_):
    return Sighting(nonce="", file="", stored_as="", line=b"", source=source, format=format_)


@pytest.mark.parametrize(
    ("targets", "copies", "expected"),
    [
        pytest.param([("a", True)], [("x", "legacy")], [(0, 0)], id="nothing fits, but there is only one"),
        pytest.param(
            [("a", True), ("a", False)], [("a", "legacy"), ("a", "extended")], [(0, 1), (1, 0)], id="by format"
        ),
        pytest.param(
            [("a", True), ("b", True)], [("b", "extended"), ("a", "extended")], [(0, 1), (1, 0)], id="by source"
        ),
        pytest.param([("a", True), ("b", True)], [("b", "extended")], [(1, 0)], id="one copy is missing"),
        pytest.param([("a", True), ("a", True)], [("a", "extended")], [(0, 0)], id="one copy of two alike"),
        pytest.param([("a", True)], [("a", "extended"), ("a", "extended")], [(0, 0)], id="more copies than targets"),
    ],
)
def test_assign(targets, copies, expected):
    asked = questions(
        [probe(targets=[target(str(n), local_ip=ip, extended=ext) for n, (ip, ext) in enumerate(targets)])],
        Receiver(name="log1", addresses=frozenset(["192.0.2.10"])),
    )
    found = [sighting(*copy) for copy in copies]
    pairs = [(asked.index(question), found.index(copy)) for question, copy in assign(asked, found)]
    assert sorted(pairs) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param("web1", "every entry of probes needs host", id="no dictionary"),
        pytest.param({"nonce": "0" * 32}, "every entry of probes needs host", id="no host"),
        pytest.param({"host": "web1"}, "every entry of probes needs host", id="no nonce"),
        pytest.param({"host": "web1", "nonce": 5}, "every entry of probes needs host", id="nonce no text"),
        pytest.param({"host": "web1", "nonce": "0", "targets": [{}]}, "the targets of web1", id="target without name"),
        pytest.param({"host": "web1", "nonce": "0", "level": 8}, "the level of web1's probe", id="no such level"),
    ],
)
def test_a_question_that_makes_no_sense(given, message):
    with pytest.raises(ArrivalError, match=message):
        parse_probe(given)


@pytest.mark.parametrize(("console_loglevel", "words"), [(1, "emerg"), (2, "emerg to alert"), (4, "emerg to err")])
def test_least_severe(console_loglevel, words):
    assert least_severe(console_loglevel) == words


@pytest.mark.once
def test_thousands_of_probes(world):
    hosts = [f"web{number}" for number in range(1000)]
    for host in hosts:
        world.store_line(host)
    assert all(row["ok"] for row in world.ask(*(probe(host) for host in hosts)))
