# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and end one container (podman with a storage of the lab's own, so that the user's is not touched)."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from lab.cache import cache_folder, locked
from lab.guests import Container
from lab.process import run
from lab.progress import step
from lab.state import Record, State

_CGROUPS = Path("/sys/fs/cgroup")
_CAP_SYS_RESOURCE = 24  # capability.h
_UNIFIED = _CGROUPS / "unified"


def podman() -> list[str]:
    """The podman command with its options, for this machine.

    systemd in a container wants the unified cgroup tree. Where that lies beside an older one (hybrid), podman runs in a
    mount namespace that shows it in the usual place.
    """
    words = [
        "podman",
        *("--root", str(cache_folder() / "podman" / "storage"), "--runroot", str(cache_folder() / "podman" / "run")),
        *("--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend", "none", "--log-level", "error"),
    ]
    hybrid = not (_CGROUPS / "cgroup.controllers").exists() and (_UNIFIED / "cgroup.controllers").exists()
    if hybrid and os.geteuid() == 0:
        script = f'mount --bind {_UNIFIED} {_CGROUPS} && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, "sh", *words]
    return words


def _limits() -> list[str]:
    """Resource limits for a root that may not raise them (itself in a container): podman's own are refused there."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    may_raise = effective is not None and int(effective.group(1), 16) >> _CAP_SYS_RESOURCE & 1
    if os.geteuid() != 0 or may_raise:
        return []
    return ["--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1000:1000"]


def start(container: Container, state: State, image: Path) -> None:
    """Start a container and wait until its systemd has started everything."""
    tag = f"localhost/fleet-netconsole:{image.name}"
    with locked(cache_folder() / "locks" / "podman", waiting_for="container storage"):
        if tag.rpartition(":")[2] not in run([*podman(), "images", "--format", "{{.Tag}}"]).split():
            with step(f"importing {image.name}"):
                run([*podman(), "import", "--change", 'CMD ["/sbin/init"]', image / "root.tar", tag], timeout=600)
    name = state.marker(container.name)
    log = state.log(container.name, "podman")
    log.write_bytes(b"")
    run(
        [
            *podman(),
            *("run", "--detach", "--name", name, "--hostname", container.name, "--network", "none"),
            # A file system that a test may fill.
            *("--tmpfs", "/srv/small:rw,size=16m,mode=0755"),
            *("--cap-add", "NET_ADMIN,NET_RAW", "--systemd", "always", "--pids-limit", "-1", *_limits()),
            tag,
        ],
        log=log,
        timeout=300,
    )
    # Not --wait: in the first moments nobody is there to ask. "degraded" (a unit failed) is up all the same.
    script = """
        for try in $(seq 600); do
            state=$(systemctl is-system-running 2>&1)
            case $state in running | degraded) exit 0 ;; esac
            sleep 0.2
        done
        echo "systemd is not up: $state" >&2
        exit 1
    """
    run([*podman(), "exec", name, "sh", "-c", script], log=log, timeout=300)


def alive(record: Record) -> bool:
    """Whether podman says that the container runs."""
    return record.marker in run([*podman(), "ps", "--format", "{{.Names}}"]).split()


def proxy_command(record: Record) -> str:
    """What ssh talks through: an sshd of its own inside the container, for this one connection."""
    return shlex.join([*podman(), "exec", "--interactive", record.marker, "/usr/sbin/sshd", "-i"]).replace("%", "%%")


def end(record: Record) -> None:
    """Remove the container."""
    run([*podman(), "rm", "--force", "--time", "3", "--ignore", record.marker], timeout=120)
