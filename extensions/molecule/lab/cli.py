# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the lab."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from lab import requirements
from lab.boot_disk import ensure_folders
from lab.demo import demo
from lab.guarded import run_guarded, watch
from lab.guests import GUESTS, USUAL_GUESTS
from lab.inventory import ssh_command
from lab.lab import alive, down, plug, reboot, reset, unplug, up
from lab.process import Interrupted, LabError, end_running, raise_on_signals, run
from lab.progress import say
from lab.recorder import recording
from lab.state import State, state_folder
from lab.tools import ensure_tools

BOOTS = {"reboot": reboot, "reset": reset}
PLUGS = {"unplug": unplug, "plug": plug}
ON_FOLDER = {"demo": demo, "watch": watch}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab",
        description="Virtual machines and containers for the tests and the demo of fleet.netconsole.",
        epilog=f"Guests: {', '.join(GUESTS)}. Where none is named: those of $FLEET_NETCONSOLE_GUESTS, "
        f"else {', '.join(USUAL_GUESTS)}.",
    )
    parser.add_argument("--state", help="folder of the running lab (default: $FLEET_NETCONSOLE_LAB, else .lab)")
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text)

    def with_guests(command: argparse.ArgumentParser) -> None:
        command.add_argument("guests", nargs="*", help="names of guests", metavar="guest")

    command = add("requirements", "say which Debian packages are missing")
    command.add_argument("--install", action="store_true", help="install them, with sudo where not root")
    command = add("images", "make the images that the guests need and the cache does not have")
    command.add_argument("--rebuild", action="store_true", help="make them anew")
    with_guests(command)
    add("tools", "fetch the programs of boot loaders that no guest starts by, and say where they are")
    with_guests(add("up", "start guests and wait until they can be used"))
    with_guests(add("down", "end guests (all, when none is named) and forget them"))
    add("status", "show the guests that run")
    command = add("ssh", "log in to a guest, or run a command there")
    command.add_argument("guest")
    command.add_argument("words", nargs=argparse.REMAINDER)
    for name, text in (
        ("reboot", "reboot a machine with the kernel and the initrd of its own /boot, and wait until it can be used"),
        ("reset", "power a machine off at once and on again, and wait until it can be used"),
    ):
        command = add(name, text)
        command.add_argument("guest")
        command.add_argument("words", nargs="*", metavar="word", help="a further kernel word, for this boot")
    for name, text in (
        ("unplug", "pull a network interface out of a running machine"),
        ("plug", "put it back"),
    ):
        command = add(name, text)
        command.add_argument("guest")
        command.add_argument("interface", type=_interface, metavar="ethN")
    command = add("record", "run a command and write down what is sent over a segment meanwhile")
    command.add_argument("segment")
    command.add_argument("file", type=Path, help="a JSON line for each UDP datagram")
    command.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    command = add("run", "run a command while guests are up, and end them afterwards whatever happens")
    command.add_argument("--guest", action="append", dest="guests", help="a guest to start (again for more)")
    command.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    add("demo", "show the collection at work; the guests stay up until `lab down`")
    commands.add_parser("watch")  # internal: see guarded.py
    return parser


def _interface(text: str) -> int:
    """N of ethN. eth0 is not to be had: the lab itself needs it."""
    number = text[3:] if text.startswith("eth") else ""
    if not number.isdigit() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not eth1, eth2, ...")
    return int(number)


def _guests(options: argparse.Namespace) -> list[str]:
    """The guests that are meant."""
    return options.guests or os.environ.get("FLEET_NETCONSOLE_GUESTS", "").split() or list(USUAL_GUESTS)


def _words(options: argparse.Namespace) -> list[str]:
    """The command that follows, without the -- in front of it."""
    words: list[str] = options.words
    return words[1:] if words[:1] == ["--"] else words


def _status(folder: Path) -> int:
    if not (folder / "lab.json").exists():
        print(f"no lab in {folder}")
        return 1
    for name, record in State.load(folder).guests.items():
        where = f"127.0.0.1:{record.port}" if record.kind == "machine" else record.marker
        print(f"{name:8} {record.kind:9} {record.suite:9} {'up' if alive(record) else 'gone':5} {where}")
    print(f"inventory {folder / 'inventory.yml'}")
    return 0


def _images(options: argparse.Namespace) -> None:
    for name, folder in ensure_folders(_guests(options), rebuild=options.rebuild).items():
        say(f"{name}: {folder}")


def _requirements(options: argparse.Namespace) -> None:
    requirements.ensure(install=options.install)


def _tools(_options: argparse.Namespace) -> None:
    print(ensure_tools())


BEFORE = {"requirements": _requirements, "images": _images, "tools": _tools}
"""What needs no running lab."""


def _command(options: argparse.Namespace, folder: Path) -> int:
    if options.command in BEFORE:
        BEFORE[options.command](options)
    elif options.command == "up":
        started = up(folder, _guests(options))
        print(f"started: {', '.join(started) or 'nothing, all were up'}")
        print(f"inventory: {folder / 'inventory.yml'}")
    elif options.command == "down":
        print(f"ended: {', '.join(down(folder, options.guests)) or 'nothing was up'}")
    elif options.command == "status":
        return _status(folder)
    elif options.command == "ssh":
        words = _words(options)
        ssh = ssh_command(folder, options.guest)
        os.execvp(ssh[0], [*ssh, *words])
    elif options.command in BOOTS:
        BOOTS[options.command](folder, options.guest, options.words)
    elif options.command in PLUGS:
        PLUGS[options.command](folder, options.guest, options.interface)
    elif options.command == "record":
        with recording(State.load(folder), options.segment, options.file):
            run(_words(options))
    elif options.command == "run":
        return run_guarded(folder, _guests(options), _words(options))
    elif options.command in ON_FOLDER:
        ON_FOLDER[options.command](folder)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    named = _guests(options) if "guests" in options else [options.guest] if "guest" in options else []
    unknown = [name for name in named if name not in GUESTS]
    if unknown:
        parser.error(f"there is no guest {', '.join(unknown)}: {', '.join(GUESTS)}")
    raise_on_signals()
    try:
        return _command(options, state_folder(options.state))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end_running()
        print(f"lab: {interrupted}", file=sys.stderr)
        return 128 + interrupted.number
