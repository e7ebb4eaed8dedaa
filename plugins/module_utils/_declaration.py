# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What somebody wrote down for a host: its targets, console log level, and how far the engine may go.

``declaration_from_options`` reads the options of the module ``sender``, or the same as they stand in the host's
declared-state file; ``document`` is what is stored there. Everything that is wrong on any host is found here, before
the host is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from ._address import AddressError, normalize_ip, normalize_remote_mac
from ._configfs import SWITCHES, check_dev_name, check_name, check_userdata
from ._heartbeat import LEAST_CONSOLE_LOGLEVEL, LONGEST
from ._next_hop import NextHopError, check_given

AUTO = "auto"  # dev_name and extended: what the host's routing and the kernel make of it

MISSING_CAPABILITY_CHOICES = ("error", "warn")
PANIC_CAPTURE_CHOICES = ("warn", "require", "set")
STATE_CHOICES = ("present", "absent")
EXTENDED_CHOICES: Mapping[object, bool | None] = {"auto": None, "true": True, "false": False}


class DeclarationError(ValueError):
    """The declaration itself is wrong, whatever the host looks like."""


@dataclass(frozen=True)
class DeclaredTarget:
    """One target as it was written down. ``None`` means: not given.

    ``remote_ip`` may be a host name. ``dev_name``, ``local_ip`` and ``remote_mac`` are resolved when not given;
    ``extended`` follows the kernel; ``release``, ``userdata`` and the switches stay as they are.
    """

    name: str
    present: bool = True
    enabled: bool = True
    remote_ip: str | None = None
    remote_port: int = 6666
    local_port: int = 6665
    dev_name: str | None = None
    local_ip: str | None = None
    remote_mac: str | None = None
    extended: bool | None = None
    release: bool | None = None
    userdata: Mapping[str, str] | None = None
    switches: Mapping[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.present:
            return
        if not self.remote_ip:
            raise DeclarationError(f"target {self.name}: remote_ip is missing: give the receiver's address or name")
        for option, port in (("remote_port", self.remote_port), ("local_port", self.local_port)):
            if not 1 <= port <= 65535:
                raise DeclarationError(
                    f"target {self.name}: {option} is {port}: a UDP port is a number from 1 to 65535"
                )
        if self.dev_name is not None:
            check_dev_name(self.dev_name)
        if self.local_ip is not None:
            normalize_ip(self.local_ip)
        if self.remote_mac is not None:
            normalize_remote_mac(self.remote_mac)
        try:
            check_given(self.remote_ip, dev_name=self.dev_name, local_ip=self.local_ip, remote_mac=self.remote_mac)
        except NextHopError as error:
            raise DeclarationError(f"target {self.name}: {error}") from error
        if self.release and self.extended is False:
            raise DeclarationError(
                f"target {self.name}: release needs the extended format: set extended to true or auto, or leave "
                "release out"
            )
        if self.userdata is not None:
            check_userdata(self.userdata)


@dataclass(frozen=True)
class Declaration:
    """A sender's whole declaration.

    ``purge`` removes targets that are not declared; ``bring_up`` allows to bring up a device that is down;
    ``panic_capture`` says what to do where a panic's messages would not be sent. ``panic_timeout``, of a sender that
    goes, is what kernel.panic was before ``panic_capture`` set it to 0. ``heartbeat`` is the distance in minutes of the
    marks that the service writes, 0 for none.
    """

    targets: tuple[DeclaredTarget, ...]
    console_loglevel: int | None = None
    missing_capability: str = "error"  # or "warn": go on without
    purge: bool = False
    panic_capture: str = "warn"  # "require": refuse; "set": set kernel.panic to 0
    bring_up: bool = False
    panic_timeout: int | None = None
    heartbeat: int = 0

    def __post_init__(self) -> None:
        names = [target.name for target in self.targets]
        for name in names:
            if names.count(name) > 1:
                raise DeclarationError(
                    f"target {name} is declared {names.count(name)} times: give each target a name of its own"
                )
        if self.console_loglevel is not None and not 1 <= self.console_loglevel <= 8:
            raise DeclarationError(
                f"console_loglevel is {self.console_loglevel}: it is a number from 1 (only emerg is sent) to 8 "
                "(debug is sent too); "
                "a message is sent when its level is lower than this number"
            )
        if not 0 <= self.heartbeat <= LONGEST:
            raise DeclarationError(
                f"heartbeat is {self.heartbeat}: it is a number of minutes from 1 to {LONGEST}, or 0 for none"
            )
        if self.heartbeat and (self.console_loglevel or LEAST_CONSOLE_LOGLEVEL) < LEAST_CONSOLE_LOGLEVEL:
            raise DeclarationError(
                f"heartbeat with console_loglevel {self.console_loglevel}: a mark of level err would not be sent. Set "
                f"console_loglevel to {LEAST_CONSOLE_LOGLEVEL} or more, or heartbeat to 0"
            )


# -- from options, and back
# ----------------------------------------------------------------------------------------------

# What an option of a JSON document has to be; Ansible has made sure of it already for a task.
_TARGET_TYPES: Mapping[str, type] = {
    "name": str,
    "state": str,
    "enabled": bool,
    "remote_ip": str,
    "remote_port": int,
    "remote_mac": str,
    "local_ip": str,
    "local_port": int,
    "dev_name": str,
    "extended": object,
    "release": bool,
    "userdata": dict,
    **dict.fromkeys(SWITCHES, bool),
}
_TYPES: Mapping[str, type] = {
    "targets": list,
    "userdata": dict,
    "console_loglevel": int,
    "missing_capability": str,
    "purge": bool,
    "panic_capture": str,
    "bring_up": bool,
    "heartbeat": int,
}
_CHOICES: Mapping[str, Sequence[object]] = {
    "state": STATE_CHOICES,
    "missing_capability": MISSING_CAPABILITY_CHOICES,
    "panic_capture": PANIC_CAPTURE_CHOICES,
}
# The options of the module ``sender`` that describe the wanted state; it may have more.
DECLARATION_OPTIONS = tuple(_TYPES)


def declaration_from_options(options: Mapping[str, Any]) -> Declaration:
    """The declaration that these options are. A missing one and ``None`` both mean: not given.

    Options beside DECLARATION_OPTIONS are not looked at, those of a target are all known or refused.

    Raises DeclarationError, AddressError or ConfigfsError for what is wrong on any host.
    """
    given = _given(options, _TYPES, where="the declaration")
    shared = given.get("userdata")
    targets = tuple(
        declared_target({**entry, "userdata": shared} if entry.get("userdata") is None else entry)
        for entry in _entries(given.get("targets", []))
    )
    return Declaration(
        targets=targets,
        console_loglevel=given.get("console_loglevel"),
        missing_capability=given.get("missing_capability", "error"),
        purge=given.get("purge", False),
        panic_capture=given.get("panic_capture", "warn"),
        bring_up=given.get("bring_up", False),
        heartbeat=given.get("heartbeat", 0),
    )


def declared_target(options: Mapping[str, Any]) -> DeclaredTarget:
    """One target's options as a declaration. Raises as declaration_from_options does."""
    name = options.get("name")
    if not isinstance(name, str):
        raise DeclarationError("a target has no name: give it one, such as the receiver's name")
    unknown = sorted(set(options) - set(_TARGET_TYPES))
    if unknown:
        raise DeclarationError(f"target {name}: there is no option {', '.join(unknown)}")
    given = _given(options, _TARGET_TYPES, where=f"target {name}")
    dev_name = given.get("dev_name")
    return DeclaredTarget(
        name=name,
        present=given.get("state", "present") == "present",
        enabled=given.get("enabled", True),
        remote_ip=given.get("remote_ip"),
        remote_port=given.get("remote_port", 6666),
        local_port=given.get("local_port", 6665),
        dev_name=None if dev_name == AUTO else dev_name,
        local_ip=given.get("local_ip"),
        remote_mac=given.get("remote_mac"),
        extended=_extended(name, given.get("extended")),
        release=given.get("release"),
        userdata=_userdata(name, given.get("userdata")),
        switches={switch: given[switch] for switch in SWITCHES if switch in given},
    )


def document(declaration_options: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of these options: sorted, without what was not given, the shared user data put into each target.

    declaration_from_options() makes the same declaration of it, with the targets in the order of their names.

    Raises as declaration_from_options does: nothing wrong is ever stored.
    """
    declaration = declaration_from_options(declaration_options)
    stored: dict[str, Any] = {
        "bring_up": declaration.bring_up,
        "console_loglevel": declaration.console_loglevel,
        "heartbeat": declaration.heartbeat or None,
        "missing_capability": declaration.missing_capability,
        "panic_capture": declaration.panic_capture,
        "purge": declaration.purge,
        "targets": [_target_document(target) for target in sorted(declaration.targets, key=lambda item: item.name)],
    }
    return {key: value for key, value in stored.items() if value is not None}


def _canonical(remote_ip: str | None) -> str | None:
    """An address as the kernel shows it; a name as it is."""
    try:
        return None if remote_ip is None else normalize_ip(remote_ip)
    except AddressError:
        return remote_ip


def _target_document(target: DeclaredTarget) -> dict[str, Any]:
    if not target.present:
        return {"name": target.name, "state": "absent"}
    stored = {
        "dev_name": target.dev_name,
        "enabled": target.enabled,
        "extended": target.extended,
        "local_ip": None if target.local_ip is None else normalize_ip(target.local_ip),
        "local_port": target.local_port,
        "name": target.name,
        "release": target.release,
        "remote_ip": _canonical(target.remote_ip),
        "remote_mac": None if target.remote_mac is None else normalize_remote_mac(target.remote_mac),
        "remote_port": target.remote_port,
        "state": "present",
        "userdata": None if target.userdata is None else dict(sorted(target.userdata.items())),
        **target.switches,
    }
    return {key: stored[key] for key in sorted(stored) if stored[key] is not None}


def _entries(targets: list[Any]) -> list[Mapping[str, Any]]:
    for entry in targets:
        if not isinstance(entry, dict):
            raise DeclarationError(f"targets: {entry!r} is no target: each is a dictionary of a target's options")
    return targets


def _given(options: Mapping[str, Any], types: Mapping[str, type], *, where: str) -> dict[str, Any]:
    """The options that were given, each of the right type and one of its choices."""
    given = {name: options[name] for name in types if options.get(name) is not None}
    for name, value in given.items():
        wanted = types[name]
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise DeclarationError(f"{where}: {name} is {value!r}: it has to be of the type {wanted.__name__}")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise DeclarationError(
                f"{where}: {name} is {value!r}: it has to be one of {', '.join(map(str, _CHOICES[name]))}"
            )
    return given


def _extended(name: str, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if value not in EXTENDED_CHOICES:
        raise DeclarationError(f"target {name}: extended is {value!r}: it has to be one of auto, true, false")
    return EXTENDED_CHOICES[value]


def _userdata(name: str, userdata: Mapping[str, Any] | None) -> dict[str, str] | None:
    if userdata is None:
        return None
    for key, value in userdata.items():
        if isinstance(value, (list, dict)):
            raise DeclarationError(
                f"target {name}: userdata {key} is a {type(value).__name__}: it has to be one line of text"
            )
    return {str(key): "" if value is None else str(value) for key, value in userdata.items()}
