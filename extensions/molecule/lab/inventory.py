# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection data of a running lab: an Ansible inventory and an ssh configuration, both in its state folder."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from lab.cache import Keys
from lab.container import proxy_command
from lab.guests import GUESTS
from lab.state import Record, State

GROUPS = {"machine": "lab_machines", "container": "lab_containers"}


def write(state: State, pair: Keys) -> None:
    """Write inventory.yml, ssh_config and known_hosts for the guests that run now."""
    (state.folder / "known_hosts").write_text(f"lab {pair.public(pair.host)}\n", encoding="utf-8")
    (state.folder / "ssh_config").write_text(ssh_config(state, pair), encoding="utf-8")
    (state.folder / "cp").mkdir(exist_ok=True)
    text = "# Written by the lab: how to reach its guests. Which of them sends and receives, the scenarios say.\n"
    (state.folder / "inventory.yml").write_text(text + yaml(inventory(state)) + "\n", encoding="utf-8")


def ssh_config(state: State, pair: Keys) -> str:
    """One ssh configuration for all guests: `ssh -F .lab/ssh_config web1`."""
    lines = [
        "Host *",
        "  User root",
        f'  IdentityFile "{pair.login}"',
        "  IdentitiesOnly yes",
        "  IdentityAgent none",
        "  HostKeyAlias lab",
        f'  UserKnownHostsFile "{state.folder / "known_hosts"}"',
        "  GlobalKnownHostsFile /dev/null",
        "  StrictHostKeyChecking yes",
        "  ConnectTimeout 60",
        # One connection for many logins: each new one costs an emulated processor seconds.
        "  ControlMaster auto",
        "  ControlPersist 600",
        f'  ControlPath "{state.folder / "cp" / "%n"}"',
        "  LogLevel ERROR",
    ]
    for name, record in state.guests.items():
        lines.append(f"Host {name}")
        if record.kind == "machine":
            lines += ["  HostName 127.0.0.1", f"  Port {record.port}"]
        else:
            lines.append(f"  ProxyCommand {proxy_command(record)}")
    return "\n".join(lines) + "\n"


def _connection(name: str, record: Record) -> dict[str, Any]:
    if record.kind == "machine":
        return {"ansible_host": "127.0.0.1", "ansible_port": record.port}
    return {"ansible_host": name}


def inventory(state: State) -> dict[str, Any]:
    """The inventory as Ansible's YAML inventory plugin takes it."""
    children: dict[str, Any] = {}
    for name, record in state.guests.items():
        hosts = children.setdefault(GROUPS[record.kind], {"hosts": {}})["hosts"]
        hosts[name] = {**_connection(name, record), **GUESTS[name].variables}
        for group in GUESTS[name].groups:
            children.setdefault(group, {"hosts": {}})["hosts"][name] = {}
    return {
        "all": {
            "vars": {
                "ansible_user": "root",
                "ansible_become": False,
                "ansible_python_interpreter": "/usr/bin/python3",
                "ansible_pipelining": True,
                "ansible_control_path_dir": str(state.folder / "cp"),
                "ansible_ssh_args": "-o ControlMaster=auto -o ControlPersist=600",
                "ansible_ssh_common_args": f"-F {shlex.quote(str(state.folder / 'ssh_config'))}",
            },
            "children": children,
        }
    }


def yaml(value: Any, indent: int = 0) -> str:
    """The few kinds of value that an inventory holds, as block YAML (scalars and lists as JSON, which is YAML too)."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value)
    lines = []
    for key, item in value.items():
        nested = isinstance(item, dict) and item
        lines.append(" " * indent + f"{key}:" + ("\n" if nested else " ") + yaml(item, indent + 2))
    return "\n".join(lines)


def ssh_command(folder: Path, name: str) -> list[str]:
    """The ssh command that logs in to a guest."""
    return ["ssh", "-F", str(folder / "ssh_config"), name]


def copy_command(folder: Path) -> list[str]:
    """The command that copies files from and to guests: add NAME:PATH and a path, or the other way round."""
    return ["scp", "-q", "-F", str(folder / "ssh_config")]
