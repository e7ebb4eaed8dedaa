# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a sender's messages tell: trouble in its kernel, what was lost on the way, reboots, heartbeat marks.

Facts: the kernel's ``Documentation/ABI/testing/dev-kmsg`` (sequence, level, facility) and
``Documentation/networking/netconsole.rst`` (msgid counts the messages of one target).
"""

from __future__ import annotations

import re
import time
import typing as t
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime

# -- what a kernel says when something is wrong ----------------------------------------------------------------------

# Only lines of the kernel itself count (facility 0): any user of /dev/kmsg can write the same words.
EVENTS: t.Sequence[tuple[str, re.Pattern[str]]] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("panic", r"^Kernel panic - not syncing"),
        (
            "oops",
            r"^(BUG: (?!soft lockup|workqueue lockup)|Oops: |Oops - |Internal error: Oops|kernel BUG at "
            r"|Unable to handle kernel |general protection fault|divide error: |invalid opcode: |stack segment: "
            r"|double fault: |int3: |PANIC: double fault)",
        ),
        ("hung_task", r"^INFO: task .{1,80} blocked (in I/O wait )?for more than \d+ seconds"),
        (
            "lockup",
            r"(soft lockup|[Hh]ard LOCKUP|workqueue lockup|rcu.{0,40} (self-)?detected (expedited )?stalls?)",
        ),
        (
            "mce",
            r"(\[Hardware Error\]: Machine check|^mce: .{0,40}(Machine [Cc]heck|Hardware Error)"
            r"|Machine check events logged)",
        ),
        (
            "oom",
            r"^(Out of memory: Killed process|Memory cgroup out of memory: Killed process"
            r"|Out of memory and no killable)",
        ),
    )
)
# A word of each pattern above: most lines have none of them and need no closer look.
TROUBLE = re.compile("panic|BUG|Oops|error|Unable|fault|opcode|segment|int3|blocked|lockup|LOCKUP|stall|mce|memory")
# What netconsole-sender.service writes (plugins/module_utils/_heartbeat.py).
HEARTBEAT = re.compile(r"^netconsole-sender: heartbeat, (?:every (\d{1,5}) min|off)")
CRASH_KINDS = ("panic", "oops")
END_OF_PANIC = re.compile(r"---\[ end Kernel panic")
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


def event_of(record: t.Mapping[str, t.Any]) -> str | None:
    """The kind of trouble that a record's line tells of, None for all others."""
    if record.get("facility") not in (0, None):
        return None
    message = record.get("message")
    if isinstance(message, str) and TROUBLE.search(message):
        for kind, pattern in EVENTS:
            if pattern.search(message):
                return kind
    return None


SLACK = 60.0
"""Seconds by which the order of messages and clocks may differ."""

# -- what was lost ----------------------------------------------------------------------------------------------------


@dataclass
class Numbers:
    """A counter that a sender puts on its messages: what is missing of it, and what came late.

    Missing numbers are kept as ranges, the last ``REMEMBERED`` of them, so that a late message is told from a counter
    that has started anew.
    """

    REMEMBERED: t.ClassVar[int] = 256

    last: int | None = None
    missing: int = 0
    late: int = 0
    gaps: deque[tuple[int, int]] = field(default_factory=deque)

    def take(self, number: int) -> str:
        """Count one number: "next", "gap" (some are missing before it), "late" or "known" (seen already, or older)."""
        if self.last is None or number == self.last + 1:
            self.last = number
            return "next"
        if number > self.last:
            self.missing += number - self.last - 1
            self.gaps.append((self.last + 1, number - 1))
            if len(self.gaps) > self.REMEMBERED:
                self.gaps.popleft()
            self.last = number
            return "gap"
        return "late" if self._fill(number) else "known"

    def _fill(self, number: int) -> bool:
        for index, (low, high) in enumerate(self.gaps):
            if low <= number <= high:
                del self.gaps[index]
                self.gaps.extend(part for part in ((low, number - 1), (number + 1, high)) if part[0] <= part[1])
                self.missing -= 1
                self.late += 1
                return True
        return False

    def restart(self, number: int) -> None:
        """The counter began anew, with this number. What was missing before stays missing."""
        self.last = number
        self.gaps.clear()


@dataclass
class Sender:
    """All that is known of one sender since the observer first saw it."""

    host: str
    last_seen: float = 0.0  # seconds since 1970, by the receiver's clock
    kernel_time: float | None = None  # seconds since the sender's boot, of its newest message
    boots: int = 0  # restarts that were seen
    levels: t.Counter[str] = field(default_factory=Counter)
    events: t.Counter[str] = field(default_factory=Counter)
    crashes: int = 0
    sequence: Numbers = field(default_factory=Numbers)  # gaps are losses, or messages of a level that is not sent
    msgid: Numbers = field(default_factory=Numbers)  # gaps are losses, nothing else
    has_msgid: bool = False
    heartbeat: float = 0.0  # seconds between its marks, 0: it makes none
    silent: bool = False

    def take(self, record: t.Mapping[str, t.Any], received: float) -> None:
        """Count one record of this sender."""
        since, self.last_seen = received - self.last_seen, max(self.last_seen, received)
        self.levels[_level(record)] += 1
        mark = HEARTBEAT.match(str(record.get("message", "")))
        if mark:
            self.heartbeat = 60.0 * int(mark[1] or 0)
        kernel_time = record.get("kernel_time")
        stamp = float(kernel_time) if isinstance(kernel_time, (int, float)) else None
        if self._is_boot(record, stamp, since):
            self.boots += 1
            self.kernel_time = stamp
            self.msgid.restart(-1)
        elif stamp is not None:
            self.kernel_time = stamp if self.kernel_time is None else max(stamp, self.kernel_time)
        self._take_msgid(record)

    def _is_boot(self, record: t.Mapping[str, t.Any], stamp: float | None, since: float) -> bool:
        """Whether the sender has booted since its message before, which came ``since`` seconds ago. Counts the sequence
        number."""
        earlier = stamp is not None and self.kernel_time is not None and stamp < self.kernel_time
        # A kernel that booted after that message has not run for longer than that: what says so comes late, or again.
        # (The receiver's clock may have been set back.)
        earlier = earlier and not -SLACK < since < t.cast(float, stamp) - SLACK
        sequence = record.get("sequence")
        if not isinstance(sequence, int):
            # The legacy format has no number. UDP turns messages of one moment round, not those of different seconds.
            return earlier and t.cast(float, stamp) < t.cast(float, self.kernel_time) - 1
        if self.sequence.take(sequence) == "known" and earlier:
            self.sequence.restart(sequence)
            return True
        return False

    def _take_msgid(self, record: t.Mapping[str, t.Any]) -> None:
        userdata = record.get("userdata")
        text = userdata.get("msgid") if isinstance(userdata, dict) else None
        if not isinstance(text, str) or not text.isdigit():
            return
        self.has_msgid = True
        if self.msgid.last == -1:
            self.msgid.restart(int(text))
        elif self.msgid.take(int(text)) == "known":
            self.msgid.restart(int(text))  # the target was made anew


def _level(record: t.Mapping[str, t.Any]) -> str:
    name = record.get("level_name")
    return name if name in LEVELS else "none"


def received_time(record: t.Mapping[str, t.Any]) -> float:
    """When a record was received, in seconds since 1970; now, where it does not say."""
    text = str(record.get("received", "")).replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return time.time()
