# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What restic says when it fails, as one line of text. Pure: newer versions say it in JSON, with several hints below."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

HINT = "Is there a repository at the following location?"  # the location follows, which every message of ours has


def plain(text: str) -> str:
    """Return restic's words as one line, without JSON, its "Fatal:" and the hint about the location."""
    lines = [line for row in text.splitlines() for line in _text_of(row).splitlines()]
    return " ".join(dict.fromkeys(line for line in _without_hint(lines) if line))


def _text_of(row: str) -> str:
    if not row.startswith("{"):
        return row
    try:
        found = json.loads(row)
    except ValueError:
        return row
    said = _said(found) if isinstance(found, Mapping) else None
    return said if said is not None else row


def _said(found: Mapping[str, Any]) -> str | None:
    """Return the text of a message of restic's; None for JSON that is none, and an empty one for a mere number of progress."""
    error = found.get("error")
    if isinstance(error, Mapping):
        item = found.get("item")
        said = str(error.get("message") or error)
        return f"{item}: {said}" if item and str(item) not in said else said
    if isinstance(found.get("message"), str):
        return str(found["message"])
    return "" if found.get("message_type") == "status" else None


def _without_hint(lines: list[str]) -> Iterator[str]:
    rows = iter(line.strip() for line in lines)
    for row in rows:
        if row == HINT:
            next(rows, None)
        else:
            yield row.removeprefix("Fatal: ")
