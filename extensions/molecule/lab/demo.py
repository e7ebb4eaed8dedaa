# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: a receiver and two senders with different kernels, set up by the built and installed collection."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from lab.guarded import guarded
from lab.guests import DEMO_GUESTS
from lab.inventory import ssh_command
from lab.lab import up
from lab.process import LabError, run
from lab.progress import say, step

COLLECTION = Path(__file__).resolve().parents[3]
GROUPS = COLLECTION / "extensions" / "molecule" / "lab" / "demo_inventory"
RECEIVER, *SENDERS = DEMO_GUESTS

MESSAGES = (
    ("a sysrq help request", "echo h >/proc/sysrq-trigger"),
    ("a line as an oops begins", "echo '<1>BUG: unable to handle page fault (a line that the demo wrote)' >/dev/kmsg"),
)
"""What each sender's kernel is made to say: what it is, and the command for it."""

LOOK = f"""
cd /var/log/netconsole
for try in $(seq 30); do
    [ "$(grep -l 'a line that the demo wrote' *.log | wc -l)" -lt {len(SENDERS)} ] || break
    sleep 1
done
ls -l
tail -n 4 *.log
tail -n 1 *.jsonl
"""
"""For the receiver: wait until the last message of each sender is there, then show the ends of their files."""


def demo(folder: Path) -> None:
    """Run the demo. The guests stay up after it; when it fails or is interrupted they are ended."""
    began = time.monotonic()
    with guarded(folder, keep_when_done=True):
        installed = _install(folder / "demo")
        up(folder, DEMO_GUESTS)
        inventories = ["--inventory", str(folder / "inventory.yml"), "--inventory", str(GROUPS)]
        _title("The inventory says who receives and who sends")
        _show(["cat", *(str(path) for path in sorted(GROUPS.glob("*.yml")))])
        _title("ansible-playbook fleet.netconsole.site: receivers, senders, proof of arrival")
        with step("ansible-playbook fleet.netconsole.site"):
            _ansible(["ansible-playbook", *inventories, "fleet.netconsole.site"], installed)
        _title("Each sender's kernel speaks: " + ", ".join(what for what, _command in MESSAGES))
        commands = [command for _what, command in MESSAGES]
        print("\n".join(f"  {command}" for command in commands))
        for name in SENDERS:
            kernel = run([*ssh_command(folder, name), "; ".join([*commands, "uname -r"])], timeout=300).strip()
            print(f"{name} (kernel {kernel}): done", flush=True)
        _title(f"What {RECEIVER} has of it: /var/log/netconsole, one file for each sender")
        _show([*ssh_command(folder, RECEIVER), LOOK])
        _title("ansible-playbook fleet.netconsole.verify: the proof again, at any time")
        with step("ansible-playbook fleet.netconsole.verify"):
            _ansible(["ansible-playbook", *inventories, "fleet.netconsole.verify"], installed)
    _title("The guests stay up")
    for name in DEMO_GUESTS:
        print(f"  log in        ssh -F {folder / 'ssh_config'} {name}")
    print(f"  watch         ssh -F {folder / 'ssh_config'} {RECEIVER} tail -F '/var/log/netconsole/*.log'")
    print("  clean up      make demo-down")
    say(f"demo: done in {time.monotonic() - began:.0f} s")


def _install(work: Path) -> Path:
    """Build the collection and install it into an empty folder, as a user would from Galaxy; that folder."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / "ansible.cfg").touch()  # no settings but Ansible's own: the demo does not depend on whose machine this is
    with step("building and installing the collection"):
        galaxy = _tool("ansible-galaxy")
        run([galaxy, "collection", "build", COLLECTION, "--output-path", work], timeout=300)
        (tarball,) = work.glob("*.tar.gz")
        run([galaxy, "collection", "install", tarball, "--collections-path", work / "installed"], timeout=300)
    return work / "installed"


def _tool(name: str) -> str:
    """A program of Ansible: beside the Python that runs this (a virtual environment), else on the path."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise LabError(f"{name} is not there: `make demo` brings it")
    return found


def _ansible(command: list[str], installed: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {
        "ANSIBLE_COLLECTIONS_PATH": str(installed),
        "ANSIBLE_CONFIG": str(installed.parent / "ansible.cfg"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
    }
    _show([_tool(command[0]), *command[1:]], environment)


def _show(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command whose output is for the user."""
    status = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False).returncode
    if status:
        raise LabError(f"{Path(command[0]).name} failed with status {status}")


def _title(text: str) -> None:
    print(f"\n=== {text}", flush=True)
