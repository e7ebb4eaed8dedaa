#!/usr/bin/python

# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sender_info
short_description: Tell all that an audit of a sender needs
version_added: 1.0.0
description:
  - Returns what a host's kernel and configuration say of netconsole, and where that is not what it should be. That is
    the kernel and what it offers, every target, the boot parameters, the console, what becomes of a panic, the service,
    and for each target the way to its receiver now against the one it uses.
  - Nothing is changed. No module is loaded, nothing is mounted, no target is attached. The neighbour cache may get an
    entry for a receiver or gateway.
  - Works on every Linux host, also on one without netconsole and in a container, and as any user. What that user must
    not read is listed in RV(sender_info.unreadable).
notes:
  - A target of the boot parameter (C(cmdline0) and so on) is listed among the targets only once it was attached to
    configfs. Before that the kernel does not show it, and only RV(sender_info.boot_parameters) tells of it.
  - A target that sends is no proof that messages arrive. That is what the playbook C(fleet.netconsole.verify) is for.
author:
  - The fleet.netconsole authors (@fleet-netconsole)
extends_documentation_fragment:
  - fleet.netconsole._attributes
  - fleet.netconsole._attributes.actiongroup
attributes:
  check_mode:
    support: full
    details:
      - There is nothing to change, so it is the same in C(check_mode).
  diff_mode:
    support: N/A
    details:
      - Nothing is changed that could be compared.
  idempotent:
    support: full
requirements:
  - Linux
  - Python 3.7 or newer
  - iproute2, for the way to the receivers
  - kmod, for whether the module can be loaded
options: {}
seealso:
  - module: fleet.netconsole.sender
  - module: fleet.netconsole.probe
  - plugin: fleet.netconsole.audit_table
    plugin_type: filter
"""

EXAMPLES = r"""
---
- name: Look at a sender
  fleet.netconsole.sender_info:
  register: audit

- name: Refuse a sender that is not as declared
  ansible.builtin.assert:
    that: audit.sender_info.drift | length == 0
    fail_msg: "{{ audit.sender_info.drift | join('; ') }}"
"""

RETURN = r"""
sender_info:
  description: Everything that was found. A value that is not known is V(null).
  returned: success
  type: dict
  contains:
    kernel_release:
      description: The running kernel, as C(uname -r) prints it.
      type: str
      sample: 6.12.107+deb13-amd64
    module:
      description: Where netconsole is.
      type: dict
      contains:
        state:
          description:
            - V(built-in), V(loaded), V(loadable) (but not loaded) or V(missing) (this kernel has none that could be
              loaded). V(unknown) where modprobe could not be asked.
          type: str
        built_in:
          description: Whether it is part of the kernel, by C(modules.builtin).
          type: bool
        loadable:
          description: Whether modprobe would load it.
          type: bool
        loaded:
          description: Whether the running kernel has it, as a module or built in.
          type: bool
        reason:
          description: Why it is V(missing).
          type: str
      sample: {state: loaded, built_in: false, loadable: true, loaded: true, reason: null}
    configfs:
      description: Whether targets can be set while the host runs.
      type: dict
      contains:
        mounted:
          description: Whether configfs is mounted.
          type: bool
        dynamic_targets:
          description: Whether netconsole offers its directory there. V(null) while netconsole is not loaded.
          type: bool
      sample: {mounted: true, dynamic_targets: true}
    capabilities:
      description: What this kernel's targets offer beyond what every kernel has. V(null) while there is no target.
      type: list
      elements: str
      sample: [extended, release, userdata]
    targets:
      description: Every target that the kernel lists, declared or not.
      type: list
      elements: dict
      contains:
        name:
          description:
            - The target's name. Its attributes follow by the kernel's own names, all that this kernel has, such as
              C(enabled), C(dev_name), C(local_ip), C(local_port), C(local_mac), C(remote_ip), C(remote_port),
              C(remote_mac), C(extended), C(release), C(transmit_errors) and the C(*_enabled) switches.
          type: str
        userdata:
          description: Its user data. Not there on a kernel without.
          type: dict
        declared:
          description: Whether the declaration has it. V(null) without a declaration.
          type: bool
        next_hop:
          description:
            - How the host's own routing reaches the receiver now (C(remote_ip), C(dev_name), C(local_ip),
              C(remote_mac), C(gateway)), with what the declaration fixes by hand. Of a target without a
              declaration nothing counts as fixed.
          type: dict
        drift:
          description:
            - Where the target is not as declared, sends another way than the host would now, or cannot send, each in
              plain words.
          type: list
          elements: str
      sample:
        - name: log1
          enabled: true
          dev_name: eth1
          local_ip: 192.0.2.11
          local_port: 6665
          local_mac: 52:54:00:00:00:11
          remote_ip: 198.51.100.10
          remote_port: 6666
          remote_mac: 52:54:00:00:00:01
          extended: true
          release: false
          userdata: {rack: b7}
          declared: true
          next_hop:
            remote_ip: 198.51.100.10
            dev_name: eth1
            local_ip: 192.0.2.11
            remote_mac: 52:54:00:00:00:02
            gateway: 192.0.2.1
          drift:
            - >-
              it sends to the MAC address 52:54:00:00:00:01, the gateway 192.0.2.1 has 52:54:00:00:00:02 now
    boot_parameters:
      description:
        - Every C(netconsole=) value of modprobe.d, in the order in which modprobe reads it, and of the running kernel's
          command line. Of several for one reader the last counts.
      type: list
      elements: dict
      contains:
        source:
          description: The file.
          type: str
        read_by:
          description:
            - V(modprobe), V(kernel), or V(initramfs-tools), whose boot scripts alone read a C(netconsole=) of the
              command line where netconsole is a module.
          type: str
        value:
          description: The value as it stands there.
          type: str
        targets:
          description: Its targets by the kernel's own attribute names. V(null) is what the parameter leaves out.
          type: list
          elements: dict
        error:
          description: Why the kernel would refuse or misread it. V(null) when it would not.
          type: str
        drift:
          description:
            - Where a boot with it sends otherwise than the host's own routing would now, for receivers of declared
              targets, in plain words. The sender's play makes its own right.
            - It counts as drift of the host in a file of modprobe.d. The running kernel's command line stays as it is
              until the next boot, so that one does not count.
          type: list
          elements: str
      sample:
        - source: /etc/modprobe.d/netconsole.conf
          read_by: modprobe
          value: "+@/eth0,@192.0.2.10/"
          targets:
            - remote_ip: 192.0.2.10
              dev_name: eth0
              local_port: null
              local_ip: null
              remote_port: null
              remote_mac: null
              extended: true
              release: false
          error: null
          drift: []
    console:
      description: Which messages leave the host.
      type: dict
      contains:
        console_loglevel:
          description: The first field of C(kernel.printk). Messages of a lower number than this are sent.
          type: int
        default_message_loglevel:
          description: The second field, the level of messages that have none of their own.
          type: int
        minimum_console_loglevel:
          description: The third field, the lowest that the first can be set to.
          type: int
        default_console_loglevel:
          description: The fourth field, which the first starts from.
          type: int
        ignore_loglevel:
          description: Whether messages of every level are sent (C(ignore_loglevel)).
          type: bool
        oops_only:
          description: Whether netconsole sends only during an oops. V(null) while it is not loaded, or without root.
          type: bool
        quiet:
          description: Whether the kernel command line has C(quiet), which lowers the level at boot.
          type: bool
        debug:
          description: Whether the kernel command line has C(debug), which raises the level at boot.
          type: bool
        loglevel:
          description: The C(loglevel=) of the kernel command line.
          type: int
        reset_by:
          description: The sysctl files that set C(kernel.printk) at boot, in the order in which they are read.
          type: list
          elements: dict
          contains:
            file:
              description: The file.
              type: str
            value:
              description: What it sets.
              type: str
        consoles:
          description: The kernel's consoles, as C(/proc/consoles) lists them.
          type: list
          elements: dict
          contains:
            name:
              description: The console's name, such as V(ttyS0) or V(netcon_ext0).
              type: str
            flags:
              description: Its flags, such as V(E) for enabled and V(N) for nbcon.
              type: str
            device:
              description: Its device numbers, or an empty text.
              type: str
            netconsole:
              description: Whether it is one of netconsole. Such a console does not say that a target is enabled.
              type: bool
      sample:
        console_loglevel: 7
        default_message_loglevel: 4
        minimum_console_loglevel: 1
        default_console_loglevel: 7
        ignore_loglevel: false
        oops_only: false
        quiet: true
        debug: false
        loglevel: null
        reset_by: [{file: /etc/sysctl.d/10-console-messages.conf, value: 4 4 1 7}]
        consoles: [{name: netcon_ext0, flags: E, device: "", netconsole: true}]
    panic:
      description: What becomes of the messages of a panic.
      type: dict
      contains:
        timeout:
          description: The setting C(kernel.panic), in seconds until the kernel reboots. V(0) is never, below 0 at once.
          type: int
        crash_kernel_loaded:
          description: Whether a crash kernel is loaded (kdump). V(null) on a kernel that cannot have one.
          type: bool
        nbcon:
          description: Whether netconsole is a console of the kind that kernels from 7.0 on have (nbcon).
          type: bool
        sent:
          description: Whether the messages of a panic are sent.
          type: bool
        reason:
          description: Why they are not, and what to do.
          type: str
      sample: {timeout: 0, crash_kernel_loaded: false, nbcon: false, sent: true, reason: null}
    service:
      description: The unit C(netconsole-sender.service), as systemd shows it. V(null) where systemd does not answer.
      type: dict
      contains:
        unit:
          description: Its name.
          type: str
        load_state:
          description: V(loaded), or V(not-found) where the host has no such unit.
          type: str
        active_state:
          description: V(active), V(inactive), V(failed) and so on.
          type: str
        sub_state:
          description: V(running), V(exited), V(dead) and so on.
          type: str
        unit_file_state:
          description: V(enabled) where it starts at boot.
          type: str
        result:
          description: V(success), or how it failed.
          type: str
        status:
          description: The state of its targets, in its own words.
          type: str
        engine_present:
          description: Whether the host has the file that the unit runs.
          type: bool
      sample:
        unit: netconsole-sender.service
        load_state: loaded
        active_state: active
        sub_state: running
        unit_file_state: enabled
        result: success
        status: "log1: sends"
        engine_present: true
    declaration:
      description:
        - The declared state on the host, C(/etc/netconsole-sender/declaration.json), with the options of
          M(fleet.netconsole.sender). V(null) where there is none.
      type: dict
      sample: {console_loglevel: 7, targets: [{name: log1, remote_ip: 198.51.100.10}]}
    drift:
      description:
        - All drift of the host in plain words, that of each target with its name in front, that of each boot
          parameter with its file, declared targets that are missing, another console log level, a service that does
          not run.
      type: list
      elements: str
      sample:
        - >-
          log1: it sends to the MAC address 52:54:00:00:00:01, the gateway 192.0.2.1 has 52:54:00:00:00:02 now
    unreadable:
      description: What could not be read, and why. Less is known of everything that depends on it.
      type: list
      elements: str
      sample: ["/sys/module/netconsole/parameters/oops_only: Permission denied"]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.netconsole.plugins.module_utils._sender_facts import Audit


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, sender_info=Audit().facts())


if __name__ == "__main__":
    main()
