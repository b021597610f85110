# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers and lists of names as a message shows them: a few of them, and how many more there are."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

MOST = 12
COMPARED = 64  # of a list, those whose pairs of letters are most like the name's: only they are compared letter by letter
LETTERS = 128  # of a name that are looked at
ALIKE = 0.6


def few(names: Iterable[str], most: int = MOST, *, otherwise: str = "none") -> str:
    """Return the first ``most`` of the names and the number of the others; ``otherwise`` where there are none."""
    found = list(names)
    more = [f"and {len(found) - most} more"] if len(found) > most else []
    return ", ".join([*found[:most], *more]) or otherwise


def counted(number: int, one: str) -> str:
    """Return a number of things, which are called ``one`` where there is one, and the same with an s otherwise."""
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


def nearest(wanted: str, names: Iterable[str]) -> list[str]:
    """Return all the names, each once, those most like ``wanted`` first and the others by the alphabet.

    Its time grows with the number of names and no faster.
    """
    import difflib  # noqa: PLC0415 only an error needs it

    found = sorted(set(names))
    pairs = _pairs(wanted)
    candidates = heapq.nlargest(COMPARED, found, key=lambda name: _likeness(pairs, _pairs(name)))
    matcher = difflib.SequenceMatcher(a="", b=wanted[:LETTERS], autojunk=False)
    likeness: dict[str, float] = {}
    for name in candidates:
        matcher.set_seq1(name[:LETTERS])
        if (ratio := matcher.ratio()) >= ALIKE:
            likeness[name] = ratio
    alike = sorted(likeness, key=lambda name: -likeness[name])
    return [*alike, *(name for name in found if name not in likeness)]


def _pairs(name: str) -> set[str]:
    text = f" {name[:LETTERS].lower()} "
    return {text[place : place + 2] for place in range(len(text) - 1)}


def _likeness(one: set[str], other: set[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other))
