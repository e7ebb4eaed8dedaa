# The value of the kernel's boot and module parameter netconsole=, parsed and written back.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The grammar is alloc_param_target() and netconsole_parser_cmdline() of drivers/net/netconsole.c (before 6.15:
# netpoll_parse_options() of net/core/netpoll.c), as newest kernels have it:
#
#     parameter := target *( ";" target )
#     target    := ["+"] ["r"] [local port] "@" [local address] "/" [device] "," [remote port] "@" address "/" [MAC]
#
# "+" is the extended format, "r" (since 6.6) the kernel release in front of it; a device with a ":" is a MAC address
# (since 6.15). Where a kernel swallows a mistake instead of naming it, this parser refuses: a device name is cut after
# 15 characters, whatever follows the 17 characters of remote_mac is ignored, IPv4 octets may have leading zeros,
# everything after 255 characters is lost.

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ._address import AddressError, ip_family, normalize_ip, normalize_mac, normalize_port

# MAX_PARAM_LENGTH of the kernel is 256, the terminating NUL included, for all targets together.
MAX_CHARACTERS = 255
# IFNAMSIZ of include/uapi/linux/if.h is 16, NUL included.
MAX_DEVICE_NAME = 15

# dev_valid_name() refuses "/", ":" and white space; "," and ";" end the device or the target; a quote ends the whole
# value (next_arg() of lib/cmdline.c); what is not printable ASCII survives no boot loader.
_DEVICE_NAME = re.compile(r"(?:(?![\",/:;])[!-~])+", re.ASCII)
# kstrtou16(): decimal digits after at most one plus sign.
_PORT = re.compile(r"\+?([0-9]+)", re.ASCII)


class BootParameterError(ValueError):
    """A netconsole= value, or a target for one, that the kernel would refuse or misread: the message says why."""


@dataclass(frozen=True)
class BootTarget:
    """One target of the parameter. None means left out: the kernel's default applies.

    The defaults: device eth0, the device's first address, local port 6665, remote port 6666, the broadcast MAC address.
    dev_name may be a MAC address in place of a name. Addresses and MAC addresses are canonical (see _address) when they
    come from parse_boot_parameter().
    """

    remote_ip: str
    dev_name: str | None = None
    local_port: int | None = None
    local_ip: str | None = None
    remote_port: int | None = None
    remote_mac: str | None = None
    extended: bool = False
    release: bool = False


def parse_boot_parameter(text: str) -> list[BootTarget]:
    """The targets of a netconsole= value (without "netconsole=" and without quotes around it), in their order.

    Raises BootParameterError for what the newest kernels refuse, and for what kernels silently misread.
    """
    _check_length(text)
    if not text:
        raise BootParameterError("the netconsole= value is empty")
    space = re.search(r"\s", text)
    if space:
        raise BootParameterError(
            f"white space at character {space.start() + 1} of the netconsole= value {text!r}: the kernel's value "
            "ends there"
        )
    targets = text.split(";")
    return [_parse_target(target, where=_where(number, targets)) for number, target in enumerate(targets, 1)]


def format_boot_parameter(targets: t.Iterable[BootTarget]) -> str:
    """The netconsole= value that has these targets, in the shortest form, without quotes.

    It contains ";" where there are several targets: a boot loader may need that quoted. parse_boot_parameter() gives
    the same targets back, with their addresses in canonical form.

    Raises BootParameterError for a value that no kernel would take, or of more than 255 characters.
    """
    wanted = list(targets)
    if not wanted:
        raise BootParameterError("a netconsole= value needs at least one target")
    text = ";".join(_format_target(target, where=_where(number, wanted)) for number, target in enumerate(wanted, 1))
    _check_length(text)
    return text


def _check_length(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise BootParameterError(
            f"the netconsole= value has {len(text)} characters, all targets together may have {MAX_CHARACTERS}: use "
            "fewer targets, or set them up after the boot (configfs)"
        )


def _where(number: int, targets: t.Sequence[t.Any]) -> str:
    return "the netconsole= value" if len(targets) == 1 else f"target {number} of the netconsole= value"


def _parse_target(text: str, *, where: str) -> BootTarget:
    if not text:
        raise BootParameterError(f"{where} is empty: no ';' at the beginning, at the end or twice in a row")
    extended = text.startswith("+")
    rest = text[1:] if extended else text
    release = rest.startswith("r")
    rest = rest[1:] if release else rest
    if release and not extended:
        raise BootParameterError(f"{where}: 'r' needs the extended format: write '+r'")
    local_port, rest = _up_to(rest, "@", "the local port", where)
    if "r" in local_port or local_port.endswith("+"):
        raise BootParameterError(f"{where}: {text[: text.index('@')]!r} before the '@': the order is '+', 'r', port")
    local_ip, rest = _up_to(rest, "/", "the local address", where)
    dev_name, rest = _up_to(rest, ",", "the device", where)
    remote_port, rest = _up_to(rest, "@", "the remote port", where)
    remote_ip, remote_mac = _up_to(rest, "/", "the remote address", where)
    target = BootTarget(
        remote_ip=_address(remote_ip, "the remote address", where),
        dev_name=_device(dev_name, where) if dev_name else None,
        local_port=_port(local_port, "the local port", where) if local_port else None,
        local_ip=_address(local_ip, "the local address", where) if local_ip else None,
        remote_port=_port(remote_port, "the remote port", where) if remote_port else None,
        remote_mac=_mac(remote_mac, "the remote MAC address", where) if remote_mac else None,
        extended=extended,
        release=release,
    )
    _check_families(target, where)
    return target


def _format_target(target: BootTarget, *, where: str) -> str:
    if target.release and not target.extended:
        raise BootParameterError(f"{where}: release needs extended")
    _check_families(target, where)
    return "".join(
        (
            "+" if target.extended else "",
            "r" if target.release else "",
            "" if target.local_port is None else str(_port(target.local_port, "the local port", where)),
            "@",
            "" if target.local_ip is None else _address(target.local_ip, "the local address", where),
            "/",
            "" if target.dev_name is None else _device(target.dev_name, where),
            ",",
            "" if target.remote_port is None else str(_port(target.remote_port, "the remote port", where)),
            "@",
            _address(target.remote_ip, "the remote address", where),
            "/",
            "" if target.remote_mac is None else _mac(target.remote_mac, "the remote MAC address", where),
        )
    )


def _up_to(text: str, delimiter: str, what: str, where: str) -> tuple[str, str]:
    """A part, and what comes after its delimiter, which is mandatory also where the part is left out."""
    part, found, rest = text.partition(delimiter)
    if not found:
        raise BootParameterError(f"{where}: no {delimiter!r} after {what} ({text!r})")
    return part, rest


def _port(value: int | str, what: str, where: str) -> int:
    if isinstance(value, str):
        digits = _PORT.fullmatch(value)
        value = digits.group(1) if digits else value
    try:
        return normalize_port(value)
    except AddressError as error:
        raise BootParameterError(f"{where}: {what}: {error}") from error


def _address(text: str, what: str, where: str) -> str:
    try:
        return normalize_ip(text)
    except AddressError as error:
        raise BootParameterError(f"{where}: {what}: {error}") from error


def _mac(text: str, what: str, where: str) -> str:
    try:
        return normalize_mac(text)
    except AddressError as error:
        raise BootParameterError(f"{where}: {what}: {error}") from error


def _device(text: str, where: str) -> str:
    """A device name that the kernel keeps whole, or the device's MAC address."""
    if ":" in text:
        return _mac(text, "the device (a ':' makes it a MAC address)", where)
    if len(text) > MAX_DEVICE_NAME:
        raise BootParameterError(
            f"{where}: the device {text!r} has {len(text)} characters, the kernel silently cuts it after "
            f"{MAX_DEVICE_NAME}"
        )
    if not _DEVICE_NAME.fullmatch(text) or text in (".", ".."):
        raise BootParameterError(f"{where}: {text!r} is no name of a network device that the parameter can hold")
    return text


def _check_families(target: BootTarget, where: str) -> None:
    if target.local_ip is None:
        return
    local, remote = (
        ip_family(_address(text, what, where))
        for text, what in ((target.local_ip, "the local address"), (target.remote_ip, "the remote address"))
    )
    if local != remote:
        raise BootParameterError(
            f"{where}: the local address {target.local_ip} is IPv{local} and the remote address {target.remote_ip} is "
            f"IPv{remote}: both must be of one family"
        )
