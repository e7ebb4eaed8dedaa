# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which targets of an earlier declaration go with a new one, and what comes back when all go."""

from __future__ import annotations

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import Configfs, ConsoleLoglevel
from ansible_collections.fleet.netconsole.plugins.module_utils._declaration import declaration_from_options, document
from ansible_collections.fleet.netconsole.plugins.module_utils._reconcile import apply, plan
from ansible_collections.fleet.netconsole.plugins.module_utils._sender_module import (
    goodbye,
    state_before,
    without_former,
)
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_kernel import FakeKernel, Interface
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.random_declarations import DEVICES, NETWORK


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


TARGETS = [{"name": "log1", "remote_ip": "203.0.113.10"}]


class Sender:
    """The live half of what the module does on a host, and the declaration that it stores there."""

    def __init__(self, kernel):
        self.kernel, self.stored = kernel, {}
        kernel.interfaces = {device.name: Interface(device.addresses) for device in DEVICES}

    def reconcile(self, declaration):
        configfs, console = Configfs(files=self.kernel), ConsoleLoglevel(files=self.kernel)
        planned = plan(declaration, configfs=configfs, console=console, network=NETWORK)
        before = state_before(planned, self.stored, loaded=self.kernel.is_loaded)
        assert not apply(planned, configfs=configfs, console=console).failures
        return before

    def present(self, **options):
        options = {"targets": TARGETS, **options}
        self.stored = {"before": self.reconcile(declaration_from_options(options)), **document(options)}

    def absent(self):
        self.reconcile(goodbye({"targets": None}, self.stored))
        self.stored = {}


@pytest.mark.parametrize("capture", ["set", "warn"])
@pytest.mark.parametrize("timeout", [0, 10, -1])
@pytest.mark.parametrize("profile", ["6.12", "7.2"])
def test_the_host_is_as_before(profile, timeout, capture):
    sender = Sender(FakeKernel(profile))
    sender.kernel.panic = timeout
    before = sender.kernel.snapshot()
    sender.present(panic_capture=capture, console_loglevel=4)
    sender.present(panic_capture=capture, console_loglevel=5)
    assert sender.kernel.panic == (0 if (profile, capture) == ("7.2", "set") else timeout)
    sender.absent()
    assert sender.kernel.snapshot() == before


def test_after_a_reboot_it_is_still_known_what_was_before():
    sender = Sender(FakeKernel("7.2"))
    sender.kernel.panic = 10
    sender.present(panic_capture="set")
    sender.kernel.panic = 0  # the service has set it
    sender.present(panic_capture="warn")
    sender.absent()
    assert sender.kernel.panic == 10


def test_what_somebody_set_since_stays():
    sender = Sender(FakeKernel("7.2"))
    sender.kernel.panic = 10
    sender.present(panic_capture="set")
    sender.kernel.panic = 30
    sender.absent()
    assert sender.kernel.panic == 30
