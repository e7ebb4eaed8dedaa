# Tables for people: aligned columns, and the names of hosts to look at.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._table import aligned, named


@pytest.mark.parametrize(
    ("lines", "right", "expected"),
    [
        pytest.param([("a", "b")], [], ["a  b"], id="one line"),
        pytest.param([("host", "n"), ("x", "10")], [1], ["host   n", "x     10"], id="to the right"),
        pytest.param([("a", "b"), ("long", "")], [], ["a     b", "long"], id="no blanks at the end"),
        pytest.param([], [], [], id="nothing"),
    ],
)
def test_aligned(lines: list[tuple[str, ...]], right: list[int], expected: list[str]) -> None:
    assert aligned(lines, right=right) == expected


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        pytest.param([], "", id="nobody"),
        pytest.param(["web2", "web1", "web2"], ". To look at: web2, web1", id="each once, in their order"),
        pytest.param(
            [f"w{number}" for number in range(12)],
            ". To look at: w0, w1, w2, w3, w4, w5, w6, w7, w8, w9 and 2 more",
            id="no more than ten by name",
        ),
    ],
)
def test_named(hosts: list[str], expected: str) -> None:
    assert named(hosts) == expected
