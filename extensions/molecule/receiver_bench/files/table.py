# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bench.py has written (a file of lines of JSON, the one argument) as a table of Markdown."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

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


SHORT = {
    "burst of 100,000 from 1,000": "burst",
    "burst of 100,000 from 1,000, user data and fragments": "burst, mixed",
    "20,000/s from 1": "20,000/s",
    "50,000/s for 60 s from 1,000": "50,000/s for 60 s",
    "10,000/s from 10,000, user data and fragments": "10,000 senders, mixed",
    "netconsblaster": "netconsblaster",
}
"""What a workload is called at the head of a column."""

LONGEST = "50,000/s for 60 s from 1,000"
"""The workload whose processor time and memory stand in the overview."""

Row = dict[str, Any]


def share(row: Row) -> float:
    """Per cent of the messages that were kept."""
    return 100.0 * float(row["kept"]) / max(float(row["sent"]), 1.0)


def overview(measured: list[Row]) -> None:
    """Per cent kept of each workload, a line for each collector and settings."""
    print("| collector | settings | " + " | ".join(SHORT.values()) + " | CPU us/message | peak MiB |")
    print("|---|---|" + "---|" * (len(SHORT) + 2))
    for collector, settings in dict.fromkeys((row["collector"], row["settings"]) for row in measured):
        own = {row["workload"]: row for row in measured if (row["collector"], row["settings"]) == (collector, settings)}
        shares = [f"{share(own[name]):.2f}" if name in own else "" for name in SHORT]
        longest = own.get(LONGEST, {})
        costs = [str(longest.get("cpu_us", "")), str(longest.get("peak_mib", ""))]
        print("| " + " | ".join([collector, settings, *shares, *costs]) + " |")


def main() -> None:
    """See above."""
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
    measured = [row for row in rows if "workload" in row]
    overview(measured)
    for workload in dict.fromkeys(row["workload"] for row in measured):
        print(f"\n**{workload}**\n")
        print("| " + " | ".join(COLUMNS.values()) + " |\n|" + "---|" * len(COLUMNS))
        for row in measured:
            if row["workload"] == workload:
                row["share"] = f"{share(row):.2f}"
                row["whole"] = f"{row['long']}, {row['joined']}" if "long" in row else ""
                row["end"] = row["ended"] or ("" if row["settled"] else "was not done when measured")
                print("| " + " | ".join(str(row[name]) for name in COLUMNS) + " |")
    limit = ", ".join(map(str, sorted({row["receive_buffer"] for row in rows if "receive_buffer" in row})))
    print(f"\nReceive buffers were limited to {limit} bytes (net.core.rmem_max of the host).")
    print("The observer runs at the role's settings only; it may have been behind when the collector was done.")


if __name__ == "__main__":
    main()
