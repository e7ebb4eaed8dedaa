# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The word that another program has changed a target: SIGIO when something is written, made or removed in a folder.

This is dnotify (fcntl(2), F_NOTIFY; kernels with CONFIG_DNOTIFY), which Python has by itself: for inotify it would need
ctypes, which costs memory and asks for memory that can be written and executed. What the kernel itself switches off is
no write; it comes with an event of the network.
"""

from __future__ import annotations

import fcntl
import os
from typing import Iterable

_EVENTS = fcntl.DN_MODIFY | fcntl.DN_CREATE | fcntl.DN_DELETE | fcntl.DN_RENAME | fcntl.DN_MULTISHOT
_EVENTS_OF_C = _EVENTS - (1 << 32) if _EVENTS >= 1 << 31 else _EVENTS  # a C int, of which DN_MULTISHOT is the sign


class FolderWatch:
    """Folders, open as long as they are watched."""

    def __init__(self) -> None:
        self._descriptors: list[int] = []

    def start(self, folders: Iterable[str]) -> None:
        """Have SIGIO sent for these folders and no others.

        One that is not there is no error, nor is a kernel that has no dnotify.
        """
        self.stop()
        for folder in folders:
            try:
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError:
                continue
            self._descriptors.append(descriptor)
            try:
                fcntl.fcntl(descriptor, fcntl.F_NOTIFY, _EVENTS_OF_C)
            except OSError:
                self.stop()
                return

    def stop(self) -> None:
        """No more signals: what we do ourselves from now on is no news."""
        while self._descriptors:
            os.close(self._descriptors.pop())
