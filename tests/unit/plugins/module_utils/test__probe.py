# What a probe returns, from a model of the kernel's configfs; and what is written of it.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._arrival_facts import TargetFacts
from ansible_collections.fleet.netconsole.plugins.module_utils._arrival_store import _MARK
from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import Configfs
from ansible_collections.fleet.netconsole.plugins.module_utils._kmsg import Paths
from ansible_collections.fleet.netconsole.plugins.module_utils._probe import ProbeError, new_nonce, probe
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_kernel import FakeKernel

NONCE = "0123456789abcdef" * 2


class FakeFacts(TargetFacts):
    def of(self, targets):
        return [{"name": target.name, "enabled": target.enabled} for target in targets]


class Host:
    def __init__(self, path):
        self.kmsg = path / "kmsg"
        self.kmsg.touch()
        (path / "printk").write_text("4 4 1 7\n")
        (path / "oops_only").write_text("N\n")
        none = str(path / "none")
        self.paths = Paths(
            kmsg=str(self.kmsg),
            printk=str(path / "printk"),
            printk_devkmsg=none,
            ignore_loglevel=none,
            oops_only=str(path / "oops_only"),
        )
        self.kernel = FakeKernel()

    def probe(self, **options):
        configfs = Configfs(files=self.kernel)
        return probe(configfs=configfs, facts=FakeFacts(), paths=self.paths, clock=lambda: 1000.5, **options)


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_probe(host):
    host.kernel.foreign("log1", remote_ip="192.0.2.10", enabled=True)
    host.kernel.foreign("other")
    assert host.probe(nonce=NONCE) == {
        "nonce": NONCE,
        "written": True,
        "time": 1000.5,
        "level": 3,
        "level_name": "err",
        "console_loglevel": 4,
        "ignore_loglevel": False,
        "oops_only": False,
        "loaded": True,
        "targets": [{"name": "log1", "enabled": True}, {"name": "other", "enabled": False}],
    }
    assert host.kmsg.read_text() == f"<11>fleet.netconsole probe nonce={NONCE}\n"
    assert host.kernel.calls == []  # nothing in configfs was changed


def test_the_receiver_finds_what_is_written(host):
    nonce = host.probe()["nonce"]
    match = _MARK.search(host.kmsg.read_bytes())
    assert match is not None and match.group(1).decode() == nonce


@pytest.mark.parametrize(("level", "number"), [("auto", 3), ("emerg", 0), ("notice", 5), ("debug", 7)], ids=str)
def test_level(host, level, number):
    assert host.probe(level=level)["level"] == number
    assert host.kmsg.read_text().startswith(f"<{8 + number}>")


def test_check_mode_writes_nothing(host):
    result = host.probe(dry_run=True)
    assert (result["written"], result["time"], len(result["nonce"])) == (False, None, 32)
    assert host.kmsg.read_text() == ""


def test_a_host_without_netconsole(host):
    host.kernel.is_loaded = False
    result = host.probe()
    assert (result["loaded"], result["targets"], result["written"]) == (False, [], True)


@pytest.mark.parametrize("nonce", ["", "0" * 31, "0" * 33, "A" * 32, "0" * 31 + "\n", "g" * 32])
def test_no_nonce(host, nonce):
    with pytest.raises(ProbeError, match="is no nonce: write 32 hexadecimal digits"):
        host.probe(nonce=nonce)
    assert host.kmsg.read_text() == ""


def test_new_nonce():
    nonces = {new_nonce() for _number in range(100)}
    assert len(nonces) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", nonce) for nonce in nonces)
