# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""zipl of s390x, run by qemu, reads what the engine wrote and writes a boot record on a disk, where the line is read.

The kernel is a stand-in of zeroes with the two fields that zipl looks at (s390-tools, include/boot/linux_layout.h).
"""

from __future__ import annotations

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.interface import BootLoaderError
from ansible_collections.fleet.netconsole.plugins.module_utils._command_line import Parameter
from ansible_collections.fleet.netconsole.tests.boot_tools.conftest import Disk
from ansible_collections.fleet.netconsole.tests.boot_tools.engine import absent, apply, meaning, random_parameters

ZIPL = """#!/bin/sh
exec qemu-s390x -L /usr/s390x-linux-gnu /usr/sbin/zipl.s390x "$@"
"""
CONFIGURATION = """# the test's
[defaultboot]
defaultauto
prompt = 0
target = /boot
targetbase = DEVICE
targettype = SCSI
targetblocksize = 512
targetoffset = 0
"""
SECTION = """[linux]
target = /boot
targetbase = DEVICE
targettype = SCSI
targetblocksize = 512
targetoffset = 0
image = /boot/vmlinuz
\tparameters = VALUE
"""
LINE = "root=/dev/dasda1 ro"
ENTRY = f"title Linux 1\nversion 1\nlinux /boot/vmlinuz\noptions {LINE}\n"
ENTRY_FILE = "/boot/loader/entries/1.conf"
FILES = ("/etc/zipl.conf", "/boot/loader")
KERNEL_SIZE, MAGIC_AT, LONGEST_LINE_AT = 0x20000, 0x10008, 0x10430
PARAMETERS = (
    Parameter("netconsole", "+@/eth0,@192.0.2.1/;+@/eth0,@192.0.2.2/"),
    Parameter("dyndbg", "file drivers/net/* +p; module x +p"),
    Parameter("odd", "`id` $(id) $HOME \\n \\\\ #x"),
    Parameter("console", "ttyS9,115200", unique=False),
    Parameter("bare-word"),
)
QUOTED = {"bare": LINE, "double quotes": f'"{LINE}"', "single quotes": f"'{LINE}'"}


def kernel(*, longest_line: int) -> bytes:
    """A file that zipl takes for a kernel of s390x."""
    content = bytearray(KERNEL_SIZE)
    content[MAGIC_AT : MAGIC_AT + 6] = b"S390EP"
    content[LONGEST_LINE_AT : LONGEST_LINE_AT + 8] = longest_line.to_bytes(8, "big")
    return bytes(content)


@pytest.fixture
def mainframe(disk: Disk) -> Disk:
    """A disk with zipl, as far as it is the same for sections and entries."""
    (disk.root / "usr/sbin/zipl").rename(disk.root / "usr/sbin/zipl.s390x")
    disk.put("/usr/sbin/zipl", ZIPL, mode=0o755)
    disk.put("/boot/vmlinuz", kernel(longest_line=4096))
    return disk


def with_section(disk: Disk, value: str) -> None:
    """A boot record that was made from a section with parameters of that text."""
    disk.put("/etc/zipl.conf", (CONFIGURATION + SECTION).replace("DEVICE", disk.device).replace("VALUE", value))
    disk.run("zipl")


def with_entry(disk: Disk) -> None:
    """A boot record that was made from an entry file."""
    disk.put("/etc/zipl.conf", CONFIGURATION.replace("DEVICE", disk.device))
    disk.put(ENTRY_FILE, ENTRY)
    disk.run("zipl")


def line_of_record(disk: Disk) -> str:
    """The kernel's line in what zipl wrote: all from the root file system's name on to the next NUL."""
    content = (disk.root / "boot/bootmap").read_bytes()
    at = content.index(LINE.split()[0].encode())
    assert content.count(LINE.split()[0].encode()) == 1
    return content[at : content.index(b"\0", at)].decode("ascii")


@pytest.mark.parametrize("further", [(), (Parameter("both", "it's"),)], ids=["double quotes", "both quotes"])
@pytest.mark.parametrize("value", QUOTED.values(), ids=QUOTED)
def test_the_boot_record_has_what_a_section_was_given(mainframe: Disk, value: str, further: tuple[Parameter]) -> None:
    parameters = (*PARAMETERS, *further)
    with_section(mainframe, value)
    assert line_of_record(mainframe) == LINE
    wanted = [("root", "/dev/dasda1"), ("ro", None), *((one.name, one.value) for one in parameters)]
    before = mainframe.files(*FILES)

    done = apply(mainframe, "zipl", parameters)
    assert done.actions == ("write /etc/zipl.conf", "run /usr/sbin/zipl")
    assert line_of_record(mainframe) == done.after[0].line
    assert meaning(line_of_record(mainframe)) == wanted
    shown = mainframe.run("zipl", "--dry-run", "--verbose")
    assert f"kernel parmline...: '{done.after[0].line}'" in shown
    assert not apply(mainframe, "zipl", parameters).changed

    assert apply(mainframe, "zipl", absent(parameters)).changed
    assert line_of_record(mainframe) == LINE
    if value == LINE or (value == f'"{LINE}"' and not further):
        assert mainframe.files(*FILES) == before


def test_the_boot_record_has_what_an_entry_file_was_given(mainframe: Disk) -> None:
    with_entry(mainframe)
    assert line_of_record(mainframe) == LINE
    before = mainframe.files(*FILES)
    parameters = [*PARAMETERS, Parameter("both", "it's")]
    done = apply(mainframe, "zipl", parameters)
    assert [entry.id for entry in done.after] == [ENTRY_FILE]
    assert line_of_record(mainframe) == done.after[0].line
    assert meaning(line_of_record(mainframe))[2:] == [(one.name, one.value) for one in parameters]
    assert apply(mainframe, "zipl", absent(parameters)).changed
    assert line_of_record(mainframe) == LINE
    assert mainframe.files(*FILES) == before


def test_random_values_reach_the_boot_record(mainframe: Disk) -> None:
    with_section(mainframe, QUOTED["double quotes"])
    parameters = [one for one in random_parameters(70, without="") if "${" not in str(one)]
    assert len(parameters) > 60
    apply(mainframe, "zipl", parameters)
    assert meaning(line_of_record(mainframe))[2:] == [(one.name, one.value) for one in parameters]


def test_a_line_that_zipl_refuses_leaves_everything_as_it_was(mainframe: Disk) -> None:
    """zipl takes 896 characters where the kernel names no size."""
    mainframe.put("/boot/vmlinuz", kernel(longest_line=0))
    with_section(mainframe, QUOTED["double quotes"])
    before = mainframe.files("/etc/zipl.conf")
    with pytest.raises(BootLoaderError, match=r"(?s)exceeds the allowed.*Everything is as it was before"):
        apply(mainframe, "zipl", [Parameter("long", "x" * 1000)])
    assert mainframe.files("/etc/zipl.conf") == before
    assert line_of_record(mainframe) == LINE


@pytest.mark.parametrize("value", ['"a b"=1 ro', "\"ro' b", "'ro"])
def test_what_zipl_cannot_read_is_not_read_by_the_engine(mainframe: Disk, value: str) -> None:
    with_section(mainframe, LINE)
    mainframe.put(
        "/etc/zipl.conf", mainframe.text("/etc/zipl.conf").replace(f"parameters = {LINE}", f"parameters = {value}")
    )
    with pytest.raises(AssertionError, match=r"Line 17: (unterminated quotes|unexpected characters)"):
        mainframe.run("zipl")
    with pytest.raises(BootLoaderError, match="a value that zipl does not take"):
        apply(mainframe, "zipl", PARAMETERS)
