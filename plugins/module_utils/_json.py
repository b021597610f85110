# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON from outside, read up to a largest size; an error says what was read and what is wrong with it.

What hosts give each other, or what outlives an upgrade, has a major version, ``schema``. A key that an older host may ignore does
not raise it: that host ignores the key, and keeps it where it writes the file again. What an older host must not touch raises it,
and is refused there. A lower one is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ._errors import Corrupt, EdgeError, Unsupported


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


def require_schema(
    found: Mapping[str, Any], newest: int, where: str, kind: type[EdgeError] = Corrupt, *, key: str = "schema"
) -> None:
    """Raise Unsupported where ``found`` is of a higher major version than this host knows; without one it is of the first."""
    schema = found.get(key, 1)
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise kind(f"{where}: {key} is {schema!r:.80}, not a whole number from 1.", where=where)
    if schema > newest:
        raise Unsupported(
            f"{where} has {key} {schema}, and this host knows {key} {newest}; upgrade edge.cloud on this host.", where=where
        )
