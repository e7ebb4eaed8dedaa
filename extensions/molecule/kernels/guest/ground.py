# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One guest as a place to try the engine: devices, receivers, the kernel's log, and a fresh start for each check."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import (
    ROOT,
    SWITCHES,
    Configfs,
    Files,
    TargetState,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._desired import host_network
from ansible_collections.fleet.netconsole.plugins.module_utils._reconcile import Applied, Plan
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.random_declarations import (
    DEVICES,
    NEIGHBOUR_MAC,
    BootStart,
    Device,
    Host,
    Offer,
)
from kernels.guest.wire import Datagram, Wire

PARAMETER_FILE = "/etc/modprobe.d/netconsole-kernels.conf"
PANIC = "/proc/sys/kernel/panic"
PRINTK = "/proc/sys/kernel/printk"

NC0, NC1 = DEVICES
RECEIVER, RECEIVER6 = "203.0.113.10", "2001:db8:a::10"


class WrongError(Exception):
    """A check found the kernel or the engine to be otherwise than it has to be."""


def must(fact: object, what: str) -> None:
    if not fact:
        raise WrongError(what)


def shell(command: str) -> str:
    """Run a line in the shell; raise WrongError where it fails."""
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    must(done.returncode == 0, f"{command}: {done.stdout.strip()}")
    return done.stdout


class Ground:
    """The guest."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.files = Files()
        self.version = tuple(int(part) for part in os.uname().release.split("-")[0].split("~")[0].split(".")[:2])
        self.number = 0
        for module in ("configfs", "tun"):
            shell(f"modprobe {module} || grep -q {module} /lib/modules/$(uname -r)/modules.builtin")
        if not Configfs().mounted():
            Configfs().mount()
        self.files.write("/proc/sys/kernel/printk_devkmsg", "on\n")
        shell("ip link delete kb0 2>/dev/null || true")  # left by a run that was cut off
        self.unplug = {device.name: self.plug(device) for device in DEVICES}
        self.offer = self._offer()

    # -- devices ----------------------------------------------------------------------------------------------------

    def plug(self, device: Device, *, name: str = "") -> Any:
        """Make a device with its addresses, and with neighbours that need not be asked for."""
        name = name or device.name
        unplug = self.wire.plug(name)
        self.address(device, name)
        return unplug

    def address(self, device: Device, name: str) -> None:
        lines = [f"ip link set {name} up", f"ip address replace {device.addresses[0]}/25 dev {name}"]
        lines += [f"ip address replace {device.addresses[1]}/64 dev {name} nodad"]
        lines += [
            f"ip neighbour replace {receiver} lladdr {NEIGHBOUR_MAC} nud permanent dev {name}"
            for receiver in device.receivers
        ]
        shell(" && ".join(lines))

    # -- the kernel -------------------------------------------------------------------------------------------------

    def fresh(self, parameter: str = "", *, console_loglevel: int = 7, panic: int = 0) -> None:
        """No target at all but those of the module's parameter, and every device."""
        for device in DEVICES:
            if not os.path.exists(f"/sys/class/net/{device.name}"):
                self.unplug[device.name] = self.plug(device)
        for name in self.configfs_names():
            Configfs().remove(name)
        shell("modprobe -r netconsole")
        with open(PARAMETER_FILE, "w", encoding="utf-8") as options:
            options.write(f'options netconsole netconsole="{parameter}"\n' if parameter else "")
        shell("modprobe netconsole")
        self.files.write(PRINTK, f"{console_loglevel}\n")
        self.files.write(PANIC, f"{panic}\n")
        self.wire.forget()

    def configfs_names(self) -> list[str]:
        return self.files.names(ROOT) if self.files.is_directory(ROOT) else []

    def say(self, text: str, count: int = 1) -> list[Datagram]:
        """Write a message into the kernel's log and return what arrives of it, at every receiver."""
        self.number += 1
        marker = f"kernels-{os.getpid()}-{self.number}-"  # boot targets send older lines, too
        with open("/dev/kmsg", "wb", buffering=0) as log:
            log.write(f"<0>{marker}{text}\n".encode())  # without a line feed the kernel would wait for more of it
        return self.wire.await_heard(marker, count)

    def _offer(self) -> Offer:
        """What this kernel has, by its own files, without the engine."""
        self.fresh()
        probe = f"{ROOT}/probe"
        os.mkdir(probe)
        names, userdata = os.listdir(probe), 0
        switches = False
        if "userdata" in names:
            userdata = 256 if self.version >= (6, 19) else 16
            switches = SWITCHES[0] in os.listdir(f"{probe}/userdata")
        os.rmdir(probe)
        return Offer(
            release="release" in names,
            userdata_keys=userdata,
            switches=switches,
            boot_targets=self.version >= (6, 12),
            late_panic=self.version >= (7, 0),
            siblings_stop=self.version < (6, 1),
        )

    def host(self, **changed: Any) -> Host:
        """This guest for the engine, with its real network."""
        values: dict[str, Any] = {
            "files": self.files,
            "network": host_network(),
            "offer": self.offer,
            "silent": self.silent,
            "panic": lambda: int(self.files.read(PANIC)),
        }
        return Host(**{**values, **changed})

    def silent(self, states: Iterable[TargetState], boot: Iterable[BootStart] = ()) -> list[str]:
        """Those of the targets of which nothing arrives; and what arrives that nobody is to send.

        The targets of the boot parameter send without being seen in configfs until somebody asks for them.
        """
        unseen = [
            (one.device, one.local_ip, one.local_port, one.remote_ip, one.remote_port, NEIGHBOUR_MAC) for one in boot
        ]
        sending: dict[tuple[object, ...], list[str]] = {}
        for state in states:
            if state.enabled:
                names = ("dev_name", "local_ip", "local_port", "remote_ip", "remote_port", "remote_mac")
                sending.setdefault(tuple(state.attributes[name] for name in names), []).append(state.name)
        wanted = sum(map(len, sending.values()))
        for datagram in self.say("who sends", wanted):
            key = (
                datagram.device,
                datagram.source,
                datagram.source_port,
                datagram.destination,
                datagram.destination_port,
                datagram.destination_mac,
            )
            names_left = sending.setdefault(key, [])
            if not names_left and key in unseen:
                unseen.remove(key)
                continue
            if not names_left:
                return [f"nobody's: {datagram}"]
            names_left.pop()
        return [name for names in sending.values() for name in names]

    # -- the engine -------------------------------------------------------------------------------------------------

    def run(self, *targets: Mapping[str, Any], **options: Any) -> tuple[Plan, Applied]:
        """One run of the engine, which must have been foretold exactly and must have nothing left to do."""
        host = self.host()
        declaration = {"targets": list(targets), **options}
        planned, applied = host.run(declaration)
        must(not applied.failures, f"failures: {applied.failures}")
        must(applied.diff(planned) == planned.diff(), f"foretold {planned.diff()}, done {applied.diff(planned)}")
        again = host.plan(declaration)
        must(not again.actions, f"a second run would: {'; '.join(map(str, again.actions))}")
        return planned, applied

    def state(self, name: str) -> TargetState:
        state = Configfs().target(name)
        must(state is not None, f"there is no target {name}")
        assert state is not None
        return state


def only(datagrams: list[Datagram]) -> Datagram:
    """The one datagram that has to be there."""
    must(len(datagrams) == 1, f"{len(datagrams)} datagrams instead of one: {[item.text for item in datagrams]}")
    return datagrams[0]


@contextlib.contextmanager
def refused(words: str) -> Iterator[None]:
    """What is inside has to be refused with these words."""
    try:
        yield
    except WrongError:
        raise
    except Exception as error:
        must(words in str(error), f"refused, but not with {words!r}: {error}")
        return
    raise WrongError(f"not refused with {words!r}")


def in_child(work: Callable[[], object]) -> int:
    """Run something in a child of its own; its status, 0 for success, negative for a signal."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 99
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _child, status = os.waitpid(child, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def soon(what: str, holds: Any, seconds: float = 5) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        must(time.monotonic() < end, f"not within {seconds} s: {what}")
        time.sleep(0.05)
