# The table of an arrival check: columns, what is shown of a large fleet, the sum.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleet.netconsole.plugins.filter.arrival_table import FilterModule

arrival_table = FilterModule().filters()["arrival_table"]


def row(host, *, ok=True, **more):
    given = {"host": host, "receiver": "log1", "target": "log1", "arrived": ok, "ok": ok, "after": None, "reason": ""}
    return {**given, **more}


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        pytest.param([], ["host  target  arrived  after  reason", "nothing was checked"], id="nothing"),
        pytest.param(
            [row("web1", after=0.0021), row("web10", ok=False, target="log1", reason="target log1 is disabled")],
            [
                "host   target  arrived    after  reason",
                "web1   log1    yes      0.002 s",
                "web10  log1    no             -  target log1 is disabled",
                "1 of 2 probes arrived. To look at: web10",
            ],
            id="one of two",
        ),
        pytest.param(
            [row("web1", after=12.5), row("web2", after=-0.25, reason="the clocks of web2 and log1 differ")],
            [
                "host  target  arrived     after  reason",
                "web1  log1    yes      12.500 s",
                "web2  log1    yes      -0.250 s  the clocks of web2 and log1 differ",
                "2 of 2 probes arrived",
            ],
            id="clocks",
        ),
        pytest.param(
            [row("web1", target="central"), row("web2", target=None, receiver=None, ok=False, reason="no target")],
            [
                "host  target          arrived  after  reason",
                "web1  central (log1)  yes          -",
                "web2  -               no           -  no target",
                "1 of 2 probes arrived. To look at: web2",
            ],
            id="target named otherwise than the receiver, no target",
        ),
        pytest.param(
            [row("web1", arrived=None, target=None, receiver=None, reason="not probed (check mode)")],
            [
                "host  target  arrived  after  reason",
                "web1  -       -            -  not probed (check mode)",
                "nothing was checked",
            ],
            id="check mode",
        ),
        pytest.param(
            [row("web1"), row("web1", arrived=None, target="far", receiver=None, reason="no receiver has it")],
            [
                "host  target  arrived  after  reason",
                "web1  log1    yes          -",
                "web1  far     -            -  no receiver has it",
                "1 of 1 probes arrived",
            ],
            id="what cannot be checked is not counted",
        ),
        pytest.param(
            [row("web1", ok=False, arrived=True, reason="stored as unknown/192.0.2.11")],
            [
                "host  target  arrived  after  reason",
                "web1  log1    yes          -  stored as unknown/192.0.2.11",
                "1 of 1 probes arrived. To look at: web1",
            ],
            id="arrived under a wrong name",
        ),
        pytest.param(
            [row("web1", ok=False, arrived=None, reason="log1 was not reached"), row("web1", ok=False)],
            [
                "host  target  arrived  after  reason",
                "web1  log1    -            -  log1 was not reached",
                "web1  log1    no           -",
                "0 of 2 probes arrived. To look at: web1",
            ],
            id="a host with two faults is named once",
        ),
    ],
)
def test_table(rows, lines):
    assert arrival_table(rows) == lines


def test_a_large_fleet():
    rows = [row(f"web{number}", after=number / 1000) for number in range(1000)]
    rows[500:500] = [row("web-a", ok=False, reason="a"), row("web-b", ok=False, reason="b")]
    lines = arrival_table(rows)
    assert len(lines) == 1 + 2 + 100 + 1 + 1
    assert [line.split()[0] for line in lines[1:5]] == ["web-a", "web-b", "web0", "web1"]
    assert lines[-2:] == [
        "... and 900 more without a fault, the slowest after 0.999 s",
        "1000 of 1002 probes arrived. To look at: web-a, web-b",
    ]


@pytest.mark.parametrize(("limit", "shown"), [(0, 0), (2, 2), (3, 3), (4, 3)])
def test_limit(limit, shown):
    lines = arrival_table([row("web1"), row("web2"), row("web3")], limit=limit)
    assert sum(line.startswith("web") for line in lines) == shown
    assert any(line.startswith("... and") for line in lines) is (shown < 3)


def test_many_faults_are_not_all_named_in_the_sum():
    lines = arrival_table([row(f"web{number}", ok=False) for number in range(15)])
    assert len(lines) == 17
    assert lines[-1] == (
        "0 of 15 probes arrived. To look at: web0, web1, web2, web3, web4, web5, web6, web7, web8, web9 and 5 more"
    )
