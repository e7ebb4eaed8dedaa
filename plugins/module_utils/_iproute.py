# The host's network state as the engine sees it: iproute2's JSON, sysfs, and one netlink message that asks for a
# neighbour.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Facts: ip(8), ip-route(8), ip-neighbour(8); the messages were recorded from iproute2 5.10 (Debian 11), 6.1 (Debian
# 12) and 7.3 on the kernels 5.10, 6.1, 6.12 and 7.2. The neighbour message is include/uapi/linux/neighbour.h,
# rtnetlink(7). `ip neigh ... use` would send the same message, but Debian 11's iproute2 does not know the word yet.

from __future__ import annotations

import json
import os
import socket
import struct
import time
import typing as t
from dataclasses import dataclass, replace

from ._command import COMMAND_TIMEOUT, CommandError, CompletedCommand, run_command

# One JSON object of iproute2: a link, an address, a route, a neighbour.
JSONObject = t.Dict[str, t.Any]

# include/uapi/linux/netlink.h, rtnetlink.h, neighbour.h
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_CREATE = 0x1, 0x4, 0x400
_NLMSG_ERROR = 2
_RTM_NEWNEIGH = 28
_NDA_DST = 1
_NUD_NONE = 0
_NTF_USE = 0x01
_NETLINK_HEADER = struct.Struct("=IHHII")
_NEIGHBOUR_HEADER = struct.Struct("=BxxxiHBB")
_ATTRIBUTE_HEADER = struct.Struct("=HH")
_ERRNO = struct.Struct("=i")


class IprouteError(Exception):
    """A fact about the host's network could not be had; the message says why."""


class IpCommandError(IprouteError):
    """ip ended with an error; `reason` is what it said, in one line, without the words around the kernel's own."""

    def __init__(self, command: t.Sequence[str], done: CompletedCommand) -> None:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        self.reason = lines[0] if lines else f"exit status {done.returncode}"
        for prefix in ("RTNETLINK answers: ", "Error: "):
            if self.reason.startswith(prefix):
                self.reason = self.reason[len(prefix) :]
        super().__init__(f"'{' '.join(command)}' failed: {self.reason}")


Runner = t.Callable[[t.Sequence[str]], CompletedCommand]
Provoker = t.Callable[[str, str], None]


def run_ip(command: t.Sequence[str]) -> CompletedCommand:
    """Run iproute2's ip. Raises IprouteError when it cannot be run to its end."""
    try:
        return run_command(command, package="iproute2")
    except CommandError as error:
        raise IprouteError(str(error)) from error


def provoke_neighbour(address: str, dev_name: str) -> None:
    """Have the kernel ask a device's segment for the MAC address of a neighbour, as if there was a datagram for it.

    It returns at once; the answer shows up in the neighbour cache. Only ARP or neighbour discovery goes out: nothing
    is sent to the neighbour's services, and the host's packet filter has no say, as little as it has for netconsole
    itself. An entry that has failed is tried again. Not for an entry that is valid: NTF_USE makes a permanent one a
    dynamic one (seen on 5.10 to 7.2).

    Raises IprouteError.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    destination = socket.inet_pton(family, address)
    try:
        index = socket.if_nametoindex(dev_name)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as rtnetlink:
            rtnetlink.settimeout(COMMAND_TIMEOUT)
            rtnetlink.bind((0, 0))
            rtnetlink.send(_use_neighbour_message(family=family, index=index, destination=destination))
            number = _acknowledged_errno(rtnetlink.recv(65536))
    except OSError as error:
        raise IprouteError(f"the kernel could not be asked to look for {address} on {dev_name}: {error}") from error
    if number:
        raise IprouteError(f"the kernel refused to look for {address} on {dev_name}: {os.strerror(number)}")


def _use_neighbour_message(*, family: int, index: int, destination: bytes) -> bytes:
    """RTM_NEWNEIGH with NTF_USE: use this neighbour, create its entry where there is none."""
    body = _NEIGHBOUR_HEADER.pack(family, index, _NUD_NONE, _NTF_USE, 0)
    body += _ATTRIBUTE_HEADER.pack(_ATTRIBUTE_HEADER.size + len(destination), _NDA_DST) + destination
    flags = _NLM_F_REQUEST | _NLM_F_ACK | _NLM_F_CREATE
    return _NETLINK_HEADER.pack(_NETLINK_HEADER.size + len(body), _RTM_NEWNEIGH, flags, 1, 0) + body


def _acknowledged_errno(reply: bytes) -> int:
    """The positive errno of the kernel's acknowledgement (NLMSG_ERROR); 0 is success."""
    kind = _NETLINK_HEADER.unpack_from(reply)[1]
    if kind != _NLMSG_ERROR:
        raise OSError(f"netlink answered with message type {kind} instead of an acknowledgement")
    number: int = _ERRNO.unpack_from(reply, _NETLINK_HEADER.size)[0]
    return -number


@dataclass(frozen=True)
class System:
    """Everything the engine asks of the host's network, so that a test can put its own answers in."""

    run: Runner = run_ip
    provoke: Provoker = provoke_neighbour
    sysfs: str = "/sys"
    kernel_release: str = os.uname().release
    sleep: t.Callable[[float], None] = time.sleep
    clock: t.Callable[[], float] = time.monotonic


SYSTEM = System()


class Remembering:
    """A host's network for one short run: what was asked once is not asked again, until ``forget``.

    Only a neighbour without a MAC address is asked for again each time, since it is waited for. It is looked for once:
    a dead gateway is not waited for again for each receiver behind it.
    """

    def __init__(self, system: System) -> None:
        self._run, self._provoke = system.run, system.provoke
        self._answers: dict[tuple[str, ...], CompletedCommand] = {}
        self._provoked: set[tuple[str, str]] = set()
        self.system = replace(system, run=self.run, provoke=self.provoke)

    def run(self, command: t.Sequence[str]) -> CompletedCommand:
        key = tuple(command)
        if key in self._answers:
            return self._answers[key]
        answer = self._run(command)
        if "neigh" not in key or '"lladdr"' in answer.stdout:
            self._answers[key] = answer
        return answer

    def provoke(self, address: str, dev_name: str) -> None:
        if (address, dev_name) not in self._provoked:
            self._provoked.add((address, dev_name))
            self._provoke(address, dev_name)

    def forget(self) -> None:
        self._answers.clear()
        self._provoked.clear()


def ip_json(system: System, *arguments: str) -> list[JSONObject]:
    """The objects that `ip -json <arguments>` prints.

    iproute2 before 5.12 or so leaves an empty object for everything a filter passed over: those are dropped, like null
    and the empty output that stands for no object at all.

    Raises IpCommandError when ip fails, IprouteError when what it prints is no list of objects.
    """
    command = ["ip", "-json", *arguments]
    done = system.run(command)
    if done.returncode != 0:
        raise IpCommandError(command, done)
    text = done.stdout.strip()
    if not text:
        return []
    try:
        objects = json.loads(text)
    except ValueError as error:
        raise IprouteError(
            f"'{' '.join(command)}' printed no JSON: install iproute2 (5.10 or later), another program stands in for it"
        ) from error
    if not isinstance(objects, list):
        raise IprouteError(f"'{' '.join(command)}' printed a JSON {type(objects).__name__} instead of a list")
    return [entry for entry in objects if isinstance(entry, dict) and entry]


def device_names(system: System) -> list[str]:
    """The names of this host's network devices, sorted, without the loopback device (/sys/class/net)."""
    folder = os.path.join(system.sysfs, "class", "net")
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise IprouteError(f"the network devices of this host could not be listed: {error}") from error
    return sorted(name for name in names if name != "lo" and os.path.isdir(os.path.join(folder, name)))


def missing_device_message(system: System, dev_name: str) -> str:
    """What to say of a device that is not there: the ones that are."""
    names = device_names(system)
    return f"{dev_name} does not exist on this host: it has {', '.join(names) if names else 'no network device but lo'}"
