# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which targets of an earlier declaration go with a new one, and what comes back when all go."""

from __future__ import annotations

import contextlib
import errno
import json
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils import _node_service, _sender_module
from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import (
    Configfs,
    ConfigfsError,
    ConsoleLoglevel,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._declaration import declaration_from_options, document
from ansible_collections.fleet.netconsole.plugins.module_utils._panic import PanicCaptureError
from ansible_collections.fleet.netconsole.plugins.module_utils._reconcile import apply, plan
from ansible_collections.fleet.netconsole.plugins.module_utils._sender_module import (
    goodbye,
    state_before,
    without_former,
)
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_kernel import FakeKernel, Interface
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_node import FakeSystemd
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
        self.kernel, self.stored, self.before = kernel, {}, {}
        kernel.interfaces = {device.name: Interface(device.addresses) for device in DEVICES}

    def reconcile(self, declaration):
        configfs, console = Configfs(files=self.kernel), ConsoleLoglevel(files=self.kernel)
        planned = plan(declaration, configfs=configfs, console=console, network=NETWORK)
        before = state_before(planned, self.before, loaded=self.kernel.is_loaded)
        assert not apply(planned, configfs=configfs, console=console).failures
        return before

    def present(self, **options):
        options = {"targets": TARGETS, **options}
        self.before = self.reconcile(declaration_from_options(options))
        self.stored = document(options)

    def absent(self):
        self.reconcile(goodbye({"targets": None}, self.stored, self.before))
        self.stored, self.before = {}, {}


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


# -- killed at any step, of the live kernel and of what stays on the host


class Killed(KeyboardInterrupt):
    """The module is killed before its next step."""


class Steps:
    """Counts what changes something, of kernel and host together, and kills before one of them."""

    def __init__(self):
        self.done, self.death = 0, None

    def next(self):
        if self.done == self.death:
            raise Killed
        self.done += 1


class KilledKernel(FakeKernel):
    def __init__(self, profile, steps):
        super().__init__(profile, loaded=False)
        self.steps = steps

    def _changing(self, *call):
        self.steps.next()
        super()._changing(*call)


class KilledNode(FakeSystemd):
    def __init__(self, steps):
        super().__init__()
        self.counted = steps

    def _write(self):
        self.counted.next()


@pytest.fixture
def stage(monkeypatch):
    """A host of a kernel and of files, and the module on it: ``run(state)``."""
    steps = Steps()
    kernel, files = KilledKernel("7.2", steps), KilledNode(steps)
    kernel.interfaces = {device.name: Interface(device.addresses) for device in DEVICES}
    kernel.panic = 10

    def stored(path):
        content = files.content(path)
        return None if content is None else json.loads(content)

    monkeypatch.setattr(_sender_module, "Configfs", lambda: Configfs(files=kernel))
    monkeypatch.setattr(_sender_module, "ConsoleLoglevel", lambda: ConsoleLoglevel(files=kernel))
    monkeypatch.setattr(_sender_module, "host_network", lambda: NETWORK)
    monkeypatch.setattr(_sender_module, "locked", lambda folder: contextlib.nullcontext())
    monkeypatch.setattr(_sender_module, "read_json", stored)
    monkeypatch.setattr(_node_service, "archive", lambda sources: b"#!\n#\n")
    monkeypatch.setattr(_node_service, "digest", lambda sources: "1")

    def run(state, **given):
        options = {"state": state, "targets": TARGETS if state == "present" else None, "persist": True, "watch": True}
        options.update(early="none", heartbeat=0, console_loglevel=4, panic_capture="set")
        options.update(given)
        module: Any = SimpleNamespace(params=options, check_mode=False, warn=lambda warning: None)
        if state == "present" and options["persist"]:
            return _sender_module._persistent(module, files)
        return _sender_module._passing(module, files)

    return SimpleNamespace(run=run, kernel=kernel, files=files, steps=steps)


@pytest.mark.parametrize("death", range(32))
@pytest.mark.parametrize("state", ["present", "absent"])
def test_the_host_is_as_before_whenever_a_run_was_killed(stage, state, death):
    before = stage.kernel.snapshot()
    if state == "absent":
        stage.run("present")
    stage.steps.death = stage.steps.done + death
    try:
        stage.run(state)
    except Killed:
        pass
    else:
        assert death >= {"present": 20, "absent": 12}[state], "so many steps there are at least"
    stage.steps.death = None
    stage.run(state)
    if state == "present":
        assert (stage.kernel.panic, stage.kernel.printk[0], stage.kernel.sends("log1")) == (0, 4, True)
        stage.run("absent")
    assert stage.kernel.snapshot() == before
    assert (stage.files.entries, stage.files.running) == ({}, None)
    assert not stage.run("absent")["changed"]


def test_a_refused_declaration_that_does_not_persist_leaves_the_service_running(stage):
    stage.run("present")
    stage.kernel.panic = 10  # somebody has set it since
    running, before = stage.files.running, stage.kernel.snapshot()
    with pytest.raises(PanicCaptureError):
        stage.run("present", persist=False, panic_capture="require")
    assert (stage.files.running, stage.kernel.snapshot()) == (running, before)


def test_the_service_is_started_again_when_the_kernel_fails(stage, monkeypatch):
    stage.run("present")
    running, before = stage.files.running, stage.kernel.snapshot()

    def fail(path, text):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(stage.kernel, "write", fail)
        with pytest.raises(ConfigfsError):
            stage.run("present", persist=False, console_loglevel=3)
    assert (stage.files.running, stage.kernel.snapshot()) == (running, before)


@pytest.mark.parametrize("given", [{"state": "absent"}, {"state": "present", "persist": False}])
def test_the_receivers_are_told_that_no_mark_is_to_come_while_the_target_sends(stage, monkeypatch, given):
    stage.run("present", heartbeat=5)
    told = []
    monkeypatch.setattr(
        _sender_module, "write_mark", lambda minutes, paths: told.append((minutes, stage.kernel.sends("log1")))
    )
    stage.run(given["state"], **{name: value for name, value in given.items() if name != "state"})
    assert told == [(0, True)]


def test_what_was_before_is_known_although_a_run_that_does_not_persist_came_between(stage):
    before = stage.kernel.snapshot()
    stage.run("present")
    assert stage.run("present", persist=False)["changed"]
    assert stage.files.running is None
    assert not stage.run("present", persist=False)["changed"]
    stage.run("absent", targets=TARGETS)
    assert stage.kernel.snapshot() == before
    assert stage.files.entries == {}
