# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Receivers of the inventory in, targets out."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.fleet.netconsole.plugins.filter.receiver_targets import receiver_targets


@pytest.mark.parametrize(
    ("variables", "remote_ip", "remote_port"),
    [
        pytest.param({}, "log1", 6666, id="name alone: the sender resolves it"),
        pytest.param({"ansible_host": "192.0.2.10"}, "192.0.2.10", 6666, id="the address that Ansible uses"),
        pytest.param(
            {"ansible_host": "127.0.0.1", "netconsole_receiver_address": "2001:db8::10"},
            "2001:db8::10",
            6666,
            id="an address of its own",
        ),
        pytest.param({"netconsole_receiver_port": "514"}, "log1", 514, id="a port of its own"),
    ],
)
def test_where_a_receiver_is_found(variables: dict[str, Any], remote_ip: str, remote_port: int) -> None:
    assert receiver_targets(["log1"], {"log1": variables}) == [
        {"name": "log1", "remote_ip": remote_ip, "remote_port": remote_port}
    ]


def test_every_receiver_in_the_order_given() -> None:
    targets = receiver_targets(["b", "a"], {"a": {}, "b": {}})
    assert [target["name"] for target in targets] == ["b", "a"]


@pytest.mark.parametrize(
    ("receivers", "hostvars", "words"),
    [
        pytest.param([], {}, "inventory group netconsole_receivers", id="no receiver"),
        pytest.param(["log9"], {"log1": {}}, "log9 is not in the inventory", id="unknown receiver"),
        pytest.param(["log1"], {"log1": {"netconsole_receiver_address": ["192.0.2.10"]}}, "one address", id="a list"),
    ],
)
def test_what_cannot_become_a_target(receivers: list[str], hostvars: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        receiver_targets(receivers, hostvars)
