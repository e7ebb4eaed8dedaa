# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hook that Debian's package raspi-firmware runs with each kernel writes cmdline.txt as the engine foretold.

The script is the package's own. It does nothing where dpkg says that the machine is no ARM: dpkg is a stand-in here.
"""

from __future__ import annotations

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._command_line import Parameter
from ansible_collections.fleet.netconsole.tests.boot_tools.conftest import Disk
from ansible_collections.fleet.netconsole.tests.boot_tools.engine import absent, apply, foretell, meaning

HOOK = "/etc/kernel/postinst.d/z50-raspi-firmware"
CMDLINE = "/boot/firmware/cmdline.txt"
EXTRA = "/etc/default/raspi-extra-cmdline"
FILES = ("/boot/firmware/cmdline.txt", "/etc/default")
PARAMETERS = (
    Parameter("netconsole", "+@/eth0,@192.0.2.1/;+@/eth0,@192.0.2.2/"),
    Parameter("dyndbg", "file drivers/net/* +p; module x +p"),
    Parameter("odd", "it's `id` $(id) $HOME \\n \\\\ ${x}"),
    Parameter("console", "ttyS9,115200", unique=False),
    Parameter("bare-word"),
)


@pytest.fixture
def pi(disk: Disk) -> Disk:
    """A machine with the package and one kernel."""
    disk.put("/usr/local/bin/dpkg", '#!/bin/sh\n[ "$*" = --print-architecture ] && echo arm64\n', mode=0o755)
    install_kernel(disk, "6.12.1")
    return disk


def install_kernel(disk: Disk, version: str) -> None:
    """What of a kernel package's installation the hook sees."""
    for name in ("vmlinuz", "initrd.img"):
        disk.put(f"/boot/{name}-{version}", version)
    disk.run("sh", HOOK, environment=[f"DEB_MAINT_PARAMS=configure {version}"])
    assert f"kernel=vmlinuz-{version}\n" in disk.text("/boot/firmware/config.txt")


def test_a_kernel_that_is_installed_later_has_the_parameters(pi: Disk) -> None:
    before = pi.files(*FILES)
    generated = meaning(pi.text(CMDLINE))
    foretold = foretell(pi, "raspberry-pi", PARAMETERS)
    assert foretold.changed and pi.files(*FILES) == before
    apply(pi, "raspberry-pi", PARAMETERS)
    wanted = [*generated, *((one.name, one.value) for one in PARAMETERS)]
    assert meaning(pi.text(CMDLINE)) == wanted

    install_kernel(pi, "6.12.2")
    assert pi.text(CMDLINE).count("\n") == 1
    assert meaning(pi.text(CMDLINE)) == wanted == meaning(foretold.after[0].line)
    after = pi.files(*FILES)
    assert not apply(pi, "raspberry-pi", PARAMETERS).changed
    assert pi.files(*FILES) == after

    assert apply(pi, "raspberry-pi", absent(PARAMETERS)).changed
    assert meaning(pi.text(CMDLINE)) == generated
    install_kernel(pi, "6.12.3")
    assert pi.files(*FILES) == before


@pytest.mark.parametrize("extra", [None, "quiet panic=10\n", "quiet panic=10"], ids=["none", "a line", "no line end"])
def test_removal_restores_every_byte(pi: Disk, extra: str | None) -> None:
    if extra is not None:
        pi.put(EXTRA, extra)
        install_kernel(pi, "6.12.2")
    before = pi.files(*FILES)
    assert apply(pi, "raspberry-pi", PARAMETERS).changed
    assert apply(pi, "raspberry-pi", absent(PARAMETERS)).changed
    assert pi.files(*FILES) == before


def test_what_the_package_writes_itself_is_said_to_come_back(pi: Disk) -> None:
    """cma=64M stands in the script: the later word wins in the kernel, and the next run takes the other one away."""
    parameters = [Parameter("cma", "128M")]
    assert "adds cma=64M again" in " ".join(apply(pi, "raspberry-pi", parameters).notes)
    install_kernel(pi, "6.12.2")
    assert [value for name, value in meaning(pi.text(CMDLINE)) if name == "cma"] == ["64M", "128M"]
    assert apply(pi, "raspberry-pi", parameters).changed
    assert [value for name, value in meaning(pi.text(CMDLINE)) if name == "cma"] == ["128M"]
    assert not apply(pi, "raspberry-pi", parameters).changed
