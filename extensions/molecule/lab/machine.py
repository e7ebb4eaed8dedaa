# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, await, change, reboot and end one virtual machine (qemu, without root)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from lab import process as processes
from lab.guests import Machine
from lab.images import unpack_kernel_file
from lab.inventory import copy_command, ssh_command
from lab.loaders import LOADERS, OVMF_VARIABLES
from lab.process import LabError, run, tail
from lab.qmp import monitor
from lab.state import Record, State

PROGRAM = "qemu-system-x86_64"

BOOT_LIMIT = 1800.0
"""Seconds that a guest may take until it is ready: several times what it takes on two slow and busy cores."""

VARIABLES = "uefi-variables"
"""File in a machine's folder: what its UEFI firmware remembers."""

TRANSLATED = 256
"""MiB for translated code without KVM. qemu's own default, 1 GiB, would be twice what the guest itself has."""


def kvm_works(cpuinfo: Path = Path("/proc/cpuinfo"), device: Path = Path("/dev/kvm")) -> bool:
    """Whether to use KVM: the processor has it (a /dev/kvm alone may hang a guest) and the device can be opened."""
    flags = cpuinfo.read_text(encoding="utf-8").split()
    if "vmx" not in flags and "svm" not in flags:
        return False
    try:
        os.close(os.open(device, os.O_RDWR))
    except OSError:
        return False
    return True


def kernel_command_line(machine: Machine, further: Sequence[str] = ()) -> str:
    """What the guest is told at boot: its disk, its console, its name, its addresses and further words."""
    words = [
        "root=/dev/vda",
        "rw",
        "console=ttyS0",
        "net.ifnames=0",
        "mitigations=off",
        "audit=0",
        "fsck.mode=skip",
        "systemd.condition_needs_update=no",
        "systemd.show_status=no",
        f"systemd.hostname={machine.name}",
    ]
    for number, link in enumerate(machine.links, start=1):
        words.append(f"lab.eth{number}={','.join((*link.addresses, *(f'via:{gateway}' for gateway in link.via)))}")
    return " ".join((*words, *machine.words, *further))


def accelerator(*, kvm: bool) -> list[str]:
    """qemu's options for the processor."""
    # A plain processor boots faster than -cpu max when it is emulated: the guest does not choose AVX code then.
    if kvm:
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", f"tcg,thread=multi,tb-size={TRANSLATED}", "-cpu", "Nehalem"]


def clock_words(*, kvm: bool) -> list[str]:
    """Kernel words for the clock."""
    # The emulated TSC is calibrated while others use the processor, and drifts; the HPET is the host's own clock. And a
    # kernel gives up when the timer does not tick while it looks, which is no wonder on a busy host.
    return [] if kvm else ["clocksource=hpet", "no_timer_check"]


def _nic(machine: Machine, number: int) -> dict[str, str]:
    """qemu's device of ethN, which its monitor takes too."""
    name = f"eth{number}"
    return {"driver": "virtio-net-pci", "id": f"nic-{name}", "netdev": name, "mac": machine.mac(number), "romfile": ""}


def _nic_option(machine: Machine, number: int) -> list[str]:
    driver, *properties = _nic(machine, number).items()
    return ["-device", ",".join((driver[1], *(f"{name}={value}" for name, value in properties)))]


def command(
    machine: Machine, state: State, boot: Path, port: int, *, kvm: bool, further: Sequence[str] = ()
) -> list[str]:
    """The qemu command of a machine. `boot` is the folder of its kernel and initrd, `further` are kernel words."""
    if machine.loader:
        start = LOADERS[machine.loader].firmware_options(boot / VARIABLES)
    else:
        line = kernel_command_line(machine, (*further, *clock_words(kvm=kvm)))
        start = ["-kernel", str(boot / "kernel"), "-initrd", str(boot / "initrd"), "-append", line]
    words = [
        PROGRAM,
        *("-name", state.marker(machine.name)),
        *accelerator(kvm=kvm),
        *("-smp", "1", "-m", str(machine.memory)),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-serial", f"file:{state.log(machine.name, 'console')}"),
        *("-qmp", f"unix:{_monitor(machine.name, state)},server=on,wait=off"),
        *start,
        *("-drive", f"file={state.folder / machine.name / 'disk.qcow2'},if=none,id=disk,cache=unsafe"),
        # After the kernel that qemu itself may start, which has the index 0.
        *("-device", "virtio-blk-pci,drive=disk,bootindex=1"),
        *("-device", "virtio-rng-pci"),
        *("-netdev", f"user,id=eth0,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *_nic_option(machine, 0),
    ]
    for number, link in enumerate(machine.links, start=1):
        words += ["-netdev", f"stream,id=eth{number},addr.type=unix,addr.path={state.segment(link.segment)}"]
        words += _nic_option(machine, number)
    return words


def start(machine: Machine, state: State, image: Path) -> int:
    """Start a machine on a fresh disk over its image; its ssh port. When it can be used, await_ready() knows."""
    folder = state.folder / machine.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    disk = folder / "disk.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image / "disk.img", "-F", "raw", disk])
    if not machine.loader:
        for old in (image / "kernel", image / "initrd"):
            (folder / old.name).symlink_to(old)
    elif LOADERS[machine.loader].uefi:
        shutil.copy(OVMF_VARIABLES, folder / VARIABLES)
    for log in state.folder.glob(f"logs/{machine.name}.console*"):
        log.unlink()
    for _attempt in range(3):
        port = _free_port()
        if _started(machine, state, port):
            return port
    raise LabError(f"{machine.name}: no port of 127.0.0.1 is free for long enough")


def _started(machine: Machine, state: State, port: int, further: Sequence[str] = ()) -> bool:
    """Start qemu on the machine's disk; False when somebody else has taken the port."""
    log = state.log(machine.name, "qemu")
    boot = state.folder / machine.name
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command(machine, state, boot, port, kvm=kvm_works(), further=further),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        return True
    if b"forwarding" in log.read_bytes():
        return False
    raise LabError(f"{machine.name}: qemu ended at once:\n{tail(log)}")


def _monitor(name: str, state: State) -> Path:
    return state.folder / name / "qmp"


def unplug(machine: Machine, number: int, state: State) -> None:
    """Pull ethN out of the running machine; returns when the guest has let go of it."""
    with monitor(_monitor(machine.name, state)) as qemu:
        qemu.execute("device_del", id=f"nic-eth{number}")
        qemu.wait_for("DEVICE_DELETED", device=f"nic-eth{number}")


def plug(machine: Machine, number: int, state: State) -> None:
    """Put ethN back into the running machine."""
    with monitor(_monitor(machine.name, state)) as qemu:
        qemu.execute("device_add", **_nic(machine, number))


def reset(machine: Machine, record: Record, state: State, further: Sequence[str] = ()) -> None:
    """Power off at once and on again, as somebody does with a machine that hangs: same disk, kernel and initrd."""
    processes.end(record.marker, PROGRAM)
    _boot_again(machine, record, state, further)


def reboot(machine: Machine, record: Record, state: State, further: Sequence[str] = ()) -> None:
    """Shut the guest down in order and start it again: by its own boot loader, or with the newest kernel of its /boot.

    In the second case qemu loads kernel and initrd itself, so they are taken out of the guest first.
    """
    ssh = ssh_command(state.folder, machine.name)
    boot = state.folder / machine.name
    if machine.loader:
        if further:
            raise LabError(f"{machine.name} boots by {machine.loader}: its kernel command line is the loader's affair")
        _shut_down(machine, record, state)
        _boot_again(machine, record, state, ())
        return
    kernel = run([*ssh, "ls -v /boot/vmlinuz-* | tail -n 1"], timeout=300).strip()
    for source, name in ((kernel, "kernel"), (kernel.replace("vmlinuz-", "initrd.img-"), "initrd")):
        run([*copy_command(state.folder), f"{machine.name}:{source}", boot / f"{name}.new"], timeout=300)
    unpack_kernel_file(boot / "kernel.new")
    _shut_down(machine, record, state)
    for name in ("kernel", "initrd"):
        (boot / f"{name}.new").replace(boot / name)
    _boot_again(machine, record, state, further)


def _shut_down(machine: Machine, record: Record, state: State) -> None:
    with monitor(_monitor(machine.name, state)) as qemu:
        qemu.execute("set-action", reboot="shutdown")
        run([*ssh_command(state.folder, machine.name), "systemctl --no-block reboot"], timeout=300)
        qemu.wait_for("SHUTDOWN")
    processes.end(record.marker, PROGRAM)


def _boot_again(machine: Machine, record: Record, state: State, further: Sequence[str]) -> None:
    """Start on the same disk and the same ssh port. The console log of the boot before is kept under a number."""
    console = state.log(machine.name, "console")
    console.rename(console.with_name(f"{console.name}.{1 + len(list(console.parent.glob(f'{console.name}.*')))}"))
    if not _started(machine, state, record.port, further):
        raise LabError(f"{machine.name}: port {record.port} of 127.0.0.1 was taken while the guest was off")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_ready(name: str, record: Record, state: State) -> None:
    """Wait until the guest says on its console that it can be used (recipe/machine/usr/lib/lab/ready)."""
    console = state.log(name, "console")
    deadline = time.monotonic() + BOOT_LIMIT
    while alive(record):
        said = console.read_bytes() if console.exists() else b""
        if b"lab: ready" in said:
            return
        if b"lab: no address" in said:
            raise LabError(f"{name}: an address cannot be used; the end of its console:\n{tail(console)}")
        if time.monotonic() > deadline:
            raise LabError(f"{name}: not ready within {BOOT_LIMIT:.0f} s; the end of its console:\n{tail(console)}")
        time.sleep(0.2)
    raise LabError(f"{name}: qemu ended:\n{tail(state.log(name, 'qemu'))}")


def alive(record: Record) -> bool:
    """Whether the machine's qemu runs."""
    return processes.find(record.marker, PROGRAM) is not None


def end(name: str, record: Record, state: State) -> None:
    """End the machine and drop its disk."""
    processes.end(record.marker, PROGRAM)
    shutil.rmtree(state.folder / name, ignore_errors=True)
