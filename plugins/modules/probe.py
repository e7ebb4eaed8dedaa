#!/usr/bin/python

# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: probe
short_description: Write a marked line into a sender's kernel log
version_added: 1.0.0
description:
  - Writes one line, C(fleet.netconsole probe nonce=...), into the kernel's log of a sender. It takes the way of any
    message of the kernel, so the receivers get it if they get anything.
  - M(fleet.netconsole.arrival) then looks for it at a receiver. Together they prove that a sender's messages arrive.
  - Returns what is known on the sender of the way to the receivers, from which M(fleet.netconsole.arrival) finds the
    likely reason for a probe that did not arrive. A host without netconsole or without targets is no failure here.
notes:
  - Nothing else on the host is changed. Targets are only read, and boot-time targets that the kernel does not list are
    left alone. The neighbour cache may get an entry for a receiver or gateway.
  - The line also appears wherever the host shows its kernel's log, such as its own journal and consoles. A host that
    lets only messages of level V(emerg) out gets a line of that level, which many hosts show to all who are logged in.
author:
  - The fleet.netconsole authors (@fleet-netconsole)
extends_documentation_fragment:
  - fleet.netconsole._attributes
  - fleet.netconsole._attributes.actiongroup
attributes:
  check_mode:
    support: full
    details:
      - Nothing is written. RV(written) is V(false) then, and M(fleet.netconsole.arrival) does not look for it.
  diff_mode:
    support: N/A
    details:
      - Nothing is changed that could be compared.
  idempotent:
    support: N/A
    details:
      - Every run writes one line.
requirements:
  - Linux
  - iproute2
  - Python 3.7 or newer
  - root
options:
  level:
    description:
      - The level of the line, as in a kernel message.
      - V(auto) takes V(notice), or where the console log level (the first number of C(kernel.printk)) does not let that
        out, the least severe level that leaves the host.
    type: str
    choices: [auto, emerg, alert, crit, err, warning, notice, info, debug]
    default: auto
  nonce:
    description:
      - 32 hexadecimal digits in lower case, by which the line is found.
      - When not given, random ones.
    type: str
seealso:
  - module: fleet.netconsole.arrival
"""

EXAMPLES = r"""
---
- name: Write a probe into the kernel log
  fleet.netconsole.probe:
  register: netconsole_probe

- name: See whether messages of level info leave the host
  fleet.netconsole.probe:
    level: info
  register: netconsole_probe
"""

RETURN = r"""
nonce:
  description: The digits by which the line is found.
  returned: success
  type: str
  sample: 0f1e2d3c4b5a69788796a5b4c3d2e1f0
written:
  description: Whether the line was written. V(false) in check mode.
  returned: success
  type: bool
  sample: true
time:
  description: When it was written, in seconds since 1970 by the host's clock. V(null) in check mode.
  returned: success
  type: float
  sample: 1795413600.123456
level:
  description: The level of the line, a number from V(0) to V(7).
  returned: success
  type: int
  sample: 5
level_name:
  description: The level's name.
  returned: success
  type: str
  sample: notice
console_loglevel:
  description: The kernel's console log level. Only messages of a lower number than this leave the host.
  returned: success
  type: int
  sample: 7
ignore_loglevel:
  description: Whether the kernel lets messages of every level out (C(ignore_loglevel)).
  returned: success
  type: bool
  sample: false
oops_only:
  description: Whether netconsole sends only during an oops. V(null) while it is not loaded.
  returned: success
  type: bool
  sample: false
loaded:
  description: Whether netconsole is loaded or built into the kernel.
  returned: success
  type: bool
  sample: true
targets:
  description: All targets that the kernel lists.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description:
        - The target's name. Its other attributes follow by the kernel's own names, such as C(enabled), C(dev_name),
          C(local_ip), C(local_port), C(remote_ip), C(remote_port), C(remote_mac), C(extended) and C(transmit_errors).
      type: str
    device_present:
      description: Whether the host has the target's interface.
      type: bool
    up:
      description: Whether that interface is up.
      type: bool
    carrier:
      description: Whether it has carrier. V(null) while it is down.
      type: bool
    operstate:
      description: Its state in the words of RFC 2863.
      type: str
    local_ip_on_device:
      description: Whether it has the target's source address. V(null) when not known, or when no target is enabled.
      type: bool
    next_hop_mac:
      description:
        - The MAC address that the host's own routing would send to now. V(null) for a disabled target, or when it is
          not known.
      type: str
    gateway:
      description: The gateway that the host's own routing would send to now. V(null) when there is none on the way.
      type: str
    next_hop_error:
      description: Why the next hop is not known.
      type: str
  sample:
    - name: log1
      enabled: true
      dev_name: eth1
      local_ip: 192.0.2.11
      local_port: 6665
      local_mac: 52:54:00:00:00:11
      remote_ip: 192.0.2.10
      remote_port: 6666
      remote_mac: 52:54:00:00:00:10
      extended: true
      release: false
      device_present: true
      up: true
      carrier: true
      operstate: up
      local_ip_on_device: true
      next_hop_mac: 52:54:00:00:00:10
      gateway: null
      next_hop_error: null
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import ConfigfsError
from ansible_collections.fleet.netconsole.plugins.module_utils._kmsg import LEVELS, KmsgError
from ansible_collections.fleet.netconsole.plugins.module_utils._probe import AUTO, ProbeError, probe


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "level": {"type": "str", "choices": [AUTO, *LEVELS], "default": AUTO},
            "nonce": {"type": "str"},
        },
        supports_check_mode=True,
    )
    try:
        result = probe(level=module.params["level"], nonce=module.params["nonce"], dry_run=module.check_mode)
    except (ConfigfsError, KmsgError, ProbeError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
