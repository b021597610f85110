# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of measurements and fault runs: the same rows as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parents[3]
Row = Mapping[str, Any]


def publish(path: str, head: Mapping[str, Any], rows: Sequence[Row]) -> int:
    """Print ``rows`` as a table, write them with ``head`` to ``build/PATH``, and return the exit code of the program.

    It is 0 only if there are rows and each is ok, or misses a goal that it is known to miss and is not clearly worse than it was.
    """
    target = TREE / "build" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({**head, "rows": list(rows)}, indent=2) + "\n")
    print(table(rows))
    print(f"\n{json.dumps(head)}\n{target}")
    return 0 if rows and all(row["ok"] or row.get("worse") is False for row in rows) else 1


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text in columns, their keys above."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    cells = [keys, *([_cell(row.get(key)) for key in keys] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(keys))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
