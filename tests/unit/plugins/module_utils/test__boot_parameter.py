# Unit tests of _boot_parameter: the grammar of netconsole= as a table, each trap a named case.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Every text here without white space was also given to the netconsole module of the kernels 6.1, 6.12 and 7.2. What is
# accepted here they parsed, and to the same values (6.1 knows neither the release nor a MAC address as device). Of
# what is refused here they took the cases of SWALLOWED_BY_THE_KERNEL only (6.1 also the alias, as the name of a
# device; the empty value loads the module without a target).

from __future__ import annotations

import random
from typing import TypeVar

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._boot_parameter import (
    BootParameterError,
    BootTarget,
    format_boot_parameter,
    parse_boot_parameter,
)

MAC = "52:54:00:12:34:56"
Part = TypeVar("Part")

ACCEPTED = {
    "shortest": ("@/,@192.0.2.10/", [BootTarget("192.0.2.10")]),
    "everything": (
        f"+r6665@192.0.2.11/eth1,6666@192.0.2.10/{MAC}",
        [
            BootTarget(
                "192.0.2.10",
                dev_name="eth1",
                local_port=6665,
                local_ip="192.0.2.11",
                remote_port=6666,
                remote_mac=MAC,
                extended=True,
                release=True,
            )
        ],
    ),
    "extended": ("+@/,@192.0.2.10/", [BootTarget("192.0.2.10", extended=True)]),
    "extended with release": ("+r@/,@192.0.2.10/", [BootTarget("192.0.2.10", extended=True, release=True)]),
    "local port only": ("6665@/,@192.0.2.10/", [BootTarget("192.0.2.10", local_port=6665)]),
    "local address only": ("@192.0.2.11/,@192.0.2.10/", [BootTarget("192.0.2.10", local_ip="192.0.2.11")]),
    "device only": ("@/eth1,@192.0.2.10/", [BootTarget("192.0.2.10", dev_name="eth1")]),
    "remote port only": ("@/,514@192.0.2.10/", [BootTarget("192.0.2.10", remote_port=514)]),
    "remote MAC only": (f"@/,@192.0.2.10/{MAC}", [BootTarget("192.0.2.10", remote_mac=MAC)]),
    "remote MAC in capitals": (
        "@/,@192.0.2.10/52:54:00:AB:CD:EF",
        [BootTarget("192.0.2.10", remote_mac="52:54:00:ab:cd:ef")],
    ),
    "remote MAC broadcast": (
        "@/,@192.0.2.10/ff:ff:ff:ff:ff:ff",
        [BootTarget("192.0.2.10", remote_mac="ff:ff:ff:ff:ff:ff")],
    ),
    "port 0": ("0@/,0@192.0.2.10/", [BootTarget("192.0.2.10", local_port=0, remote_port=0)]),
    "port 65535": ("65535@/,65535@192.0.2.10/", [BootTarget("192.0.2.10", local_port=65535, remote_port=65535)]),
    "port with leading zeros": (
        "006665@/,06666@192.0.2.10/",
        [BootTarget("192.0.2.10", local_port=6665, remote_port=6666)],
    ),
    "remote port with plus": ("@/,+6666@192.0.2.10/", [BootTarget("192.0.2.10", remote_port=6666)]),
    "plus of the format and of the port": (
        "++6665@/,@192.0.2.10/",
        [BootTarget("192.0.2.10", local_port=6665, extended=True)],
    ),
    "ipv6": (
        "@2001:db8::11/eth1,@2001:db8::10/",
        [BootTarget("2001:db8::10", dev_name="eth1", local_ip="2001:db8::11")],
    ),
    "ipv6 spelt out": ("@/,@2001:0DB8:0:0:0:0:0:10/", [BootTarget("2001:db8::10")]),
    "ipv6 mapped": ("@/,@::ffff:192.0.2.10/", [BootTarget("::ffff:192.0.2.10")]),
    "device by its MAC address": (
        "@/52:54:00:AB:CD:EF,@192.0.2.10/",
        [BootTarget("192.0.2.10", dev_name="52:54:00:ab:cd:ef")],
    ),
    "device name of 15 characters": (
        "@/enx525400123456,@192.0.2.10/",
        [BootTarget("192.0.2.10", dev_name="enx525400123456")],
    ),
    "device name of a VLAN": ("@/bond0.1234,@192.0.2.10/", [BootTarget("192.0.2.10", dev_name="bond0.1234")]),
    "device name with @": ("@/a@b,@192.0.2.10/", [BootTarget("192.0.2.10", dev_name="a@b")]),
    "device name with plus and r": ("@/+r,@192.0.2.10/", [BootTarget("192.0.2.10", dev_name="+r")]),
    "two targets": (
        f"+@/eth0,@192.0.2.10/{MAC};@/eth1,@2001:db8::10/",
        [
            BootTarget("192.0.2.10", dev_name="eth0", remote_mac=MAC, extended=True),
            BootTarget("2001:db8::10", dev_name="eth1"),
        ],
    ),
}

REFUSED = {
    "empty": ("", "is empty"),
    "r without plus": ("r@/,@192.0.2.10/", "'r' needs the extended format: write '\\+r'"),
    "r before plus": ("r+@/,@192.0.2.10/", "'r' needs the extended format: write '\\+r'"),
    "r after the port": ("+6665r@/,@192.0.2.10/", "the order is '\\+', 'r', port"),
    "plus after the port": ("6665+@/,@192.0.2.10/", "the order is '\\+', 'r', port"),
    "r twice": ("+rr@/,@192.0.2.10/", "the order is '\\+', 'r', port"),
    "local port over 65535": ("65536@/,@192.0.2.10/", "local port: 65536 is no port"),
    "remote port over 65535": ("@/,70000@192.0.2.10/", "remote port: 70000 is no port"),
    "negative port": ("@/,-1@192.0.2.10/", "remote port: '-1' is no port"),
    "hexadecimal port": ("@/,0x1a0a@192.0.2.10/", "remote port: '0x1a0a' is no port"),
    "service name": ("@/,syslog@192.0.2.10/", "remote port: 'syslog' is no port"),
    "two plus signs at the remote port": ("@/,++6666@192.0.2.10/", "remote port: '\\+\\+6666' is no port"),
    "plus alone as remote port": ("@/,+@192.0.2.10/", "remote port: '\\+' is no port"),
    "octet over 255": ("@/,@192.0.2.300/", "remote address: '192.0.2.300' is no IPv4 address"),
    "three octets": ("@/,@192.0.2/", "remote address: '192.0.2' is no IPv4 address"),
    "prefix length at the remote address": ("@/,@192.0.2.10/24", "remote MAC address: '24' is no MAC"),
    "brackets": ("@/,@[2001:db8::10]/", "leave the brackets out"),
    "zone": ("@/eth0,@fe80::1%eth0/", "leave the zone out"),
    "host name": ("@/,@log1.example.org/", "remote address: 'log1.example.org' is no IP address"),
    "host name as local address": ("@web1/,@192.0.2.10/", "local address: 'web1' is no IP address"),
    "local ipv6, remote ipv4": ("@2001:db8::11/,@192.0.2.10/", "both must be of one family"),
    "local ipv4, remote ipv6": ("@192.0.2.11/,@2001:db8::10/", "both must be of one family"),
    "no remote address": ("@/eth0,@/", "remote address: the address is empty"),
    "alias of a device": ("@/eth0:1,@192.0.2.10/", "the device \\(a ':' makes it a MAC address\\)"),
    "MAC address with dashes": ("@/,@192.0.2.10/52-54-00-12-34-56", "remote MAC address"),
    "MAC address with short octets": ("@/,@192.0.2.10/52:54:0:12:34:56", "remote MAC address"),
    "MAC address too short": ("@/,@192.0.2.10/52:54:00:12:34", "remote MAC address"),
    "word instead of a MAC address": ("@/,@192.0.2.10/broadcast", "remote MAC address"),
    "no first @": ("/eth0,", "no '@' after the local port"),
    "no slash before the device": ("@", "no '/' after the local address"),
    "no comma": ("@/eth0", "no ',' after the device"),
    "no second @": ("@/eth0,192.0.2.10/", "no '@' after the remote port"),
    "no final slash": ("@/eth0,@192.0.2.10", "no '/' after the remote address"),
    "two slashes at the end": ("@/eth0,@192.0.2.10//", "remote MAC address"),
    "semicolon at the end": ("@/,@192.0.2.10/;", "target 2 of the netconsole= value is empty"),
    "semicolon at the beginning": (";@/,@192.0.2.10/", "target 1 of the netconsole= value is empty"),
    "two semicolons": ("@/,@192.0.2.10/;;@/,@192.0.2.10/", "target 2 of the netconsole= value is empty"),
    "second target wrong": ("@/,@192.0.2.10/;@/,@192.0.2.10", "target 2 .*: no '/' after the remote address"),
}

WITH_WHITE_SPACE = {
    "leading space": (" @/,@192.0.2.10/", "white space at character 1 "),
    "trailing space": ("@/,@192.0.2.10/ ", "white space at character 16 "),
    "trailing newline": ("@/,@192.0.2.10/\n", "white space at character 16 "),
    "space after the semicolon": ("@/,@192.0.2.10/; @/,@192.0.2.10/", "white space at character 17 "),
    "space in the port": ("@/, 6666@192.0.2.10/", "white space at character 4 "),
    "tab in the device": ("@/eth\t0,@192.0.2.10/", "white space at character 6 "),
}

# The kernel takes these, and does something else than what was written, or than what other programs would make of it.
SWALLOWED_BY_THE_KERNEL = {
    "garbage after the MAC address": (f"@/eth0,@192.0.2.10/{MAC}xyz", "'xyz' follows its 17 characters"),
    "seventh octet of the MAC address": (f"@/eth0,@192.0.2.10/{MAC}:78", "':78' follows its 17 characters"),
    "device name of 16 characters": (
        "@/eth0567890123456,@192.0.2.10/",
        "has 16 characters, the kernel silently cuts it",
    ),
    "prefix length at the local address, for the kernel a device 24/eth0": (
        "@192.0.2.11/24/eth0,@192.0.2.10/",
        "no name of a network device",
    ),
    "octet with leading zero": ("@/eth0,@192.0.2.010/", "without leading zeros"),
}


@pytest.mark.parametrize(("text", "targets"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_parse(text: str, targets: list[BootTarget]) -> None:
    assert parse_boot_parameter(text) == targets


@pytest.mark.parametrize("targets", [targets for _text, targets in ACCEPTED.values()], ids=ACCEPTED.keys())
def test_format_gives_the_same_targets_back(targets: list[BootTarget]) -> None:
    assert parse_boot_parameter(format_boot_parameter(targets)) == targets


@pytest.mark.parametrize(
    ("text", "reason"),
    [*REFUSED.values(), *WITH_WHITE_SPACE.values(), *SWALLOWED_BY_THE_KERNEL.values()],
    ids=[*REFUSED.keys(), *WITH_WHITE_SPACE.keys(), *SWALLOWED_BY_THE_KERNEL.keys()],
)
def test_parse_refuses(text: str, reason: str) -> None:
    with pytest.raises(BootParameterError, match=reason):
        parse_boot_parameter(text)


@pytest.mark.parametrize(
    ("targets", "text"),
    [
        pytest.param([BootTarget("192.0.2.10")], "@/,@192.0.2.10/", id="shortest"),
        pytest.param(
            [BootTarget("2001:DB8:0::10", local_ip="2001:db8:0:0::11", remote_mac="52:54:00:AB:CD:EF")],
            "@2001:db8::11/,@2001:db8::10/52:54:00:ab:cd:ef",
            id="canonical form",
        ),
        pytest.param(
            [
                BootTarget("192.0.2.10", dev_name="eth0", local_port=0, remote_port=514, extended=True, release=True),
                BootTarget("198.51.100.10"),
            ],
            "+r0@/eth0,514@192.0.2.10/;@/,@198.51.100.10/",
            id="two targets",
        ),
    ],
)
def test_format(targets: list[BootTarget], text: str) -> None:
    assert format_boot_parameter(targets) == text
    assert format_boot_parameter(iter(targets)) == text


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        pytest.param([], "at least one target", id="none"),
        pytest.param([BootTarget("192.0.2.10", release=True)], "release needs extended", id="release without extended"),
        pytest.param([BootTarget("192.0.2.10", local_port=65536)], "65536 is no port", id="local port"),
        pytest.param([BootTarget("192.0.2.10", remote_port=-1)], "-1 is no port", id="remote port"),
        pytest.param([BootTarget("log1")], "'log1' is no IP address", id="host name"),
        pytest.param([BootTarget("")], "address is empty", id="no address"),
        pytest.param([BootTarget("192.0.2.10/24")], "prefix length", id="prefix length"),
        pytest.param([BootTarget("192.0.2.10", local_ip="::1")], "both must be of one family", id="families"),
        pytest.param([BootTarget("192.0.2.10", local_ip="")], "address is empty", id="empty local address"),
        pytest.param([BootTarget("192.0.2.10", remote_mac=f"{MAC} ")], "no MAC address", id="MAC address"),
        pytest.param([BootTarget("192.0.2.10", dev_name="")], "no name of a network device", id="empty device"),
        pytest.param([BootTarget("192.0.2.10", dev_name="eth0567890123456")], "16 characters", id="long device"),
        pytest.param([BootTarget("192.0.2.10", dev_name="eth 0")], "no name of a network device", id="space"),
        pytest.param([BootTarget("192.0.2.10", dev_name="eth,0")], "no name of a network device", id="comma"),
        pytest.param([BootTarget("192.0.2.10", dev_name="eth;0")], "no name of a network device", id="semicolon"),
        pytest.param([BootTarget("192.0.2.10", dev_name="eth/0")], "no name of a network device", id="slash"),
        pytest.param([BootTarget("192.0.2.10", dev_name='e"th0')], "no name of a network device", id="quote"),
        pytest.param([BootTarget("192.0.2.10", dev_name="\u00e9th0")], "no name of a network device", id="not ASCII"),
        pytest.param([BootTarget("192.0.2.10", dev_name="..")], "no name of a network device", id="dots"),
        pytest.param([BootTarget("192.0.2.10", dev_name="eth0:1")], "makes it a MAC address", id="alias"),
        pytest.param([BootTarget("192.0.2.10"), BootTarget("x")], "target 2 of the netconsole= value", id="second"),
    ],
)
def test_format_refuses(targets: list[BootTarget], reason: str) -> None:
    with pytest.raises(BootParameterError, match=reason):
        format_boot_parameter(targets)


def _twelve_targets(*stretch: int) -> list[BootTarget]:
    """12 targets in 239 characters, their device names stretched by so many characters each, from the first on."""
    by = [*stretch, *[0] * (12 - len(stretch))]
    return [BootTarget("192.0.2.10", dev_name="eth0" + "5" * more) for more in by]


def test_255_characters_are_the_most_for_all_targets_together() -> None:
    targets = _twelve_targets(8, 8)
    text = format_boot_parameter(targets)
    assert len(text) == 255
    assert parse_boot_parameter(text) == targets


def test_256_characters_are_refused_with_the_count() -> None:
    refusal = "has 256 characters, all targets together may have 255"
    with pytest.raises(BootParameterError, match=refusal):
        format_boot_parameter(_twelve_targets(8, 9))
    text = format_boot_parameter(_twelve_targets(8, 8)).replace("eth0", "eth01", 1)
    with pytest.raises(BootParameterError, match=refusal):
        parse_boot_parameter(text)


def _random_target(chance: random.Random) -> BootTarget:
    """Any target in canonical form, each part left out half of the time."""

    def maybe(value: Part) -> Part | None:
        return value if chance.random() < 0.5 else None

    def mac() -> str:
        return ":".join(f"{chance.randrange(256):02x}" for _octet in range(6))

    addresses = chance.choice(
        [
            [f"192.0.2.{chance.randrange(256)}", f"203.0.113.{chance.randrange(256)}"],
            [f"2001:db8::{chance.randrange(1, 65536):x}", f"fe80::{chance.randrange(1, 65536):x}", "::ffff:192.0.2.1"],
        ]
    )
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+@r"
    name = "e" + "".join(chance.choice(letters) for _letter in range(chance.randrange(15)))
    extended = chance.random() < 0.5
    return BootTarget(
        chance.choice(addresses),
        dev_name=maybe(chance.choice([name, mac()])),
        local_port=maybe(chance.randrange(65536)),
        local_ip=maybe(chance.choice(addresses)),
        remote_port=maybe(chance.randrange(65536)),
        remote_mac=maybe(mac()),
        extended=extended,
        release=extended and chance.random() < 0.5,
    )


def test_what_is_written_is_read_back_for_random_targets() -> None:
    chance = random.Random(20261123)
    for _run in range(500):
        targets = [_random_target(chance) for _target in range(chance.randrange(1, 3))]
        assert parse_boot_parameter(format_boot_parameter(targets)) == targets
