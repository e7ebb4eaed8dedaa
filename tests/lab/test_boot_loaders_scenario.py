# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small programs of the scenario boot_loaders: they are its measure, so they are measured first."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
FILES = CHECKOUT / "extensions" / "molecule" / "boot_loaders" / "files"


def program(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, FILES / f"{name}.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        pytest.param("", [], id="empty"),
        pytest.param("quiet", [["quiet", None]], id="word"),
        pytest.param("a=1  b=", [["a", "1"], ["b", ""]], id="values"),
        pytest.param('a="two words" b', [["a", "two words"], ["b", None]], id="quotes around the value"),
        pytest.param('"a=two words" b', [["a", "two words"], ["b", None]], id="quotes around all"),
        pytest.param('"two words"', [["two words", None]], id="a quoted word"),
        pytest.param("a=b=c", [["a", "b=c"]], id="the first sign counts"),
        pytest.param('a=x";"y', [["a", 'x";"y']], id="quotes within stay"),
        pytest.param("console=tty0 console=ttyS0", [["console", "tty0"], ["console", "ttyS0"]], id="twice"),
    ],
)
def test_arguments_as_the_kernel_splits_them(line: str, wanted: list[list[str | None]]) -> None:
    assert program("boot_state").arguments(line) == wanted


def test_files_are_told_apart_by_content_and_links_by_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = program("boot_state")
    monkeypatch.setattr(state, "TREES", (str(tmp_path / "boot"),))
    monkeypatch.setattr(state, "LEFT_OUT", (str(tmp_path / "boot" / "seed"),))
    (tmp_path / "boot" / "grub").mkdir(parents=True)
    (tmp_path / "boot" / "grub" / "grub.cfg").write_text("one", encoding="utf-8")
    (tmp_path / "boot" / "link").symlink_to("one")
    (tmp_path / "boot" / "seed").touch()
    before = state.files()
    assert set(before) == {str(tmp_path / "boot" / "grub" / "grub.cfg"), str(tmp_path / "boot" / "link")}
    (tmp_path / "boot" / "grub" / "grub.cfg").write_text("two", encoding="utf-8")
    (tmp_path / "boot" / "link").unlink()
    (tmp_path / "boot" / "link").symlink_to("two")
    after = state.files()
    assert set(after) == set(before) and not set(after.items()) & set(before.items())


def record(port: int, text: str) -> dict[str, object]:
    return {"port": port, "text": text}


def test_first_lines_of_a_recording() -> None:
    records = [
        record(6666, "5,0,0,-;Linux version 6.12.118+deb13-amd64 (debian)\n"),
        record(6666, "6,700,2500000,-,caller=T1;netconsole: network logging started\n"),
        record(6666, "6,800,4000000,-,caller=T90;EXT4-fs (vda4): mounted filesystem 2b55354a r/w\n"),
        record(6667, "Linux version 6.12.118+deb13-amd64 (debian)\n"),
        record(514, "something else"),
    ]
    assert program("first_lines").summary(json.loads(json.dumps(records))) == {
        "extended": {"lines": 3, "first": 0.0, "sent_at": 2.5, "root_at": 4.0},
        "legacy": {"lines": 1},
        "release": ["6.12.118+deb13-amd64"],
    }


def test_first_lines_of_an_empty_recording() -> None:
    assert program("first_lines").summary([])["extended"] == {
        "lines": 0,
        "first": None,
        "sent_at": None,
        "root_at": None,
    }


def test_fill_leaves_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk of 3 MiB and 5 bytes, as far as the program can see."""
    fill = program("fill")
    room = 3 * 1024 * 1024 + 5

    class Full:
        def __enter__(self) -> object:
            return self

        def __exit__(self, *_error: object) -> None:
            pass

        def fileno(self) -> int:
            return 0

        def write(self, content: bytes) -> None:
            nonlocal room
            if len(content) > room:
                raise OSError(28, "No space left on device")
            room -= len(content)

    monkeypatch.setattr("builtins.open", lambda *_arguments, **_options: Full())
    monkeypatch.setattr(fill.os, "fsync", lambda _number: None)
    assert fill.fill(tmp_path) == tmp_path / "lab-full"
    assert room == 0


def grub_words(*words: str | Path, collections: Path) -> str:
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections)}
    command = [sys.executable, FILES / "grub_words.py", *words]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def test_words_for_grub_are_quoted_and_what_it_shows_is_judged(tmp_path: Path) -> None:
    (tmp_path / "ansible_collections" / "fleet").mkdir(parents=True)
    (tmp_path / "ansible_collections" / "fleet" / "netconsole").symlink_to(CHECKOUT)
    written = grub_words("write", collections=tmp_path).splitlines()
    assert written[:2] == ["serial --unit=0", "terminal_output serial"]
    assert len(written) > 200 and all(line.startswith("echo ") for line in written[2:])

    program_of_words = program("grub_words")
    shown = [f"{name}={value}" for name, value in program_of_words.words()]
    assert max(map(len, shown)) < 80  # or GRUB would break the line
    console = tmp_path / "console"
    boot = ["firmware", program_of_words.BEGIN, *shown, program_of_words.END, "Linux version"]
    console.write_text("\r\n".join(boot), encoding="utf-8", newline="")
    assert grub_words("check", console, collections=tmp_path) == "all as meant"
    boot[5] += "x"
    console.write_text("\r\n".join(boot), encoding="utf-8", newline="")
    assert grub_words("check", console, collections=tmp_path).startswith("p3=")
    console.write_text("", encoding="utf-8")
    assert grub_words("check", console, collections=tmp_path).startswith("p0=")
