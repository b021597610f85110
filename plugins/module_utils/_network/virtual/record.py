# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of the definitions that a host makes at boot. It is replaced whole; what a newer version wrote in it is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..._errors import Corrupt
from ..._files import write_atomically
from ..._json import load_object, require_schema
from .state import Record

SCHEMA = 1
LIMIT = 16 * 1024 * 1024


def read(path: Path) -> dict[str, Mapping[str, Any]]:
    """Return the definitions by name; none if there is no file. Raise Corrupt or Unsupported if it cannot be used."""
    return _by_name(_load(path))


def definitions(data: bytes, where: str) -> dict[str, Mapping[str, Any]]:
    """Return the definitions in the text of such a file by name; raise Corrupt or Unsupported, with ``where`` it is from."""
    return _by_name(_parsed(data, where))


def write(path: Path, record: Record) -> None:
    """Replace the file by ``record``, or remove it where nothing is left to say; the caller holds the lock of networks."""
    found = _load(path)
    if not record and not found.keys() - {"schema", "networks"}:
        path.unlink(missing_ok=True)
        return
    found |= {"schema": SCHEMA, "networks": [dict(record[name]) for name in sorted(record)]}
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(found, indent=1) + "\n").encode(), path.with_name(f".{path.name}.new"), mode=0o644)


def _load(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {"networks": []}
    return _parsed(data, str(path))


def _parsed(data: bytes, where: str) -> dict[str, Any]:
    found = load_object(data, where, LIMIT)
    require_schema(found, SCHEMA, where)
    networks = found.get("networks")
    if not isinstance(networks, list) or not all(isinstance(one, dict) and isinstance(one.get("name"), str) for one in networks):
        raise Corrupt(f"{where}: networks has a definition without a name, or is not a list; move the file away.", path=where)
    return found


def _by_name(found: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(one["name"]): one for one in found["networks"]}
