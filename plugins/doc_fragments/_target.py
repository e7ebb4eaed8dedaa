# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# What the modules target and sender document alike: the options of a target, and what holds for every run. Private to
# the collection.

from __future__ import annotations

from textwrap import indent

_OPTIONS = r"""
name:
  description:
    - The target's name, a directory below C(/sys/kernel/config/netconsole). The receiver's name is a good choice.
    - Names such as V(cmdline0) belong to targets of the kernel's command line and are refused.
  type: str
  required: true
state:
  description:
    - V(present) makes the target, or changes it to what is declared.
    - V(absent) removes it, its user data included. On a host without netconsole there is nothing to do, and
      nothing is loaded.
  type: str
  choices: [present, absent]
  default: present
enabled:
  description:
    - Whether the target sends.
    - What can only be changed while a target is disabled is changed so, and the target is enabled again. Messages
      of that moment are not sent.
  type: bool
  default: true
remote_ip:
  description:
    - The receiver's IPv4 or IPv6 address, or a host name that the sender itself can resolve. A name is resolved
      now, not when a message is sent.
    - Required when O(state=present).
  type: str
remote_port:
  description: The receiver's UDP port.
  type: int
  default: 6666
remote_mac:
  description:
    - The MAC address that datagrams are sent to, in colon form. This is the receiver's own on the same segment,
      else that of the gateway.
    - When not given, it is resolved from the host's own routing and neighbour table.
    - V(broadcast) has to be asked for by name, since every host on the segment can then read the kernel's messages.
  type: str
local_ip:
  description:
    - The address that datagrams come from.
    - When not given, the address that the host's own routing uses towards the receiver.
  type: str
local_port:
  description: The UDP port that datagrams come from.
  type: int
  default: 6665
dev_name:
  description:
    - The interface that sends.
    - When not given, or V(auto), the one that the host's own routing uses towards the receiver. Where that is a
      port of a bond, bridge or team, its master is taken.
    - Routing rules by firewall mark say nothing of netconsole's datagrams, which pass neither routing nor firewall.
      The route is that of a datagram without a mark.
  type: str
extended:
  description:
    - Whether messages are sent in the extended format, with level, sequence number and time.
    - V(auto) takes the extended format wherever the kernel offers it, which every kernel from 5.10 on does.
  type: str
  choices: [auto, 'true', 'false']
  default: auto
release:
  description:
    - Whether the kernel's release is put before every message. Needs the extended format.
    - When not given, it stays as it is, and is off without the extended format.
  type: bool
userdata:
  description:
    - Text that is appended to every message of the extended format, as a dictionary of keys and values. Exactly
      these keys are kept; V({}) removes all.
    - A key has at most 53 bytes, a value 198. Kernels before 6.19 hold 16 keys, newer ones 256.
    - When not given, user data stays as it is. It is changed while the target is enabled, without a gap.
  type: dict
cpu_nr_enabled:
  description: Whether the number of the CPU that wrote the message is appended. When not given, it stays as it is.
  type: bool
taskname_enabled:
  description: Whether the name of the task that wrote the message is appended. When not given, it stays as it is.
  type: bool
release_enabled:
  description: Whether the kernel's release is appended as user data. When not given, it stays as it is.
  type: bool
msgid_enabled:
  description: Whether a counter of the target's messages is appended, by which a receiver finds losses. When not
    given, it stays as it is.
  type: bool
"""

_BRING_UP = r"""
bring_up:
  description:
    - Whether a device that is down may be brought up. It has to be named by O(dev_name), since no route leads
      through a device that is down.
    - V(false) makes it an error. V(true) brings it up (C(ip link set up)) as a step of its own, before the host's
      routing is asked. In check mode the target is then foretold without what only the routing would tell.
    - A device that was brought up for targets of which none could be made is taken down again.
  type: bool
  default: false
"""


class ModuleDocFragment:
    DOCUMENTATION = r"""
attributes:
  check_mode:
    support: full
    details:
      - Targets that the kernel made at boot can only be seen by having configfs list them. That is done in check mode
        too. They send on as before.
      - A kernel on which no target exists yet does not show what it offers. Whether it lacks something that is asked
        for is then only found when the first target is made.
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - Linux 5.10 or newer with C(CONFIG_NETCONSOLE_DYNAMIC)
  - iproute2
  - Python 3.7 or newer
  - root
options:
  missing_capability:
    description:
      - What to do when this kernel lacks something that is asked for, such as user data before kernel 6.9.
      - V(error) fails and leaves the host as it was. V(warn) goes on without it and says so.
    type: str
    choices: [error, warn]
    default: error
"""

    TARGET = f"options:{indent(_OPTIONS + _BRING_UP, '  ')}"

    # The same as suboptions, which name each other from outside.
    _SUBOPTIONS = _OPTIONS.replace("O(state=", "O(targets[].state=")
    SENDER = (
        f"options:\n  targets:\n    suboptions:{indent(_SUBOPTIONS, '      ')}"
        f"{indent(_BRING_UP.replace('O(dev_name)', 'O(targets[].dev_name)'), '  ')}"
    )
