# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where images and keys are kept between runs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.process import run
from lab.progress import say


def cache_folder() -> Path:
    """FLEET_NETCONSOLE_CACHE, else fleet-netconsole in the user's cache folder."""
    own = os.environ.get("FLEET_NETCONSOLE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(own).expanduser() if own else Path(base).expanduser() / "fleet-netconsole"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


@contextmanager
def locked(path: Path, *, waiting_for: str) -> Iterator[None]:
    """Hold a lock file, so that two runs do not do the same work at once; says so when it has to wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run: {waiting_for}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Keys:
    """The lab's two ssh key pairs: one to log in with, one that every guest shows."""

    login: Path
    host: Path

    def public(self, private: Path) -> str:
        """The public half, without its comment."""
        return " ".join(Path(f"{private}.pub").read_text(encoding="utf-8").split()[:2])


def keys() -> Keys:
    """The key pairs, made once per cache."""
    folder = cache_folder() / "keys"
    found = Keys(folder / "login", folder / "host")
    with locked(cache_folder() / "locks" / "keys", waiting_for="ssh keys"):
        folder.mkdir(mode=0o700, exist_ok=True)
        for path in (found.login, found.host):
            if not Path(f"{path}.pub").exists():
                path.unlink(missing_ok=True)
                run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "fleet-netconsole-lab", "-f", path])
    return found
