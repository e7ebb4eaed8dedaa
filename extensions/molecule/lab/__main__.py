# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry: `python3 extensions/molecule/lab COMMAND`, from any folder."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # started as a folder: make it the package that it is
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from lab.cli import main

if __name__ == "__main__":
    sys.exit(main())
