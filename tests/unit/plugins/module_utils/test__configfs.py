# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading and changing single targets, against the model of each kernel."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import (
    LOCKDOWN,
    Configfs,
    ConfigfsError,
    ConsoleLoglevel,
    Files,
    check_dev_name,
    check_name,
    check_userdata,
    format_value,
    parse_value,
)
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_kernel import (
    PROFILES,
    FakeKernel,
    Interface,
)


@pytest.mark.parametrize(
    "name",
    ["log1", "a", "x" * 255, "log 1", "192.0.2.10", "2001:db8::10", "cmdline", "cmdlineX", "empfänger", "-log"],
)
def test_names_that_the_kernel_keeps(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("x" * 256, "has 256", id="one byte too long"),
        pytest.param("ä" * 128, "has 256", id="bytes count, not characters"),
        pytest.param("a/b", "no '/'", id="slash"),
        pytest.param(".", "no '.'", id="dot"),
        pytest.param("..", "no '.'", id="dot dot"),
        pytest.param("a\nb", "control characters", id="newline"),
        pytest.param(" log1", "blank", id="leading blank"),
        pytest.param("cmdline0", "command line", id="name of a boot target"),
        pytest.param("cmdline12", "command line", id="name of a later boot target"),
    ],
)
def test_names_that_are_refused(name: str, words: str) -> None:
    with pytest.raises(ConfigfsError, match=words):
        check_name(name)


@pytest.mark.parametrize("name", ["", "a" * 16, "eth 0", "no/such", "..", "eth0\n"])
def test_interface_names_that_a_kernel_would_cut_or_misread(name: str) -> None:
    with pytest.raises(ConfigfsError, match="no interface name"):
        check_dev_name(name)


@pytest.mark.parametrize(
    ("userdata", "words"),
    [
        pytest.param({"": "x"}, "1 to 53", id="empty key"),
        pytest.param({"k" * 54: "x"}, "54 bytes", id="key one byte too long"),
        pytest.param({"a=b": "x"}, "no '='", id="equals sign in key"),
        pytest.param({"a b": "x"}, "no blanks", id="blank in key"),
        pytest.param({"a/b": "x"}, "no '/'", id="slash in key"),
        pytest.param({"msgid_enabled": "1"}, "own switches", id="key that is a switch"),
        pytest.param({"k": "x" * 199}, "199 bytes", id="value one byte too long"),
        pytest.param({"k": "a\nb"}, "line break", id="newline in value"),
        pytest.param({"k": "\x1b[31m"}, "control character", id="escape sequence in value"),
        pytest.param({"k": " x"}, "blank at one end", id="blank before value"),
    ],
)
def test_userdata_that_is_refused(userdata: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigfsError, match=words):
        check_userdata(userdata)


def test_userdata_at_its_limits() -> None:
    userdata = {"k" * 53: "v" * 198, "empty": "", "blank-inside": "a b=c"}
    assert check_userdata(userdata) == userdata


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("bool", "1\n", True),
        ("bool", "0\n", False),
        ("port", "6666\n", 6666),
        ("ip", "2001:db8::1\n", "2001:db8::1"),
        ("ip", "192.0.2.1\n", "192.0.2.1"),
        ("mac", "52:54:00:AB:00:01\n", "52:54:00:ab:00:01"),
        ("text", "eth0\n", "eth0"),
        ("text", "\n", ""),
        ("count", "12\n", 12),
    ],
)
def test_what_the_kernel_prints_becomes_a_value(kind: str, text: str, value: object) -> None:
    assert parse_value(kind, text) == value


@pytest.mark.parametrize(
    ("value", "text"), [(True, "1\n"), (False, "0\n"), (6666, "6666\n"), ("", "\n"), ("eth0", "eth0\n")]
)
def test_a_value_is_written_with_its_newline(value: object, text: str) -> None:
    assert format_value(value) == text  # type: ignore[arg-type]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_new_target_is_read_with_all_that_its_kernel_has(profile: str) -> None:
    kernel = FakeKernel(profile)
    state = Configfs(files=kernel).create("log1")
    expected = {
        "dev_name": "eth0",
        "remote_ip": "0.0.0.0",
        "local_ip": "0.0.0.0",
        "remote_port": 6666,
        "local_port": 6665,
        "remote_mac": "ff:ff:ff:ff:ff:ff",
        "local_mac": "ff:ff:ff:ff:ff:ff",
        "extended": False,
        "enabled": False,
    }
    if kernel.profile.release_attribute:
        expected["release"] = False
    if kernel.profile.transmit_errors:
        expected["transmit_errors"] = 0
    if kernel.profile.switches:
        expected.update(
            dict.fromkeys(("cpu_nr_enabled", "taskname_enabled", "release_enabled", "msgid_enabled"), False)
        )
    assert dict(state.attributes) == expected
    assert state.userdata == ({} if kernel.profile.userdata_keys else None)


@pytest.mark.parametrize("text", ["192.0.2.300", "192.0.2", "garbage", "192.0.2.4/24"])
def test_misread_ipv4_text_is_noticed_on_kernels_that_take_everything(text: str) -> None:
    configfs = Configfs(files=FakeKernel("6.1"))
    configfs.create("log1")
    configfs.write("log1", "remote_ip", text)
    with pytest.raises(ConfigfsError, match="the kernel holds something else than was written: remote_ip"):
        configfs.verify("log1", attributes={"remote_ip": text})


@pytest.mark.parametrize(
    ("interface", "words"),
    [
        pytest.param(None, "there is no interface eth9", id="missing"),
        pytest.param(Interface(("192.0.2.9",), master="bond0"), "port of a bond", id="port of a bond"),
        pytest.param(Interface(("192.0.2.9",), netpoll=False), "no netpoll", id="driver without netpoll"),
        pytest.param(Interface(()), "no address", id="no address"),
    ],
)
def test_why_the_kernel_does_not_enable(interface: Interface | None, words: str) -> None:
    kernel = FakeKernel()
    if interface is not None:
        kernel.interfaces["eth9"] = interface
    configfs = Configfs(files=kernel)
    configfs.create("log1")
    configfs.write("log1", "dev_name", "eth9")
    with pytest.raises(ConfigfsError, match=words):
        configfs.enable("log1", dev_name="eth9")
    state = configfs.target("log1")
    assert state is not None and not state.enabled


def test_the_kernels_own_words_end_the_message() -> None:
    configfs = Configfs(files=FakeKernel())
    configfs.create("log1")
    with pytest.raises(ConfigfsError, match="The kernel's log says: netconsole: network logging has already stopped"):
        configfs.disable("log1")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM], ids=["EACCES", "EPERM"])
def test_who_is_not_root_is_told_so(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise OSError(number, os.strerror(number), path)

    kernel = FakeKernel()
    monkeypatch.setattr(kernel, "make_directory", refuse)
    with pytest.raises(ConfigfsError, match=r"does not take a target named log1: .*: this needs root \(become\)"):
        Configfs(files=kernel).create("log1")


def test_removing_takes_user_data_away_first() -> None:
    kernel = FakeKernel("6.12")
    configfs = Configfs(files=kernel)
    configfs.create("log1")
    configfs.write_userdata("log1", "rack", "a12")
    configfs.remove("log1")
    assert kernel.target_table == {}


def test_too_many_keys_of_user_data() -> None:
    configfs = Configfs(files=FakeKernel("6.12"))
    configfs.create("log1")
    for number in range(16):
        configfs.write_userdata("log1", f"k{number}", "v")
    with pytest.raises(ConfigfsError, match="holds no more keys"):
        configfs.write_userdata("log1", "k16", "v")


def test_a_host_without_netconsole_has_no_targets() -> None:
    assert Configfs(files=FakeKernel(loaded=False)).targets() == {}


def test_the_console_log_level_alone_is_written() -> None:
    kernel = FakeKernel()
    ConsoleLoglevel(files=kernel).write(5)
    assert kernel.printk == [5, 4, 1, 7]


@pytest.mark.parametrize(
    ("lockdown", "output", "words"),
    [
        pytest.param(
            "none integrity [confidentiality]\n",
            "modprobe: ERROR: could not insert 'netconsole': Key was rejected by service",
            "is not signed, and this kernel is locked down",
            id="locked down",
        ),
        pytest.param(
            "none [integrity] confidentiality\n",
            "modprobe: ERROR: could not insert 'netconsole': Operation not permitted",
            "the distribution's own kernel, whose modules are signed, or sign it",
            id="locked down, older kernel",
        ),
        pytest.param(
            "[none] integrity confidentiality\n", "Operation not permitted", "install the package", id="not locked down"
        ),
        pytest.param(None, "Operation not permitted", "install the package", id="no lockdown in this kernel"),
        pytest.param(
            "none [integrity] confidentiality\n", "Module netconsole not found", "install the package", id="not there"
        ),
    ],
)
def test_why_the_module_cannot_be_loaded(
    monkeypatch: pytest.MonkeyPatch, lockdown: str | None, output: str, words: str
) -> None:
    kernel = FakeKernel(loaded=False)
    if lockdown is not None:
        kernel.texts[LOCKDOWN] = lockdown
    monkeypatch.setattr(kernel, "run", lambda command: (1, output))
    with pytest.raises(ConfigfsError, match=words):
        Configfs(files=kernel).load()


def test_links_are_read_and_what_is_none_is_empty(tmp_path: Path) -> None:
    (tmp_path / "net").symlink_to("net:[4026531840]")
    assert Files().link(str(tmp_path / "net")) == "net:[4026531840]"
    assert Files().link(str(tmp_path / "missing")) == ""
