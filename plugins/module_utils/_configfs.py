# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The netconsole targets of the running kernel, read and changed through configfs.

One floor above the kernel: it knows the files of ``/sys/kernel/config/netconsole/<target>/`` and their rules, and
nothing of what anyone wants. What is wanted, and in which order it is done, stands in ``_reconcile``.

Facts: the kernel's ``drivers/net/netconsole.c`` and ``Documentation/networking/netconsole.rst``, versions 5.10 to 7.3.
Which attributes a kernel has is found by looking at its files, never by its version.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass, field
from typing import Iterable, Mapping, Sequence, Union

from ._address import AddressError, normalize_ip, normalize_mac
from ._command import CommandError, run_command

Value = Union[str, int, bool]

CONFIGFS = "/sys/kernel/config"
ROOT = CONFIGFS + "/netconsole"
LOCKDOWN = "/sys/kernel/security/lockdown"

MAX_NAME_BYTES = 255  # NAME_MAX: mkdir answers ENAMETOOLONG above it
MAX_DEV_NAME_BYTES = 15  # IFNAMSIZ - 1: several kernels cut longer names silently
MAX_KEY_BYTES = 53  # MAX_EXTRADATA_NAME_LEN - 1
MAX_VALUE_BYTES = 198  # MAX_EXTRADATA_VALUE_LEN - 1, less the newline that is written with it

# Attribute files of a target, in the order in which they are written. Both addresses always stand together: each
# write sets the address family of the whole target, and the kernel then reads the other one's bytes in that family.
TEXT, IP, MAC, PORT, BOOL, COUNT = "text", "ip", "mac", "port", "bool", "count"
WRITABLE: Mapping[str, str] = {
    "dev_name": TEXT,
    "remote_ip": IP,
    "local_ip": IP,
    "remote_port": PORT,
    "local_port": PORT,
    "remote_mac": MAC,
    "extended": BOOL,
    "release": BOOL,
}
ADDRESSES = ("remote_ip", "local_ip")
READ_ONLY: Mapping[str, str] = {"enabled": BOOL, "local_mac": MAC, "transmit_errors": COUNT}
# Switches below userdata/, changed while the target is enabled.
SWITCHES = ("cpu_nr_enabled", "taskname_enabled", "release_enabled", "msgid_enabled")


# A target of this name is no target but a mark: a run that has not ended stops a target on that interface, which on
# some kernels silences the sibling that is named after it. It never sends, and is gone after a reboot like the fault
# itself.
_RESUME_MARK = "netconsole-sender resumes "


class ConfigfsError(Exception):
    """The kernel refused, or did something else than it was told. The message names the cause and the way out."""


@dataclass(frozen=True)
class TargetState:
    """One target as the kernel shows it.

    ``attributes`` holds every attribute file and switch that this kernel has, by its own name: addresses canonical,
    MACs in lower case, ports as ``int``, switches as ``bool``. ``userdata`` is ``None`` on a kernel without user data.
    """

    name: str
    attributes: Mapping[str, Value]
    userdata: Mapping[str, str] | None = None

    @property
    def enabled(self) -> bool:
        return bool(self.attributes["enabled"])

    @property
    def dev_name(self) -> str:
        return str(self.attributes["dev_name"])

    def as_dict(self) -> dict[str, object]:
        """A flat dictionary for results: name, attributes, and userdata where the kernel has it."""
        result: dict[str, object] = {"name": self.name}
        result.update(self.attributes)
        if self.userdata is not None:
            result["userdata"] = dict(self.userdata)
        return result


@dataclass(frozen=True)
class ResumeMark:
    """What a run writes down before it may silence the siblings of a target: to switch one of them on again."""

    dev_name: str
    sibling: str

    @property
    def name(self) -> str:
        """The name of its directory; that of a very long sibling is cut."""
        name = f"{_RESUME_MARK}{self.dev_name} {self.sibling}".encode("utf-8", "surrogateescape")
        return name[:MAX_NAME_BYTES].decode("utf-8", "ignore")


class Files:
    """The few system calls that configfs needs. Tests put a model of the kernel in its place."""

    def is_directory(self, path: str) -> bool:
        return os.path.isdir(path)

    def names(self, path: str) -> list[str]:
        return sorted(os.listdir(path))

    def read(self, path: str) -> str:
        with open(path, "rb") as stream:
            return stream.read().decode("utf-8", "surrogateescape")

    def link(self, path: str) -> str:
        """What a symbolic link holds, "" where it cannot be read."""
        try:
            return os.readlink(path)
        except OSError:
            return ""

    def write(self, path: str, text: str) -> None:
        """One write(2), never two: configfs takes each write call as a value of its own."""
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.write(descriptor, text.encode("utf-8", "surrogateescape"))
        finally:
            os.close(descriptor)

    def make_directory(self, path: str) -> None:
        os.mkdir(path)

    def remove_directory(self, path: str) -> None:
        os.rmdir(path)

    def release(self) -> str:
        """The kernel's release, as ``uname -r`` prints it."""
        return os.uname().release

    def run(self, command: Sequence[str]) -> tuple[int, str]:
        """Exit status and words of a command. A command that cannot be run counts as status 127."""
        try:
            done = run_command(command, package="kmod" if command[0] == "modprobe" else "mount")
        except CommandError as error:
            return 127, str(error)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    def kernel_log(self) -> list[str]:
        """The kernel's own messages that are still in its buffer, oldest first, without their prefix."""
        lines: list[str] = []
        try:
            descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return lines
        try:
            while True:
                try:
                    record = os.read(descriptor, 8192)
                except BlockingIOError:
                    return lines
                except OSError as error:
                    if error.errno == errno.EPIPE:  # overwritten while we read: go on with the oldest one left
                        continue
                    return lines
                text = record.decode("utf-8", "replace").split("\n", 1)[0]
                lines.append(text.partition(";")[2])
        finally:
            os.close(descriptor)


def check_name(name: str) -> str:
    """Return a target's name if the kernel keeps it as it is, else raise ConfigfsError."""
    length = len(name.encode("utf-8", "surrogateescape"))
    if not 1 <= length <= MAX_NAME_BYTES:
        raise ConfigfsError(
            f"a target's name has 1 to {MAX_NAME_BYTES} bytes, this one has {length}: choose a shorter one, such as "
            "the receiver's name"
            if length
            else "a target's name is empty: give it one, such as the receiver's name"
        )
    if "/" in name or name in (".", "..") or not name.isprintable() or name != name.strip():
        raise ConfigfsError(
            f"{name!r} is no name for a target: it is a directory in configfs, so no '/', no '.' or '..', no control "
            "characters, "
            "and no blank at either end"
        )
    if name.startswith(_RESUME_MARK):
        raise ConfigfsError(f"{name!r} is a name that a run gives to a note of its own: choose another one")
    if name.startswith("cmdline") and name[len("cmdline") :].isdigit():
        raise ConfigfsError(
            f"{name} is a name that the kernel gives to targets of its command line (netconsole=): a target of that "
            "name may be such a one. Choose another name"
        )
    return name


def check_dev_name(name: str) -> str:
    """Return an interface's name if the kernel keeps it as it is, else raise ConfigfsError."""
    length = len(name.encode("utf-8", "surrogateescape"))
    if not 1 <= length <= MAX_DEV_NAME_BYTES or "/" in name or name in (".", "..") or any(c.isspace() for c in name):
        raise ConfigfsError(f"{name!r} is no interface name: 1 to {MAX_DEV_NAME_BYTES} bytes, no '/' and no blanks")
    return name


def check_userdata(userdata: Mapping[str, str]) -> dict[str, str]:
    """Return user data if every key and value stays whole in the kernel and on the wire, else raise ConfigfsError."""
    for key, value in userdata.items():
        size = len(key.encode("utf-8", "surrogateescape"))
        if not 1 <= size <= MAX_KEY_BYTES:
            raise ConfigfsError(f"userdata key {key!r} has {size} bytes: the kernel takes 1 to {MAX_KEY_BYTES}")
        if "/" in key or "=" in key or key in (".", "..") or any(c.isspace() or not c.isprintable() for c in key):
            raise ConfigfsError(
                f"userdata key {key!r}: no '/', no '=', no blanks and no control characters, since it is sent as ' "
                "key=value'"
            )
        if key in SWITCHES:
            raise ConfigfsError(
                f"userdata key {key!r} is the name of one of the kernel's own switches: choose another key, or set "
                f"the option {key}"
            )
        size = len(value.encode("utf-8", "surrogateescape"))
        if size > MAX_VALUE_BYTES:
            raise ConfigfsError(
                f"userdata {key}: the value has {size} bytes, the kernel takes at most {MAX_VALUE_BYTES}: shorten it"
            )
        if value and (not value.isprintable() or value != value.strip()):
            raise ConfigfsError(
                f"userdata {key}: {value!r} has a line break or control character, or a blank at one end, which "
                "would break the message's format"
            )
    return dict(userdata)


def parse_value(kind: str, text: str) -> Value:
    """An attribute file's content as a value. ``text`` is what the kernel printed, with its one newline at the end."""
    text = text[:-1] if text.endswith("\n") else text
    if kind == BOOL:
        return text == "1"
    if kind in (PORT, COUNT):
        return int(text)
    if kind == IP:
        try:
            return normalize_ip(text)
        except AddressError:
            return text
    if kind == MAC:
        return normalize_mac(text) if len(text) == 17 else text.lower()
    return text


def format_value(value: Value) -> str:
    """What is written into an attribute file. Always ends with a newline: an empty write would change nothing."""
    if isinstance(value, bool):
        value = int(value)
    return f"{value}\n"


# What the kernel answers when a target is switched on: errno -> cause and way out. {dev} is the interface.
_ENOTSUPP = 524  # the kernel's internal ENOTSUPP, which has no name in user space
_ENABLE_ERRORS: Mapping[int, str] = {
    errno.ENODEV: "there is no interface {dev} in this network namespace",
    errno.EBUSY: "{dev} is a port of a bond, bridge, team or VRF: use that master instead",
    errno.EDESTADDRREQ: "{dev} has no address of the receiver's family: give it one, or set local_ip",
    _ENOTSUPP: "the driver of {dev} (or of a port of it) has no netpoll, so a kernel cannot send: use another one",
    errno.EINVAL: "the kernel found the settings contradictory (release needs extended, for instance)",
    errno.ENOMEM: "the kernel has no memory left",
    errno.ENOTDIR: "the target vanished meanwhile",
}


@dataclass
class Configfs:
    """The kernel's netconsole directory.

    A method that changes something raises ConfigfsError when the kernel refuses; ``verify`` finds what it misread.
    """

    files: Files = field(default_factory=Files)
    root: str = ROOT

    # -- is it there? -----------------------------------------------------------------------------------------------

    def loaded(self) -> bool:
        return self.files.is_directory("/sys/module/netconsole")

    def ready(self) -> bool:
        """True when targets can be made: configfs is mounted and netconsole offers its directory."""
        return self.files.is_directory(self.root)

    def mounted(self) -> bool:
        return any(line.split()[1:3] == [CONFIGFS, "configfs"] for line in self.files.read("/proc/mounts").splitlines())

    def mount(self) -> None:
        """Load configfs where it is a module, and mount it where systemd has not done so."""
        if not self.files.is_directory(CONFIGFS):
            self._run(["modprobe", "configfs"], "this kernel offers no configfs, which netconsole's targets need")
        if not self.mounted():
            self._run(
                ["mount", "-t", "configfs", "configfs", CONFIGFS],
                "configfs cannot be mounted (inside a container? Then the host is the sender, not the container)",
            )

    def unmount(self) -> None:
        """Undo ``mount`` after a failure. Refused by the kernel while anything uses it, which is as it should be."""
        self.files.run(["umount", CONFIGFS])

    def load(self, *arguments: str, dry_run: bool = False) -> None:
        """Load the module netconsole. With ``dry_run`` only make sure that it can be found.

        ``arguments`` come after those of modprobe.d and win over them: "netconsole=" makes no boot targets.
        """
        option = ["--dry-run"] if dry_run else []
        command = ["modprobe", *option, "netconsole", *arguments]
        status, output = self.files.run(command)
        if not status:
            return
        output = output or f"exit status {status}"
        if self._locked_down() and re.search("key was rejected|operation not permitted|required key", output.lower()):
            raise ConfigfsError(
                f"the module netconsole of kernel {self.files.release()} is not signed, and this kernel is locked "
                "down (Secure Boot), so it takes only signed ones: use the distribution's own kernel, whose modules "
                f"are signed, or sign it ({' '.join(command)}: {output})"
            )
        raise ConfigfsError(
            f"the module netconsole of kernel {self.files.release()} cannot be loaded: install the package with the "
            "kernel's full set of modules, "
            "and make sure that no modprobe.d file blocks it or hands it a broken netconsole= parameter "
            f"({' '.join(command)}: {output})"
        )

    def _locked_down(self) -> bool:
        """Whether the kernel refuses unsigned modules: the active choice of LOCKDOWN stands in brackets."""
        try:
            return "[none]" not in self.files.read(LOCKDOWN)
        except OSError:
            return False

    def unload(self) -> None:
        """Take the module away again after a failure.

        Refused by the kernel while any target exists, which is as it should be.
        """
        self.files.run(["modprobe", "--remove", "netconsole"])

    def _run(self, command: Sequence[str], cause: str) -> None:
        status, output = self.files.run(command)
        if status:
            raise ConfigfsError(f"{cause} ({' '.join(command)}: {output or f'exit status {status}'})")

    # -- read -------------------------------------------------------------------------------------------------------

    def targets(self) -> dict[str, TargetState]:
        """Every listed target, by name. Boot-time targets that nobody attached are not listed by the kernel."""
        if not self.ready():
            return {}
        names = self.target_names(self.files.names(self.root))
        return {name: state for name in names for state in [self.target(name)] if state is not None}

    def target_names(self, listed: Iterable[str]) -> list[str]:
        """The names of targets among those that are listed: without marks."""
        return [name for name in listed if not name.startswith(_RESUME_MARK)]

    def resume_marks(self) -> list[ResumeMark]:
        """What runs that were killed have left: interfaces whose targets may be silent although they read enabled."""
        if not self.ready():
            return []
        notes = [name[len(_RESUME_MARK) :] for name in self.files.names(self.root) if name.startswith(_RESUME_MARK)]
        return [ResumeMark(dev_name, sibling) for dev_name, _blank, sibling in (note.partition(" ") for note in notes)]

    def mark(self, mark: ResumeMark) -> None:
        """Write it down. Without it all goes on: it is only missed when the run is killed."""
        try:
            self.files.make_directory(f"{self.root}/{mark.name}")
        except OSError:
            pass

    def unmark(self, mark: ResumeMark) -> None:
        """Take it away, by a second try if need be. One that stays costs the next run one switch off and on."""
        path = f"{self.root}/{mark.name}"
        for _attempt in range(2):
            try:
                if self.files.is_directory(path):
                    self.files.remove_directory(path)
                return
            except OSError:
                pass

    def target(self, name: str) -> TargetState | None:
        """One target, or None. Nothing is created by looking."""
        path = f"{self.root}/{name}"
        if not self.files.is_directory(path):
            return None
        present = set(self.files.names(path))
        attributes: dict[str, Value] = {}
        for attribute, kind in (*WRITABLE.items(), *READ_ONLY.items()):
            if attribute in present:
                attributes[attribute] = parse_value(kind, self.files.read(f"{path}/{attribute}"))
        userdata: dict[str, str] | None = None
        if "userdata" in present:
            userdata = {}
            for key in self.files.names(f"{path}/userdata"):
                if key in SWITCHES:
                    attributes[key] = parse_value(BOOL, self.files.read(f"{path}/userdata/{key}"))
                elif self.files.is_directory(f"{path}/userdata/{key}"):
                    userdata[key] = str(parse_value(TEXT, self.files.read(f"{path}/userdata/{key}/value")))
        return TargetState(name=name, attributes=attributes, userdata=userdata)

    # -- change -----------------------------------------------------------------------------------------------------

    def create(self, name: str) -> TargetState:
        """Make a target, disabled, with the kernel's defaults."""
        try:
            self.files.make_directory(f"{self.root}/{name}")
        except OSError as error:
            raise ConfigfsError(f"the kernel does not take a target named {name}: {_reason(error)}") from error
        state = self.target(name)
        if state is None:
            raise ConfigfsError(
                f"target {name} vanished right after it was made: something else on this host removes netconsole "
                "targets"
            )
        return state

    def remove(self, name: str) -> None:
        """Remove a target and its user data. The kernel stops it first where it is enabled."""
        path = f"{self.root}/{name}"
        try:
            if self.files.is_directory(f"{path}/userdata"):
                for key in self.files.names(f"{path}/userdata"):
                    if key not in SWITCHES and self.files.is_directory(f"{path}/userdata/{key}"):
                        self.files.remove_directory(f"{path}/userdata/{key}")
            self.files.remove_directory(path)
        except OSError as error:
            raise ConfigfsError(f"target {name} cannot be removed: {_reason(error)}") from error

    def write(self, name: str, attribute: str, value: Value) -> None:
        """Write one attribute of a disabled target, or one switch of any target.

        Reading back is ``verify``'s job, since the two addresses are only right when both are written.
        """
        path = self._path(name, attribute)
        try:
            self.files.write(path, format_value(value))
        except OSError as error:
            raise ConfigfsError(
                f"target {name}: the kernel does not take {attribute}={value}: {_reason(error)}{self._log_tail()}"
            ) from error

    def write_userdata(self, name: str, key: str, value: str) -> None:
        """Set one user-data key, which is made where it is missing. Takes effect with the next message."""
        path = f"{self.root}/{name}/userdata/{key}"
        try:
            if not self.files.is_directory(path):
                self.files.make_directory(path)
            self.files.write(f"{path}/value", format_value(value))
        except OSError as error:
            cause = "it holds no more keys" if error.errno == errno.ENOSPC else _reason(error)
            raise ConfigfsError(f"target {name}: the kernel does not take userdata {key}={value!r}: {cause}") from error

    def remove_userdata(self, name: str, key: str) -> None:
        try:
            self.files.remove_directory(f"{self.root}/{name}/userdata/{key}")
        except OSError as error:
            raise ConfigfsError(f"target {name}: userdata {key} cannot be removed: {_reason(error)}") from error

    def enable(self, name: str, *, dev_name: str) -> None:
        """Switch a target on. The kernel refuses with EINVAL to switch on what is on already: read first."""
        try:
            self.files.write(self._path(name, "enabled"), "1\n")
        except OSError as error:
            known = _ENABLE_ERRORS.get(error.errno or 0)
            cause = known.format(dev=dev_name) if known else _reason(error)
            raise ConfigfsError(f"target {name}: the kernel does not enable it: {cause}{self._log_tail()}") from error

    def disable(self, name: str) -> None:
        try:
            self.files.write(self._path(name, "enabled"), "0\n")
        except OSError as error:
            raise ConfigfsError(f"target {name} cannot be disabled: {_reason(error)}{self._log_tail()}") from error

    def verify(
        self,
        name: str,
        *,
        attributes: Mapping[str, Value],
        userdata: Mapping[str, str] | None = None,
        state: TargetState | None = None,
    ) -> TargetState:
        """Read a target back and compare, or compare ``state`` that was just read.

        Kernels up to 6.17 misread IPv4 text, cut names and keep values of failed writes silently.
        """
        state = self.target(name) if state is None else state
        if state is None:
            raise ConfigfsError(
                f"target {name} vanished while it was being changed: something else on this host removes netconsole "
                "targets"
            )
        wrong = [
            f"{attribute} is {state.attributes.get(attribute)!r} instead of {value!r}"
            for attribute, value in attributes.items()
            if state.attributes.get(attribute) != value
        ]
        if userdata is not None and dict(state.userdata or {}) != dict(userdata):
            wrong.append(f"userdata is {dict(state.userdata or {})!r} instead of {dict(userdata)!r}")
        if wrong:
            raise ConfigfsError(
                f"target {name}: the kernel holds something else than was written: {'; '.join(wrong)}{self._log_tail()}"
            )
        return state

    def _path(self, name: str, attribute: str) -> str:
        return (
            f"{self.root}/{name}/userdata/{attribute}" if attribute in SWITCHES else f"{self.root}/{name}/{attribute}"
        )

    def _log_tail(self) -> str:
        """The kernel's last own words about netconsole, for the end of an error message."""
        lines = [
            line for line in self.files.kernel_log() if "netconsole" in line or "netpoll" in line or "netcon" in line
        ]
        return f". The kernel's log says: {' | '.join(lines[-3:])}" if lines else ""


def _reason(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{os.strerror(error.errno)}: this needs root (become)"
    return os.strerror(error.errno) if error.errno and error.errno < 500 else f"error {error.errno}"


PRINTK = "/proc/sys/kernel/printk"


@dataclass
class ConsoleLoglevel:
    """The kernel's console log level: only messages with a lower number than it are sent (``man 2 syslog``)."""

    files: Files = field(default_factory=Files)

    def read(self) -> int:
        return int(self.files.read(PRINTK).split()[0])

    def write(self, level: int) -> None:
        """Set the first of the four fields of kernel.printk; the kernel leaves the other three as they are."""
        try:
            self.files.write(PRINTK, f"{level}\n")
        except OSError as error:
            raise ConfigfsError(f"the console log level cannot be set to {level}: {_reason(error)}") from error
        if self.read() != level:
            raise ConfigfsError(f"the console log level is {self.read()} although {level} was written to {PRINTK}")
