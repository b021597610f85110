# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tries of a fault run come to: lost and doubled, counted by case."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import BATCH

Outcome = tuple[bool, bool]
Row = dict[str, Any]
BOUND = 2 * BATCH  # what docs/storage.md promises that an interruption costs at most


def table_row(case: str, outcomes: Iterator[Outcome]) -> Row:
    """Return the counts of a case."""
    begun = time.monotonic()
    found = list(outcomes)
    lost, doubled = sum(one for one, _two in found), sum(two for _one, two in found)
    print(f"{case}: {len(found)} tries in {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return {"case": case, "tries": len(found), "lost": lost, "doubled": doubled, "ok": bool(found) and not lost and not doubled}
