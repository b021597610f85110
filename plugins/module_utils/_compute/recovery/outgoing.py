# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes points from their VM's own host once enough other hosts hold them, and never on doubt.

A host that does not answer, does not have a point or has another one of its name holds nothing. A point that no host was seen to
hold goes only when as many later points of the VM are held as its policy keeps: replicas have dropped it by then, or will.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..._errors import EdgeError, InvalidInput, message_of
from ..._files import fsync
from ..._generation import DOCUMENT, LARGEST_JSON, Generation, Point, parse, point_of

GONE = ".gone"
GAP = 2**20  # more points than a VM has in a year, and less than replicas let numbers rise


class Keepers(Protocol):
    """Asks the hosts that keep points; raises EdgeError where one does not answer."""

    def holds(self, member: str, generation: Generation) -> bool:
        """Return whether a host holds this point with this content, whole."""

    def newest(self, member: str, uuid: str) -> Point | None:
        """Return the newest point that a host keeps of a VM, None for none."""


@dataclass
class Asking:
    """The hosts that may hold points, asked in one pass. One that did not answer is not asked again: ``silent`` says why."""

    members: Sequence[str]
    keepers: Keepers
    silent: dict[str, str] = field(default_factory=dict)

    def is_held(self, generation: Generation, replicas: int) -> bool:
        """Return whether at least so many hosts hold a point."""
        found = 0
        for member in self.members:
            found += self._asked(member, generation)
            if found >= replicas:
                return True
        return False

    def _asked(self, member: str, generation: Generation) -> bool:
        if member in self.silent:
            return False
        try:
            return self.keepers.holds(member, generation)
        except (EdgeError, OSError) as error:
            self.silent[member] = message_of(error)
            return False


def newest_elsewhere(members: Sequence[str], keepers: Keepers, uuid: str) -> Point:
    """Return the newest point that other hosts can have of a VM of which this host knows none, such as one that migrated here.

    Where one does not answer, the number is one that no point there has yet: numbers may be left out, and none is used twice.
    """
    found, gap = [(0, 0)], 0
    for member in members:
        try:
            found.append(keepers.newest(member, uuid) or (0, 0))
        except (EdgeError, OSError):
            gap = GAP
    epoch, number = max(found)
    return epoch, number + gap


def points_in(home: Path) -> Iterator[Generation]:
    """Yield the points in a VM's folder that can be read, the newest first; what was being removed is removed."""
    for path in home.glob(f".*{GONE}"):
        shutil.rmtree(path, ignore_errors=True)
    names = [path.name for path in home.iterdir() if _point(path.name)]
    for name in sorted(names, key=point_of, reverse=True):
        with suppress(EdgeError, OSError):
            with (home / name / DOCUMENT).open("rb") as file:
                found = parse(file.read(LARGEST_JSON + 1), str(home / name))
            if found.name == name and found.vm.uuid == home.name:
                yield found


def _point(name: str) -> Point | None:
    with suppress(InvalidInput):
        return point_of(name)
    return None


def removable(points: Sequence[Generation], held: Collection[Point], keep: int) -> list[Generation]:
    """Return the points that may go: those that are held, and those before ``keep`` later ones that are."""
    return [one for one in points if one.point in held or sum(point > one.point for point in held) >= keep]


def remove(home: Path, generation: Generation) -> None:
    """Remove a point; it disappears at once, so that nothing reads half of it."""
    gone = home / f".{generation.name}{GONE}"
    (home / generation.name).rename(gone)
    fsync(home)
    shutil.rmtree(gone)
