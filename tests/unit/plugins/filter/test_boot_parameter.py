# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Targets in, the value of netconsole= out, and back."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.fleet.netconsole.plugins.filter.boot_parameter import boot_parameter
from ansible_collections.fleet.netconsole.plugins.filter.parse_boot_parameter import parse_boot_parameter

FULL = {
    "remote_ip": "2001:db8::10",
    "remote_port": 6667,
    "remote_mac": "52:54:00:00:00:02",
    "local_ip": "2001:db8::1",
    "local_port": 6660,
    "dev_name": "eth1",
    "extended": True,
    "release": True,
}


@pytest.mark.parametrize(
    ("targets", "value"),
    [
        pytest.param([{"remote_ip": "192.0.2.10"}], "@/,@192.0.2.10/", id="the kernel's defaults"),
        pytest.param([FULL], "+r6660@2001:db8::1/eth1,6667@2001:db8::10/52:54:00:00:00:02", id="everything"),
        pytest.param(
            [{"remote_ip": "192.0.2.10", "name": "log1", "remote_port": "514"}], "@/,514@192.0.2.10/", id="name"
        ),
        pytest.param(
            [{"remote_ip": "192.0.2.1"}, {"remote_ip": "192.0.2.2"}], "@/,@192.0.2.1/;@/,@192.0.2.2/", id="two"
        ),
        pytest.param(
            [{"remote_ip": "192.0.2.1", "dev_name": "52:54:00:00:00:01"}],
            "@/52:54:00:00:00:01,@192.0.2.1/",
            id="by MAC",
        ),
    ],
)
def test_written_and_read_back(targets: list[dict[str, Any]], value: str) -> None:
    assert boot_parameter(targets) == value
    assert boot_parameter(parse_boot_parameter(value)) == value


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        pytest.param([], "at least one target", id="none"),
        pytest.param("@/,@192.0.2.1/", "a list of targets", id="text"),
        pytest.param(["log1"], "has to be a dictionary", id="name alone"),
        pytest.param([{"dev_name": "eth0"}], "has no remote_ip", id="no receiver"),
        pytest.param([{"remote_ip": "log1"}], "it resolves no names", id="host name"),
        pytest.param([{"remote_ip": "192.0.2.300"}], "it resolves no names", id="no address"),
        pytest.param([{"remote_ip": "192.0.2.1", "remote_mac": "52:54"}], "a MAC address", id="short MAC"),
        pytest.param([{"remote_ip": "192.0.2.1", "remote_port": "x"}], "a UDP port", id="port in letters"),
        pytest.param([{"remote_ip": "192.0.2.1", "remote_port": 70000}], "65535", id="port too large"),
        pytest.param([{"remote_ip": "192.0.2.1", "extended": "yes"}], "true or false", id="switch as text"),
        pytest.param([{"remote_ip": "192.0.2.1", "userdata": {}}], "cannot say", id="user data"),
        pytest.param([{"remote_ip": "192.0.2.1", "local_ip": "::1"}], "of one family", id="two families"),
        pytest.param([{"remote_ip": "192.0.2.1", "release": True}], "release needs extended", id="release alone"),
        pytest.param(
            [{"remote_ip": "2001:db8::1", "remote_mac": "52:54:00:00:00:02"}] * 8, "may have 255", id="too long"
        ),
    ],
)
def test_what_the_kernel_would_not_take_is_refused(targets: Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        boot_parameter(targets)


@pytest.mark.parametrize(("value", "message"), [("", "is empty"), ("@/,@log1/", "remote address"), (7, "as text")])
def test_what_is_no_value_is_refused(value: Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        parse_boot_parameter(value)
