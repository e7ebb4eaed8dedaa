# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entry files as the engine writes them, read by GRUB's own blscfg: those of Fedora and RHEL, and those of ostree.

This GRUB is Debian's (2.14, the first release with blscfg); Fedora's has an older blscfg of its own.
"""

from __future__ import annotations

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders import grub_script
from ansible_collections.fleet.netconsole.plugins.module_utils._command_line import Parameter
from ansible_collections.fleet.netconsole.tests.boot_tools.conftest import Disk
from ansible_collections.fleet.netconsole.tests.boot_tools.emulated_grub import line_of_default_entry
from ansible_collections.fleet.netconsole.tests.boot_tools.engine import absent, apply, meaning, random_parameters

ENTRY = "/boot/loader/entries/0123456789abcdef0123456789abcdef-6.11.4-300.fc41.x86_64.conf"
TEXT = """title Fedora Linux (6.11.4-300.fc41.x86_64) 41 (Server Edition)
version 6.11.4-300.fc41.x86_64
linux /boot/vmlinuz-6.11.4
initrd /boot/initramfs-6.11.4.img
options OPTIONS
grub_users $grub_users
grub_arg --unrestricted
grub_class fedora
"""
OPTIONS = "root=UUID=0b1c ro rhgb quiet"
FILES = ("/etc/default", "/etc/kernel", "/boot/loader", "/boot/grub2")
READ = """set root=host
set tuned_params=skew_tick=1
load_env -f (host)/boot/grub2/grubenv
blscfg --path /boot/loader/entries
set default=0"""
PARAMETERS = (
    Parameter("netconsole", "+@/eth0,@192.0.2.1/;+@/eth0,@192.0.2.2/"),
    Parameter("dyndbg", "file drivers/net/* +p; module x +p"),
    Parameter("odd", "`id` (id) a#b|c&d<e>f{g}h[i]"),
    Parameter("console", "ttyS9,115200", unique=False),
    Parameter("bare-word"),
    *(one for one in random_parameters(60, without="\\'$") if "  " not in str(one)),
)
BLANKS = Parameter("blanks", "a  b")
"""Two blanks: arguments that are joined by one are told from it. kernel-install does not leave them."""


@pytest.fixture
def fedora(disk: Disk) -> Disk:
    """What GRUB needs; the entry is the test's."""
    disk.put("/boot/vmlinuz-6.11.4", "kernel")
    disk.put("/boot/initramfs-6.11.4.img", "initramfs")
    disk.put("/boot/grub2/grub.cfg", "blscfg\n")
    disk.run("grub-editenv", "/boot/grub2/grubenv", "create")
    disk.put("/etc/default/grub", 'GRUB_CMDLINE_LINUX="rhgb quiet"\nGRUB_ENABLE_BLSCFG=true\n')
    disk.put("/etc/kernel/cmdline", f"{OPTIONS}\n")
    return disk


def wanted_line(*more: Parameter) -> str:
    """grub-emu joins the arguments without quotes."""
    return " ".join([*OPTIONS.split(), *(str(one) for one in (*PARAMETERS, *more))])


def test_entries_with_a_line_of_their_own(fedora: Disk) -> None:
    fedora.put(ENTRY, TEXT.replace("OPTIONS", f"{OPTIONS} $tuned_params"))
    before = fedora.files(*FILES)
    assert line_of_default_entry(fedora, READ) == f"{OPTIONS} skew_tick=1"
    apply(fedora, "grub_bls", PARAMETERS)
    assert line_of_default_entry(fedora, READ) == wanted_line().replace(OPTIONS, f"{OPTIONS} skew_tick=1")
    assert not apply(fedora, "grub_bls", PARAMETERS).changed
    assert apply(fedora, "grub_bls", absent(PARAMETERS)).changed
    assert fedora.files(*FILES) == before


def test_entries_with_the_line_of_grubenv(fedora: Disk) -> None:
    """RHEL 8: the variable is written by the engine and read by grub-editenv and GRUB."""
    fedora.put(ENTRY, TEXT.replace("OPTIONS", "$kernelopts $tuned_params"))
    fedora.run("grub-editenv", "/boot/grub2/grubenv", "set", f"kernelopts={OPTIONS}", "saved_entry=x")
    (fedora.root / "etc/kernel/cmdline").unlink()
    before = fedora.files(*FILES)
    parameters = [*PARAMETERS[:5], BLANKS]
    done = apply(fedora, "grub_bls", parameters)
    line = done.after[0].line
    assert meaning(line)[4:] == [(one.name, one.value) for one in parameters]
    listed = fedora.run("grub-editenv", "/boot/grub2/grubenv", "list").splitlines()
    (kernelopts,) = [row.split("=", 1)[1] for row in listed if row.startswith("kernelopts=")]
    assert grub_script.join(grub_script.words(kernelopts)) == line and "saved_entry=x" in listed
    assert line_of_default_entry(fedora, READ) == " ".join([*grub_script.words(kernelopts), "skew_tick=1"])
    assert apply(fedora, "grub_bls", absent(parameters)).changed
    assert fedora.files(*FILES) == before


def test_words_for_rpm_ostree_and_bootc_pass_through_grub(fedora: Disk) -> None:
    """Both put each word as it is into an entry file."""
    parameters = (*PARAMETERS, BLANKS)
    words = [grub_script.quote_for_kernel(one) for one in parameters]
    assert meaning(" ".join(words)) == [(one.name, one.value) for one in parameters]
    fedora.put(ENTRY, TEXT.replace("OPTIONS", " ".join([OPTIONS, *words])))
    assert line_of_default_entry(fedora, READ) == wanted_line(BLANKS)


def test_grub_cuts_the_line_at_a_semicolon_that_is_not_quoted(fedora: Disk) -> None:
    """Why they are quoted; also that this test would see a line that is cut."""
    fedora.put(ENTRY, TEXT.replace("OPTIONS", f"{OPTIONS} netconsole=a;b last=1"))
    assert line_of_default_entry(fedora, READ) == f"{OPTIONS} netconsole=a"
    assert grub_script.is_cut("netconsole=a;b")
