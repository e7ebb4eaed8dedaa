# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Boot loaders whose programs are not in Debian, on files that real machines and programs made."""

from __future__ import annotations

import os
import random
import subprocess

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders import mkinitcpio
from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.registry import choose
from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.transaction import run
from ansible_collections.fleet.netconsole.plugins.module_utils._command_line import Parameter, parse, satisfied
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils import recorded_boot_files as recorded
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_boot_host import (
    FakeBootHost,
    line_of_mkinitcpio,
    rpm_ostree,
)

ENTRY = "/boot/loader/entries/0123456789abcdef0123456789abcdef-1.conf"
PARAMETERS = tuple(Parameter(name, value, unique=unique) for name, value, unique in recorded.GRUBBY_PARAMETERS)


def grub(root, entry, *, variables="", line=None, settings="rhgb quiet"):
    """A host with one entry file; variables: rows of grubenv."""
    host = FakeBootHost(root)
    host.put("/boot/grub2/grub.cfg", "blscfg\n")
    host.put("/boot/grub2/grubenv", f"# GRUB Environment Block\n{variables}".ljust(1024, "#"))
    host.put("/etc/default/grub", f'GRUB_CMDLINE_LINUX="{settings}"\n')
    host.put(ENTRY, entry)
    if line is not None:
        host.put("/etc/kernel/cmdline", f"{line}\n")
    return host


def on_uefi(host):
    """RHEL 8 on UEFI: GRUB's files are on the EFI system partition, and /boot/grub2 has a link to grubenv."""
    for name in ("grub.cfg", "grubenv"):
        host.put(f"/boot/efi/EFI/redhat/{name}", host.text(f"/boot/grub2/{name}"))
        host.remove(f"/boot/grub2/{name}")
    os.symlink("../efi/EFI/redhat/grubenv", f"{host.root}/boot/grub2/grubenv")


def set_and_take_away(host, parameters=PARAMETERS):
    """Lines with the parameters; every file is as before at the end."""
    before = host.tree()
    assert run(choose(host, "auto")[0], parameters, check_mode=False).changed
    lines = [entry.line for entry in choose(host, "auto")[0].read()]
    assert not run(choose(host, "auto")[0], parameters, check_mode=False).changed
    absent = [Parameter(one.name, None if one.unique else one.value, present=False) for one in parameters]
    assert run(choose(host, "auto")[0], absent, check_mode=False).changed
    assert host.tree() == before
    return lines


def meaning(line):
    return [(word.name, word.value) for word in parse(line).words]


SET = [(one.name, one.value) for one in PARAMETERS]


@pytest.mark.parametrize("text", [recorded.FEDORA_40, recorded.FEDORA_41], ids=["Fedora 40", "Fedora 41"])
def test_entries_of_fedora(text, tmp_path):
    host = grub(tmp_path, text, line=recorded.FEDORA_LINE)
    assert choose(host, "auto")[0].read()[0].line == recorded.FEDORA_LINE
    lines = set_and_take_away(host)
    assert meaning(lines[0]) == meaning(lines[1]) == [*meaning(recorded.FEDORA_LINE), *SET]


@pytest.mark.parametrize("firmware", ["BIOS", "UEFI"])
def test_entry_of_rhel_8_and_grubenv_of_centos_8(firmware, tmp_path):
    host = grub(tmp_path, recorded.RHEL_8, variables=recorded.CENTOS_8_GRUBENV)
    if firmware == "UEFI":
        on_uefi(host)
    loader, why = choose(host, "auto")
    assert loader.name == "grub_bls" and ("/boot/efi/EFI/redhat/grub.cfg" in why) == (firmware == "UEFI")
    (kernelopts,) = [
        row.split("=", 1)[1] for row in recorded.CENTOS_8_GRUBENV.splitlines() if row.startswith("kernelopts=")
    ]
    assert choose(host, "auto")[0].read()[0].line == kernelopts
    parameters = [one for one in PARAMETERS if one.value != "tty0"]  # which is there already
    lines = set_and_take_away(host, parameters)
    assert os.path.islink(f"{host.root}/boot/grub2/grubenv") == (firmware == "UEFI")
    assert meaning(lines[0]) == [*meaning(kernelopts), *((one.name, one.value) for one in parameters)]


def test_zipl_of_fedora(tmp_path):
    """The entry is that of x86: those of s390x have the same form."""
    host = FakeBootHost(tmp_path, {"zipl": lambda host, argv: None})
    host.put("/etc/zipl.conf", recorded.FEDORA_30_ZIPL)
    host.put(ENTRY, recorded.FEDORA_40)
    assert [entry.id for entry in choose(host, "auto")[0].read()] == [ENTRY]
    assert meaning(set_and_take_away(host)[0]) == [*meaning(recorded.FEDORA_LINE), *SET]


def test_rpm_ostree(tmp_path):
    host = FakeBootHost(tmp_path, {"rpm-ostree": rpm_ostree})
    host.put("/run/ostree-booted", "")
    host.put("/kargs", "\n".join([*recorded.RPM_OSTREE.split(), recorded.RPM_OSTREE_QUOTED]))
    (entry,) = choose(host, "auto")[0].read()
    assert entry.line == f"{recorded.RPM_OSTREE} {recorded.RPM_OSTREE_QUOTED}"
    assert not run(choose(host, "auto")[0], [Parameter("foo", "a b c")], check_mode=False).changed
    run(choose(host, "auto")[0], [Parameter("foo", "d e")], check_mode=False)
    changes = [argv[2:] for argv in host.commands if argv[2:]]
    assert changes == [[f"--delete={recorded.RPM_OSTREE_QUOTED}", '--append=foo="d e"']]
    run(choose(host, "auto")[0], [Parameter("foo", present=False)], check_mode=False)
    assert set_and_take_away(host)[0].startswith(recorded.RPM_OSTREE)


def test_bootc(tmp_path):
    host = FakeBootHost(tmp_path)
    for name, text in recorded.BOOTC.items():
        host.put(f"/usr/lib/bootc/kargs.d/{name}", text)
    (entry,) = choose(host, "auto")[0].read()
    assert entry.line.endswith("kargsd-test=1 kargsd-othertest=2 testing-kargsd=3")
    assert meaning(set_and_take_away(host)[0])[-len(SET) :] == SET


@pytest.mark.parametrize("release", ["el8", "el9"])
def test_grubby_reads_and_keeps_what_the_engine_wrote(release, tmp_path):
    entry = recorded.RHEL_8.replace(recorded.GRUBBY_OPTIONS["el8"], recorded.GRUBBY_OPTIONS[release])
    variables = f"kernelopts={recorded.GRUBBY_LINE}\n" if release == "el8" else ""
    host = grub(tmp_path, entry, variables=variables, line=recorded.GRUBBY_LINE)
    run(choose(host, "auto")[0], PARAMETERS, check_mode=False)

    # What grubby was given is what the engine writes, and what it showed are the same words.
    files = {"entry" if path == ENTRY.lstrip("/") else f"/{path}": text.decode() for path, text in host.tree().items()}
    for name, row in recorded.GRUBBY_ADDED[release].items():
        assert row.replace(" panic=10", "") in files[name].splitlines()
    shown = (
        recorded.GRUBBY_INFO[release][len('args="') : -1].replace("$tuned_params ", "").replace(" $tuned_params", "")
    )
    assert meaning(f"root=/dev/mapper/rhel-root {shown}") == [*meaning(recorded.GRUBBY_LINE), *SET]

    # After grubby added a word, nothing is to be done, and every line has that word, too.
    for name, row in recorded.GRUBBY_ADDED[release].items():
        path = ENTRY if name == "entry" else name
        text = host.text(path).replace(row.replace(" panic=10", ""), row)
        host.put(path, text.rstrip("#").ljust(1024, "#") if path.endswith("grubenv") else text)
    again = run(choose(host, "auto")[0], [*PARAMETERS, Parameter("panic", "10")], check_mode=False)
    assert not again.changed


@pytest.mark.parametrize("option", recorded.GRUBBY_LOSES)
def test_what_grubby_loses_is_put_back(option, tmp_path):
    host = grub(tmp_path, recorded.FEDORA_40.replace(f"options {recorded.FEDORA_LINE}", recorded.GRUBBY_LOSES[option]))
    loader = choose(host, "auto")[0]
    (entry, *dummy) = loader.read()
    assert not satisfied(parse(entry.line), PARAMETERS)
    run(loader, PARAMETERS, check_mode=False)
    assert all(satisfied(parse(entry.line), PARAMETERS) for entry in loader.read())


@pytest.mark.parametrize(("files", "cmdline", "line"), recorded.MKINITCPIO)
def test_a_line_is_read_as_mkinitcpio_does(files, cmdline, line, tmp_path):
    host = FakeBootHost(tmp_path)
    for path, content in files.items():
        host.put(f"/etc/{path}", content)
    source = mkinitcpio.DEFAULT
    if cmdline:
        source = mkinitcpio.Source((), cmdline) if host.is_folder(cmdline) else mkinitcpio.Source((cmdline,))
    assert mkinitcpio.Files(host).line(source) == line.rstrip("\n\0").strip(" ")
    assert line_of_mkinitcpio(host, *([cmdline] if cmdline else [])) == line, "the imitation"


@pytest.mark.parametrize(("preset", "images"), recorded.MKINITCPIO_PRESETS)
def test_a_preset_is_read_as_mkinitcpio_does(preset, images, tmp_path):
    host = FakeBootHost(tmp_path)
    host.put("/etc/cmdline.d/1.conf", "")
    host.put("/etc/mkinitcpio.d/linux.preset", preset)
    sources = {
        "": mkinitcpio.DEFAULT,
        "--no-cmdline": mkinitcpio.NO_LINE,
        "/etc/cmdline.d": mkinitcpio.Source((), "/etc/cmdline.d"),
    }
    found, problems = mkinitcpio.presets(host)
    assert not problems
    assert [(one.image, one.source) for one in found] == [
        (image, sources.get(cmdline, mkinitcpio.Source((cmdline,)))) for image, cmdline in images
    ]


@pytest.mark.once
def test_files_come_in_the_order_of_sort():
    letters = random.Random(7)
    names = {"".join(letters.choices("a0Z1~.-_9/b", k=letters.randint(1, 7))) for _number in range(2000)}
    paths = [f"/etc/cmdline.d/{name}.conf" for name in sorted(names)]
    done = subprocess.run(
        ["sort", "-Vs"], input="\n".join(paths), capture_output=True, text=True, env={"LC_ALL": "C.UTF-8"}, check=True
    )
    assert sorted(paths, key=mkinitcpio.version_order) == done.stdout.split("\n")[:-1]
