# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of the packages that came with us, and of what needs which of them, so that they can go again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._errors import Corrupt
from .._files import locked, write_atomically
from .._json import load_object, require_schema

RECORD = Path("/var/lib/edge/packages.json")
SCHEMA = 1
LIMIT = 1024 * 1024


@dataclass(frozen=True)
class Record:
    """``brought``: packages that were not there before, dependencies too; ``needs``: the names that each user of ours asked for."""

    brought: frozenset[str] = frozenset()
    needs: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def noted(self, needed_by: str, names: Collection[str]) -> Record:
        """Return the record with what one of ours needs."""
        return Record(self.brought, {**self.needs, needed_by: frozenset(names)})

    def without(self, needed_by: str) -> Record:
        """Return the record without one of ours; packages stay in it until they are gone."""
        return Record(self.brought, {name: names for name, names in self.needs.items() if name != needed_by})

    def with_brought(self, names: Collection[str]) -> Record:
        """Return the record with more packages that came with us."""
        return Record(self.brought | frozenset(names), self.needs)

    def still(self, there: Collection[str]) -> Record:
        """Return the record without the packages that are gone; one that is installed again later is not ours."""
        return Record(self.brought.intersection(there), self.needs)

    @property
    def needed(self) -> frozenset[str]:
        """All that any of ours needs."""
        return frozenset().union(*self.needs.values())


@dataclass(frozen=True)
class RecordFile:
    """The record on this host; it is there as long as there is something in it."""

    path: Path = field(default_factory=lambda: RECORD)

    def read(self) -> Record:
        """Return the record; raise Corrupt for a damaged one, since it decides which packages go."""
        try:
            found = load_object(self.path.read_bytes(), str(self.path), LIMIT)
        except FileNotFoundError:
            return Record()
        require_schema(found, SCHEMA, str(self.path))
        needs = found.get("needs")
        if not isinstance(needs, dict) or not all(_are_names(names) for names in (found.get("brought"), *needs.values())):
            raise Corrupt(
                f"{self.path} is not a record of packages; it was left alone. Restore it or remove it; then no package is removed.",
                path=str(self.path),
            )
        return Record(frozenset(found["brought"]), {name: frozenset(names) for name, names in needs.items()})

    def update(self, change: Callable[[Record], Record]) -> None:
        """Replace the record by what ``change`` makes of it."""
        with locked(self.path.with_suffix(".lock"), make_folder=True):
            record = change(self.read())
            if record.needs or record.brought:
                write_atomically(self.path, _text(record), self.path.with_suffix(".new"), mode=0o644)
            else:
                self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it is not empty
            self.path.parent.rmdir()


def _are_names(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(name, str) for name in found)


def _text(record: Record) -> bytes:
    needs = {name: sorted(names) for name, names in sorted(record.needs.items())}
    return json.dumps({"schema": SCHEMA, "brought": sorted(record.brought), "needs": needs}, indent=1).encode() + b"\n"
