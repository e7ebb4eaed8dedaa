# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A strict model of netconsole in configfs, kernel by kernel, in memory.

It stands in for ``_configfs.Files``. Whatever the engine should never do (an unknown path, a write of a value that the
kernel would ignore) is an AssertionError, not an OSError. It models what was seen on the kernels named, their faults
included. A model is never the only proof: the Molecule scenario ``machines`` runs the same cases on real kernels.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import CONFIGFS, PRINTK, ROOT, Files


@dataclass(frozen=True)
class Profile:
    """What differs between kernels."""

    release: str
    release_attribute: bool = False
    userdata_keys: int = 0  # 0: no userdata at all
    switches: bool = False
    transmit_errors: bool = False
    strict_ip: bool = False
    long_dev_name_refused: bool = False
    short_local_ip: bool = False  # Ubuntu's 6.8.0-136 to -151 at least: the check of dev_name's length is there
    siblings_stop: bool = False
    veth_refused: bool = False
    attach: bool = False  # boot targets can be had in configfs
    release_misread: bool = False  # release_enabled shows taskname_enabled
    nbcon: bool = False  # a panic is sent last of all


PROFILES = {
    "5.10": Profile("5.10.0-33-amd64", siblings_stop=True),
    "6.1": Profile("6.1.0-30-amd64", long_dev_name_refused=True),
    "6.8": Profile("6.8.0-151-generic", release_attribute=True, attach=True, short_local_ip=True),
    "6.12": Profile(
        "6.12.107-amd64",
        release_attribute=True,
        userdata_keys=16,
        long_dev_name_refused=True,
        veth_refused=True,
        attach=True,
    ),
    "6.17": Profile(
        "6.17.0-41-generic",
        release_attribute=True,
        userdata_keys=16,
        switches=True,
        transmit_errors=True,
        veth_refused=True,
        attach=True,
        release_misread=True,
    ),
    "7.2": Profile(
        "7.2.13-amd64",
        release_attribute=True,
        userdata_keys=256,
        switches=True,
        transmit_errors=True,
        strict_ip=True,
        long_dev_name_refused=True,
        veth_refused=True,
        attach=True,
        nbcon=True,
    ),
}
# Files outside of configfs that the engine asks for; what is not in FakeKernel.texts does not exist.
ENGINE_READS = (
    "/proc/cmdline",
    "/proc/1/environ",
    "/run/systemd/container",
    "/run/.containerenv",
    "/.dockerenv",
    "/sys/kernel/kexec_crash_loaded",
    "/sys/kernel/security/lockdown",
)
SWITCHES = ("cpu_nr_enabled", "taskname_enabled", "release_enabled", "msgid_enabled")


@dataclass
class Interface:
    addresses: tuple[str, ...] = ()
    master: str = ""
    netpoll: bool = True
    up: bool = True


@dataclass
class Target:
    enabled: bool = False
    extended: bool = False
    release: bool = False
    dev_name: str = "eth0"
    local_port: int = 6665
    remote_port: int = 6666
    remote_mac: str = "ff:ff:ff:ff:ff:ff"
    ipv6: bool = False
    local_ip: bytes = bytes(16)
    remote_ip: bytes = bytes(16)
    userdata: dict[str, str] = field(default_factory=dict)
    switches: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(SWITCHES, False))
    silent: bool = False  # reads enabled=1 and sends nothing: the fault of old kernels
    by_mac: bool = False  # bound to a device's MAC address at boot


@lru_cache(maxsize=None)
def address_text(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed))


@lru_cache(maxsize=None)
def attribute_files(profile: Profile) -> tuple[str, ...]:
    """What ls shows of a target."""
    files = ["enabled", "extended", "dev_name", "local_port", "remote_port", "local_ip", "remote_ip"]
    files += ["local_mac", "remote_mac"]
    files += ["release"] if profile.release_attribute else []
    files += ["transmit_errors"] if profile.transmit_errors else []
    files += ["userdata"] if profile.userdata_keys else []
    return tuple(sorted(files))


def in_aton(text: str) -> bytes:
    """net/core/utils.c: reads anything as an IPv4 address, and never fails."""
    total, rest = 0, text
    for _octet in range(4):
        total = (total << 8) & 0xFFFFFFFF
        value = 0
        while rest and rest[0] not in ".\n":
            value = (value * 10 + ord(rest[0]) - ord("0")) & 0xFFFFFFFF
            rest = rest[1:]
        total |= value
        rest = rest[1:]
    return (total & 0xFFFFFFFF).to_bytes(4, "big")


class FakeKernel(Files):
    def __init__(
        self,
        profile: str = "6.12",
        *,
        loaded: bool = True,
        mounted: bool = True,
        dynamic: bool = True,
        installed: bool = True,
    ) -> None:
        self.profile = PROFILES[profile]
        self.is_loaded, self.is_mounted, self.dynamic, self.installed = loaded, mounted, dynamic, installed
        self.interfaces: dict[str, Interface] = {
            "eth0": Interface(("192.0.2.15", "2001:db8::15")),
            "eth1": Interface(("198.51.100.15", "2001:db8:1::15")),
        }
        self.target_table: dict[str, Target] = {}
        self.boot_table: dict[str, Target] = {}  # made at boot, not attached
        # Files beside configfs that the engine may read; those that are not here do not exist.
        self.texts: dict[str, str] = {"/proc/cmdline": "BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet\n"}
        self.links = {"/proc/self/ns/net": "net:[4026531840]", "/proc/1/ns/net": "net:[4026531840]"}
        self.panic = 0
        self.printk = [7, 4, 1, 7]
        self.log: list[str] = []
        self.calls: list[tuple[str, ...]] = []  # everything that changed, or tried to change, something
        self.fail_at: int | None = None  # raise InjectedFault instead of the n-th changing call (counted from 0)

    # -- for tests --------------------------------------------------------------------------------------------------

    def sends(self, name: str) -> bool:
        target = self.target_table[name]
        return target.enabled and not target.silent

    def foreign(self, name: str, **values: object) -> None:
        """Put a target there by another hand, directly."""
        target = Target()
        for attribute, value in values.items():
            if attribute in ("local_ip", "remote_ip"):
                packed = ipaddress.ip_address(str(value)).packed
                target.ipv6 = target.ipv6 or len(packed) == 16
                value = packed.ljust(16, b"\0")
            setattr(target, attribute, value)
        self.target_table[name] = target

    def boot(self, parameter: str, **values: object) -> None:
        """Put the next boot target there, as the kernel made it from a parameter; only on kernels that know it by name.

        The text of the parameter stands on the kernel's command line."""
        word = self.texts["/proc/cmdline"].strip().rpartition(" netconsole=")
        joined = f"{word[2]};{parameter}" if word[1] else parameter
        self.texts["/proc/cmdline"] = f"{word[0] or word[2]} netconsole={joined}\n"
        number = joined.count(";")
        self.foreign(f"cmdline{number}", **values)
        self.boot_table[f"cmdline{number}"] = self.target_table.pop(f"cmdline{number}")

    def snapshot(self) -> object:
        """Everything that a run may change, to compare."""
        return (
            self.is_loaded,
            self.is_mounted,
            tuple(self.printk),
            self.panic,
            {
                name: {**vars(target), "userdata": dict(target.userdata), "switches": dict(target.switches)}
                for name, target in self.target_table.items()
            },
        )

    # -- Files ------------------------------------------------------------------------------------------------------

    def release(self) -> str:
        return self.profile.release

    def kernel_log(self) -> list[str]:
        return list(self.log)

    def run(self, command: Sequence[str]) -> tuple[int, str]:
        command = tuple(command)
        if command == ("modprobe", "--dry-run", "netconsole"):
            return (0, "") if self.installed else (1, "modprobe: FATAL: Module netconsole not found")
        self._changing("run", *command)
        if command in (("modprobe", "netconsole"), ("modprobe", "netconsole", "netconsole=")):
            if not self.installed:
                return 1, "modprobe: FATAL: Module netconsole not found"
            self.is_loaded = True
        elif command == ("modprobe", "--remove", "netconsole"):
            if self.target_table:
                return 1, "modprobe: FATAL: Module netconsole is in use."
            self.is_loaded = False
        elif command == ("mount", "-t", "configfs", "configfs", CONFIGFS):
            self.is_mounted = True
        elif command == ("umount", CONFIGFS):
            self.is_mounted = False
        else:
            raise AssertionError(f"unexpected command {command}")
        return 0, ""

    def link(self, path: str) -> str:
        return self.links[path]

    def is_directory(self, path: str) -> bool:
        if path == "/sys/module/netconsole":
            return self.is_loaded
        if path == CONFIGFS:
            return True
        try:
            return self._node(path) == "directory"
        except OSError:
            return False

    def names(self, path: str) -> list[str]:
        if path == ROOT:
            self._root()
            return sorted(self.target_table)
        if path.endswith("/modprobe.d"):
            names = [posixpath.basename(name) for name in self.texts if posixpath.dirname(name) == path]
            if not names:
                raise OSError(errno.ENOENT, "no such folder")
            return names
        parts = self._parts(path)
        target = self._target(parts[0])
        if len(parts) == 1:
            return list(attribute_files(self.profile))
        assert parts[1:] == ["userdata"], path
        return sorted([*target.userdata, *(SWITCHES if self.profile.switches else ())])

    def read(self, path: str) -> str:
        if path.startswith(ROOT):
            return self._read_target(path)
        if path == PRINTK:
            return "\t".join(map(str, self.printk)) + "\n"
        if path == "/proc/mounts":
            return "proc /proc proc rw 0 0\n" + (
                f"configfs {CONFIGFS} configfs rw,nosuid 0 0\n" if self.is_mounted else ""
            )
        if path == "/proc/sys/kernel/panic":
            return f"{self.panic}\n"
        if path == "/proc/consoles":
            flags = "E N p a" if self.profile.nbcon else "E   p a"
            return f"tty0                 -WU (EC  p  )    4:7\nnetcon0              -W- ({flags})\n"
        assert path in ENGINE_READS or path in self.texts, f"the engine read {path}"
        if path not in self.texts:
            raise OSError(errno.ENOENT, "no such file", path)
        return self.texts[path]

    def _read_target(self, path: str) -> str:
        parts = self._parts(path)
        target = self._target(parts[0])
        if parts[1:2] == ["userdata"]:
            if len(parts) == 3:
                misread = self.profile.release_misread and parts[2] == "release_enabled"
                return f"{int(target.switches['taskname_enabled' if misread else parts[2]])}\n"
            assert parts[3:] == ["value"], path
            return target.userdata[parts[2]] + "\n"
        attribute = parts[1]
        assert len(parts) == 2 and attribute in attribute_files(self.profile), path
        if attribute in ("local_ip", "remote_ip"):
            raw = getattr(target, attribute)
            return f"{address_text(raw if target.ipv6 else raw[:4])}\n"
        if attribute == "local_mac":
            return "52:54:00:00:00:01\n" if target.enabled else "ff:ff:ff:ff:ff:ff\n"
        if attribute == "transmit_errors":
            return "0\n"
        value = getattr(target, attribute)
        return f"{int(value) if isinstance(value, bool) else value}\n"

    def write(self, path: str, text: str) -> None:
        assert text.endswith("\n") and "\0" not in text and len(text) > 0, (
            f"{path}: {text!r} would be ignored or misread"
        )
        self._changing("write", path, text)
        if path == PRINTK:
            self.printk[0] = int(text)
            return
        if path == "/proc/sys/kernel/panic":
            self.panic = int(text)
            return
        parts = self._parts(path)
        target = self._target(parts[0])
        if parts[1:2] == ["userdata"]:
            self._write_userdata(target, parts[2:], text)
        elif parts[1] == "enabled":
            self._write_enabled(parts[0], target, text.strip() == "1")
        else:
            self._write_attribute(parts[0], target, parts[1], text)

    def make_directory(self, path: str) -> None:
        self._changing("mkdir", path)
        parts = self._parts(path)
        if len(parts) == 1:
            self._root()
            if parts[0] in self.target_table:
                raise OSError(errno.EEXIST, "exists")
            if len(parts[0].encode()) > 255:
                raise OSError(errno.ENAMETOOLONG, "too long")
            boot = self.boot_table.pop(parts[0], None) if self.profile.attach else None
            self.target_table[parts[0]] = boot or Target()
            return
        target = self._target(parts[0])
        assert parts[1] == "userdata" and self.profile.userdata_keys, path
        if self._places(target) >= self.profile.userdata_keys:
            raise OSError(errno.ENOSPC, "no space")
        if len(parts[2].encode()) > 53:
            raise OSError(errno.ENAMETOOLONG, "too long")
        assert parts[2] not in target.userdata
        target.userdata[parts[2]] = ""

    def remove_directory(self, path: str) -> None:
        self._changing("rmdir", path)
        parts = self._parts(path)
        target = self._target(parts[0])
        if len(parts) == 1:
            if target.userdata:
                raise OSError(errno.ENOTEMPTY, "not empty")
            del self.target_table[parts[0]]
            if target.enabled:
                self._silence_siblings(target.dev_name)
            return
        assert parts[1] == "userdata" and len(parts) == 3, path
        del target.userdata[parts[2]]

    # -- the kernel's rules -------------------------------------------------------------------------------------------

    def _changing(self, *call: str) -> None:
        if self.fail_at is not None and len(self.calls) == self.fail_at:
            self.fail_at = None
            self.calls.append(("fault", *call))
            raise OSError(errno.EIO, "injected fault")
        self.calls.append(call)

    def _root(self) -> None:
        if not (self.is_loaded and self.is_mounted and self.dynamic):
            raise OSError(errno.ENOENT, "no netconsole directory")

    def _node(self, path: str) -> str:
        if path == ROOT:
            self._root()
            return "directory"
        parts = self._parts(path)
        target = self._target(parts[0])
        if len(parts) == 1:
            return "directory"
        if parts[1:] == ["userdata"]:
            return "directory" if self.profile.userdata_keys else "none"
        if parts[1] == "userdata" and len(parts) == 3:
            return "directory" if parts[2] in target.userdata else "file"
        return "file"

    def _parts(self, path: str) -> list[str]:
        assert path.startswith(ROOT + "/"), f"the engine touched {path}"
        return path[len(ROOT) + 1 :].split("/")

    def _target(self, name: str) -> Target:
        self._root()
        if name not in self.target_table:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self.target_table[name]

    def _places(self, target: Target) -> int:
        """How many of the user data's places are taken. Kernels with few of them count the switches, too."""
        return len(target.userdata) + (sum(target.switches.values()) if self.profile.userdata_keys == 16 else 0)

    def _write_userdata(self, target: Target, parts: list[str], text: str) -> None:
        assert self.profile.userdata_keys
        if len(parts) == 1:
            assert parts[0] in SWITCHES and self.profile.switches, parts
            wanted = text.strip() == "1"
            if wanted and not target.switches[parts[0]] and self._places(target) >= self.profile.userdata_keys:
                raise OSError(errno.ENOSPC, "no space")
            target.switches[parts[0]] = wanted
            return
        assert parts[1] == "value"
        if len(text.encode()) > 199:
            raise OSError(errno.E2BIG, "too big")
        target.userdata[parts[0]] = text[:-1]

    def _write_enabled(self, name: str, target: Target, wanted: bool) -> None:
        if wanted == target.enabled:
            self.log.append(f"netconsole: network logging has already {'started' if wanted else 'stopped'}")
            raise OSError(errno.EINVAL, "invalid")
        if not wanted:
            target.enabled = target.silent = False
            if target.by_mac and self.profile.nbcon:  # 7.0 and newer
                target.dev_name = ""
            self._silence_siblings(target.dev_name)
            return
        if target.release and not target.extended:
            raise OSError(errno.EINVAL, "invalid")
        interface = self.interfaces.get(target.dev_name)
        if interface is None:
            self.log.append(f"netconsole: {target.dev_name} doesn't exist, aborting")
            raise OSError(errno.ENODEV, "no device")
        if interface.master:
            self.log.append(f"netconsole: {target.dev_name} is a slave device, aborting")
            raise OSError(errno.EBUSY, "busy")
        if not interface.netpoll:
            raise OSError(524, "not supported")
        interface.up = True  # netpoll_setup() brings it up, whoever took it down
        if not any(target.local_ip):
            family = [address for address in interface.addresses if (":" in address) == target.ipv6]
            if not family:
                raise OSError(errno.EDESTADDRREQ, "no address")
            target.local_ip = ipaddress.ip_address(family[0]).packed.ljust(16, b"\0")
        target.enabled, target.silent = True, False
        for sibling in self.target_table.values():
            if sibling.dev_name == target.dev_name:
                sibling.silent = False

    def _silence_siblings(self, dev_name: str) -> None:
        if self.profile.siblings_stop:
            for sibling in self.target_table.values():
                if sibling.enabled and sibling.dev_name == dev_name:
                    sibling.silent = True

    def _write_attribute(self, name: str, target: Target, attribute: str, text: str) -> None:
        assert attribute in attribute_files(self.profile), f"{attribute} is not on this kernel"
        if target.enabled:
            self.log.append(f"netconsole: target ({name}) is enabled, disable to update parameters")
            raise OSError(errno.EINVAL, "invalid")
        value = text[:-1]
        if attribute in ("extended", "release"):
            assert value in ("0", "1"), "kernels disagree about any other spelling"
            setattr(target, attribute, value == "1")
        elif attribute in ("local_port", "remote_port"):
            setattr(target, attribute, int(value))
        elif attribute == "remote_mac":
            assert len(value) == 17
            target.remote_mac = value.lower()
        elif attribute == "dev_name":
            if len(value) > 15 and self.profile.long_dev_name_refused:
                raise OSError(errno.ENAMETOOLONG, "too long")
            target.dev_name = value[:15]
        else:
            if attribute == "local_ip" and self.profile.short_local_ip and len(value) > 15:
                raise OSError(errno.ENAMETOOLONG, "too long")
            self._write_address(target, attribute, value)

    def _write_address(self, target: Target, attribute: str, value: str) -> None:
        if ":" in value:
            target.ipv6 = True
            packed = ipaddress.IPv6Address(value).packed
        elif self.profile.strict_ip:
            target.ipv6 = False
            try:
                packed = ipaddress.IPv4Address(value).packed
            except ValueError:
                raise OSError(errno.EINVAL, "invalid") from None
        elif target.ipv6:
            raise OSError(errno.EINVAL, "invalid")
        else:
            packed = in_aton(value)
        old = getattr(target, attribute)
        setattr(target, attribute, packed + old[len(packed) :])
