# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's protocol, against a server that says what qemu says. The real one answers in the scenario `sender`."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.process import LabError
from lab.qmp import monitor

GREETING = {"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": []}}
DONE: dict[str, Any] = {"return": {}}
STOP = {"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 0}}


def deleted(device: str) -> dict[str, Any]:
    return {"event": "DEVICE_DELETED", "data": {"device": device, "path": f"/machine/{device}"}}


@contextmanager
def server(path: Path, answers: Sequence[Sequence[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    """Answers each request with the next messages, then closes; yields what was asked."""
    asked: list[dict[str, Any]] = []

    def serve(listener: socket.socket) -> None:
        connection, _address = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            stream.write(json.dumps(GREETING).encode() + b"\r\n")
            stream.flush()
            for messages in answers:
                asked.append(json.loads(stream.readline()))
                for message in messages:
                    stream.write(json.dumps(message).encode() + b"\r\n")
                stream.flush()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield asked
        thread.join(10)


def test_command_and_its_answer(tmp_path: Path) -> None:
    with server(tmp_path / "qmp", [[DONE], [STOP, {"return": {"running": True}}]]) as asked:
        with monitor(tmp_path / "qmp") as qemu:
            assert qemu.execute("query-status", x=1) == {"running": True}
    assert asked == [{"execute": "qmp_capabilities"}, {"execute": "query-status", "arguments": {"x": 1}}]


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([DONE, deleted("nic-eth1")], id="event after the answer"),
        pytest.param([deleted("nic-eth1"), DONE], id="event before the answer"),
        pytest.param([STOP, deleted("nic-eth2"), DONE, deleted("nic-eth1")], id="other events first"),
    ],
)
def test_event(tmp_path: Path, messages: list[dict[str, Any]]) -> None:
    with server(tmp_path / "qmp", [[DONE], messages]):
        with monitor(tmp_path / "qmp") as qemu:
            qemu.execute("device_del", id="nic-eth1")
            qemu.wait_for("DEVICE_DELETED", device="nic-eth1")


def test_refusal_is_told_in_the_words_of_qemu(tmp_path: Path) -> None:
    refusal = {"error": {"class": "DeviceNotFound", "desc": "Device 'nic-eth9' not found"}}
    with server(tmp_path / "qmp", [[DONE], [refusal]]):
        with monitor(tmp_path / "qmp") as qemu:
            with pytest.raises(LabError, match="device_del: Device 'nic-eth9' not found"):
                qemu.execute("device_del", id="nic-eth9")


def test_event_that_does_not_come(tmp_path: Path) -> None:
    with server(tmp_path / "qmp", [[DONE], [DONE, deleted("nic-eth2")]]):
        with monitor(tmp_path / "qmp") as qemu:
            qemu.execute("device_del", id="nic-eth1")
            with pytest.raises(LabError, match="closed its monitor"):
                qemu.wait_for("DEVICE_DELETED", device="nic-eth1")


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not answer"):
        with monitor(tmp_path / "qmp"):
            pass
