# Whether what the kernel says in a panic reaches the network: depends on the kind of console, and on what comes after.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Facts: netconsole has been an nbcon console (CON_NBCON, CON_NBCON_ATOMIC_UNSAFE) since Linux 7.0. panic() in
# kernel/panic.c sends what such a console holds by nbcon_atomic_flush_unsafe(), at its very end: after the crash kernel
# was started, and after the reboot that kernel.panic asks for. Seen on 7.0, 7.2 and 7.3-rc7; older kernels send in any
# case. The flag "N" of /proc/consoles (fs/proc/consoles.c) tells an nbcon console.

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

NBCON_SINCE = (7, 0)
NBCON_FLAG = "N"
_CONSOLE_NAME = re.compile(r"netcon(_ext)?\d+")
_CONSOLE_LINE = re.compile(r"(?P<name>\S+)\s+(?P<operations>[-RWU]{3})\s+\((?P<flags>[^)]*)\)\s*(?P<device>\S*)")


@dataclass(frozen=True)
class Console:
    """One line of /proc/consoles: flags without the blanks, device is "major:minor" or empty."""

    name: str
    flags: str
    device: str

    @property
    def netconsole(self) -> bool:
        return _CONSOLE_NAME.fullmatch(self.name) is not None


@dataclass(frozen=True)
class PanicCapture:
    """Whether a panic's messages reach the network, and if not, why not and what to do. Reason is "" where they do."""

    works: bool
    reason: str


def parse_consoles(text: str) -> tuple[Console, ...]:
    """The consoles of /proc/consoles, in the kernel's order."""
    found = (_CONSOLE_LINE.fullmatch(line.strip()) for line in text.splitlines())
    return tuple(
        Console(line["name"], "".join(line["flags"].split()), line["device"]) for line in found if line is not None
    )


def uses_nbcon(*, kernel_release: str, consoles: t.Sequence[Console]) -> bool:
    """Whether netconsole is an nbcon console: by its own flag, or while none is registered, by the kernel's version."""
    own = [console for console in consoles if console.netconsole]
    if own:
        return any(NBCON_FLAG in console.flags for console in own)
    numbers = re.match(r"(\d+)\.(\d+)", kernel_release)
    return numbers is not None and (int(numbers.group(1)), int(numbers.group(2))) >= NBCON_SINCE


def panic_capture(*, nbcon: bool, panic_timeout: int, crash_kernel_loaded: bool) -> PanicCapture:
    """What becomes of a panic's messages. panic_timeout is kernel.panic, in seconds, below 0 for a reboot at once."""
    reasons = []
    if nbcon and crash_kernel_loaded:
        reasons.append(
            "a crash kernel is loaded (kdump), which is started before they are sent: unload it, or rely on its dump"
        )
    if nbcon and panic_timeout != 0:
        reasons.append(
            f"kernel.panic is {panic_timeout}, so the kernel reboots before they are sent: set it to 0, and have a "
            "watchdog or management controller restart the host"
        )
    if not reasons:
        return PanicCapture(works=True, reason="")
    return PanicCapture(works=False, reason=f"this kernel sends a panic's messages last of all; {'; '.join(reasons)}")
