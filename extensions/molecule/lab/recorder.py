# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write down the UDP datagrams that go over a segment: a receiver that costs no guest.

It joins the segment as a machine does (switch.py).
"""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from lab.process import LabError
from lab.state import State
from lab.switch import CHUNK, take_frames

_IPV4, _UDP = 0x0800, 17
_FRAGMENTED = 0x3FFF  # "more fragments" and the offset


@dataclass(frozen=True)
class Datagram:
    """One UDP datagram in one IPv4 packet."""

    source: str
    destination: str
    port: int
    """The destination's."""
    text: str


def datagram(frame: bytes) -> Datagram | None:
    """The datagram in an Ethernet frame; None when it holds something else. Source: RFC 791, RFC 768."""
    packet = frame[14:]
    if len(packet) < 20 or struct.unpack_from(">H", frame, 12)[0] != _IPV4 or packet[9] != _UDP:
        return None
    header = (packet[0] & 15) * 4
    if struct.unpack_from(">H", packet, 6)[0] & _FRAGMENTED or len(packet) < header + 8:
        return None
    _source_port, port, length = struct.unpack_from(">HHH", packet, header)
    text = packet[header + 8 : header + length].decode(errors="replace")
    return Datagram(socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), port, text)


@contextmanager
def recording(state: State, segment: str, path: Path) -> Iterator[None]:
    """Write what is sent over a segment during the block to a file: JSON lines, with the host's time of arrival."""
    with socket.socket(socket.AF_UNIX) as listener, open(path, "w", encoding="utf-8") as record:
        try:
            listener.connect(str(state.segment(segment)))
        except OSError as error:
            raise LabError(
                f"{segment} cannot be joined, {error.strerror}: is the lab up, and the name right?"
            ) from error
        ended = threading.Event()
        thread = threading.Thread(target=_listen, args=(listener, record, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _listen(listener: socket.socket, record: IO[str], ended: threading.Event) -> None:
    data = bytearray()
    while not ended.is_set():
        if not select.select([listener], [], [], 0.2)[0]:
            continue
        received = listener.recv(CHUNK)
        if not received:
            return
        data += received
        for found in map(datagram, take_frames(data)):
            if found is not None:
                line = json.dumps({"received": time.time(), **asdict(found)})
                print(line, file=record, flush=True)
