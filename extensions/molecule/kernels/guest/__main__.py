# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run every check that this guest's kernel has something to say to. One line for each: passed or failed, and why."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Sequence

from kernels.guest import declarations, faults, hosts, model, network, selftests
from kernels.guest.ground import Ground, WrongError


def _checks(ground: Ground) -> list[tuple[str, Callable[[Ground], None]]]:
    parts = (model.checks(), selftests.checks(ground), faults.checks(ground), network.checks())
    return [*(check for part in parts for check in part), *declarations.checks(ground.offer), *hosts.checks()]


def main(arguments: Sequence[str]) -> int:
    """Run the checks whose name holds one of the arguments; all without arguments."""
    ground = Ground()
    wrong = 0
    for name, check in _checks(ground):
        if arguments and not any(argument in name for argument in arguments):
            continue
        started = time.monotonic()
        try:
            check(ground)
        except Exception as error:
            wrong += 1
            where = "" if isinstance(error, WrongError) else " | ".join(traceback.format_exc().splitlines()[-3:])
            print(f"failed {name}: {' '.join(str(error).split())} {where}".rstrip(), flush=True)
        else:
            print(f"passed {name}", flush=True)
        print(f"{time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)
    ground.fresh()
    print("done", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
