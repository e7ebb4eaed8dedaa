# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Which receivers a sender sends to: weighted rendezvous hashing. Runs on the controller and touches no host.

from __future__ import annotations

DOCUMENTATION = r"""
name: assign_receivers
short_description: Choose the receivers of a sender, evenly and stably
version_added: 1.0.0
author:
  - The fleet.netconsole authors (@fleet-netconsole)
description:
  - Gives every sender some of the receivers, by rendezvous hashing (highest random weight) of their inventory names.
    The same names give the same choice on every controller, in whatever order the inventory has them.
  - A new receiver takes over its share of the senders, one of N+1 parts of them, and no sender moves between the
    receivers that were there before. When a receiver leaves, only its own senders move.
  - A receiver's share is in proportion to its variable C(netconsole_receiver_weight), which is V(1) when not set. One
    of weight V(0) gets no sender, so it can be emptied before it goes.
  - A receiver is in the zone C(netconsole_receiver_zone), a sender in C(netconsole_sender_zone), any text such as the
    name of a site. The first copy stays in the sender's own zone where a receiver is there. Each further copy goes to a
    zone that has none of this sender yet, so that the loss of a zone is not the loss of all copies. Only when every
    zone has one, the zones get a second copy in the same order, the sender's own first. Hosts without a zone
    are together in one that has no name.
extends_documentation_fragment: fleet.netconsole._hostvars
positional: sender, hostvars, copies, zone
options:
  _input:
    description: The inventory names of the receivers.
    type: list
    elements: str
    required: true
  sender:
    description: The inventory name of the sender.
    type: str
    required: true
  copies:
    description:
      - How many receivers get each message of this sender. Where there are fewer, all of them do.
      - V(0) gives every receiver in the order of the input. Weights and zones have no say then.
    type: int
    default: 0
  zone:
    description: The sender's zone. When not given, the sender's variable C(netconsole_sender_zone).
    type: str
notes:
  - When a sender moves to another receiver, M(fleet.netconsole.sender) removes the target of the former one, where an
    earlier run with C(persist) made it.
seealso:
  - plugin: fleet.netconsole.receiver_targets
    plugin_type: filter
  - plugin: fleet.netconsole.netconsole_sender
    plugin_type: role
"""

EXAMPLES = r"""
---
- name: Show which two receivers this host sends to
  ansible.builtin.debug:
    msg: "{{ receivers | fleet.netconsole.assign_receivers(inventory_hostname, hostvars, copies=2) }}"
  vars:
    receivers: "{{ groups['netconsole_receivers'] }}"
"""

RETURN = r"""
_value:
  description: Inventory names of receivers, the first choice first.
  type: list
  elements: str
  sample: [log2, log5]
"""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleFilterError

NO_ZONE = ""
_HASH_BITS = 64
_FLOAT_BITS = 53  # what a float holds exactly: the hash's upper bits are used, its other bits would be rounded away


@dataclass(frozen=True)
class Receiver:
    """A receiver as far as the choice depends on it. weight is above 0."""

    name: str
    weight: float
    zone: str


def assign_receivers(
    receivers: Sequence[str],
    sender: str,
    hostvars: Mapping[str, Mapping[str, Any]],
    copies: int | str = 0,
    zone: str | None = None,
) -> list[str]:
    """The names of this sender's receivers, first choice first. Raises AnsibleFilterError for what makes no sense."""
    wanted = _copies(copies)
    names = list(dict.fromkeys(receivers))
    if not wanted or not names:
        return names
    known = [receiver for name in names for receiver in [_receiver(name, hostvars)] if receiver.weight]
    if not known:
        raise AnsibleFilterError(
            f"every receiver has the weight 0 ({', '.join(names)}): set netconsole_receiver_weight of at least one of "
            "them above 0"
        )
    own_zone = _text(hostvars.get(sender, {}).get("netconsole_sender_zone")) if zone is None else _text(zone)
    return [receiver.name for receiver in ranked(known, sender, own_zone)[:wanted]]


def ranked(receivers: Sequence[Receiver], sender: str, own_zone: str) -> list[Receiver]:
    """Every receiver, best first: each zone's first before any zone's second, the own zone first, then by score.

    In this order the first k receivers change by nothing but the new one when one is added: the others of its zone can
    only fall back.
    """
    by_score = sorted(receivers, key=lambda receiver: (-score(sender, receiver.name, receiver.weight), receiver.name))
    seen: Counter[str] = Counter()
    place: dict[str, int] = {}
    for receiver in by_score:
        place[receiver.name] = seen[receiver.zone]
        seen[receiver.zone] += 1
    return sorted(by_score, key=lambda receiver: (place[receiver.name], receiver.zone != own_zone))


def score(sender: str, receiver: str, weight: float) -> float:
    """Weighted rendezvous: -weight / ln(u), u evenly distributed in (0, 1) by a hash of both names.

    The highest score of several receivers is theirs in proportion to their weights (Schindelhauer and Schomaker,
    "Weighted Distributed Hash Tables", 2005).
    """
    digest = hashlib.sha256(f"{sender}\0{receiver}".encode("utf-8", "surrogateescape")).digest()
    number = int.from_bytes(digest[: _HASH_BITS // 8], "big") >> (_HASH_BITS - _FLOAT_BITS)
    return -weight / math.log((number + 0.5) / 2**_FLOAT_BITS)


def _receiver(name: str, hostvars: Mapping[str, Mapping[str, Any]]) -> Receiver:
    if name not in hostvars:
        raise AnsibleFilterError(f"receiver {name} is not in the inventory: check the spelling, or add it")
    variables = hostvars[name]
    return Receiver(
        name=name,
        weight=_weight(name, variables.get("netconsole_receiver_weight")),
        zone=_text(variables.get("netconsole_receiver_zone")),
    )


def _weight(name: str, value: Any) -> float:
    if value is None:
        return 1.0
    try:
        weight = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise AnsibleFilterError(
            f"netconsole_receiver_weight of {name} is {value!r}: it has to be a number, 0 or above, such as 2 for a "
            "receiver that shall get twice as many senders as one without a weight"
        )
    return weight


def _copies(value: int | str) -> int:
    try:
        copies = -1 if isinstance(value, (bool, float)) else int(value)
    except (TypeError, ValueError):
        copies = -1
    if copies < 0:
        raise AnsibleFilterError(
            f"copies (netconsole_sender_copies) is {value!r}: it has to be a whole number, how many receivers a sender "
            "sends to, or 0 for all of them"
        )
    return copies


def _text(value: Any) -> str:
    return NO_ZONE if value is None else str(value)


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"assign_receivers": assign_receivers}
