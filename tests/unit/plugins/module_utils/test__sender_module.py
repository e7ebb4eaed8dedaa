# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which targets of an earlier declaration go with a new one."""

from __future__ import annotations

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._declaration import declaration_from_options
from ansible_collections.fleet.netconsole.plugins.module_utils._sender_module import without_former


def declared(*names):
    return declaration_from_options({"targets": [{"name": name, "remote_ip": "192.0.2.10"} for name in names]})


@pytest.mark.parametrize(
    ("stored", "now", "going"),
    [
        pytest.param(None, ["log1"], [], id="first run"),
        pytest.param([], ["log1"], [], id="nothing was declared"),
        pytest.param(["log1"], ["log1"], [], id="the same"),
        pytest.param(["log1"], ["log1", "log2"], [], id="one more"),
        pytest.param(["log2", "log1"], ["log3"], ["log1", "log2"], id="another"),
        pytest.param(["log1"], [], ["log1"], id="none any more"),
    ],
)
def test_what_was_declared_and_is_not_any_more_goes(stored, now, going):
    document = None if stored is None else {"targets": [{"name": name} for name in stored]}
    declaration = without_former(declared(*now), document)
    assert [target.name for target in declaration.targets if target.present] == now
    assert [target.name for target in declaration.targets if not target.present] == going
