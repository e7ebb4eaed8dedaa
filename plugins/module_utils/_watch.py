# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When the declaration has to be compared with the kernel again: which events count, and how long to wait.

``Interest`` knows what the targets stand on, and which event can change it. ``Schedule`` makes few runs out of many
events. Neither touches the host: times are seconds of a monotonic clock.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Collection, Mapping

from ._rtnetlink import Event

DEBOUNCE = 0.2  # after the last event: a change of the network comes as a burst
LONGEST_DEBOUNCE = 1.0  # after the first event: an endless burst holds nothing up
DISTANCE = 0.5  # between two runs
FIRST_RETRY, SLOWEST_RETRY = 1.0, 300.0  # while a target cannot be made as declared


@dataclass(frozen=True)
class Path:
    """What one enabled target stands on: the device, its own address, and the neighbour that gets the frames."""

    dev_name: str
    local_ip: str
    remote_ip: str
    neighbour: str  # the gateway, or the receiver itself
    remote_mac: str


@dataclass
class Interest:
    """Which events matter. ``update`` after each run, with the paths of the targets and whether any of them failed."""

    paths: Mapping[str, Path] = field(default_factory=dict)
    receivers: Collection[str] = ()  # addresses of all declared receivers, as far as they are known
    failing: Collection[str] = ()
    waiting: Collection[str] = ()  # devices with a target that can only be helped once they are up
    _links: dict[int, tuple[object, ...]] = field(default_factory=dict)
    _addresses: set[tuple[object, ...]] = field(default_factory=set)

    def update(
        self,
        paths: Mapping[str, Path],
        *,
        receivers: Collection[str],
        failing: Collection[str],
        waiting: Collection[str] = (),
    ) -> None:
        self.paths, self.receivers, self.failing, self.waiting = paths, receivers, failing, waiting

    def neighbours(self) -> dict[str, str]:
        """The addresses whose neighbour events can matter, each with the MAC address that is no news, "" for none."""
        macs: dict[str, set[str]] = {receiver: set() for receiver in self.receivers}
        for path in self.paths.values():
            macs.setdefault(path.neighbour, set()).add(path.remote_mac)
        # While a target fails, also the word that a neighbour is there as ever is a reason to try again.
        return {address: known.pop() if len(known) == 1 and not self.failing else "" for address, known in macs.items()}

    def counts(self, event: Event) -> bool:
        """Whether the event can change what the targets have to be. Remembers links and addresses."""
        if event.kind == "link":
            return self._link(event)
        if event.kind == "address":
            return self._address(event)
        if event.kind == "neighbour":
            return self._neighbour(event)
        if event.kind == "route":
            return self._route(event)
        return event.family in self._families()

    def _link(self, event: Event) -> bool:
        known = self._links.get(event.index)
        if event.gone:
            self._links.pop(event.index, None)
        elif known == event.signature:
            return False
        else:
            self._links[event.index] = event.signature
        names = {event.name, *(str(part) for part in (known or ())[:1])}
        used = {*self.waiting, *(path.dev_name for path in self.paths.values())}
        return bool(self.failing) or bool(used & names)

    def _address(self, event: Event) -> bool:
        key = (event.index, *event.signature)
        if event.gone:
            self._addresses = {known for known in self._addresses if known[:2] != (event.index, event.address)}
        elif key in self._addresses:
            return False  # only its lifetime was renewed
        else:
            self._addresses.add(key)
        if event.family not in self._families():
            return False
        return bool(self.failing) or event.gone or self._is_on_a_path(event.index)

    def _is_on_a_path(self, index: int) -> bool:
        """A device that never told of itself may be one of ours."""
        known = self._links.get(index)
        return known is None or any(path.dev_name == known[0] for path in self.paths.values())

    def _neighbour(self, event: Event) -> bool:
        for name, path in self.paths.items():
            if path.neighbour == event.address:
                if event.mac is not None and (event.mac != path.remote_mac or name in self.failing):
                    return True
                if event.failed and name not in self.failing:
                    return True
        return event.mac is not None and bool(self.failing) and event.address in self.receivers

    def _route(self, event: Event) -> bool:
        if not self.receivers:
            return bool(self.failing)
        return any(_covers(event, receiver) for receiver in self.receivers)

    def _families(self) -> set[int]:
        return {6 if ":" in receiver else 4 for receiver in self.receivers} if self.receivers else {4, 6}


def _covers(route: Event, receiver: str) -> bool:
    if route.family != (6 if ":" in receiver else 4):
        return False
    if not route.prefix:
        return True
    return ipaddress.ip_address(receiver) in ipaddress.ip_network(f"{route.address}/{route.prefix}", strict=False)


@dataclass
class Schedule:
    """When the next run is due. ``None`` from ``timeout`` means: sleep until an event comes.

    ``refresh`` is the distance of unprovoked runs in seconds, 0 for none (all receivers are addresses).
    """

    refresh: float = 0.0
    _first_event: float | None = None
    _last_event: float = 0.0
    _last_run: float | None = None
    _retry: float = 0.0

    def event(self, now: float) -> None:
        if self._first_event is None:
            self._first_event = now
        self._last_event = now
        self._retry = 0.0  # the network moves: what failed may work soon

    def ran(self, now: float, *, failing: bool) -> None:
        self._first_event = None
        self._last_run = now
        self._retry = min(max(self._retry * 2, FIRST_RETRY), SLOWEST_RETRY) if failing else 0.0

    def due(self) -> float | None:
        """The time of the next run; ``None``: no run without an event."""
        if self._last_run is None:
            return 0.0
        times = []
        if self._first_event is not None:
            settled = min(self._last_event + DEBOUNCE, self._first_event + LONGEST_DEBOUNCE)
            times.append(max(settled, self._last_run + DISTANCE))
        if self._retry:
            times.append(self._last_run + self._retry)
        if self.refresh:
            times.append(self._last_run + self.refresh)
        return min(times) if times else None

    def timeout(self, now: float) -> float | None:
        due = self.due()
        return None if due is None else max(0.0, due - now)
