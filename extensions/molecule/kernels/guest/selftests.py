# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The items of the kernel's own selftests (tools/testing/selftests/drivers/net/netcons_*.sh), through our engine.

Each check is named after the selftest. Only what this kernel has is checked; a kernel without a feature is checked to
be refused with the reason. netpoll_basic.py has no check: it watches the kernel's own sending under load by bpftrace,
which is neither configuration nor arrival.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import ROOT, SWITCHES, Configfs
from kernels.guest.ground import NC0, NC1, RECEIVER, RECEIVER6, Ground, must, only, refused, shell, soon

Check = Callable[[Ground], None]
LOG1 = {"name": "log1", "remote_ip": RECEIVER}
BOOT = f"6665@{NC0.addresses[0]}/{{}},6666@{RECEIVER}/52:54:00:00:00:fe"


def checks(ground: Ground) -> Iterator[tuple[str, Check]]:
    for family, receiver in (("IPv4", RECEIVER), ("IPv6", RECEIVER6)):
        for extended in ("true", "false"):
            form = "extended" if extended == "true" else "basic"
            yield f"netcons_basic: {form} over {family} arrives", _basic(receiver, extended)
    yield "netcons_cmdline: a boot target by device name sends, and the declaration takes its place", by_name
    if ground.version >= (7, 0) or _has_update(6, 12, 94):
        yield "netcons_cmdline: a boot target by MAC sends, and the declaration takes its place", by_mac
    if ground.offer.userdata_keys:
        yield "netcons_overflow: a target takes as many keys as fit, and one more is refused before", overflow
        yield "netcons_fragmented_msg: a long message with long user data is whole again", _fragmented(release=False)
        yield "netcons_fragmented_msg: the same with the release before it", _fragmented(release=True)
        yield "netcons_userdata: shown, replaced, cleared, removed without a gap", userdata
    else:
        yield "netcons_overflow: user data is refused on a kernel without it", no_userdata
    if ground.offer.switches:
        for switch in SWITCHES:
            yield f"netcons_sysdata: {switch} on and off, alone", _sysdata(switch, {})
            yield f"netcons_sysdata: {switch} on and off, with user data beside it", _sysdata(switch, {"key": "value"})
    yield "netcons_torture: it still sends after toggling, churn, also of user data, and a flapping link", torture
    yield "netcons_resume: a device that vanishes and comes back", resume
    if ground.version >= (7, 0):
        yield "netcons_resume: a boot target by device name is back with the device, also after runs", resume_by_name
        yield "netcons_resume: a boot target by MAC is back with the device, also after runs", resume_by_mac
    yield "netcons_over_bonding: a target on the bond sends, also when a port joins", over_bond
    yield "netcons_over_bonding: a port is refused with the bond's name, released it works", bond_port
    yield "netcons_over_bonding: a target whose device becomes a port stops, and the reason is told", enslaved
    yield "netcons_over_bonding: veth works up to 6.11 and is refused from 6.12 on", veth


def _has_update(major: int, minor: int, update: int) -> bool:
    """Whether this is such a kernel of Debian's, from that stable update on."""
    match = re.search(rf"Debian {major}\.{minor}\.(\d+)", os.uname().version)
    return match is not None and int(match.group(1)) >= update


def _basic(receiver: str, extended: str) -> Check:
    def check(ground: Ground) -> None:
        ground.fresh()
        target: dict[str, Any] = {"name": "log1", "remote_ip": receiver, "extended": extended}
        if ground.offer.userdata_keys:
            target["userdata"] = {"key": "value"}
        ground.run(target)
        heard = only(ground.say("basic"))
        must((heard.device, heard.destination) == (NC0.name, receiver), f"it went {heard}")
        must(heard.source == NC0.own(receiver), f"it came from {heard.source}")
        if extended == "true":
            must(heard.text.split(",", 1)[0].isdigit() and ";kernels-" in heard.text, f"not extended: {heard.text!r}")
            if ground.offer.userdata_keys:
                must(heard.text.endswith("\n key=value\n"), f"no user data: {heard.text!r}")
        else:
            must(heard.text.endswith("-basic\n") and ";" not in heard.text, f"not basic: {heard.text!r}")

    return check


def _cmdline(ground: Ground, parameter: str) -> None:
    """A boot target sends; declared as a target of our own, it is replaced where the kernel lets go of it."""
    ground.fresh(parameter)
    only(ground.say("at boot"))
    if not ground.offer.boot_targets:
        host = ground.host()
        planned, _applied = host.run({"targets": [LOG1]})
        must(any("twice" in warning for warning in planned.warnings), f"no warning of it: {planned.warnings}")
        return
    _planned, applied = ground.run(LOG1)
    must("cmdline0" not in ground.configfs_names(), "cmdline0 is still there")
    must(any(action.target == "cmdline0" for action in applied.actions), f"nothing told of it: {applied.actions}")
    only(ground.say("declared"))


def by_name(ground: Ground) -> None:
    _cmdline(ground, BOOT.format(NC0.name))


def by_mac(ground: Ground) -> None:
    _cmdline(ground, BOOT.format(_mac(ground)))


def _mac(ground: Ground) -> str:
    return ground.files.read(f"/sys/class/net/{NC0.name}/address").strip()


def overflow(ground: Ground) -> None:
    ground.fresh()
    keys = {f"key{number}": str(number) for number in range(ground.offer.userdata_keys)}
    ground.run({**LOG1, "userdata": keys})
    was = Configfs().targets()
    with refused(f"more than the {len(keys)}"):
        ground.run({**LOG1, "userdata": {**keys, "more": ""}})
    must(Configfs().targets() == was, "the refusal changed something")
    try:
        os.mkdir(f"{ROOT}/log1/userdata/more")
    except OSError:
        return
    must(False, "the kernel takes one more: our limit is wrong")


def no_userdata(ground: Ground) -> None:
    ground.fresh()
    with refused("has no userdata"):
        ground.run({**LOG1, "userdata": {"key": "value"}})
    must(ground.configfs_names() == [], "the refusal left something")
    ground.host().run({"targets": [{**LOG1, "userdata": {"key": "value"}}], "missing_capability": "warn"})
    only(ground.say("without"))


def _fragmented(*, release: bool) -> Check:
    def check(ground: Ground) -> None:
        ground.fresh()
        userdata = {f"key{number}": chr(97 + number) * 190 for number in range(5)}
        ground.run({**LOG1, "userdata": userdata, "release": release})
        text = "x" * 850
        heard = only(ground.say(text))
        wanted = text + "\n" + "".join(f" {key}={value}\n" for key, value in userdata.items())
        must(heard.text.endswith(wanted), f"not whole: {heard.text!r}")
        must(heard.text.startswith(os.uname().release + ",") == release, f"the release: {heard.text[:40]!r}")

    return check


def userdata(ground: Ground) -> None:
    ground.fresh()
    ground.run({**LOG1, "userdata": {"rack": "a1", "role": "web"}})
    steps: tuple[tuple[str, dict[str, str], str], ...] = (
        ("replaced", {"rack": "b2", "role": "web"}, " rack=b2\n role=web\n"),
        ("cleared", {"rack": "", "role": "web"}, " role=web\n"),
        ("removed", {"role": "web"}, " role=web\n"),
        ("added", {"role": "web", "zone": "x y"}, " role=web\n zone=x y\n"),
        ("all removed", {}, ""),
    )
    must(only(ground.say("shown")).text.endswith("shown\n rack=a1\n role=web\n"), "it is not shown")
    for what, wanted, lines in steps:
        _planned, applied = ground.run({**LOG1, "userdata": wanted})
        bounced = [str(action) for action in applied.actions if action.kind in ("disable", "enable", "remove")]
        must(applied.actions and not bounced, f"{what}: {bounced}")
        text = only(ground.say(what)).text
        must(text.endswith(f"{what}\n{lines}"), f"{what}: {text!r}")


def _sysdata(switch: str, userdata: dict[str, str]) -> Check:
    lines = "".join(f" {key}={value}\n" for key, value in userdata.items())
    line = {
        "cpu_nr_enabled": r" cpu=\d+\n",
        "taskname_enabled": rf" taskname={re.escape(Path('/proc/self/comm').read_text(encoding='utf-8'))}",
        "release_enabled": rf" release={re.escape(os.uname().release)}\n",
        "msgid_enabled": r" msgid=(\d+)\n",
    }[switch]

    def check(ground: Ground) -> None:
        ground.fresh()
        target = {**LOG1, "userdata": userdata}
        ground.run({**target, switch: False})
        _ends_with(ground, "before", lines)
        _planned, applied = ground.run({**target, switch: True})
        must(all(action.kind != "disable" for action in applied.actions), f"bounced: {applied.actions}")
        first, second = (_ends_with(ground, text, lines + line) for text in ("on", "still on"))
        if switch == "msgid_enabled":
            must(int(first[1]) < int(second[1]), f"message {first[1]} came before {second[1]}")
        ground.run({**target, switch: False})
        _ends_with(ground, "off", lines)

    return check


def _ends_with(ground: Ground, said: str, pattern: str) -> re.Match[str]:
    """Say something. What arrives must have exactly these lines after it."""
    text = only(ground.say(said)).text
    found = re.search(rf"-{said}\n{pattern}\Z", text)
    must(found, f"{said}: {text!r} does not end with {pattern!r}")
    assert found is not None
    return found


def torture(ground: Ground) -> None:
    ground.fresh()
    shell("dmesg --clear || dmesg -c > /dev/null")
    over = threading.Event()

    def chatter() -> None:
        with open("/dev/kmsg", "wb", buffering=0) as log:
            while not over.wait(0.005):
                log.write(b"<5>torture\n")

    talker = threading.Thread(target=chatter)
    talker.start()
    try:
        host = ground.host()
        for number in range(8):
            log1 = {**LOG1, **_changing_userdata(ground, number)}
            host.run({"targets": [log1, {"name": "log2", "remote_ip": NC1.receivers[0]}]})
            host.run({"targets": [{**LOG1, **_changing_userdata(ground, number + 1)}]})  # while it sends
            host.run({"targets": [{**log1, "enabled": False}, {"name": "log2", "state": "absent"}]})
            if number % 2:
                shell(f"ip link set {NC0.name} down")
                ground.address(NC0, NC0.name)
    finally:
        over.set()
        talker.join()
    trouble = shell("dmesg | grep -E 'BUG|WARNING:|Oops|refcount' || true")
    must(not trouble, f"the kernel says: {trouble}")
    last = _changing_userdata(ground, 8)
    ground.run({**LOG1, **last})
    _message, *lines = only(ground.say("after")).text.splitlines()
    wanted = [f" {key}={value}" for key, value in last.get("userdata", {}).items()]
    must(sorted(lines) == sorted(wanted), f"other user data than the last: {lines}")


def _changing_userdata(ground: Ground, number: int) -> dict[str, dict[str, str]]:
    """The option ``userdata``, where the kernel has it: each time a key goes, one comes and one has another value."""
    if not ground.offer.userdata_keys:
        return {}
    return {"userdata": {f"key{number}": "x" * 190, f"key{number + 1}": "y", "round": str(number)}}


def resume(ground: Ground) -> None:
    target = {**LOG1, "dev_name": NC0.name}  # else the host's own way to the receiver would be taken
    ground.fresh()
    ground.run(target)
    ground.unplug[NC0.name]()
    soon("the kernel switches the target off", lambda: not ground.state("log1").enabled)
    was = ground.state("log1")
    planned = ground.host().plan({"targets": [target]})
    must("log1" in planned.failures, f"nothing said of it: {planned}")
    ground.host().apply(planned)
    after = ground.state("log1")
    must(after == was, f"a target that cannot be had now was touched: {was} is now {after}")
    ground.unplug[NC0.name] = ground.plug(NC0)
    if ground.version >= (7, 0):
        soon("the kernel resumes by itself, which the run did not cancel", lambda: ground.state("log1").enabled)
    else:
        must(not ground.state("log1").enabled, "it is back without anybody's doing")
    ground.run(target)
    only(ground.say("back"))


def _resume_boot(ground: Ground, parameter: str) -> None:
    """The device goes, and another one with its MAC address comes and gets its name, as udev would give it.

    No trip to another network namespace and back: 7.3 then tries once, before it finds the device, and gives up.
    """
    mac = _mac(ground)
    ground.fresh(parameter)
    must(len(ground.say("at boot")) == 1, "the boot target does not send")
    other = {"name": "log2", "remote_ip": NC1.receivers[0]}
    ground.run(other)
    ground.unplug[NC0.name]()
    soon("the kernel switches the boot target off", lambda: not ground.state("cmdline0").enabled)
    ground.run(other)
    ground.run({**other, "remote_port": 6667})
    must(not ground.state("cmdline0").enabled, "it is back before its device")
    must(
        [datagram.device for datagram in ground.say("away")] == [NC1.name],
        "without the device not by the other one alone",
    )
    ground.unplug[NC0.name] = ground.wire.plug("kt0", heard_as=NC0.name)
    shell(f"ip link set kt0 address {mac} && ip link set kt0 name {NC0.name}")
    soon("the kernel resumes by itself, which the runs did not cancel", lambda: ground.state("cmdline0").enabled)
    ground.address(NC0, NC0.name)
    must({datagram.device for datagram in ground.say("back", 2)} == {NC0.name, NC1.name}, "not by both devices")


def resume_by_name(ground: Ground) -> None:
    _resume_boot(ground, BOOT.format(NC0.name))


def resume_by_mac(ground: Ground) -> None:
    _resume_boot(ground, BOOT.format(_mac(ground)))


def _bonded(line: str) -> None:
    """Run a line between making and removing a bond with one port."""
    shell("modprobe bonding max_bonds=0 && modprobe dummy numdummies=0")
    shell("ip link add kb0 type bond mode active-backup && ip link set kb0 up")
    shell(f"ip link set {NC0.name} down && ip link set {NC0.name} master kb0 && {line}")


def _unbonded(ground: Ground) -> None:
    ground.fresh()
    shell(f"ip link set {NC0.name} nomaster; ip link delete kb0; ip link delete kd0 2> /dev/null || true")
    ground.address(NC0, NC0.name)


def over_bond(ground: Ground) -> None:
    ground.fresh()
    _bonded("true")
    try:
        ground.address(NC0, "kb0")
        soon("the bond has a carrier", lambda: ground.files.read("/sys/class/net/kb0/carrier").strip() == "1")
        ground.run({**LOG1, "dev_name": "kb0"})
        must(only(ground.say("over the bond")).device == NC0.name, "it did not leave by the port")
        shell("ip link add kd0 type dummy && ip link set kd0 master kb0")
        must(ground.state("log1").enabled, "a further port stopped it")
        only(ground.say("with two ports"))
        ground.run({**LOG1, "dev_name": "auto"})
        must(ground.state("log1").dev_name == "kb0", "auto is not the bond that the route leads by")
        if ground.version >= (6, 12):
            _no_veth_below(ground)
    finally:
        _unbonded(ground)


def _no_veth_below(ground: Ground) -> None:
    """A bond that a target sends by takes no veth as a port; the kernel's refusal does not harm the target."""
    shell("modprobe veth && ip link add kv0 type veth peer name kv1")
    try:
        shell("! ip link set kv0 master kb0")
        must(ground.state("log1").enabled, "the refused port stopped it")
        only(ground.say("veth refused"))
        ground.run({"name": "log1", "state": "absent"})
        shell("ip link set kv0 master kb0")  # so it was the target
    finally:
        shell("ip link delete kv0")


def bond_port(ground: Ground) -> None:
    ground.fresh()
    _bonded("true")
    try:
        ground.address(NC0, "kb0")
        host = ground.host()
        _planned, applied = host.run({"targets": [{**LOG1, "dev_name": NC0.name}]})
        must("use kb0" in applied.failures.get("log1", ""), f"refused in other words: {applied.failures}")
        must(ground.configfs_names() == [], "half a target was left")
        shell(f"ip link set {NC0.name} nomaster && ip address flush dev kb0")
        ground.address(NC0, NC0.name)
        ground.run({**LOG1, "dev_name": NC0.name})
        only(ground.say("released"))
    finally:
        _unbonded(ground)


def enslaved(ground: Ground) -> None:
    ground.fresh()
    ground.run(LOG1)
    _bonded("true")
    try:
        soon("the kernel switches it off", lambda: not ground.state("log1").enabled)
        ground.address(NC0, "kb0")
        _planned, applied = ground.host().run({"targets": [{**LOG1, "dev_name": NC0.name}]})
        must("use kb0" in applied.failures.get("log1", ""), f"refused in other words: {applied.failures}")
    finally:
        _unbonded(ground)


def veth(ground: Ground) -> None:
    ground.fresh()
    shell("modprobe veth && ip link add kv0 type veth peer name kv1 && ip link set kv1 up && ip link set kv0 up")
    try:
        shell("ip address add 198.18.0.1/24 dev kv0")
        shell("ip neighbour replace 198.18.0.2 lladdr 52:54:00:00:00:fe nud permanent dev kv0")
        target = {"name": "log1", "remote_ip": "198.18.0.2"}
        if ground.version < (6, 12):
            ground.run(target)
            return
        _planned, applied = ground.host().run({"targets": [target]})
        must("kv0" in applied.failures.get("log1", ""), f"refused in other words: {applied.failures}")
        must(ground.configfs_names() == [], "half a target was left")
    finally:
        ground.fresh()
        shell("ip link delete kv0")
