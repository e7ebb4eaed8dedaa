# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speak with a running qemu over its monitor socket. Source: qemu's docs/interop/qmp-spec.rst."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.process import LabError

PATIENCE = 300.0
"""Seconds to wait for an answer or an event: a guest lets go of a device, or shuts down, when it comes to that."""


class Monitor:
    """One connection to a monitor. Lines of JSON, one message each."""

    def __init__(self, connection: socket.socket) -> None:
        self._lines = connection.makefile("rb")
        self._connection = connection
        self._events: list[Mapping[str, Any]] = []
        self._read()  # the greeting
        self.execute("qmp_capabilities")

    def _read(self) -> Mapping[str, Any]:
        try:
            line = self._lines.readline()
        except TimeoutError as error:
            raise LabError(f"qemu's monitor said nothing for {PATIENCE:.0f} s") from error
        if not line:
            raise LabError("qemu closed its monitor")
        message: Mapping[str, Any] = json.loads(line)
        return message

    def execute(self, command: str, **arguments: object) -> Any:
        """Run a command; what it returns. LabError with qemu's reason when it refuses."""
        request: dict[str, object] = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self._read()
            if "event" in answer:
                self._events.append(answer)
            elif "error" in answer:
                raise LabError(f"qemu refuses {command}: {answer['error']['desc']}")
            else:
                return answer.get("return")

    def wait_for(self, event: str, **data: object) -> None:
        """Wait for an event whose data holds these values."""
        while True:
            for number, seen in enumerate(self._events):
                if seen["event"] == event and data.items() <= seen.get("data", {}).items():
                    del self._events[number]
                    return
            message = self._read()
            if "event" in message:
                self._events.append(message)


@contextmanager
def monitor(path: Path) -> Iterator[Monitor]:
    """A connection to the monitor that listens at this path."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect(str(path))
        except OSError as error:
            raise LabError(f"qemu's monitor {path} does not answer: {error.strerror}") from error
        yield Monitor(connection)
