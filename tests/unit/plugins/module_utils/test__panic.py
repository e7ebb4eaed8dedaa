# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does a panic reach the network: consoles, kernel.panic and crash kernel of old and new kernels."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import ConfigfsError
from ansible_collections.fleet.netconsole.plugins.module_utils._panic import (
    CONSOLES,
    CRASH_KERNEL,
    PANIC_TIMEOUT,
    prints_late,
    read_panic_capture,
    write_panic_timeout,
)
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_kernel import FakeKernel


@pytest.mark.parametrize(
    ("profile", "timeout", "crash_kernel", "works", "words"),
    [
        pytest.param("6.12", 10, "1", True, "while it prints them", id="old kernel, reboot and crash kernel"),
        pytest.param("7.2", 0, None, True, "kernel.panic is 0 and no crash kernel", id="new kernel that stays"),
        pytest.param("7.2", 0, "0", True, "no crash kernel is loaded", id="new kernel that could have a crash kernel"),
        pytest.param("7.2", 10, "0", False, "kernel.panic is 10, so it reboots before", id="new kernel, reboots"),
        pytest.param("7.2", -1, None, False, "kernel.panic is -1", id="new kernel, reboots at once"),
        pytest.param("7.2", 0, "1", False, "a crash kernel (kdump) is loaded", id="new kernel, crash kernel"),
    ],
)
def test_panic_capture(profile: str, timeout: int, crash_kernel: str | None, works: bool, words: str) -> None:
    kernel = FakeKernel(profile)
    kernel.panic = timeout
    if crash_kernel is not None:
        kernel.texts[CRASH_KERNEL] = f"{crash_kernel}\n"
    found = read_panic_capture(kernel)
    assert (found.works, found.timeout, found.crash_kernel) == (works, timeout, crash_kernel == "1")
    assert words in found.reason and found.reason.endswith(".")


CONSOLES_OF = {
    # /proc/consoles as read on the Debian kernels of these versions
    "6.12": "ttyS0                -W- (EC  p a)    4:64\nnetcon0              -W- (E   p a)\n",
    "7.2": "ttyS0                -W- (EC  p a)    4:64\nnetcon_ext0          -W- (E  Np  )\n",
    "no netconsole yet": "tty0                 -WU (EC N p  )    4:7\n",
}


@pytest.mark.parametrize(
    ("consoles", "release", "late"),
    [
        pytest.param(CONSOLES_OF["6.12"], "6.12.107-amd64", False, id="6.12"),
        pytest.param(CONSOLES_OF["7.2"], "7.2.12+deb14-amd64", True, id="7.2"),
        pytest.param(CONSOLES_OF["7.2"], "6.19.1-backported", True, id="the console tells, not the release"),
        pytest.param(CONSOLES_OF["6.12"], "7.0.0-fixed", False, id="the console tells, not the release, the other way"),
        pytest.param(CONSOLES_OF["no netconsole yet"], "6.19.1", False, id="no console yet, old"),
        pytest.param(CONSOLES_OF["no netconsole yet"], "7.0.0-44-generic", True, id="no console yet, new"),
        pytest.param("", "unreadable", True, id="nothing is known: better a warning too many"),
    ],
)
def test_late_printing(monkeypatch: pytest.MonkeyPatch, consoles: str, release: str, late: bool) -> None:
    kernel = FakeKernel()
    monkeypatch.setattr(kernel, "release", lambda: release)
    monkeypatch.setattr(kernel, "read", {CONSOLES: consoles}.__getitem__)
    assert prints_late(kernel) is late


def test_kernel_panic_is_written_and_read_back() -> None:
    kernel = FakeKernel("7.2")
    kernel.panic = 10
    write_panic_timeout(kernel, 0)
    assert kernel.calls == [("write", PANIC_TIMEOUT, "0\n")]
    assert kernel.panic == 0


def test_a_kernel_panic_that_does_not_stay_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = FakeKernel("7.2")
    kernel.panic = 10
    monkeypatch.setattr(kernel, "write", lambda path, text: None)
    with pytest.raises(ConfigfsError, match=r"kernel\.panic is not 0 although"):
        write_panic_timeout(kernel, 0)


def test_without_root_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, text: str) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    kernel = FakeKernel("7.2")
    monkeypatch.setattr(kernel, "write", refuse)
    with pytest.raises(ConfigfsError, match=r"kernel\.panic cannot be set to 0: Permission denied: this needs root"):
        write_panic_timeout(kernel, 0)
