# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host knows of the recovery points that it made of a VM: a file beside the points, written before each step that needs it.

``last`` is the newest point, whose checkpoint's bitmaps have what changed since. ``begun`` is the checkpoint of a point that is not
finished, and ``ready`` its document once all its files are whole. ``files`` has the active file of each disk at that point and its
inode: a file put in its place may bring a bitmap of another time. It also has the path by which the VM has the disk: disks that
were exchanged have bitmaps of the same name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ... import _generation
from ..._errors import Corrupt
from ..._files import write_atomically
from ..._generation import Generation
from ..._json import load_object, require_schema

SCHEMA, LARGEST = 1, 32 * 2**20
NAME = "journal.json"
Files = Mapping[str, tuple[str, int, str]]


@dataclass(frozen=True)
class Journal:
    """See above; all empty for a VM without points. ``checkpoint`` may be there without ``last``: the one of the VM's birth."""

    checkpoint: str | None = None
    last: Generation | None = None
    begun: str | None = None
    ready: Generation | None = None
    files: Files = field(default_factory=dict, hash=False)
    kept: Mapping[str, Any] = field(default_factory=dict, hash=False)


def read(folder: Path) -> Journal:
    """Return the journal of a folder of points, an empty one where there is none; raise Corrupt where it cannot be read."""
    path = folder / NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Journal()
    found = load_object(data, str(path), LARGEST)
    require_schema(found, SCHEMA, str(path))
    try:
        last, ready = (_point(found[key], str(path)) for key in ("last", "ready"))
        files = {str(target): (str(file), int(inode), str(path)) for target, (file, inode, path) in found["files"].items()}
        names = {"schema", "checkpoint", "last", "begun", "ready", "files"}
        kept = {key: value for key, value in found.items() if key not in names}
        return Journal(_name(found["checkpoint"]), last, _name(found["begun"]), ready, files, kept)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Corrupt(
            f"{path} is not a journal of recovery points ({error}); delete it, and the next point is a whole one."
        ) from None


def _point(value: Any, where: str) -> Generation | None:
    return _generation.parse(json.dumps(value).encode(), where) if value else None


def _name(value: Any) -> str | None:
    return None if value is None else str(value)


def write(folder: Path, journal: Journal) -> None:
    """Replace the journal; a reader, and a host that lost its power, see the old or the new one."""
    points = {"last": journal.last, "ready": journal.ready}
    body = {
        "schema": SCHEMA,
        "checkpoint": journal.checkpoint,
        "begun": journal.begun,
        "files": {target: list(file) for target, file in journal.files.items()},
        **{key: json.loads(point.to_json()) if point else None for key, point in points.items()},
    }
    path = folder / NAME
    write_atomically(path, json.dumps({**journal.kept, **body}, sort_keys=True).encode() + b"\n", folder / f".{NAME}.new", 0o600)
