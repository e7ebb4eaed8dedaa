# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is this the place from which a kernel's netconsole can be set up? Asked before anything else, changes nothing.

configfs is one tree for the whole machine, but the kernel looks for a target's device in the network namespace of
whoever writes ``enabled`` (``drivers/net/netconsole.c``), and a container shares its host's kernel.
"""

from __future__ import annotations

from ._configfs import Files

# Files by which container managers say that this is one (systemd's container interface, podman, Docker).
_CONTAINER_MARKS = ("/run/systemd/container", "/run/.containerenv", "/.dockerenv")


class PreflightError(Exception):
    """netconsole cannot be set up from here. The message names the cause and the way out."""


def check_place(files: Files, *, container_will_do: bool) -> None:
    """Refuse a network namespace of its own, and a container.

    ``container_will_do``: netconsole's configfs directory is there, or no target is wanted, so that nothing has to be
    loaded or mounted.

    Raises PreflightError.
    """
    own, first = files.link("/proc/self/ns/net"), files.link("/proc/1/ns/net")
    if own and first and own != first:
        raise PreflightError(
            "this runs in another network namespace than the host itself, so the kernel would look for the devices "
            "of that namespace, and after 'ip netns exec' configfs cannot be seen either: run it on the host, outside "
            "of 'ip netns exec' (nsenter --net=/proc/1/ns/net leads there)"
        )
    container = _container(files)
    if container and not container_will_do:
        raise PreflightError(
            f"this is a container ({container}), which has no kernel of its own: make the machine that it runs on the "
            "sender instead, its kernel's messages are those of the container too"
        )


def _container(files: Files) -> str:
    """By what this is known as a container, "" for none."""
    for mark in _CONTAINER_MARKS:
        try:
            files.read(mark)
        except OSError:
            continue
        return mark
    try:
        environment = files.read("/proc/1/environ").split("\0")
    except OSError:
        return ""
    return next((entry for entry in environment if entry.startswith("container=")), "")
