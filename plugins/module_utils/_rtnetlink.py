# What changes on the host's network, as the kernel tells it: rtnetlink messages, read raw.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Facts: rtnetlink(7), netlink(7), include/uapi/linux/{rtnetlink,neighbour,if_link,if_addr,filter}.h. The messages that
# the tests read were recorded on the kernel 6.12.

from __future__ import annotations

import array
import errno
import os
import socket
import struct
import typing as t
from dataclasses import dataclass

from ._address import ip_text, parse_ip
from ._iproute import IprouteError

# Groups (RTMGRP_*): links, neighbours, addresses, routes and rules of both families.
_LINK, _NEIGHBOUR, _IPV4_ADDRESS, _IPV4_ROUTE, _IPV4_RULE = 0x1, 0x4, 0x10, 0x40, 0x80
_IPV6_ADDRESS, _IPV6_ROUTE, _IPV6_RULE = 0x100, 0x400, 1 << 18
GROUPS = _LINK | _NEIGHBOUR | _IPV4_ADDRESS | _IPV4_ROUTE | _IPV4_RULE | _IPV6_ADDRESS | _IPV6_ROUTE | _IPV6_RULE

# Message types: what it is about, and whether it is gone.
_TYPES: t.Mapping[int, tuple[str, bool]] = {
    16: ("link", False),
    17: ("link", True),
    20: ("address", False),
    21: ("address", True),
    24: ("route", False),
    25: ("route", True),
    28: ("neighbour", False),
    29: ("neighbour", True),
    32: ("rule", False),
    33: ("rule", True),
}
_RTM_NEWNEIGH, _RTM_GETNEIGH = 28, 30
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_LINK_BODY = struct.Struct("=BxHiII")  # family, type, index, flags, change
_ADDRESS_BODY = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_ROUTE_BODY = struct.Struct("=BBBBBBBBI")  # family, dst_len, src_len, tos, table, protocol, scope, type, flags
_NEIGHBOUR_BODY = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type
_U32 = struct.Struct("=I")

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MASTER = 1, 3, 10
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_RTA_DST = 1
_NDA_DST, _NDA_LLADDR, _NDA_FLAGS_EXT = 1, 2, 15
_IFF_UP, _IFF_RUNNING, _IFF_LOWER_UP = 0x1, 0x40, 0x10000
_IFA_F_TELLING = 0x08 | 0x20 | 0x40  # DADFAILED, DEPRECATED, TENTATIVE
_RTM_F_CLONED = 0x200  # a cached route of one destination: no change of routing
_NUD_VALID = 0xDE  # REACHABLE, STALE, DELAY, PROBE, NOARP, PERMANENT
_NUD_FAILED = 0x20
_NTF_USE, _NTF_EXT_MANAGED = 0x01, 0x1

_SO_ATTACH_FILTER = 26
RECEIVE_BYTES = 1 << 20


@dataclass(frozen=True)
class Event:
    """One change. ``kind`` is link, address, route, rule or neighbour; what does not apply to it is left as it is.

    ``signature`` of a link or an address holds what can matter to a sender: an event with a known one tells nothing
    new (counters, lifetimes). ``mac`` of a neighbour is ``None`` unless the kernel would send to it.
    """

    kind: str
    gone: bool
    index: int = 0
    family: int = 0  # 4 or 6
    address: str = ""
    prefix: int = 0  # of a route: 0 with an empty address is the default route
    mac: str | None = None
    failed: bool = False
    name: str = ""
    signature: tuple[object, ...] = ()


def parse_events(datagram: bytes) -> list[Event]:
    """The changes in one datagram of the kernel. What is of no use here, or cut short, is passed over."""
    events: list[Event] = []
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        length, kind = _HEADER.unpack_from(datagram, offset)[:2]
        if length < _HEADER.size or offset + length > len(datagram):
            break
        event = _event(kind, datagram[offset + _HEADER.size : offset + length])
        if event is not None:
            events.append(event)
        offset += (length + 3) & ~3
    return events


def _event(kind: int, body: bytes) -> Event | None:
    if kind not in _TYPES:
        return None
    name, gone = _TYPES[kind]
    try:
        return _READERS[name](body, gone)
    except (struct.error, ValueError):
        return None


def _attributes(body: bytes, offset: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    offset = (offset + 3) & ~3
    while offset + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        if length < _ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = body[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found


def _text_of(address: bytes, family: int) -> str:
    if not address:
        return ""
    return ip_text(parse_ip(socket.inet_ntop({4: socket.AF_INET, 6: socket.AF_INET6}[family], address)))


def _family(number: int) -> int:
    return {int(socket.AF_INET): 4, int(socket.AF_INET6): 6}.get(number, 0)


def _mac_text(octets: bytes) -> str:
    return ":".join(f"{octet:02x}" for octet in octets)


def _link(body: bytes, gone: bool) -> Event | None:
    family, _type, index, flags, _change = _LINK_BODY.unpack_from(body)
    if family:  # AF_BRIDGE: a bridge tells of its port, the device itself has not changed
        return None
    found = _attributes(body, _LINK_BODY.size)
    name = found.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode("utf-8", "surrogateescape")
    telling = flags & (_IFF_UP | _IFF_RUNNING | _IFF_LOWER_UP)
    signature = (name, telling, found.get(_IFLA_MASTER, b""), found.get(_IFLA_ADDRESS, b""))
    return Event("link", gone, index=index, name=name, signature=signature)


def _address(body: bytes, gone: bool) -> Event | None:
    number, prefix, flags, _scope, index = _ADDRESS_BODY.unpack_from(body)
    family = _family(number)
    if not family:
        return None
    found = _attributes(body, _ADDRESS_BODY.size)
    if _IFA_FLAGS in found:
        flags = _U32.unpack(found[_IFA_FLAGS])[0]
    address = _text_of(found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS, b"")), family)
    signature = (address, prefix, flags & _IFA_F_TELLING)
    return Event("address", gone, index=index, family=family, address=address, prefix=prefix, signature=signature)


def _route(body: bytes, gone: bool) -> Event | None:
    number, prefix, _src, _tos, _table, _protocol, _scope, _type, flags = _ROUTE_BODY.unpack_from(body)
    family = _family(number)
    if not family or flags & _RTM_F_CLONED:
        return None
    found = _attributes(body, _ROUTE_BODY.size)
    return Event("route", gone, family=family, address=_text_of(found.get(_RTA_DST, b""), family), prefix=prefix)


def _rule(body: bytes, gone: bool) -> Event | None:
    family = _family(body[0]) if body else 0
    return Event("rule", gone, family=family) if family else None


def _neighbour(body: bytes, gone: bool) -> Event | None:
    number, index, state, _flags, _type = _NEIGHBOUR_BODY.unpack_from(body)
    family = _family(number)
    found = _attributes(body, _NEIGHBOUR_BODY.size)
    if not family or _NDA_DST not in found:
        return None
    octets = found.get(_NDA_LLADDR, b"")
    usable = not gone and bool(state & _NUD_VALID) and len(octets) == 6
    return Event(
        "neighbour",
        gone,
        index=index,
        family=family,
        address=_text_of(found[_NDA_DST], family),
        mac=_mac_text(octets) if usable else None,
        failed=gone or bool(state & _NUD_FAILED),
    )


_READERS: t.Mapping[str, t.Callable[[bytes, bool], Event | None]] = {
    "link": _link,
    "address": _address,
    "route": _route,
    "rule": _rule,
    "neighbour": _neighbour,
}


# -- the socket
# ----------------------------------------------------------------------------------------------------------


class Listener:
    """A socket that hears of every change. ``lost`` events are the kernel's way to say: look at everything anew."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._socket.bind((0, GROUPS))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self) -> tuple[list[Event], bool]:
        """Everything that waits, and whether the kernel had to drop some of it (ENOBUFS)."""
        events: list[Event] = []
        lost = False
        while True:
            try:
                datagram = self._socket.recv(65536)
            except BlockingIOError:
                return events, lost
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            events.extend(parse_events(datagram))

    def hear_neighbours(self, neighbours: t.Mapping[str, str]) -> None:
        """Have the kernel itself pass over neighbours but these: a busy neighbour table then wakes nobody.

        By address, each with the MAC address that it is known to have: that it still has it is no news. "" is unknown.
        """
        instructions = neighbour_filter(neighbours)
        program = array.array("B", b"".join(_INSTRUCTION.pack(*instruction) for instruction in instructions))
        # struct sock_fprog: a number and a pointer to the program, which only has to live during the call.
        pointer, _length = program.buffer_info()
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(instructions), pointer))


# -- the kernel's filter (classic BPF, include/uapi/linux/bpf_common.h)
# ----------------------------------------------------------------------------------------------------------

_INSTRUCTION = struct.Struct("=HBBI")  # code, jump if true, jump if false, operand
Instruction = t.Tuple[int, int, int, int]
_LOAD_WORD, _LOAD_HALF, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x28, 0x15, 0x06
_ALL, _NOTHING = 0xFFFFFFFF, 0
_TYPE_AT, _DST_TYPE_AT, _DST_AT = 4, 30, 32  # nlmsg_type; the first attribute of a neighbour is its address


def neighbour_filter(neighbours: t.Mapping[str, str]) -> list[Instruction]:
    """A program that passes everything but neighbours of other addresses, and those that have the known MAC address.

    A kernel that keeps a neighbour fresh tells of each step of it, several a minute. BPF loads are in network order.
    """
    program: list[Instruction] = [
        (_LOAD_HALF, 0, 0, _TYPE_AT),
        (_JUMP_IF_EQUAL, 2, 0, _swapped(_RTM_NEWNEIGH)),
        (_JUMP_IF_EQUAL, 1, 0, _swapped(_RTM_NEWNEIGH + 1)),
        (_RETURN, 0, 0, _ALL),
        (_LOAD_HALF, 0, 0, _DST_TYPE_AT),
        (_JUMP_IF_EQUAL, 1, 0, _swapped(_NDA_DST)),
        (_RETURN, 0, 0, _ALL),
    ]
    for address, mac in sorted(neighbours.items()):
        packed = parse_ip(address).packed
        found = [*_known_mac(mac, _DST_AT + len(packed)), (_RETURN, 0, 0, _ALL)]
        words = struct.unpack(f">{len(packed) // 4}I", packed)
        for number, word in enumerate(words):
            left = len(words) - number - 1  # words to come, each of two instructions, and what is done then
            program.append((_LOAD_WORD, 0, 0, _DST_AT + 4 * number))
            program.append((_JUMP_IF_EQUAL, 0, 2 * left + len(found), word))
        program.extend(found)
    program.append((_RETURN, 0, 0, _NOTHING))
    return program


def _known_mac(mac: str, at: int) -> list[Instruction]:
    """Pass over a neighbour that is there with this MAC address, the attribute after its own address; else go on.

    An entry that has failed or is being looked for has no such attribute, one that is deleted is another message.
    """
    if not mac:
        return []
    word, half = struct.unpack(">IH", bytes.fromhex(mac.replace(":", "")))
    return [
        (_LOAD_HALF, 0, 0, _TYPE_AT),
        (_JUMP_IF_EQUAL, 0, 7, _swapped(_RTM_NEWNEIGH)),
        (_LOAD_HALF, 0, 0, at + 2),
        (_JUMP_IF_EQUAL, 0, 5, _swapped(_NDA_LLADDR)),
        (_LOAD_WORD, 0, 0, at + 4),
        (_JUMP_IF_EQUAL, 0, 3, word),
        (_LOAD_HALF, 0, 0, at + 8),
        (_JUMP_IF_EQUAL, 0, 1, half),
        (_RETURN, 0, 0, _NOTHING),
    ]


def _swapped(number: int) -> int:
    """A 16-bit number of the host's byte order as BPF loads it."""
    swapped: int = struct.unpack(">H", struct.pack("=H", number))[0]
    return swapped


# -- next hops that the kernel keeps fresh by itself
# ----------------------------------------------------------------------------------------------------------


def keep_fresh(address: str, dev_name: str, *, managed: bool) -> bool:
    """Have the kernel ask a neighbour again and again by itself (NTF_EXT_MANAGED), or no longer.

    Returns whether it does so now: kernels before 5.16 cannot, and take it as a plain use of the neighbour. Not for a
    permanent entry, which the message would make a dynamic one.

    Raises IprouteError.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    destination = socket.inet_pton(family, address)
    try:
        index = socket.if_nametoindex(dev_name)
        message = _neighbour_message(family, index, destination, managed=managed)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as rtnetlink:
            rtnetlink.settimeout(5.0)
            rtnetlink.bind((0, 0))
            rtnetlink.send(message)
            number = -struct.unpack_from("=i", rtnetlink.recv(65536), _HEADER.size)[0]
            if number:
                raise OSError(number, os.strerror(number))
            if not managed:
                return False
            rtnetlink.send(_get_neighbour_message(family, index, destination))
            return _is_managed(rtnetlink.recv(65536))
    except OSError as error:
        raise IprouteError(f"the kernel could not be told to keep {address} on {dev_name} fresh: {error}") from error


def _neighbour_message(family: int, index: int, destination: bytes, *, managed: bool) -> bytes:
    body = _NEIGHBOUR_BODY.pack(family, index, 0, _NTF_USE, 0)
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(destination), _NDA_DST) + destination
    if managed:
        body += _ATTRIBUTE.pack(_ATTRIBUTE.size + 4, _NDA_FLAGS_EXT) + _U32.pack(_NTF_EXT_MANAGED)
    flags = 0x1 | 0x4 | (0x400 if managed else 0)  # REQUEST, ACK, CREATE
    return _HEADER.pack(_HEADER.size + len(body), _RTM_NEWNEIGH, flags, 1, 0) + body


def _get_neighbour_message(family: int, index: int, destination: bytes) -> bytes:
    body = _NEIGHBOUR_BODY.pack(family, index, 0, 0, 0)
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(destination), _NDA_DST) + destination
    return _HEADER.pack(_HEADER.size + len(body), _RTM_GETNEIGH, 0x1, 2, 0) + body


def _is_managed(reply: bytes) -> bool:
    if _HEADER.unpack_from(reply)[1] != _RTM_NEWNEIGH:
        return False
    found = _attributes(reply, _HEADER.size + _NEIGHBOUR_BODY.size)
    return bool(_U32.unpack(found.get(_NDA_FLAGS_EXT, bytes(4)))[0] & _NTF_EXT_MANAGED)
