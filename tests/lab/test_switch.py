# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that joins the lab's machines, by its sockets."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import process, segments
from lab.state import State
from lab.switch import LENGTH, LIMIT, take_frames


def framed(*frames: bytes) -> bytes:
    return b"".join(LENGTH.pack(len(frame)) + frame for frame in frames)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State.load(tmp_path)
    segments.ensure(state)
    yield state
    segments.end(state)


def joined(state: State, segment: str = "segment1") -> socket.socket:
    guest = socket.socket(socket.AF_UNIX)
    guest.connect(str(state.segment(segment)))
    guest.settimeout(30)
    return guest


def received(guest: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length and (new := guest.recv(length - len(data))):
        data += new
    return data


def silent(guest: socket.socket) -> bool:
    return not select.select([guest], [], [], 0.3)[0]


def test_all_others_of_a_segment_get_what_one_sends(state: State) -> None:
    sender, first, second, elsewhere = (*(joined(state) for _number in range(3)), joined(state, "segment2"))
    data = framed(b"one", b"", b"three" * 300)
    sender.sendall(data)
    assert received(first, len(data)) == received(second, len(data)) == data
    assert silent(sender)
    assert silent(elsewhere)


def test_a_frame_is_passed_on_when_it_is_whole(state: State) -> None:
    sender, other, third = (joined(state) for _number in range(3))
    data = framed(b"in two parts", b"next")
    sender.sendall(data[:9])
    assert silent(other)
    third.sendall(framed(b"between"))
    assert received(other, 11) == framed(b"between")
    sender.sendall(data[9:])
    assert received(other, len(data)) == data


def test_a_burst_waits_for_who_cannot_take_it(state: State) -> None:
    sender, slow, quick = (joined(state) for _number in range(3))
    frames = [number.to_bytes(4, "big") * 100 for number in range(5000)]  # 2 MB
    sender.sendall(framed(*frames))
    data = framed(*frames)
    assert received(quick, len(data)) == data
    assert received(slow, len(data)) == data


def test_who_takes_nothing_loses_whole_frames_and_stops_nobody(state: State) -> None:
    sender, dead, quick = (joined(state) for _number in range(3))
    frame = bytes(1500)
    for _burst in range(10):
        data = framed(*[frame] * 1000)
        sender.sendall(data)
        assert received(quick, len(data)) == data
    sender.sendall(framed(b"the end"))
    assert received(quick, 11) == framed(b"the end")
    left = bytearray()
    while not silent(dead):
        left += dead.recv(65536)
    assert LIMIT // 2 < len(left) < 10 * 1000 * 1500
    sender.sendall(framed(b"and on"))
    left += received(dead, 10)
    assert take_frames(left)[-1] == b"and on"
    assert not left


def test_who_has_left_stops_nobody(state: State) -> None:
    sender, leaving, staying = (joined(state) for _number in range(3))
    leaving.close()
    sender.sendall(framed(b"x"))
    assert received(staying, 5) == framed(b"x")
    joined(state).close()
    staying.sendall(framed(b"y"))
    assert received(sender, 5) == framed(b"y")


def test_it_runs_once_for_each_lab_and_ends_with_it(state: State, tmp_path: Path) -> None:
    before = process.find(state.marker(segments.NAME), "switch.py")
    segments.ensure(state)
    assert before is not None
    assert before == process.find(state.marker(segments.NAME), "switch.py")
    other = State.load(tmp_path / "other")
    assert process.find(other.marker(segments.NAME), "switch.py") is None
    segments.end(state)
    assert process.find(state.marker(segments.NAME), "switch.py") is None
    segments.ensure(state)
    time.sleep(0.1)
    joined(state)


def test_it_ends_when_its_lab_is_removed(state: State) -> None:
    joined(state)
    for name in segments.SEGMENTS:  # removed, and somebody else's is there
        state.segment(name).rename(state.segment(name).with_suffix(".old"))
        state.segment(name).touch()
    deadline = time.monotonic() + 30
    while process.find(state.marker(segments.NAME), "switch.py") is not None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert process.find(state.marker(segments.NAME), "switch.py") is None


def test_frames_are_taken_when_they_are_whole() -> None:
    data = bytearray(framed(b"a", b"bb") + framed(b"ccc")[:-1])
    assert take_frames(data) == [b"a", b"bb"]
    assert data == framed(b"ccc")[:-1]
    data += b"c"
    assert take_frames(data) == [b"ccc"]
    assert take_frames(data) == []
