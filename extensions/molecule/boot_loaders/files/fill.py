# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill the file system that holds a folder to its last byte, with a file in that folder whose name is printed."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

MIB = 1024 * 1024


def fill(folder: Path) -> Path:
    """Write zeros, in smaller and smaller pieces, until nothing more fits."""
    path = folder / "lab-full"
    size = MIB
    with open(path, "wb", buffering=0) as file:
        while size >= 1:
            try:
                file.write(bytes(size))
                os.fsync(file.fileno())
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 4
    return path


if __name__ == "__main__":
    print(fill(Path(sys.argv[1])))
