# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as Ansible runs it: options in, one JSON object out. Its engine: ../module_utils/test__boot_loaders.py."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils import basic

from ansible_collections.fleet.netconsole.plugins.modules import kernel_cmdline

LINE = "console=serial0,115200 root=PARTUUID=1 rootwait\n"
FILE = "boot/firmware/cmdline.txt"


@pytest.fixture
def ask(monkeypatch, capsys, tmp_path):
    """Run the module on an image of a Raspberry Pi with these options; what it says."""
    path = tmp_path / FILE
    path.parent.mkdir(parents=True)
    path.write_text(LINE)
    (path.parent / "config.txt").write_text("")

    def run(**options):
        arguments = {
            "ANSIBLE_MODULE_ARGS": {"root_path": str(tmp_path), "_ansible_remote_tmp": str(tmp_path), **options}
        }
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps(arguments).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit) as ended:
            kernel_cmdline.main()
        said = json.loads(capsys.readouterr().out)
        assert bool(ended.value.code) == bool(said.get("failed"))
        return said, path.read_text()

    return run


def test_what_is_set_is_told(ask):
    said, line = ask(
        parameters=[{"name": "console", "value": "tty1", "unique": False}, {"name": "rootwait", "state": "absent"}]
    )
    assert line == LINE.replace(" rootwait", " console=tty1")
    assert said["changed"]
    assert said["boot_loader"]["name"] == "raspberry-pi"
    assert [(entry["before"], entry["after"]) for entry in said["entries"]] == [(LINE.strip(), line.strip())]
    assert line.strip() in said["diff"]["after"]
    assert LINE.strip() in said["diff"]["before"]
    assert (said["running"], said["reboot_required"]) == (None, False)  # nothing runs from an image
    assert said["backup_files"] == []


def test_check_mode_says_the_same_and_changes_nothing(ask):
    options = {"parameters": [{"name": "a", "value": "b;c d"}]}
    foretold, line = ask(_ansible_check_mode=True, **options)
    assert line == LINE
    said, line = ask(**options)
    assert line != LINE
    assert (foretold["changed"], foretold["entries"], foretold["diff"]) == (True, said["entries"], said["diff"])
    assert not ask(**options)[0]["changed"]


def test_a_copy_is_kept_where_it_is_asked_for(ask):
    said, dummy = ask(parameters=[{"name": "a"}], backup=True)
    assert len(said["backup_files"]) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            {"parameters": [{"name": "a b"}]}, "'a b' is no name of a kernel parameter", id="a name of two words"
        ),
        pytest.param(
            {"parameters": [{"name": "a"}], "boot_loader": "zipl"}, "there is no zipl on this host", id="none of those"
        ),
        pytest.param(
            {"parameters": [{"name": "a"}], "boot_loader": "lilo"}, "value of boot_loader must be one of", id="unknown"
        ),
        pytest.param({}, "missing required arguments: parameters", id="nothing asked for"),
        pytest.param(
            {"parameters": [{"name": "a"}], "root_path": "/nonexistent"},
            "root_path /nonexistent is no folder",
            id="no host",
        ),
    ],
)
def test_what_is_wrong_ends_in_one_message_and_changes_nothing(ask, options, message):
    said, line = ask(**options)
    assert message in said["msg"]
    assert "Traceback" not in said["msg"]
    assert line == LINE
