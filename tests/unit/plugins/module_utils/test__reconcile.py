# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Declaration in, kernel state out: plans, their steps, failures and repairs, against the model of each kernel."""

from __future__ import annotations

import errno
import random
import re
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._address import AddressError
from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import (
    ROOT,
    Configfs,
    ConfigfsError,
    ConsoleLoglevel,
    Files,
    ResumeMark,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._declaration import (
    Declaration,
    DeclarationError,
    DeclaredTarget,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._desired import Network
from ansible_collections.fleet.netconsole.plugins.module_utils._device import DeviceDownError, DeviceError
from ansible_collections.fleet.netconsole.plugins.module_utils._next_hop import NextHop, NextHopError
from ansible_collections.fleet.netconsole.plugins.module_utils._panic import PanicCaptureError
from ansible_collections.fleet.netconsole.plugins.module_utils._preflight import PreflightError
from ansible_collections.fleet.netconsole.plugins.module_utils._reconcile import (
    ENGINE_ERRORS,
    RESUME,
    Applied,
    CapabilityError,
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
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.random_declarations import Interrupted

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


def down_but_for(up: str) -> Any:
    """The same host while all other interfaces are down."""

    def hop(remote_ip: str, **given: Any) -> NextHop:
        found = next_hop(remote_ip, **given)
        if found.dev_name != up:
            raise DeviceDownError(found.dev_name)
        return found

    return hop


def never(dev_name: str) -> None:
    raise AssertionError(f"{dev_name} was touched")


NETWORK = Network(
    remote_ip=lambda text, family=None: text,
    next_hop=next_hop,
    device_warnings=lambda dev_name: [],
    equal_next_hops=lambda hop: [],
    bring_up=never,
    take_down=never,
)


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

    @pytest.mark.parametrize("sibling_is_declared", [False, True])
    def test_an_interface_that_is_down_stays_down_and_its_sibling_is_helped_once_it_is_up(
        self, profile: str, sibling_is_declared: bool
    ) -> None:
        kernel = FakeKernel(profile)
        network = replace(NETWORK, is_up=lambda dev_name: kernel.interfaces[dev_name].up)
        kernel.foreign("theirs", enabled=True, remote_ip="192.0.2.20")
        sibling = DeclaredTarget(name="log2", remote_ip="192.0.2.30")
        declared = [sibling] if sibling_is_declared else []
        run(kernel, LOG1, *declared, network=network)
        kernel.interfaces["eth0"].up = False
        down = replace(network, next_hop=down_but_for("eth1"))
        moved = DeclaredTarget(name="log1", remote_ip="192.0.2.10", dev_name="eth1")
        run(kernel, moved, *declared, network=down)
        assert not kernel.interfaces["eth0"].up
        assert kernel.sends("log1")
        assert not planned(kernel, moved, *declared, network=down).changed
        kernel.interfaces["eth0"].up = True
        run(kernel, moved, *declared, network=network)
        assert all(kernel.sends(name) for name in kernel.target_table)
        assert not planned(kernel, moved, *declared, network=network).changed

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


class Killed(BaseException):
    """No handler of the engine's own catches it: what happens to a process that is killed."""


def killed() -> None:
    raise Killed


@pytest.mark.parametrize("profile", ["5.10", "6.12"])
@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(DeclaredTarget(name="log1", present=False), id="removed"),
        pytest.param(DeclaredTarget(name="log1", remote_ip="192.0.2.10", enabled=False), id="switched off"),
        pytest.param(DeclaredTarget(name="log1", remote_ip="192.0.2.10", dev_name="eth1"), id="to another interface"),
        pytest.param(DeclaredTarget(name="log1", remote_ip="192.0.2.10", remote_port=6667), id="changed"),
    ],
)
@pytest.mark.parametrize("siblings", [("theirs",), ("theirs", "others")], ids=["one sibling", "two siblings"])
def test_a_run_that_is_killed_anywhere_leaves_no_sibling_silent_after_the_next(
    profile: str, wanted: DeclaredTarget, siblings: tuple[str, ...]
) -> None:
    """Where stopping a target silences its siblings, the kernel still shows them as enabled: the mark tells."""

    def host() -> FakeKernel:
        kernel = FakeKernel(profile)
        run(kernel, LOG1)
        for number, name in enumerate(siblings):
            kernel.foreign(name, enabled=True, remote_ip=f"192.0.2.{20 + number}", local_ip="192.0.2.15")
        return kernel

    def reconcile(files: Files) -> None:
        configfs, console = Configfs(files=files), ConsoleLoglevel(files=files)
        declaration = Declaration(targets=(wanted,))
        steps = plan(declaration, configfs=configfs, console=console, network=NETWORK)
        assert not apply(steps, configfs=configfs, console=console).failures

    counted = Interrupted(host(), at=-2, happens=killed)
    reconcile(counted)
    assert counted.count >= 3
    for step in range(counted.count):
        kernel = host()
        before = {name: dict(vars(kernel.target_table[name])) for name in siblings}
        files = Interrupted(kernel, at=step, happens=killed)
        with pytest.raises(Killed):
            reconcile(files)
        reconcile(kernel)
        assert all(kernel.sends(name) for name in siblings), f"killed before {files.last}"
        assert {name: vars(kernel.target_table[name]) for name in siblings} == before
        assert set(kernel.target_table) == {*siblings, *(["log1"] if wanted.present else [])}
        assert planned(kernel, wanted).actions == ()


def test_a_mark_of_a_sibling_that_is_gone_is_taken_away() -> None:
    kernel = FakeKernel("5.10")
    run(kernel, LOG1)
    kernel.make_directory(f"{ROOT}/{ResumeMark('eth0', 'gone').name}")
    steps, applied = run(kernel, LOG1)
    assert [action.kind for action in steps.actions] == [RESUME]  # whoever is left there may be silent
    assert list(applied.failures) == [] and set(kernel.target_table) == {"log1"}
    run(kernel, DeclaredTarget(name="log1", present=False))
    kernel.make_directory(f"{ROOT}/{ResumeMark('eth0', 'gone').name}")
    run(kernel, DeclaredTarget(name="log1", present=False))
    assert kernel.target_table == {}


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

    def test_a_container_is_refused_unless_it_only_loses_targets(self) -> None:
        kernel = FakeKernel(loaded=False, mounted=False)
        kernel.texts["/.dockerenv"] = ""
        with pytest.raises(PreflightError, match="this is a container"):
            planned(kernel, LOG1)
        assert not run(kernel, DeclaredTarget(name="log1", present=False))[0].changed
        assert kernel.calls == []

    def test_a_network_namespace_of_its_own_is_refused(self) -> None:
        kernel = FakeKernel()
        kernel.links["/proc/self/ns/net"] = "net:[4026532200]"
        with pytest.raises(PreflightError, match="another network namespace"):
            planned(kernel, DeclaredTarget(name="log1", present=False))

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


LONG_SOURCE = "2001:db8:1:2:3:4:5:15"


def test_a_kernel_that_takes_no_long_source_address_chooses_it_itself() -> None:
    kernel = FakeKernel("6.8")
    kernel.interfaces["eth0"] = Interface(("192.0.2.15", LONG_SOURCE))
    network = replace(
        NETWORK, next_hop=lambda remote_ip, **given: next_hop(remote_ip, **{**given, "local_ip": LONG_SOURCE})
    )
    wanted = DeclaredTarget(name="log1", remote_ip="2001:db8:1:2:3:4:5:10")
    kernel.foreign("log1", remote_ip="2001:db8::20", local_ip="2001:db8::99")  # an old source, too
    run(kernel, wanted, network=network)
    assert Configfs(files=kernel).targets()["log1"].attributes["local_ip"] == LONG_SOURCE
    assert kernel.sends("log1")
    assert not planned(kernel, wanted, network=network).changed


def test_or_chooses_another_which_is_a_failure() -> None:
    kernel = FakeKernel("6.8")
    network = replace(
        NETWORK, next_hop=lambda remote_ip, **given: next_hop(remote_ip, **{**given, "local_ip": LONG_SOURCE})
    )
    _steps, applied = run(kernel, DeclaredTarget(name="log1", remote_ip="2001:db8::10"), network=network)
    assert applied.failures == {
        "log1": "target log1: this kernel takes no local_ip of more than 15 characters, and chose 2001:db8::15 instead "
        f"of {LONG_SOURCE} itself: give the target as a boot parameter (early), which can name it, or use a kernel "
        "without this fault."
    }
    assert kernel.target_table == {}


def test_the_console_log_level_is_part_of_the_plan() -> None:
    kernel = FakeKernel()
    steps, _applied = run(kernel, LOG1, console_loglevel=5)
    assert str(steps.actions[0]) == "set console_loglevel from 7 to 5"
    assert kernel.printk == [5, 4, 1, 7]
    assert not planned(kernel, LOG1, console_loglevel=5).changed


def test_broadcast_comes_with_a_warning() -> None:
    steps = planned(FakeKernel(), DeclaredTarget(name="log1", remote_ip="192.0.2.10", remote_mac="broadcast"))
    assert "every host on the segment of eth0 can read" in steps.warnings[0]


def test_a_refused_device_is_a_failure_before_the_kernel_is_touched() -> None:
    def refuse(dev_name: str) -> list[str]:
        raise DeviceError(f"{dev_name} is a port of bond0: use bond0")

    kernel = FakeKernel(loaded=False)
    steps = planned(kernel, LOG1, network=replace(NETWORK, device_warnings=refuse))
    assert steps.failures == {"log1": "eth0 is a port of bond0: use bond0."}
    assert (steps.actions, kernel.calls) == ((), [])


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


# -- what one run does with several targets, and with those of others
# -------------------------------------------------------------------


UNREACHABLE = "192.0.2.66"


def failing_network() -> Network:
    """A network in which one receiver cannot be reached now."""

    def hop(remote_ip: str, **given: Any) -> NextHop:
        if remote_ip == UNREACHABLE:
            raise NextHopError(f"the receiver {remote_ip} does not answer ARP on eth0: check that it is up")
        return next_hop(remote_ip, **given)

    return replace(NETWORK, next_hop=hop)


class TestOneFails:
    DEAD = DeclaredTarget(name="dead", remote_ip=UNREACHABLE)

    @pytest.mark.parametrize("profile", PROFILES)
    def test_the_others_are_done_and_it_stays_exactly_as_it_is(self, profile: str) -> None:
        kernel = FakeKernel(profile)
        kernel.foreign("dead", enabled=True, remote_ip="192.0.2.99", remote_port=1)
        was = Configfs(files=kernel).target("dead")
        steps, applied = run(kernel, self.DEAD, LOG1, network=failing_network())
        assert (
            applied.failures
            == steps.failures
            == {"dead": "the receiver 192.0.2.66 does not answer ARP on eth0: check that it is up."}
        )
        assert kernel.sends("log1") and kernel.sends("dead")
        assert steps.before["dead"] == steps.after["dead"] == applied.after["dead"] == was
        assert "dead" not in applied.diff(steps)["after"]
        again = planned(kernel, self.DEAD, LOG1, network=failing_network())
        assert (again.changed, set(again.failures)) == (False, {"dead"})

    def test_when_none_can_be_had_nothing_is_loaded(self) -> None:
        kernel = FakeKernel(loaded=False, mounted=False)
        steps, applied = run(kernel, self.DEAD, network=failing_network())
        assert (steps.actions, applied.actions, kernel.calls) == ((), (), [])
        assert applied.after == {"dead": None}

    def test_what_this_kernel_lacks_is_refused_for_a_failing_target_too(self) -> None:
        kernel = FakeKernel("6.1")
        kernel.foreign("theirs", remote_ip="192.0.2.20")
        with pytest.raises(CapabilityError, match=r"target dead: .* has no userdata"):
            run(kernel, replace(self.DEAD, userdata={"a": "b"}), LOG1, network=failing_network())
        assert list(kernel.target_table) == ["theirs"] and kernel.calls == []

    def test_a_name_that_does_not_resolve_fails_alone(self) -> None:
        def no_name(text: str, family: int | None = None) -> str:
            if text == "log9":
                raise NextHopError("the name log9 has no address on this host")
            return text

        kernel = FakeKernel()
        _steps, applied = run(
            kernel,
            DeclaredTarget(name="log9", remote_ip="log9"),
            LOG1,
            network=replace(NETWORK, remote_ip=no_name),
        )
        assert applied.failures == {"log9": "the name log9 has no address on this host."}
        assert list(kernel.target_table) == ["log1"]

    def test_no_interface_is_brought_up_to_put_a_target_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kernel = FakeKernel()
        network = replace(NETWORK, is_up=lambda dev_name: kernel.interfaces[dev_name].up)
        run(kernel, LOG1, network=network)
        write = kernel.write

        def write_until_port(path: str, text: str) -> None:
            if path.endswith("/remote_port"):
                kernel.interfaces["eth0"].up = False
                raise OSError(errno.EIO, "Input/output error")
            write(path, text)

        monkeypatch.setattr(kernel, "write", write_until_port)
        wanted = DeclaredTarget(name="log1", remote_ip="192.0.2.10", remote_port=6667)
        _steps, applied = run(kernel, wanted, network=network)
        assert "What could not be put back as it was: eth0 is down: bring it up" in applied.failures["log1"]
        assert not kernel.interfaces["eth0"].up

    def test_what_could_not_be_put_back_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kernel = FakeKernel()
        run(kernel, LOG1)
        write = kernel.write

        def write_until_port(path: str, text: str) -> None:
            if path.endswith("/remote_port"):
                raise OSError(errno.EIO, "Input/output error")
            if path.endswith("/enabled") and text == "1\n":
                raise OSError(errno.ENODEV, "No such device")
            write(path, text)

        monkeypatch.setattr(kernel, "write", write_until_port)
        _steps, applied = run(kernel, DeclaredTarget(name="log1", remote_ip="192.0.2.10", remote_port=6667))
        assert "remote_port=6667: Input/output error" in applied.failures["log1"]
        assert (
            "What could not be put back as it was: target log1: the kernel does not enable"
            in (applied.failures["log1"])
        )


class TestPurge:
    def host(self, profile: str = "6.12") -> FakeKernel:
        kernel = FakeKernel(profile)
        kernel.foreign("theirs", enabled=True, remote_ip="192.0.2.20", userdata={"a": "b"} if profile != "6.1" else {})
        kernel.foreign("half", remote_ip="0.0.0.0")
        return kernel

    def test_without_it_targets_of_others_are_not_looked_at_twice(self) -> None:
        kernel = self.host()
        steps, _applied = run(kernel, LOG1)
        assert set(steps.before) == {"log1"}
        assert sorted(kernel.target_table) == ["half", "log1", "theirs"]
        assert not [call for call in kernel.calls if "theirs" in " ".join(call) or "half" in " ".join(call)]

    @pytest.mark.parametrize("profile", PROFILES)
    def test_what_is_not_declared_goes_and_is_shown(self, profile: str) -> None:
        kernel = self.host(profile if PROFILES[profile].userdata_keys else "6.1")
        steps, applied = run(kernel, LOG1, purge=True)
        assert list(kernel.target_table) == ["log1"] and kernel.sends("log1")
        assert [str(action) for action in steps.actions][:2] == ["half: remove", "theirs: remove"]
        diff = applied.diff(steps)
        before: Any = diff["before"]["theirs"]
        assert (before["remote_ip"], diff["after"]["theirs"]) == ("192.0.2.20", None)
        assert diff == steps.diff()
        assert not planned(kernel, LOG1, purge=True).changed

    def test_a_declared_target_that_fails_is_not_purged(self) -> None:
        kernel = self.host()
        kernel.foreign("dead", enabled=True, remote_ip="192.0.2.66")
        run(kernel, TestOneFails.DEAD, purge=True, network=failing_network())
        assert list(kernel.target_table) == ["dead"]

    def test_an_empty_declaration_purges_everything_and_loads_nothing(self) -> None:
        assert run(FakeKernel(loaded=False), purge=True)[1].actions == ()
        kernel = self.host()
        run(kernel, purge=True)
        assert kernel.target_table == {}


BOOT = "@192.0.2.15/eth0,6666@192.0.2.10/"
OTHER_BOOT = "@192.0.2.15/eth0,6666@192.0.2.77/"
ATTACHING = [name for name, profile in PROFILES.items() if profile.attach]


class TestBootTargets:
    """On kernels that let go of them. What they were made from stands on the command line."""

    def host(self, profile: str) -> FakeKernel:
        kernel = FakeKernel(profile)
        kernel.boot(BOOT, enabled=True, remote_ip="192.0.2.10", local_ip="192.0.2.15")
        kernel.boot(OTHER_BOOT, enabled=True, remote_ip="192.0.2.77", local_ip="192.0.2.15")
        return kernel

    @pytest.mark.parametrize("profile", ATTACHING)
    def test_the_declared_target_takes_the_place_of_the_one_with_its_receiver(self, profile: str) -> None:
        kernel = self.host(profile)
        steps, applied = run(kernel, LOG1)
        assert sorted(kernel.target_table) == ["cmdline1", "log1"]
        assert kernel.sends("log1") and kernel.sends("cmdline1")
        words = [str(action) for action in steps.actions]
        gone = "cmdline0: remove, which the kernel made at boot: log1 sends to this receiver now"
        assert words.index("log1: enable") < words.index(gone)
        assert applied.after["cmdline0"] is None and applied.diff(steps) == steps.diff()
        assert not planned(kernel, LOG1).changed

    @pytest.mark.parametrize("profile", ATTACHING)
    def test_it_goes_on_when_its_successor_fails(self, profile: str) -> None:
        kernel = self.host(profile)
        kernel.interfaces["eth0"] = Interface(("192.0.2.15",), master="bond0")
        _steps, applied = run(kernel, LOG1)
        assert list(applied.failures) == ["log1"]
        assert sorted(kernel.target_table) == ["cmdline0", "cmdline1"]
        assert kernel.sends("cmdline0")
        state = applied.after["cmdline0"]
        assert state is not None and state.enabled

    @pytest.mark.parametrize("profile", ATTACHING)
    def test_purge_takes_the_others_too_and_says_that_they_come_back(self, profile: str) -> None:
        kernel = self.host(profile)
        steps, _applied = run(kernel, LOG1, purge=True)
        assert list(kernel.target_table) == ["log1"] and kernel.sends("log1")
        assert "cmdline1: remove, which is back after the next boot if a netconsole= parameter made it" in [
            str(action) for action in steps.actions
        ]
        assert not planned(kernel, LOG1, purge=True).changed

    @pytest.mark.parametrize("profile", ATTACHING)
    def test_a_dead_one_is_replaced_like_any_other(self, profile: str) -> None:
        kernel = FakeKernel(profile)
        kernel.boot(BOOT, enabled=False, remote_ip="192.0.2.10", dev_name="eth9")
        run(kernel, LOG1)
        assert list(kernel.target_table) == ["log1"] and kernel.sends("log1")

    def test_looking_leaves_nothing_behind_where_there_is_none(self) -> None:
        kernel = FakeKernel()
        kernel.texts["/etc/modprobe.d/x.conf"] = f"options netconsole netconsole={BOOT};{OTHER_BOOT}\n"
        planned(kernel, LOG1)
        assert kernel.target_table == {}
        assert [call[0] for call in kernel.calls] == ["mkdir", "rmdir", "mkdir", "rmdir"]

    def test_without_a_parameter_nobody_looks(self) -> None:
        kernel = FakeKernel()
        planned(kernel, LOG1, purge=True)
        assert kernel.calls == []

    def test_the_module_is_loaded_without_them(self) -> None:
        kernel = FakeKernel(loaded=False)
        kernel.texts["/etc/modprobe.d/x.conf"] = f"options netconsole netconsole={BOOT}\n"
        steps, _applied = run(kernel, LOG1)
        assert str(steps.actions[0]) == ("load module netconsole, without the boot targets of /etc/modprobe.d/x.conf")
        assert ("run", "modprobe", "netconsole", "netconsole=") in kernel.calls

    @pytest.mark.parametrize(
        ("parameter", "purge", "words"),
        [
            pytest.param(BOOT, False, "the receiver of log1: .* every message is sent there twice", id="same receiver"),
            pytest.param(OTHER_BOOT, True, "its targets send on", id="another receiver, purge"),
            pytest.param(OTHER_BOOT, False, "", id="another receiver"),
        ],
    )
    @pytest.mark.parametrize("profile", ["5.10", "6.1"])
    def test_kernels_that_hide_them_are_warned_of(self, profile: str, parameter: str, purge: bool, words: str) -> None:
        kernel = FakeKernel(profile)
        kernel.texts["/proc/cmdline"] = f"ro netconsole={parameter}\n"
        steps, _applied = run(kernel, LOG1, purge=purge)
        assert len(steps.warnings) == bool(words)
        assert all(re.search(words, warning) for warning in steps.warnings)
        assert "cmdline0" not in " ".join(call[-1] for call in kernel.calls)


class TestPanic:
    def host(self, timeout: int = 10, profile: str = "7.2", crash_kernel: bool = False) -> FakeKernel:
        kernel = FakeKernel(profile)
        kernel.panic = timeout
        if crash_kernel:
            kernel.texts["/sys/kernel/kexec_crash_loaded"] = "1\n"
        return kernel

    def test_a_warning_with_the_way_out(self) -> None:
        steps, _applied = run(self.host(), LOG1)
        assert not steps.panic_capture.works
        (warning,) = steps.warnings
        assert warning.startswith("a panic of this host will not be received. ") and "panic_capture: set" in warning

    @pytest.mark.parametrize(
        "kernel_options", [{"timeout": 0}, {"profile": "6.12"}], ids=["kernel.panic is 0", "older kernel"]
    )
    @pytest.mark.parametrize("choice", ["warn", "require", "set"])
    def test_where_it_works_there_is_nothing_to_do(self, kernel_options: dict[str, Any], choice: str) -> None:
        kernel = self.host(**kernel_options)
        was = kernel.panic
        steps, _applied = run(kernel, LOG1, panic_capture=choice)
        assert steps.panic_capture.works and steps.warnings == () and kernel.panic == was
        assert not planned(kernel, LOG1, panic_capture=choice).changed

    def test_require_refuses_and_touches_nothing(self) -> None:
        kernel = self.host()
        with pytest.raises(PanicCaptureError, match=r"panic_capture is require: .* set kernel\.panic to 0"):
            planned(kernel, LOG1, panic_capture="require")
        assert kernel.calls == []

    def test_set_sets_it_once_and_shows_it(self) -> None:
        kernel = self.host()
        steps, applied = run(kernel, LOG1, panic_capture="set")
        assert str(steps.actions[0]) == "set kernel.panic from 10 to 0"
        assert (steps.panic_capture.works, kernel.panic, steps.warnings) == (True, 0, ())
        assert (applied.diff(steps)["before"]["kernel.panic"], applied.diff(steps)["after"]["kernel.panic"]) == (10, 0)
        assert not planned(kernel, LOG1, panic_capture="set").changed

    def test_set_does_not_unload_a_crash_kernel(self) -> None:
        kernel = self.host(crash_kernel=True)
        with pytest.raises(PanicCaptureError, match="unload the crash kernel"):
            planned(kernel, LOG1, panic_capture="set")
        assert kernel.calls == []

    def test_a_host_that_only_loses_targets_is_not_asked(self) -> None:
        kernel = self.host()
        assert run(kernel, DeclaredTarget(name="log1", present=False), panic_capture="require")[0].warnings == ()

    def test_a_refused_run_puts_it_back(self) -> None:
        kernel = FakeKernel("5.10")
        kernel.profile = replace(PROFILES["5.10"], nbcon=True)
        kernel.panic = 10
        with pytest.raises(CapabilityError):
            run(kernel, replace(LOG1, userdata={"a": "b"}), panic_capture="set", console_loglevel=5)
        assert (kernel.panic, kernel.printk[0], kernel.target_table) == (10, 7, {})


class TestBringUp:
    """A device that is down: an error, or brought up as a step of the plan."""

    DOWN = DeclaredTarget(name="log1", remote_ip="192.0.2.10", dev_name="eth1")

    def network(self, up: list[str], stays_down: bool = False) -> Network:
        def hop(remote_ip: str, **given: Any) -> NextHop:
            if given["dev_name"] == "eth1" and "eth1" not in up:
                raise DeviceDownError("eth1")
            return next_hop(remote_ip, **given)

        def bring_up(dev_name: str) -> None:
            if stays_down:
                raise DeviceError(f"{dev_name} cannot be brought up: Operation not permitted")
            up.append(dev_name)

        return replace(NETWORK, next_hop=hop, bring_up=bring_up, take_down=up.remove)

    def test_unasked_it_is_the_failure_of_its_targets(self) -> None:
        up: list[str] = []
        kernel = FakeKernel()
        _steps, applied = run(kernel, self.DOWN, network=self.network(up))
        assert "eth1 is down" in applied.failures["log1"] and "or set bring_up to true" in applied.failures["log1"]
        assert (up, kernel.calls) == ([], [])

    def test_asked_for_it_is_a_step_that_check_mode_foretells(self) -> None:
        up: list[str] = []
        kernel = FakeKernel()
        network = self.network(up)
        steps = planned(kernel, self.DOWN, bring_up=True, network=network)
        assert [str(action) for action in steps.actions][:2] == ["bring up eth1", "log1: create"]
        assert (up, kernel.calls, steps.failures) == ([], [], {})
        foreseen = steps.after["log1"]
        assert foreseen is not None and foreseen.enabled and foreseen.dev_name == "eth1"
        applied = apply(steps, configfs=Configfs(files=kernel), console=ConsoleLoglevel(files=kernel))
        assert up == ["eth1"] and kernel.sends("log1")
        after: Any = applied.diff(steps)["after"]["log1"]
        assert (after["local_ip"], after["remote_mac"]) == ("198.51.100.15", GATEWAY_MAC)
        assert [str(action) for action in applied.actions][:2] == ["bring up eth1", "log1: create"]
        assert not planned(kernel, self.DOWN, bring_up=True, network=network).changed

    def test_two_targets_on_it_bring_it_up_once(self) -> None:
        up: list[str] = []
        kernel = FakeKernel()
        run(
            kernel,
            self.DOWN,
            DeclaredTarget(name="log2", remote_ip="192.0.2.11", dev_name="eth1"),
            bring_up=True,
            network=self.network(up),
        )
        assert up == ["eth1"] and kernel.sends("log1") and kernel.sends("log2")

    def test_it_goes_down_again_when_no_target_came_of_it(self) -> None:
        up: list[str] = []
        kernel = FakeKernel(loaded=False)
        kernel.interfaces["eth1"].netpoll = False
        _steps, applied = run(kernel, self.DOWN, bring_up=True, network=self.network(up))
        assert list(applied.failures) == ["log1"]
        assert (up, applied.actions, kernel.is_loaded) == ([], (), False)

    def test_one_that_cannot_be_brought_up(self) -> None:
        up: list[str] = []
        kernel = FakeKernel()
        _steps, applied = run(
            kernel, self.DOWN, replace(LOG1, name="log2"), bring_up=True, network=self.network(up, stays_down=True)
        )
        assert applied.failures == {"log1": "eth1 cannot be brought up: Operation not permitted."}
        assert list(kernel.target_table) == ["log2"]


class TestEqualNextHops:
    """Two gateways that are as good: whoever uses one of them keeps it."""

    A = NextHop("203.0.113.10", "eth0", "192.0.2.15", "52:54:00:00:00:0a", "192.0.2.1")
    B = NextHop("203.0.113.10", "eth1", "198.51.100.15", "52:54:00:00:00:0b", "198.51.100.1")
    FAR = DeclaredTarget(name="log1", remote_ip="203.0.113.10")

    def network(self, found: NextHop, *equal: NextHop) -> Network:
        return replace(NETWORK, next_hop=lambda remote_ip, **given: found, equal_next_hops=lambda hop: equal)

    def test_the_one_in_use_is_kept(self) -> None:
        kernel = FakeKernel()
        run(kernel, self.FAR, network=self.network(self.A, self.A, self.B))
        assert not planned(kernel, self.FAR, network=self.network(self.B, self.A, self.B)).changed

    def test_until_it_is_none_of_them_any_more(self) -> None:
        kernel = FakeKernel()
        run(kernel, self.FAR, network=self.network(self.A, self.A, self.B))
        run(kernel, self.FAR, network=self.network(self.B, self.B))
        assert kernel.target_table["log1"].remote_mac == self.B.remote_mac

    def test_not_against_a_declared_device(self) -> None:
        kernel = FakeKernel()
        run(kernel, self.FAR, network=self.network(self.A, self.A, self.B))
        run(kernel, replace(self.FAR, dev_name="eth1"), network=self.network(self.B, self.A, self.B))
        assert kernel.target_table["log1"].dev_name == "eth1"

    def test_a_new_receiver_is_no_reason_to_keep_anything(self) -> None:
        kernel = FakeKernel()
        run(
            kernel,
            replace(self.FAR, remote_ip="203.0.113.11"),
            network=self.network(replace(self.A, remote_ip="203.0.113.11")),
        )
        run(kernel, self.FAR, network=self.network(self.B, self.A, self.B))
        assert kernel.target_table["log1"].dev_name == "eth1"


class TestFaultsOfKernels:
    def test_a_stale_source_address_is_replaced(self) -> None:
        kernel = FakeKernel()
        kernel.foreign(
            "log1", enabled=True, extended=True, remote_ip="192.0.2.10", local_ip="192.0.2.99", remote_mac=GATEWAY_MAC
        )
        steps, _applied = run(kernel, LOG1)
        assert [str(action) for action in steps.actions] == [
            "log1: disable",
            "log1: set local_ip to 192.0.2.15 (was 192.0.2.99)",
            "log1: enable",
        ]
        assert not planned(kernel, LOG1).changed

    @pytest.mark.parametrize("profile", [name for name in PROFILES if PROFILES[name].userdata_keys])
    def test_a_value_is_emptied_by_a_line_break(self, profile: str) -> None:
        kernel = FakeKernel(profile)
        run(kernel, replace(LOG1, userdata={"rack": "a12"}))
        kernel.calls.clear()
        run(kernel, replace(LOG1, userdata={"rack": ""}))
        assert [call[-1] for call in kernel.calls] == ["\n"]
        assert kernel.target_table["log1"].userdata == {"rack": ""}

    @pytest.mark.parametrize("profile", PROFILES)
    @pytest.mark.parametrize("enabled", [True, False])
    def test_release_goes_with_the_extended_format(self, profile: str, enabled: bool) -> None:
        kernel = FakeKernel(profile)
        run(kernel, replace(LOG1, release=True if PROFILES[profile].release_attribute else None))
        legacy = replace(LOG1, extended=False, enabled=enabled)
        steps, applied = run(kernel, legacy)
        assert applied.failures == {} and applied.diff(steps) == steps.diff()
        target = kernel.target_table["log1"]
        assert (target.extended, target.release, target.enabled) == (False, False, enabled)
        assert not planned(kernel, legacy).changed

    def test_a_device_name_forgotten_at_disable_is_written_again(self) -> None:
        kernel = FakeKernel("7.2")
        kernel.foreign("log1", enabled=True, remote_ip="192.0.2.10", local_ip="192.0.2.15", by_mac=True)
        _steps, applied = run(kernel, LOG1)
        assert applied.failures == {}
        assert kernel.target_table["log1"].dev_name == "eth0" and kernel.sends("log1")

    @pytest.mark.parametrize("wanted", [True, False])
    @pytest.mark.parametrize("taskname", [True, False])
    def test_release_enabled_that_reads_as_taskname_enabled(self, wanted: bool, taskname: bool) -> None:
        kernel = FakeKernel("6.17")
        declared = replace(LOG1, switches={"release_enabled": wanted, "taskname_enabled": taskname})
        steps, applied = run(kernel, declared)
        assert applied.failures == {} and applied.diff(steps) == steps.diff()
        assert kernel.target_table["log1"].switches["release_enabled"] is wanted
        kernel.target_table["log1"].switches["release_enabled"] = not wanted  # by another hand: nobody can see it
        again, applied = run(kernel, declared)
        assert (again.changed, applied.failures) == (False, {})
        assert kernel.target_table["log1"].switches["release_enabled"] is wanted
        assert "cannot be told what release_enabled is" in again.warnings[0]

    def test_where_the_two_differ_release_enabled_is_believed(self) -> None:
        kernel = FakeKernel("6.17")
        kernel.profile = replace(PROFILES["6.17"], release_misread=False)
        run(kernel, replace(LOG1, switches={"release_enabled": True}))
        steps = planned(kernel, replace(LOG1, switches={"release_enabled": False}))
        assert [str(action) for action in steps.actions] == ["log1: set release_enabled to 0 (was 1)"]
        assert steps.warnings == ()

    @pytest.mark.parametrize(
        ("profile", "keys", "switches", "fits"),
        [
            pytest.param("6.12", 16, {}, True, id="16 keys"),
            pytest.param("6.12", 17, {}, False, id="17 keys"),
            pytest.param("6.17", 15, {"msgid_enabled": True}, True, id="15 keys and a switch"),
            pytest.param("6.17", 16, {"msgid_enabled": True}, False, id="16 keys and a switch"),
            pytest.param("7.2", 256, {"msgid_enabled": True}, True, id="256 keys and a switch"),
            pytest.param("7.2", 257, {}, False, id="257 keys"),
        ],
    )
    def test_how_much_user_data_fits_is_known_before_anything_is_written(
        self, profile: str, keys: int, switches: dict[str, bool], fits: bool
    ) -> None:
        kernel = FakeKernel(profile)
        declared = replace(LOG1, userdata={f"k{number}": "v" for number in range(keys)}, switches=switches)
        if fits:
            assert run(kernel, declared)[1].failures == {}
        else:
            with pytest.raises(DeclarationError, match=f"target log1: {keys} userdata keys.* that a target of"):
                run(kernel, declared)
            assert kernel.calls == []

    def test_a_switch_that_is_on_counts_also_when_it_is_not_declared(self) -> None:
        kernel = FakeKernel("6.17")
        run(kernel, replace(LOG1, switches={"msgid_enabled": True}))
        with pytest.raises(DeclarationError, match=r"1 of the switches \(msgid_enabled\)"):
            planned(kernel, replace(LOG1, userdata={f"k{number}": "v" for number in range(16)}))

    def test_places_are_freed_before_they_are_needed(self) -> None:
        kernel = FakeKernel("6.17")
        run(kernel, replace(LOG1, userdata={f"a{number}": "v" for number in range(16)}))
        full = replace(LOG1, userdata={f"b{number}": "v" for number in range(15)}, switches={"cpu_nr_enabled": True})
        assert run(kernel, full)[1].failures == {}
        other = replace(
            LOG1,
            userdata={f"c{number}": "v" for number in range(15)},
            switches={"cpu_nr_enabled": False, "msgid_enabled": True},
        )
        assert run(kernel, other)[1].failures == {}

    def test_a_target_whose_device_is_gone_is_not_written_to(self) -> None:
        """Kernels from 7.0 on enable it by themselves when the device is back, unless somebody writes ``enabled``."""

        def gone(remote_ip: str, **given: Any) -> NextHop:
            raise DeviceError("eth0 does not exist on this host: it has eth1")

        kernel = FakeKernel("7.2")
        run(kernel, LOG1)
        kernel.target_table["log1"].enabled = False
        kernel.calls.clear()
        _steps, applied = run(kernel, LOG1, network=replace(NETWORK, next_hop=gone))
        assert (list(applied.failures), kernel.calls) == (["log1"], [])


def test_every_file_is_read_once_and_ten_targets_are_planned_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = FakeKernel("7.2")
    ten = [DeclaredTarget(name=f"log{number}", remote_ip=f"192.0.2.{number}") for number in range(1, 11)]
    run(kernel, *ten)
    read, paths = kernel.read, []

    def counting(path: str) -> str:
        paths.append(path)
        return read(path)

    monkeypatch.setattr(kernel, "read", counting)
    assert not planned(kernel, *ten).changed
    assert len(paths) == len(set(paths))
