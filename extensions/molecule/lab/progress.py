# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab is doing, on standard error, with times: one line when a step starts and one when it ends."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_began = time.monotonic()
_HEARTBEAT = 20.0


def say(text: str) -> None:
    """Print one line with the seconds since the lab tool was started."""
    with _lock:
        print(f"lab {time.monotonic() - _began:6.1f} s  {text}", file=sys.stderr, flush=True)


@contextmanager
def step(what: str, *, now: Callable[[], str] | None = None) -> Iterator[None]:
    """Announce a step, say how long it took, and say what it is at (`now`) every 20 s of it."""
    say(what)
    began = time.monotonic()
    ended = threading.Event()

    def heartbeat() -> None:
        while not ended.wait(_HEARTBEAT):
            detail = now() if now else ""
            say(f"{what}: {time.monotonic() - began:.0f} s so far{', ' + detail if detail else ''}")

    thread = threading.Thread(target=heartbeat, daemon=True)
    thread.start()
    outcome = "failed"
    try:
        yield
        outcome = "done"
    finally:
        ended.set()
        thread.join()
        say(f"{what}: {outcome} in {time.monotonic() - began:.1f} s")
