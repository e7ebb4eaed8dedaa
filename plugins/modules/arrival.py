#!/usr/bin/python

# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: arrival
short_description: Look at a receiver for the probes of its senders
version_added: 1.0.0
description:
  - Looks in a receiver's store for the lines that M(fleet.netconsole.probe) wrote into the kernel logs of its senders.
    One call asks for the probes of all senders, however many, and waits for those that are missing.
  - A probe counts when it is stored under its sender's name. One that is stored under another name, or by its address
    among the unknown senders, is reported with what to correct.
  - For a probe that did not arrive it gives the likely reason, from what the sender knows of its targets and the
    receiver of itself.
  - Only the newest lines of the store are read, of each file those of the last O(window) seconds at most. Files that
    were renamed or emptied by rotation are followed.
notes:
  - A probe that did not arrive does not fail the module. Look at RV(arrivals), or run the playbook
    C(fleet.netconsole.verify).
  - RV(arrivals[].after) compares the clocks of two hosts. When they differ, it is off by as much, and may be negative.
  - Nothing is changed.
author:
  - The fleet.netconsole authors (@fleet-netconsole)
extends_documentation_fragment:
  - fleet.netconsole._attributes
  - fleet.netconsole._attributes.actiongroup
attributes:
  check_mode:
    support: full
    details:
      - Probes that were not written because of check mode are not looked for.
  diff_mode:
    support: N/A
    details:
      - Nothing is changed that could be compared.
  idempotent:
    support: full
requirements:
  - Linux
  - iproute2
  - Python 3.7 or newer
  - the right to read the store
options:
  receiver:
    description:
      - The receiver's inventory name. Targets of this name are meant for it.
    type: str
    required: true
  probes:
    description:
      - What M(fleet.netconsole.probe) returned on each sender, with C(host) added, the sender's inventory name. The
        filter P(fleet.netconsole.probes#filter) collects it.
      - Only C(host) and C(nonce) have to be there. Without C(targets), the probe is looked for whatever the sender's
        targets may be. Senders whose C(targets) do not mean this receiver are passed over.
    type: list
    elements: dict
    required: true
  addresses:
    description:
      - Addresses of the receiver that its own interfaces do not have, such as one before a translating firewall. A
        target that sends to one of the receiver's addresses is meant for it, whatever the target's name.
      - Host names among them are passed over.
    type: list
    elements: str
    default: []
  port:
    description: The UDP port that the collector receives on.
    type: int
    default: 6666
  store:
    description: The directory that the collector stores into.
    type: path
    default: /var/log/netconsole
  timeout:
    description:
      - How many seconds to wait at most for probes that are missing.
      - Not waited for is what was certainly not sent, and nothing for more than a moment while nothing listens on the
        port.
    type: float
    default: 30
  window:
    description:
      - How many seconds back, by the receiver's clock, the store is read at most. It has to be longer than it takes to
        write all probes.
    type: float
    default: 3600
seealso:
  - module: fleet.netconsole.probe
  - plugin: fleet.netconsole.probes
    plugin_type: filter
  - plugin: fleet.netconsole.arrival_table
    plugin_type: filter
"""

EXAMPLES = r"""
---
- name: Look for the probes of all senders
  fleet.netconsole.arrival:
    receiver: "{{ inventory_hostname }}"
    probes: "{{ groups['netconsole_senders'] | fleet.netconsole.probes(hostvars) }}"
  register: netconsole_arrival

- name: Look for one probe, in a store of its own
  fleet.netconsole.arrival:
    receiver: log1
    store: /srv/netconsole
    timeout: 5
    probes:
      - host: web1
        nonce: 0f1e2d3c4b5a69788796a5b4c3d2e1f0
"""

RETURN = r"""
arrivals:
  description: One entry for each probe and each target that is meant for this receiver, in the order of O(probes).
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: The sender's inventory name.
      type: str
    receiver:
      description: The receiver's inventory name.
      type: str
    target:
      description: The name of the sender's target. V(null) when the sender's targets were not given.
      type: str
    nonce:
      description: The probe's nonce.
      type: str
    arrived:
      description: Whether the probe is in the store, under whatever name. V(null) when it was not written.
      type: bool
    ok:
      description: Whether there is nothing to correct. It arrived and is stored under its sender's name, or it was not
        written because of check mode.
      type: bool
    after:
      description: Seconds from sending to receiving, by the clocks of two hosts.
      type: float
    received:
      description: When it was received, by the receiver's clock.
      type: str
    file:
      description: The file that it was found in.
      type: str
    stored_as:
      description: The name that it was stored under, V(unknown/) and the address for an unknown sender.
      type: str
    format:
      description: Whether it came in V(extended) or V(legacy) format.
      type: str
    reason:
      description: What is to be corrected, or the most certain reason why it did not arrive. May be a remark when it
        arrived all the same, else empty.
      type: str
    reasons:
      description: All that was found, the most certain first.
      type: list
      elements: str
  sample:
    - host: web1
      receiver: log1
      target: log1
      nonce: 0f1e2d3c4b5a69788796a5b4c3d2e1f0
      arrived: true
      ok: true
      after: 0.0021
      received: "2026-11-23T05:43:11.123456+00:00"
      file: /var/log/netconsole/web1.jsonl
      stored_as: web1
      format: extended
      reason: ""
      reasons: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.netconsole.plugins.module_utils._arrival import ArrivalError, Asking, parse_probe
from ansible_collections.fleet.netconsole.plugins.module_utils._arrival_store import Store


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "receiver": {"type": "str", "required": True},
            # Its entries are checked by the engine: doing it here costs seconds for a fleet of thousands.
            "probes": {"type": "list", "elements": "dict", "required": True},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "port": {"type": "int", "default": 6666},
            "store": {"type": "path", "default": "/var/log/netconsole"},
            "timeout": {"type": "float", "default": 30},
            "window": {"type": "float", "default": 3600},
        },
        supports_check_mode=True,
    )
    asking = Asking(
        name=module.params["receiver"],
        store=Store(module.params["store"], window=module.params["window"]),
        port=module.params["port"],
        addresses=module.params["addresses"],
        timeout=module.params["timeout"],
    )
    try:
        arrivals = asking.answer([parse_probe(given) for given in module.params["probes"]])
    except ArrivalError as error:
        module.fail_json(msg=str(error))
    except PermissionError as error:
        module.fail_json(msg=f"{error.filename} may not be read: run as root (become) or as who may read the store")
    module.exit_json(changed=False, arrivals=arrivals)


if __name__ == "__main__":
    main()
