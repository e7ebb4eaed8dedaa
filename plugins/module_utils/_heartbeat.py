# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A mark in the kernel's log every few minutes, by which a receiver tells a silent host from a healthy, quiet one.

The receiver's observer (roles/netconsole_receiver/files/netconsole_observer.py) reads the distance of the marks out of
the marks themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ._kmsg import KmsgError, LogSwitches, Paths, read_switches, write_line

LONGEST = 1440  # minutes
LEAST_CONSOLE_LOGLEVEL = 4
"""A mark is as severe as it must be to be sent, and no more so than err: users are alarmed by what is more severe."""

_MARK = "netconsole-sender: heartbeat, every {minutes} min"
_OFF = "netconsole-sender: heartbeat, off"


def write_mark(minutes: int, *, paths: Paths) -> None:
    """Say that a mark comes every so many minutes, or with 0 that none comes any more. Raises KmsgError."""
    text = _MARK.format(minutes=minutes) if minutes else _OFF
    write_line(text, level=_level(read_switches(paths)), paths=paths)


def _level(switches: LogSwitches) -> int:
    if not switches.passes(LEAST_CONSOLE_LOGLEVEL - 1):
        raise KmsgError(
            f"no heartbeat: the console log level is {switches.console_loglevel}, and only messages of a lower number "
            f"are sent: it has to be {LEAST_CONSOLE_LOGLEVEL} or more"
        )
    return switches.choose_level()


@dataclass
class Heartbeat:
    """When the next mark is due, in seconds of a monotonic clock. Off, nothing ever is."""

    paths: Paths = field(default_factory=Paths)
    minutes: int = 0
    failure: str = ""
    _next: float | None = None

    def declare(self, minutes: int, now: float) -> None:
        """What the declaration says; the first mark of a new distance is due at once."""
        if minutes != self.minutes:
            self.minutes, self._next = minutes, now if minutes else None

    def timeout(self, now: float) -> float | None:
        """Seconds until the next mark, None: none."""
        return None if self._next is None else max(0.0, self._next - now)

    def beat(self, now: float) -> None:
        """Write the mark if it is due. Why it could not be written is in ``failure`` until one is."""
        if self._next is None or now < self._next:
            return
        self._next = now + 60.0 * self.minutes
        try:
            write_mark(self.minutes, paths=self.paths)
        except KmsgError as error:
            self.failure = str(error)
        else:
            self.failure = ""
