# The probes of all senders: who has one, and what of it goes to the receivers.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleet.netconsole.plugins.filter.probes import FilterModule

probes = FilterModule().filters()["probes"]

RESULT = {
    "changed": False,
    "failed": False,
    "nonce": "0" * 32,
    "time": 1000.5,
    "written": True,
    "level": 5,
    "level_name": "notice",
    "console_loglevel": 7,
    "ignore_loglevel": False,
    "oops_only": None,
    "loaded": True,
    "targets": [
        {
            "name": "log1",
            "enabled": False,
            "remote_ip": "192.0.2.10",
            "local_mac": "52:54:00:00:00:11",
            "gateway": None,
            "cpu_nr_enabled": True,
        }
    ],
}
SENT = {
    "host": "web1",
    "nonce": "0" * 32,
    "time": 1000.5,
    "written": True,
    "level": 5,
    "console_loglevel": 7,
    "ignore_loglevel": False,
    "targets": [{"name": "log1", "enabled": False, "remote_ip": "192.0.2.10"}],
}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({"netconsole_probe": RESULT}, [SENT], id="a probe"),
        pytest.param({"netconsole_probe": {**RESULT, "targets": []}}, [{**SENT, "targets": []}], id="no target"),
        pytest.param({}, [], id="not in the play"),
        pytest.param({"netconsole_probe": {"unreachable": True, "msg": "no route"}}, [], id="not reached"),
        pytest.param({"netconsole_probe": {"failed": True, "msg": "no /dev/kmsg"}}, [], id="failed"),
        pytest.param({"netconsole_probe": {"skipped": True}}, [], id="skipped"),
    ],
)
def test_probes(variables, expected):
    assert probes(["web1"], {"web1": variables}) == expected


def test_order_and_variable():
    hostvars = {name: {"mine": {**RESULT, "nonce": name * 8}} for name in ("web3", "web1", "web2")}
    assert [probe["host"] for probe in probes(["web1", "web3"], hostvars, variable="mine")] == ["web1", "web3"]
