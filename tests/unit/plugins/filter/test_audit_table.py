# The table of an audit: columns, what is shown of a large fleet, the sum.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fleet.netconsole.plugins.filter.audit_table import FilterModule

audit_table = FilterModule().filters()["audit_table"]


def row(host: str, *drift: str, **more: Any) -> dict[str, Any]:
    known = {"kernel": "6.12.107", "targets": 2, "enabled": 2, "panic_sent": True, "service": "active"}
    return {"host": host, "ok": not drift, "drift": list(drift), **known, **more}


UNKNOWN = dict.fromkeys(("kernel", "targets", "enabled", "panic_sent", "service"))


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        pytest.param([], ["host  kernel  targets  panic  service  drift", "0 of 0 hosts without drift"], id="nothing"),
        pytest.param(
            [row("web1"), row("web10", "log1: a", "b", enabled=1, panic_sent=False, service="not-found")],
            [
                "host   kernel    targets  panic  service    drift",
                "web1   6.12.107   2 of 2  sent   active",
                "web10  6.12.107   1 of 2  lost   not-found  log1: a; b",
                "1 of 2 hosts without drift. To look at: web10",
            ],
            id="one of two",
        ),
        pytest.param(
            [row("web1", "not audited: no python", **UNKNOWN)],
            [
                "host  kernel  targets  panic  service  drift",
                "web1  -             -  -      -        not audited: no python",
                "0 of 1 hosts without drift. To look at: web1",
            ],
            id="not audited",
        ),
        pytest.param(
            [row("web1", targets=0, enabled=0, panic_sent=None, service=None)],
            [
                "host  kernel    targets  panic  service  drift",
                "web1  6.12.107   0 of 0  -      -",
                "1 of 1 hosts without drift",
            ],
            id="no netconsole",
        ),
    ],
)
def test_table(rows: list[dict[str, Any]], lines: list[str]) -> None:
    assert audit_table(rows) == lines


@pytest.mark.parametrize(("limit", "shown"), [(0, 0), (2, 2), (3, 3), (4, 3)])
def test_limit(limit: int, shown: int) -> None:
    rows = [row("ok1"), row("bad1", "x"), row("ok2"), row("ok3")]
    lines = audit_table(rows, limit=limit)
    assert sum(line.startswith("ok") for line in lines) == shown
    assert sum(line.startswith("bad") for line in lines) == 1
    assert (f"... and {3 - shown} more without drift" in lines) is (shown < 3)
