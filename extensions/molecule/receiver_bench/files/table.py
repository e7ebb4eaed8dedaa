# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bench.py printed (lines of JSON, standard input) as a table of Markdown."""

from __future__ import annotations

import json
import sys

COLUMNS = ("collector", "settings", "sent", "kept", "%", "socket drops", "CPU us/message", "peak MiB")


def main() -> None:
    """See above."""
    rows = [json.loads(line) for line in sys.stdin if line.strip()]
    measured = [row for row in rows if "workload" in row]
    for workload in dict.fromkeys(row["workload"] for row in measured):
        print(f"\n**{workload}**\n")
        print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
        for row in measured:
            if row["workload"] == workload:
                share = f"{100 * row['kept'] / max(row['sent'], 1):.2f}"
                cells = (row["collector"], row["settings"], row["sent"], row["kept"], share)
                cells += (row["dropped"], row["cpu_us"], row["peak_mib"])
                print("| " + " | ".join(map(str, cells)) + " |")
    buffers = {row["receive_buffer"] for row in rows if "receive_buffer" in row}
    limit = ", ".join(map(str, sorted(buffers)))
    print(f"\nReceive buffers were limited to {limit} bytes (net.core.rmem_max of the host).")


if __name__ == "__main__":
    main()
