# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we know of a VM's snapshots, as plain data: one JSON file in the VM's folder, and the journal of what is under way.

libvirt is told to keep no metadata of them: its own cannot be reverted or deleted in libvirt 9, and blocks migration and undefine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..._errors import Corrupt

VERSION = 1
Paths = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Point:
    """A snapshot: the files that have each disk as it was at that instant, and nobody writes; ``memory`` is a file too."""

    name: str
    files: Paths
    run: str = "running"
    memory: str | None = None
    quiesced: bool = False
    description: str = ""
    created: str = ""


@dataclass(frozen=True)
class Left:
    """The files that a revert to ``snapshot`` left behind, kept until that snapshot is removed."""

    snapshot: str
    files: Paths


@dataclass(frozen=True)
class Pending:
    """A change under way: ``take`` or ``revert`` of ``point`` with new ``layers`` (disk, file), ``merge`` of ``top`` into ``base``.

    ``run`` is what the guest did before, ``old`` the active files then.
    """

    what: str
    point: Point | None = None
    layers: Paths = ()
    run: str = "running"
    old: Paths = ()
    discard: bool = False
    disk: str = ""
    top: str = ""
    base: str = ""


@dataclass(frozen=True)
class Ledger:
    """All of it. ``made`` are the files that we made and alone may delete, ``newest`` the last known active file of each disk."""

    points: tuple[Point, ...] = ()
    left: tuple[Left, ...] = ()
    made: tuple[str, ...] = ()
    newest: Paths = ()
    pending: Pending | None = None

    def point(self, name: str) -> Point | None:
        """Return the snapshot of this name."""
        return next((one for one in self.points if one.name == name), None)

    @property
    def referenced(self) -> frozenset[str]:
        """The files that a snapshot, or what a revert left, needs as they are."""
        named = [one.files for one in self.points] + [one.files for one in self.left]
        return frozenset(path for files in named for _disk, path in files)

    def without(self, name: str) -> Ledger:
        """Return the ledger without a snapshot and what reverts to it left."""
        return replace(
            self,
            points=tuple(one for one in self.points if one.name != name),
            left=tuple(one for one in self.left if one.snapshot != name),
        )

    def moved(self, old: str, new: str) -> Ledger:
        """Return the ledger with ``new`` in place of the file ``old``, whose content it has now."""

        def files(paths: Paths) -> Paths:
            return tuple((disk, new if path == old else path) for disk, path in paths)

        return replace(
            self,
            points=tuple(replace(one, files=files(one.files)) for one in self.points),
            left=tuple(replace(one, files=files(one.files)) for one in self.left),
            newest=files(self.newest),
        )

    def to_json(self) -> str:
        """Return the same text for the same ledger."""
        return json.dumps({"version": VERSION, **asdict(self)}, sort_keys=True, indent=1) + "\n"


def ledger_from_json(text: str, where: str) -> Ledger:
    """Return the ledger; raise Corrupt where the text is none, since guessing could delete a disk."""
    try:
        data = json.loads(text)
        known = {VERSION: data}[data["version"]]
        pending = known["pending"]
        return Ledger(
            points=tuple(_point(one) for one in data["points"]),
            left=tuple(Left(one["snapshot"], _paths(one["files"])) for one in data["left"]),
            made=tuple(data["made"]),
            newest=_paths(data["newest"]),
            pending=_pending(pending) if pending else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Corrupt(f"{where} is not a list of snapshots of ours ({error}); nothing was changed.", path=where) from None


def _paths(rows: Any) -> Paths:
    return tuple((str(disk), str(path)) for disk, path in rows)


def _point(data: Mapping[str, Any]) -> Point:
    return Point(**{**data, "files": _paths(data["files"])})


def _pending(data: Mapping[str, Any]) -> Pending:
    point = _point(data["point"]) if data["point"] else None
    return Pending(**{**data, "point": point, "layers": _paths(data["layers"]), "old": _paths(data["old"])})
