# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GRUB itself as a program (grub-emu): it reads a configuration, starts the default entry and hands its line to kexec.

kexec is a stand-in that writes down what it is given: the arguments of GRUB's linux command, joined by blanks.
"""

from __future__ import annotations

from ansible_collections.fleet.netconsole.tests.boot_tools.conftest import Disk

FOLDER = "/opt/grub-emu"
SAID = "/kexec.said"
KEXEC = f"""#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done >{SAID}
kill "$PPID"
"""
BEGINNING = "--command-line="


def line_of_default_entry(disk: Disk, configuration: str) -> str:
    """The kernel's line of the entry that GRUB starts by this configuration."""
    disk.put("/usr/local/sbin/kexec", KEXEC, mode=0o755)
    disk.put(f"{FOLDER}/grub.cfg", f"{configuration}\nset timeout=0\n")
    (disk.root / SAID.lstrip("/")).unlink(missing_ok=True)
    program = f"{FOLDER}/ld-linux-x86-64.so.2 --library-path {FOLDER}/lib {FOLDER}/grub-emu-lite"
    # It wants a terminal. Once it has nothing more to do it waits for a key, if kexec has not ended it.
    words = f"timeout 20 {program} --directory={FOLDER} --root=host --kexec"
    shown = disk.run("sh", "-c", f'script --quiet --command "{words}" /dev/null || true', environment=["TERM=dumb"])
    assert (disk.root / SAID.lstrip("/")).exists(), f"GRUB started no kernel:\n{shown}"
    said = disk.text(SAID).splitlines()
    (line,) = [word[len(BEGINNING) :] for word in said if word.startswith(BEGINNING)]
    return line
