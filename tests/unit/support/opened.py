# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts the files that this process opens: what a run costs, whatever the speed of the machine."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_counting: list[Counter[str]] = []
_hooked: list[bool] = []


def _note(event: str, args: Any) -> None:
    if event == "open" and isinstance(args[0], str | bytes | os.PathLike):
        for counter in _counting:
            counter[os.fsdecode(args[0])] += 1


@contextmanager
def opened() -> Iterator[Counter[str]]:
    """Count the opens of each path meanwhile."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_note)  # which cannot be taken back
    counter: Counter[str] = Counter()
    _counting.append(counter)
    try:
        yield counter
    finally:
        _counting.remove(counter)


def by_suffix(counter: Counter[str], suffix: str, below: object = "") -> int:
    """Return how many of the opens were of files below a folder whose names end so."""
    return sum(count for path, count in counter.items() if path.endswith(suffix) and path.startswith(str(below)))
