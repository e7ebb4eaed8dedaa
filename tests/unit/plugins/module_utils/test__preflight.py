# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From where netconsole cannot be set up: a network namespace of its own, a container."""

from __future__ import annotations

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._preflight import PreflightError, check_place
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_kernel import FakeKernel

OTHER = "net:[4026532200]"


@pytest.mark.parametrize(
    ("links", "texts", "ready", "words"),
    [
        pytest.param({}, {}, False, "", id="the host itself"),
        pytest.param({"/proc/1/ns/net": ""}, {}, False, "", id="not root: the first namespace cannot be seen"),
        pytest.param(
            {"/proc/self/ns/net": OTHER},
            {},
            True,
            "another network namespace .* outside of 'ip netns exec'",
            id="ip netns exec",
        ),
        pytest.param({}, {"/.dockerenv": ""}, False, "container \\(/.dockerenv\\)", id="Docker"),
        pytest.param({}, {"/run/.containerenv": ""}, False, "container \\(/run/.containerenv\\)", id="podman"),
        pytest.param({}, {"/run/systemd/container": "lxc\n"}, False, "machine that it runs on", id="with systemd"),
        pytest.param({}, {"/proc/1/environ": "A=b\0container=lxc\0"}, False, "container \\(container=lxc\\)", id="LXC"),
        pytest.param({}, {"/proc/1/environ": "A=b\0"}, False, "", id="an environment that says nothing"),
        pytest.param({}, {"/.dockerenv": ""}, True, "", id="a container that was given configfs"),
    ],
)
def test_place(links: dict[str, str], texts: dict[str, str], ready: bool, words: str) -> None:
    kernel = FakeKernel()
    kernel.links.update(links)
    kernel.texts.update(texts)
    if not words:
        check_place(kernel, container_will_do=ready)
        return
    with pytest.raises(PreflightError, match=words):
        check_place(kernel, container_will_do=ready)
