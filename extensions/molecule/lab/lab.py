# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring guests up and down, reboot them, and pull and put their interfaces."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from lab import container, inventory, machine, requirements, segments
from lab.boot_disk import ensure_folders
from lab.cache import Keys, keys, locked
from lab.guests import GUESTS, Container, Machine
from lab.process import LabError
from lab.progress import say, step
from lab.state import Record, State


@contextmanager
def _opened(folder: Path) -> Iterator[State]:
    """The state of a lab, with nobody else changing it."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock", waiting_for=f"the lab in {folder}"):
        yield State.load(folder)


def alive(record: Record) -> bool:
    """Whether a guest runs."""
    if record.kind == "machine":
        return machine.alive(record)
    return container.alive(record)


def up(folder: Path, names: Sequence[str]) -> list[str]:
    """Start those guests that do not run yet and wait until they can be used; returns their names.

    When one of them fails, those that this call started are ended again.
    """
    requirements.ensure(install=False)
    with _opened(folder) as state:
        for name, record in list(state.guests.items()):
            if not alive(record):
                _end(name, state)
        started = [name for name in names if name not in state.guests]
        if not started:
            return []
        folders = ensure_folders(started)
        pair = keys()
        (folder / "logs").mkdir(exist_ok=True)
        began = time.monotonic()
        try:
            state.save()  # before anything runs: `lab down` ends what is noted
            segments.ensure(state)
            for name in started:
                _start(name, state, folders[name], pair)
            with step(f"waiting for {', '.join(started)}"), ThreadPoolExecutor(max_workers=len(started)) as pool:
                for future in [pool.submit(_await, name, state, began) for name in started]:
                    future.result()
        except BaseException as error:
            if isinstance(error, LabError):
                say(f"{error}")
            for name in started:
                _end(name, state)
            if not state.guests:
                segments.end(state)
            raise
        return started


def reboot(folder: Path, name: str, words: Sequence[str] = ()) -> None:
    """Reboot a machine into its own /boot, with further kernel words for this boot, and wait until it can be used."""
    with _running_machine(folder, name) as (guest, record, state):
        machine.reboot(guest, record, state, words)
        _await(name, state, time.monotonic())


def reset(folder: Path, name: str, words: Sequence[str] = ()) -> None:
    """Power a machine off at once and on again, and wait until it can be used."""
    with _running_machine(folder, name) as (guest, record, state):
        machine.reset(guest, record, state, words)
        _await(name, state, time.monotonic())


def unplug(folder: Path, name: str, number: int) -> None:
    """Pull ethN out of a running machine."""
    with _running_machine(folder, name) as (guest, _record, state):
        machine.unplug(guest, number, state)


def plug(folder: Path, name: str, number: int) -> None:
    """Put ethN back."""
    with _running_machine(folder, name) as (guest, _record, state):
        machine.plug(guest, number, state)


@contextmanager
def _running_machine(folder: Path, name: str) -> Iterator[tuple[Machine, Record, State]]:
    """A machine of this lab that runs."""
    guest = GUESTS[name]
    if not isinstance(guest, Machine):
        raise LabError(f"{name} is a container: only machines can do this")
    with _opened(folder) as state:
        record = state.guests.get(name)
        if record is None or not alive(record):
            raise LabError(f"{name} does not run: lab up {name}")
        yield guest, record, state


def _start(name: str, state: State, image: Path, pair: Keys) -> None:
    guest = GUESTS[name]
    record = Record("machine" if isinstance(guest, Machine) else "container", guest.suite, state.marker(name))
    # Noted before it starts: a run that is killed in between leaves nothing that nobody knows.
    state.guests[name] = record
    state.save()
    if isinstance(guest, Machine):
        say(f"starting {name} ({guest.suite})")
        record.port = machine.start(guest, state, image)
    elif isinstance(guest, Container):
        with step(f"starting {name} ({guest.suite} container)"):
            container.start(guest, state, image)
    state.save()
    inventory.write(state, pair)


def _await(name: str, state: State, began: float) -> None:
    if isinstance(GUESTS[name], Machine):
        machine.await_ready(name, state.guests[name], state)
        say(f"{name} is up after {time.monotonic() - began:.1f} s")


def _end(name: str, state: State) -> None:
    record = state.guests.get(name)
    if record is None:
        return
    if record.kind == "machine":
        machine.end(name, record, state)
    else:
        container.end(record)
    del state.guests[name]
    state.save()
    inventory.write(state, keys())


def down(folder: Path, names: Iterable[str] = ()) -> list[str]:
    """End the named guests, or all of them and the lab itself; the logs stay. Returns the names of those ended."""
    if not (folder / "lab.json").exists():
        return []
    with _opened(folder) as state:
        ended = [name for name in state.guests if not list(names) or name in names]
        for name in ended:
            _end(name, state)
        if not state.guests:
            segments.end(state)
            for path in folder.iterdir():
                if path.name in ("logs", "lock"):
                    continue
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return ended
