# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index of snapshots in a VM's folder: whole or not there at all, and one writer at a time."""

from __future__ import annotations

from pathlib import Path

from ..._files import fsync, write_atomically
from ..model.overlays import INDEX
from .index import SnapshotIndex, index_from_json


def read_index(home: str) -> SnapshotIndex:
    """Return the index of a VM's folder, an empty one where there is none; raise Corrupt where it cannot be read."""
    path = Path(home, INDEX)
    try:
        return index_from_json(path.read_text(), str(path))
    except FileNotFoundError:
        return SnapshotIndex()


def write_index(home: str, index: SnapshotIndex) -> None:
    """Replace the index; a reader, and a host that lost its power, see the old or the new one."""
    path = Path(home, INDEX)
    write_atomically(path, index.to_json().encode(), path.with_name(f".{INDEX}.new"), 0o600)


def remove(path: str) -> None:
    """Delete a file, durably; that it is gone already is not an error."""
    Path(path).unlink(missing_ok=True)
    fsync(Path(path).parent)
