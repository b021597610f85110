# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON from outside, read up to a largest size; an error says what was read and what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

from ._errors import Corrupt, EdgeError


def load_json(data: bytes | str, where: str, limit: int, kind: type[EdgeError] = Corrupt) -> Any:
    """Return the JSON in ``data``, which may be hostile; raise ``kind`` if it is not JSON or larger than ``limit`` bytes."""
    if len(data) > limit:
        raise kind(f"{where} is larger than {limit} bytes; it was not read.", where=where)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise kind(f"{where} is not JSON: {error!s:.200}.", where=where) from None


def load_object(data: bytes | str, where: str, limit: int, kind: type[EdgeError] = Corrupt) -> dict[str, Any]:
    """Return the JSON object in ``data``; see ``load_json``."""
    loaded = load_json(data, where, limit, kind)
    if not isinstance(loaded, dict):
        raise kind(f"{where} is not a JSON object.", where=where)
    return loaded
