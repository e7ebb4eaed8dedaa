# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernels' own faults: each is shown on a kernel that has it, and does no harm through our engine."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import ROOT
from kernels.guest.ground import NC0, NC1, RECEIVER, RECEIVER6, Ground, must, only, refused, shell
from kernels.guest.selftests import BOOT, LOG1

Check = Callable[[Ground], None]


def checks(ground: Ground) -> Iterator[tuple[str, Check]]:
    yield "fault: what stopping a target by hand does to its siblings is known", siblings_by_hand
    yield "fault: stopping, changing and removing a target leaves its siblings sending", siblings_send_on
    yield "fault: a device that is down stays down, and a sibling on it sends once it is up", down_stays_down
    yield "fault: an address that old kernels misread is refused and never stored", misread
    yield "fault: a failed write that changed the value all the same is put right", failed_write
    yield "fault: from IPv6 to IPv4 and back", families
    yield "fault: a stale local_ip is replaced when the interface's address changed", stale_source
    yield "fault: a device name that is too long is refused and not cut", long_name
    yield "fault: looking for boot targets makes none and harms none", looking
    if ground.offer.boot_targets:
        yield "fault: a boot target that is dead although modprobe succeeded is replaced by one that sends", dead
    if ground.offer.userdata_keys:
        yield "fault: a value is cleared by a line break, since an empty write changes nothing", cleared


def _by_hand(name: str, attribute: str, text: str) -> str:
    """Write as somebody at a shell would; the kernel's answer in words, "" for none."""
    try:
        with open(f"{ROOT}/{name}/{attribute}", "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        return str(error)
    return ""


def _siblings(ground: Ground) -> None:
    ground.fresh()
    ground.run(LOG1, {"name": "theirs", "remote_ip": RECEIVER, "remote_port": 6667})
    must(len(ground.say("both", 2)) == 2, "the two do not send to begin with")


def siblings_by_hand(ground: Ground) -> None:
    _siblings(ground)
    _by_hand("log1", "enabled", "0\n")
    must(ground.state("theirs").enabled, "the sibling reads as switched off")
    silent = not ground.say("who is left")
    must(silent == _silences(os.uname().version), f"the sibling is {'silent' if silent else 'sending'}")


# Updates of Debian's kernels that are known to be without the fault, which upstream went with 6.18.
_MENDED = {(5, 10): 262, (6, 1): 159, (6, 12): 63}


def _silences(build: str) -> bool:
    """Whether a kernel is known to have the fault, by its build (``#1 SMP Debian 5.10.223-1 ...``)."""
    match = re.search(r"Debian (\d+)\.(\d+)\.(\d+)", build)
    must(match, f"no kernel of Debian's: {build}")
    assert match is not None
    major, minor, update = map(int, match.groups())
    return (major, minor) < (6, 18) and update < _MENDED.get((major, minor), 1 << 16)


def siblings_send_on(ground: Ground) -> None:
    _siblings(ground)
    for what, target in (
        ("changed", {**LOG1, "local_port": 1}),
        ("stopped", {**LOG1, "enabled": False}),
        ("enabled", LOG1),
        ("removed", {"name": "log1", "state": "absent"}),
    ):
        ground.run(target)
        ports = sorted(heard.destination_port for heard in ground.say(what, 2))
        must(6667 in ports, f"{what}: the sibling fell silent")


def down_stays_down(ground: Ground) -> None:
    """What helps a sibling elsewhere, switching it off and on, would bring the device up."""
    _siblings(ground)
    other = {"name": "log1", "remote_ip": NC1.receivers[0]}
    try:
        shell(f"ip link set {NC0.name} down")
        _planned, applied = ground.run(other)
        must(not int(_flags(NC0.name), 16) & 1, f"{NC0.name} was brought up: {'; '.join(map(str, applied.actions))}")
        must(ground.state("log1").dev_name == NC1.name, "the target has not moved")
    finally:
        ground.address(NC0, NC0.name)
    ground.run(other)
    ports = sorted(heard.destination_port for heard in ground.say("up again", 2))
    must(6667 in ports, "the sibling is silent")


def _flags(dev_name: str) -> str:
    with open(f"/sys/class/net/{dev_name}/flags", encoding="ascii") as file:
        return file.read()


def misread(ground: Ground) -> None:
    ground.fresh()
    ground.run(LOG1)
    was = ground.state("log1")
    for text in ("192.0.2.300", "1.2.3.4/24", "10.0.2", "0x0a000202"):
        with refused(text):
            ground.run({**LOG1, "remote_ip": text})
        must(ground.state("log1") == was, f"{text} was stored")
    os.mkdir(f"{ROOT}/raw")
    answer = _by_hand("raw", "remote_ip", "192.0.2.300\n")
    stored = ground.state("raw").attributes["remote_ip"]
    if ground.version < (7, 0):
        must((answer, stored) == ("", "192.0.3.44"), f"this kernel does not misread it: {answer or stored}")
    else:
        must(answer, "this kernel misreads it, too")
    os.rmdir(f"{ROOT}/raw")


def failed_write(ground: Ground) -> None:
    ground.fresh()
    target = {"name": "log1", "remote_ip": RECEIVER6}
    ground.run({**target, "enabled": False})
    must(_by_hand("log1", "remote_ip", "2001:db8::1/64\n"), "the kernel takes a prefix length")
    must(ground.state("log1").attributes["remote_ip"] == "2001:db8::1", "the failed write changed nothing here")
    ground.run(target)
    only(ground.say("put right"))


def families(ground: Ground) -> None:
    ground.fresh()
    for receiver in (RECEIVER6, RECEIVER, RECEIVER6, RECEIVER):
        ground.run({"name": "log1", "remote_ip": receiver})
        must(only(ground.say("family")).destination == receiver, f"not at {receiver}")


def stale_source(ground: Ground) -> None:
    ground.fresh()
    ground.run(LOG1)
    own, other = f"{NC0.addresses[0]}/25", "203.0.113.16/25"
    shell(f"ip address delete {own} dev {NC0.name} && ip address add {other} dev {NC0.name}")
    try:
        shell(f"ip neighbour replace {RECEIVER} lladdr 52:54:00:00:00:fe nud permanent dev {NC0.name}")
        must(only(ground.say("stale")).source == NC0.addresses[0], "the kernel follows the address by itself")
        ground.run(LOG1)
        must(only(ground.say("new")).source == "203.0.113.16", "it still comes from the old address")
    finally:
        shell(f"ip address delete {other} dev {NC0.name}")
        ground.address(NC0, NC0.name)


def long_name(ground: Ground) -> None:
    ground.fresh()
    with refused("is no interface name"):
        ground.run({**LOG1, "dev_name": "a" * 16})
    must(ground.configfs_names() == [], "the refusal left something")


def looking(ground: Ground) -> None:
    """On every kernel: by /etc/modprobe.d two boot targets may exist, and one was made."""
    ground.fresh(BOOT.format(NC0.name))
    with open("/etc/modprobe.d/netconsole-kernels.conf", "w", encoding="utf-8") as options:
        options.write(f"options netconsole netconsole={BOOT.format(NC0.name)};{BOOT.format('gone0')}\n")
    other = {"name": "log2", "remote_ip": RECEIVER, "remote_port": 7000}
    ground.host().plan({"targets": [other]})
    ground.host().plan({"targets": [other], "purge": True})
    must(ground.configfs_names() in ([], ["cmdline0"]), f"looking made {ground.configfs_names()}")
    must(only(ground.say("after the look")).destination_port == 6666, "the boot target is harmed")


def dead(ground: Ground) -> None:
    ground.fresh(BOOT.format("gone0"))
    must(not ground.say("dead"), "it sends although its device is not there")
    ground.run(LOG1)
    must(only(ground.say("alive")).device == NC0.name, "not by the device")
    must(ground.configfs_names() == ["log1"], f"left: {ground.configfs_names()}")


def cleared(ground: Ground) -> None:
    ground.fresh()
    ground.run({**LOG1, "userdata": {"key": "value"}})
    descriptor = os.open(f"{ROOT}/log1/userdata/key/value", os.O_WRONLY)
    try:
        os.write(descriptor, b"")
    except OSError as error:  # some kernels say so, others do nothing without a word
        must(error.errno == errno.EFAULT, str(error))
    finally:
        os.close(descriptor)
    must(ground.state("log1").userdata == {"key": "value"}, "an empty write does clear here")
    ground.run({**LOG1, "userdata": {"key": ""}})
    must(only(ground.say("cleared")).text.endswith("cleared\n"), "it is still sent")
