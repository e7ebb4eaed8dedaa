# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The heartbeat: what is written at which level, when, and that nothing is due while it is off."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._heartbeat import Heartbeat, write_mark
from ansible_collections.fleet.netconsole.plugins.module_utils._kmsg import KmsgError, Paths

USER = 1 << 3  # the facility that a line from user space has


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A host of Debian's defaults, with a file in the place of /dev/kmsg."""
    files = {"kmsg": "", "printk": "7\t4\t1\t7\n", "printk_devkmsg": "ratelimit\n", "ignore_loglevel": "N\n"}
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="ascii")
    return Paths(**{name: str(tmp_path / name) for name in files}, oops_only=str(tmp_path / "none"))


def written(paths: Paths) -> str:
    """What was written since the last call."""
    text = Path(paths.kmsg).read_text(encoding="ascii")
    Path(paths.kmsg).write_text("", encoding="ascii")
    return text


@pytest.mark.parametrize(
    ("minutes", "console_loglevel", "line"),
    [
        pytest.param(5, 7, f"<{USER + 5}>netconsole-sender: heartbeat, every 5 min\n", id="notice"),
        pytest.param(90, 5, f"<{USER + 4}>netconsole-sender: heartbeat, every 90 min\n", id="warning"),
        pytest.param(1, 4, f"<{USER + 3}>netconsole-sender: heartbeat, every 1 min\n", id="err"),
        pytest.param(0, 7, f"<{USER + 5}>netconsole-sender: heartbeat, off\n", id="the last one"),
    ],
)
def test_a_mark_is_no_more_severe_than_it_must_be(paths: Paths, minutes: int, console_loglevel: int, line: str) -> None:
    Path(paths.printk).write_text(f"{console_loglevel} 4 1 7\n", encoding="ascii")
    write_mark(minutes, paths=paths)
    assert written(paths) == line


@pytest.mark.parametrize("console_loglevel", [3, 1, 0])
def test_no_mark_alarms_the_users(paths: Paths, console_loglevel: int) -> None:
    Path(paths.printk).write_text(f"{console_loglevel} 4 1 7\n", encoding="ascii")
    with pytest.raises(KmsgError, match=f"the console log level is {console_loglevel}.* has to be 4 or more"):
        write_mark(5, paths=paths)
    assert written(paths) == ""


def test_it_beats_at_once_and_then_at_its_distance(paths: Paths) -> None:
    heartbeat = Heartbeat(paths=paths)
    assert heartbeat.timeout(100.0) is None
    heartbeat.beat(100.0)
    assert written(paths) == ""
    heartbeat.declare(2, 100.0)
    assert heartbeat.timeout(100.0) == 0.0
    heartbeat.beat(100.0)
    assert written(paths) != ""
    assert heartbeat.timeout(100.0) == 120.0
    heartbeat.declare(2, 150.0)
    assert heartbeat.timeout(150.0) == 70.0, "the same declaration again changes nothing"
    heartbeat.beat(219.0)
    assert written(paths) == ""
    heartbeat.beat(220.0)
    assert written(paths) != ""
    heartbeat.declare(0, 230.0)
    assert heartbeat.timeout(230.0) is None


def test_a_failure_is_kept_until_a_mark_is_written(paths: Paths) -> None:
    heartbeat = Heartbeat(paths=paths)
    heartbeat.declare(1, 0.0)
    Path(paths.printk_devkmsg).write_text("off\n", encoding="ascii")
    heartbeat.beat(0.0)
    assert "kernel.printk_devkmsg is off" in heartbeat.failure
    assert heartbeat.timeout(0.0) == 60.0, "it tries again at its time, not at once"
    Path(paths.printk_devkmsg).write_text("on\n", encoding="ascii")
    heartbeat.beat(60.0)
    assert heartbeat.failure == ""
