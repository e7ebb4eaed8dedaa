# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules for every file under version control that no linter knows."""

from __future__ import annotations

import re
import subprocess

import pytest

from process import CHECKOUT

TRACKED = subprocess.run(
    ["git", "-c", f"safe.directory={CHECKOUT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    cwd=CHECKOUT,
    stdout=subprocess.PIPE,
    text=True,
    check=True,
).stdout.split("\0")

FORBIDDEN = {
    "path of one machine": r"(?<![\w.}])/(work|farm|home/[a-z]+)/|/root/\.(pyenv|cache)",
    "registry of container images": r"\b(docker|quay|ghcr|gcr)\.io\b",
    "test that does not test": r"pytest\.(skip|xfail|importorskip)\(|@pytest\.mark\.(skip|xfail)",
    "failure that is hidden": r"\bignore_errors: *(true|yes)|\bfailed_when: *(false|no)\b|# *noqa",
}


@pytest.mark.parametrize("reason", FORBIDDEN)
def test_no_file_holds(reason: str) -> None:
    found = []
    for name in filter(None, TRACKED):
        path = CHECKOUT / name
        if name.startswith("LICENSES/") or path.parent.name == "collection" or path.is_symlink() or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if re.search(FORBIDDEN[reason], line):
                found.append(f"{name}:{number}: {line.strip()}")
    assert not found, reason
