# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record netconsole datagrams on a receiver and answer, over UDP and JSON, which ones have arrived.

    recorder.py serve FOLDER PORT...    record what comes to these ports, one file for each; answer on port 6669
    recorder.py ask QUESTION SECONDS    ask the one on this host until the answer is not 0, at most so long; print it

Questions: {"port": P, "tick": N} is the first arrived "lab tick" that is numbered N or higher, with {"source": S} only
one from that address; {"port": P, "from": N, "to": M} is how many ticks of these arrived; {"port": P, "text": T} is how
many other datagrams hold this text, with {"source": S} only those from that address.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import time
from pathlib import Path

ANSWERS = 6669
SO_RCVBUFFORCE = 33
"""socket(7): beyond the kernel's limit. A kernel that starts to send its log from the beginning sends it in one go."""

TICK = re.compile(rb"lab tick (\d+)")


class Port:
    """What came to one port."""

    def __init__(self, number: int, folder: Path) -> None:
        self.socket = listening(number)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
        self.file = open(folder / str(number), "ab", buffering=0)
        self.datagrams: list[tuple[bytes, str]] = []
        self.ticks: list[tuple[int, str]] = []

    def receive(self) -> None:
        """Take one datagram."""
        datagram, sender = self.socket.recvfrom(65536)
        source = plain(sender[0])
        self.file.write(f"{time.time():.3f} {source} ".encode() + datagram.rstrip(b"\n") + b"\n")
        found = TICK.search(datagram)
        if found:
            self.ticks.append((int(found.group(1)), source))
        else:
            self.datagrams.append((datagram, source))

    def answer(self, question: dict[str, object]) -> int | None:
        """The answer to a question about this port."""
        if "text" in question:
            text = str(question["text"]).encode()
            return sum(
                text in datagram and question.get("source") in (None, where) for datagram, where in self.datagrams
            )
        if "from" in question:
            wanted = range(int(str(question["from"])), int(str(question["to"])))
            return len({tick for tick, _source in self.ticks if tick in wanted})
        least, source = int(str(question["tick"])), question.get("source")
        return next((tick for tick, where in self.ticks if tick >= least and source in (None, where)), None)


def listening(number: int) -> socket.socket:
    """A UDP socket for both address families."""
    opened = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    opened.bind(("::", number))
    return opened


def plain(address: str) -> str:
    """An IPv4 address without the clothes that it wears on a socket for both families."""
    return address.removeprefix("::ffff:") if "." in address else address


def serve(folder: Path, numbers: list[int]) -> None:
    """Record and answer until the end of the process."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = {number: Port(number, folder) for number in numbers}
    answers = listening(ANSWERS)
    with selectors.DefaultSelector() as ready:
        for port in ports.values():
            ready.register(port.socket, selectors.EVENT_READ, port)
        ready.register(answers, selectors.EVENT_READ)
        while True:
            # What has arrived is taken in before questions about it are answered.
            for key, _events in sorted(ready.select(), key=lambda event: event[0].data is None):
                if key.data is not None:
                    key.data.receive()
                    continue
                text, sender = answers.recvfrom(65536)
                question = json.loads(text)
                answer = {"answer": ports[question["port"]].answer(question), "id": question.get("id")}
                answers.sendto(json.dumps(answer).encode(), sender)


def ask(question: dict[str, object], seconds: float) -> int | None:
    """Ask the recorder of this host until there is an answer, and that is not 0."""
    deadline = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        while True:
            asking.sendto(json.dumps(question).encode(), ("127.0.0.1", ANSWERS))
            answer: int | None = json.loads(asking.recv(65536))["answer"]
            if answer or time.monotonic() > deadline:
                return answer
            time.sleep(0.2)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]), [int(word) for word in sys.argv[3:]])
    else:
        print(json.dumps(ask(json.loads(sys.argv[2]), float(sys.argv[3]))))
