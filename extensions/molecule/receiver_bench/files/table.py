# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bench.py has written (a file of lines of JSON, the one argument) as a table of Markdown."""

from __future__ import annotations

import json
import sys
from pathlib import Path

COLUMNS = {
    "collector": "collector",
    "settings": "settings",
    "sent": "messages sent",
    "rate": "a second",
    "kept": "kept",
    "share": "%",
    "datagrams": "datagrams",
    "taken": "taken",
    "dropped": "dropped at the socket",
    "nobody": "no socket",
    "whole": "fragmented: kept, whole",
    "cpu_us": "CPU us/message",
    "observer_us": "observer's",
    "peak_mib": "peak MiB",
    "end": "end",
}


def main() -> None:
    """See above."""
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
    measured = [row for row in rows if "workload" in row]
    for workload in dict.fromkeys(row["workload"] for row in measured):
        print(f"\n**{workload}**\n")
        print("| " + " | ".join(COLUMNS.values()) + " |\n|" + "---|" * len(COLUMNS))
        for row in measured:
            if row["workload"] == workload:
                row["share"] = f"{100 * row['kept'] / max(row['sent'], 1):.2f}"
                row["whole"] = f"{row['long']}, {row['joined']}" if "long" in row else ""
                row["end"] = row["ended"] or ("" if row["settled"] else "was not done when measured")
                print("| " + " | ".join(str(row[name]) for name in COLUMNS) + " |")
    limit = ", ".join(map(str, sorted({row["receive_buffer"] for row in rows if "receive_buffer" in row})))
    print(f"\nReceive buffers were limited to {limit} bytes (net.core.rmem_max of the host).")
    print("The observer runs at the role's settings only; it may have been behind when the collector was done.")


if __name__ == "__main__":
    main()
