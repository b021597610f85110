# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we know of a VM's snapshots, as plain data: one JSON file in the VM's folder, and the journal of what is under way.

libvirt keeps no metadata of them: its own cannot be reverted or deleted in libvirt 9, and blocks migration and undefine.

``kept`` has the keys that a newer version added, which stay where the file is written again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar

from ..._errors import Corrupt
from ..._json import require_schema

VERSION = 1
Paths = tuple[tuple[str, str], ...]
Kept = Mapping[str, Any]
Part = TypeVar("Part")


@dataclass(frozen=True)
class Snapshot:
    """A snapshot: the files that have each disk as it was at that instant, not written any more; ``memory`` is a file too."""

    name: str
    files: Paths
    run: str = "running"
    memory: str | None = None
    quiesced: bool = False
    description: str = ""
    created: str = ""
    kept: Kept = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Orphan:
    """The files that a revert to ``snapshot`` left behind, kept until that snapshot is removed."""

    snapshot: str
    files: Paths
    kept: Kept = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Journal:
    """A change under way: ``take`` or ``revert`` of ``snapshot`` with new ``overlays`` (disk, file), ``commit`` of ``top``
    into ``base``.

    ``run`` is what the guest did when it began, ``old`` the active files then.
    """

    what: str
    snapshot: Snapshot | None = None
    overlays: Paths = ()
    run: str = "running"
    old: Paths = ()
    discard: bool = False
    disk: str = ""
    top: str = ""
    base: str = ""
    kept: Kept = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class SnapshotIndex:
    """All of it. ``made`` are the files that we made and alone may delete, ``newest`` the last known active file of each disk."""

    snapshots: tuple[Snapshot, ...] = ()
    orphans: tuple[Orphan, ...] = ()
    made: tuple[str, ...] = ()
    newest: Paths = ()
    journal: Journal | None = None
    kept: Kept = field(default_factory=dict, hash=False)

    def snapshot(self, name: str) -> Snapshot | None:
        """Return the snapshot of this name."""
        return next((one for one in self.snapshots if one.name == name), None)

    @property
    def referenced(self) -> frozenset[str]:
        """The files that a snapshot, or what a revert left, needs as they are."""
        named = [one.files for one in self.snapshots] + [one.files for one in self.orphans]
        return frozenset(path for files in named for _disk, path in files)

    def without(self, name: str) -> SnapshotIndex:
        """Return the index without a snapshot and what reverts to it left."""
        return replace(
            self,
            snapshots=tuple(one for one in self.snapshots if one.name != name),
            orphans=tuple(one for one in self.orphans if one.snapshot != name),
        )

    def moved(self, old: str, new: str) -> SnapshotIndex:
        """Return the index with ``new`` in place of the file ``old``, whose content it has now."""

        def files(paths: Paths) -> Paths:
            return tuple((disk, new if path == old else path) for disk, path in paths)

        return replace(
            self,
            snapshots=tuple(replace(one, files=files(one.files)) for one in self.snapshots),
            orphans=tuple(replace(one, files=files(one.files)) for one in self.orphans),
            newest=files(self.newest),
        )

    def to_json(self) -> str:
        """Return the same text for the same index."""
        return json.dumps({**_plain(self), "version": VERSION}, sort_keys=True, indent=1) + "\n"


def index_from_json(text: str, where: str) -> SnapshotIndex:
    """Return the index; raise Corrupt where the text is not an index, since guessing could delete a disk.

    Raises Unsupported where a newer major version wrote it.
    """
    try:
        data = json.loads(text)
        require_schema({"version": data["version"]}, VERSION, where, key="version")
        return _built(
            SnapshotIndex,
            data,
            snapshots=tuple(_snapshot(one) for one in data["snapshots"]),
            orphans=tuple(_built(Orphan, one, files=_paths(one["files"])) for one in data["orphans"]),
            made=tuple(data["made"]),
            newest=_paths(data["newest"]),
            journal=_journal(data["journal"]) if data["journal"] else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError, Corrupt) as error:
        raise Corrupt(f"{where} is not a list of snapshots of ours ({error}); nothing was changed.", path=where) from None


def _paths(rows: Any) -> Paths:
    return tuple((str(disk), str(path)) for disk, path in rows)


def _snapshot(data: Mapping[str, Any]) -> Snapshot:
    return _built(Snapshot, data, files=_paths(data["files"]))


def _journal(data: Mapping[str, Any]) -> Journal:
    snapshot = _snapshot(data["snapshot"]) if data["snapshot"] else None
    return _built(Journal, data, snapshot=snapshot, overlays=_paths(data["overlays"]), old=_paths(data["old"]))


def _built(cls: Callable[..., Part], data: Mapping[str, Any], **parts: Any) -> Part:
    """Return an object of ``cls`` from the keys that it knows, and keep the others."""
    names = {one.name for one in fields(cls)} - {"kept"}  # type: ignore[arg-type]
    known = {key: value for key, value in data.items() if key in names}
    return cls(**{**known, **parts}, kept={key: value for key, value in data.items() if key not in {*names, "version"}})


def _plain(value: Any) -> Any:
    """Return the JSON of a dataclass, with the keys that it keeps."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not is_dataclass(value):
        return value
    known = {one.name: _plain(getattr(value, one.name)) for one in fields(value) if one.name != "kept"}
    return {**getattr(value, "kept", {}), **known}
