# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup as plain data: a snapshot of restic with tags of ours. Pure.

Recovery points of a VM are in the order of their numbers, whatever the clocks of their hosts said. Files have their time alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..._errors import Corrupt, InvalidInput
from ..._generation import point_of

OURS = "edge"
VM, NAME, GENERATION, INSTANT, FILES = "edge-vm", "edge-name", "edge-generation", "edge-instant", "edge-files"
FRACTION = re.compile(r"(\.\d{6})\d+")
ID = re.compile(r"[0-9a-f]{64}")
AHEAD = timedelta(hours=1)  # no clock that is kept right differs by as much


@dataclass(frozen=True)
class Source:
    """What a backup is of: a generation of a VM, or files under a name that the user gave."""

    uuid: str = ""
    name: str = ""
    generation: str = ""
    instant: str = ""
    files: str = ""

    @property
    def group(self) -> tuple[str, ...]:
        """The tags of all backups that replace each other over time."""
        return (OURS, f"{VM}={self.uuid}") if self.uuid else (OURS, f"{FILES}={self.files}")

    @property
    def tags(self) -> tuple[str, ...]:
        """All tags; none has a comma, which restic would read as the end of one."""
        of_vm = {NAME: self.name, GENERATION: self.generation, INSTANT: self.instant}
        return (*self.group, *(f"{key}={value}" for key, value in of_vm.items() if value))

    @property
    def words(self) -> str:
        """How sentences name it."""
        return f"the recovery point {self.generation} of the VM {self.name}" if self.uuid else f"the files {self.files}"


@dataclass(frozen=True)
class Backup:
    """One backup; ``id`` is that of restic's snapshot, empty for one that is not made yet. The time is what retention goes by."""

    source: Source
    time: datetime
    id: str = ""
    host: str = ""
    paths: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[Any, ...]:
        """What sorts backups of the same VM or files, the oldest first."""
        return (point_of(self.source.generation) if self.source.uuid else (), self.time, self.id)

    def is_ahead(self, now: datetime) -> bool:
        """Return whether it is of a time that is still to come: a clock was wrong, or somebody wants it to stay."""
        return self.time > now + AHEAD

    def view(self) -> dict[str, Any]:
        """Return it as modules show it."""
        source = self.source
        return {
            "snapshot": self.id or None,
            "time": self.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "host": self.host or None,
            "uuid": source.uuid or None,
            "vm": source.name or None,
            "generation": source.generation or None,
            "name": source.files or None,
        }


@dataclass(frozen=True)
class State:
    """A repository: whether it is there, and the backups in it, the oldest first."""

    there: bool = True
    backups: tuple[Backup, ...] = ()

    def of(self, source: Source) -> tuple[Backup, ...]:
        """Return the backups of the same VM or files, the oldest first."""
        return tuple(sorted((one for one in self.backups if one.source.group == source.group), key=lambda one: one.order))

    def until(self, source: Source, now: datetime) -> tuple[Backup, ...]:
        """Return those of them that are not of a time to come: what "the newest" and retention are about."""
        return tuple(one for one in self.of(source) if not one.is_ahead(now))

    def own(self, source: Source, now: datetime, host: str) -> tuple[Backup, ...]:
        """Return those of them that replace each other: of a VM all, of files those of this host, since others may use the name."""
        return tuple(one for one in self.until(source, now) if source.uuid or one.host == host)

    def view(self) -> dict[str, Any]:
        """Return it as modules show it, without what a run cannot predict."""
        shown = [{key: value for key, value in one.view().items() if key not in ("snapshot", "host")} for one in self.backups]
        return {"repository": "present" if self.there else "absent", "backups": shown}


def read_snapshots(found: Iterable[Mapping[str, Any]]) -> tuple[Backup, ...]:
    """Return the backups of ours among restic's snapshots, the oldest first; those of others are left out."""
    backups = [_backup(one) for one in found if OURS in (one.get("tags") or ())]
    return tuple(sorted((one for one in backups if one), key=lambda one: (one.time, one.id)))


def _backup(snapshot: Mapping[str, Any]) -> Backup | None:
    pairs = dict(tag.split("=", 1) for tag in snapshot["tags"] if "=" in tag)
    source = Source(*(pairs.get(key, "") for key in (VM, NAME, GENERATION, INSTANT, FILES)))
    if not source.files and not (source.uuid and _is_point(source.generation)):
        return None
    if not ID.fullmatch(str(snapshot.get("id"))):
        raise Corrupt(f"restic names a snapshot {snapshot.get('id')!r:.80}, which is not an ID of one.")
    paths = tuple(snapshot.get("paths") or ())
    return Backup(source, read_time(str(snapshot["time"])), snapshot["id"], str(snapshot.get("hostname", "")), paths)


def _is_point(generation: str) -> bool:
    try:
        point_of(generation)
    except InvalidInput:
        return False
    return True


def read_time(text: str) -> datetime:
    """Return a time of restic or of a generation in UTC; a fraction finer than microseconds is cut."""
    return datetime.fromisoformat(FRACTION.sub(r"\1", text)).astimezone(UTC)
