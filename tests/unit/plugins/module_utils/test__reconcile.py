# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Declaration in, kernel state out: plans, their steps, failures and repairs, against the model of each kernel."""

from __future__ import annotations

import errno
import random
from typing import Any

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._address import AddressError
from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import Configfs, ConfigfsError, ConsoleLoglevel
from ansible_collections.fleet.netconsole.plugins.module_utils._declaration import (
    Declaration,
    DeclarationError,
    DeclaredTarget,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._next_hop import NextHop
from ansible_collections.fleet.netconsole.plugins.module_utils._reconcile import (
    ENGINE_ERRORS,
    RESUME,
    Applied,
    CapabilityError,
    Network,
    Plan,
    apply,
    plan,
    siblings_may_stop,
)
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_kernel import (
    PROFILES,
    FakeKernel,
    Interface,
)

GATEWAY_MAC = "52:54:00:00:00:fe"


def next_hop(
    remote_ip: str, *, dev_name: str | None = None, local_ip: str | None = None, remote_mac: str | None = None
) -> NextHop:
    """A host whose default route leaves by eth0, whatever the destination."""
    dev_name = dev_name or "eth0"
    addresses = {"eth0": ("192.0.2.15", "2001:db8::15"), "eth1": ("198.51.100.15", "2001:db8:1::15")}.get(
        dev_name, ("192.0.2.99", "2001:db8::99")
    )
    mac = "ff:ff:ff:ff:ff:ff" if remote_mac == "broadcast" else remote_mac
    return NextHop(
        remote_ip=remote_ip,
        dev_name=dev_name,
        local_ip=local_ip or addresses[":" in remote_ip],
        remote_mac=mac or GATEWAY_MAC,
        gateway=None,
    )


NETWORK = Network(remote_ip=lambda text, family=None: text, next_hop=next_hop, device_warnings=lambda dev_name: [])


def planned(kernel: FakeKernel, *targets: DeclaredTarget, network: Network = NETWORK, **options: Any) -> Plan:
    declaration = Declaration(targets=targets, **options)
    return plan(declaration, configfs=Configfs(files=kernel), console=ConsoleLoglevel(files=kernel), network=network)


def run(kernel: FakeKernel, *targets: DeclaredTarget, **options: Any) -> tuple[Plan, Applied]:
    steps = planned(kernel, *targets, **options)
    return steps, apply(steps, configfs=Configfs(files=kernel), console=ConsoleLoglevel(files=kernel))


def shown(kernel: FakeKernel) -> object:
    """What the kernel shows and does: the measure of 'as it was'."""
    targets = {name: state.as_dict() for name, state in Configfs(files=kernel).targets().items()}
    return (
        targets,
        {name: kernel.sends(name) for name in kernel.target_table},
        tuple(kernel.printk),
        kernel.is_loaded,
        kernel.is_mounted,
    )


LOG1 = DeclaredTarget(name="log1", remote_ip="192.0.2.10")


@pytest.mark.parametrize("profile", PROFILES)
class TestEveryKernel:
    def test_first_run_makes_the_target_second_run_changes_nothing(self, profile: str) -> None:
        kernel = FakeKernel(profile)
        steps, applied = run(kernel, LOG1)
        assert steps.changed
        assert applied.diff(steps)["after"] == {
            "log1": {
                "dev_name": "eth0",
                "remote_ip": "192.0.2.10",
                "local_ip": "192.0.2.15",
                "remote_port": 6666,
                "local_port": 6665,
                "remote_mac": GATEWAY_MAC,
                "extended": True,
                "enabled": True,
            }
        }
        assert kernel.sends("log1")
        assert planned(kernel, LOG1).actions == ()

    def test_a_changed_port_bounces_the_target_once(self, profile: str) -> None:
        kernel = FakeKernel(profile)
        run(kernel, LOG1)
        steps, _applied = run(kernel, DeclaredTarget(name="log1", remote_ip="192.0.2.10", remote_port=6667))
        assert [str(action) for action in steps.actions] == [
            "log1: disable",
            "log1: set remote_port to 6667 (was 6666)",
            "log1: enable",
        ]
        assert kernel.target_table["log1"].remote_port == 6667
        assert kernel.sends("log1")

    def test_from_ipv4_to_ipv6_and_back(self, profile: str) -> None:
        kernel = FakeKernel(profile)
        for address, source in (
            ("192.0.2.10", "192.0.2.15"),
            ("2001:db8::10", "2001:db8::15"),
            ("192.0.2.10", "192.0.2.15"),
        ):
            declared = DeclaredTarget(name="log1", remote_ip=address)
            _steps, applied = run(kernel, declared)
            state = applied.after["log1"]
            assert state is not None
            assert (state.attributes["remote_ip"], state.attributes["local_ip"], state.enabled) == (
                address,
                source,
                True,
            )
            assert not planned(kernel, declared).changed

    def test_removing_leaves_nothing_and_is_done_once(self, profile: str) -> None:
        kernel = FakeKernel(profile)
        run(kernel, LOG1)
        absent = DeclaredTarget(name="log1", present=False)
        assert run(kernel, absent)[0].changed
        assert kernel.target_table == {}
        assert not planned(kernel, absent).changed

    def test_stopping_one_target_does_not_silence_its_siblings(self, profile: str) -> None:
        kernel = FakeKernel(profile)
        kernel.foreign("theirs", enabled=True, remote_ip="192.0.2.20")
        before = kernel.target_table["theirs"]
        run(kernel, LOG1)
        run(kernel, DeclaredTarget(name="log1", present=False))
        assert kernel.sends("theirs")
        run(kernel, LOG1)
        run(kernel, DeclaredTarget(name="log1", remote_ip="192.0.2.10", enabled=False))
        assert kernel.sends("theirs")
        assert kernel.target_table["theirs"] is before

    def test_a_target_that_moves_to_another_interface_leaves_its_siblings_sending(self, profile: str) -> None:
        kernel = FakeKernel(profile)
        kernel.foreign("theirs", enabled=True, remote_ip="192.0.2.20")
        run(kernel, LOG1)
        run(kernel, DeclaredTarget(name="log1", remote_ip="192.0.2.10", dev_name="eth1"))
        assert kernel.sends("theirs") and kernel.sends("log1")

    def test_a_fault_at_any_step_puts_everything_back_and_the_next_run_converges(self, profile: str) -> None:
        wanted = (
            DeclaredTarget(name="gone", present=False),
            DeclaredTarget(name="log1", remote_ip="192.0.2.10", remote_port=6667),
            DeclaredTarget(name="new", remote_ip="2001:db8::10"),
            DeclaredTarget(name="was6", remote_ip="192.0.2.12"),
        )

        def host() -> FakeKernel:
            kernel = FakeKernel(profile)
            run(
                kernel,
                DeclaredTarget(name="gone", remote_ip="192.0.2.9"),
                LOG1,
                DeclaredTarget(name="was6", remote_ip="2001:db8::12"),
            )
            kernel.foreign("theirs", enabled=True, remote_ip="192.0.2.20")
            kernel.calls.clear()
            return kernel

        steps = len(self._calls_of(host(), wanted))
        assert steps > 20
        for step in range(steps):
            kernel = host()
            was = shown(kernel)
            kernel.fail_at = step
            try:
                _plan, applied = run(kernel, *wanted, console_loglevel=5)
            except ConfigfsError:
                assert shown(kernel) == was, f"step {step}: {kernel.calls[step]}"
            else:
                self._assert_each_is_whole(kernel, wanted, was, applied, f"step {step}: {kernel.calls[step]}")
            run(kernel, *wanted, console_loglevel=5)
            assert not planned(kernel, *wanted, console_loglevel=5).changed

    @staticmethod
    def _assert_each_is_whole(
        kernel: FakeKernel, wanted: tuple[DeclaredTarget, ...], was: Any, applied: Applied, step: str
    ) -> None:
        """Each target is as it was if it failed, else as declared; a target of others is as it was and sends."""
        now: Any = shown(kernel)
        again = planned(kernel, *wanted, console_loglevel=5).actions
        still = {action.target for action in again if action.kind != RESUME}
        assert still == set(applied.failures), step
        for name in (*applied.failures, "theirs"):
            assert now[0].get(name) == was[0].get(name), step
            assert now[1].get(name) == was[1].get(name), step
        assert all(reason.endswith(".") for reason in applied.failures.values())
        assert kernel.printk[0] == 5

    @staticmethod
    def _calls_of(kernel: FakeKernel, wanted: tuple[DeclaredTarget, ...]) -> list[tuple[str, ...]]:
        run(kernel, *wanted, console_loglevel=5)
        return kernel.calls

    def test_random_declarations_hold_are_stable_and_were_predicted(self, profile: str) -> None:
        random_source = random.Random(f"fleet.netconsole {profile}")
        kernel = FakeKernel(profile)
        kernel.foreign("theirs", enabled=True, remote_ip="192.0.2.20")
        for _round in range(50):
            declared = random_declaration(random_source, kernel)
            steps = planned(kernel, *declared)
            applied = apply(steps, configfs=Configfs(files=kernel), console=ConsoleLoglevel(files=kernel))
            assert applied.diff(steps) == steps.diff()
            again = planned(kernel, *declared)
            assert again.actions == ()
            assert again.diff()["before"] == again.diff()["after"] == applied.diff(steps)["after"]
            for target in declared:
                assert (target.name in kernel.target_table) == target.present
                assert not target.present or kernel.sends(target.name) == target.enabled
            assert kernel.sends("theirs")


def random_declaration(source: random.Random, kernel: FakeKernel) -> tuple[DeclaredTarget, ...]:
    targets = []
    for name in source.sample(["log1", "log2", "log3", "log4"], k=source.randint(1, 4)):
        if source.random() < 0.25:
            targets.append(DeclaredTarget(name=name, present=False))
            continue
        extended = source.choice([None, True, False])
        keys = source.sample(["rack", "role", "zone", "owner"], k=source.randint(0, 4))
        profile = kernel.profile
        releases = [False] if extended is False else [None, False] + [True] * profile.release_attribute
        targets.append(
            DeclaredTarget(
                name=name,
                remote_ip=source.choice(["192.0.2.10", "192.0.2.11", "2001:db8::10", "2001:db8::11"]),
                remote_port=source.choice([514, 6666, 6667]),
                local_port=source.choice([6665, 1]),
                dev_name=source.choice([None, "eth0", "eth1"]),
                remote_mac=source.choice([None, "broadcast", "52:54:00:aa:bb:cc"]),
                enabled=source.random() < 0.8,
                extended=extended,
                release=source.choice(releases),
                userdata=source.choice([None, {key: source.choice(["a", "b c", ""]) for key in keys}])
                if profile.userdata_keys
                else None,
                switches={"msgid_enabled": source.random() < 0.5} if profile.switches else {},
            )
        )
    return tuple(targets)


class TestPreparation:
    def test_module_and_configfs_are_brought_in_where_needed(self) -> None:
        kernel = FakeKernel(loaded=False, mounted=False)
        steps, _applied = run(kernel, LOG1)
        assert [str(action) for action in steps.actions][:3] == [
            "mount configfs",
            "load module netconsole",
            "log1: create",
        ]
        assert kernel.sends("log1")

    def test_check_mode_touches_nothing_and_says_the_same_steps(self) -> None:
        kernel = FakeKernel(loaded=False, mounted=False)
        was = kernel.snapshot()
        foreseen = planned(kernel, LOG1)
        assert kernel.calls == [] and kernel.snapshot() == was
        steps, applied = run(kernel, LOG1)
        assert steps == foreseen
        assert applied.diff(steps) == foreseen.diff()

    def test_nothing_is_loaded_to_remove_what_cannot_be_there(self) -> None:
        kernel = FakeKernel(loaded=False)
        assert not run(kernel, DeclaredTarget(name="log1", present=False))[0].changed
        assert kernel.calls == []

    def test_a_kernel_without_the_module_is_refused_in_check_mode_too(self) -> None:
        kernel = FakeKernel(loaded=False, installed=False)
        with pytest.raises(ConfigfsError, match="cannot be loaded: install the package"):
            planned(kernel, LOG1)
        assert kernel.calls == []

    def test_a_kernel_without_dynamic_targets_is_refused(self) -> None:
        with pytest.raises(ConfigfsError, match="CONFIG_NETCONSOLE_DYNAMIC"):
            planned(FakeKernel(dynamic=False), LOG1)

    def test_the_module_is_unloaded_again_when_nothing_comes_of_it(self) -> None:
        kernel = FakeKernel(loaded=False, mounted=False)
        kernel.interfaces.clear()
        was = kernel.snapshot()
        steps, applied = run(kernel, LOG1)
        assert "no interface eth0" in applied.failures["log1"]
        assert kernel.snapshot() == was
        assert steps.changed and not applied.changed


class TestCapabilities:
    WANTS_USERDATA = DeclaredTarget(name="log1", remote_ip="192.0.2.10", userdata={"rack": "a12"})

    @pytest.mark.parametrize("existing", [False, True], ids=["first target of the host", "another target is there"])
    def test_what_the_kernel_lacks_is_an_error_and_nothing_stays(self, existing: bool) -> None:
        kernel = FakeKernel("6.1")
        if existing:
            kernel.foreign("theirs", enabled=True, remote_ip="192.0.2.20")
        was = shown(kernel)
        with pytest.raises(
            CapabilityError, match="has no userdata: leave it out for this host, or set missing_capability to warn"
        ):
            run(kernel, self.WANTS_USERDATA)
        assert shown(kernel) == was

    @pytest.mark.parametrize("existing", [False, True], ids=["first target of the host", "another target is there"])
    def test_or_a_warning_and_the_rest_is_done(self, existing: bool) -> None:
        kernel = FakeKernel("6.1")
        if existing:
            kernel.foreign("theirs", remote_ip="192.0.2.20")
        _steps, applied = run(kernel, self.WANTS_USERDATA, missing_capability="warn")
        assert applied.warnings == ("target log1: this kernel's netconsole has no userdata: went on without",)
        assert kernel.sends("log1")
        assert not planned(kernel, self.WANTS_USERDATA, missing_capability="warn").changed

    def test_switching_off_what_a_kernel_lacks_is_no_wish(self) -> None:
        kernel = FakeKernel("5.10")
        declared = DeclaredTarget(
            name="log1", remote_ip="192.0.2.10", release=False, userdata={}, switches={"msgid_enabled": False}
        )
        run(kernel, declared)
        assert kernel.sends("log1")
        assert not planned(kernel, declared).changed

    def test_what_this_kernel_offers_is_returned(self) -> None:
        _steps, applied = run(FakeKernel("6.17"), LOG1)
        assert set(applied.capabilities or ()) == {
            "extended",
            "release",
            "userdata",
            "transmit_errors",
            "cpu_nr_enabled",
            "taskname_enabled",
            "release_enabled",
            "msgid_enabled",
        }


class TestWithoutAGap:
    def test_user_data_and_switches_are_changed_while_the_target_sends(self) -> None:
        kernel = FakeKernel("6.17")
        run(kernel, DeclaredTarget(name="log1", remote_ip="192.0.2.10", userdata={"rack": "a12", "role": "web"}))
        steps, _applied = run(
            kernel,
            DeclaredTarget(
                name="log1",
                remote_ip="192.0.2.10",
                userdata={"rack": "b7", "zone": "x"},
                switches={"msgid_enabled": True},
            ),
        )
        assert [str(action) for action in steps.actions] == [
            "log1: remove userdata role",
            "log1: set msgid_enabled to 1 (was 0)",
            "log1: set userdata rack to b7 (was a12)",
            "log1: set userdata zone to x",
        ]
        assert kernel.target_table["log1"].userdata == {"rack": "b7", "zone": "x"}

    def test_what_is_not_declared_stays(self) -> None:
        kernel = FakeKernel("6.17")
        run(
            kernel,
            DeclaredTarget(
                name="log1",
                remote_ip="192.0.2.10",
                release=True,
                userdata={"rack": "a12"},
                switches={"msgid_enabled": True},
            ),
        )
        assert not planned(kernel, LOG1).changed

    def test_what_is_not_declared_survives_a_change_of_family(self) -> None:
        kernel = FakeKernel("6.17")
        run(
            kernel,
            DeclaredTarget(
                name="log1",
                remote_ip="2001:db8::10",
                release=True,
                userdata={"rack": "a12"},
                switches={"msgid_enabled": True},
            ),
        )
        run(kernel, LOG1)
        target = kernel.target_table["log1"]
        assert (target.release, target.userdata, target.switches["msgid_enabled"]) == (True, {"rack": "a12"}, True)


def test_the_console_log_level_is_part_of_the_plan() -> None:
    kernel = FakeKernel()
    steps, _applied = run(kernel, LOG1, console_loglevel=5)
    assert str(steps.actions[0]) == "set console_loglevel from 7 to 5"
    assert kernel.printk == [5, 4, 1, 7]
    assert not planned(kernel, LOG1, console_loglevel=5).changed


def test_broadcast_comes_with_a_warning() -> None:
    steps = planned(FakeKernel(), DeclaredTarget(name="log1", remote_ip="192.0.2.10", remote_mac="broadcast"))
    assert "every host on the segment of eth0 can read" in steps.warnings[0]


def test_a_refused_device_stops_everything_before_the_kernel_is_touched() -> None:
    def refuse(dev_name: str) -> list[str]:
        raise ConfigfsError(f"{dev_name} is a port of bond0: use bond0")

    kernel = FakeKernel(loaded=False)
    with pytest.raises(ConfigfsError, match="use bond0"):
        planned(kernel, LOG1, network=Network(remote_ip=NETWORK.remote_ip, next_hop=next_hop, device_warnings=refuse))
    assert kernel.calls == []


def test_a_port_that_the_kernel_refuses_leaves_no_half_target() -> None:
    kernel = FakeKernel()
    kernel.interfaces["eth0"] = Interface(("192.0.2.15",), master="bond0")
    kernel.foreign("theirs", remote_ip="192.0.2.20")
    was = shown(kernel)
    _plan, applied = run(kernel, LOG1, DeclaredTarget(name="log2", remote_ip="192.0.2.11", dev_name="eth1"))
    assert "port of a bond, bridge, team or VRF" in applied.failures["log1"]
    assert list(applied.failures) == ["log1"]
    assert kernel.sends("log2")
    run(kernel, DeclaredTarget(name="log2", present=False))
    assert shown(kernel) == was


def test_a_file_that_cannot_be_read_in_the_middle_puts_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = FakeKernel()
    run(kernel, LOG1)
    was = shown(kernel)
    read = kernel.read

    def read_until_disabled(path: str) -> str:
        if path.endswith("log1/remote_mac") and not kernel.target_table["log1"].enabled:
            monkeypatch.setattr(kernel, "read", read)
            raise OSError(errno.EIO, "Input/output error", path)
        return read(path)

    monkeypatch.setattr(kernel, "read", read_until_disabled)
    _plan, applied = run(kernel, DeclaredTarget(name="log1", remote_ip="192.0.2.10", remote_port=6667))
    assert "Input/output error" in applied.failures["log1"]
    assert shown(kernel) == was


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"name": "x" * 256}, "1 to 255 bytes", id="over-long target name"),
        pytest.param({"remote_ip": None}, "remote_ip is missing", id="no receiver"),
        pytest.param(
            {"remote_port": 70000}, "remote_port is 70000: a UDP port is a number from 1 to 65535", id="port of 70000"
        ),
        pytest.param({"local_port": 0}, "local_port is 0", id="port 0"),
        pytest.param({"dev_name": "a" * 16}, "no interface name", id="over-long interface name"),
        pytest.param({"local_ip": "192.0.2.300"}, "no IPv4 address", id="address that old kernels misread"),
        pytest.param({"remote_mac": "52:54:00:00:00:0g"}, "no MAC address", id="MAC with a typo"),
        pytest.param({"remote_mac": "00:00:00:00:00:00"}, "of no device", id="null MAC"),
        pytest.param({"remote_mac": "01:00:5e:00:00:01"}, "multicast", id="multicast MAC"),
        pytest.param(
            {"release": True, "extended": False}, "release needs the extended format", id="release without extended"
        ),
        pytest.param({"userdata": {"a=b": "c"}}, "no '='", id="user data that would break the format"),
    ],
)
def test_wrong_declarations(options: dict[str, object], words: str) -> None:
    with pytest.raises(ENGINE_ERRORS, match=words):
        DeclaredTarget(**{"name": "log1", "remote_ip": "192.0.2.10", **options})  # type: ignore[arg-type]


def test_two_targets_of_one_name() -> None:
    with pytest.raises(DeclarationError, match="log1 is declared 2 times"):
        Declaration(targets=(LOG1, LOG1))


@pytest.mark.parametrize("level", [0, 9, -1])
def test_console_log_levels_that_make_no_sense(level: int) -> None:
    with pytest.raises(DeclarationError, match="from 1"):
        Declaration(targets=(), console_loglevel=level)


def test_errors_of_addresses_are_errors_of_the_engine() -> None:
    assert AddressError in ENGINE_ERRORS


@pytest.mark.parametrize(
    ("release", "may"),
    [
        ("5.10.0-33-amd64", True),
        ("6.1.0-30-amd64", True),
        ("6.17.0-41-generic", True),
        ("6.18.1", False),
        ("7.0.0-44-generic", False),
        ("7.3-rc7", False),
    ],
)
def test_kernels_on_which_siblings_may_stop(release: str, may: bool) -> None:
    assert siblings_may_stop(release) is may
