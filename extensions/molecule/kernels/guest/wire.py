# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wire: tap devices whose frames this program reads, so that no second guest is needed.

An open tap device has a carrier and takes every frame: what netconsole sends is seen as a receiver would see it.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import queue
import select
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
SOON = 10.0  # seconds that a message may take on a busy host: kernels from 7.0 send from a thread
QUIET = 0.15  # seconds in which a message that nobody is to send would have come


@dataclass(frozen=True)
class Datagram:
    device: str
    destination_mac: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    text: str


class Wire:
    """Reads every tap device all the time: a device that nobody reads would hold the kernel up."""

    def __init__(self) -> None:
        self._devices: dict[int, str] = {}
        self._leaving: queue.SimpleQueue[tuple[int, threading.Event]] = queue.SimpleQueue()
        self._heard: list[Datagram] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def plug(self, name: str, *, heard_as: str = "") -> Callable[[], None]:
        """Make a tap device; where it is going to be renamed, `heard_as` is its later name. Returns what unplugs it."""
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        self._devices[descriptor] = heard_as or name

        def unplug() -> None:
            closed = threading.Event()
            self._leaving.put((descriptor, closed))
            closed.wait()

        return unplug

    def forget(self) -> None:
        with self._lock:
            self._heard.clear()

    def heard(self, marker: str) -> list[Datagram]:
        """The datagrams so far that have the marker in them, fragments of one message put together."""
        with self._lock:
            heard = list(self._heard)
        return [datagram for datagram in _whole(heard) if marker in datagram.text]

    def await_heard(self, marker: str, count: int) -> list[Datagram]:
        """The datagrams with the marker once there are as many as wanted and no more come; or what there is by then."""
        end = time.monotonic() + SOON
        while len(self.heard(marker)) < count and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(QUIET)
        return self.heard(marker)

    def _listen(self) -> None:
        """Only this thread closes devices: the number of a closed one may be that of another file before it is read."""
        while True:
            while not self._leaving.empty():
                descriptor, closed = self._leaving.get()
                del self._devices[descriptor]
                os.close(descriptor)
                closed.set()
            devices = dict(self._devices)
            for descriptor in select.select(list(devices), [], [], 0.05)[0]:
                try:
                    datagram = _datagram(devices[descriptor], os.read(descriptor, 2048))
                except OSError:  # the kernel took the device away
                    continue
                if datagram is not None:
                    with self._lock:
                        self._heard.append(datagram)


def _datagram(device: str, frame: bytes) -> Datagram | None:
    """The UDP datagram in an Ethernet frame."""
    kind, packet = struct.unpack("!H", frame[12:14])[0], frame[14:]
    if kind == 0x0800 and packet[9] == 17:
        header, addresses, width = (packet[0] & 15) * 4, 12, 4
    elif kind == 0x86DD and packet[6] == 17:
        header, addresses, width = 40, 8, 16
    else:
        return None
    source_port, destination_port, length = struct.unpack("!HHH", packet[header : header + 6])
    return Datagram(
        device=device,
        destination_mac=":".join(f"{octet:02x}" for octet in frame[:6]),
        source=str(ipaddress.ip_address(packet[addresses : addresses + width])),
        source_port=source_port,
        destination=str(ipaddress.ip_address(packet[addresses + width : addresses + 2 * width])),
        destination_port=destination_port,
        text=packet[header + 8 : header + length].decode("utf-8", "replace"),
    )


def _whole(heard: list[Datagram]) -> list[Datagram]:
    """Fragments (``…,ncfrag=OFFSET/TOTAL;…``) put together; one that lacks a part is left as it is, with its parts."""
    whole: list[Datagram] = []
    parts: dict[tuple[str, int, str], tuple[Datagram, str]] = {}
    for datagram in heard:
        header, mark, body = datagram.text.partition(";")
        start, fragment, place = header.partition(",ncfrag=")
        if not (mark and fragment):
            whole.append(datagram)
            continue
        offset, total = map(int, place.split("/"))
        key = (datagram.device, datagram.destination_port, start)
        first, so_far = parts.pop(key, (datagram, ""))
        if offset != len(so_far.encode()):
            whole.append(datagram)
            continue
        so_far += body
        if len(so_far.encode()) < total:
            parts[key] = (first, so_far)
            continue
        whole.append(Datagram(**{**vars(first), "text": f"{start};{so_far}"}))
    return whole + [first for first, _text in parts.values()]
