# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many files in one go, on a real file system; the accounts of the host are those of who runs the tests."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.fleet.netconsole.plugins.module_utils._file_set import (
    FileSetError,
    Host,
    Outcome,
    Place,
    bring,
)


def run(command: str) -> tuple[int, str]:
    done = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode().strip()


class OwnHost(Host):
    """A host where "us" is the account that runs the tests, and no other."""

    def __init__(self, move: Callable[[str, str], None] = os.replace) -> None:
        super().__init__(move, run)

    def account(self, owner: str, group: str) -> tuple[int, int]:
        if (owner, group) != ("us", "us"):
            raise KeyError(owner)
        return os.getuid(), os.getgid()


@pytest.fixture(name="root")
def fixture_root(tmp_path: Path) -> Path:
    """A directory whose files have the group of who runs the tests."""
    os.chown(str(tmp_path), os.getuid(), os.getgid())
    return tmp_path


def place(path: Path, content: str | None = None, **other: Any) -> Place:
    values = {"owner": "us", "group": "us", "mode": 0o750 if content is None else 0o640, **other}
    return Place(path=str(path), content=None if content is None else content.encode(), **values)


def have(*places: Place, exclusive: Path | None = None, dry_run: bool = False, pending: Path | None = None) -> Outcome:
    return bring(
        places,
        exclusive=[] if exclusive is None else [str(exclusive)],
        host=OwnHost(),
        dry_run=dry_run,
        pending=None if pending is None else str(pending),
    )


def listing(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_everything_is_made_once(root: Path) -> None:
    places = (place(root / "etc"), place(root / "etc/a", "1\n"), place(root / "etc/b", "2\n", mode=0o755))
    assert have(*places).written == [str(root / name) for name in ("etc", "etc/a", "etc/b")]
    assert (root / "etc/a").read_text() == "1\n"
    assert [oct(path.stat().st_mode & 0o777) for path in (root / "etc", root / "etc/a", root / "etc/b")] == [
        "0o750",
        "0o640",
        "0o755",
    ]
    assert not have(*places).changed
    assert listing(root) == ["etc", "etc/a", "etc/b"]


def test_check_mode_says_the_same_and_does_nothing(root: Path) -> None:
    (root / "old").write_text("x")
    places = (place(root / "a", "1\n"), place(root / "sub"), place(root / "sub/b", "2\n"))
    forecast = have(*places, exclusive=root, dry_run=True)
    assert listing(root) == ["old"]
    assert have(*places, exclusive=root) == forecast
    assert forecast.removed == [str(root / "old")]


def test_check_mode_of_a_first_run_knows_no_account_yet(root: Path) -> None:
    outcome = have(place(root / "a", "1\n", owner="later"), dry_run=True)
    assert outcome.diff == [
        {"before": "", "after": "1\n", "before_header": str(root / "a"), "after_header": str(root / "a")}
    ]


def test_only_what_differs_is_written(root: Path) -> None:
    have(place(root / "a", "1\n"), place(root / "b", "2\n"))
    inode = (root / "a").stat().st_ino
    outcome = have(place(root / "a", "1\n"), place(root / "b", "3\n"))
    assert outcome.written == [str(root / "b")]
    assert (outcome.diff[0]["before"], outcome.diff[0]["after"]) == ("2\n", "3\n")
    assert (root / "a").stat().st_ino == inode


def test_permissions_alone_leave_the_file(root: Path) -> None:
    have(place(root / "a", "1\n"))
    inode = (root / "a").stat().st_ino
    outcome = have(place(root / "a", "1\n", mode=0o600))
    assert outcome.diff[0]["after"].endswith(" 0600\n")
    assert (root / "a").stat().st_ino == inode
    assert (root / "a").stat().st_mode & 0o777 == 0o600


def test_leftovers_go_and_the_cache_of_python_stays(root: Path) -> None:
    for name in ("__pycache__", "folder"):
        (root / name).mkdir()
        (root / name / "x").write_text("")
    (root / "link").symlink_to("/nonexistent")
    outcome = have(place(root / "a", "1\n"), exclusive=root)
    assert outcome.removed == [str(root / "folder"), str(root / "link")]
    assert listing(root) == ["__pycache__", "__pycache__/x", "a"]


def test_a_refused_file_stays_as_it_was(root: Path) -> None:
    have(place(root / "a", "good\n"))
    with pytest.raises(FileSetError, match="a was not changed, grep refuses it"):
        have(place(root / "a", "bad\n", validate="grep -c good %s"))
    assert (root / "a").read_text() == "good\n"
    assert listing(root) == ["a"]
    assert have(place(root / "a", "good too\n", validate="grep -c good %s")).changed


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param({"owner": "nobody knows"}, "there is no user nobody knows", id="no such user"),
        pytest.param({"path": "folder"}, "folder is a directory: move it", id="a directory in the way"),
        pytest.param({"path": "link"}, "link is neither a file nor a directory", id="a link in the way"),
        pytest.param({"path": "file/below"}, "file/below: ", id="below a file"),
    ],
)
def test_what_cannot_be_is_named(root: Path, wrong: dict[str, str], words: str) -> None:
    (root / "folder").mkdir()
    (root / "file").write_text("")
    (root / "link").symlink_to("folder")
    values = {"path": "a", **wrong}
    with pytest.raises(FileSetError, match=words):
        have(place(root / values.pop("path"), "1\n", **values))
    assert listing(root) == ["file", "folder", "link"]


def test_what_nobody_has_acted_on_is_written_again(root: Path) -> None:
    pending = root / "pending"
    places = (place(root / "a", "1\n"), place(root / "b", "2\n"))
    assert have(*places, pending=pending).written == [str(root / "a"), str(root / "b")]
    again = have(*places, pending=pending)
    assert (again.written, again.changed, again.diff) == ([str(root / "a"), str(root / "b")], True, [])
    assert have(*places, pending=pending, dry_run=True) == again
    pending.unlink()
    assert not have(*places, pending=pending).changed
    assert listing(root) == ["a", "b"]


def test_it_is_noted_before_the_first_file_is_written(root: Path) -> None:
    pending = root / "pending"

    def cut_off(source: str, destination: str) -> None:
        if destination != str(pending):
            raise KeyboardInterrupt
        os.replace(source, destination)

    places = (place(root / "a", "1\n"), place(root / "b", "2\n"))
    with pytest.raises(KeyboardInterrupt):
        bring(places, exclusive=[], host=OwnHost(cut_off), dry_run=False, pending=str(pending))
    assert pending.read_text() == f"{root / 'a'}\n{root / 'b'}\n"
    assert listing(root) == ["pending"]


def test_a_refusal_leaves_only_what_was_written_pending(root: Path) -> None:
    pending = root / "pending"
    refused = place(root / "b", "bad\n", validate="grep -c good %s")
    with pytest.raises(FileSetError):
        have(refused, pending=pending)
    assert listing(root) == []
    with pytest.raises(FileSetError):
        have(place(root / "a", "1\n"), refused, pending=pending)
    assert pending.read_text() == f"{root / 'a'}\n"


def test_check_mode_notes_nothing(root: Path) -> None:
    have(place(root / "a", "1\n"), pending=root / "pending", dry_run=True)
    assert listing(root) == []
