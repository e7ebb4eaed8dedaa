# Why a probe did not arrive: each cause alone, their order, and whose target is whose.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._arrival_reasons import (
    Case,
    LastSeen,
    Probe,
    Receiver,
    UdpSocket,
    belongs_to,
    hopeless,
    reasons,
)

TARGET = {
    "name": "log1",
    "enabled": True,
    "dev_name": "eth1",
    "local_ip": "192.0.2.11",
    "local_port": 6665,
    "remote_ip": "192.0.2.10",
    "remote_port": 6666,
    "remote_mac": "52:54:00:00:00:10",
    "extended": True,
    "transmit_errors": 0,
    "device_present": True,
    "up": True,
    "carrier": True,
    "operstate": "up",
    "local_ip_on_device": True,
    "next_hop_mac": "52:54:00:00:00:10",
    "gateway": None,
    "next_hop_error": None,
}
PROBE = {"host": "web1", "nonce": "0" * 32, "time": 1000.0, "console_loglevel": 7, "level": 5}
RECEIVER = {
    "name": "log1",
    "addresses": frozenset(["127.0.0.1", "192.0.2.10", "2001:db8::10"]),
    "service": "active",
    "sockets": (UdpSocket("::", 6666), UdpSocket("0.0.0.0", 6666), UdpSocket("127.0.0.1", 323)),
    "store_free": 1000,
}
NOTHING_WRONG = (
    "nothing has ever come from 192.0.2.11: look between the two hosts (firewall, VLAN, wrong next hop); "
    "web1 sends from 192.0.2.11 over eth1 to the MAC 52:54:00:00:00:10"
)


def case(*, target=None, probe=None, receiver=None, last_seen=None):
    return Case(
        probe=Probe(**{**PROBE, **(probe or {})}),
        target={**TARGET, **(target or {})},
        receiver=Receiver(**{**RECEIVER, **(receiver or {})}),
        last_seen=last_seen,
    )


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param({}, NOTHING_WRONG, id="nothing is known to be wrong"),
        pytest.param(
            {"last_seen": LastSeen("2026-11-23T05:00:00+00:00", after_probe=False)},
            "nothing has come from web1 since 2026-11-23T05:00:00+00:00: look between the two hosts (firewall, VLAN, "
            "wrong next hop); web1 sends from 192.0.2.11 over eth1 to the MAC 52:54:00:00:00:10",
            id="it worked once",
        ),
        pytest.param(
            {"last_seen": LastSeen("2026-11-23T05:00:00+00:00", after_probe=True)},
            "other messages of web1 came later, the last 2026-11-23T05:00:00+00:00: lost on the way, try again",
            id="only this one was lost",
        ),
        pytest.param(
            {"target": {"enabled": False}}, "target log1 is disabled, by hand or by the kernel", id="target disabled"
        ),
        pytest.param(
            {"target": {"enabled": False, "device_present": False}},
            "target log1 is disabled: there is no interface eth1 on web1",
            id="target disabled, and its device is gone",
        ),
        pytest.param(
            {"probe": {"console_loglevel": 5}},
            "console_loglevel is 5, so a message of level notice does not leave the host: raise it "
            "(netconsole_sender_console_loglevel)",
            id="console log level too low for the level asked for",
        ),
        pytest.param(
            {"probe": {"console_loglevel": 0, "level": 0}},
            "console_loglevel is 0, so nothing at all leaves the host: raise it (netconsole_sender_console_loglevel)",
            id="console log level 0",
        ),
        pytest.param({"probe": {"console_loglevel": 6}}, NOTHING_WRONG, id="console log level just high enough"),
        pytest.param(
            {"probe": {"console_loglevel": 0, "ignore_loglevel": True}}, NOTHING_WRONG, id="console log level ignored"
        ),
        pytest.param({"probe": {"console_loglevel": None}}, NOTHING_WRONG, id="console log level not told"),
        pytest.param(
            {"probe": {"oops_only": True}},
            "netconsole's parameter oops_only is set, so messages leave the host only during an oops: write 0 to "
            "/sys/module/netconsole/parameters/oops_only",
            id="oops only",
        ),
        pytest.param(
            {"probe": {"host": "log1"}},
            "log1 is sender and receiver: what netconsole sends over a wire never comes back",
            id="to itself over a wire",
        ),
        pytest.param(
            {"target": {"remote_port": 6667}},
            "target log1 sends to port 6667, but log1 receives on port 6666",
            id="other port",
        ),
        pytest.param(
            {"target": {"device_present": False, "up": None, "carrier": None}},
            "there is no interface eth1 on web1",
            id="no device",
        ),
        pytest.param(
            {"target": {"up": False, "carrier": None, "operstate": "down"}},
            "interface eth1 of web1 is down",
            id="device down",
        ),
        pytest.param(
            {"target": {"carrier": False, "operstate": "down"}},
            "interface eth1 of web1 has no carrier",
            id="no carrier",
        ),
        pytest.param(
            {"target": {"carrier": None, "operstate": "lowerlayerdown"}},
            "interface eth1 of web1 does not work (operstate lowerlayerdown)",
            id="device below it down",
        ),
        pytest.param({"target": {"operstate": "unknown"}}, NOTHING_WRONG, id="operstate that says nothing"),
        pytest.param(
            {"receiver": {"service": "failed"}},
            "netconsole-receiver.service is not running on log1 (it is failed)",
            id="service failed",
        ),
        pytest.param(
            {"receiver": {"service": "not-found", "sockets": ()}},
            "netconsole-receiver.service is not installed on log1: run fleet.netconsole.site",
            id="service missing",
        ),
        pytest.param({"receiver": {"service": None}}, NOTHING_WRONG, id="no systemd to ask"),
        pytest.param({"receiver": {"service": "reloading"}}, NOTHING_WRONG, id="service is reloading"),
        pytest.param(
            {"receiver": {"sockets": (UdpSocket("0.0.0.0", 6667),)}},
            "nothing listens on UDP port 6666 of log1",
            id="nothing listens",
        ),
        pytest.param(
            {"receiver": {"sockets": (UdpSocket("127.0.0.1", 6666),)}},
            "nothing listens on UDP port 6666 of log1 at 192.0.2.10",
            id="something listens, at another address",
        ),
        pytest.param({"receiver": {"sockets": (UdpSocket("192.0.2.10", 6666),)}}, NOTHING_WRONG, id="own address"),
        pytest.param({"receiver": {"sockets": (UdpSocket("::", 6666),)}}, NOTHING_WRONG, id="IPv6 socket takes IPv4"),
        pytest.param(
            {"target": {"remote_ip": "2001:db8::10"}, "receiver": {"sockets": (UdpSocket("0.0.0.0", 6666),)}},
            "nothing listens on UDP port 6666 of log1 at 2001:db8::10",
            id="IPv4 socket takes no IPv6",
        ),
        pytest.param({"receiver": {"sockets": None}}, NOTHING_WRONG, id="sockets unknown"),
        pytest.param(
            {"receiver": {"store_present": False}},
            "log1 has no directory /var/log/netconsole: the collector stores nowhere, or somewhere else",
            id="no store",
        ),
        pytest.param(
            {"receiver": {"store_free": 0}}, "the file system of /var/log/netconsole on log1 is full", id="disk full"
        ),
        pytest.param(
            {"target": {"next_hop_mac": "52:54:00:00:00:99"}},
            "target log1 sends to the MAC 52:54:00:00:00:10, but the next hop, 192.0.2.10, has 52:54:00:00:00:99 now: "
            "run fleet.netconsole.site",
            id="receiver has another MAC",
        ),
        pytest.param(
            {"target": {"next_hop_mac": "52:54:00:00:00:99", "gateway": "192.0.2.1"}},
            "target log1 sends to the MAC 52:54:00:00:00:10, but the next hop, the gateway 192.0.2.1, has "
            "52:54:00:00:00:99 now: run fleet.netconsole.site",
            id="gateway has another MAC",
        ),
        pytest.param(
            {"target": {"remote_mac": "ff:ff:ff:ff:ff:ff"}},
            NOTHING_WRONG.replace("52:54:00:00:00:10", "ff:ff:ff:ff:ff:ff"),
            id="broadcast on the segment",
        ),
        pytest.param(
            {"target": {"remote_mac": "ff:ff:ff:ff:ff:ff", "gateway": "192.0.2.1"}},
            "target log1 sends to the broadcast MAC, but 192.0.2.10 is behind the gateway 192.0.2.1, and no gateway "
            "passes broadcasts on",
            id="broadcast to behind a gateway",
        ),
        pytest.param(
            {"target": {"remote_ip": "192.0.2.99", "local_ip_on_device": True}, "receiver": {"sockets": None}},
            "target log1 sends to 192.0.2.99, but log1 has 192.0.2.10, 2001:db8::10",
            id="address of nobody",
        ),
        pytest.param(
            {"target": {"local_ip_on_device": False}},
            "target log1 sends from 192.0.2.11, which eth1 of web1 does not have (any more): run fleet.netconsole.site",
            id="source address gone",
        ),
        pytest.param({"target": {"local_ip_on_device": None}}, NOTHING_WRONG, id="source address not known"),
        pytest.param(
            {"target": {"next_hop_mac": None, "next_hop_error": "192.0.2.10 does not answer on eth1"}},
            "web1 does not find the way to 192.0.2.10: 192.0.2.10 does not answer on eth1",
            id="no answer from the next hop",
        ),
        pytest.param(
            {"target": {"transmit_errors": 3}},
            "3 datagrams of target log1 did not get out of eth1, perhaps this one too",
            id="transmit errors",
        ),
        pytest.param(
            {"receiver": {"sockets": (UdpSocket("0.0.0.0", 6666, drops=7), UdpSocket("0.0.0.0", 53, drops=9))}},
            "the socket on log1 has dropped 7 datagrams since it was opened, perhaps this one too: enlarge its receive "
            "buffer",
            id="socket drops",
        ),
    ],
)
def test_likely_reason(facts, expected):
    assert reasons(case(**facts))[0] == expected


def test_all_reasons_most_certain_first():
    everything = case(
        target={
            "enabled": False,
            "remote_port": 6667,
            "up": False,
            "next_hop_mac": "52:54:00:00:00:99",
            "remote_ip": "192.0.2.99",
            "local_ip_on_device": False,
            "next_hop_error": "no answer",
            "transmit_errors": 1,
        },
        probe={"console_loglevel": 1, "oops_only": True, "host": "log1"},
        receiver={"service": "inactive", "sockets": (UdpSocket("127.0.0.1", 6666, drops=1),), "store_present": False},
    )
    starts = [
        "target log1 is disabled",
        "console_loglevel is 1",
        "netconsole's parameter oops_only",
        "log1 is sender and receiver",
        "target log1 sends to port 6667",
        "interface eth1 of log1 is down",
        "netconsole-receiver.service is not running",
        "nothing listens on UDP port",
        "log1 has no directory",
        "target log1 sends to the MAC",
        "target log1 sends to 192.0.2.99",
        "target log1 sends from 192.0.2.11",
        "log1 does not find the way",
        "1 datagrams of target log1",
        "the socket on log1 has dropped",
        "nothing has ever come",
    ]
    found = reasons(everything)
    assert [found[number][: len(start)] for number, start in enumerate(starts)] == starts
    assert len(found) == len(starts)


@pytest.mark.parametrize(
    ("target", "sender", "expected"),
    [
        pytest.param({"name": "log1", "remote_ip": "198.51.100.1"}, "web1", True, id="by name"),
        pytest.param({"name": "any", "remote_ip": "192.0.2.10"}, "web1", True, id="by address"),
        pytest.param({"name": "any", "remote_ip": "2001:db8::10"}, "web1", True, id="by IPv6 address"),
        pytest.param({"name": "log2", "remote_ip": "192.0.2.20"}, "web1", False, id="another receiver's"),
        pytest.param({"name": "new", "remote_ip": "0.0.0.0"}, "web1", False, id="empty target"),
        pytest.param({"name": "self", "remote_ip": "127.0.0.1"}, "web1", False, id="the sender's own loopback"),
        pytest.param({"name": "self", "remote_ip": "::1"}, "log1", True, id="loopback of a receiver that sends"),
    ],
)
def test_whose_target(target, sender, expected):
    addresses = frozenset(["127.0.0.1", "::1", "192.0.2.10", "2001:db8::10"])
    assert belongs_to(target, sender=sender, receiver="log1", addresses=addresses) is expected


@pytest.mark.parametrize(
    ("target", "probe", "expected"),
    [
        pytest.param({}, {}, False, id="worth waiting for"),
        pytest.param({"enabled": False}, {}, True, id="disabled"),
        pytest.param({}, {"console_loglevel": 5}, True, id="level does not leave the host"),
        pytest.param({}, {"oops_only": True}, True, id="oops only"),
    ],
)
def test_hopeless(target, probe, expected):
    assert hopeless(Probe(**{**PROBE, **probe}), {**TARGET, **target}) is expected
