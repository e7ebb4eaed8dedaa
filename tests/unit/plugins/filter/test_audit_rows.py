# The audits of all senders put together: what a row says of a host, and of one that was not audited.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fleet.netconsole.plugins.filter.audit_rows import FilterModule

audit_rows = FilterModule().filters()["audit_rows"]


def audited(**facts: Any) -> dict[str, Any]:
    """The registered result of sender_info on a host without fault, apart from what is given."""
    return {
        "sender_info": {
            "kernel_release": "6.12.107-amd64",
            "module": {"loaded": True},
            "targets": [{"enabled": True}, {"enabled": False}],
            "panic": {"sent": True},
            "service": {"load_state": "loaded", "active_state": "active"},
            "drift": [],
            **facts,
        }
    }


UNKNOWN = dict.fromkeys(("kernel", "targets", "enabled", "panic_sent", "service"))
FINE = {
    "ok": True,
    "kernel": "6.12.107-amd64",
    "targets": 2,
    "enabled": 1,
    "panic_sent": True,
    "service": "active",
    "drift": [],
}


@pytest.mark.parametrize(
    ("result", "row"),
    [
        pytest.param(audited(), FINE, id="without fault"),
        pytest.param(audited(drift=["log1: a", "b"]), {**FINE, "ok": False, "drift": ["log1: a", "b"]}, id="drift"),
        pytest.param(audited(panic={"sent": False}), {**FINE, "panic_sent": False}, id="a panic is lost"),
        pytest.param(
            audited(module={"loaded": False}, targets=[]),
            {**FINE, "targets": 0, "enabled": 0, "panic_sent": None},
            id="no netconsole: nothing would be sent",
        ),
        pytest.param(audited(service=None), {**FINE, "service": None}, id="no systemd"),
        pytest.param(
            audited(service={"load_state": "not-found", "active_state": "inactive"}),
            {**FINE, "service": "not-found"},
            id="no unit",
        ),
        pytest.param(
            None,
            {"ok": False, **UNKNOWN, "drift": ["not audited: Ansible did not reach the host"]},
            id="outside of the run",
        ),
        pytest.param(
            {"unreachable": True, "msg": "no route to host"},
            {"ok": False, **UNKNOWN, "drift": ["not audited: Ansible did not reach the host"]},
            id="not reached",
        ),
        pytest.param(
            {"failed": True, "msg": "no python"},
            {"ok": False, **UNKNOWN, "drift": ["not audited: no python"]},
            id="failed",
        ),
    ],
)
def test_row(result: dict[str, Any] | None, row: dict[str, Any]) -> None:
    variables = {} if result is None else {"netconsole_audit": result}
    assert audit_rows(["web1"], {"web1": variables}) == [{"host": "web1", **row}]


def test_order_and_variable() -> None:
    hostvars = {name: {"mine": audited()} for name in ("a", "b", "c")}
    assert [row["host"] for row in audit_rows(["b", "a"], hostvars, "mine")] == ["b", "a"]
    assert [row["ok"] for row in audit_rows(["b", "a"], hostvars)] == [False, False]
