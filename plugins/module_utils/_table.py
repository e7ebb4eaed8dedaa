# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables for people, as aligned lines of text. The filters that show a fleet share it; it runs on the controller."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, Sequence

NAMED_IN_SUM = 10

Row = Mapping[str, Any]


def fleet_table(
    rows: Sequence[Row],
    *,
    header: Sequence[str],
    cells: Callable[[Row], Sequence[str]],
    right: str,
    limit: int,
    more: Callable[[Sequence[Row]], str],
) -> list[str]:
    """A row of cells for each that is not ``ok``, and for the rest as long as they are no more than ``limit``.

    ``right`` is the column that is aligned to the right, ``more`` has the words for those that are left out.
    """
    fine = [row for row in rows if row["ok"]]
    hidden = fine[limit:]
    shown = [row for row in rows if not row["ok"]] + fine[:limit] if hidden else rows
    lines = aligned([header, *(cells(row) for row in shown)], right=[header.index(right)])
    return [*lines, f"... and {len(hidden)} more {more(hidden)}"] if hidden else lines


def aligned(lines: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Cells in columns, two blanks apart. The columns in ``right`` are aligned to the right. Every line is as long."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    return [
        "  ".join(
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in lines
    ]


def named(hosts: Iterable[str]) -> str:
    """The hosts to look at, each once, no more than NAMED_IN_SUM of them by name. Empty where there is none."""
    names = list(dict.fromkeys(hosts))
    if not names:
        return ""
    more = f" and {len(names) - NAMED_IN_SUM} more" if len(names) > NAMED_IN_SUM else ""
    return f". To look at: {', '.join(names[:NAMED_IN_SUM])}{more}"
