# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command ``netconsole-sender`` on a host that sends: apply, watch, status."""

from __future__ import annotations

import json
import sys
from typing import Any, Sequence

from ._changes import describe
from ._configfs import Configfs
from ._declaration import document
from ._reconcile import ENGINE_ERRORS
from ._sender_files import DECLARATION, STATUS, read_json
from ._sender_service import BOOT_WAIT, Host, Sender, ServiceError, apply_once, watch

USAGE = """usage: netconsole-sender apply [--wait] | watch | status [--json]

apply   make the kernel's netconsole targets as declared, once; --wait: as netconsole-sender.service does it at boot,
        try again for some seconds until all stand
watch   do so, and again whenever the network changes (what netconsole-sender.service runs)
status  show each target: what it sends to, its next hop, its last change and why, failures

The declaration is /etc/netconsole-sender/declaration.json, written by the Ansible module fleet.netconsole.sender.
"""


def status(*, version: str) -> dict[str, Any]:
    """What is declared, what the kernel shows, and what the service wrote down. Needs no privileges."""
    declared = read_json(DECLARATION)
    told = read_json(STATUS) or {}
    known = {target.get("name"): target for target in told.get("targets", [])}
    targets = []
    shown = Configfs().targets()
    for target in [] if declared is None else document(declared)["targets"]:
        name = target["name"]
        state, entry = shown.get(name), known.get(name, {})
        targets.append(
            {
                "name": name,
                "enabled": state is not None and state.enabled,
                "declared": target,
                "shown": None if state is None else state.as_dict(),
                "next_hop": entry.get("next_hop"),
                "last_change": entry.get("last_change"),
                "failure": entry.get("failure"),
                "summary": "not there" if state is None else describe(state),
            }
        )
    return {
        "declared": declared is not None,
        "failure": told.get("failure"),
        "running_version": told.get("version"),
        "targets": targets,
        "version": version,
    }


def status_lines(found: dict[str, Any]) -> list[str]:
    """The same for people."""
    if not found["declared"]:
        return [f"nothing is declared: there is no {DECLARATION}"]
    lines = [] if found["failure"] is None else [f"failing: {found['failure']}"]
    for target in found["targets"]:
        lines.append(f"{target['name']}: {target['summary']}")
        if target["next_hop"]:
            lines.append(f"  next hop: {target['next_hop']} ({(target['shown'] or {}).get('remote_mac')})")
        if target["last_change"]:
            lines.append(f"  last change: {target['last_change']['time']} {target['last_change']['what']}")
        if target["failure"]:
            lines.append(f"  FAILS: {target['failure']}")
    return lines or ["no target is declared"]


def main(arguments: Sequence[str], *, version: str) -> int:
    """Run one command; returns its exit status."""
    words = list(arguments)
    sender = Sender(Host(), version=version)
    try:
        if words in (["apply"], ["apply", "--wait"]):
            if "--wait" in words:
                sender.serve()
            return apply_once(sender, wait=BOOT_WAIT if "--wait" in words else 0.0)
        if words == ["watch"]:
            return watch(sender)
        if words in (["status"], ["status", "--json"]):
            found = status(version=version)
            text = json.dumps(found, indent=2) if "--json" in words else "\n".join(status_lines(found))
            sys.stdout.write(f"{text}\n")
            return 1 if found["failure"] or any(target["failure"] for target in found["targets"]) else 0
    except (ServiceError, *ENGINE_ERRORS, OSError) as error:
        sys.stderr.write(f"netconsole-sender: {error}\n")
        return 1
    sys.stderr.write(USAGE)
    return 2
