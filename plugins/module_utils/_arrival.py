# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The receiver's half of an arrival check: asks the store for the probes of all senders, and says of each what became
of it. Waiting is bounded.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Mapping, Sequence

from ._arrival_facts import ReceiverFacts
from ._arrival_reasons import NOT_PROBED, Case, LastSeen, Probe, Receiver, belongs_to, hopeless, reasons
from ._arrival_store import UNKNOWN, Sighting, Store, format_time
from ._kmsg import LEVELS

POLL = 0.2  # seconds between two looks into the store, at least
SILENT_PATIENCE = 3.0  # seconds to wait when nothing can come any more, since nothing listens on the port
DEEP_AFTER = 1.0  # seconds after which a missing probe is looked for in the files of other senders too


class ArrivalError(Exception):
    """The question makes no sense. The message names the cause and the way out."""


# -- the question ------------------------------------------------------------------------------------------------------


def parse_probe(given: Any) -> Probe:
    """One probe from what the module ``probe`` returned, with ``host`` added. Raises ArrivalError."""
    if not isinstance(given, Mapping) or not all(isinstance(given.get(key), str) for key in ("host", "nonce")):
        raise ArrivalError(
            "every entry of probes needs host (the sender's inventory name) and nonce, and the rest of what "
            f"fleet.netconsole.probe returned; this one is {str(given)[:200]}"
        )
    targets = given.get("targets")
    if targets is not None and not all(isinstance(target, Mapping) and "name" in target for target in targets):
        raise ArrivalError(f"the targets of {given['host']} are not those that fleet.netconsole.probe returned")
    level = given.get("level", LEVELS.index("notice"))
    if level not in range(len(LEVELS)):
        raise ArrivalError(f"the level of {given['host']}'s probe is {level!r}: it is a number from 0 to 7")
    when = given.get("time")
    return Probe(
        host=given["host"],
        nonce=given["nonce"],
        time=None if when is None else float(when),
        written=bool(given.get("written", True)),
        level=int(level),
        console_loglevel=given.get("console_loglevel"),
        ignore_loglevel=bool(given.get("ignore_loglevel")),
        oops_only=bool(given.get("oops_only")),
        loaded=bool(given.get("loaded", True)),
        targets=None if targets is None else tuple(targets),
    )


@dataclass(frozen=True)
class Question:
    """One row of the answer to come: a probe, and the target that should have sent it here."""

    probe: Probe
    target: Mapping[str, Any]
    told: bool = True  # whether the sender told of this target

    @property
    def waits(self) -> bool:
        return self.probe.written and not hopeless(self.probe, self.target)


def questions(probes: Iterable[Probe], receiver: Receiver) -> list[Question]:
    """What this receiver is to be asked. Probes whose sender has no target for it are not among it.

    A disabled target counts only where the sender has no enabled one for this receiver.
    """
    result = []
    for probe in probes:
        if probe.targets is None:
            stand_in = {"name": receiver.name, "enabled": True, "remote_port": receiver.port}
            result.append(Question(probe=probe, target=stand_in, told=False))
            continue
        mine = [
            target
            for target in probe.targets
            if belongs_to(target, sender=probe.host, receiver=receiver.name, addresses=receiver.addresses)
        ]
        enabled = [target for target in mine if target.get("enabled")]
        result += [Question(probe=probe, target=target) for target in enabled or mine]
    return result


# -- the answer --------------------------------------------------------------------------------------------------------


@dataclass
class Asking:
    """One call of the module ``arrival``: waits until all probes are in the store, or nothing more can come.

    ``timeout`` is in seconds. Every other member can be replaced by a test.
    """

    name: str
    store: Store
    port: int = 6666
    addresses: Sequence[str] = ()
    timeout: float = 30.0
    facts: ReceiverFacts = field(default_factory=ReceiverFacts)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def receiver(self) -> Receiver:
        return self.facts.of(self.name, addresses=self.addresses, port=self.port, store=self.store.path)

    def answer(self, probes: Iterable[Probe]) -> list[dict[str, Any]]:
        """One row for each probe and target that is meant for this receiver, in the order given (see ``_row``)."""
        receiver = self.receiver()
        asked = questions(probes, receiver)
        self._wait([question for question in asked if question.probe.written], receiver)
        if any(question.probe.nonce not in self.store.found for question in asked):
            receiver = self.receiver()  # what is true now, not what was before the waiting
        by_nonce: dict[str, list[Question]] = {}
        for question in asked:
            by_nonce.setdefault(question.probe.nonce, []).append(question)
        pairs = {
            id(question): sighting
            for nonce, group in by_nonce.items()
            for question, sighting in assign(group, self.store.found.get(nonce, ()))
        }
        return [self._row(question, pairs.get(id(question)), receiver) for question in asked]

    def _wait(self, asked: Sequence[Question], receiver: Receiver) -> None:
        wanted: dict[str, int] = {}  # all copies that may turn up
        awaited: dict[str, int] = {}  # those that are worth waiting for
        hosts: dict[str, set[str]] = {}
        for question in asked:
            nonce = question.probe.nonce
            wanted[nonce] = wanted.get(nonce, 0) + 1
            awaited[nonce] = awaited.get(nonce, 0) + question.waits
            hosts.setdefault(question.probe.host, set()).add(nonce)
        deaf = all(receiver.listens(question.target.get("remote_ip")) is False for question in asked)
        patience = min(self.timeout, SILENT_PATIENCE) if deaf else self.timeout
        start = self.clock()
        while wanted:
            before = self.clock()
            last = before - start >= patience
            self.store.look(wanted, hosts, deep=last or before - start >= DEEP_AFTER)
            if last or not self.store.missing(awaited):
                return
            took = self.clock() - before
            self.sleep(max(POLL, min(2 * took, patience / 4)))

    def _row(self, question: Question, sighting: Sighting | None, receiver: Receiver) -> dict[str, Any]:
        probe, target = question.probe, question.target
        row: dict[str, Any] = {
            "host": probe.host,
            "receiver": receiver.name,
            "target": target["name"] if question.told else None,
            "nonce": probe.nonce,
            "arrived": sighting is not None if probe.written else None,
            "ok": not probe.written,
            "after": None,
            "received": None,
            "file": None,
            "stored_as": None,
            "format": None,
            "reason": "" if probe.written else NOT_PROBED,
            "reasons": [],
        }
        if sighting is not None:
            row.update(_arrived(question, sighting, receiver))
        elif probe.written:
            case = Case(probe=probe, target=target, receiver=receiver, last_seen=self._last_seen(probe, target))
            row["reasons"] = reasons(case)
            row["reason"] = row["reasons"][0]
        return row

    def _last_seen(self, probe: Probe, target: Mapping[str, Any]) -> LastSeen | None:
        names = (probe.host, f"{UNKNOWN}/{target.get('local_ip')}")
        changes = [self.store.last_change[name] for name in names if name in self.store.last_change]
        if not changes:
            return None
        return LastSeen(
            received=format_time(max(changes)), after_probe=probe.time is not None and max(changes) > probe.time
        )


def assign(asked: Sequence[Question], sightings: Sequence[Sighting]) -> list[tuple[Question, Sighting]]:
    """Which target sent which copy, when a sender has several for one receiver: by source address and format."""
    open_questions, copies, pairs = list(asked), list(sightings), []
    for by_source, by_format in ((True, True), (True, False), (False, True), (False, False)):
        for question in list(open_questions):
            expected = "extended" if question.target.get("extended") else "legacy"
            for copy in copies:
                if by_source and copy.source != question.target.get("local_ip"):
                    continue
                if by_format and copy.format != expected:
                    continue
                pairs.append((question, copy))
                open_questions.remove(question)
                copies.remove(copy)
                break
    return pairs


def _arrived(question: Question, sighting: Sighting, receiver: Receiver) -> dict[str, Any]:
    """The part of a row that tells of a probe that was found. It is ok only under the sender's own name."""
    probe, after = question.probe, None
    if sighting.received is not None and probe.time is not None:
        after = round(sighting.received - probe.time, 6)
    faults = [fault for fault in (_unreadable(sighting), _misnamed(question, sighting)) if fault]
    remarks = [remark for remark in (_clocks(probe, after, receiver), _loud(probe)) if remark]
    return {
        "ok": not faults,
        "after": after,
        "received": sighting.received_text,
        "file": sighting.file,
        "stored_as": sighting.stored_as,
        "format": sighting.format,
        "reason": (faults + remarks + [""])[0],
        "reasons": faults + remarks,
    }


def _unreadable(sighting: Sighting) -> str | None:
    if sighting.readable:
        return None
    return f"arrived, but its line in {sighting.file} is no JSON object: the collector's configuration is not ours"


def _misnamed(question: Question, sighting: Sighting) -> str | None:
    probe, target = question.probe, question.target
    if probe.host in (sighting.stored_as, sighting.host):
        return None
    if target.get("local_ip_on_device") is False and sighting.source == target.get("local_ip"):
        return (
            f"arrived, but stored as {sighting.stored_as}: {probe.host} sends from an address that "
            f"{target.get('dev_name')} does not have (any more), run fleet.netconsole.site"
        )
    if sighting.stored_as.startswith(UNKNOWN + "/"):
        address = sighting.source or sighting.stored_as[len(UNKNOWN) + 1 :]
        return (
            f"arrived, but stored as {sighting.stored_as}: add the address {address} to netconsole_sender_addresses of "
            f"{probe.host}, and run fleet.netconsole.site"
        )
    return (
        f"arrived, but stored as {sighting.stored_as}: the receiver takes {sighting.source or 'its address'} for an "
        f"address of {sighting.stored_as}; correct netconsole_sender_addresses of both, and run fleet.netconsole.site"
    )


def _clocks(probe: Probe, after: float | None, receiver: Receiver) -> str | None:
    if after is None or after >= 0:
        return None
    return f"received before it was sent: the clocks of {probe.host} and {receiver.name} differ"


def _loud(probe: Probe) -> str | None:
    if probe.ignore_loglevel or probe.console_loglevel is None or probe.console_loglevel > LEVELS.index("notice"):
        return None
    return f"console_loglevel is {probe.console_loglevel}: only {least_severe(probe.console_loglevel)} leaves the host"


def least_severe(console_loglevel: int) -> str:
    """The levels that a console log level lets out, in words: ``emerg``, ``emerg to err``."""
    last = LEVELS[max(0, min(console_loglevel, len(LEVELS)) - 1)]
    return last if last == LEVELS[0] else f"{LEVELS[0]} to {last}"
