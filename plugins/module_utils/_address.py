# Network addresses as text, the one spelling for each that the whole engine compares and writes.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Facts: what netconsole accepts is lib/vsprintf.c (%pI6c), net/core/utils.c (in4_pton, in6_pton) and lib/net_utils.c
# (mac_pton) of the kernel; the canonical IPv6 text is RFC 5952. Python's ipaddress alone will not do: before 3.9.5 it
# reads "010.0.0.1", from 3.9 on it reads a zone, and only from 3.13 on it writes IPv4-mapped addresses as the kernel
# does.

from __future__ import annotations

import ipaddress
import re

BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"
NULL_MAC = "00:00:00:00:00:00"
BROADCAST_WORD = "broadcast"

PORT_MAX = 65535

_IPV4_OCTET = r"(?:0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])"
_IPV4 = re.compile(rf"{_IPV4_OCTET}(?:\.{_IPV4_OCTET}){{3}}", re.ASCII)
_IPV6_CHARACTERS = re.compile(r"[0-9A-Fa-f:.]+", re.ASCII)
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}", re.ASCII)


class AddressError(ValueError):
    """A text is no address that netconsole could use; the message says why and how to write it."""


def parse_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address object of a text, read strictly.

    IPv4 is four decimal numbers without leading zeros. IPv6 has no brackets, zone or prefix length: the kernel takes
    none of them (a failed write of one even leaves a wrong address behind).

    Raises AddressError.
    """
    if _IPV4.fullmatch(text):
        return ipaddress.IPv4Address(text)
    if _IPV6_CHARACTERS.fullmatch(text) and ":" in text:
        _check_embedded_ipv4(text)
        try:
            return ipaddress.IPv6Address(text)
        except ValueError:
            pass
    raise AddressError(_why_no_ip(text))


def normalize_ip(text: str) -> str:
    """The canonical text of an address, spelt as the kernel reads it back (%pI4, %pI6c).

    IPv6 is compressed lower case; IPv4-mapped (::ffff:192.0.2.1) and ISATAP (fe80::5efe:192.0.2.1) addresses end
    dotted, as %pI6c prints them and whatever the Python version thinks of it.

    Raises AddressError.
    """
    return ip_text(parse_ip(text))


def ip_text(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """The canonical text (see normalize_ip) of an address object."""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    packed = address.packed
    if not _is_dotted(packed):
        return str(ipaddress.IPv6Address(packed))
    # The kernel compresses only the six words before the dotted end. Ones put there keep Python from going on into it.
    words = str(ipaddress.IPv6Address(packed[:12] + b"\xff\xff\xff\xff"))
    if words.count(".") == 3:  # Python >= 3.13 writes an IPv4-mapped address dotted
        head = words.rpartition(":")[0]
    else:
        head = words.rpartition(":")[0].rpartition(":")[0]
    return f"{head}:{ipaddress.IPv4Address(packed[12:])}"


def ip_family(text: str) -> int:
    """4 or 6, of an address text. Raises AddressError."""
    return parse_ip(text).version


def normalize_mac(text: str) -> str:
    """A MAC address in the only form that every kernel takes: six two-digit hexadecimal octets with colons, lower case.

    It says nothing of what the address means: see is_multicast_mac(), NULL_MAC and BROADCAST_MAC.

    Raises AddressError.
    """
    if _MAC.fullmatch(text):
        return text.lower()
    raise AddressError(_why_no_mac(text))


def is_multicast_mac(mac: str) -> bool:
    """Whether a normalised MAC address is a group address (broadcast included): bit 0 of its first octet."""
    return bool(int(mac[:2], 16) & 1)


def normalize_remote_mac(text: str) -> str:
    """The MAC address that datagrams are sent to, from what an operator wrote.

    The word "broadcast" and ff:ff:ff:ff:ff:ff both mean the broadcast address, which only ever comes from here, never
    from resolution. The null address and multicast addresses are refused: nobody on a network answers to the first, and
    the second spreads the kernel's log as widely as a broadcast while looking like a host.

    Raises AddressError.
    """
    if text.lower() == BROADCAST_WORD:
        return BROADCAST_MAC
    mac = normalize_mac(text)
    if mac == NULL_MAC:
        raise AddressError(
            f"{mac} is the address of no device: leave remote_mac out to have the next hop's looked up, or give it"
        )
    if is_multicast_mac(mac) and mac != BROADCAST_MAC:
        raise AddressError(
            f"{mac} is a multicast address: give the MAC address of the receiver or of the gateway before it, "
            f"or '{BROADCAST_WORD}' if the whole segment may read this kernel's log"
        )
    return mac


def normalize_port(value: int | str) -> int:
    """A UDP port as a number, 0 to 65535 (netconsole takes 0 too: kstrtou16 of lib/kstrtox.c).

    Text is decimal digits only. Raises AddressError.
    """
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]+", value, re.ASCII):
            raise AddressError(f"{value!r} is no port: write a decimal number from 0 to {PORT_MAX}")
        value = int(value)
    if isinstance(value, bool) or not 0 <= value <= PORT_MAX:
        raise AddressError(f"{value} is no port: a UDP port is a number from 0 to {PORT_MAX}")
    return value


def _is_dotted(packed: bytes) -> bool:
    """Whether %pI6c ends the address dotted: ipv6_addr_v4mapped() or ipv6_addr_is_isatap() of the kernel."""
    mapped = packed[:12] == bytes(10) + b"\xff\xff"
    isatap = packed[8:12] in (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")
    return mapped or isatap


def _check_embedded_ipv4(text: str) -> None:
    """Refuse a dotted end that older Python versions would read with leading zeros."""
    end = text.rpartition(":")[2]
    if "." in end and not _IPV4.fullmatch(end):
        raise AddressError(_why_no_ip(text))


def _why_no_ip(text: str) -> str:
    """The reason, most telling first, why a text is no address."""
    if not text:
        return "the address is empty: give an IPv4 or IPv6 address"
    if text != text.strip() or any(character.isspace() for character in text):
        return f"{text!r} is no IP address: it contains white space"
    if text.startswith("["):
        return f"{text!r} is no IP address for netconsole: leave the brackets out"
    if "%" in text:
        return f"{text!r} is no IP address for netconsole: leave the zone out (the device is given by dev_name)"
    if "/" in text:
        return f"{text!r} is no IP address for netconsole: leave the prefix length out"
    if re.fullmatch(r"[0-9]+(\.[0-9]+)*", text, re.ASCII):
        return f"{text!r} is no IPv4 address: write four decimal numbers from 0 to 255, without leading zeros"
    if ":" in text:
        return f"{text!r} is no IPv6 address"
    return f"{text!r} is no IP address"


def _why_no_mac(text: str) -> str:
    form = "six two-digit hexadecimal numbers with colons, such as 52:54:00:12:34:56"
    if not text:
        return f"the MAC address is empty: write {form}"
    if len(text) > 17 and _MAC.match(text):
        return f"{text!r} is no MAC address: {text[17:]!r} follows its 17 characters; write {form}"
    return f"{text!r} is no MAC address: write {form}"
