#!/usr/bin/env bash
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Make this clone able to run its checks: a Python with venv and git (from Debian, only where they are missing), then
# .venv with the pinned tools. Does nothing when all is there.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null
export PIP_CACHE_DIR="${PIP_CACHE_DIR:-$HOME/.cache/fleet-netconsole/pip}" PIP_DISABLE_PIP_VERSION_CHECK=1

install_packages() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { echo "Missing: $*. Install them, or sudo, and try again." >&2; exit 1; }
        as_root=(sudo)
    fi
    command -v apt-get >/dev/null || { echo "Missing: $*. Install them and try again (no apt-get here)." >&2; exit 1; }
    echo "setup: installing $* from Debian"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update --quiet=2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "$@"
}

# Prints the first Python that ansible-core runs on and that can make environments. Answers, not names, count: a pyenv shim
# stands on PATH for versions that are switched off, and Debian's python3 comes without ensurepip.
find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" /usr/bin/python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    return 1
}

missing=()
command -v git >/dev/null || missing+=(git)
python=$(find_python) || missing+=(python3 python3-venv)
[ "${#missing[@]}" -eq 0 ] || install_packages "${missing[@]}"
python=${python:-$(find_python)} || { echo "No Python 3.11 or newer with venv found: set PYTHON to one." >&2; exit 1; }

# An environment cannot be moved, and its Python may go away: both are part of what the stamp stands for.
stamp=.venv/$({ pwd; "$python" -VV; cat tests/requirements.in tests/requirements.txt; } | sha256sum | cut -c1-16).ready
if [ ! -e "$stamp" ] || ! .venv/bin/python -c ''; then
    echo "setup: making .venv with $("$python" -V) (about a minute)"
    rm -rf .venv
    "$python" -m venv .venv
    .venv/bin/python -m pip install -qq --requirement tests/requirements.in --constraint tests/requirements.txt
    touch "$stamp"
    echo "setup: .venv is ready after $SECONDS s"
fi
