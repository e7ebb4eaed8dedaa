# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of a task, as Ansible hands them over, become declarations; plans become results."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import Configfs, ConsoleLoglevel
from ansible_collections.fleet.netconsole.plugins.module_utils._declaration import (
    Declaration,
    DeclarationError,
    DeclaredTarget,
    declared_target,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._reconcile import (
    apply,
    plan,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._target_module import (
    failure_message,
    result_of,
    target_argument_spec,
)
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_kernel import FakeKernel
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.test__reconcile import NETWORK


def declared(**options: Any) -> DeclaredTarget:
    result = ArgumentSpecValidator(target_argument_spec()).validate(
        {"name": "log1", "remote_ip": "192.0.2.10", **options}
    )
    assert not result.error_messages
    return declared_target(result.validated_parameters)


def test_a_name_and_a_receiver_are_enough() -> None:
    assert declared() == DeclaredTarget(name="log1", remote_ip="192.0.2.10")


@pytest.mark.parametrize(
    ("given", "extended"),
    [("auto", None), (True, True), ("yes", True), ("true", True), (False, False), ("no", False), ("false", False)],
)
def test_every_yaml_spelling_of_extended(given: object, extended: bool | None) -> None:
    result = ArgumentSpecValidator(target_argument_spec()).validate(
        {"name": "log1", "remote_ip": "192.0.2.10", "extended": given}
    )
    if given in ("yes", "no"):  # text, not a YAML boolean: refused with the choices named
        assert "value of extended must be one of: auto, true, false" in result.error_messages[0]
    else:
        assert declared_target(result.validated_parameters).extended is extended


def test_user_data_of_any_scalar_type_is_text() -> None:
    assert declared(userdata={"rack": 12, "role": "web", "none": None}).userdata == {
        "rack": "12",
        "role": "web",
        "none": "",
    }


def test_user_data_with_structure_is_refused() -> None:
    with pytest.raises(DeclarationError, match="userdata rack is a list: it has to be one line of text"):
        declared(userdata={"rack": [1, 2]})


def test_switches_that_are_not_given_are_not_declared() -> None:
    assert declared(msgid_enabled=True).switches == {"msgid_enabled": True}


def test_a_result_says_what_was_done_and_what_the_kernel_shows() -> None:
    kernel = FakeKernel("6.12")
    configfs, console = Configfs(files=kernel), ConsoleLoglevel(files=kernel)
    planned = plan(
        Declaration(targets=(declared(),), console_loglevel=5), configfs=configfs, console=console, network=NETWORK
    )
    result = result_of(planned, apply(planned, configfs=configfs, console=console))
    assert result["changed"] is True
    assert result["actions"][:2] == ["set console_loglevel from 7 to 5", "log1: create"]
    assert result["failures"] == {}
    assert result["panic_capture"]["works"] is True
    assert result["before"] == {"log1": None}
    assert result["after"]["log1"]["enabled"] is True
    assert result["next_hops"]["log1"]["dev_name"] == "eth0"
    assert result["capabilities"] == ["extended", "release", "userdata"]
    assert result["console_loglevel"] == {"before": 7, "after": 5}
    assert result["diff"]["before"] == {"log1": None, "console_loglevel": 7}
    assert result["diff"]["after"]["console_loglevel"] == 5


@pytest.mark.parametrize(
    ("check_mode", "words"),
    [
        (False, "These targets are not as declared, all others are. log1: its reason. log2: another."),
        (
            True,
            "These targets would stay as they are, all others would be as declared. log1: its reason. log2: another.",
        ),
    ],
)
def test_the_last_words_name_every_failing_target(check_mode: bool, words: str) -> None:
    assert failure_message({"log1": "its reason.", "log2": "another."}, check_mode=check_mode) == words


def test_a_failing_target_is_in_the_result() -> None:
    kernel = FakeKernel("6.12")
    kernel.interfaces.clear()
    configfs, console = Configfs(files=kernel), ConsoleLoglevel(files=kernel)
    planned = plan(Declaration(targets=(declared(),)), configfs=configfs, console=console, network=NETWORK)
    result = result_of(planned, apply(planned, configfs=configfs, console=console))
    assert "no interface eth0" in result["failures"]["log1"]
    assert (result["changed"], result["actions"], result["after"]) == (False, [], {"log1": None})
    assert result["diff"]["before"] == result["diff"]["after"] == {"log1": None}
