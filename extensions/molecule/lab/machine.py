# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, await and end one virtual machine (qemu, without root)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from lab import process as processes
from lab.guests import Machine
from lab.process import LabError, run, tail
from lab.state import Record, State

PROGRAM = "qemu-system-x86_64"

BOOT_LIMIT = 900.0
"""Seconds that a guest may take until it is ready: several times what it takes on two slow and busy cores."""

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


def kernel_command_line(machine: Machine) -> str:
    """What the guest is told at boot: its disk, its console, its name and its addresses."""
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
    return " ".join(words)


def command(machine: Machine, state: State, image: Path, port: int, *, kvm: bool) -> list[str]:
    """The qemu command of a machine."""
    # A plain processor boots faster than -cpu max when it is emulated: the guest does not choose AVX code then.
    accelerator = (
        ["-accel", "kvm", "-cpu", "host"]
        if kvm
        else ["-accel", f"tcg,thread=multi,tb-size={TRANSLATED}", "-cpu", "Nehalem"]
    )
    # The emulated TSC is calibrated while others use the processor, and drifts; the HPET is the host's own clock.
    clock = "" if kvm else " clocksource=hpet"
    words = [
        PROGRAM,
        *("-name", state.marker(machine.name)),
        *accelerator,
        *("-smp", "1", "-m", str(machine.memory)),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-serial", f"file:{state.log(machine.name, 'console')}"),
        *("-kernel", str(image / "kernel"), "-initrd", str(image / "initrd")),
        *("-append", kernel_command_line(machine) + clock),
        *("-drive", f"file={state.folder / machine.name / 'disk.qcow2'},if=virtio,cache=unsafe"),
        *("-device", "virtio-rng-pci"),
        *("-netdev", f"user,id=eth0,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *("-device", f"virtio-net-pci,netdev=eth0,mac={machine.mac(0)},romfile="),
    ]
    for number, link in enumerate(machine.links, start=1):
        group = state.segment_group(link.segment)
        words += ["-netdev", f"socket,id=eth{number},mcast={group}:{state.segment_port},localaddr=127.0.0.1"]
        words += ["-device", f"virtio-net-pci,netdev=eth{number},mac={machine.mac(number)},romfile="]
    return words


def start(machine: Machine, state: State, image: Path) -> int:
    """Start a machine on a fresh disk over its image; its ssh port. When it can be used, await_ready() knows."""
    folder = state.folder / machine.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    disk = folder / "disk.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image / "disk.img", "-F", "raw", disk])
    log = state.log(machine.name, "qemu")
    for _attempt in range(3):
        port = _free_port()
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command(machine, state, image, port, kvm=kvm_works()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            return port
        if b"forwarding" not in log.read_bytes():
            break
    raise LabError(f"{machine.name}: qemu ended at once:\n{tail(log)}")


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
