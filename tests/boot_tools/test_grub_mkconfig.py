# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SUSE's settings and GRUB's own generator: Debian's build of grub-mkconfig, under the name and in the folder of SUSE.

What it generates is checked by grub-script-check, and read by GRUB as a program.
"""

from __future__ import annotations

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders import grub_script
from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.interface import BootLoaderError
from ansible_collections.fleet.netconsole.plugins.module_utils._command_line import Parameter, parse, satisfied
from ansible_collections.fleet.netconsole.tests.boot_tools.conftest import Disk
from ansible_collections.fleet.netconsole.tests.boot_tools.emulated_grub import line_of_default_entry
from ansible_collections.fleet.netconsole.tests.boot_tools.engine import (
    absent,
    apply,
    foretell,
    meaning,
    random_parameters,
)

CONFIGURATION = "/boot/grub2/grub.cfg"
SETTINGS = """GRUB_DISTRIBUTOR=SUSE
GRUB_TIMEOUT=0
GRUB_TERMINAL=console
GRUB_CMDLINE_LINUX_DEFAULT="splash=silent quiet security=apparmor"
GRUB_CMDLINE_LINUX=""
GRUB_DISABLE_OS_PROBER="true"
"""
FILES = ("/etc/default", "/boot/grub2")
PARAMETERS = (
    Parameter("netconsole", "+@/eth0,@192.0.2.1/;+@/eth0,@192.0.2.2/"),
    Parameter("dyndbg", "file drivers/net/* +p; module x +p"),
    Parameter("odd", "`id` $(id) $HOME a#b|c&d<e>f{g}h[i]"),
    Parameter("console", "ttyS9,115200", unique=False),
    Parameter("bare-word"),
    Parameter("blanks", "a  b"),  # arguments that are joined by one blank are told from one with two
)


@pytest.fixture
def suse(disk: Disk) -> Disk:
    """Two kernels and a generated grub.cfg."""
    (disk.root / "usr/sbin/grub2-mkconfig").symlink_to("grub-mkconfig")
    (disk.root / "etc/grub.d/05_debian_theme").unlink()
    # For a loop device, grub-mkconfig names the file behind it, which is not on the disk.
    disk.put("/usr/local/sbin/losetup", '#!/bin/sh\necho "$1: ($1)"\n', mode=0o755)
    disk.put("/etc/default/grub", SETTINGS)
    for version in ("6.4.1", "6.4.2"):
        install_kernel(disk, version)
    (disk.root / "boot/grub2").mkdir()
    disk.run("grub2-mkconfig", "-o", CONFIGURATION)
    return disk


def install_kernel(disk: Disk, version: str) -> None:
    """Files that grub-mkconfig takes for a kernel."""
    disk.put(f"/boot/vmlinuz-{version}", version)
    disk.put(f"/boot/initrd-{version}", version)


def test_every_entry_is_generated_as_foretold(suse: Disk) -> None:
    before = suse.files(*FILES)
    foretold = foretell(suse, "grub_suse", PARAMETERS)
    assert foretold.changed and suse.files(*FILES) == before
    assert len(foretold.after) == 6  # the newest one twice, two recovery entries, and later kernels
    done = apply(suse, "grub_suse", PARAMETERS)
    assert done.actions == ("write /etc/default/grub", f"run /usr/sbin/grub2-mkconfig -o {CONFIGURATION}")
    suse.run("grub-script-check", CONFIGURATION)
    for entry in done.after:
        assert satisfied(parse(entry.line), PARAMETERS), entry
    assert not apply(suse, "grub_suse", PARAMETERS).changed

    install_kernel(suse, "6.4.3")
    suse.run("grub2-mkconfig", "-o", CONFIGURATION)
    later = apply(suse, "grub_suse", PARAMETERS)
    assert not later.changed and len(later.after) == 8
    for name in ("vmlinuz-6.4.3", "initrd-6.4.3"):
        (suse.root / "boot" / name).unlink()
    suse.run("grub2-mkconfig", "-o", CONFIGURATION)

    assert apply(suse, "grub_suse", absent(PARAMETERS)).changed
    assert suse.files(*FILES) == before


def test_grub_itself_starts_the_first_entry_with_them(suse: Disk) -> None:
    parameters = [*PARAMETERS, *random_parameters(60, without="\\'")]
    done = apply(suse, "grub_suse", parameters)
    newest = done.after[0].line
    assert all(pair in meaning(newest) for pair in ((one.name, one.value) for one in parameters))
    # grub-emu joins the arguments without quotes.
    assert line_of_default_entry(suse, f"configfile {CONFIGURATION}") == " ".join(
        grub_script.words(_linux_row(suse))[2:]
    )


def _linux_row(disk: Disk) -> str:
    return next(row.strip() for row in disk.text(CONFIGURATION).splitlines() if row.strip().startswith("linux\t"))


def test_a_generator_that_fails_leaves_everything_as_it_was(suse: Disk) -> None:
    suse.put("/etc/grub.d/99_broken", "#!/bin/sh\necho 'menuentry {'\n", mode=0o755)
    before = suse.files(*FILES)
    with pytest.raises(BootLoaderError, match=r"(?is)syntax error.*everything is as it was before"):
        apply(suse, "grub_suse", PARAMETERS)
    assert suse.files(*FILES) == before
