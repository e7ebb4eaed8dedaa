# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service: runs against the model of the kernel, what it says, when it is ready, and the watcher's loop."""

from __future__ import annotations

import json
import signal
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Collection, Iterable

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils import _sender_main
from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import Configfs, ConsoleLoglevel
from ansible_collections.fleet.netconsole.plugins.module_utils._folder_watch import FolderWatch
from ansible_collections.fleet.netconsole.plugins.module_utils._kmsg import Paths
from ansible_collections.fleet.netconsole.plugins.module_utils._next_hop import NextHop, NextHopError
from ansible_collections.fleet.netconsole.plugins.module_utils._rtnetlink import Event
from ansible_collections.fleet.netconsole.plugins.module_utils._sender_files import checksum
from ansible_collections.fleet.netconsole.plugins.module_utils._sender_service import (
    BOOT_WAIT,
    NAME_SECONDS,
    NEIGHBOUR_SECONDS,
    Host,
    Names,
    Sender,
    ServiceError,
    Watcher,
    apply_once,
)
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_kernel import FakeKernel
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.test__reconcile import NETWORK

GATEWAY, MAC, OTHER_MAC = "192.0.2.1", "52:54:00:00:00:fe", "52:54:00:00:00:fd"
RECEIVER = "203.0.113.9"
DECLARATION: dict[str, Any] = {"targets": [{"name": "log1", "remote_ip": RECEIVER}], "console_loglevel": 6}


@dataclass
class Stage:
    """A host whose gateway, clock and declaration a test moves."""

    folder: Path
    kernel: FakeKernel = field(default_factory=FakeKernel)
    mac: str | None = MAC
    managed: bool = True
    now: float = 1000.0
    said: list[str] = field(default_factory=list)
    asked: list[tuple[str, str, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "kmsg").touch()
        (self.folder / "printk").write_text("7 4 1 7", encoding="ascii")

    def marks(self) -> list[str]:
        """What was written into the kernel's log since the last call."""
        lines = (self.folder / "kmsg").read_text(encoding="ascii").splitlines()
        (self.folder / "kmsg").write_text("", encoding="ascii")
        return lines

    def sender(self) -> Sender:
        host = Host(
            configfs=Configfs(files=self.kernel),
            console=ConsoleLoglevel(files=self.kernel),
            names=Names(lookup=lambda name, family=None: name, clock=lambda: self.now),
            host_network=lambda: replace(NETWORK, next_hop=self.next_hop, equal_next_hops=lambda hop: []),
            keep_fresh=self.keep_fresh,
            declaration_path=str(self.folder / "declaration.json"),
            status_path=str(self.folder / "status.json"),
            early_path=str(self.folder / "early.conf"),
            unit_path=str(self.folder / "unit"),
            kmsg=Paths(kmsg=str(self.folder / "kmsg"), printk=str(self.folder / "printk"), printk_devkmsg="/nowhere"),
            clock=lambda: self.now,
            wall_clock=lambda: 0.0,
            say=lambda level, line: self.said.append(f"{level}: {line}"),
        )
        return Sender(host, version="1")

    def next_hop(self, remote_ip: str, *, timeout: float, **given: Any) -> NextHop:
        assert timeout <= 1.0, "other targets wait meanwhile"
        if self.mac is None:
            raise NextHopError(f"the gateway {GATEWAY} does not answer")
        return NextHop(remote_ip, "eth0", "192.0.2.15", given.get("remote_mac") or self.mac, GATEWAY)

    def keep_fresh(self, address: str, dev_name: str, *, managed: bool) -> bool:
        self.asked.append((address, dev_name, managed))
        return managed and self.managed

    def declare(self, document: dict[str, Any]) -> None:
        (self.folder / "declaration.json").write_text(json.dumps(document), encoding="utf-8")

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "status.json").read_text(encoding="utf-8"))
        return found


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path)
    made.declare(DECLARATION)
    return made


def test_one_run_makes_it_so_and_says_what_and_why(stage: Stage) -> None:
    assert apply_once(stage.sender()) == 0
    assert stage.kernel.sends("log1")
    assert stage.said == [
        f"info: log1: made: sends to {RECEIVER}:6666 by eth0, source 192.0.2.15, next hop {GATEWAY} ({MAC})",
        "info: set console_loglevel from 7 to 6",
    ]


def test_the_reason_of_another_mac_is_the_gateway(stage: Stage) -> None:
    sender = stage.sender()
    sender.run()
    stage.said.clear()
    sender.run()
    assert stage.said == []
    stage.mac = OTHER_MAC
    sender.run()
    line = f"remote_mac {MAC} -> {OTHER_MAC} (the gateway {GATEWAY} has another MAC)"
    assert stage.said == [f"info: log1: {line}"]
    assert stage.status()["targets"][0]["last_change"] == {"time": "1970-01-01T00:00:00Z", "what": line}


def test_a_target_that_the_kernel_switched_off_is_put_right(stage: Stage) -> None:
    sender = stage.sender()
    sender.run()
    stage.kernel.target_table["log1"].enabled = False
    sender.run()
    assert stage.kernel.sends("log1")
    assert "log1: enabled (it was off" in stage.said[-1]


def test_a_failure_is_said_once_and_its_end_too(stage: Stage) -> None:
    sender = stage.sender()
    sender.run()
    stage.said.clear()
    stage.mac = None
    sender.run()
    sender.run()
    assert len(stage.said) == 1 and "log1: " in stage.said[0] and "does not answer" in stage.said[0]
    assert "log1 FAILS: " in sender.summary()
    assert stage.status()["targets"][0]["failure"] == sender.failures["log1"]
    assert stage.kernel.sends("log1"), "it stays as it was"
    stage.mac = MAC
    sender.run()
    assert stage.said[-1] == "info: log1: is as declared"
    assert sender.summary() == f"log1 sends to {RECEIVER}:6666 by eth0"


@pytest.mark.parametrize(
    ("profile", "change", "extra", "reason"),
    [
        pytest.param("7.2", "reboot", {"panic_capture": "require"}, "panic_capture is require", id="require"),
        pytest.param("7.2", "crash kernel", {"panic_capture": "set"}, "panic_capture is set", id="set"),
        pytest.param("6.1", "", {}, "or set missing_capability to warn", id="capability"),
        pytest.param("6.1", "not loaded", {}, "or set missing_capability to warn", id="capability at boot"),
    ],
)
def test_what_the_module_refuses_does_not_silence_a_host_that_has_changed(
    stage: Stage, profile: str, change: str, extra: dict[str, Any], reason: str, systemd
) -> None:
    stage.kernel = FakeKernel(profile, loaded=change != "not loaded")
    stage.kernel.panic = 10 if change == "reboot" else 0
    if change == "crash kernel":
        stage.kernel.texts["/sys/kernel/kexec_crash_loaded"] = "1\n"
    target = {**DECLARATION["targets"][0], "userdata": {} if extra else {"rack": "r1"}}
    stage.declare({**DECLARATION, "targets": [target], **extra})
    made, _listener = watcher(stage)
    assert stage.kernel.sends("log1")
    warned = [line for line in stage.said if reason in line]
    assert len(warned) == 1 and warned[0].startswith("warning: ")
    assert reason in stage.status()["failure"] and stage.status()["targets"][0]["failure"] is None
    assert made.timeout() is None, "nothing is tried again without an event"
    lines = systemd()
    assert lines[-1] == "READY=1" and reason in lines[0] and "log1 sends to" in lines[0]
    made.run()
    assert [line for line in stage.said if reason in line] == warned, "said once"
    assert apply_once(stage.sender(), wait=BOOT_WAIT, sleep=lambda seconds: pytest.fail("no boot waits for it")) == 1


def test_a_refusal_ends_with_its_cause(stage: Stage) -> None:
    stage.kernel = FakeKernel("7.2")
    stage.kernel.panic = 10
    stage.declare({**DECLARATION, "panic_capture": "require"})
    sender = stage.sender()
    sender.run()
    stage.kernel.panic = 0
    sender.run()
    assert (sender.refusal, stage.status()["failure"]) == ("", None)


def test_warnings_are_said_once_each(stage: Stage) -> None:
    stage.kernel = FakeKernel("7.2")
    stage.kernel.panic = 10
    sender = stage.sender()
    sender.run()
    sender.run()
    lines = [line for line in stage.said if "a panic of this host will not be received" in line]
    assert len(lines) == 1 and lines[0].startswith("warning: ")
    stage.kernel.panic = 20
    sender.run()
    assert len([line for line in stage.said if "kernel.panic is 20" in line]) == 1


def test_the_step_at_boot_tells_systemd_its_targets_too(stage: Stage, systemd) -> None:
    assert apply_once(stage.sender()) == 0
    assert systemd() == [f"STATUS=log1 sends to {RECEIVER}:6666 by eth0"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "missing or no JSON object: run the role", id="missing"),
        pytest.param("[]", "missing or no JSON object", id="no object"),
        pytest.param('{"targets": [{"name": "log1"}]}', "remote_ip is missing", id="wrong"),
    ],
)
def test_a_declaration_that_cannot_be_read_is_an_error(stage: Stage, content: str | None, reason: str) -> None:
    path = stage.folder / "declaration.json"
    path.unlink() if content is None else path.write_text(content, encoding="utf-8")
    with pytest.raises(ServiceError, match=reason):
        stage.sender().run()


def test_the_boot_step_waits_for_the_network_and_no_longer(stage: Stage) -> None:
    stage.mac = None
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        stage.now += seconds

    assert apply_once(stage.sender(), wait=BOOT_WAIT, sleep=sleep) == 1
    assert sum(pauses) == BOOT_WAIT
    stage.mac = MAC
    assert apply_once(stage.sender(), wait=BOOT_WAIT, sleep=sleep) == 0


@pytest.mark.parametrize(
    ("profile", "early", "anew"),
    [("6.1", True, True), ("6.1", False, False), ("6.12", True, False)],
    ids=["an old kernel", "without early boot", "a kernel that lets go"],
)
def test_targets_of_early_boot_are_taken_over(stage: Stage, profile: str, early: bool, anew: bool) -> None:
    ran: list[list[str]] = []

    class Kernel(FakeKernel):
        def run(self, command):
            ran.append(list(command))
            return 0, ""

    stage.kernel = Kernel(profile)
    if early:
        (stage.folder / "early.conf").write_text("options netconsole", encoding="utf-8")
    stage.sender().take_over()
    wanted = [["modprobe", "--remove", "netconsole"], ["modprobe", "--config=/dev/null", "netconsole"]]
    assert ran == (wanted if anew else [])


# -- names


def test_names_are_looked_up_again_and_survive_a_dead_server() -> None:
    now, answers, asked = [0.0], ["192.0.2.10"], []

    def lookup(name: str, *, family: int | None) -> str:
        asked.append(name)
        if not answers:
            raise NextHopError("no server")
        return answers[0]

    names = Names(lookup=lookup, clock=lambda: now[0])
    assert [names.resolve("log1"), names.resolve("log1")] == ["192.0.2.10"] * 2
    assert asked == ["log1"]
    now[0], answers[0] = NAME_SECONDS, "192.0.2.11"
    assert names.resolve("log1") == "192.0.2.11"
    now[0] *= 2
    answers.clear()
    assert names.resolve("log1") == "192.0.2.11"
    with pytest.raises(NextHopError):
        names.resolve("log2")


# -- the watcher


class FakeListener:
    def __init__(self) -> None:
        self.waiting: list[Event] = []
        self.lost = False
        self.filters: list[frozenset[str]] = []

    def read(self) -> tuple[list[Event], bool]:
        events, lost = self.waiting, self.lost
        self.waiting, self.lost = [], False
        return events, lost

    def hear_neighbours(self, addresses: Collection[str]) -> None:
        self.filters.append(frozenset(addresses))


class FakeFolders:
    """What is watched; ``meanwhile`` is done by another program just before the watch begins."""

    def __init__(self) -> None:
        self.watched: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def start(self, folders: Iterable[str]) -> None:
        self.meanwhile()
        self.meanwhile = lambda: None
        self.watched = list(folders)

    def stop(self) -> None:
        self.watched = []


NEW_MAC = Event("neighbour", False, index=2, family=4, address=GATEWAY, mac=OTHER_MAC)


def watcher(stage: Stage) -> tuple[Watcher, FakeListener]:
    listener = FakeListener()
    made = Watcher(stage.sender(), listener, FakeFolders())  # type: ignore[arg-type]
    made.run()
    return made, listener


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What systemd is told, read by calling it."""
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(str(tmp_path / "notify"))
    receiver.setblocking(False)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

    def told() -> list[str]:
        lines: list[str] = []
        while True:
            try:
                lines.append(receiver.recv(4096).decode())
            except BlockingIOError:
                return lines

    yield told
    receiver.close()


def test_it_is_ready_when_all_stand_and_then_sleeps_without_a_timer(stage: Stage, systemd) -> None:
    made, listener = watcher(stage)
    assert systemd() == [f"STATUS=log1 sends to {RECEIVER}:6666 by eth0", "READY=1"]
    assert made.timeout() is None
    assert listener.filters == [frozenset({GATEWAY, RECEIVER})]
    assert stage.asked == [(GATEWAY, "eth0", True)]


def test_a_new_mac_of_the_gateway_is_put_right_after_the_debounce(stage: Stage) -> None:
    made, listener = watcher(stage)
    stage.mac, stage.now = OTHER_MAC, stage.now + 60
    listener.waiting = [NEW_MAC]
    made.woken(listening=True)
    assert made.timeout() == pytest.approx(0.2)
    assert stage.kernel.target_table["log1"].remote_mac == MAC
    stage.now += 0.21
    made.woken(listening=False)
    assert stage.kernel.target_table["log1"].remote_mac == OTHER_MAC
    assert made.timeout() is None


def test_a_target_that_another_program_disables_is_put_right(stage: Stage) -> None:
    made, _listener = watcher(stage)
    root = "/sys/kernel/config/netconsole"
    assert made.folders.watched == [root, f"{root}/log1", f"{root}/log1/userdata"]  # type: ignore[attr-defined]
    stage.now += 60
    stage.kernel.target_table["log1"].enabled = False
    made.touched()
    made.woken(listening=False)
    assert made.timeout() == pytest.approx(0.2)
    stage.now += 0.21
    made.woken(listening=False)
    assert stage.kernel.sends("log1") and made.timeout() is None


@pytest.mark.parametrize("what", ["disabled", "removed"])
def test_what_another_program_does_between_run_and_watch_is_seen(stage: Stage, what: str) -> None:
    made, _listener = watcher(stage)

    def meddle() -> None:
        stage.kernel.target_table["log1"].enabled = False
        if what == "removed":
            del stage.kernel.target_table["log1"]

    made.folders.meanwhile = meddle  # type: ignore[attr-defined]
    made.run()
    stage.now += made.timeout() or 0
    made.woken(listening=False)
    assert stage.kernel.sends("log1") and made.timeout() is None


def test_a_failing_target_is_tried_again_no_sooner_for_it(stage: Stage) -> None:
    made, _listener = watcher(stage)
    stage.kernel.target_table["log1"].enabled = False
    stage.mac = None
    made.run()
    assert made.sender.failures and made.sender.is_as_left()
    stage.declare({"targets": [], "console_loglevel": 6})
    stage.kernel.is_mounted = False
    made.sender.failures = {"": "nothing can be done"}
    assert made.sender.is_as_left()


def test_two_programs_that_disagree_do_not_keep_each_other_busy(stage: Stage) -> None:
    made, _listener = watcher(stage)

    def meddle() -> None:
        stage.kernel.target_table["log1"].enabled = False

    for expected in (pytest.approx(0.5), None):
        made.folders.meanwhile = meddle  # type: ignore[attr-defined]
        stage.now += 60
        made.run()
        assert made.timeout() == expected


def test_a_folder_tells_of_what_others_do_in_it_and_not_after_the_end(tmp_path: Path) -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGIO, lambda number, _frame: told.append(number))
    try:
        watch = FolderWatch()
        watch.start([str(tmp_path), str(tmp_path / "missing")])
        (tmp_path / "made").mkdir()
        assert told
        (tmp_path / "file").touch()
        told.clear()
        (tmp_path / "file").write_text("0", encoding="ascii")
        assert told
        watch.stop()
        told.clear()
        (tmp_path / "file").write_text("1", encoding="ascii")
        assert not told
        watch.start([str(tmp_path)])
        watch.start([])
        (tmp_path / "made").rmdir()
        assert not told
    finally:
        signal.signal(signal.SIGIO, before)


def test_noise_does_nothing_and_lost_events_start_a_run(stage: Stage) -> None:
    made, listener = watcher(stage)
    stage.now += 60
    listener.waiting = [replace(NEW_MAC, mac=MAC)]
    made.woken(listening=True)
    assert made.timeout() is None
    listener.lost = True
    made.woken(listening=True)
    assert made.timeout() == pytest.approx(0.2)


def test_a_boot_is_held_up_for_a_bounded_time(stage: Stage, systemd) -> None:
    stage.mac = None
    made, _listener = watcher(stage)
    started = stage.now
    while "READY=1" not in systemd():
        timeout = made.timeout()
        assert timeout is not None and timeout <= 1.0
        stage.now += max(timeout, 0.01)
        made.woken(listening=False)
    assert stage.now - started == pytest.approx(BOOT_WAIT, abs=1.0)
    waits = []
    for _number in range(12):
        timeout = made.timeout()
        assert timeout is not None
        waits.append(timeout)
        stage.now += timeout
        made.woken(listening=False)
        systemd()
    assert waits == sorted(waits) and waits[-1] == 300.0


@pytest.mark.parametrize(
    ("managed", "receiver", "timeout"),
    [
        pytest.param(True, RECEIVER, None, id="the kernel keeps the next hop fresh"),
        pytest.param(False, RECEIVER, NEIGHBOUR_SECONDS, id="an older kernel"),
        pytest.param(True, "log1.example.com", NAME_SECONDS, id="a receiver by name"),
    ],
)
def test_timers_are_only_there_where_needed(stage: Stage, managed: bool, receiver: str, timeout: float | None) -> None:
    stage.managed = managed
    stage.declare({"targets": [{"name": "log1", "remote_ip": receiver}]})
    sender = stage.sender()
    sender.host.names.lookup = lambda name, family=None: RECEIVER
    made = Watcher(sender, FakeListener(), FakeFolders())  # type: ignore[arg-type]
    made.run()
    assert made.timeout() == timeout


def test_a_fixed_mac_is_no_business_of_the_neighbour_table(stage: Stage) -> None:
    stage.declare({"targets": [{"name": "log1", "remote_ip": RECEIVER, "remote_mac": MAC}]})
    watcher(stage)
    assert stage.asked == []


def test_the_kernel_is_relieved_of_a_next_hop_that_is_no_longer_one(stage: Stage) -> None:
    made, _listener = watcher(stage)
    made.sender.freshen(managed=False)
    assert stage.asked == [(GATEWAY, "eth0", True), (GATEWAY, "eth0", False)]


# -- the command


def test_the_heartbeat_begins_when_the_targets_stand_and_wakes_for_nothing_else(stage: Stage, systemd) -> None:
    stage.declare({**DECLARATION, "heartbeat": 5})
    stage.mac = None
    made, _listener = watcher(stage)
    assert stage.marks() == []
    stage.mac, stage.now = MAC, stage.now + 1
    made.woken(listening=False)
    assert stage.marks() == ["<13>netconsole-sender: heartbeat, every 5 min"]
    assert made.timeout() == 300.0
    runs = len(systemd())
    stage.now += 300
    made.woken(listening=False)
    assert len(stage.marks()) == 1 and runs and systemd() == [], "a mark is no run"
    stage.declare(DECLARATION)
    made.run()
    assert made.timeout() is None and stage.marks() == []


def test_a_heartbeat_that_cannot_be_written_is_said_once(stage: Stage) -> None:
    stage.declare({**DECLARATION, "heartbeat": 5})
    (stage.folder / "printk").write_text("3 4 1 7", encoding="ascii")
    made, _listener = watcher(stage)
    stage.now += 300
    made.woken(listening=False)
    assert stage.marks() == [] and [line for line in stage.said if "no heartbeat" in line] == [
        "warning: no heartbeat: the console log level is 3, and only messages of a lower number are sent: it has to be "
        "4 or more"
    ]


def test_the_service_says_what_it_runs_with_and_a_call_by_hand_does_not(stage: Stage) -> None:
    (stage.folder / "unit").write_bytes(b"[Service]\n")
    service = stage.sender()
    service.serve()
    service.run()
    declared = (stage.folder / "declaration.json").read_bytes()
    expected = {
        "version": "1",
        "unit_checksum": checksum(b"[Service]\n"),
        "declaration_checksum": checksum(declared),
    }
    (stage.folder / "unit").write_bytes(b"[Service]\nNice=1\n")
    stage.declare({"targets": []})
    stage.sender().run()
    status = stage.status()
    assert status["targets"] == [] and {key: status[key] for key in expected} == expected
    service.run()
    assert stage.status()["declaration_checksum"] == checksum((stage.folder / "declaration.json").read_bytes())
    assert stage.status()["unit_checksum"] == expected["unit_checksum"], "a unit is taken up by a start only"


def test_status_shows_declared_and_shown(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    sender = stage.sender()
    sender.serve()
    sender.run()
    monkeypatch.setattr(_sender_main, "DECLARATION", sender.host.declaration_path)
    monkeypatch.setattr(_sender_main, "STATUS", sender.host.status_path)
    monkeypatch.setattr(_sender_main, "Configfs", lambda: Configfs(files=stage.kernel))
    assert _sender_main.main(["status", "--json"], version="2") == 0
    found = json.loads(capsys.readouterr().out)
    target = found["targets"][0]
    assert (found["running_version"], found["version"], target["enabled"], target["next_hop"]) == (
        "1",
        "2",
        True,
        GATEWAY,
    )
    assert (target["declared"]["remote_ip"], target["shown"]["remote_mac"], target["failure"]) == (RECEIVER, MAC, None)
    stage.mac = None
    sender.run()
    assert _sender_main.main(["status"], version="2") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"log1: sends to {RECEIVER}:6666 by eth0"
    assert any("FAILS" in line and "does not answer" in line for line in lines)


@pytest.mark.parametrize("words", [[], ["apply", "now"], ["status", "--yaml"]])
def test_other_words_show_the_usage(words: list[str], capsys) -> None:
    assert _sender_main.main(words, version="1") == 2
    assert capsys.readouterr().err.startswith("usage: netconsole-sender")
