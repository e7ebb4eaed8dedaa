# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the recorder makes of the frames of a segment."""

from __future__ import annotations

import json
import socket
import struct
import time
from pathlib import Path

import pytest

from lab import segments
from lab.process import LabError
from lab.recorder import Datagram, datagram, recording
from lab.state import State
from lab.switch import LENGTH


def frame(text: bytes, *, kind: int = 0x0800, protocol: int = 17, fragment: int = 0, options: bytes = b"") -> bytes:
    """An Ethernet frame with an IPv4 packet (RFC 791) with a UDP datagram (RFC 768), padded as the wire wants it."""
    udp = struct.pack(">HHHH", 6665, 6666, 8 + len(text), 0) + text
    words = 5 + len(options) // 4
    addresses = socket.inet_aton("192.0.2.31") + socket.inet_aton("192.0.2.10")
    ip = struct.pack(">BBHHHBBH", 0x40 | words, 0, 4 * words + len(udp), 0, fragment, 64, protocol, 0) + addresses
    return (bytes(12) + struct.pack(">H", kind) + ip + options + udp).ljust(60, b"\0")


def test_a_datagram_is_read() -> None:
    wanted = Datagram("192.0.2.31", "192.0.2.10", 6666, "5,1,0,-;hello\n")
    assert datagram(frame(b"5,1,0,-;hello\n")) == wanted
    assert datagram(frame(b"5,1,0,-;hello\n", options=bytes(4))) == wanted


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(bytes(20), id="a stub"),
        pytest.param(frame(b"x", kind=0x86DD), id="IPv6"),
        pytest.param(frame(b"x", kind=0x0806), id="ARP"),
        pytest.param(frame(b"x", protocol=6), id="TCP"),
        pytest.param(frame(b"x", fragment=0x2000), id="first fragment"),
        pytest.param(frame(b"x", fragment=5), id="later fragment"),
    ],
)
def test_anything_else_is_not(other: bytes) -> None:
    assert datagram(other) is None


def test_without_a_lab_there_is_nothing_to_record(tmp_path: Path) -> None:
    with (
        pytest.raises(LabError, match="segment1 cannot be joined"),
        recording(State.load(tmp_path), "segment1", tmp_path / "record"),
    ):
        pass


def test_what_is_sent_meanwhile_is_written_down(tmp_path: Path) -> None:
    state = State.load(tmp_path)
    path = tmp_path / "record"
    segments.ensure(state)
    try:
        with recording(state, "segment1", path), socket.socket(socket.AF_UNIX) as sender:
            sender.connect(str(state.segment("segment1")))
            for sent in (frame(b"one"), frame(b"two", protocol=6)):
                sender.sendall(LENGTH.pack(len(sent)) + sent)
            deadline = time.monotonic() + 30
            while not path.read_text(encoding="utf-8").endswith("\n") and time.monotonic() < deadline:
                time.sleep(0.05)
    finally:
        segments.end(state)
    assert [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()] == ["one"]
