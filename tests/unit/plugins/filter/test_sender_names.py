# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Senders of the inventory in, names by address out."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.fleet.netconsole.plugins.filter import sender_names as plugin
from ansible_collections.fleet.netconsole.plugins.filter.sender_names import canonical_address, sender_names

Resolver = Callable[[dict[str, list[str]]], None]


@pytest.fixture
def names_resolve(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """A strict resolver: a name that the test does not list fails the test, an empty list is a name that DNS lacks."""

    def install(known: dict[str, list[str]]) -> None:
        def getaddrinfo(name: str, port: None, **kind: int) -> list[tuple[Any, ...]]:
            if not known[name]:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return [(0, kind["type"], 0, "", (address, 0)) for address in known[name]]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    install({})
    return install


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    monkeypatch.setattr(plugin.display, "warning", seen.append)
    return seen


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        pytest.param("192.0.2.11", "192.0.2.11", id="IPv4"),
        pytest.param("2001:DB8:0:0::0:11", "2001:db8::11", id="IPv6 compressed, lower case"),
        pytest.param("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", id="one zero group is not compressed"),
        pytest.param("::ffff:192.0.2.11", "192.0.2.11", id="IPv4 in IPv6"),
        pytest.param("fe80::1%eth1", "fe80::1", id="link-local with a zone"),
        pytest.param("192.0.2", None, id="three numbers"),
        pytest.param("192.0.2.011", None, id="octal or decimal, nobody knows"),
        pytest.param("192.0.2.11/24", None, id="with a prefix length"),
        pytest.param("192.0.2.11%eth1", None, id="IPv4 has no zone"),
        pytest.param("fe80::1%", None, id="empty zone"),
        pytest.param("3221225995", None, id="a number"),
        pytest.param("web1", None, id="a name"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_how_an_address_is_spelt(text: str, canonical: str | None) -> None:
    assert canonical_address(text) == canonical


@pytest.mark.parametrize(
    ("variables", "resolves", "expected"),
    [
        pytest.param(
            {"netconsole_sender_addresses": ["2001:DB8::0:11", "192.0.2.11"], "ansible_host": "203.0.113.1"},
            {},
            {"192.0.2.11": "web1", "2001:db8::11": "web1"},
            id="its own addresses go before ansible_host",
        ),
        pytest.param({"netconsole_sender_addresses": []}, {}, {}, id="none on purpose: nothing is resolved"),
        pytest.param({"ansible_host": "192.0.2.11"}, {}, {"192.0.2.11": "web1"}, id="ansible_host is an address"),
        pytest.param(
            {"ansible_host": "web1.example"},
            {"web1.example": ["192.0.2.11", "2001:db8::11", "192.0.2.11"]},
            {"192.0.2.11": "web1", "2001:db8::11": "web1"},
            id="ansible_host resolves to several",
        ),
        pytest.param({}, {"web1": ["192.0.2.11"]}, {"192.0.2.11": "web1"}, id="the inventory name resolves"),
    ],
)
def test_where_the_addresses_come_from(
    names_resolve: Resolver,
    warnings: list[str],
    variables: dict[str, Any],
    resolves: dict[str, list[str]],
    expected: dict[str, str],
) -> None:
    names_resolve(resolves)
    assert sender_names(["web1"], {"web1": variables}) == expected
    assert warnings == []


def test_names_that_do_not_resolve_are_one_warning(names_resolve: Resolver, warnings: list[str]) -> None:
    names_resolve({"web1": [], "web2": ["192.0.2.12"], "gone.example": []})
    hostvars: dict[str, dict[str, Any]] = {"web1": {}, "web2": {}, "web3": {"ansible_host": "gone.example"}}
    assert sender_names(list(hostvars), hostvars) == {"192.0.2.12": "web2"}
    (warning,) = warnings
    assert "2 sender(s)" in warning
    assert "web1, web3" in warning


def test_sorted_by_address_whatever_the_order() -> None:
    hostvars = {name: {"ansible_host": address} for name, address in (("b", "192.0.2.2"), ("a", "192.0.2.1"))}
    assert list(sender_names(["b", "a"], hostvars)) == ["192.0.2.1", "192.0.2.2"]


@pytest.mark.parametrize(
    ("senders", "hostvars", "words"),
    [
        pytest.param(
            ["web1", "web2"],
            {
                "web1": {"netconsole_sender_addresses": ["2001:db8::1"]},
                "web2": {"netconsole_sender_addresses": ["2001:DB8:0::1"]},
            },
            "web1 and web2 both have the address 2001:db8::1",
            id="one address, two hosts, two spellings",
        ),
        pytest.param(
            ["web1", "web2"],
            {
                "web1": {"netconsole_sender_addresses": ["fe80::1%eth1"]},
                "web2": {"netconsole_sender_addresses": ["fe80::1%eth2"]},
            },
            "web1 and web2 both have the address fe80::1: .*the zone of a link-local one does not count",
            id="one address, two zones",
        ),
        pytest.param(["web9"], {}, "web9 is not in the inventory", id="unknown sender"),
        pytest.param(
            ["web1"],
            {"web1": {"netconsole_sender_addresses": "192.0.2.1"}},
            "netconsole_sender_addresses of web1 .* has to be a list",
            id="no list",
        ),
        pytest.param(
            ["web1"],
            {"web1": {"netconsole_sender_addresses": ["192.0.2.1/24"]}},
            "netconsole_sender_addresses of web1 holds '192.0.2.1/24'",
            id="no address",
        ),
        pytest.param(["../etc/x"], {"../etc/x": {}}, "cannot name a file", id="leaves the store"),
        pytest.param(["a/b"], {"a/b": {}}, "cannot name a file", id="a directory"),
        pytest.param([".hidden"], {".hidden": {}}, "cannot name a file", id="a hidden file"),
        pytest.param(["a\nb"], {"a\nb": {}}, "cannot name a file", id="a line break"),
        pytest.param(["a" * 241], {"a" * 241: {}}, "cannot name a file", id="too long"),
    ],
)
def test_what_is_refused(senders: list[str], hostvars: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        sender_names(senders, hostvars)


def test_without_netaddr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "NETADDR_MISSING", True)
    with pytest.raises(AnsibleFilterError, match="needs the Python package netaddr"):
        sender_names([], {})


def test_ten_thousand_senders_take_seconds(names_resolve: Resolver) -> None:
    hostvars = {
        f"web{number}": {
            "netconsole_sender_addresses": [f"10.0.{number // 250}.{number % 250}", f"2001:db8::{number:x}"]
        }
        for number in range(10_000)
    }
    started = time.process_time()
    assert len(sender_names(list(hostvars), hostvars)) == 20_000
    assert time.process_time() - started < 10
