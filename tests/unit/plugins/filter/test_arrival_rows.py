# What became of every sender's probe: senders and receivers that were not reached, targets that mean nobody.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleet.netconsole.plugins.filter.arrival_rows import FilterModule

arrival_rows = FilterModule().filters()["arrival_rows"]

NONCE = "0" * 32


def target(name="log1", *, enabled=True, remote_ip="192.0.2.10"):
    return {"name": name, "enabled": enabled, "remote_ip": remote_ip}


def probe(*targets, **more):
    return {"netconsole_probe": {"nonce": NONCE, "written": True, "loaded": True, "targets": list(targets), **more}}


def arrived(host="web1", *, name="log1", receiver="log1", ok=True):
    return {"host": host, "receiver": receiver, "target": name, "arrived": ok, "ok": ok, "reason": "" if ok else "lost"}


def asked(*rows, **more):
    return {"netconsole_receiver_address": "192.0.2.10", "netconsole_arrival": {"arrivals": list(rows), **more}}


def rows_of(*, web1, log1, elsewhere=(), among=None, **others):
    hostvars = {"web1": web1, "log1": log1, **others}
    receivers = [name for name in hostvars if name.startswith("log")]
    rows = arrival_rows(["web1"], hostvars, receivers, elsewhere, among)
    return [(row["target"], row["receiver"], row["arrived"], row["ok"], row["reason"]) for row in rows]


NOT_ASKED = "receiver log1 was not asked: Ansible did not reach it, or a task failed there before"


@pytest.mark.parametrize(
    ("web1", "log1", "expected"),
    [
        pytest.param(probe(target()), asked(arrived()), [("log1", "log1", True, True, "")], id="arrived"),
        pytest.param(
            probe(target()), asked(arrived(ok=False)), [("log1", "log1", False, False, "lost")], id="not arrived"
        ),
        pytest.param(
            probe(target("any"), target("other", remote_ip="192.0.2.99")),
            asked(arrived(name="any")),
            [
                ("any", "log1", True, True, ""),
                ("other", None, None, True, "no receiver in the inventory has 192.0.2.99"),
            ],
            id="one target that cannot be checked",
        ),
        pytest.param(
            probe(target("other", remote_ip="192.0.2.99")),
            asked(),
            [("other", None, None, False, "no receiver in the inventory has 192.0.2.99")],
            id="no target that can be checked",
        ),
        pytest.param(
            probe(),
            asked(),
            [(None, None, False, False, "there is no target: run fleet.netconsole.site")],
            id="no target",
        ),
        pytest.param(
            probe(loaded=False),
            asked(),
            [
                (
                    None,
                    None,
                    False,
                    False,
                    "netconsole is not loaded, so there is no target: run fleet.netconsole.site",
                )
            ],
            id="not loaded",
        ),
        pytest.param(
            probe(target("old", enabled=False, remote_ip="192.0.2.99")),
            asked(),
            [
                (
                    None,
                    None,
                    False,
                    False,
                    "no target is enabled, and none means a receiver of the inventory (old): run fleet.netconsole.site",
                )
            ],
            id="only a disabled target of nobody",
        ),
        pytest.param(
            probe(target(), written=False),
            asked(arrived()),
            [(None, None, None, True, "not probed (check mode)")],
            id="check mode",
        ),
        pytest.param(
            probe(written=False, loaded=False),
            {},
            [(None, None, None, True, "not probed (check mode)")],
            id="check mode on a fresh host",
        ),
        pytest.param(
            {},
            asked(),
            [(None, None, False, False, "not probed: Ansible did not reach the host, or a task failed there before")],
            id="sender not in the play any more",
        ),
        pytest.param(
            {"netconsole_probe": {"unreachable": True, "msg": "no route"}},
            asked(),
            [(None, None, False, False, "not probed: Ansible did not reach the host")],
            id="sender not reached",
        ),
        pytest.param(
            {"netconsole_probe": {"failed": True, "msg": "/dev/kmsg may not be written"}},
            asked(),
            [(None, None, False, False, "not probed: /dev/kmsg may not be written")],
            id="probe failed",
        ),
        pytest.param(
            probe(target()),
            {"netconsole_arrival": {"unreachable": True, "msg": "no route"}},
            [("log1", "log1", None, False, "receiver log1 was not reached by Ansible")],
            id="receiver not reached",
        ),
        pytest.param(
            probe(target()),
            {"netconsole_arrival": {"failed": True, "msg": "no permission"}},
            [("log1", "log1", None, False, "receiver log1 could not be asked: no permission")],
            id="receiver could not answer",
        ),
        pytest.param(
            probe(target()), {}, [("log1", "log1", None, False, NOT_ASKED)], id="receiver not asked, known by name"
        ),
        pytest.param(
            probe(target("any")),
            {"netconsole_receiver_address": "192.0.2.10"},
            [("any", "log1", None, False, NOT_ASKED)],
            id="receiver not asked, known by its address",
        ),
        pytest.param(
            probe(target("any")),
            {"ansible_host": "192.0.2.10"},
            [("any", "log1", None, False, NOT_ASKED)],
            id="receiver not asked, known by ansible_host",
        ),
        pytest.param(
            probe(target("any", remote_ip="2001:db8::10")),
            {"netconsole_receiver_address": "2001:DB8::0:10"},
            [("any", "log1", None, False, NOT_ASKED)],
            id="receiver not asked, known by its IPv6 address in another spelling",
        ),
    ],
)
def test_rows(web1, log1, expected):
    assert rows_of(web1=web1, log1=log1) == expected


def test_two_receivers():
    web1 = probe(target(), target("log2", remote_ip="192.0.2.20"))
    log2 = {"netconsole_arrival": {"arrivals": [arrived(name="log2", receiver="log2", ok=False)]}}
    assert rows_of(web1=web1, log1=asked(arrived()), log2=log2) == [
        ("log1", "log1", True, True, ""),
        ("log2", "log2", False, False, "lost"),
    ]


def test_asked_elsewhere():
    elsewhere = [{"item": "log1", "arrivals": [arrived()]}, {"item": "log2", "unreachable": True, "msg": "no route"}]
    web1 = probe(target(), target("log2", remote_ip="192.0.2.20"))
    assert rows_of(web1=web1, log1={}, log2={}, elsewhere=elsewhere) == [
        ("log1", "log1", True, True, ""),
        ("log2", "log2", None, False, "receiver log2 was not reached by Ansible"),
    ]


def test_only_among():
    hostvars = {"web1": probe(target()), "web2": probe(), "log1": asked(arrived())}
    rows = arrival_rows(["web2", "web1"], hostvars, ["log1"], among=["log1", "web1"])
    assert [row["host"] for row in rows] == ["web1"]


def test_rows_have_the_keys_of_the_module():
    rows = arrival_rows(["web1"], {"web1": {}, "log1": {}}, ["log1"])
    assert rows == [
        {
            "host": "web1",
            "receiver": None,
            "target": None,
            "nonce": None,
            "arrived": False,
            "ok": False,
            "after": None,
            "received": None,
            "file": None,
            "stored_as": None,
            "format": None,
            "reason": "not probed: Ansible did not reach the host, or a task failed there before",
            "reasons": ["not probed: Ansible did not reach the host, or a task failed there before"],
        }
    ]
