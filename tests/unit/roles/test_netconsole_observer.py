# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The observer of a receiver: what it counts, what it takes for trouble, and that it loses no line of the store."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "roles" / "netconsole_receiver" / "files" / "netconsole_observer.py"

spec = importlib.util.spec_from_file_location("netconsole_observer", PROGRAM)
observer_module = importlib.util.module_from_spec(spec)
sys.modules["netconsole_observer"] = observer_module
spec.loader.exec_module(observer_module)

Numbers, Observer, event_of = observer_module.Numbers, observer_module.Observer, observer_module.event_of


def record(message="a line", **fields):
    """A line of the store as a collector writes it."""
    return {
        "received": "2026-11-23T07:45:23.102565+00:00",
        "host": "web1",
        "source": "192.0.2.11",
        "format": "extended",
        "facility": 0,
        "level": 6,
        "level_name": "info",
        "message": message,
        **fields,
    }


class Receiver:
    """A store that a test appends to, the observer that reads it, and a clock that the test moves."""

    def __init__(self, folder):
        self.folder, self.now, self.said = folder, 0.0, []
        self.restart()

    def restart(self):
        self.observer = Observer(
            str(self.folder), state=str(self.folder / "state"), say=self.said.append, clock=lambda: self.now
        )

    def append(self, *records, name="web1"):
        path = self.folder / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(one) + "\n" for one in records)

    def sender(self, name="web1"):
        return self.observer.senders[name]

    def crash(self, suffix=".json"):
        (path,) = (self.folder / "crashes").glob(f"*{suffix}")
        return path.read_text(encoding="utf-8")


@pytest.fixture
def receiver(tmp_path):
    receiver = Receiver(tmp_path)
    receiver.observer.round()
    return receiver


@pytest.mark.parametrize(
    ("numbers", "missing", "late"),
    [
        pytest.param([1, 2, 3], 0, 0, id="in order"),
        pytest.param([7, 8, 12], 3, 0, id="three are missing"),
        pytest.param([1, 3, 2, 4], 0, 1, id="two turned round"),
        pytest.param([1, 5, 3, 4, 2, 6], 0, 3, id="all came late"),
        pytest.param([1, 5, 3, 3, 6], 2, 1, id="one came late, and twice"),
        pytest.param([1, 1, 1, 2], 0, 0, id="the same again, by a second target"),
    ],
)
def test_what_is_missing_of_a_counter(numbers, missing, late):
    counter = Numbers()
    for number in numbers:
        counter.take(number)
    assert (counter.missing, counter.late) == (missing, late)


def test_ranges_are_bounded():
    counter = Numbers()
    for number in range(0, 4000, 2):
        counter.take(number)
    assert len(counter.gaps) == Numbers.REMEMBERED and counter.missing == 1999


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Kernel panic - not syncing: sysrq triggered crash", "panic"),
        ("BUG: kernel NULL pointer dereference, address: 0000000000000000", "oops"),
        ("BUG: unable to handle page fault for address: ffffffffc0000000", "oops"),
        ("Oops: 0002 [#1] PREEMPT SMP NOPTI", "oops"),
        ("Internal error: Oops: 0000000096000045 [#1] SMP", "oops"),
        ("Unable to handle kernel paging request at virtual address dead000000000108", "oops"),
        ("general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] SMP", "oops"),
        ("kernel BUG at mm/slub.c:448!", "oops"),
        ("INFO: task kworker/u8:2:131 blocked for more than 120 seconds.", "hung_task"),
        ("INFO: task jbd2/dm-0-8:412 blocked in I/O wait for more than 122 seconds.", "hung_task"),
        ("watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [stress:2012]", "lockup"),
        ("BUG: soft lockup - CPU#1 stuck for 22s! [insmod:77]", "lockup"),
        ("BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 44s!", "lockup"),
        ("NMI watchdog: Watchdog detected hard LOCKUP on cpu 3", "lockup"),
        ("watchdog: Watchdog detected hard LOCKUP on cpu 3", "lockup"),
        ("rcu: INFO: rcu_preempt self-detected stall on CPU", "lockup"),
        ("rcu: INFO: rcu_sched detected stalls on CPUs/tasks:", "lockup"),
        ("mce: [Hardware Error]: Machine check events logged", "mce"),
        ("Out of memory: Killed process 1234 (java) total-vm:8192kB", "oom"),
        ("Memory cgroup out of memory: Killed process 77 (stress)", "oom"),
        ("usb 1-1: new high-speed USB device number 2", None),
        ("EXT4-fs (vda): mounted filesystem", None),
    ],
)
def test_what_is_trouble(message, kind):
    assert event_of(record(message)) == kind
    assert event_of(record(message, facility=None)) == kind


def test_what_a_program_wrote_to_kmsg_is_no_trouble():
    assert event_of(record("Kernel panic - not syncing: a joke", facility=1)) is None


def test_figures_of_a_sender(receiver):
    receiver.append(
        record(sequence=10, kernel_time=1.0, userdata={"msgid": "0"}),
        record(sequence=12, kernel_time=1.5, userdata={"msgid": "1"}, level_name="err"),
        record(sequence=15, kernel_time=2.0, userdata={"msgid": "4"}),
        record(sequence=14, kernel_time=1.9, userdata={"msgid": "3"}),
    )
    assert receiver.observer.round() == 4
    sender = receiver.sender()
    assert sender.levels == {"info": 3, "err": 1}
    assert (sender.sequence.missing, sender.sequence.late) == (2, 1)
    assert (sender.msgid.missing, sender.msgid.late) == (1, 1)
    assert sender.last_seen == pytest.approx(1795419923.102565, abs=0.001)
    assert sender.boots == 0


@pytest.mark.parametrize(
    ("records", "boots"),
    [
        pytest.param([(500, 90.0), (0, 0.0), (1, 0.1)], 1, id="extended, from the start"),
        pytest.param([(500, 90.0), (260, 3.0), (261, 3.1)], 1, id="extended, from later on"),
        pytest.param([(500, 90.0), (520, 95.0), (510, 92.0)], 0, id="extended, late"),
        pytest.param([(500, 90.0), (500, 90.0)], 0, id="extended, twice"),
        pytest.param([(None, 90.0), (None, 0.5), (None, 0.7)], 1, id="legacy"),
        pytest.param([(None, 90.0), (None, 89.9), (None, 90.1)], 0, id="legacy, turned round"),
    ],
)
def test_boots(receiver, records, boots):
    for sequence, kernel_time in records:
        receiver.append(record(kernel_time=kernel_time, **({} if sequence is None else {"sequence": sequence})))
    receiver.observer.round()
    assert receiver.sender().boots == boots


def test_a_boot_is_no_loss(receiver):
    receiver.append(record(sequence=500, kernel_time=90.0, userdata={"msgid": "70"}))
    receiver.append(record(sequence=3, kernel_time=0.5, userdata={"msgid": "0"}))
    receiver.append(record(sequence=4, kernel_time=0.6, userdata={"msgid": "1"}))
    receiver.observer.round()
    assert (receiver.sender().sequence.missing, receiver.sender().msgid.missing) == (0, 0)


def test_a_panic_becomes_one_record_with_what_came_before(receiver):
    receiver.append(*(record(f"before {number}", kernel_time=100.0 + number) for number in range(150)))
    receiver.observer.round()
    receiver.append(record("BUG: kernel NULL pointer dereference, address: 0", kernel_time=300.0), record("CPU: 0 PID: 1"))
    receiver.observer.round()
    receiver.append(record("Kernel panic - not syncing: Fatal exception"), record("---[ end Kernel panic - not syncing ]---"))
    receiver.observer.round()
    crash = json.loads(receiver.crash())
    assert (crash["host"], crash["kind"], crash["kinds"], crash["complete"]) == ("web1", "panic", ["oops", "panic"], True)
    assert crash["lines_before"] == 100 and crash["lines"][0]["message"] == "before 50"
    assert [line["message"] for line in crash["lines"][100:]] == [
        "BUG: kernel NULL pointer dereference, address: 0",
        "CPU: 0 PID: 1",
        "Kernel panic - not syncing: Fatal exception",
        "---[ end Kernel panic - not syncing ]---",
    ]
    assert "[  300.000000] BUG: kernel NULL pointer dereference, address: 0\nCPU: 0 PID: 1\n" in receiver.crash(".log")
    assert receiver.sender().crashes == 1 and receiver.observer.crashes == {}


def test_an_oops_ends_with_silence(receiver):
    receiver.append(record("Oops: 0000 [#1] SMP"))
    receiver.observer.round()
    receiver.now += 5
    receiver.append(record("RIP: 0010:foo+0x1/0x2"))
    receiver.observer.round()
    receiver.now += 9
    receiver.observer.round()
    assert receiver.observer.crashes
    receiver.now += 2
    receiver.observer.round()
    crash = json.loads(receiver.crash())
    assert crash["complete"] is False and len(crash["lines"]) == 2


def test_an_unknown_sender_cannot_name_a_folder(receiver):
    receiver.append(record("Oops: 0000 [#1] SMP", host="../../etc"), name="unknown/192.0.2.99")
    receiver.observer.round()
    receiver.now += 60
    receiver.observer.round()
    assert [path.name for path in (receiver.folder / "crashes").glob("*.log")] == ["unknown-192.0.2.99-20261123T074523Z.log"]


def test_what_was_there_at_the_very_first_start_is_not_news(tmp_path):
    receiver = Receiver(tmp_path)
    receiver.append(record("Oops: 0000 [#1] SMP"))
    assert receiver.observer.round() == 0
    receiver.append(record(), name="web2")
    assert receiver.observer.round() == 1


def test_rotation_by_renaming_loses_nothing(receiver):
    path = receiver.folder / "web1.jsonl"
    receiver.append(record(sequence=1))
    receiver.observer.round()
    receiver.append(record(sequence=2))
    path.rename(receiver.folder / "web1.jsonl.1")
    receiver.append(record(sequence=3))
    assert receiver.observer.round() == 2
    assert receiver.sender().sequence.last == 3 and receiver.sender().sequence.missing == 0


def test_a_file_that_is_gone_unread_is_counted(receiver):
    path = receiver.folder / "web1.jsonl"
    receiver.append(record(sequence=1))
    receiver.observer.round()
    other = receiver.folder / "elsewhere"
    path.rename(other)
    receiver.append(record(sequence=3))
    receiver.observer.round()
    assert receiver.observer.store.gone == 1


def test_half_a_line_waits_for_its_end(receiver):
    path = receiver.folder / "web1.jsonl"
    text = json.dumps(record(sequence=1)) + "\n"
    path.write_text(text[:40], encoding="utf-8")
    assert receiver.observer.round() == 0
    path.write_text(text, encoding="utf-8")
    assert receiver.observer.round() == 1


def test_a_restart_loses_no_line_and_no_figure(receiver):
    receiver.append(record(sequence=1), record(sequence=4))
    receiver.observer.round()
    receiver.observer.save()
    receiver.append(record(sequence=5))
    (receiver.folder / "web1.jsonl").rename(receiver.folder / "web1.jsonl.1")
    receiver.append(record(sequence=7))
    receiver.restart()
    assert receiver.observer.round() == 2
    sender = receiver.sender()
    assert (sender.sequence.last, sender.sequence.missing, sender.levels["info"]) == (7, 3, 4)


def test_a_crash_that_a_restart_falls_into_is_whole(receiver):
    receiver.append(record("Oops: 0000 [#1] SMP"), record("RIP: 0010:foo"))
    receiver.observer.round()
    receiver.observer.save()
    receiver.restart()
    receiver.append(record("Kernel panic - not syncing: Fatal exception"), record("---[ end Kernel panic"))
    receiver.observer.round()
    assert len(json.loads(receiver.crash())["lines"]) == 4
    assert receiver.sender().levels == {"info": 4} and receiver.sender().events == {"oops": 1, "panic": 1}


def test_lines_that_are_no_json_are_counted_and_passed_over(receiver):
    (receiver.folder / "web1.jsonl").write_bytes(b"\xff\xfe{\n[]\n" + json.dumps(record()).encode() + b"\n")
    assert receiver.observer.round() == 3
    assert receiver.observer.unreadable == 2 and receiver.sender().levels == {"info": 1}


def test_a_full_disk_does_not_end_it(receiver):
    (receiver.folder / "crashes").write_text("no folder", encoding="utf-8")
    receiver.append(record("Kernel panic - not syncing: x"), record("---[ end Kernel panic"))
    receiver.observer.round()
    assert "cannot be written" in receiver.said[-1]


def test_drops_of_the_sockets(tmp_path):
    (tmp_path / "net").mkdir()
    head = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
    row = " 1234: 00000000:{port} 00000000:0000 07 00000000:00000000 00:00000000 00000000  999        0 20212 2 0000000000000000 {drops}\n"
    (tmp_path / "net" / "udp").write_text(head + row.format(port="1A0A", drops=42) + row.format(port="0035", drops=7))
    assert observer_module.socket_drops(6666, proc=str(tmp_path)) == {"ipv4": 42}
