# Lines for the kernel's log: which level leaves the host, what is written, and why it cannot be.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import os

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._kmsg import (
    KmsgError,
    LogSwitches,
    Paths,
    read_switches,
    write_line,
)

NOTICE = 5


@pytest.fixture
def paths(tmp_path):
    """A host of Debian's defaults, with a file in the place of /dev/kmsg."""
    files = {
        "kmsg": "",
        "printk": "7\t4\t1\t7\n",
        "printk_devkmsg": "ratelimit\n",
        "ignore_loglevel": "N\n",
        "oops_only": "N\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    return Paths(**{name: str(tmp_path / name) for name in files})


@pytest.mark.parametrize(
    ("console_loglevel", "ignore_loglevel", "level"),
    [
        pytest.param(7, False, 5, id="default of Debian: notice"),
        pytest.param(15, False, 5, id="everything: notice all the same"),
        pytest.param(6, False, 5, id="notice just passes"),
        pytest.param(5, False, 4, id="warning"),
        pytest.param(4, False, 3, id="quiet: err"),
        pytest.param(3, False, 2, id="quiet of Ubuntu: crit"),
        pytest.param(2, False, 1, id="alert"),
        pytest.param(1, False, 0, id="emerg"),
        pytest.param(0, False, 5, id="nothing passes: notice"),
        pytest.param(1, True, 5, id="ignored"),
    ],
)
def test_choose_level(console_loglevel, ignore_loglevel, level):
    switches = LogSwitches(console_loglevel, ignore_loglevel, oops_only=False)
    assert switches.choose_level() == level
    assert switches.passes(level) is (console_loglevel > 0)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({}, LogSwitches(7, False, False), id="defaults"),
        pytest.param({"printk": "1 4 1 7\n"}, LogSwitches(1, False, False), id="level"),
        pytest.param({"ignore_loglevel": "Y\n"}, LogSwitches(7, True, False), id="ignore_loglevel"),
        pytest.param({"oops_only": "Y\n"}, LogSwitches(7, False, True), id="oops_only"),
        pytest.param({"oops_only": None}, LogSwitches(7, False, None), id="netconsole is not loaded"),
        pytest.param({"ignore_loglevel": None}, LogSwitches(7, False, False), id="no such parameter"),
    ],
)
def test_read_switches(paths, files, expected):
    for name, content in files.items():
        path = getattr(paths, name)
        os.remove(path)
        if content is not None:
            with open(path, "w", encoding="ascii") as stream:
                stream.write(content)
    assert read_switches(paths) == expected


def test_no_proc(paths):
    os.remove(paths.printk)
    with pytest.raises(KmsgError, match=r"cannot be read: No such file or directory\. Is this host a container"):
        read_switches(paths)


@pytest.mark.parametrize(("level", "prefix"), [(0, "<8>"), (5, "<13>"), (7, "<15>")])
def test_write_line(paths, level, prefix):
    assert write_line("text", level=level, paths=paths, clock=lambda: 12.5) == 12.5
    with open(paths.kmsg, encoding="ascii") as stream:
        assert stream.read() == f"{prefix}text\n"


@pytest.mark.parametrize("how", ["on\n", "ratelimit\n", None], ids=["on", "ratelimit", "older kernel"])
def test_user_space_may_write(paths, how):
    os.remove(paths.printk_devkmsg)
    if how is not None:
        with open(paths.printk_devkmsg, "w", encoding="ascii") as stream:
            stream.write(how)
    write_line("text", level=NOTICE, paths=paths)
    assert os.path.getsize(paths.kmsg) == len("<13>text\n")


def test_user_space_may_not_write(paths):
    with open(paths.printk_devkmsg, "w", encoding="ascii") as stream:
        stream.write("off\n")
    with pytest.raises(KmsgError, match=r"kernel\.printk_devkmsg is off"):
        write_line("text", level=NOTICE, paths=paths)
    assert os.path.getsize(paths.kmsg) == 0


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param(FileNotFoundError(2, "No such file"), "a container has no kernel of its own", id="no file"),
        pytest.param(PermissionError(13, "Permission denied"), "run as root", id="no permission"),
    ],
)
def test_cannot_be_opened(paths, monkeypatch, error, message):
    def refuse(path, flags):
        assert (path, flags) == (paths.kmsg, os.O_WRONLY)
        raise error

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(KmsgError, match=message):
        write_line("text", level=NOTICE, paths=paths)


def test_the_kernel_refuses(paths):
    with pytest.raises(KmsgError, match="the kernel does not take a line through /dev/full: No space left"):
        write_line("text", level=NOTICE, paths=dataclasses.replace(paths, kmsg="/dev/full"))
