# Whether a panic's messages reach the network: /proc/consoles as kernels print it, and what panic() does before.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._panic_capture import (
    Console,
    panic_capture,
    parse_consoles,
    uses_nbcon,
)

# fs/proc/consoles.c: name, -WU for its operations, (flags), device numbers where it has some
LEGACY = """\
tty0                 -WU (EC   p  )    4:7
ttyS0                -W- (E    p a)    4:64
netcon_ext0          -W- (E       )
"""
NBCON = """\
ttyS0                -W- (EC N p a)    4:64
netcon0              -W- (E  N    )
"""


def test_consoles_are_read() -> None:
    assert parse_consoles(LEGACY) == (
        Console("tty0", "ECp", "4:7"),
        Console("ttyS0", "Epa", "4:64"),
        Console("netcon_ext0", "E", ""),
    )


@pytest.mark.parametrize("text", ["", "\n", "garbage", "name (E)"])
def test_what_is_no_console_is_passed_over(text: str) -> None:
    assert parse_consoles(text) == ()


@pytest.mark.parametrize(
    ("release", "text", "nbcon"),
    [
        pytest.param("6.12.107+deb13-amd64", LEGACY, False, id="a legacy console"),
        pytest.param("7.2.13-amd64", NBCON, True, id="an nbcon console"),
        pytest.param("6.12.107-amd64", NBCON, True, id="backported: the flag counts, not the version"),
        pytest.param("7.2.13-amd64", LEGACY, False, id="reverted: the flag counts, not the version"),
        pytest.param("7.2.13-amd64", "", True, id="not registered yet: the version counts"),
        pytest.param("7.0.0-44-generic", "", True, id="since 7.0"),
        pytest.param("6.17.0-41-generic", "", False, id="before 7.0"),
        pytest.param("10.0.1", "", True, id="two digits"),
        pytest.param("6.12.107-amd64", "ttyS0  -W- (EC N p a)  4:64", False, id="another console's flag"),
        pytest.param("unknown", "", False, id="a release without a number"),
    ],
)
def test_kind_of_console(release: str, text: str, nbcon: bool) -> None:
    assert uses_nbcon(kernel_release=release, consoles=parse_consoles(text)) is nbcon


@pytest.mark.parametrize(
    ("nbcon", "timeout", "crash_kernel", "words"),
    [
        pytest.param(False, 10, True, (), id="a legacy console sends at once"),
        pytest.param(True, 0, False, (), id="nothing comes before it"),
        pytest.param(True, 10, False, ("kernel.panic is 10",), id="a reboot comes before it"),
        pytest.param(True, -1, False, ("kernel.panic is -1",), id="a reboot at once"),
        pytest.param(True, 0, True, ("a crash kernel is loaded",), id="a crash kernel comes before it"),
        pytest.param(True, 5, True, ("a crash kernel is loaded", "kernel.panic is 5"), id="both"),
    ],
)
def test_panic_capture(nbcon: bool, timeout: int, crash_kernel: bool, words: tuple[str, ...]) -> None:
    found = panic_capture(nbcon=nbcon, panic_timeout=timeout, crash_kernel_loaded=crash_kernel)
    assert found.works is (not words)
    assert bool(found.reason) is bool(words)
    for word in ("a crash kernel is loaded", f"kernel.panic is {timeout}"):
        assert (word in found.reason) is (word in words)
