# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that joins guests: what one sends on a segment, all others on it get, in order.

    switch.py MARKER SOCKET...

Each socket is one segment: qemu's `-netdev stream` connects there. MARKER is only a name to be known by. It runs until
a signal ends it or its sockets are removed. A burst that a guest cannot take at once waits here, up to LIMIT bytes for
each guest; what is beyond that is dropped, as a switch does it. qemu's own multicast segments hold less than a kernel's
whole log.
"""

from __future__ import annotations

import selectors
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

LENGTH = struct.Struct(">I")
"""qemu sends each frame behind its length."""

LIMIT = 4 << 20
CHUNK = 1 << 16
IDLE = 2.0
"""Seconds without anything to do, after which it looks whether its lab is still there."""


def whole(data: bytes | bytearray) -> int:
    """How many bytes the frames have that are there from their first byte to their last."""
    end = 0
    while end + LENGTH.size <= len(data):
        after = end + LENGTH.size + LENGTH.unpack_from(data, end)[0]
        if after > len(data):
            break
        end = after
    return end


def take_frames(data: bytearray) -> list[bytes]:
    """Take the whole frames out of what was received, without their lengths."""
    frames = []
    end = whole(data)
    at = 0
    while at < end:
        after = at + LENGTH.size + LENGTH.unpack_from(data, at)[0]
        frames.append(bytes(data[at + LENGTH.size : after]))
        at = after
    del data[:end]
    return frames


class Port:
    """One connection to a segment."""

    def __init__(self, connection: socket.socket, others: set[Port]) -> None:
        connection.setblocking(False)
        self.connection = connection
        self._others = others
        """All ports of the segment, this one among them."""
        self._received = bytearray()
        self._waiting = bytearray()
        others.add(self)

    def receive(self) -> set[Port]:
        """Pass on what has come. Those of the segment that did not take all of it at once; OSError at the end."""
        data = self.connection.recv(CHUNK)
        if not data:
            raise ConnectionError
        self._received += data
        end = whole(self._received)
        frames = bytes(self._received[:end])
        del self._received[:end]
        return {port for port in self._others if port is not self and frames and not port.send(frames)}

    def send(self, frames: bytes = b"") -> bool:
        """Send what has waited and then these frames. Whether nothing is left."""
        if len(self._waiting) + len(frames) <= LIMIT:
            self._waiting += frames
        with suppress(OSError):  # it takes no more now; or it has ended, which receive() will see
            while self._waiting:
                del self._waiting[: self.connection.send(self._waiting)]
        return not self._waiting

    def close(self) -> None:
        """Leave the segment."""
        self._others.discard(self)
        self.connection.close()


def serve(paths: list[Path]) -> None:
    """Join who connects."""
    with selectors.DefaultSelector() as selector:
        for path in paths:
            for old in (path, Path(f"{path}.new")):
                old.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX)
            listener.setblocking(False)
            listener.bind(f"{path}.new")
            listener.listen()
            Path(f"{path}.new").rename(path)  # from here on it takes connections
            selector.register(listener, selectors.EVENT_READ, set())
        own = {path: path.stat().st_ino for path in paths}
        while True:
            found = selector.select(IDLE)
            if not found and not any(path.exists() and path.stat().st_ino == number for path, number in own.items()):
                return  # somebody has removed the lab's folder
            # Who has connected first, so that it gets what has come meanwhile.
            for key, events in sorted(found, key=lambda event: isinstance(event[0].data, Port)):
                if isinstance(key.fileobj, socket.socket) and not isinstance(key.data, Port):
                    with suppress(BlockingIOError):
                        while True:
                            connection, _address = key.fileobj.accept()
                            selector.register(connection, selectors.EVENT_READ, Port(connection, key.data))
                    continue
                port = key.data
                try:
                    if events & selectors.EVENT_WRITE and port.send():
                        selector.modify(port.connection, selectors.EVENT_READ, port)
                    behind = port.receive() if events & selectors.EVENT_READ else set()
                except OSError:
                    selector.unregister(port.connection)
                    port.close()
                    continue
                for other in behind:
                    selector.modify(other.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, other)


if __name__ == "__main__":
    serve([Path(word) for word in sys.argv[2:]])
