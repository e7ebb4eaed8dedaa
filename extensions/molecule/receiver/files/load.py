# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send numbered netconsole messages from many addresses, paced or as one burst, and count what a store has of them.

    load.py send RUN --messages N [--rate PER_SECOND] [--sources N] [--first N] [--families 46]
                     [--mix plain|mixed] [--port P]
    load.py count RUN STORE
    load.py ground

`ground` makes 198.18.0.0/15 (RFC 2544) and 2001:2::/48 (RFC 5180) addresses of the loopback device, so that a process
may send from any of them: in a container or a network namespace of its own, never on a host. Every message holds
"load RUN SOURCE NUMBER end", so that what is missing can be counted, sender by sender. Both print one JSON object.
Standard library; messages leave by sendmmsg(2), 64 at a time, because a call for each would be slower than collectors.
"""

from __future__ import annotations

import argparse
import ctypes
import gzip
import json
import os
import re
import socket
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

BATCH = 64
LONGEST = 2048
"""Bytes of the longest datagram."""
IP_PKTINFO = 8  # linux/in.h
IPV6_PKTINFO = 50  # linux/in6.h
IP_FREEBIND = 15
IPV6_FREEBIND = 78
MARK = re.compile(rb"load (\S+) (\d+) (\d+) end")
TEXT = b"usb 1-1.4: device descriptor read/64, error -110"


def source_of(number: int, family: int) -> bytes:
    """The address of a sender, packed: the first is 198.18.0.1 or 2001:2::1."""
    if family == 4:
        return struct.pack("!I", 0xC6120001 + number)
    return socket.inet_pton(socket.AF_INET6, "2001:2::")[:12] + struct.pack("!I", 1 + number)


def _control(packed: bytes) -> bytes:
    """The control message that sets a datagram's source address (ip(7), ipv6(7))."""
    if len(packed) == 4:
        data, level, kind = struct.pack("=i4s4s", 0, packed, b""), socket.IPPROTO_IP, IP_PKTINFO
    else:
        data, level, kind = packed + struct.pack("=i", 0), socket.IPPROTO_IPV6, IPV6_PKTINFO
    message = struct.pack("@Nii", 16 + len(data), level, kind) + data
    return message + bytes(-len(message) % 8)


def kernel_clock(number: int) -> int:
    """The kernel's clock, in microseconds, at a sender's message: the first one, which Load sends before all others,
    is of its boot; the others come much later, so that a message that comes late, or again, is no sign of a boot."""
    return 1000000 + (10**9 + number * 100 if number else 0)


def plain(run: bytes, source: int, number: int) -> list[bytes]:
    """A message without user data, in the extended format."""
    return [b"4,%d,%d,-;load %s %d %d end %s\n" % (number, kernel_clock(number), run, source, number, TEXT)]


LONG = 7
"""Of ten messages, the one in two fragments."""


def mixed(run: bytes, source: int, number: int) -> list[bytes]:
    """The datagrams of one message. Of ten of a sender, as of one each of ten senders, six are extended with user data,
    two plain, one legacy, one long enough for two fragments, which is what a crash sends."""
    usec = kernel_clock(number)
    kind = (source + number) % 10
    if kind < 6:
        words = (number, usec, source, run, source, number, TEXT)
        return [
            b"6.12.0,4,%d,%d,-,caller=T%d;load %s %d %d end %s\n SUBSYSTEM=usb\n DEVICE=c189:1\n rack=A12\n" % words
        ]
    if kind == 6:
        return [b"[%12.6f] load %s %d %d end %s\n" % (usec / 1000000, run, source, number, TEXT)]
    if kind == LONG:
        body = b"load %s %d %d end %s\n rack=A12\n" % (run, source, number, b"x" * 1100)
        head = b"4,%d,%d,-,ncfrag=" % (number, usec)
        return [head + b"%d/%d;" % (at, len(body)) + body[at : at + 900] for at in (0, 900)]
    return plain(run, source, number)


MIXES = {"plain": plain, "mixed": mixed}


class Batch:
    """Room for 64 datagrams that one system call sends. Its struct mmsghdr and struct iovec (sendmmsg(2)) are arrays of
    words of eight bytes, of which a datagram changes three."""

    def __init__(self, handle: int, target: bytes) -> None:
        self._handle, self._count = handle, 0
        self._send = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._target = ctypes.create_string_buffer(target, len(target))
        self._room = ctypes.create_string_buffer(BATCH * LONGEST)
        self._iovecs = (ctypes.c_uint64 * (BATCH * 2))()
        self._headers = (ctypes.c_uint64 * (BATCH * 8))()
        self._bytes = memoryview(self._room).cast("B")
        for number in range(BATCH):
            self._iovecs[2 * number] = ctypes.addressof(self._room) + number * LONGEST
            self._headers[8 * number] = ctypes.addressof(self._target)
            self._headers[8 * number + 1] = len(target)
            self._headers[8 * number + 2] = ctypes.addressof(self._iovecs) + number * 16
            self._headers[8 * number + 3] = 1

    def add(self, datagram: bytes, control: int, length: int) -> None:
        """Take a datagram and the control message at an address, and send when there is no more room."""
        number, size = self._count, len(datagram)
        place = number * LONGEST
        self._bytes[place : place + size] = datagram
        self._iovecs[2 * number + 1] = size
        self._headers[8 * number + 4] = control
        self._headers[8 * number + 5] = length
        self._count = number + 1
        if self._count == BATCH:
            self.flush()

    def flush(self) -> None:
        """Send what was taken."""
        done = 0
        while done < self._count:
            sent = self._send(self._handle, ctypes.byref(self._headers, done * 64), self._count - done, 0)
            if sent < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            done += sent
        self._count = 0


def _open(family: int, port: int) -> tuple[socket.socket, bytes]:
    """A socket that may send from any address, and where it sends to as a struct sockaddr."""
    if family == 4:
        handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        handle.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        target = struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, socket.inet_aton("127.0.0.1"))
    else:
        handle = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        handle.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        loopback = socket.inet_pton(socket.AF_INET6, "::1")
        target = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI16sI", port, 0, loopback, 0)
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    return handle, target


def send(options: argparse.Namespace) -> dict[str, object]:
    """Send, message after message, each from the next sender; every sender uses one family."""
    families = [int(digit) for digit in options.families]
    handles = {family: _open(family, options.port) for family in families}
    batches = {family: Batch(handle.fileno(), target) for family, (handle, target) in handles.items()}
    controls = [_control(source_of(source, families[source % len(families)])) for source in range(options.sources)]
    kept = [ctypes.create_string_buffer(control, len(control)) for control in controls]
    own = [
        (source, batches[families[source % len(families)]], ctypes.addressof(kept[source]), len(controls[source]))
        for source in range(options.sources)
    ]
    make, run, rate = MIXES[options.mix], options.run.encode(), options.rate
    datagrams = sent = 0
    started = time.monotonic()
    while sent < options.messages:
        number = options.first + sent // options.sources
        for source, batch, control, length in own[: options.messages - sent]:
            for datagram in make(run, source, number):
                batch.add(datagram, control, length)
                datagrams += 1
            sent += 1
            if rate and sent % 32 == 0:
                ahead = sent / rate - (time.monotonic() - started)
                if ahead > 0.002:
                    for one in batches.values():
                        one.flush()
                    time.sleep(ahead)
    for batch in batches.values():
        batch.flush()
    took = time.monotonic() - started
    return {"messages": sent, "datagrams": datagrams, "seconds": round(took, 3), "rate": round(sent / took)}


def _lines(store: Path) -> Iterator[tuple[str, bytes]]:
    """Every line of the store's JSON files, rotated ones as well, and the file's kind."""
    for path in sorted(store.rglob("*.jsonl*")):
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                yield path.name, line


def count(options: argparse.Namespace) -> dict[str, object]:
    """What the store has of a run: messages, those more than once, lines that are no JSON, and gaps, which are messages
    that are missing between the first and the last one of a sender."""
    wanted = options.run.encode()
    found: Counter[tuple[int, int]] = Counter()
    broken = 0
    for _name, line in _lines(Path(options.store)):
        mark = MARK.search(line)
        if mark is None or mark.group(1) != wanted:
            continue
        try:
            json.loads(line)
        except ValueError:
            broken += 1
            continue
        found[int(mark.group(2)), int(mark.group(3))] += 1
    numbers: dict[int, list[int]] = {}
    for source, number in found:
        numbers.setdefault(source, []).append(number)
    gaps = sum(max(own) - min(own) + 1 - len(own) for own in numbers.values())
    return {
        "stored": len(found),
        "sources": len(numbers),
        "twice": sum(times - 1 for times in found.values()),
        "gaps": gaps,
        "broken": broken,
    }


def ground() -> None:
    """Every address of both test networks is one of the loopback device."""
    for words in (("-4", "198.18.0.0/15"), ("-6", "2001:2::/48")):
        subprocess.run(["ip", words[0], "route", "replace", "local", words[1], "dev", "lo"], check=True)


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser()
    actions = parser.add_subparsers(dest="action", required=True)
    sender = actions.add_parser("send")
    sender.add_argument("run")
    sender.add_argument("--messages", type=int, required=True)
    sender.add_argument("--rate", type=int, default=0)
    sender.add_argument("--first", type=int, default=0, help="number of each sender's first message")
    sender.add_argument("--sources", type=int, default=1)
    sender.add_argument("--families", choices=["4", "6", "46"], default="4")
    sender.add_argument("--mix", choices=sorted(MIXES), default="plain")
    sender.add_argument("--port", type=int, default=6666)
    counter = actions.add_parser("count")
    counter.add_argument("run")
    counter.add_argument("store")
    actions.add_parser("ground")
    options = parser.parse_args()
    if options.action == "ground":
        ground()
    else:
        print(json.dumps({"send": send, "count": count}[options.action](options)))


if __name__ == "__main__":
    main()
