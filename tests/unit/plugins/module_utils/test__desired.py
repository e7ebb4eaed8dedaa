# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host, many targets: what its network is asked, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._declaration import DeclaredTarget
from ansible_collections.fleet.netconsole.plugins.module_utils._desired import foreseen, host_network, resolve
from ansible_collections.fleet.netconsole.plugins.module_utils._next_hop import NextHopError
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_host import FakeHost, make_sysfs
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.test__reconcile import NETWORK


def test_the_device_of_many_targets_is_looked_at_once(tmp_path: Path) -> None:
    host = FakeHost(
        ["route same subnet", "neigh after use", "link eth0", "route gateway", "neigh gateway"],
        sysfs=make_sysfs(tmp_path, ["lo", "eth0"]),
    )
    network = host_network(host.system)
    for remote_ip in ("192.0.2.10", "203.0.113.10"):
        desired, warnings = resolve(DeclaredTarget(name="log1", remote_ip=remote_ip), network)
        assert (desired.attributes["dev_name"], warnings) == ("eth0", [])
    host.finish()


def test_a_dead_gateway_is_waited_for_once(tmp_path: Path) -> None:
    failed = (
        ["-json", "-4", "neigh", "show", "to", "192.0.2.1", "dev", "eth0"],
        '[{"dst":"192.0.2.1","state":["FAILED"]}]',
    )
    host = FakeHost(
        [
            "route gateway",
            "neigh empty 192.0.2.1",
            "link eth0",
            "provoke 192.0.2.1 eth0",
            *["neigh empty 192.0.2.1"] * 2,
            *[failed] * 3,
        ],
        sysfs=make_sysfs(tmp_path, ["lo", "eth0"]),
    )
    network = host_network(host.system)
    for port in (6666, 6667):
        with pytest.raises(NextHopError, match=r"gateway 192\.0\.2\.1 .* does not answer"):
            resolve(DeclaredTarget(name="log1", remote_ip="203.0.113.10", remote_port=port), network)
    host.finish()
    assert len(host.slept) == 2


def test_a_device_that_was_brought_up_is_looked_at_again(tmp_path: Path) -> None:
    up = (["link", "set", "dev", "eth1", "up"], "")
    host = FakeHost(["link eth1 up", up, "link eth1 up", "link eth1 up"], sysfs=make_sysfs(tmp_path, ["lo", "eth1"]))
    network = host_network(host.system)
    network.device_warnings("eth1")
    network.bring_up("eth1")
    network.device_warnings("eth1")
    host.finish()


def test_what_is_foreseen_of_a_target_is_what_was_given() -> None:
    def no_name(text: str, family: int | None = None) -> str:
        raise NextHopError(f"the name {text} has no address on this host")

    declared = DeclaredTarget(name="log1", remote_ip="log1", dev_name="eth1", remote_mac="broadcast", release=True)
    assert foreseen(declared, type(NETWORK)(remote_ip=no_name)).attributes == {
        "dev_name": "eth1",
        "remote_mac": "ff:ff:ff:ff:ff:ff",
        "remote_port": 6666,
        "local_port": 6665,
        "extended": True,
        "release": True,
        "enabled": True,
    }
