# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a sender leaves on its host: planned, written, repeated, taken away, killed in between."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from functools import lru_cache
from typing import Any, Mapping, Sequence

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils import _node_service
from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import Value
from ansible_collections.fleet.netconsole.plugins.module_utils._early import (
    DRACUT,
    HOOK,
    RULE,
    STAMP,
    early_entries,
    regeneration,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._engine_archive import archive, engine_sources
from ansible_collections.fleet.netconsole.plugins.module_utils._node_files import Entry, NodeError
from ansible_collections.fleet.netconsole.plugins.module_utils._node_service import (
    NodePlan,
    end,
    forget,
    no_early,
    plan_absent,
    plan_present,
    remember,
    stop_service,
    tell_systemd,
    unit_text,
    write_files,
)
from ansible_collections.fleet.netconsole.plugins.module_utils._sender_files import (
    BEFORE,
    COMMAND,
    DECLARATION,
    EARLY_PARAMETER,
    ENGINE,
    SERVICE,
    STATUS,
    UNIT,
    WANTED,
    checksum,
)
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_node import FakeNode, FakeSystemd

DOCUMENT: dict[str, Any] = {"targets": [{"name": "log1", "remote_ip": "192.0.2.10"}]}
OTHER: dict[str, Any] = {"targets": []}
SHOW = ("systemctl", "show", SERVICE, "--property=ActiveState,NeedDaemonReload")
RELOAD, RESTART, TAKE_UP, STOP = (
    ("systemctl", "daemon-reload"),
    ("systemctl", "restart", SERVICE),
    ("systemctl", "reload", SERVICE),
    ("systemctl", "stop", SERVICE),
)
UPDATE = ("update-initramfs", "-u", "-k", "all")
ATTRIBUTES: dict[str, Value] = {
    "enabled": True,
    "dev_name": "eth1",
    "remote_ip": "192.0.2.10",
    "local_ip": "192.0.2.15",
    "remote_port": 6666,
    "local_port": 6665,
    "remote_mac": "52:54:00:00:00:01",
    "extended": True,
}


@lru_cache(maxsize=None)
def archive_of(sources: tuple[tuple[str, str], ...]) -> bytes:
    return archive(dict(sources))


@lru_cache(maxsize=None)
def sources() -> dict[str, str]:
    return engine_sources()


@pytest.fixture(autouse=True)
def archive_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's archive is the real one, but equal sources are compiled only once for all tests."""

    def remembered(sources: Mapping[str, str]) -> bytes:
        return archive_of(tuple(sorted(sources.items())))

    monkeypatch.setattr(_node_service, "archive", remembered)
    monkeypatch.setattr(_node_service, "engine_sources", sources)


def node(*, active: str = "inactive") -> FakeNode:
    made = FakeNode()
    made.answers = dict.fromkeys((RELOAD, RESTART, TAKE_UP, STOP, UPDATE), (0, ""))
    made.answers[SHOW] = (0, f"ActiveState={active}\nNeedDaemonReload=no")
    return made


def present(
    files: FakeNode, document: dict[str, Any] | None = None, *, watch: bool = True, early: list[Entry] | None = None
) -> NodePlan:
    return plan_present(
        document or DOCUMENT,
        watch=watch,
        files=files,
        early=no_early() if early is None else early,
        python="/usr/bin/python3",
    )


def carry_out(planned: NodePlan, files: FakeNode) -> None:
    """In the module's order; what is done to the live kernel comes after what was before is written down."""
    stop_service(planned, files=files)
    if any(change.after.path == BEFORE and change.after.present for change in planned.changes):
        remember(planned, files=files)
    write_files(planned, files=files)
    tell_systemd(planned, files=files)
    if planned.folders:
        end(planned, files=files)


def installed(*, active: str = "active", early: list[Entry] | None = None) -> FakeNode:
    files = node()
    if early is not None:
        with_initramfs_tools(files)
    carry_out(present(files, early=early), files)
    files.answers[SHOW] = (0, f"ActiveState={active}\nNeedDaemonReload=no")
    files.ran.clear()
    return files


def program(files: FakeNode, path: str, content: bytes = b"") -> None:
    files.entries[path] = Entry(path, content=content)


def with_initramfs_tools(files: FakeNode) -> FakeNode:
    program(files, "/usr/sbin/update-initramfs", b"if mkinitramfs ${OPTS}")
    files.entries["/sys/class/net/eth1/device/driver/module"] = Entry("", link="../../../module/e1000")
    return files


def test_a_fresh_host_gets_everything() -> None:
    files = node()
    planned = present(files)
    assert [change.after.path for change in planned.changes] == [BEFORE, ENGINE, COMMAND, DECLARATION, UNIT, WANTED]
    assert planned.commands == (RELOAD, RESTART)
    assert files.entries == {}
    carry_out(planned, files)
    assert files.entries[ENGINE].mode == 0o755
    assert files.entries[WANTED].link == UNIT


def test_a_second_run_changes_nothing_and_asks_systemd_once() -> None:
    files = installed()
    assert not present(files).changed
    assert files.ran == [SHOW]


@pytest.mark.parametrize(
    ("change", "commands"),
    [
        pytest.param({"document": OTHER}, (TAKE_UP,), id="another declaration"),
        pytest.param({"watch": False}, (RELOAD, RESTART), id="the boot step only"),
    ],
)
def test_systemd_is_told_what_is_needed(change: dict[str, Any], commands: tuple[tuple[str, ...], ...]) -> None:
    assert present(installed(), **change).commands == commands


@pytest.mark.parametrize(
    ("path", "commands"),
    [
        pytest.param(ENGINE, (RESTART,), id="engine"),
        pytest.param(UNIT, (RELOAD, RESTART), id="unit"),
        pytest.param(WANTED, (RELOAD,), id="link"),
        pytest.param(DECLARATION, (TAKE_UP,), id="declaration"),
        pytest.param(COMMAND, (), id="command"),
    ],
)
@pytest.mark.parametrize("damage", ["gone", "changed", "mode"])
def test_what_somebody_changed_comes_back(path: str, damage: str, commands: tuple[tuple[str, ...], ...]) -> None:
    files = installed()
    entry = files.entries[path]
    damaged = {
        "gone": Entry(path),
        "changed": replace(entry, link="/nowhere") if entry.link else replace(entry, content=b"x"),
        "mode": replace(entry, link=None, content=b"x", mode=0o600),
    }[damage]
    files.entries[path] = damaged
    planned = present(files)
    assert [change.after.path for change in planned.changes] == [path]
    assert planned.commands == commands


@pytest.mark.parametrize("state", ["inactive", "failed", "deactivating"])
def test_a_service_that_is_not_active_is_started(state: str) -> None:
    assert present(installed(active=state)).commands == (RESTART,)


def test_a_service_of_an_older_engine_is_restarted() -> None:
    files = installed()
    files.documents[STATUS] = {"version": "0"}
    assert present(files).commands == (RESTART,)


def test_a_unit_that_systemd_has_not_loaded_is_loaded_and_started() -> None:
    files = installed()
    files.answers[SHOW] = (0, "ActiveState=active\nNeedDaemonReload=yes")
    assert present(files).commands == (RELOAD, RESTART)


def test_a_host_without_systemd_is_refused() -> None:
    with pytest.raises(NodeError, match=r"persist needs systemd, .* set persist to false"):
        plan_present(DOCUMENT, watch=True, files=FakeNode(folders=()))


def test_systemd_that_fails_is_quoted() -> None:
    files = node()
    files.answers[RESTART] = (1, "Job failed")
    with pytest.raises(NodeError, match=r"Job failed.*journalctl -u netconsole-sender"):
        carry_out(present(files), files)


def test_absent_takes_everything_away_and_stops_first() -> None:
    files = installed()
    planned = plan_absent(files=files)
    carry_out(planned, files)
    assert files.entries == {}
    assert [command for command in files.ran if command[1] != "show"] == [STOP, RELOAD]
    assert files.folders.isdisjoint({"/etc/netconsole-sender", "/usr/local/lib/netconsole-sender"})


def test_absent_on_a_fresh_host_asks_nobody() -> None:
    files = node()
    assert not plan_absent(files=files).changed
    assert files.ran == []


def host(state: str) -> FakeSystemd:
    """A host on which nothing is owed."""
    files = FakeSystemd()
    if state == "fresh":
        return files
    carry_out(present(files, OTHER if state == "other declaration" else DOCUMENT, watch=state != "step at boot"), files)
    if state == "other unit":
        files.entries[UNIT] = replace(files.entries[UNIT], content=b"[Service]\n")
        files.loaded = b"[Service]\n"
        files.run(RESTART, timeout=1)
    if state == "other engine":
        files.entries[ENGINE] = replace(files.entries[ENGINE], content=archive_of((("_sender_main", ""),)))
        files.run(RESTART, timeout=1)
    files.steps = 0
    files.ran.clear()
    return files


STATES = ("fresh", "other declaration", "other unit", "other engine", "step at boot", "watched")
DEATHS = tuple(range(11))


def killed(state: str, death: int, *, watch: bool | None) -> FakeSystemd:
    """A host after a run that was killed before its write or command number ``death``; no watch: of state absent."""
    files = host(state)
    files.steps_until_death = death
    with contextlib.suppress(KeyboardInterrupt):
        carry_out(plan_absent(files=files) if watch is None else present(files, watch=watch), files)
    files.steps_until_death = None
    return files


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("watch", [True, False], ids=["watch", "once"])
@pytest.mark.parametrize("state", STATES)
def test_a_run_that_was_killed_is_ended_by_the_next(state: str, watch: bool, death: int) -> None:
    files = killed(state, death, watch=watch)
    carry_out(present(files, watch=watch), files)
    written = files.as_written()
    assert written.unit == files.loaded == unit_text(watch=watch, python="/usr/bin/python3").encode()
    assert files.running is not None
    if watch:
        assert files.running == written
    else:  # nothing of it stays in memory: the next boot takes what is there
        assert files.running.unit == written.unit
    assert not present(files, watch=watch).changed


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("state", STATES)
def test_absent_that_was_killed_is_ended_by_the_next(state: str, death: int) -> None:
    files = killed(state, death, watch=None)
    carry_out(plan_absent(files=files), files)
    assert (files.entries, files.running, files.loaded) == ({}, None, None)
    assert not plan_absent(files=files).changed


def test_the_kills_are_as_many_as_there_are_steps() -> None:
    for state in STATES:
        for watch in (True, False, None):
            files = killed(state, max(DEATHS), watch=watch)
            assert files.steps < max(DEATHS), (state, watch)


def test_what_was_before_is_known_from_the_first_step_to_the_last() -> None:
    files, before = FakeSystemd(), {"netconsole_loaded": False}
    planned = plan_present(DOCUMENT, watch=True, files=files, before=before, python="/usr/bin/python3")
    remember(planned, files=files)
    assert [path for path, entry in files.entries.items() if entry.present] == [BEFORE]
    assert json.loads(files.entries[BEFORE].text()) == before
    carry_out(planned, files)
    gone = plan_absent(files=files)
    stop_service(gone, files=files)
    write_files(gone, files=files)
    tell_systemd(gone, files=files)
    assert list(files.entries) == [BEFORE], "the module is not unloaded yet"
    assert plan_absent(files=files).changed
    end(gone, files=files)
    assert not files.entries and not plan_absent(files=files).changed


def test_what_was_before_is_forgotten_when_nothing_was_changed() -> None:
    files = node()
    planned = present(files)
    remember(planned, files=files)
    forget(planned, files=files)
    assert files.entries == {} and "/etc/netconsole-sender" not in files.folders
    known = installed()
    files.entries[BEFORE] = kept = known.entries[BEFORE]
    forget(present(files), files=files)
    assert files.entries == {BEFORE: kept}, "that of an earlier run stays"


def test_a_reload_that_failed_is_made_good_by_the_next_run() -> None:
    files = host("other declaration")
    running, files.running = files.running, None
    planned = replace(present(files), commands=(TAKE_UP,))
    with pytest.raises(NodeError, match="is not active, cannot reload"):
        carry_out(planned, files)
    files.running = running
    files._tell()
    assert present(files).commands == (TAKE_UP,)


def test_a_reload_is_waited_for() -> None:
    files = installed()
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            files.documents[STATUS]["declaration_checksum"] = checksum(files.entries[DECLARATION].content or b"")

    files.sleep = sleep  # type: ignore[method-assign]
    files.documents[STATUS] = {"declaration_checksum": "0"}
    tell_systemd(NodePlan(commands=(TAKE_UP,)), files=files)
    assert pauses == [0.1] * 3
    files.documents[STATUS] = {"declaration_checksum": "0"}
    with pytest.raises(NodeError, match="has not taken up the declaration within 30 seconds"):
        tell_systemd(NodePlan(commands=(TAKE_UP,)), files=files)


def early(files: FakeNode) -> list[Entry]:
    return early_entries([ATTRIBUTES], files=files)


def test_early_boot_has_the_parameter_the_rule_and_the_driver() -> None:
    files = installed(early=early(with_initramfs_tools(node())))
    assert (
        'options netconsole netconsole="+6665@192.0.2.15/eth1,6666@192.0.2.10/52:54:00:00:00:01"\n'
        in files.entries[EARLY_PARAMETER].text()
    )
    assert files.entries[RULE].text().count("eth1") == 2
    assert "manual_add_modules netconsole e1000\n" in files.entries[HOOK].text()
    assert DRACUT not in files.entries
    assert not present(files, early=early(files)).changed


@pytest.mark.parametrize("writes", range(9))
def test_the_initramfs_is_made_anew_even_after_a_run_that_was_killed(writes: int) -> None:
    files = with_initramfs_tools(node())
    wanted = early(files)
    files.writes_until_death = writes
    with pytest.raises(KeyboardInterrupt):
        carry_out(present(files, early=wanted), files)
    files.writes_until_death = None
    carry_out(present(files, early=wanted), files)
    assert UPDATE in files.ran
    assert STAMP in files.entries


def test_the_initramfs_loses_it_too() -> None:
    files = installed(early=early(with_initramfs_tools(node())))
    planned = present(files)
    assert planned.initramfs == UPDATE
    carry_out(planned, files)
    assert {EARLY_PARAMETER, RULE, HOOK, STAMP}.isdisjoint(files.entries)


def test_absent_cleans_the_initramfs() -> None:
    files = installed(early=early(with_initramfs_tools(node())))
    carry_out(plan_absent(files=files), files)
    assert [command for command in files.ran if command[1] != "show"] == [STOP, RELOAD, UPDATE]
    assert set(files.entries) == set(with_initramfs_tools(node()).entries)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        pytest.param({"dev_name": "bond0"}, "bond0 is no interface of the hardware", id="bond"),
        pytest.param({"enabled": False}, "early needs a target that is enabled", id="disabled"),
    ],
)
def test_early_is_refused(attributes: dict[str, Any], reason: str) -> None:
    with pytest.raises(NodeError, match=reason):
        early_entries([{**ATTRIBUTES, **attributes}], files=with_initramfs_tools(node()))


@pytest.mark.parametrize(
    ("programs", "command"),
    [
        pytest.param({"/usr/bin/dracut": b""}, ("dracut", "--force", "--regenerate-all"), id="dracut"),
        pytest.param({"/usr/sbin/dracut": b""}, ("dracut", "--force", "--regenerate-all"), id="in-sbin"),
        pytest.param(
            {"/usr/bin/dracut": b"", "/usr/sbin/update-initramfs": b"if dracut ${OPTS} --force"},
            UPDATE,
            id="from-107-on",
        ),
    ],
)
def test_dracut_gets_a_configuration(programs: dict[str, bytes], command: Sequence[str]) -> None:
    files = node()
    files.folders.add("/sys/class/net/eth1/device")
    for path, content in programs.items():
        program(files, path, content)
    wanted = early(files)
    found = {entry.path: entry.text() for entry in wanted if entry.present}
    assert set(found) == {EARLY_PARAMETER, RULE, DRACUT}
    assert 'add_drivers+=" netconsole "' in found[DRACUT]
    assert regeneration(wanted, files=files) == command


def test_initramfs_tools_is_used_beside_the_core_of_dracut() -> None:
    files = with_initramfs_tools(node())
    program(files, "/usr/bin/dracut")
    wanted = early(files)
    assert {entry.path for entry in wanted if entry.present} == {EARLY_PARAMETER, RULE, HOOK}
    assert regeneration(wanted, files=files) == UPDATE


@pytest.mark.parametrize("watch", [True, False], ids=["watch", "once"])
def test_the_unit_is_one_that_systemd_reads(watch: bool) -> None:
    lines = unit_text(watch=watch, python="/usr/bin/python3").splitlines()
    assert [line for line in lines if line.startswith("ExecStart=")] == [
        f"ExecStart=/usr/bin/python3 -I -S {ENGINE} {'watch' if watch else 'apply --wait'}"
    ]
    assert all("=" in line or line.startswith(("[", "#")) or not line for line in lines)


def test_an_interpreter_in_a_home_folder_can_be_read() -> None:
    assert "ProtectHome=read-only" in unit_text(watch=True, python="/root/venv/bin/python")
