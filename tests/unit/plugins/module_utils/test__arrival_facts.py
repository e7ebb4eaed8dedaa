# What sender and receiver know of themselves: interfaces, addresses, next hop, sockets, service.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import sys

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._arrival_facts import (
    ReceiverFacts,
    TargetFacts,
    addresses_by_device,
    parse_sockets,
    service_state,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._arrival_reasons import UdpSocket
from ansible_collections.fleet.netconsole.plugins.module_utils._command import CompletedCommand
from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import TargetState
from ansible_collections.fleet.netconsole.plugins.module_utils._device import DeviceError
from ansible_collections.fleet.netconsole.plugins.module_utils._iproute import IprouteError, System
from ansible_collections.fleet.netconsole.plugins.module_utils._next_hop import NextHop, NextHopError

ADDRESSES = (
    {"ifname": "lo", "addr_info": [{"family": "inet", "local": "127.0.0.1"}, {"family": "inet6", "local": "::1"}]},
    {
        "ifname": "eth1",
        "addr_info": [
            {"family": "inet", "local": "192.0.2.11"},
            {"family": "inet6", "local": "2001:db8:0:0::11"},
            {"family": "ether", "local": "no address"},
            {"family": "inet6"},
        ],
    },
    {"ifname": "eth2"},
)
BY_DEVICE = {"lo": {"127.0.0.1", "::1"}, "eth1": {"192.0.2.11", "2001:db8::11"}, "eth2": set()}


def system(answer=ADDRESSES, sysfs="/nowhere"):
    """A host whose one command is ``ip -json address show``; an answer that is an exception is raised."""

    def run(command):
        assert list(command) == ["ip", "-json", "address", "show"]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, CompletedCommand) else CompletedCommand(0, json.dumps(answer), "")

    def provoke(address, dev_name):
        raise AssertionError("nobody is to be asked")

    return System(run=run, provoke=provoke, sysfs=str(sysfs))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(ADDRESSES, BY_DEVICE, id="addresses"),
        pytest.param([], {}, id="none"),
        pytest.param(IprouteError("no ip"), None, id="no iproute2"),
        pytest.param(CompletedCommand(1, "", "Error: no"), None, id="ip fails"),
        pytest.param(CompletedCommand(0, "1: lo: <LOOPBACK>", ""), None, id="no JSON"),
    ],
)
def test_addresses_by_device(answer, expected):
    assert addresses_by_device(system(answer)) == expected


def target(**attributes):
    given = {
        "enabled": True,
        "dev_name": "eth1",
        "local_ip": "192.0.2.11",
        "remote_ip": "192.0.2.10",
        "remote_port": 6666,
        "remote_mac": "52:54:00:00:00:10",
        **attributes,
    }
    return TargetState(name="log1", attributes=given, userdata={"rack": "a12"})


def next_hop(answer):
    def resolve(remote_ip, *, dev_name, timeout, system):
        assert (remote_ip, dev_name) == ("192.0.2.10", "eth1")
        assert timeout == 1.0
        if isinstance(answer, Exception):
            raise answer
        return answer

    return resolve


DIRECT = NextHop("192.0.2.10", "eth1", "192.0.2.11", "52:54:00:00:00:10", None)


@pytest.fixture
def sysfs(tmp_path):
    path = tmp_path / "class" / "net" / "eth1"
    path.mkdir(parents=True)
    for name, content in {"flags": "0x1003", "carrier": "1", "operstate": "up"}.items():
        (path / name).write_text(content + "\n")
    return tmp_path


def facts_of(state, *, sysfs, answer=DIRECT, addresses=ADDRESSES):
    (facts,) = TargetFacts(system=system(addresses, sysfs), next_hop=next_hop(answer)).of([state])
    return facts


def test_a_healthy_target(sysfs):
    assert facts_of(target(), sysfs=sysfs) == {
        "name": "log1",
        "enabled": True,
        "dev_name": "eth1",
        "local_ip": "192.0.2.11",
        "remote_ip": "192.0.2.10",
        "remote_port": 6666,
        "remote_mac": "52:54:00:00:00:10",
        "device_present": True,
        "up": True,
        "carrier": True,
        "operstate": "up",
        "local_ip_on_device": True,
        "next_hop_mac": "52:54:00:00:00:10",
        "gateway": None,
        "next_hop_error": None,
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({"flags": "0x1002", "carrier": None, "operstate": "down"}, (True, False, None, "down"), id="down"),
        pytest.param({"carrier": "0", "operstate": "down"}, (True, True, False, "down"), id="no carrier"),
        pytest.param({"operstate": "unknown"}, (True, True, True, "unknown"), id="virtual device"),
        pytest.param({"flags": None, "carrier": None, "operstate": None}, (True, None, None, None), id="tells nothing"),
    ],
)
def test_the_device(sysfs, files, expected):
    for name, content in files.items():
        path = sysfs / "class" / "net" / "eth1" / name
        path.unlink()
        if content is not None:
            path.write_text(content + "\n")
    facts = facts_of(target(), sysfs=sysfs)
    assert (facts["device_present"], facts["up"], facts["carrier"], facts["operstate"]) == expected


@pytest.mark.parametrize("dev_name", ["eth9", "", "..", "../net"])
def test_no_device(sysfs, dev_name):
    facts = facts_of(target(dev_name=dev_name, enabled=False), sysfs=sysfs)
    assert (facts["device_present"], facts["up"], facts["local_ip_on_device"]) == (False, None, None)


@pytest.mark.parametrize(
    ("local_ip", "addresses", "expected"),
    [
        pytest.param("192.0.2.11", ADDRESSES, True, id="there"),
        pytest.param("2001:db8::11", ADDRESSES, True, id="there, IPv6"),
        pytest.param("192.0.2.99", ADDRESSES, False, id="gone"),
        pytest.param("127.0.0.1", ADDRESSES, False, id="on another device"),
        pytest.param("192.0.2.11", IprouteError("no ip"), None, id="not known"),
    ],
)
def test_the_source_address(sysfs, local_ip, addresses, expected):
    facts = facts_of(target(local_ip=local_ip), sysfs=sysfs, addresses=addresses)
    assert facts["local_ip_on_device"] is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(DIRECT, ("52:54:00:00:00:10", None, None), id="on the segment"),
        pytest.param(
            NextHop("192.0.2.10", "eth1", "192.0.2.11", "52:54:00:00:00:01", "192.0.2.1"),
            ("52:54:00:00:00:01", "192.0.2.1", None),
            id="behind a gateway",
        ),
        pytest.param(NextHopError("no answer"), (None, None, "no answer"), id="no answer"),
        pytest.param(DeviceError("a port of bond0"), (None, None, "a port of bond0"), id="device that cannot send"),
    ],
)
def test_the_next_hop(sysfs, answer, expected):
    facts = facts_of(target(), sysfs=sysfs, answer=answer)
    assert (facts["next_hop_mac"], facts["gateway"], facts["next_hop_error"]) == expected


def test_nothing_is_asked_for_disabled_targets(sysfs):
    facts = facts_of(target(enabled=False), sysfs=sysfs, answer=AssertionError(), addresses=AssertionError())
    assert (facts["next_hop_mac"], facts["local_ip_on_device"], facts["up"]) == (None, None, True)


HEAD = "  sl  local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode ref pointer drops\n"


def line(local, *, remote="00000000:0000", state="07", drops=0):
    """A line as the kernel writes it (udp4_format_sock, udp6_sock_seq_show)."""
    return f"  533: {local} {remote} {state} 00000000:00000000 00:00000000 00000000 998 0 16409 2 00000000f3 {drops}\n"


# 192.0.2.10 and 2001:db8::10 as they stand there, on hosts of either byte order.
V4 = {"little": "0A0200C0", "big": "C000020A"}[sys.byteorder]
V6 = {"little": "B80D0120000000000000000010000000", "big": "20010DB8000000000000000000000010"}[sys.byteorder]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(HEAD, [], id="none"),
        pytest.param(HEAD + line("00000000:1A0A", drops=42), [UdpSocket("0.0.0.0", 6666, 42)], id="any IPv4 address"),
        pytest.param(HEAD + line(f"{V4}:1A0B"), [UdpSocket("192.0.2.10", 6667)], id="IPv4 address"),
        pytest.param(HEAD + line(f"{'0' * 32}:1A0A", drops=3), [UdpSocket("::", 6666, 3)], id="any IPv6 address"),
        pytest.param(HEAD + line(f"{V6}:0035"), [UdpSocket("2001:db8::10", 53)], id="IPv6 address"),
        pytest.param(
            HEAD + line("00000000:1A0A") + line("00000000:0035"),
            [UdpSocket("0.0.0.0", 6666), UdpSocket("0.0.0.0", 53)],
            id="two",
        ),
        pytest.param(HEAD + "  533: 00000000:1A0A\n", [], id="cut off"),
    ],
)
def test_parse_sockets(text, expected):
    assert parse_sockets(text) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({}, None, id="no such files"),
        pytest.param({"udp": HEAD}, (), id="no socket"),
        pytest.param(
            {"udp": HEAD + line("00000000:1A0A"), "udp6": HEAD + line(f"{'0' * 32}:1A0A")},
            (UdpSocket("0.0.0.0", 6666), UdpSocket("::", 6666)),
            id="both families",
        ),
    ],
)
def test_sockets(tmp_path, files, expected):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert ReceiverFacts(system=system(), proc_net=str(tmp_path)).sockets() == expected


def receiver(tmp_path, *, addresses=(), answer=ADDRESSES, store=None):
    def systemctl(unit):
        assert unit == "netconsole-receiver.service"
        return "active"

    facts = ReceiverFacts(system=system(answer), systemctl=systemctl, proc_net=str(tmp_path))
    return facts.of("log1", addresses=addresses, port=6666, store=store or str(tmp_path))


@pytest.mark.parametrize(
    ("addresses", "answer", "expected"),
    [
        pytest.param([], ADDRESSES, ["127.0.0.1", "192.0.2.11", "2001:db8::11", "::1"], id="its own"),
        pytest.param(["2001:DB8::0:10"], [], ["2001:db8::10"], id="given"),
        pytest.param(["log1.example", "192.0.2.10"], [], ["192.0.2.10"], id="a name is passed over"),
        pytest.param(["192.0.2.10"], IprouteError("no ip"), ["192.0.2.10"], id="own ones not known"),
    ],
)
def test_the_receivers_addresses(tmp_path, addresses, answer, expected):
    assert sorted(receiver(tmp_path, addresses=addresses, answer=answer).addresses) == expected


def test_the_receiver(tmp_path):
    known = receiver(tmp_path)
    assert (known.name, known.port, known.service, known.sockets) == ("log1", 6666, "active", None)
    assert (known.store, known.store_present) == (str(tmp_path), True)
    assert known.store_free is not None and known.store_free > 0


def test_no_store(tmp_path):
    known = receiver(tmp_path, store=str(tmp_path / "none"))
    assert (known.store_present, known.store_free) == (False, None)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("echo LoadState=loaded; echo ActiveState=active", "active", id="active"),
        pytest.param("echo LoadState=loaded; echo ActiveState=failed", "failed", id="failed"),
        pytest.param("echo LoadState=not-found; echo ActiveState=inactive", "not-found", id="no such unit"),
        pytest.param("echo no systemd >&2; exit 1", None, id="no systemd"),
        pytest.param("", None, id="says nothing"),
        pytest.param(None, None, id="no systemctl"),
    ],
)
def test_service_state(tmp_path, monkeypatch, script, expected):
    if script is not None:
        program = tmp_path / "systemctl"
        wanted = "show --property=LoadState,ActiveState netconsole-receiver.service"
        program.write_text(f'#!/bin/sh\n[ "$*" = "{wanted}" ] || exit 9\n{script}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert service_state("netconsole-receiver.service") == expected
