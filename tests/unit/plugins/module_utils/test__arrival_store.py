# Probes found in real files: where they are looked for, rotation, broken and unfinished lines, thousands of senders.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import shutil
import time

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils import _arrival_store
from ansible_collections.fleet.netconsole.plugins.module_utils._arrival_store import Store, format_time, parse_time

NONCE = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2
NOW = 1795413600.0  # 2026-11-23T06:00:00+00:00


def record(message, *, at=NOW, host="web1", source="192.0.2.11", **more):
    received = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + ".250000+00:00"
    entry = {"received": received, "host": host, "source": source, "format": "extended", "message": message, **more}
    return (json.dumps(entry) + "\n").encode()


def probe_line(nonce=NONCE, **more):
    return record(f"fleet.netconsole probe nonce={nonce}", **more)


class Folder:
    """A receiver's store on disk, with the times of its files set to NOW."""

    def __init__(self, path):
        self.path = path
        (path / "unknown").mkdir()

    def write(self, name, *lines, mode="wb", age=0.0):
        with open(self.path / name, mode) as stream:
            stream.write(b"".join(lines))
        self.touch(name, age=age)

    def append(self, name, *lines):
        self.write(name, *lines, mode="ab")

    def touch(self, name, *, age=0.0):
        os.utime(self.path / name, (NOW - age, NOW - age))

    def rotate(self, name):
        os.rename(self.path / name, self.path / f"{name}.1")

    def rotate_by_copy(self, name):
        shutil.copyfile(self.path / name, self.path / f"{name}.1")
        os.truncate(self.path / name, 0)
        self.touch(f"{name}.1")


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path), clock=lambda: NOW)


def look(store, *, nonces=(NONCE,), host="web1", copies=1, deep=True):
    store.look(dict.fromkeys(nonces, copies), {host: set(nonces)}, deep=deep)
    return [(sighting.stored_as, sighting.host) for nonce in nonces for sighting in store.found.get(nonce, ())]


NOISE = tuple(record(f"message {number}") for number in range(50))


@pytest.mark.parametrize(
    ("name", "lines", "age", "expected"),
    [
        pytest.param("web1.jsonl", [probe_line()], 0, [("web1", "web1")], id="the only line"),
        pytest.param("web1.jsonl", [*NOISE, probe_line()], 0, [("web1", "web1")], id="the last line"),
        pytest.param("web1.jsonl", [probe_line(), *NOISE], 0, [("web1", "web1")], id="the first line"),
        pytest.param("web1.jsonl", [*NOISE, probe_line(), *NOISE], 0, [("web1", "web1")], id="in between"),
        pytest.param("web1.jsonl.1", [*NOISE, probe_line()], 0, [("web1", "web1")], id="rotated a moment ago"),
        pytest.param("web1.jsonl-20261123", [probe_line()], 0, [("web1", "web1")], id="rotated, named by date"),
        pytest.param("web2.jsonl", [probe_line(host="web2")], 0, [("web2", "web2")], id="another sender's name"),
        pytest.param(
            "unknown/192.0.2.11.jsonl",
            [probe_line(host="192.0.2.11")],
            0,
            [("unknown/192.0.2.11", "192.0.2.11")],
            id="unknown sender",
        ),
        pytest.param(
            "unknown/2001:db8::11.jsonl",
            [probe_line(host="2001:db8::11")],
            0,
            [("unknown/2001:db8::11", "2001:db8::11")],
            id="unknown sender, IPv6",
        ),
        pytest.param("web1.jsonl", [probe_line(OTHER)], 0, [], id="another probe"),
        pytest.param("web1.jsonl", NOISE, 0, [], id="no probe at all"),
        pytest.param("web1.jsonl", [], 0, [], id="empty file"),
        pytest.param("web1.log", [probe_line()], 0, [], id="the text file is not read"),
        pytest.param("web1.jsonl.2.gz", [probe_line()], 0, [], id="compressed files are not read"),
        pytest.param(".jsonl", [probe_line()], 0, [], id="a file without a name"),
        pytest.param("web1.jsonl", [probe_line()], 4000, [], id="a file that nobody wrote for more than the window"),
        pytest.param("web1.jsonl", [b"\xff\x00garbage\n", probe_line()], 0, [("web1", "web1")], id="after garbage"),
        pytest.param("web1.jsonl", [probe_line()[:-1]], 0, [], id="a line without its end"),
    ],
)
def test_found(folder, store, name, lines, age, expected):
    folder.write(name, *lines, age=age)
    assert look(store) == expected


def test_what_a_sighting_tells(folder, store):
    folder.write("web1.jsonl", probe_line(format="legacy", source="2001:db8::11"))
    look(store)
    (sighting,) = store.found[NONCE]
    assert (sighting.file, sighting.received, sighting.received_text) == (
        str(folder.path / "web1.jsonl"),
        NOW + 0.25,
        "2026-11-23T06:00:00.250000+00:00",
    )
    assert (sighting.source, sighting.format, sighting.readable) == ("2001:db8::11", "legacy", True)


def test_a_line_that_is_no_json(folder, store):
    folder.write("web1.jsonl", b'{"message": "fleet.netconsole probe nonce=%s", broken\n' % NONCE.encode())
    assert look(store) == [("web1", None)]
    (sighting,) = store.found[NONCE]
    assert (sighting.readable, sighting.received) == (False, None)


def test_an_unfinished_line_is_read_when_it_is_finished(folder, store):
    line = probe_line()
    folder.write("web1.jsonl", *NOISE, line[:90])
    assert look(store) == []
    folder.append("web1.jsonl", line[90:])
    assert look(store) == [("web1", "web1")]


def test_only_what_was_appended_is_read_again(folder, store):
    folder.write("web1.jsonl", *NOISE)
    assert look(store) == []
    before = store.bytes_read
    assert look(store) == []
    assert store.bytes_read == before
    folder.append("web1.jsonl", probe_line())
    assert look(store) == [("web1", "web1")]
    assert store.bytes_read == before + len(probe_line())


def test_renamed_between_two_looks(folder, store):
    folder.write("web1.jsonl", *NOISE)
    look(store)
    folder.append("web1.jsonl", probe_line())
    folder.rotate("web1.jsonl")
    folder.write("web1.jsonl", *NOISE)
    assert look(store) == [("web1", "web1")]


def test_in_the_new_file_after_renaming(folder, store):
    folder.write("web1.jsonl", *NOISE)
    look(store)
    folder.rotate("web1.jsonl")
    folder.write("web1.jsonl", probe_line())
    assert look(store) == [("web1", "web1")]


def test_emptied_between_two_looks(folder, store):
    folder.write("web1.jsonl", *NOISE)
    look(store)
    folder.rotate_by_copy("web1.jsonl")
    folder.append("web1.jsonl", probe_line())
    assert look(store) == [("web1", "web1")]


def test_copied_away_between_two_looks(folder, store):
    folder.write("web1.jsonl", *NOISE)
    look(store)
    folder.append("web1.jsonl", probe_line())
    folder.rotate_by_copy("web1.jsonl")
    assert look(store) == [("web1", "web1")]


def test_a_line_that_rotation_copied_counts_once(folder, store):
    folder.write("web1.jsonl", probe_line())
    shutil.copyfile(folder.path / "web1.jsonl", folder.path / "web1.jsonl.1")
    folder.touch("web1.jsonl.1")
    assert look(store, copies=2) == [("web1", "web1")]


def test_two_copies_of_two_targets(folder, store):
    folder.write("web1.jsonl", probe_line(format="extended"), *NOISE, probe_line(format="legacy"))
    assert look(store, copies=2) == [("web1", "web1"), ("web1", "web1")]


def test_others_are_left_alone_while_nothing_is_missing(folder, store):
    folder.write("web1.jsonl", probe_line())
    folder.write("web2.jsonl", *NOISE)
    look(store)
    assert store.bytes_read == len(probe_line())


@pytest.mark.parametrize(
    ("name", "deep", "expected"),
    [
        pytest.param("web2.jsonl", False, [], id="others only in a deep look"),
        pytest.param("web2.jsonl", True, [("web2", "web1")], id="deep look"),
        pytest.param("unknown/192.0.2.11.jsonl", False, [("unknown/192.0.2.11", "web1")], id="unknown ones always"),
    ],
)
def test_how_deep(folder, store, name, deep, expected):
    folder.write(name, probe_line())
    assert look(store, deep=deep) == expected


def test_a_probe_of_another_sender_further_back_in_a_file_that_was_read_in_part(folder, store, monkeypatch):
    monkeypatch.setattr(_arrival_store, "CHUNK", 1000)
    folder.write("web1.jsonl", probe_line(OTHER), *NOISE, probe_line(NONCE))
    store.look({NONCE: 1}, {"web1": {NONCE}}, deep=False)
    read_at_first = store.bytes_read
    assert read_at_first == 1000
    store.look({NONCE: 1, OTHER: 1}, {"web1": {NONCE}, "web2": {OTHER}}, deep=True)
    assert [sighting.stored_as for sighting in store.found[OTHER]] == ["web1"]


@pytest.mark.parametrize("chunk", [1, 7, 100, 1000, 1 << 20])
@pytest.mark.parametrize("before", [0, 3, 50])
def test_any_size_of_block(folder, store, monkeypatch, chunk, before):
    """Wherever the ends of the blocks fall, no line is lost and none is seen twice."""
    monkeypatch.setattr(_arrival_store, "CHUNK", chunk)
    folder.write("web1.jsonl", *NOISE[:before], probe_line(), *NOISE[before:])
    assert look(store, copies=2) == [("web1", "web1")]


def test_an_endless_line_is_not_kept_in_memory(folder, store, monkeypatch):
    monkeypatch.setattr(_arrival_store, "CHUNK", 100)
    monkeypatch.setattr(_arrival_store, "MAX_LINE", 1000)
    folder.write("web1.jsonl", probe_line(), b"x" * 5000 + b"\n", *NOISE)
    assert look(store) == [("web1", "web1")]


def test_not_read_further_back_than_the_window(folder, store, monkeypatch):
    monkeypatch.setattr(_arrival_store, "CHUNK", 1000)
    old = [record(f"old message {number}", at=NOW - 5000) for number in range(1000)]
    folder.write("web1.jsonl", probe_line(at=NOW - 5000), *old, *NOISE)
    assert look(store) == []
    assert store.bytes_read < len(b"".join(NOISE)) + 3000


def test_not_read_further_back_than_the_limit(folder, store, monkeypatch):
    monkeypatch.setattr(_arrival_store, "CHUNK", 1000)
    monkeypatch.setattr(_arrival_store, "MAX_READ", 5000)
    folder.write("web1.jsonl", probe_line(), *NOISE, *NOISE, *NOISE)
    assert look(store) == []
    assert store.bytes_read <= 7000


def test_a_fifo_in_the_store_does_not_block(folder, store):
    os.mkfifo(folder.path / "web1.jsonl")
    assert look(store) == []


def test_a_link_in_the_store_is_not_followed(folder, store, tmp_path):
    (tmp_path / "elsewhere").write_bytes(probe_line())
    os.symlink(tmp_path / "elsewhere", folder.path / "web1.jsonl")
    assert look(store) == []


def test_no_store(tmp_path):
    store = Store(str(tmp_path / "none"))
    assert look(store) == []


def test_when_a_sender_was_last_seen(folder, store):
    folder.write("web1.jsonl", *NOISE, age=100)
    folder.write("web1.jsonl.1", *NOISE, age=5000)
    folder.write("unknown/192.0.2.12.jsonl", *NOISE, age=200)
    folder.write("web3.jsonl")
    look(store)
    assert store.last_change == {"web1": NOW - 100, "unknown/192.0.2.12": NOW - 200}


@pytest.mark.once
def test_time_grows_with_the_senders_and_not_with_their_square(tmp_path):
    few, many = 200, 2000

    def processor_time(number):
        store = tmp_path / str(number)
        nonces = {f"web{host}": f"{host:032x}" for host in range(number)}
        if not store.exists():
            store.mkdir()
            for host, nonce in nonces.items():
                (store / f"{host}.jsonl").write_bytes(b"".join(NOISE[:10]) + probe_line(nonce, host=host))
        look = Store(str(store))
        start = time.process_time()
        look.look(dict.fromkeys(nonces.values(), 1), {host: {nonce} for host, nonce in nonces.items()}, deep=False)
        assert len(look.found) == number
        return time.process_time() - start

    processor_time(few)  # what is only done once
    assert processor_time(many) < 4 * many / few * min(processor_time(few) for _run in range(3))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2026-11-23T06:00:00.250000+00:00", NOW + 0.25, id="microseconds"),
        pytest.param("2026-11-23T06:00:00+00:00", NOW, id="no fraction"),
        pytest.param("2026-11-23T06:00:00.5Z", NOW + 0.5, id="Z"),
        pytest.param("2026-11-23T07:30:00.000000+01:30", NOW, id="offset"),
        pytest.param("2026-11-22T23:00:00.000000-07:00", NOW, id="offset to the west"),
        pytest.param("2026-11-23 06:00:00.123456789+00:00", NOW + 0.123456789, id="nanoseconds"),
        pytest.param("2026-13-23T06:00:00+00:00", None, id="no such month"),
        pytest.param("2026-11-23T06:00:00", None, id="no offset"),
        pytest.param("Nov 23 06:00:00", None, id="old syslog"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_parse_time(text, expected):
    assert parse_time(text) == pytest.approx(expected) if expected else parse_time(text) is None


def test_format_time():
    assert format_time(NOW + 0.9) == "2026-11-23T06:00:00+00:00"
