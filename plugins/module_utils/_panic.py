# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does a panic of this kernel reach the network? And if not, what stands in the way.

Kernels from 7.0 on print through an nbcon console, which is flushed at the very end of panic(): after the reboot that
``kernel.panic`` asks for, and after the jump into a crash kernel (``kernel/panic.c``, vpanic()). Seen on 7.0, 7.2 and
7.3: with ``kernel.panic`` other than 0 not one line of a panic was sent, with 0 all of it. Older kernels always send
it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ._configfs import ConfigfsError, Files

CONSOLES = "/proc/consoles"
PANIC_TIMEOUT = "/proc/sys/kernel/panic"
CRASH_KERNEL = "/sys/kernel/kexec_crash_loaded"
_NBCON_SINCE = (7, 0)
# A line of /proc/consoles (fs/proc/consoles.c): "netcon_ext0          -W- (E N p  )"; N is CON_NBCON.
_CONSOLE_LINE = re.compile(r"netcon(?:_ext)?\d+\s+\S+\s+\(([^)]*)\)")


class PanicCaptureError(Exception):
    """A panic would not be sent although the declaration asks for it. The message names the cause and the way out."""


@dataclass(frozen=True)
class PanicCapture:
    """``works``: a panic's messages reach the receivers. ``reason``: why, or why not, in a sentence."""

    works: bool
    reason: str
    timeout: int  # kernel.panic: seconds until the reboot, 0 for never, negative for at once
    crash_kernel: bool  # one is loaded (kdump)

    def as_dict(self) -> dict[str, object]:
        return {"works": self.works, "reason": self.reason}


def read_panic_capture(files: Files, *, timeout: int | None = None) -> PanicCapture:
    """What would become of a panic now; with ``timeout``: if kernel.panic was that."""
    if timeout is None:
        timeout = int(_read(files, PANIC_TIMEOUT) or 0)
    crash_kernel = _read(files, CRASH_KERNEL) == "1"
    works, reason = _judge(nbcon=prints_late(files), timeout=timeout, crash_kernel=crash_kernel)
    return PanicCapture(works=works, reason=reason, timeout=timeout, crash_kernel=crash_kernel)


def prints_late(files: Files) -> bool:
    """True where netconsole's console is an nbcon one. The console itself tells, else the kernel's release."""
    flags = _CONSOLE_LINE.findall(_read(files, CONSOLES))
    if flags:
        return any("N" in entry for entry in flags)
    numbers = re.match(r"(\d+)\.(\d+)", files.release())
    return numbers is None or (int(numbers.group(1)), int(numbers.group(2))) >= _NBCON_SINCE


def write_panic_timeout(files: Files, seconds: int) -> None:
    """Set kernel.panic. Raises ConfigfsError when it does not stay."""
    try:
        files.write(PANIC_TIMEOUT, f"{seconds}\n")
    except OSError as error:
        raise ConfigfsError(f"kernel.panic cannot be set to {seconds}: {error.strerror}: this needs root") from error
    if _read(files, PANIC_TIMEOUT) != str(seconds):
        raise ConfigfsError(f"kernel.panic is not {seconds} although that was written to {PANIC_TIMEOUT}")


def _judge(*, nbcon: bool, timeout: int, crash_kernel: bool) -> tuple[bool, str]:
    if not nbcon:
        return True, "This kernel sends the messages of a panic while it prints them."
    if crash_kernel:
        return False, (
            "This kernel sends the messages of a panic last of all, and a crash kernel (kdump) is loaded that takes "
            "over before: the dump has them, the receivers do not. To have them sent, unload the crash kernel and set "
            "kernel.panic to 0."
        )
    if timeout:
        return False, (
            f"This kernel sends the messages of a panic last of all, and kernel.panic is {timeout}, so it reboots "
            "before. To have them sent, set kernel.panic to 0 (panic_capture: set does it); the host then stays down "
            "after a panic until somebody, or a watchdog, restarts it."
        )
    return (
        True,
        "kernel.panic is 0 and no crash kernel is loaded, so this kernel comes to send the messages of a panic.",
    )


def _read(files: Files, path: str) -> str:
    """A file's text, "" where there is none."""
    try:
        return files.read(path).strip()
    except OSError:
        return ""
