# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is stored of a declaration is the same declaration, and nothing wrong is ever stored or read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._declaration import (
    Declaration,
    DeclarationError,
    DeclaredTarget,
    declaration_from_options,
    document,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._reconcile import ENGINE_ERRORS

EVERYTHING: dict[str, Any] = {
    "targets": [
        {
            "name": "log2",
            "state": "present",
            "enabled": False,
            "remote_ip": "2001:DB8::10",
            "remote_port": 514,
            "remote_mac": "52:54:00:AA:BB:CC",
            "local_ip": "2001:DB8::15",
            "local_port": 1,
            "dev_name": "eth1",
            "extended": "true",
            "release": True,
            "userdata": {"role": "web", "rack": 12},
            "cpu_nr_enabled": True,
            "taskname_enabled": False,
            "release_enabled": None,
            "msgid_enabled": True,
        },
        {"name": "log1", "remote_ip": "log1.example.com", "dev_name": "auto", "extended": "auto"},
        {"name": "gone", "state": "absent"},
    ],
    "purge": True,
    "console_loglevel": 7,
    "userdata": {"site": "x"},
    "missing_capability": "warn",
    "panic_capture": "require",
    "bring_up": True,
    "heartbeat": 5,
    "persist": True,  # an option of the module that is none of the declaration
}


def test_a_document_is_sorted_and_has_no_empty_values() -> None:
    assert document(EVERYTHING) == {
        "bring_up": True,
        "console_loglevel": 7,
        "heartbeat": 5,
        "missing_capability": "warn",
        "panic_capture": "require",
        "purge": True,
        "targets": [
            {"name": "gone", "state": "absent"},
            {
                "enabled": True,
                "local_port": 6665,
                "name": "log1",
                "remote_ip": "log1.example.com",
                "remote_port": 6666,
                "state": "present",
                "userdata": {"site": "x"},
            },
            {
                "cpu_nr_enabled": True,
                "dev_name": "eth1",
                "enabled": False,
                "extended": True,
                "local_ip": "2001:db8::15",
                "local_port": 1,
                "msgid_enabled": True,
                "name": "log2",
                "release": True,
                "remote_ip": "2001:db8::10",
                "remote_mac": "52:54:00:aa:bb:cc",
                "remote_port": 514,
                "state": "present",
                "taskname_enabled": False,
                "userdata": {"rack": "12", "role": "web"},
            },
        ],
    }


def test_a_document_goes_through_json_and_stays_itself() -> None:
    stored = document(EVERYTHING)
    read = json.loads(json.dumps(stored))
    assert document(read) == stored
    again, first = declaration_from_options(read), declaration_from_options(EVERYTHING)
    assert [target.name for target in again.targets] == sorted(target.name for target in first.targets)
    assert again.console_loglevel == first.console_loglevel == 7


def test_no_options_are_an_empty_declaration() -> None:
    assert declaration_from_options({}) == Declaration(targets=())


def test_a_target_takes_the_shared_user_data_when_it_has_none_of_its_own() -> None:
    own, shared = {"name": "a", "remote_ip": "192.0.2.1", "userdata": {}}, {"name": "b", "remote_ip": "192.0.2.1"}
    targets = declaration_from_options({"targets": [own, shared], "userdata": {"rack": "a12"}}).targets
    assert [target.userdata for target in targets] == [{}, {"rack": "a12"}]


@pytest.mark.parametrize(("given", "extended"), [("auto", None), ("true", True), (False, False), (None, None)])
def test_extended_may_be_text_or_a_boolean(given: object, extended: bool | None) -> None:
    options = {"targets": [{"name": "log1", "remote_ip": "192.0.2.10", "extended": given}]}
    assert declaration_from_options(options).targets == (
        DeclaredTarget(name="log1", remote_ip="192.0.2.10", extended=extended),
    )


LOG1 = {"name": "log1", "remote_ip": "192.0.2.10"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"targets": {}}, "targets is {}: it has to be of the type list", id="targets is no list"),
        pytest.param({"targets": ["log1"]}, "'log1' is no target", id="target is no dictionary"),
        pytest.param({"targets": [{"remote_ip": "192.0.2.10"}]}, "has no name", id="target without a name"),
        pytest.param({"targets": [{**LOG1, "remote_prot": 1}]}, "there is no option remote_prot", id="typo"),
        pytest.param({"targets": [{**LOG1, "enabled": "yes"}]}, "enabled is 'yes': .* type bool", id="text for a bool"),
        pytest.param({"targets": [{**LOG1, "remote_port": True}]}, "remote_port is True", id="bool for a number"),
        pytest.param({"targets": [{**LOG1, "state": "gone"}]}, "one of present, absent", id="unknown state"),
        pytest.param({"targets": [{**LOG1, "extended": "si"}]}, "one of auto, true, false", id="unknown extended"),
        pytest.param({"panic_capture": "maybe"}, "one of warn, require, set", id="unknown panic_capture"),
        pytest.param({"missing_capability": "x"}, "one of error, warn", id="unknown missing_capability"),
        pytest.param({"console_loglevel": 9}, "console_loglevel is 9", id="level of 9"),
        pytest.param({"heartbeat": -1}, "heartbeat is -1", id="heartbeat below 0"),
        pytest.param({"heartbeat": 1441}, "heartbeat is 1441: it is a number of minutes", id="heartbeat of days"),
        pytest.param(
            {"heartbeat": 5, "console_loglevel": 3}, "Set console_loglevel to 4 or more", id="heartbeat not sent"
        ),
        pytest.param({"targets": [{**LOG1, "remote_ip": "192.0.2.300"}]}, "no IPv4 address", id="misread address"),
        pytest.param({"targets": [{**LOG1, "remote_ip": "0.0.0.0"}]}, "target log1: 0.0.0.0 is no receiver", id="zero"),
        pytest.param(
            {"targets": [{**LOG1, "remote_ip": "224.0.0.1"}]}, "target log1: 224.0.0.1 is a multicast", id="multicast"
        ),
        pytest.param({"targets": [{**LOG1, "remote_ip": "fe80::1"}]}, "say by dev_name", id="link-local, no device"),
        pytest.param(
            {"targets": [{**LOG1, "local_ip": "2001:db8::1"}]}, "must be of one family", id="two address families"
        ),
    ],
)
def test_wrong_documents(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ENGINE_ERRORS, match=words):
        document(options)


def test_two_targets_of_one_name() -> None:
    with pytest.raises(DeclarationError, match="log1 is declared 2 times"):
        declaration_from_options({"targets": [LOG1, LOG1]})
