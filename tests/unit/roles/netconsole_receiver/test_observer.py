# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The observer of a receiver: what it counts, what it takes for trouble, and that it loses no line of the store."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

FILES = Path(__file__).parents[4] / "roles" / "netconsole_receiver" / "files"
sys.path.insert(0, str(FILES))
try:
    figures_module = importlib.import_module("observer_figures")
    following_module = importlib.import_module("observer_following")
    core_module = importlib.import_module("observer_core")
    senders_module = importlib.import_module("observer_senders")
    observer_module = importlib.import_module("netconsole_observer")
finally:
    sys.path.remove(str(FILES))

Numbers, Observer, event_of = senders_module.Numbers, core_module.Observer, senders_module.event_of
FIRST = 1795419923.102565  # when the record below was received


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

    def configure(self, **options):
        self.restart(**options)
        self.observer.round()

    def restart(self, **options):
        self.observer = Observer(
            str(self.folder),
            state=str(self.folder / "state"),
            say=self.said.append,
            clock=lambda: self.now,
            wall_clock=lambda: FIRST + self.now,
            **options,
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
    assert sender.last_seen == pytest.approx(FIRST, abs=0.001)
    assert sender.boots == 0


@pytest.mark.parametrize(
    ("records", "boots"),
    [
        pytest.param([(500, 90.0), (0, 0.0), (1, 0.1)], 1, id="extended, from the start"),
        pytest.param([(500, 90.0), (260, 3.0), (261, 3.1)], 1, id="extended, from later on"),
        pytest.param([(500, 90.0), (520, 95.0), (510, 92.0)], 0, id="extended, late"),
        pytest.param([(500, 90.0), (500, 90.0)], 0, id="extended, twice"),
        pytest.param([(500, 9000.0), (501, 9001.0), (500, 9000.0)], 0, id="extended, the last ones again"),
        pytest.param([(500, 9000.0), (400, 8999.0)], 0, id="extended, from before the first one"),
        pytest.param([(None, 90.0), (None, 0.5), (None, 0.7)], 1, id="legacy"),
        pytest.param([(None, 90.0), (None, 89.9), (None, 90.1)], 0, id="legacy, turned round"),
        pytest.param([(None, 9000.0), (None, 8000.0)], 0, id="legacy, late by much"),
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
    receiver.append(
        record("BUG: kernel NULL pointer dereference, address: 0", kernel_time=300.0), record("CPU: 0 PID: 1")
    )
    receiver.observer.round()
    receiver.append(
        record("Kernel panic - not syncing: Fatal exception"), record("---[ end Kernel panic - not syncing ]---")
    )
    receiver.observer.round()
    crash = json.loads(receiver.crash())
    assert (crash["host"], crash["kind"], crash["kinds"], crash["complete"]) == (
        "web1",
        "panic",
        ["oops", "panic"],
        True,
    )
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
    receiver.now += 15
    receiver.append(record("RIP: 0010:foo+0x1/0x2"))
    receiver.observer.round()
    receiver.now += 29
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
    assert [path.name for path in (receiver.folder / "crashes").glob("*.log")] == [
        "unknown-192.0.2.99-20261123T074523.102565Z.log"
    ]


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


def test_a_host_that_died_at_rotation_is_heard_to_its_last_word(receiver):
    """No new file ever takes the place of the one that was renamed."""
    path = receiver.folder / "web1.jsonl"
    receiver.append(record(sequence=1))
    receiver.observer.round()
    receiver.append(record("Kernel panic - not syncing: x", sequence=2), record("---[ end Kernel panic", sequence=3))
    path.rename(receiver.folder / "web1.jsonl.1")
    assert receiver.observer.round() == 2
    assert [line["sequence"] for line in json.loads(receiver.crash())["lines"]] == [1, 2, 3]
    assert receiver.observer.round() == 0


@pytest.mark.parametrize(
    ("lines", "gone"), [pytest.param(1, 0, id="read to its end"), pytest.param(9000, 1, id="more than one round reads")]
)
def test_a_file_that_is_gone_unread_is_counted(receiver, lines, gone):
    path = receiver.folder / "web1.jsonl"
    receiver.append(*(record(sequence=number) for number in range(lines)))
    receiver.observer.round()
    assert bool(receiver.observer.store.pending) is bool(gone)
    path.rename(receiver.folder / "elsewhere")
    receiver.append(record(sequence=lines))
    receiver.observer.round()
    assert receiver.observer.store.gone == gone
    assert receiver.sender().sequence.last == lines


def test_a_rotated_file_that_was_compressed_is_no_loss(receiver):
    path, rotated = receiver.folder / "web1.jsonl", receiver.folder / "web1.jsonl.1"
    receiver.append(record(sequence=1))
    receiver.observer.round()
    path.rename(rotated)
    receiver.observer.round()
    rotated.rename(receiver.folder / "web1.jsonl.2.gz.work")
    (receiver.folder / "web1.jsonl.2.gz.work").unlink()
    receiver.observer.round()
    receiver.append(record(sequence=2))
    assert receiver.observer.round() == 1
    assert receiver.observer.store.gone == 0


def test_lines_before_a_crash_reach_over_rotation(receiver):
    receiver.append(*(record(f"before {number}") for number in range(90)))
    receiver.observer.round()
    (receiver.folder / "web1.jsonl").rename(receiver.folder / "web1.jsonl.1")
    receiver.append(*(record(f"before {number}") for number in range(90, 110)), record("Oops: 0000 [#1] SMP"))
    receiver.observer.round()
    receiver.now += 60
    receiver.observer.round()
    messages = [line["message"] for line in json.loads(receiver.crash())["lines"]]
    assert messages == [*(f"before {number}" for number in range(10, 110)), "Oops: 0000 [#1] SMP"]


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


def test_a_killed_observer_counts_from_what_it_saved(receiver):
    """Figures and places are of the same moment: nothing is counted twice, and the crash record is the same file."""
    receiver.append(record(sequence=1))
    receiver.observer.round()
    receiver.observer.save()
    panic = [record("Kernel panic - not syncing: x", sequence=2), record("---[ end Kernel panic", sequence=3)]
    receiver.append(*panic)
    receiver.observer.round()
    receiver.restart()
    assert receiver.observer.round() == 2
    sender = receiver.sender()
    assert (sender.levels["info"], sender.events["panic"], sender.crashes, sender.sequence.missing) == (3, 1, 1, 0)
    assert len(json.loads(receiver.crash())["lines"]) == 3


def test_a_sender_that_came_after_the_last_save_and_was_rotated_is_read_whole(receiver):
    receiver.append(record(), name="old")
    receiver.append(record(), name="old")
    os.utime(receiver.folder / "old.jsonl", (1, 1))
    (receiver.folder / "old.jsonl").rename(receiver.folder / "old.jsonl.1")
    receiver.observer.save()
    receiver.append(record(sequence=1), record(sequence=2))
    (receiver.folder / "web1.jsonl").rename(receiver.folder / "web1.jsonl.1")
    receiver.append(record(sequence=3))
    receiver.append(record(sequence=7), name="unknown/192.0.2.1")
    (receiver.folder / "unknown" / "192.0.2.1.jsonl").rename(receiver.folder / "unknown" / "192.0.2.1.jsonl.1")
    receiver.restart()
    assert receiver.observer.round() == 4
    assert receiver.sender().levels == {"info": 3} and receiver.sender().sequence.missing == 0
    assert set(receiver.observer.senders) == {"web1", "unknown/192.0.2.1"}


def test_gaps_of_before_a_restart_can_still_be_filled(receiver):
    receiver.append(record(sequence=1), record(sequence=3))
    receiver.observer.round()
    receiver.observer.save()
    receiver.restart()
    receiver.append(record(sequence=2))
    receiver.observer.round()
    assert (receiver.sender().sequence.missing, receiver.sender().sequence.late) == (0, 1)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"senders": {"web1": 1}, "places": {}}', '{"places": 5}'])
def test_a_state_that_cannot_be_read_is_said_and_left(receiver, content):
    (receiver.folder / "state").write_text(content, encoding="utf-8")
    receiver.restart()
    assert "figures begin anew" in receiver.said[-1]
    receiver.observer.round()


def test_a_crash_that_a_restart_falls_into_is_whole(receiver):
    receiver.append(record("Oops: 0000 [#1] SMP"), record("RIP: 0010:foo"))
    receiver.observer.round()
    receiver.observer.save()
    receiver.restart()
    receiver.append(record("Kernel panic - not syncing: Fatal exception"), record("---[ end Kernel panic"))
    receiver.observer.round()
    assert len(json.loads(receiver.crash())["lines"]) == 4
    assert receiver.sender().levels == {"info": 4} and receiver.sender().events == {"oops": 1, "panic": 1}


def test_lines_that_are_no_message_are_counted_and_passed_over(receiver):
    (receiver.folder / "web1.jsonl").write_bytes(
        b'\xff\xfe{\n[]\n{"torn": "x"}\n' + json.dumps(record()).encode() + b"\n"
    )
    assert receiver.observer.round() == 4
    assert receiver.observer.unreadable == 3 and receiver.sender().levels == {"info": 1}


def test_a_full_disk_does_not_end_it(receiver):
    (receiver.folder / "crashes").write_text("no folder", encoding="utf-8")
    receiver.append(record("Kernel panic - not syncing: x"), record("---[ end Kernel panic"))
    receiver.observer.round()
    assert "cannot be written" in receiver.said[-1]


@pytest.mark.parametrize(
    "between",
    [
        pytest.param([record("up again", sequence=1, kernel_time=0.1)], id="by a boot"),
        pytest.param([record("much later", received="2026-11-23T08:00:00+00:00")], id="by silence, read at once"),
    ],
)
def test_two_crashes_are_two_records(receiver, between):
    receiver.append(record("Oops: 0000 [#1] SMP", sequence=900, kernel_time=50.0))
    receiver.append(*between)
    receiver.append(record("Oops: 0000 [#2] SMP", sequence=2, received="2026-11-23T08:00:01+00:00", kernel_time=60.0))
    receiver.observer.round()
    receiver.now += 60
    receiver.observer.round()
    names = sorted(path.name for path in (receiver.folder / "crashes").glob("*.log"))
    assert names == ["web1-20261123T074523.102565Z.log", "web1-20261123T080001.000000Z.log"]


def test_crash_records_have_a_budget(receiver):
    receiver.configure(crashes_bytes=1)
    for minute in range(3):
        receiver.append(record("Kernel panic - not syncing: x", received=f"2026-11-23T08:0{minute}:00+00:00"))
        receiver.append(record("---[ end Kernel panic", received=f"2026-11-23T08:0{minute}:00+00:00"))
        receiver.observer.round()
        for path in (receiver.folder / "crashes").iterdir():
            os.utime(path, (minute, minute))
    assert {path.name for path in (receiver.folder / "crashes").iterdir()} == {
        "web1-20261123T080200.000000Z.log",
        "web1-20261123T080200.000000Z.json",
    }
    assert "removed web1-20261123T080100.000000Z" in receiver.said[-1]


def test_forged_addresses_do_not_fill_the_memory(receiver, monkeypatch):
    monkeypatch.setattr(core_module, "MOST_UNKNOWN", 3)
    for number in range(10):
        receiver.append(record(), name=f"unknown/192.0.2.{number}")
    receiver.observer.round()
    assert len(receiver.observer.senders) == 4
    assert receiver.sender(core_module.OTHERS).levels == {"info": 7}


# -- silence ----------------------------------------------------------------------------------------------------------


def inventory(receiver, *names):
    path = receiver.folder / "senders.json"
    path.write_text(json.dumps({"table": [{"index": "192.0.2.1", "value": name} for name in names]}), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("mark", "silence", "minutes", "silent"),
    [
        pytest.param("a line", 0, 999, False, id="no heartbeat, no threshold"),
        pytest.param("a line", 3600, 59, False, id="below the threshold"),
        pytest.param("a line", 3600, 61, True, id="above it"),
        pytest.param("netconsole-sender: heartbeat, every 5 min", 0, 10, False, id="one mark may get lost"),
        pytest.param("netconsole-sender: heartbeat, every 5 min", 0, 12, True, id="two may not"),
        pytest.param("netconsole-sender: heartbeat, every 60 min", 3600, 61, False, id="the heartbeat wins"),
        pytest.param("netconsole-sender: heartbeat, off", 0, 999, False, id="heartbeat off"),
    ],
)
def test_who_is_silent(receiver, mark, silence, minutes, silent):
    receiver.configure(silence=silence)
    receiver.append(record("netconsole-sender: heartbeat, every 5 min") if "off" in mark else record(), record(mark))
    receiver.observer.round()
    assert receiver.sender().silent is False
    receiver.now = minutes * 60.0
    receiver.observer.round()
    assert receiver.sender().silent is silent
    assert receiver.said == ([f"web1: nothing heard for {minutes} min"] if silent else [])
    receiver.append(record(received="2026-11-24T08:00:00+00:00"))
    receiver.observer.round()
    assert receiver.sender().silent is False
    assert len(receiver.said) == 2 * silent


def test_a_sender_of_the_inventory_that_was_never_heard_is_silent(receiver):
    receiver.configure(silence=3600, inventory=inventory(receiver, "web1", "web2"))
    receiver.append(record())
    receiver.append(record(), name="unknown/192.0.2.99")
    receiver.observer.round()
    receiver.now = 3601.0
    receiver.append(record(received="2026-11-23T08:45:00+00:00"))
    receiver.observer.round()
    assert {name: sender.silent for name, sender in receiver.observer.senders.items()} == {
        "web1": False,
        "web2": True,
        "unknown/192.0.2.99": False,
    }


def test_who_left_the_inventory_is_forgotten(receiver):
    path = inventory(receiver, "web1")
    receiver.configure(silence=60, inventory=path)
    receiver.append(record())
    receiver.append(record(), name="web2")
    receiver.observer.round()
    receiver.now = 31 * 86400.0
    receiver.observer.round()
    assert set(receiver.observer.senders) == {"web1"}


# -- figures ----------------------------------------------------------------------------------------------------------


HEAD = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref drops\n"
ROW = " 1234: 00000000:{port} 00000000:0000 07 00000000:00000000 00:00000000 00000000  999  0 20212 2 0000 {drops}\n"


def test_drops_of_the_sockets(tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "udp").write_text(
        HEAD + ROW.format(port="1A0A", drops=42) + ROW.format(port="0035", drops=7), encoding="ascii"
    )
    assert figures_module.socket_drops(6666, proc=str(tmp_path)) == {"ipv4": 42}


IMPSTATS = [
    '{ "name": "netconsole[DA]", "origin": "core.queue", "size": 3, "enqueued": 9, "full": 0, "discarded.full": 2, '
    '"discarded.nf": 1, "maxqsize": 7 }',
    '{ "name": "netconsole", "origin": "core.queue", "size": 5, "discarded.full": 0, "discarded.nf": 4 }',
    '{ "name": "joined", "origin": "core.queue", "size": 1, "discarded.full": 0, "discarded.nf": 0 }',
    '{ "name": "action-3-builtin:omfile", "origin": "core.action", "processed": 12, "failed": 0 }',
    "half a line",
    "[]",
]


def test_figures_of_rsyslog(tmp_path):
    figures = figures_module.RsyslogFigures(str(tmp_path / "pipe"))
    figures.read()
    assert figures.dropped == {}
    writer = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    os.write(writer, "\n".join([*IMPSTATS, '{ "name": "joi']).encode())
    figures.read()
    os.write(writer, b'ned", "origin": "core.queue", "size": 8}\n')
    figures.read()
    os.close(writer)
    assert figures.dropped == {"netconsole": 4, "netconsole on disk": 3, "joined": 0}
    assert figures.waiting == {"netconsole": 5, "netconsole on disk": 3, "joined": 8}


SYSLOG_NG = """SourceName;SourceId;SourceInstance;State;Type;Number
dst.file;d_text#0;/var/log/netconsole/web1.log;a;dropped;2
dst.file;d_json#0;/var/log/netconsole/web1.jsonl;a;dropped;3
dst.file;d_json#0;/var/log/netconsole/web1.jsonl;a;queued;4
dst.file;d_json#0;/var/log/netconsole/web1.jsonl;a;processed;100
src.none;;;a;processed;0
global;msg_clones;;a;processed;0
.
"""


def test_figures_of_syslog_ng(tmp_path):
    path = str(tmp_path / "control")
    figures = figures_module.SyslogNgFigures(path)
    figures.read()
    assert figures.dropped == {}
    with figures_module.socket.socket(figures_module.socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(1)
        asked = []

        def answer():
            stream, _address = server.accept()
            with stream:
                asked.append(stream.recv(100))
                stream.sendall(SYSLOG_NG.encode())

        thread = threading.Thread(target=answer)
        thread.start()
        figures.read()
        thread.join()
    assert asked == [b"STATS CSV\n"]
    assert (figures.dropped, figures.waiting) == ({"destinations": 5}, {"destinations": 4})


@pytest.fixture
def figures(receiver):
    receiver.append(
        record(sequence=1, kernel_time=1.0, userdata={"msgid": "1"}),
        record("netconsole-sender: heartbeat, every 5 min", sequence=4, kernel_time=2.0, userdata={"msgid": "3"}),
        record("INFO: task x:1 blocked for more than 120 seconds.", sequence=3, kernel_time=1.9, level_name="err"),
    )
    receiver.observer.round()
    kinds = [kind for kind, _pattern in senders_module.EVENTS]
    collector = figures_module.NoFigures()
    collector.dropped["netconsole"] = 2
    collector.waiting["netconsole"] = 7
    return figures_module.Figures(receiver.observer, 6666, collector, kinds)


EXPECTED = """netconsole_sender_last_seen_timestamp_seconds{host="web1"} 1.795419923102565e+09
netconsole_sender_silent{host="web1"} 0.0
netconsole_sender_heartbeat_seconds{host="web1"} 300.0
netconsole_sender_messages_total{host="web1",level="info"} 2.0
netconsole_sender_messages_total{host="web1",level="err"} 1.0
netconsole_sender_lost_total{host="web1"} 1.0
netconsole_sender_sequence_missing_total{host="web1"} 1.0
netconsole_sender_reordered_total{host="web1"} 1.0
netconsole_sender_boots_total{host="web1"} 0.0
netconsole_sender_crashes_total{host="web1"} 0.0
netconsole_sender_events_total{host="web1",kind="panic"} 0.0
netconsole_sender_events_total{host="web1",kind="oops"} 0.0
netconsole_sender_events_total{host="web1",kind="hung_task"} 1.0
netconsole_sender_events_total{host="web1",kind="lockup"} 0.0
netconsole_sender_events_total{host="web1",kind="mce"} 0.0
netconsole_sender_events_total{host="web1",kind="oom"} 0.0
netconsole_receiver_dropped_total{queue="netconsole"} 2.0
netconsole_receiver_waiting{queue="netconsole"} 7.0
netconsole_observer_unreadable_lines_total 0.0
netconsole_observer_gone_files_total 0.0
netconsole_observer_pending_bytes 0.0
"""


def samples(text):
    return sorted(line for line in text.splitlines() if line and not line.startswith("#"))


def test_figures_over_http_and_as_a_file(figures, tmp_path):
    with figures_module.socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert figures_module.serve(figures, "127.0.0.1", port) == ""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert samples(answer.read().decode()) == samples(EXPECTED)
    reason = figures_module.serve(figures, "127.0.0.1", port)
    assert "set netconsole_receiver_observer_port" in reason
    assert figures_module.write_textfile(figures, str(tmp_path / "netconsole.prom")) == ""
    assert samples((tmp_path / "netconsole.prom").read_text(encoding="utf-8")) == samples(EXPECTED)
    assert "no figures in" in figures_module.write_textfile(figures, str(tmp_path / "missing" / "netconsole.prom"))


def test_without_prometheus_client_there_are_crash_records_and_one_clear_line(figures, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    assert "prometheus_client is missing" in figures_module.serve(figures, "127.0.0.1", 1)
    assert "prometheus_client is missing" in figures_module.write_textfile(figures, str(tmp_path / "x"))
    monkeypatch.setattr(observer_module, "_run", lambda *arguments: None)
    monkeypatch.setattr(observer_module.signal, "signal", lambda *arguments: None)
    assert observer_module.main(["--store", str(tmp_path), "--port", "1"]) == 0
    assert "crashes are recorded all the same" in capsys.readouterr().out


# -- what the rules and the dashboard ask for -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["netconsole.rules.yml", "netconsole.grafana.json"])
def test_every_figure_that_is_asked_for_is_there(figures, name):
    """promtool knows whether an expression is one, not whether anybody offers its figures."""
    text = (FILES.parents[2] / "docs" / "monitoring" / name).read_text(encoding="utf-8")
    offered = {line.split("{")[0].split(" ")[0] for line in samples(EXPECTED)} | {
        "netconsole_receiver_socket_drops_total"
    }
    families = {family.name + ("_total" if family.type == "counter" else "") for family in figures.collect()}
    asked = set(re.findall(r"\bnetconsole_(?:sender|receiver|observer)_[a-z_]+", text))
    variables = set(re.findall(r"netconsole_(?:sender|receiver)_[a-z_]+", " ".join(known_variables())))
    assert offered == families
    assert asked - variables <= families
    assert asked & families


def test_every_panel_of_the_dashboard_asks_for_something():
    """Whether its expressions are expressions, promtool says in the scenario receiver."""
    text = (FILES.parents[2] / "docs" / "monitoring" / "netconsole.grafana.json").read_text(encoding="utf-8")
    panels = json.loads(text)["panels"]
    assert panels
    for panel in panels:
        assert panel["targets"]
        assert all(target["expr"] for target in panel["targets"])


def known_variables():
    for role in ("netconsole_sender", "netconsole_receiver"):
        yield (FILES.parents[1] / role / "defaults" / "main.yml").read_text(encoding="utf-8")
