# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine as one file: made, started by this Python in a process of its own, compared, damaged."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._engine_archive import (
    MAIN,
    archive,
    archived_digest,
    digest,
    engine_sources,
)

SOURCES = engine_sources()
WHOLE = archive(SOURCES)


def run(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", str(path), *words],
        capture_output=True,
        text=True,
        check=False,
    )


def without_byte_code(content: bytes) -> bytes:
    """The same archive as another Python sees it: byte code of a version that it does not know."""
    memory = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(memory, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, b"\0\0\r\n" + data[4:] if name.endswith(".pyc") else data)
    return memory.getvalue()


@pytest.mark.parametrize("change", [bytes, without_byte_code], ids=["own byte code", "byte code of another Python"])
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        pytest.param(("status",), 0, "nothing is declared", id="status"),
        pytest.param(("status", "--json"), 0, '"declared": false', id="status --json"),
        pytest.param(("apply",), 1, "declaration.json is missing", id="apply"),
        pytest.param(("--help",), 2, "usage: netconsole-sender", id="help"),
    ],
)
def test_it_starts(tmp_path: Path, change, words: tuple[str, ...], status: int, said: str) -> None:
    path = tmp_path / "engine.pyz"
    path.write_bytes(change(WHOLE))
    done = run(path, *words)
    assert (done.returncode, said in done.stdout + done.stderr) == (status, True), done.stderr


def test_it_holds_every_file_that_is_imported_and_no_ansible() -> None:
    assert {MAIN, "_reconcile", "_configfs", "_rtnetlink"} <= set(SOURCES)
    assert not [name for name, text in SOURCES.items() if "import ansible" in text or "from ansible" in text]


def test_equal_sources_are_equal_and_others_are_not() -> None:
    assert archived_digest(WHOLE) == digest(SOURCES)
    assert digest({**SOURCES, MAIN: SOURCES[MAIN] + "\n"}) != digest(SOURCES)


CONTENT = archive({"_sender_main": "def main(*arguments, version): return 0\n"})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"#!/bin/sh\n", id="something else"),
        pytest.param(CONTENT[: len(CONTENT) // 2], id="cut"),
        pytest.param(CONTENT.replace(b"return 0", b"return 1"), id="changed"),
    ],
)
def test_what_is_not_whole_is_made_anew(content: bytes) -> None:
    assert archived_digest(content) is None
