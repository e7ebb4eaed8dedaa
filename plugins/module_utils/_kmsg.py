# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines written into the kernel's log from user space, and which of them the kernel hands to netconsole.

A line of /dev/kmsg goes the way of any message of the kernel: printk, the consoles, netconsole. Facts: the kernel's
``kernel/printk/printk.c`` (devkmsg_write, suppress_message_printing) and ``Documentation/ABI/testing/dev-kmsg``.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Callable

# printk's levels by number: a line goes to the consoles when its number is lower than console_loglevel.
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
LEAST_SEVERE_CHOICE = LEVELS.index("notice")

# What the kernel itself puts in for lines from user space that name no facility.
_FACILITY_USER = 1


class KmsgError(Exception):
    """The kernel's log cannot be asked or written. The message names the cause and the way out."""


@dataclass(frozen=True)
class Paths:
    """Where the kernel shows and takes it. Tests put files of their own in their place."""

    kmsg: str = "/dev/kmsg"
    printk: str = "/proc/sys/kernel/printk"
    printk_devkmsg: str = "/proc/sys/kernel/printk_devkmsg"
    ignore_loglevel: str = "/sys/module/printk/parameters/ignore_loglevel"
    oops_only: str = "/sys/module/netconsole/parameters/oops_only"


@dataclass(frozen=True)
class LogSwitches:
    """What decides whether a line leaves the host. ``oops_only`` is netconsole's, ``None`` while it is not loaded."""

    console_loglevel: int
    ignore_loglevel: bool
    oops_only: bool | None

    def passes(self, level: int) -> bool:
        """Whether a line of this level goes to the consoles, netconsole among them."""
        return passes(level, console_loglevel=self.console_loglevel, ignore_loglevel=self.ignore_loglevel)

    def choose_level(self) -> int:
        """The least severe level, notice at the most, that leaves the host.

        With a console log level of 0 none does. It is notice then: a more severe line would only alarm the users.
        """
        for level in range(LEAST_SEVERE_CHOICE, -1, -1):
            if self.passes(level):
                return level
        return LEAST_SEVERE_CHOICE


def passes(level: int, *, console_loglevel: int, ignore_loglevel: bool) -> bool:
    """printk's own rule (suppress_message_printing)."""
    return ignore_loglevel or level < console_loglevel


def read_switches(paths: Paths) -> LogSwitches:
    """Read the kernel's log switches. Raises KmsgError without /proc."""
    try:
        printk = _read(paths.printk).split()
    except OSError as error:
        raise KmsgError(f"{paths.printk} cannot be read: {error.strerror}. Is this host a container?") from error
    return LogSwitches(
        console_loglevel=int(printk[0]),
        ignore_loglevel=_read_bool(paths.ignore_loglevel) is True,
        oops_only=_read_bool(paths.oops_only),
    )


def write_line(text: str, *, level: int, paths: Paths, clock: Callable[[], float] = time.time) -> float:
    """Write one line and return the time of it, in seconds of the host's clock.

    A descriptor of its own is opened for it: the rate limit of /dev/kmsg counts for each, so it never holds back one
    line. Raises KmsgError.
    """
    if _devkmsg_off(paths.printk_devkmsg):
        raise KmsgError(
            "kernel.printk_devkmsg is off, so the kernel takes no line from user space: set it to ratelimit "
            "(sysctl kernel.printk_devkmsg=ratelimit; refused when the kernel command line has printk.devkmsg=off)"
        )
    line = f"<{_FACILITY_USER << 3 | level}>{text}\n".encode("ascii")
    try:
        descriptor = os.open(paths.kmsg, os.O_WRONLY)
    except FileNotFoundError as error:
        raise KmsgError(f"there is no {paths.kmsg}: a container has no kernel of its own, use its host") from error
    except PermissionError as error:
        raise KmsgError(f"{paths.kmsg} may not be written: run as root (become), on the host itself") from error
    try:
        now = clock()
        os.write(descriptor, line)
    except OSError as error:
        raise KmsgError(f"the kernel does not take a line through {paths.kmsg}: {error.strerror}") from error
    finally:
        os.close(descriptor)
    return now


def _devkmsg_off(path: str) -> bool:
    try:
        return _read(path).strip() == "off"
    except OSError:
        return False


def _read(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as stream:
        return stream.read()


def _read_bool(path: str) -> bool | None:
    try:
        return _read(path).strip() in ("Y", "y", "1")
    except OSError:
        return None
