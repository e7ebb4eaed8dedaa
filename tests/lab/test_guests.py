# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a guest is started and reached, as far as no guest is needed for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab import inventory
from lab.cli import main
from lab.demo import GROUPS
from lab.guests import DEMO_GUESTS, GATEWAY, GUESTS, ROUTER, Link, Machine
from lab.machine import command, kernel_command_line, kvm_works
from lab.process import LabError
from lab.state import Record, State, state_folder


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path, "0123abcd", {})


def test_no_two_guests_share_an_address_or_a_mac() -> None:
    machines = [guest for guest in GUESTS.values() if isinstance(guest, Machine)]
    addresses = [address for machine in machines for link in machine.links for address in link.addresses]
    macs = [machine.mac(number) for machine in machines for number in range(len(machine.links) + 1)]
    assert len(set(addresses)) == len(addresses)
    assert len(set(macs)) == len(macs)


def test_the_demo_asks_its_own_guests_and_no_others() -> None:
    groups = yaml.safe_load((GROUPS / "groups.yml").read_text(encoding="utf-8"))
    assert sorted(name for group in groups.values() for name in group["hosts"]) == sorted(DEMO_GUESTS)


def test_kernel_command_line_carries_addresses_and_gateways() -> None:
    links = (Link("a", ("192.0.2.5/24", "2001:db8::5/64")), Link("b", ("198.51.100.5/24",), via=("198.51.100.1",)))
    words = kernel_command_line(Machine("x", "trixie", links=links)).split()
    assert "lab.eth1=192.0.2.5/24,2001:db8::5/64" in words
    assert "lab.eth2=198.51.100.5/24,via:198.51.100.1" in words
    assert "systemd.hostname=x" in words


def test_kernel_command_line_ends_with_the_words_of_the_guest_and_of_this_boot() -> None:
    assert kernel_command_line(Machine("x", "trixie", words=("a=1",)), ["b=2"]).endswith(" a=1 b=2")


def test_interface_without_addresses_is_named_too() -> None:
    assert "lab.eth1=" in kernel_command_line(Machine("x", "trixie", links=(Link("a", ()),))).split()


MACHINES = [guest for guest in GUESTS.values() if isinstance(guest, Machine)]


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_gateway_is_the_router_on_the_same_segment(machine: Machine) -> None:
    owners = {"segment1": ROUTER, "segment2": GATEWAY}
    assert all(set(link.via) <= set(owners[link.segment]) for link in machine.links)


def test_interfaces_have_names_by_which_the_monitor_takes_them(state: State) -> None:
    words = command(Machine("x", "trixie", links=(Link("a", ()),)), state, Path("/i"), 2222, kvm=False)
    nics = [word for word in words if word.startswith("virtio-net-pci")]
    assert [nic.split(",")[1] for nic in nics] == ["id=nic-eth0", "id=nic-eth1"]
    assert f"unix:{state.folder}/x/qmp,server=on,wait=off" in words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["unplug", "edge612", "eth0"], "eth0 is not eth1, eth2", id="the lab's own interface"),
        pytest.param(["unplug", "edge612", "ens3"], "ens3 is not eth1, eth2", id="no such name"),
        pytest.param(["reset", "edge9"], "there is no guest edge9", id="no such guest"),
        pytest.param(["reset", "edge612"], "edge612 does not run: lab up edge612", id="a guest that is not up"),
        pytest.param(["reboot", "box1"], "box1 is a container", id="a container"),
    ],
)
def test_command_that_cannot_be(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.setattr("lab.cli.raise_on_signals", lambda: None)
    try:
        status: object = main(["--state", str(tmp_path), *words])
    except SystemExit as ended:
        status = ended.code
    assert status in (1, 2)
    assert message in capsys.readouterr().err


def test_machines_of_a_segment_meet_and_segments_do_not(state: State) -> None:
    words = command(
        Machine("x", "trixie", links=(Link("a", ()), Link("b", ()), Link("a", ()))), state, Path("/i"), 2222, kvm=False
    )
    paths = [word.split("addr.path=")[1] for word in words if "addr.path=" in word]
    assert len(paths) == 3
    assert paths[0] == paths[2] != paths[1]


def test_two_labs_do_not_meet(tmp_path: Path) -> None:
    first, second = State.load(tmp_path / "1"), State.load(tmp_path / "2")
    assert first.marker("web1") != second.marker("web1")
    assert first.segment("a") != second.segment("a")


def test_state_is_read_as_it_was_written(state: State) -> None:
    state.guests["web1"] = Record("machine", "trixie", "marker", port=2222)
    state.save()
    assert State.load(state.folder) == state


def test_state_folder_that_is_too_long_for_sockets() -> None:
    with pytest.raises(LabError, match="FLEET_NETCONSOLE_LAB"):
        state_folder("/" + "x" * 90)


@pytest.mark.parametrize(
    ("flags", "device", "works"),
    [
        pytest.param("fpu vmx sse", True, True, id="Intel"),
        pytest.param("fpu svm sse", True, True, id="AMD"),
        pytest.param("fpu sse", True, False, id="a device that would hang the guest"),
        pytest.param("fpu vmx sse", False, False, id="no device"),
    ],
)
def test_kvm_only_where_it_works(tmp_path: Path, flags: str, device: bool, works: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags\t: {flags}\n", encoding="utf-8")
    if device:
        (tmp_path / "kvm").touch()
    assert kvm_works(tmp_path / "cpuinfo", tmp_path / "kvm") is works


def test_inventory_is_what_ansible_reads(state: State) -> None:
    state.guests = {
        "web1": Record("machine", "bookworm", "m-web1", port=2222),
        "box1": Record("container", "trixie", "m-box1"),
        "edge612": Record("machine", "trixie", "m-edge612", port=2223),
    }
    wanted = inventory.inventory(state)
    assert yaml.safe_load(inventory.yaml(wanted)) == wanted
    machines = wanted["all"]["children"]["lab_machines"]["hosts"]
    assert machines["web1"]["ansible_port"] == 2222
    assert machines["web1"]["netconsole_sender_addresses"] == ["192.0.2.11", "2001:db8:0:1::11"]
    assert "box1" in wanted["all"]["children"]["lab_containers"]["hosts"]
    assert wanted["all"]["children"]["lab_edges"]["hosts"] == {"edge612": {}}
