# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every boot loader on a machine of files: foretold, done, done again, taken back, and every way to fail."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.host import Host, HostError
from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.interface import BootLoaderError
from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.pe import PeError, section
from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.registry import LOADERS, choose
from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.transaction import (
    ENGINE_ERRORS,
    lock,
    run,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._command_line import Parameter, parse, satisfied
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_boot_host import (
    KERNELS,
    MACHINES,
    FakeBootHost,
    RunningBootHost,
    line_of_mkinitcpio,
    mkinitcpio,
    rpm_ostree,
    uki,
    update_grub,
)

ONE = (Parameter("netconsole", "+@/eth0,@192.0.2.1/;+@/eth0,@192.0.2.2/"),)
MANY = (
    *ONE,
    Parameter("dyndbg", "file drivers/net/* +p; module x +p"),
    Parameter("odd", "a#b|c&d<e>f{g}h[i]j*k?l!m~n%o^p"),
    Parameter("console", "tty0", unique=False),
    Parameter("console", "ttyS9,115200", unique=False),
    Parameter("bare-word"),
)


def machine_of(name, tmp_path):
    """The boot loader of a machine of files, as it is found."""
    return choose(MACHINES[name](tmp_path), "auto")[0]


def looked_at_anew(machine):
    return LOADERS[machine.name](machine.host)


@pytest.fixture(params=list(MACHINES))
def machine(request, tmp_path):
    return machine_of(request.param, tmp_path)


def absent(parameters):
    """The same parameters declared absent, those side by side one by one."""
    return [Parameter(one.name, None if one.unique else one.value, present=False) for one in parameters]


def lines(outcome):
    return [(entry.id, entry.line) for entry in outcome.after]


def test_the_boot_loader_is_found_and_why_is_said(tmp_path):
    for number, (name, make) in enumerate(MACHINES.items()):
        loader, why = choose(make(tmp_path / str(number)), "auto")
        assert loader.name == name.split()[0]
        assert "exist" in why


def test_every_loader_has_a_machine():
    assert {name.split()[0] for name in MACHINES} == set(LOADERS)


@pytest.mark.parametrize("parameters", [pytest.param(ONE, id="one"), pytest.param(MANY, id="many")])
def test_foretold_done_done_again_and_taken_back(machine, parameters):
    before = machine.host.tree()
    foretold = run(machine, parameters, check_mode=True)
    assert foretold.changed and machine.host.tree() == before
    done = run(machine, parameters, check_mode=False)
    assert done.changed and lines(done) == lines(foretold) and done.actions == foretold.actions
    for entry in done.after:
        assert satisfied(parse(entry.line), parameters), entry
    after = machine.host.tree()
    again = run(machine, parameters, check_mode=False)
    assert not again.changed and not again.actions and machine.host.tree() == after
    assert not run(machine, parameters, check_mode=True).changed
    assert run(machine, absent(parameters), check_mode=False).changed
    assert machine.host.tree() == before
    assert not run(machine, absent(parameters), check_mode=False).changed


GRUBS = ("grub", "rpm-ostree", "bootc")


@pytest.mark.parametrize("name", [name for name in MACHINES if not name.startswith(GRUBS)])
def test_double_quotes_within_a_value_where_grub_is_not_on_the_way(name, tmp_path):
    machine = machine_of(name, tmp_path)
    parameters = [Parameter("a", 'x" y"z')]
    before = machine.host.tree()
    for entry in run(machine, parameters, check_mode=False).after:
        assert satisfied(parse(entry.line), parameters), entry
    assert not run(machine, parameters, check_mode=False).changed
    run(machine, absent(parameters), check_mode=False)
    assert machine.host.tree() == before


def test_a_word_that_stands_there_is_removed_from_every_entry(machine):
    (word, *dummy) = [one for one in parse(machine.read()[0].line).words if one.name in ("quiet", "rootwait", "ro")][
        ::-1
    ]
    parameters = [Parameter(word.name, present=False)]
    outcome = run(machine, parameters, check_mode=False)
    assert outcome.changed
    for entry in outcome.after:
        assert satisfied(parse(entry.line), parameters), entry


def test_a_value_is_changed_and_foreign_words_stay(machine):
    run(machine, [Parameter("loglevel", "3")], check_mode=False)
    before = machine.read()
    outcome = run(machine, [Parameter("loglevel", "7")], check_mode=False)
    for old, new in zip(before, outcome.after):
        assert new.line.split() == old.line.replace("loglevel=3", "loglevel=7").split()


def test_a_copy_is_kept_of_each_file_that_is_changed(machine):
    for path in [*machine.host.tree("etc"), *machine.host.tree("boot"), *machine.host.tree("usr/lib")]:
        os.chmod(machine.host.real(path), 0o640)
    before = machine.host.tree()
    outcome = run(machine, ONE, check_mode=False, backup=True)
    written = [action[len("write /") :] for action in outcome.actions if action.startswith("write ")]
    changed = {machine.host.real(path): before[path] for path in written if path in before}
    kept = {}
    for copy in outcome.backups:
        original, _number, _time = copy.rsplit(".", 2)
        with open(copy, "rb") as file:
            kept[original] = file.read()
        assert not set(copy[len(machine.host.root) :]) & set(':*?"<>|\\'), "FAT takes no such name"
        assert os.stat(copy).st_mode & 0o777 == 0o640
    assert kept == changed
    # A copy is no file that the boot loader reads, and without a change none is made.
    assert lines(outcome) == [(entry.id, entry.line) for entry in looked_at_anew(machine).read()]
    after = machine.host.tree()
    assert not run(machine, ONE, check_mode=False, backup=True).backups
    assert machine.host.tree() == after


def test_a_copy_that_cannot_be_made_leaves_everything_as_it_was(tmp_path, monkeypatch):
    machine = machine_of("systemd-boot", tmp_path)
    before, replace = machine.host.tree(), os.replace

    def failing_replace(source, target):
        if "token-" in target:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing_replace)
    with pytest.raises(HostError, match=r"token-.*~ cannot be written: Invalid argument"):
        run(machine, ONE, check_mode=False, backup=True)
    assert machine.host.tree() == before


# --- failures: everything as it was before ----------------------------------------------------------------------------


GENERATED = [
    name
    for name in MACHINES
    if name in ("grub", "grub_suse", "uki", "uki of mkinitcpio", "u-boot-menu", "zipl", "rpm-ostree")
]


LEFT_HALF_DONE = (
    "/boot/grub/grub.cfg",
    "/boot/grub/grub.cfg.new",
    "/boot/grub2/grub.cfg.new",
    "/boot/extlinux/extlinux.conf",
    "/boot/extlinux/extlinux.conf.tmp",
    "/boot/efi/EFI/Linux/new.efi",
)
"""Files that a generator may leave, or leave behind, when it fails."""


def _generator(machine):
    return next(name for name in machine.host.programs if name != "ukify")


def _fails_when_it_changes(program, *, break_files):
    """A program that fails (or does nothing of what it should) only after the change began."""

    def wrapped(host, argv):
        if argv[1:] == ["kargs"]:
            return program(host, argv)
        if break_files:
            for path in LEFT_HALF_DONE:
                if host.is_folder(os.path.dirname(path)):
                    host.put(path, "half of the fi")
            return 1, "", "the disk is on fire"
        return None

    return wrapped


@pytest.mark.parametrize("name", GENERATED)
def test_a_generator_that_fails_leaves_everything_as_it_was(name, tmp_path):
    machine = machine_of(name, tmp_path)
    program = _generator(machine)
    machine.host.programs[program] = _fails_when_it_changes(machine.host.programs[program], break_files=True)
    before = machine.host.tree()
    with pytest.raises(BootLoaderError, match="the disk is on fire") as caught:
        run(machine, MANY, check_mode=False)
    assert machine.host.tree() == before
    assert program in str(caught.value)
    # zipl is run once more to take the boot record back, and fails again here.
    assert ("Everything is as it was before" in str(caught.value)) == (name != "zipl")
    assert ("Taking the change back failed, too: '/usr/sbin/zipl' failed" in str(caught.value)) == (name == "zipl")


def test_modes_of_files_that_were_lost_come_back(tmp_path):
    machine = machine_of("grub", tmp_path)
    run(machine, [A], check_mode=False)
    paths = ["/boot/grub/grub.cfg", "/etc/default/grub.d/zz-fleet-netconsole.cfg"]
    for path in paths:
        os.chmod(machine.host.real(path), 0o600)

    def lose(host, argv):
        host.remove(paths[0])
        return 1, "", "no"

    machine.host.programs["update-grub"] = lose
    before = machine.host.tree()
    with pytest.raises(BootLoaderError, match="Everything is as it was before"):
        run(machine, [Parameter("a", present=False)], check_mode=False)
    assert machine.host.tree() == before
    assert [os.stat(machine.host.real(path)).st_mode & 0o777 for path in paths] == [0o600, 0o600]


def test_rpm_ostree_puts_the_words_back_in_their_order(tmp_path):
    """The last console= is the one that becomes /dev/console."""
    host = MACHINES["rpm-ostree"](tmp_path)
    host.put("/kargs", "console=ttyS0\nrw\nquiet\nconsole=tty0\nquiet")
    before = host.tree()
    calls = []

    def adds_a_word(host, argv):
        calls.append(argv[2:])
        added = ["--append=odd"] if [bool(call) for call in calls] == [False, False, True] else []
        return rpm_ostree(host, [*argv, *added])

    host.programs["rpm-ostree"] = adds_a_word
    with pytest.raises(BootLoaderError, match=r"read back after the change.*Everything is as it was before"):
        run(choose(host, "auto")[0], [Parameter("console", "ttyS0"), Parameter("a", "1")], check_mode=False)
    assert host.tree() == before
    assert [bool(call) for call in calls] == [False, False, True, False, False, True]


@pytest.mark.parametrize("name", [name for name in GENERATED if name != "zipl"])
def test_a_generator_that_does_nothing_is_noticed(name, tmp_path):
    machine = machine_of(name, tmp_path)
    program = _generator(machine)
    machine.host.programs[program] = _fails_when_it_changes(machine.host.programs[program], break_files=False)
    before = machine.host.tree()
    with pytest.raises(BootLoaderError, match="read back after the change") as caught:
        run(machine, MANY, check_mode=False)
    assert machine.host.tree() == before
    assert "Everything is as it was before" in str(caught.value)


def test_a_failed_verification_shows_both_versions(tmp_path):
    machine = machine_of("grub", tmp_path)
    machine.host.programs["update-grub"] = lambda host, argv: None
    with pytest.raises(BootLoaderError) as caught:
        run(machine, [Parameter("a", "1")], check_mode=False)
    assert "zz-fleet-netconsole.cfg was absent and would have become" in str(caught.value)
    assert "expected 'root=UUID=1234 ro a=1 quiet'" in str(caught.value)


@pytest.mark.parametrize("name", [name for name in GENERATED if name != "rpm-ostree"])
def test_a_missing_generator_is_said_before_anything_is_written(name, tmp_path):
    machine = machine_of(name, tmp_path)
    os.unlink(machine.host.real(f"/usr/sbin/{_generator(machine)}"))
    machine.host.put("/usr/share/u-boot-menu/read-config", "")
    machine = looked_at_anew(machine)
    before = machine.host.tree()
    with pytest.raises(BootLoaderError, match=r"is missing.*install the package"):
        run(machine, ONE, check_mode=False)
    assert machine.host.tree() == before


@pytest.mark.parametrize(
    ("number", "message"),
    [
        pytest.param(errno.ENOSPC, "file system is full", id="full"),
        pytest.param(errno.EROFS, "mounted read-only", id="read-only", marks=pytest.mark.once),
        pytest.param(errno.EACCES, "run as root", id="not root", marks=pytest.mark.once),
    ],
)
@pytest.mark.parametrize("failing", [0, 1, 2], ids=["first file", "second file", "third file"])
def test_a_file_that_cannot_be_written_leaves_everything_as_it_was(machine, number, message, failing, monkeypatch):
    replace, calls = os.replace, []

    def failing_replace(source, target):
        calls.append(target)
        if len(calls) == failing + 1:
            raise OSError(number, os.strerror(number))
        replace(source, target)

    before = machine.host.tree()
    count = sum(action.startswith("write ") for action in run(machine, ONE, check_mode=True).actions)
    monkeypatch.setattr(os, "replace", failing_replace)
    if failing >= count:
        assert run(machine, ONE, check_mode=False).changed
        return
    with pytest.raises(BootLoaderError, match=message):
        run(machine, ONE, check_mode=False)
    assert machine.host.tree() == before


@pytest.mark.parametrize("check_mode", [True, False], ids=["check mode", "real run"])
@pytest.mark.parametrize(
    ("flag", "free", "message"),
    [
        pytest.param(os.ST_RDONLY, 2**30, "cannot be written: its file system is mounted read-only", id="read-only"),
        pytest.param(0, 3, "cannot be written: its file system is full", id="full"),
    ],
)
@pytest.mark.parametrize("name", [name for name in MACHINES if name != "rpm-ostree"])  # that one writes no file itself
def test_no_room_is_said_before_anything_is_written(name, flag, free, message, check_mode, tmp_path, monkeypatch):
    machine = machine_of(name, tmp_path)
    space = os.statvfs(machine.host.root)
    full = os.statvfs_result((1, 1, 2**30, free, free, *space[5:8], flag, 255))
    before = machine.host.tree()
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(HostError, match=message):
        run(machine, ONE, check_mode=check_mode)
    assert machine.host.tree() == before and not machine.host.commands


def test_the_way_back_on_a_full_disk(tmp_path, monkeypatch):
    """There is no room for the old grub.cfg beside the one that the generator broke, until that one is gone."""
    machine = machine_of("grub", tmp_path)
    replace, remove, full = os.replace, os.unlink, []

    def fills_the_disk(host, argv):
        host.put("/boot/grub/grub.cfg", "half of the fi")
        full.append(True)
        return 1, "", "no space left on device"

    def replace_if_room(source, target):
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    def makes_room(path, **options):
        if str(path).endswith("grub.cfg"):
            full.clear()
        remove(path, **options)

    machine.host.programs["update-grub"] = fills_the_disk
    before = machine.host.tree()
    monkeypatch.setattr(os, "replace", replace_if_room)
    monkeypatch.setattr(os, "unlink", makes_room)
    with pytest.raises(BootLoaderError, match=r"no space left on device.*Everything is as it was before"):
        run(machine, ONE, check_mode=False)
    assert machine.host.tree() == before


def test_a_way_back_that_fails_is_said(tmp_path, monkeypatch):
    machine = machine_of("systemd-boot", tmp_path)
    before, replace, calls = machine.host.tree(), os.replace, []

    def replace_once(source, target):
        calls.append(target)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_once)
    with pytest.raises(BootLoaderError, match=r"conf cannot be written: its file system is full") as caught:
        run(machine, ONE, check_mode=False)
    assert "Taking the change back failed, too: /etc/kernel/cmdline cannot be written" in str(caught.value)
    assert "as it was before" not in str(caught.value)
    differing = [path for path, content in machine.host.tree().items() if before[path] != content]
    assert differing == ["etc/kernel/cmdline"]


def test_attributes_of_a_file_stay(tmp_path, monkeypatch):
    host = MACHINES["raspberry-pi"](tmp_path)
    known = {"security.selinux": b"system_u:object_r:boot_t:s0", "security.ima": b"of the old content"}
    kept = {}
    monkeypatch.setattr(os, "listxattr", lambda path: list(known) if path.endswith("cmdline.txt") else [])
    monkeypatch.setattr(os, "getxattr", lambda path, name: known[name])
    monkeypatch.setattr(os, "setxattr", lambda handle, name, value: kept.update({name: value}))
    run(choose(host, "auto")[0], [A], check_mode=False)
    assert kept == {"security.selinux": known["security.selinux"]}


@pytest.mark.parametrize(("root", "running"), [("/", True), ("//", True), ("/srv/..", True), ("/srv", False)])
def test_the_running_system_is_known_by_its_root(root, running):
    assert Host(root).is_running == running


def test_a_second_run_waits_and_then_says_so(tmp_path):
    machine = machine_of("systemd-boot", tmp_path)
    before = machine.host.tree()
    with lock(machine.host, timeout=1), pytest.raises(BootLoaderError, match="another run"):
        run(machine, ONE, check_mode=False, lock_timeout=0.3)
    assert machine.host.tree() == before
    assert run(machine, ONE, check_mode=False, lock_timeout=1).changed


def test_a_second_run_goes_on_when_the_first_one_is_done(tmp_path):
    machine = machine_of("systemd-boot", tmp_path)
    held, release = threading.Event(), threading.Event()

    def first():
        with lock(machine.host, timeout=1):
            held.set()
            release.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    assert held.wait(10)
    threading.Timer(0.2, release.set).start()
    assert run(machine, ONE, check_mode=False, lock_timeout=10).changed
    thread.join()


# --- what is there cannot be understood, or the wish cannot be met ----------------------------------------------------


def _put(path, content):
    return lambda host: host.put(path, content)


def _edit(path, old, new):
    return lambda host: host.put(path, host.text(path).replace(old, new))


def put_entry_of_zipl(host):
    """An entry file, and the line that kernel-install takes for the next one."""
    host.put("/etc/zipl.conf", "[defaultboot]\ndefaultauto\ntarget=/boot\n")
    host.put("/boot/loader/entries/1.conf", "title Linux\nlinux /boot/vmlinuz\noptions root=/dev/dasda1 ro\n")
    host.put("/etc/kernel/cmdline", "root=/dev/dasda1 ro\n")


A = Parameter("a", "1")
ENTRY = f"/boot/loader/entries/id-{KERNELS[0]}.conf"
GRUBENV = "/boot/grub2/grubenv"
ESP = "/boot/efi"
IMAGE = f"{ESP}/EFI/Linux/token-{KERNELS[0]}.efi"
PRESET = "/etc/mkinitcpio.d/linux.preset"
WRONG = [
    ("grub", None, Parameter("a", "x\\y"), "no quoting gets this value through GRUB"),
    ("grub", None, Parameter("a", "x'y"), "no quoting gets this value through GRUB"),
    ("grub", None, Parameter("ro", present=False), "the boot loader itself makes the line"),
    ("grub", None, Parameter("root", "/dev/sda1"), "the boot loader itself makes the line"),
    ("grub", None, Parameter("a", "x" * 3000), "silently cuts"),
    ("grub", _put("/etc/default/grub", 'GRUB_CMDLINE_LINUX="a;b"\n'), A, "unquoted ';'"),
    ("grub", _put("/etc/default/grub", "GRUB_CMDLINE_LINUX='\"a'\n"), A, "never closed"),
    ("grub", _put("/etc/default/grub", 'GRUB_CMDLINE_LINUX="a\n'), A, "cannot be read by the shell"),
    ("grub", _put("/etc/default/grub", "exit 3\n"), A, "cannot be read by the shell"),
    ("grub", _put("/etc/default/grub", 'GRUB_CMDLINE_LINUX="a=$(echo 2)"\n'), A, "cannot be changed: a command"),
    ("grub", _put("/etc/default/grub", 'X=a=2\nGRUB_CMDLINE_LINUX="$X"\n'), A, "no plain assignment"),
    ("grub", _put("/boot/grub/grub.cfg", "### BEGIN /etc/grub.d/10_linux ###\nlinux /v 'x\n"), A, "never closed"),
    ("grub", _put("/etc/default/grub", 'GRUB_CMDLINE_LINUX="ro -- s"\n'), A, "has a '--' in it"),
    ("grub_suse", _put("/etc/default/grub", 'GRUB_CMDLINE_LINUX="ro -- s"\n'), A, "has a '--' in it"),
    ("grub_suse", None, Parameter("a", "x\\y"), "no quoting gets this value through GRUB"),
    ("grub_suse", _put("/etc/default/grub", "GRUB_CMDLINE_LINUX=`id`\n"), A, "cannot be changed: a command"),
    ("grub_bls", None, Parameter("a", "$x"), "no quoting stops it"),
    ("grub_bls", None, Parameter("a", "x'y"), "no quoting gets this value through GRUB"),
    ("grub_bls", _edit(ENTRY, "rhgb", "rhgb;x"), A, "unquoted ';'"),
    ("grub_bls", _edit(ENTRY, "options", "#options"), A, "has 0 lines of options"),
    ("grub_bls", _edit(ENTRY, "linux /", "options b\nlinux /"), A, "has 2 lines of options"),
    ("grub_bls", None, Parameter("a", "x  y"), "two blanks in a row"),
    ("grub_bls", _put("/etc/kernel/cmdline", "root=1 a=x;y\n"), A, "/etc/kernel/cmdline: GRUB ends .* quote it first"),
    ("grub_bls", _put("/etc/kernel/cmdline", "root=1 'a\n"), A, "/etc/kernel/cmdline: a quote is never closed"),
    ("grub_bls", _put("/etc/kernel/cmdline", "root=1\nro\n"), A, "/etc/kernel/cmdline: GRUB ends .* quote it first"),
    ("grub_bls", _edit(ENTRY, "rhgb", "'rhgb"), A, f"{ENTRY}: a quote is never closed"),
    ("grub_bls of RHEL 8", _edit(GRUBENV, "ro quiet", "ro a=x;y"), A, f"{GRUBENV}: GRUB ends .* quote it first"),
    ("grub_bls of RHEL 8", None, Parameter("a", "x" * 1000), "would need"),
    ("systemd-boot", None, Parameter("a", "x  y"), "two blanks in a row"),
    ("systemd-boot", None, Parameter("a", "x\\ny"), "has a backslash: kernel-install"),
    ("systemd-boot", _edit(f"{ESP}/loader/entries/token-{KERNELS[0]}.conf", "quiet", 'b="'), A, "never closed"),
    ("systemd-boot", _put("/etc/kernel/cmdline", 'root=1 b="x\n'), A, "never closed"),
    ("uki", None, Parameter("a", "x  y"), "two blanks in a row"),
    ("uki", _put(IMAGE, "MZ"), A, "cut off"),
    ("uki", _put(IMAGE, bytes(512)), A, "no PE file"),
    ("uki", _put("/etc/kernel/install.conf", "layout=bls\n"), A, "set layout=uki"),
    ("uki", _put("/etc/kernel/install.conf", ""), A, "set layout=uki"),
    ("uki", _put("/etc/kernel/install.conf", "layout=uki\nuki_generator=dracut\n"), A, "dracut is missing"),
    ("uki", _put("/etc/kernel/install.conf", "layout=uki\nuki_generator=mkinitcpio\n"), A, "mkinitcpio is missing"),
    ("uki", _put(f"{ESP}/EFI/Linux/arch-linux.efi", uki("ro")), A, "kernel that .* was made from is not found"),
    ("uki of mkinitcpio", None, Parameter("a", "x  y"), "two blanks in a row"),
    ("uki of mkinitcpio", lambda host: host.remove("/usr/sbin/mkinitcpio"), A, "mkinitcpio is missing, which makes"),
    (
        "uki of mkinitcpio",
        lambda host: host.remove(PRESET),
        A,
        "name it in a preset of mkinitcpio in /etc/mkinitcpio.d",
    ),
    (
        "uki of mkinitcpio",
        _edit(PRESET, "'default'", "'default"),
        A,
        f"known to make it.*; {PRESET} cannot be read by the shell",
    ),
    (
        "uki of mkinitcpio",
        _edit(PRESET, "--cmdline /etc", "--no-cmdline /etc"),
        A,
        "preset of .* with --no-cmdline: take",
    ),
    (
        "uki of mkinitcpio",
        _put("/etc/kernel/cmdline", 'ro\ndyndbg="file x\nquiet +p" z=1\n'),
        Parameter("quiet", present=False),
        "cannot be changed line by line: a quoted value goes over several lines",
    ),
    (
        "systemd-boot",
        _put("/etc/kernel/cmdline", 'ro quiet\ndyndbg="file x\nquiet +p" z=1\n'),
        Parameter("quiet", present=False),
        "/etc/kernel/cmdline cannot be changed line by line: a quoted value goes over several lines",
    ),
    (
        "uki of mkinitcpio",
        _put("/etc/kernel/cmdline", "ro\nquiet #word b=2\n"),
        Parameter("quiet", present=False),
        "cannot be changed line by line: .* a word begins with '#'",
    ),
    ("uki of mkinitcpio", lambda host: host.remove("/etc/kernel/fallback"), A, "line of .* into /etc/kernel/fallback"),
    (
        "uki of mkinitcpio",
        lambda host: [host.remove(path) for path in ("/etc/kernel/cmdline", "/etc/cmdline.d/console.conf")],
        A,
        "no file has the line .* into /etc/kernel/cmdline first",
    ),
    (
        "uki of mkinitcpio",
        lambda host: [_put(f"/etc/cmdline.d/x{number}.conf", "b")(host) for number in ("1", "01")],
        A,
        "takes only one of /etc/cmdline.d/x0?1.conf and",
    ),
    ("uki of mkinitcpio", _put("/etc/cmdline.d/x.conf", 'b="x\n'), A, "never closed"),
    ("u-boot-menu", None, Parameter("a", "x\\y"), "cannot write a backslash"),
    ("u-boot-menu", _put("/etc/default/u-boot", "U_BOOT_UPDATE=false\n"), A, "u-boot-update is switched off"),
    ("u-boot-menu", _put("/etc/default/u-boot", 'U_BOOT_PARAMETERS="a\n'), A, "cannot be read by the shell"),
    ("u-boot-menu", lambda host: host.remove("/boot/extlinux/ldlinux.sys"), Parameter("a", "$x"), "U-Boot does not"),
    ("extlinux", lambda host: host.remove("/boot/extlinux/ldlinux.sys"), Parameter("a", "x'y"), "U-Boot does not"),
    ("extlinux", _put("/boot/extlinux/extlinux.conf", "INCLUDE other.conf\n"), A, "includes another file"),
    ("extlinux", _put("/boot/extlinux/extlinux.conf", "LABEL x\n LOCALBOOT 0\n"), A, "has no entry that boots Linux"),
    ("extlinux", _edit("/boot/extlinux/extlinux.conf", "quiet", 'b="x'), A, "never closed"),
    ("extlinux", _put("/etc/update-extlinux.conf", ""), A, "is written anew by update-extlinux"),
    ("zipl", put_entry_of_zipl, Parameter("a", "x  y"), "two blanks in a row"),
    ("grub", None, Parameter("a", 'x"y"z'), "no quoting gets this value through GRUB"),
    ("raspberry-pi", _put("/boot/firmware/cmdline.txt", "\nro\n"), A, "first line of .* is empty"),
    ("raspberry-pi", _put("/boot/firmware/cmdline.txt", 'b="x y\n'), A, "never closed"),
    ("rpm-ostree", None, Parameter("a", "x" * 3000), "silently cuts"),
    ("rpm-ostree", _put("/kargs", "ro\n--\nsingle"), A, "rpm-ostree adds new parameters behind it only"),
    ("bootc", _put("/usr/lib/bootc/kargs.d/20.toml", 'kargs = ["b a=2"]\n'), A, "several parameters in the one string"),
    ("bootc", _put("/usr/lib/bootc/kargs.d/20.toml", "kargs = ['a']\n"), A, "no plain list"),
    ("bootc", _put("/usr/lib/bootc/kargs.d/20.toml", "args = []\n"), A, "no plain list"),
    ("bootc", _put("/usr/lib/bootc/kargs.d/20.toml", "kargs = [1]\n"), A, "no plain list"),
    ("zipl", _put("/etc/zipl.conf", "[defaultboot]\n"), A, "no section with parameters"),
    (
        "zipl",
        _edit("/etc/zipl.conf", '"root=/dev/dasda1 ro"', "'\"a b\" c'"),
        Parameter("a", "x'y"),
        "begins with a quote",
    ),
    ("zipl", None, Parameter("a", "${x}"), "zipl fills"),
    ("zipl", _edit("/etc/zipl.conf", '"root=/dev/dasda1 ro"', '"a b"=1 ro'), A, "a value that zipl does not take"),
    ("zipl", _edit("/etc/zipl.conf", 'dasda1 ro"', "dasda1 ro"), A, "a value that zipl does not take"),
    ("zipl", _edit("/etc/zipl.conf", "parameters", "parmfile"), A, "linux of .* has a parmfile"),
    ("zipl", _edit("/etc/zipl.conf", "image", "parmfile = /p\nimage"), A, "linux of .* has a parmfile"),
    ("zipl", _edit("/etc/zipl.conf", "parameters", "#parameters"), A, "linux of .* has no parameters"),
    ("rpm-ostree", None, Parameter("a", "$x"), "GRUB fills variables in"),
    ("rpm-ostree", None, Parameter("a", "x'y"), "no quoting gets this value through GRUB"),
    ("bootc", None, Parameter("a", "x\\y"), "no quoting gets this value through GRUB"),
    ("bootc", _put("/usr/lib/bootc/kargs.d/20.toml", "kargs = []\nmatch-architectures = ['x']\n"), A, "no plain list"),
]


@pytest.mark.parametrize(("name", "prepare", "parameter", "message"), WRONG, ids=[f"{w[0]}: {w[3]}" for w in WRONG])
@pytest.mark.parametrize("check_mode", [True, False], ids=["check mode", "real run"])
def test_what_cannot_be_done_is_refused_and_nothing_written(name, prepare, parameter, message, check_mode, tmp_path):
    host = MACHINES[name](tmp_path)
    if prepare:
        prepare(host)
    before = host.tree()
    commands = len(host.commands)
    with pytest.raises(ENGINE_ERRORS, match=message):
        run(choose(host, "auto")[0], [parameter], check_mode=check_mode)
    assert host.tree() == before
    assert [argv for argv in host.commands[commands:] if argv[1:] != ["kargs"]] == []


@pytest.mark.parametrize(
    ("machines", "name", "message"),
    [
        pytest.param((), "auto", "none of the known ones was found", id="nothing there"),
        pytest.param(("grub", "extlinux"), "auto", r"found grub \(.*\); extlinux \(", id="two there"),
        pytest.param(("uki", "systemd-boot"), "auto", r"found systemd-boot \(.*\); uki \(", id="images and entries"),
        pytest.param(("grub",), "lilo", "'lilo' is no boot loader that is known", id="unknown"),
        pytest.param(("grub",), "uki", r"there is no uki on this host: found grub", id="another one is there"),
        pytest.param((), "zipl", "there is no zipl on this host: none", id="asked for and nothing there"),
    ],
)
def test_no_clear_boot_loader(machines, name, message, tmp_path):
    host = FakeBootHost(tmp_path)
    for machine in machines:
        host = MACHINES[machine](tmp_path)
    before = host.tree()
    with pytest.raises(BootLoaderError, match=message):
        choose(host, name)
    assert host.tree() == before and not host.commands


def put_variable(host, name, text):
    """As systemd-boot, its stub and GRUB leave it: attributes, and UTF-16 with a NUL."""
    folder = "/sys/firmware/efi/efivars"
    host.put(f"{folder}/{name}-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", b"\6\0\0\0" + f"{text}\0".encode("utf-16-le"))


STARTED = [
    pytest.param({"LoaderInfo": "systemd-boot 257.7", "StubInfo": "systemd-stub 257.7"}, "uki", id="stub"),
    pytest.param({"LoaderInfo": "systemd-boot 257.7"}, "systemd-boot", id="systemd-boot"),
    pytest.param({"LoaderInfo": "GRUB 2.12"}, "grub", id="GRUB"),
]


@pytest.mark.parametrize(("variables", "name"), STARTED)
def test_what_started_the_running_system_decides(variables, name, tmp_path):
    for other in ("grub", "systemd-boot", "uki"):
        MACHINES[other](tmp_path)
    host = RunningBootHost(tmp_path)
    for variable, text in variables.items():
        put_variable(host, variable, text)
    loader, why = choose(host, "auto")
    assert loader.name == name
    assert why.startswith(f"the running kernel was started by {list(variables.values())[-1]}; ")


@pytest.mark.parametrize(
    ("host", "machines", "variables"),
    [
        pytest.param(FakeBootHost, ("grub", "systemd-boot"), {"LoaderInfo": "GRUB 2.12"}, id="image"),
        pytest.param(RunningBootHost, ("grub", "systemd-boot"), {}, id="no variable"),
        pytest.param(RunningBootHost, ("grub", "systemd-boot"), {"LoaderInfo": "Limine 8"}, id="unknown"),
        pytest.param(
            RunningBootHost, ("grub", "systemd-boot"), {"StubInfo": "systemd-stub 257"}, id="no such one here"
        ),
        pytest.param(RunningBootHost, ("grub", "grub_suse"), {"LoaderInfo": "GRUB 2.12"}, id="two of one kind"),
    ],
)
def test_what_started_the_running_system_is_not_clear(host, machines, variables, tmp_path):
    for machine in machines:
        MACHINES[machine](tmp_path)
    for variable, text in variables.items():
        put_variable(FakeBootHost(tmp_path), variable, text)
    before = FakeBootHost(tmp_path).tree()
    with pytest.raises(BootLoaderError, match="which boot loader boots this host is not clear"):
        choose(host(tmp_path), "auto")
    assert FakeBootHost(tmp_path).tree() == before


def test_one_of_two_can_be_asked_for(tmp_path):
    MACHINES["grub"](tmp_path)
    loader, why = choose(MACHINES["extlinux"](tmp_path), "extlinux")
    assert loader.name == "extlinux" and why.startswith("asked for")


def test_a_root_that_is_no_folder(tmp_path):
    with pytest.raises(BootLoaderError, match="is no folder"):
        choose(FakeBootHost(tmp_path / "nothing"), "auto")


# --- single facts -----------------------------------------------------------------------------------------------------


def test_grub_recovery_entries_have_them_too_and_other_systems_are_left_alone(tmp_path):
    machine = machine_of("grub", tmp_path)
    outcome = run(machine, [A], check_mode=False)
    assert {entry.line for entry in outcome.after if "recovery" in entry.id} == {"root=UUID=1234 ro single a=1"}
    assert "memtest" not in {entry.id for entry in outcome.after}


def test_grub_leaves_a_parameter_in_the_variable_that_has_it(tmp_path):
    machine = machine_of("grub", tmp_path)
    assert not run(machine, [Parameter("quiet")], check_mode=False).changed


def test_grub_that_was_not_generated_since_is_generated(tmp_path):
    machine = machine_of("grub", tmp_path)
    machine.host.put("/etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="splash"\nGRUB_CMDLINE_LINUX="a=1"\n')
    outcome = run(machine, [A], check_mode=False)
    assert outcome.actions == ("run /usr/sbin/update-grub",)
    assert outcome.after[0].line == "root=UUID=1234 ro a=1 splash"
    assert not run(machine, [A], check_mode=False).changed


def test_grub_drop_ins_of_others_are_changed_where_the_word_stands(tmp_path):
    host = MACHINES["grub"](tmp_path)
    path = "/etc/default/grub.d/50-cloud.cfg"
    host.put(path, '# cloud\nGRUB_CMDLINE_LINUX_DEFAULT="console=tty1 a=0  console=ttyS0" # end\n')
    update_grub(host, ["update-grub"])
    run(choose(host, "auto")[0], [Parameter("a", present=False)], check_mode=False)
    assert host.text(path) == '# cloud\nGRUB_CMDLINE_LINUX_DEFAULT="console=tty1  console=ttyS0" # end\n'


def test_grub_drop_ins_of_others_may_come_later(tmp_path):
    host = MACHINES["grub"](tmp_path)
    host.put("/etc/default/grub.d/zzz.cfg", '# \xe4\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX last=1"\n')
    update_grub(host, ["update-grub"])
    machine = choose(host, "auto")[0]
    before = host.tree()
    for value in ("1", "2"):
        parameters = [Parameter("a", value), Parameter("b", "x")]
        foretold = run(machine, parameters, check_mode=True)
        words = "a=1 b=x" if value == "1" else "b=x a=2"
        assert foretold.after[0].line == f"root=UUID=1234 ro {words} last=1 quiet"
        assert lines(run(machine, parameters, check_mode=False)) == lines(foretold)
    run(machine, [Parameter("a", present=False), Parameter("b", present=False)], check_mode=False)
    assert host.tree() == before


def test_mkinitcpio_gets_new_parameters_by_a_file_of_their_own(tmp_path):
    machine = machine_of("uki of mkinitcpio", tmp_path)
    before = machine.host.tree("etc")
    outcome = run(machine, [A, Parameter("quiet", present=False)], check_mode=False)
    assert [entry.line for entry in outcome.after] == [
        "root=/dev/vda2 ro single a=1",
        "root=/dev/vda2 ro a=1",
        "root=/dev/vda2 ro single a=1",
        "root=/dev/vda2 ro a=1",
    ]
    assert [entry.id.partition(", from ")[2] for entry in outcome.after[2:]] == [
        "/etc/kernel/fallback",
        "/etc/kernel/cmdline, /usr/lib/kernel/cmdline, /etc/cmdline.d/*.conf",
    ]
    assert machine.host.commands == [["/usr/sbin/mkinitcpio", "-p", "linux"]]
    after = machine.host.tree("etc")
    own = "etc/cmdline.d/zz-fleet-netconsole.conf"
    assert after.pop(own).decode().splitlines()[1:] == ["a=1"]
    assert after["etc/kernel/cmdline"] == before["etc/kernel/cmdline"]
    assert after["etc/cmdline.d/console.conf"] == b"\n"
    run(machine, [Parameter("a", present=False)], check_mode=False)
    assert machine.host.read(f"/{own}") is None


def test_an_image_that_would_lose_its_line_is_not_made_anew_beside_another(tmp_path):
    machine = machine_of("uki of mkinitcpio", tmp_path)
    _edit(PRESET, "--cmdline /etc/kernel/fallback", "--no-cmdline")(machine.host)
    machine.host.put(f"{ESP}/EFI/Linux/arch-linux-fallback.efi", uki("ro single a=1"))  # from before
    before = machine.host.tree()
    with pytest.raises(BootLoaderError, match="makes an image with --no-cmdline: take that out"):
        run(machine, [A], check_mode=False)
    assert machine.host.tree() == before


def test_mkinitcpio_takes_an_empty_file(tmp_path):
    machine = machine_of("uki of mkinitcpio", tmp_path)
    machine.host.put("/etc/kernel/fallback", "# nothing yet\n")
    run(machine, [A], check_mode=False)
    assert machine.host.read("/etc/kernel/fallback") == b"# nothing yet\na=1\n"


def test_images_that_are_right_need_no_file_of_mkinitcpio(tmp_path):
    machine = machine_of("uki of mkinitcpio", tmp_path)
    run(machine, [A], check_mode=False)
    for path in machine.host.tree("etc/cmdline.d"):
        machine.host.remove(f"/{path}")
    machine.host.remove("/etc/kernel/cmdline")
    assert not run(machine, [A], check_mode=True).changed


def test_other_images_that_mkinitcpio_makes_come_back_when_it_fails(tmp_path):
    machine = machine_of("uki of mkinitcpio", tmp_path)
    before = machine.host.tree()

    def fail(host, argv):
        host.put("/boot/initramfs-linux.img", "half of the fi")
        return 1, "", "no"

    machine.host.programs["mkinitcpio"] = fail
    with pytest.raises(BootLoaderError, match=r"'/usr/sbin/mkinitcpio -p linux' failed .* Everything is as it was"):
        run(machine, [A], check_mode=False)
    assert machine.host.tree() == before


CONFLICTS = {
    "a file that the other line has, too": {"fallback_cmdline": "/etc/kernel/cmdline"},
    "a linked file": {"fallback_cmdline": "/etc/kernel/link"},
    "another path of the same file": {"fallback_cmdline": "//etc/kernel/../kernel/cmdline"},
    "a folder within the other": {"fallback_cmdline": "/etc/cmdline.d/fallback"},
    "the same folder": {"fallback_cmdline": "/etc/cmdline.d"},
}


@pytest.mark.parametrize("history", [False, True], ids=["at once", "set before"])
@pytest.mark.parametrize("names", list(CONFLICTS))
def test_lines_that_have_files_in_common(names, history, tmp_path):
    machine = machine_of("uki of mkinitcpio", tmp_path)
    host = machine.host
    wanted = [Parameter("loglevel", "7"), A]
    host.put("/etc/cmdline.d/level.conf", "loglevel=3\n")
    host.put("/etc/cmdline.d/fallback/1.conf", "single\n")
    os.symlink("cmdline", host.real("/etc/kernel/link"))
    mkinitcpio(host, ["mkinitcpio", "-p", "linux"])
    if history:
        run(machine, wanted, check_mode=False)
    (value,) = CONFLICTS[names].values()
    _edit(PRESET, "/etc/kernel/fallback", value)(host)
    mkinitcpio(host, ["mkinitcpio", "-p", "linux"])
    foretold = run(machine, wanted, check_mode=True)
    done = run(machine, wanted, check_mode=False)
    assert lines(done) == lines(foretold)
    for entry in done.after:
        assert satisfied(parse(entry.line), wanted), entry
    assert not run(machine, wanted, check_mode=False).changed


def test_lines_of_kernel_install_and_of_mkinitcpio_on_one_host(tmp_path):
    machine = machine_of("uki", tmp_path)
    host = machine.host
    arch = MACHINES["uki of mkinitcpio"](tmp_path / "arch")
    for path, content in arch.tree().items():
        if "cmdline.d" in path or "mkinitcpio" in path or "EFI" in path or "fallback" in path:
            host.put(f"/{path}", content, mode=0o755)
    host.programs["mkinitcpio"] = mkinitcpio
    host.put("/etc/cmdline.d/level.conf", "loglevel=3\n")
    mkinitcpio(host, ["mkinitcpio", "-p", "linux"])
    wanted = [Parameter("loglevel", "7")]
    foretold = run(machine, wanted, check_mode=True)
    done = run(machine, wanted, check_mode=False)
    assert lines(done) == lines(foretold) and len(done.after) == 7
    assert not run(machine, wanted, check_mode=False).changed


def test_what_a_package_brings_is_not_changed(tmp_path):
    machine = machine_of("uki of mkinitcpio", tmp_path)
    host = machine.host
    host.put("/usr/lib/kernel/cmdline", "root=/dev/vda2 ro loglevel=3\n")
    host.remove("/etc/kernel/cmdline")
    mkinitcpio(host, ["mkinitcpio", "-p", "linux"])
    run(machine, [A], check_mode=False)
    assert host.read("/etc/kernel/cmdline") is None
    run(machine, [Parameter("loglevel", "7")], check_mode=False)
    assert host.read("/usr/lib/kernel/cmdline") == b"root=/dev/vda2 ro loglevel=3\n"
    assert host.read("/etc/kernel/cmdline") == b"root=/dev/vda2 ro loglevel=7\n"


def test_a_value_of_mkinitcpio_is_changed_where_it_stands(tmp_path):
    machine = machine_of("uki of mkinitcpio", tmp_path)
    run(machine, [Parameter("root", "/dev/vda3")], check_mode=False)
    assert machine.host.read("/etc/kernel/cmdline") == b"# the root file system\nroot=/dev/vda3 ro\n"
    assert not machine.host.exists("/etc/cmdline.d/zz-fleet-netconsole.conf")


def test_new_parameters_of_mkinitcpio_come_before_what_goes_to_init(tmp_path):
    machine = machine_of("uki of mkinitcpio", tmp_path)
    machine.host.put("/etc/kernel/cmdline", "root=/dev/vda2 ro -- splash\n")
    mkinitcpio(machine.host, ["mkinitcpio", "-p", "linux"])
    before = machine.host.tree()
    run(machine, [A], check_mode=False)
    assert machine.host.read("/etc/kernel/cmdline") == b"root=/dev/vda2 ro a=1 -- splash\n"
    run(machine, [Parameter("a", present=False)], check_mode=False)
    assert machine.host.tree() == before


def test_a_comment_without_a_line_end_stays_one(tmp_path):
    machine = machine_of("uki of mkinitcpio", tmp_path)
    machine.host.put("/etc/kernel/fallback", "# nothing yet")
    run(machine, [A], check_mode=False)
    assert machine.host.read("/etc/kernel/fallback") == b"# nothing yet\na=1\n"
    other = machine_of("systemd-boot", tmp_path / "other")
    other.host.put("/etc/kernel/cmdline", "# nothing yet")
    run(other, [A], check_mode=False)
    assert other.host.read("/etc/kernel/cmdline") == b"# nothing yet\na=1\n"


def test_a_linked_folder_of_drop_ins_is_not_entered(tmp_path):
    machine = machine_of("uki of mkinitcpio", tmp_path)
    host = machine.host
    os.rename(host.real("/etc/cmdline.d"), f"{host.root}/etc/elsewhere.d")
    os.symlink("elsewhere.d", f"{host.root}/etc/cmdline.d")
    mkinitcpio(host, ["mkinitcpio", "-p", "linux"])
    done = run(machine, [A], check_mode=False)
    assert done.after[1].line == "root=/dev/vda2 ro a=1"
    assert host.read("/etc/kernel/cmdline") == b"# the root file system\nroot=/dev/vda2 ro a=1\n"


def test_an_image_of_a_preset_outside_of_the_usual_folder(tmp_path):
    machine = machine_of("uki of mkinitcpio", tmp_path)
    other = f"{ESP}/EFI/BOOT/BOOTX64.EFI"
    _edit(PRESET, f"{ESP}/EFI/Linux/arch-linux-fallback.efi", other)(machine.host)
    machine.host.remove(f"{ESP}/EFI/Linux/arch-linux-fallback.efi")
    mkinitcpio(machine.host, ["mkinitcpio", "-p", "linux"])
    before = machine.host.tree()
    assert other in [entry.id for entry in run(machine, [A], check_mode=True).after]

    def fail(host, argv):
        mkinitcpio(host, argv)
        host.put("/boot/initramfs-linux.img.tmp", "half of the fi")
        return 1, "", "no"

    machine.host.programs["mkinitcpio"] = fail
    with pytest.raises(BootLoaderError, match="Everything is as it was before"):
        run(machine, [A], check_mode=False)
    assert machine.host.tree() == before


PRESETS_OF_OTHERS = (
    "exit 3\n",
    "PRESETS=('default)\n",
    "PRESETS=(default)\ndefault_image=/boot/initramfs.img\n",
    "PRESETS=(default)\ndefault_uki=/boot/efi/EFI/Linux/not-made-yet.efi\n",
    "PRESETS=()\n",
    "",
)


@pytest.mark.parametrize("preset", PRESETS_OF_OTHERS)
def test_a_preset_that_makes_no_image_of_the_host_is_no_matter(preset, tmp_path):
    machine = machine_of("uki", tmp_path)
    machine.host.put(PRESET, preset)
    assert not run(machine, [Parameter("quiet")], check_mode=False).changed
    assert run(machine, [A], check_mode=False).changed
    assert ["kernel-install", "kernel-install"] == [os.path.basename(argv[0]) for argv in machine.host.commands]


def test_the_first_file_of_settings_counts_and_drop_ins_come_later(tmp_path):
    machine = machine_of("uki", tmp_path)
    host = machine.host
    host.put("/usr/lib/kernel/install.conf", "uki_generator=mkinitcpio\n")
    assert run(machine, [A], check_mode=True).changed
    host.put("/usr/lib/kernel/install.conf.d/1.conf", "layout=bls\n")
    with pytest.raises(BootLoaderError, match="set layout=uki"):
        run(machine, [A], check_mode=True)
    host.put("/etc/kernel/install.conf.d/1.conf", "\n")
    assert run(machine, [A], check_mode=True).changed


def test_kernel_install_has_mkinitcpio_make_the_images(tmp_path):
    machine = machine_of("uki", tmp_path)
    host = machine.host
    host.put("/etc/kernel/install.conf", "layout=uki\nuki_generator=mkinitcpio\n")
    host.put("/etc/cmdline.d/1.conf", "b=2\n")
    host.put("/usr/sbin/mkinitcpio", "", mode=0o755)
    for kernel in KERNELS:
        host.put(f"{ESP}/EFI/Linux/token-{kernel}.efi", uki(line_of_mkinitcpio(host)))
    host.programs["kernel-install"] = lambda host, argv: host.put(
        f"{ESP}/EFI/Linux/token-{argv[2]}.efi", uki(line_of_mkinitcpio(host))
    )
    before = host.tree()
    outcome = run(machine, [A], check_mode=False)
    assert [entry.line for entry in outcome.after] == ["root=/dev/vda2 ro quiet b=2 a=1"] * 3
    assert [argv[1] for argv in host.commands] == ["add", "add"]
    run(machine, [Parameter("a", present=False)], check_mode=False)
    assert host.tree() == before


def test_kernel_install_without_a_file_gets_one_that_goes_again(tmp_path):
    host = MACHINES["systemd-boot"](tmp_path)
    host.remove("/etc/kernel/cmdline")
    before = host.tree()
    machine = choose(host, "auto")[0]
    run(machine, [A], check_mode=False)
    assert host.text("/etc/kernel/cmdline") == "root=/dev/vda2 ro quiet a=1\n"
    outcome = run(machine, [Parameter("a", present=False)], check_mode=False)
    assert host.tree() == before
    assert "before the next reboot" in outcome.notes[0]


@pytest.mark.parametrize("name", ["systemd-boot", "grub_bls"])
def test_absent_makes_no_file_for_later_kernels(name, tmp_path):
    host = MACHINES[name](tmp_path)
    host.remove("/etc/kernel/cmdline")
    before = host.tree()
    assert not run(choose(host, "auto")[0], [Parameter("a", present=False)], check_mode=False).changed
    assert host.tree() == before


@pytest.mark.parametrize(
    ("running", "made"), [("root=/dev/vda2 ro quiet a=1", False), ("root=/dev/vda2 ro quiet", True)]
)
def test_a_running_kernel_that_has_them_hands_them_on_to_later_ones(running, made, tmp_path):
    """kernel-install takes the running kernel's line where there is no file. In an image, that is another machine's."""
    host = MACHINES["systemd-boot"](tmp_path)
    run(choose(host, "auto")[0], [A], check_mode=False)
    host.remove("/etc/kernel/cmdline")
    host.put("/proc/cmdline", f"{running}\n")
    loader = choose(RunningBootHost(tmp_path), "auto")[0]
    assert run(loader, [A], check_mode=False).changed == made == host.exists("/etc/kernel/cmdline")
    host.remove("/etc/kernel/cmdline")
    assert run(choose(host, "auto")[0], [A], check_mode=False).changed


def test_grub_bls_without_a_file_for_later_kernels_gets_one_that_goes_again(tmp_path):
    host = MACHINES["grub_bls"](tmp_path)
    host.remove("/etc/kernel/cmdline")
    before = host.tree()
    machine = choose(host, "auto")[0]
    outcome = run(machine, [Parameter("a", "x;y")], check_mode=False)
    assert host.text("/etc/kernel/cmdline") == 'root=/dev/vda2 ro rhgb quiet a="x;y"\n'
    assert ("kernels installed later", "root=/dev/vda2 ro rhgb quiet a=x;y") in lines(outcome)
    assert not run(machine, [Parameter("a", "x;y")], check_mode=False).changed
    outcome = run(machine, [Parameter("a", present=False)], check_mode=False)
    assert host.tree() == before
    assert "before the next reboot" in outcome.notes[0]


def test_grub_bls_entries_with_kernelopts_need_no_file_for_later_kernels(tmp_path):
    host = MACHINES["grub_bls of RHEL 8"](tmp_path)
    assert run(choose(host, "auto")[0], [Parameter("a", "x  y")], check_mode=False).changed
    assert not host.exists("/etc/kernel/cmdline")


def test_letters_of_utf_8_split_no_row(tmp_path):
    """One of their bytes is the line end U+0085 or the blank U+00A0 in Latin-1."""
    letters = (
        "\N{GREEK CAPITAL LETTER EPSILON}\N{LATIN CAPITAL LETTER A WITH RING ABOVE}\N{LATIN SMALL LETTER A WITH GRAVE}"
    )
    grub = MACHINES["grub"](tmp_path / "grub")
    text = grub.text("/boot/grub/grub.cfg").replace("with ", f"{letters} ".encode().decode("latin-1"))
    grub.put("/boot/grub/grub.cfg", text)
    assert len(choose(grub, "auto")[0].read()) == 2 * len(KERNELS) + 2

    systemd = MACHINES["systemd-boot"](tmp_path / "systemd-boot")
    line = f"root=/dev/vda2 ro label={letters} quiet".encode()
    systemd.put("/etc/kernel/cmdline", b"# " + letters.encode() + b"\n" + line + b"\n")
    assert choose(systemd, "auto")[0].read()[-1].line == line.decode("latin-1")
    run(choose(systemd, "auto")[0], [A], check_mode=False)
    assert systemd.read("/etc/kernel/cmdline").splitlines()[1:] == [line + b" a=1"]


def test_links_are_followed_within_the_root(tmp_path):
    host = MACHINES["raspberry-pi"](tmp_path)
    os.rename(host.real("/boot/firmware"), host.real("/boot/real"))
    os.symlink("/boot/real", host.root + "/boot/firmware")
    run(choose(host, "auto")[0], [A], check_mode=False)
    assert host.text("/boot/real/cmdline.txt").endswith(" a=1\n")
    assert os.path.islink(host.root + "/boot/firmware")


def test_owner_and_mode_of_a_file_stay(tmp_path):
    host = MACHINES["raspberry-pi"](tmp_path)
    path = host.real("/boot/firmware/cmdline.txt")
    os.chmod(path, 0o640)
    run(choose(host, "auto")[0], [A], check_mode=False)
    assert os.stat(path).st_mode & 0o777 == 0o640
    assert [name for name in os.listdir(os.path.dirname(path)) if name.startswith(".")] == []


def test_sections_of_a_pe_file():
    assert section(uki("ro quiet"), ".cmdline") == b"ro quiet"
    assert section(uki("ro"), ".initrd") is None
    with pytest.raises(PeError, match="cut off"):
        section(uki("ro")[:-512], ".cmdline")


@pytest.mark.parametrize(
    ("value", "after"),
    [
        pytest.param("ro", """ro a="x y" b=it's""", id="bare stays bare"),
        pytest.param('"ro"', """ro a="x y" b=it's""", id="both kinds of quotes in a line that had one"),
    ],
)
def test_zipl_has_bare_values_with_any_quotes(value, after, tmp_path):
    host = MACHINES["zipl"](tmp_path)
    text = host.text("/etc/zipl.conf").replace('"root=/dev/dasda1 ro"', value)
    host.put("/etc/zipl.conf", text)
    run(choose(host, "auto")[0], [Parameter("a", "x y"), Parameter("b", "it's")], check_mode=False)
    assert host.text("/etc/zipl.conf") == text.replace(value, after)


@pytest.mark.parametrize("value", ['"root=/dev/dasda1 ro"', "'root=/dev/dasda1 ro'", "root=/dev/dasda1 ro"])
def test_zipl_keeps_the_quotes_that_stand_there(value, tmp_path):
    host = MACHINES["zipl"](tmp_path)
    text = host.text("/etc/zipl.conf").replace('"root=/dev/dasda1 ro"', value)
    host.put("/etc/zipl.conf", text)
    run(choose(host, "auto")[0], [A], check_mode=False)
    assert host.text("/etc/zipl.conf") == text.replace("1 ro", "1 ro a=1")
    run(choose(host, "auto")[0], [Parameter("a", present=False)], check_mode=False)
    assert host.text("/etc/zipl.conf") == text


def test_zipl_entries_of_later_kernels_have_them_too(tmp_path):
    host = MACHINES["zipl"](tmp_path)
    put_entry_of_zipl(host)
    before = host.tree()
    foretold = run(choose(host, "auto")[0], [A], check_mode=True)
    done = run(choose(host, "auto")[0], [A], check_mode=False)
    assert lines(done) == lines(foretold) and ("kernels installed later", "root=/dev/dasda1 ro a=1") in lines(done)
    assert host.text("/etc/kernel/cmdline") == "root=/dev/dasda1 ro a=1\n"
    assert not run(choose(host, "auto")[0], [A], check_mode=False).changed
    run(choose(host, "auto")[0], [Parameter("a", present=False)], check_mode=False)
    assert host.tree() == before


def test_zipl_sections_without_a_kernel_have_no_line(tmp_path):
    host = MACHINES["zipl"](tmp_path)
    host.put("/etc/zipl.conf", f"{host.text('/etc/zipl.conf')}[dump]\ntarget = /boot\ndumpto = /dev/dasdb1\n")
    assert [entry.id for entry in choose(host, "auto")[0].read()] == ["linux"]


def test_raspi_firmware_knows_what_it_added_by_whole_words(tmp_path):
    """ "a" is the package's extra word; " a" is also how "a.b=1" begins."""
    host = MACHINES["raspberry-pi of Debian"](tmp_path)
    host.put("/boot/firmware/cmdline.txt", "console=tty1 a.b=1 rootwait a\n")
    host.put("/etc/default/raspi-extra-cmdline", "a\n")
    machine = choose(host, "auto")[0]
    assert not run(machine, [Parameter("a"), Parameter("a.b", "1")], check_mode=False).changed


def test_raspi_firmware_has_no_entry_for_a_file_that_goes(tmp_path):
    machine = machine_of("raspberry-pi of Debian", tmp_path)
    run(machine, [A], check_mode=False)
    foretold = run(machine, [Parameter("a", present=False)], check_mode=True)
    assert lines(run(machine, [Parameter("a", present=False)], check_mode=False)) == lines(foretold)


def test_raspi_firmware_says_what_it_writes_again(tmp_path):
    machine = machine_of("raspberry-pi of Debian", tmp_path)
    assert run(machine, [Parameter("cma", "128M")], check_mode=False).notes == (
        "the package raspi-firmware adds cma=64M again with the next kernel",
    )


def test_rpm_ostree_quotes_for_grub_what_stands_there_unquoted(tmp_path):
    host = MACHINES["rpm-ostree"](tmp_path)
    host.put("/kargs", "rw\nnetconsole=a;b\nconsole=tty0\nconsole=x;y\nother=c;d")
    parameters = [Parameter("netconsole", "a;b"), Parameter("console", "x;y", unique=False), Parameter("odd;name")]
    outcome = run(choose(host, "auto")[0], parameters, check_mode=False)
    assert host.text("/kargs").split("\n") == [
        *("rw", "console=tty0", "other=c;d"),
        *('netconsole="a;b"', 'console="x;y"', '"odd;name"'),
    ]
    assert outcome.notes == ("GRUB, if it boots this host, ends the line at the unquoted other=c;d",)
    assert not run(choose(host, "auto")[0], parameters, check_mode=False).changed


def test_bootc_quotes_for_grub(tmp_path):
    host = MACHINES["bootc"](tmp_path)
    run(choose(host, "auto")[0], ONE, check_mode=False)
    words = '["netconsole=\\"+@/eth0,@192.0.2.1/;+@/eth0,@192.0.2.2/\\""]'
    assert host.text("/usr/lib/bootc/kargs.d/90-fleet-netconsole.toml") == f"kargs = {words}\n"


@pytest.mark.parametrize(
    ("name", "path", "row"),
    [
        ("grub", "/etc/default/grub", 'GRUB_CMDLINE_LINUX="label=Übung€"\n'),
        ("u-boot-menu", "/etc/default/u-boot", 'U_BOOT_PARAMETERS="ro label=Übung€"\n'),
    ],
)
def test_letters_beyond_ascii_in_settings_of_the_shell(name, path, row, tmp_path):
    host = MACHINES[name](tmp_path)
    host.put(path, row.encode())
    host.programs[next(iter(host.programs))](host, ["program"])
    before = host.tree()
    loader = choose(host, "auto")[0]
    foretold = run(loader, [A], check_mode=True)
    done = run(loader, [A], check_mode=False)
    assert lines(done) == lines(foretold) and all(entry.exact for entry in foretold.after if entry.required is None)
    assert "label=Übung€ a=1" in done.after[0].line.encode("latin-1").decode()
    run(loader, [Parameter("a", present=False)], check_mode=False)
    assert host.tree() == before


def test_bootc_keeps_the_spelling_of_others_words(tmp_path):
    host = MACHINES["bootc"](tmp_path)
    path = "/usr/lib/bootc/kargs.d/10-base.toml"
    host.put(path, 'kargs = ["label=Übung€", "quiet"]\n'.encode())
    run(choose(host, "auto")[0], [Parameter("quiet", present=False)], check_mode=False)
    assert host.read(path).decode() == 'kargs = ["label=Übung€"]\n'


@pytest.mark.parametrize(
    ("name", "path", "before", "after"),
    [
        (
            "bootc",
            "/usr/lib/bootc/kargs.d/10-base.toml",
            '"ro", "--", "a=2"',
            '"ro", "a=1", "b=\\"x;y\\"", "--", "a=2"',
        ),
        ("grub_bls", ENTRY, "options ro -- a=2", 'options ro a=1 b="x;y" -- a=2'),
        ("grub_bls of RHEL 8", GRUBENV, "kernelopts=ro -- a=2", 'kernelopts=ro a=1 b="x;y" -- a=2'),
        ("grub_bls of RHEL 8", GRUBENV, "kernelopts=-- a=2", 'kernelopts=a=1 b="x;y" -- a=2'),
    ],
)
def test_new_parameters_stand_in_front_of_what_goes_to_init(name, path, before, after, tmp_path):
    host = MACHINES[name](tmp_path)
    row = next(
        row
        for row in host.text(path).split("\n")
        if row.startswith(before.split("=")[0].split(" ")[0]) or "kargs" in row
    )
    host.put(path, host.text(path).replace(row, f"kargs = [{before}]" if name == "bootc" else before))
    if path == GRUBENV:
        host.put(path, host.text(path).rstrip("#").ljust(1024, "#"))
    original = host.tree()
    parameters = [A, Parameter("b", "x;y")]
    run(choose(host, "auto")[0], parameters, check_mode=False)
    assert (f"kargs = [{after}]" if name == "bootc" else after) in host.text(path).split("\n")
    run(choose(host, "auto")[0], absent(parameters), check_mode=False)
    if "=-- " not in before:  # the blank in front of it
        assert host.tree() == original


@pytest.mark.parametrize(("machine", "name"), [("x86_64", "x86_64"), ("ppc64le", "powerpc64"), ("s390x", "s390x")])
def test_bootc_leaves_the_files_of_other_machines_out(machine, name, tmp_path, monkeypatch):
    host = MACHINES["bootc"](tmp_path)
    host.remove("/usr/lib/bootc/kargs.d/10-base.toml")
    for number, other in enumerate((name, "other")):
        path = f"/usr/lib/bootc/kargs.d/{number}.toml"
        host.put(path, f'kargs = ["a={number}"]\nmatch-architectures = ["riscv64", "{other}"]\n')
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", "6", "1", machine)))
    loader = choose(host, "auto")[0]
    assert [entry.line for entry in loader.read()] == ["a=0"]
    run(loader, [Parameter("a", present=False)], check_mode=False)
    assert host.text("/usr/lib/bootc/kargs.d/1.toml").startswith('kargs = ["a=1"]\n')
