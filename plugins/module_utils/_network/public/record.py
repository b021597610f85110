# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of the public addresses that a host has at boot. It is replaced whole; what a newer version wrote in it is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..._errors import Corrupt, InvalidInput
from ..._files import write_atomically
from ..._json import load_object, require_schema
from .definition import Definition

SCHEMA = 1
LIMIT = 16 * 1024 * 1024


def read(path: Path) -> dict[str, Definition]:
    """Return the definitions by address; none if there is no file. Raise Corrupt or Unsupported if it cannot be used."""
    found = {}
    for raw in _load(path)["addresses"]:
        try:
            one = Definition.checked(raw)
        except (InvalidInput, KeyError, TypeError) as error:
            raise Corrupt(f"{path}: {error!s:.300}; correct it, or move the file away.", path=str(path)) from None
        found[one.address] = one
    return found


def write(path: Path, record: Mapping[str, Definition]) -> None:
    """Replace the file by ``record``, or remove it where nothing is left to say; the caller holds the lock."""
    found = _load(path)
    if not record and not found.keys() - {"schema", "addresses"}:
        path.unlink(missing_ok=True)
        return
    newer = {str(raw.get("address")): raw for raw in found["addresses"] if isinstance(raw, dict)}
    found |= {"schema": SCHEMA, "addresses": [_over(newer.get(key, {}), record[key]) for key in sorted(record)]}
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(found, indent=1) + "\n").encode(), path.with_name(f".{path.name}.new"), mode=0o644)


def _over(found: Mapping[str, Any], definition: Definition) -> dict[str, Any]:
    known = definition.__dataclass_fields__
    return {**{key: value for key, value in found.items() if key not in known}, **definition.as_json()}


def _load(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {"addresses": []}
    found = load_object(data, str(path), LIMIT)
    require_schema(found, SCHEMA, str(path))
    if not isinstance(found.get("addresses"), list):
        raise Corrupt(f"{path}: addresses is not a list; move the file away.", path=str(path))
    return found
