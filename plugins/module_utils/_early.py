# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages from before the network is configured: netconsole loaded with a boot parameter, by udev, in the initramfs.

The module is loaded in the moment when the interface of its targets appears under its final name, first in the
initramfs and, where that has no such rule, in the root file system. Then the interface is never taken up before udev
has renamed it (kernels up to 6.1 refuse to rename an interface that is up), and the module never comes too early for
it (before 6.12 it would not load, later its targets would be dead).

Facts: udev(7), modprobe.d(5), initramfs-tools(7), dracut.conf(5), and 1.4 and 1.5 of the kernel's behaviour in
``_boot_targets``.
"""

from __future__ import annotations

import os
from typing import Mapping, Sequence

from ._boot_parameter import BootTarget, format_boot_parameter
from ._configfs import Value
from ._node_files import Entry, Files, NodeError
from ._sender_files import EARLY_PARAMETER as MODPROBE

RULE = "/etc/udev/rules.d/85-netconsole-sender.rules"  # after 80-net-setup-link.rules, which gives the name
HOOK = "/etc/initramfs-tools/hooks/netconsole-sender"
DRACUT = "/etc/dracut.conf.d/netconsole-sender.conf"
STAMP = "/etc/netconsole-sender/initramfs"  # what the initramfs was last made of
PATHS = (MODPROBE, RULE, HOOK, DRACUT)

_UPDATE = "/usr/sbin/update-initramfs"  # of initramfs-tools, or of Debian's dracut from 107 on, which it names then
_DRACUT_PROGRAMS = ("/usr/bin/dracut", "/usr/sbin/dracut")
_NOTE = "# Written by Ansible (fleet.netconsole). Changes are overwritten.\n"
_HOOK = """\
#!/bin/sh
{note}# Puts netconsole, its parameter and the interface's driver into the initramfs.
if [ "$1" = prereqs ]; then
    exit 0
fi
. /usr/share/initramfs-tools/hook-functions
manual_add_modules {modules}
for file in {rule} {modprobe}; do
    mkdir -p "${{DESTDIR}}${{file%/*}}"
    cp -p "$file" "${{DESTDIR}}$file"
done
"""
# The .link files name the interface; dracut takes them only with its modules for the network.
_DRACUT = """\
{note}add_drivers+=" {modules} "
install_items+=" {rule} {modprobe} "
install_optional_items+=" /usr/lib/systemd/network/*.link /etc/systemd/network/*.link "
"""


def early_entries(targets: Sequence[Mapping[str, Value]], *, files: Files) -> list[Entry]:
    """The files that make these targets (their attributes, resolved) at boot. Raises NodeError, BootParameterError."""
    wanted = [attributes for attributes in targets if attributes["enabled"]]
    if not wanted:
        raise NodeError("early needs a target that is enabled: declare one, or set early to none")
    parameter = format_boot_parameter(boot_target(attributes) for attributes in wanted)
    devices = sorted({str(attributes["dev_name"]) for attributes in wanted})
    modules = " ".join(["netconsole", *sorted({_driver(device, files) for device in devices} - {""})])
    words = {"note": _NOTE, "modules": modules, "rule": RULE, "modprobe": MODPROBE}
    generator = _generator(files)
    return [
        Entry(MODPROBE, content=f'{_NOTE}options netconsole netconsole="{parameter}"\n'.encode()),
        Entry(RULE, content=(_NOTE + "".join(map(_rules, devices))).encode()),
        Entry(HOOK, content=_HOOK.format(**words).encode(), mode=0o755) if generator == HOOK else Entry(HOOK),
        Entry(DRACUT, content=_DRACUT.format(**words).encode()) if generator == DRACUT else Entry(DRACUT),
    ]


def boot_target(attributes: Mapping[str, Value]) -> BootTarget:
    """A resolved target as the parameter has it. User data and switches have no place there."""
    return BootTarget(
        remote_ip=str(attributes["remote_ip"]),
        dev_name=str(attributes["dev_name"]),
        local_port=int(attributes["local_port"]),
        local_ip=str(attributes["local_ip"]),
        remote_port=int(attributes["remote_port"]),
        remote_mac=str(attributes["remote_mac"]),
        extended=bool(attributes["extended"]),
        release=bool(attributes.get("release", False)),
    )


def _rules(device: str) -> str:
    """Load the module when this interface appears: under the name that udev gives it, or keeps."""
    load = 'RUN{builtin}+="kmod load netconsole"\n'
    return (
        f'ACTION=="add", SUBSYSTEM=="net", NAME=="{device}", {load}'
        f'ACTION=="add", SUBSYSTEM=="net", NAME=="", KERNEL=="{device}", {load}'
    )


def _driver(device: str, files: Files) -> str:
    """The module that drives an interface. Raises NodeError for one that is made by software, later than this."""
    link = files.entry(f"/sys/class/net/{device}/device/driver/module").link
    if link is not None:
        return os.path.basename(link)
    if files.is_directory(f"/sys/class/net/{device}/device"):
        return ""  # its driver is built into the kernel
    raise NodeError(
        f"early: {device} is no interface of the hardware (bond, bridge or VLAN): it is only made when the network is "
        "configured: set early to none on this host, the service sends from then on"
    )


def _generator(files: Files) -> str:
    """The file for what makes this host's initramfs; "" where nothing is known that does."""
    update = files.entry(_UPDATE)
    if update.present and b"dracut" not in (update.content or b""):
        return HOOK
    return DRACUT if any(files.entry(program).present for program in _DRACUT_PROGRAMS) else ""


def fingerprint(entries: Sequence[Entry]) -> str:
    """What the initramfs is made of, as text of the stamp file."""
    return "".join(f"{entry.path}\n{entry.text()}" for entry in entries if entry.present)


def regeneration(entries: Sequence[Entry], *, files: Files) -> Sequence[str] | None:
    """The command that makes the initramfs anew, if it is made of something else than these files."""
    stamp = files.entry(STAMP)
    current = "" if stamp.content is None else stamp.text()
    if current == fingerprint(entries):
        return None
    if not _generator(files):
        return None
    if files.entry(_UPDATE).present:  # it also tells boot loaders that keep a copy of it elsewhere
        return ("update-initramfs", "-u", "-k", "all")
    return ("dracut", "--force", "--regenerate-all")
