# Unit tests of _address: every text that netconsole takes or refuses as an address, MAC or port.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils import _address as address

CANONICAL_IPS = {
    "ipv4": ("192.0.2.1", "192.0.2.1"),
    "ipv4 all zero": ("0.0.0.0", "0.0.0.0"),
    "ipv4 highest": ("255.255.255.255", "255.255.255.255"),
    "ipv6 upper case": ("2001:DB8::A", "2001:db8::a"),
    "ipv6 leading zeros": ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
    "ipv6 first longest run": ("2001:db8:0:0:1:0:0:0", "2001:db8:0:0:1::"),
    "ipv6 equal runs: the first": ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
    "ipv6 one zero word is not compressed": ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    "ipv6 unspecified": ("0:0:0:0:0:0:0:0", "::"),
    "ipv6 loopback": ("::1", "::1"),
    "mapped, written dotted": ("::FFFF:192.0.2.1", "::ffff:192.0.2.1"),
    "mapped, written in hexadecimal": ("::ffff:c000:201", "::ffff:192.0.2.1"),
    "mapped zero": ("::ffff:0:0", "::ffff:0.0.0.0"),
    "isatap, private address": ("fe80::5efe:c000:201", "fe80::5efe:192.0.2.1"),
    "isatap, public address": ("2001:db8::200:5efe:192.0.2.1", "2001:db8::200:5efe:192.0.2.1"),
    "isatap, no prefix": ("::5efe:0:0", "::5efe:0.0.0.0"),
    "compatible is not dotted": ("::192.0.2.1", "::c000:201"),
}

REFUSED_IPS = {
    "empty": ("", "empty"),
    "octet over 255": ("192.0.2.300", "four decimal numbers"),
    "three octets": ("192.0.2", "four decimal numbers"),
    "one number": ("3221225985", "four decimal numbers"),
    "leading zero": ("192.0.2.010", "without leading zeros"),
    "five octets": ("192.0.2.1.1", "four decimal numbers"),
    "hexadecimal octet": ("192.0.2.0x1", "no IP address"),
    "prefix length": ("192.0.2.1/24", "prefix length"),
    "ipv6 prefix length": ("2001:db8::1/64", "prefix length"),
    "brackets": ("[2001:db8::1]", "brackets"),
    "zone": ("fe80::1%eth0", "zone"),
    "leading space": (" 192.0.2.1", "white space"),
    "trailing newline": ("192.0.2.1\n", "white space"),
    "host name": ("log1.example.org", "no IP address"),
    "word": ("garbage", "no IP address"),
    "two compressions": ("2001::db8::1", "no IPv6 address"),
    "mapped with leading zero": ("::ffff:192.0.2.01", "no IPv6 address"),
    "mapped octet over 255": ("::ffff:192.0.2.256", "no IPv6 address"),
    "other digits": ("192.0.2.\u0661", "no IP address"),
}


@pytest.mark.parametrize(("text", "expected"), CANONICAL_IPS.values(), ids=CANONICAL_IPS.keys())
def test_normalize_ip(text: str, expected: str) -> None:
    assert address.normalize_ip(text) == expected
    assert address.normalize_ip(expected) == expected
    assert ipaddress.ip_address(expected) == ipaddress.ip_address(text)


@pytest.mark.parametrize(("text", "reason"), REFUSED_IPS.values(), ids=REFUSED_IPS.keys())
def test_normalize_ip_refuses(text: str, reason: str) -> None:
    with pytest.raises(address.AddressError, match=reason):
        address.normalize_ip(text)


@pytest.mark.parametrize(("text", "family"), [("192.0.2.1", 4), ("::ffff:192.0.2.1", 6), ("2001:db8::1", 6)])
def test_ip_family(text: str, family: int) -> None:
    assert address.ip_family(text) == family


@pytest.mark.parametrize("text", ["52:54:00:AB:cd:0F", "00:00:00:00:00:00", "FF:FF:FF:FF:FF:FF", "01:00:5e:00:00:01"])
def test_normalize_mac(text: str) -> None:
    assert address.normalize_mac(text) == text.lower()


REFUSED_MACS = {
    "empty": ("", "empty"),
    "dashes": ("52-54-00-12-34-56", "with colons"),
    "short octet": ("52:54:0:12:34:56", "two-digit"),
    "five octets": ("52:54:00:12:34", "six"),
    "seven octets": ("52:54:00:12:34:56:78", "':78' follows its 17 characters"),
    "trailing garbage": ("52:54:00:12:34:56xyz", "'xyz' follows its 17 characters"),
    "trailing newline": ("52:54:00:12:34:56\n", "follows its 17 characters"),
    "leading space": (" 52:54:00:12:34:56", "no MAC address"),
    "not hexadecimal": ("52:54:00:12:34:5g", "no MAC address"),
    "cisco form": ("5254.0012.3456", "no MAC address"),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED_MACS.values(), ids=REFUSED_MACS.keys())
def test_normalize_mac_refuses(text: str, reason: str) -> None:
    with pytest.raises(address.AddressError, match=reason):
        address.normalize_mac(text)
    with pytest.raises(address.AddressError, match=reason):
        address.normalize_remote_mac(text)


REMOTE_MACS = {
    "unicast": ("52:54:00:AB:CD:EF", "52:54:00:ab:cd:ef"),
    "broadcast by address": ("FF:ff:ff:ff:ff:ff", "ff:ff:ff:ff:ff:ff"),
    "broadcast by name": ("broadcast", "ff:ff:ff:ff:ff:ff"),
    "broadcast by name, capital": ("Broadcast", "ff:ff:ff:ff:ff:ff"),
}


@pytest.mark.parametrize(("text", "expected"), REMOTE_MACS.values(), ids=REMOTE_MACS.keys())
def test_normalize_remote_mac(text: str, expected: str) -> None:
    assert address.normalize_remote_mac(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("00:00:00:00:00:00", "address of no device", id="null"),
        pytest.param("01:00:5e:00:00:01", "multicast", id="ipv4 multicast"),
        pytest.param("33:33:00:00:00:01", "multicast", id="ipv6 multicast"),
    ],
)
def test_normalize_remote_mac_refuses(text: str, reason: str) -> None:
    with pytest.raises(address.AddressError, match=reason):
        address.normalize_remote_mac(text)


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 0), (6666, 6666), (65535, 65535), ("0", 0), ("6666", 6666), ("010", 10)]
)
def test_normalize_port(value: int | str, expected: int) -> None:
    assert address.normalize_port(value) == expected


@pytest.mark.parametrize(
    "value", [-1, 65536, 70000, True, "", "65536", "-1", "+1", "0x1", " 1", "1 ", "1\n", "http", "\u0661"]
)
def test_normalize_port_refuses(value: int | str) -> None:
    with pytest.raises(address.AddressError, match="port"):
        address.normalize_port(value)
