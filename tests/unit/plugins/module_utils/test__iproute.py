# Unit tests of _iproute: commands, what iproute2 prints, and the netlink message that asks for a neighbour.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils import _iproute
from ansible_collections.fleet.netconsole.plugins.module_utils._command import CompletedCommand
from ansible_collections.fleet.netconsole.plugins.module_utils._iproute import (
    IpCommandError,
    IprouteError,
    Remembering,
    System,
    device_names,
    ip_json,
    provoke_neighbour,
    run_ip,
)
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_host import make_sysfs


def test_a_missing_ip_is_named_with_its_package() -> None:
    with pytest.raises(IprouteError, match="was not found on this host: install the package iproute2"):
        run_ip(["no-such-program-anywhere"])


@pytest.mark.parametrize(
    ("output", "objects"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("\n", [], id="newline"),
        pytest.param("[ ]\n", [], id="empty list"),
        pytest.param("[{},{}]", [], id="empty objects of a filter, as iproute2 5.10 and 6.1 print them"),
        pytest.param('[{},{"dst":"192.0.2.10"},null]', [{"dst": "192.0.2.10"}], id="between empty objects"),
    ],
)
def test_ip_json(output: str, objects: list[dict[str, str]]) -> None:
    asked: list[list[str]] = []

    def run(command: Sequence[str]) -> CompletedCommand:
        asked.append(list(command))
        return CompletedCommand(0, output, "")

    assert ip_json(System(run=run), "-4", "neigh", "show") == objects
    assert asked == [["ip", "-json", "-4", "neigh", "show"]]


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("RTNETLINK answers: Network is unreachable\n", "Network is unreachable"),
        ("Error: Nexthop has invalid gateway.\n", "Nexthop has invalid gateway."),
        ('Cannot find device "eth9"\n', 'Cannot find device "eth9"'),
        ("\nfirst\nsecond\n", "first"),
        ("", "exit status 2"),
    ],
)
def test_the_reason_of_a_failing_ip(stderr: str, reason: str) -> None:
    system = System(run=lambda command: CompletedCommand(2, "", stderr))
    with pytest.raises(IpCommandError) as caught:
        ip_json(system, "route")
    assert caught.value.reason == reason
    assert str(caught.value) == f"'ip -json route' failed: {reason}"


def test_device_names_are_sorted_devices_without_lo(tmp_path: Path) -> None:
    assert device_names(System(sysfs=str(make_sysfs(tmp_path, ["lo", "eth1", "eth0"])))) == ["eth0", "eth1"]


def test_a_host_without_sysfs(tmp_path: Path) -> None:
    with pytest.raises(IprouteError, match=r"^the network devices of this host could not be listed: "):
        device_names(System(sysfs=str(tmp_path)))


# The messages that the kernels 5.10, 6.1, 6.12 and 7.2 took, from a machine with little-endian numbers.
@pytest.mark.parametrize(
    ("family", "address", "message"),
    [
        pytest.param(
            socket.AF_INET,
            "192.0.2.10",
            "24000000 1c00 0504 01000000 00000000 02 00 0000 03000000 0000 01 00 0800 0100 c000020a",
            id="ipv4",
        ),
        pytest.param(
            socket.AF_INET6,
            "2001:db8:0:1::10",
            "30000000 1c00 0504 01000000 00000000 0a 00 0000 03000000 0000 01 00 "
            "1400 0100 20010db8000000010000000000000010",
            id="ipv6",
        ),
    ],
)
def test_the_message_that_asks_for_a_neighbour(family: int, address: str, message: str) -> None:
    destination = socket.inet_pton(family, address)
    built = _iproute._use_neighbour_message(family=family, index=3, destination=destination)
    assert built == bytes.fromhex(message)


@pytest.mark.parametrize("number", [0, errno.EPERM, errno.ENODEV])
def test_the_acknowledgement_of_the_kernel(number: int) -> None:
    reply = struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -number) + bytes(16)
    assert _iproute._acknowledged_errno(reply) == number


def test_another_answer_of_the_kernel_is_an_error() -> None:
    with pytest.raises(OSError, match="message type 28 instead of an acknowledgement"):
        _iproute._acknowledged_errno(struct.pack("=IHHII", 16, 28, 0, 1, 0))


@pytest.mark.parametrize("address", ["192.0.2.10", "2001:db8::10"])
def test_a_missing_device_cannot_be_asked_on(address: str) -> None:
    with pytest.raises(IprouteError, match=f"could not be asked to look for {address} on no-such-dev: "):
        provoke_neighbour(address, "no-such-dev")


@pytest.mark.parametrize(
    ("question", "answer", "times"),
    [
        pytest.param("link show dev eth0", "[{}]", 1, id="link"),
        pytest.param("-4 addr show", "[]", 1, id="addresses"),
        pytest.param("route get 192.0.2.10", "[{}]", 1, id="route"),
        pytest.param("neigh show to 192.0.2.10", '[{"lladdr":"52:54:00:00:00:02"}]', 1, id="neighbour"),
        pytest.param("neigh show to 192.0.2.10", '[{"state":["INCOMPLETE"]}]', 3, id="neighbour that is waited for"),
    ],
)
def test_what_was_answered_is_not_asked_again(question: str, answer: str, times: int) -> None:
    asked: list[str] = []

    def run(command: Sequence[str]) -> CompletedCommand:
        asked.append(" ".join(command[1:]))
        return CompletedCommand(0, answer, "")

    memory = Remembering(System(run=run))
    for _time in range(3):
        assert memory.system.run(["ip", *question.split()]).stdout == answer
    assert asked == [question] * times
    memory.forget()
    memory.system.run(["ip", *question.split()])
    assert asked == [question] * (times + 1)
