# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the last drill of each VM showed: a file for each VM, kept over reboots. Times are seconds since 1970; no clock is asked."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..._errors import EdgeError
from ..._files import write_atomically
from ..._json import load_object, require_schema
from ..recovery import progress
from ..recovery.progress import text_of

SCHEMA, LARGEST = 1, 2**20
DAY = 86400.0
EARLY = 0.8  # of the days that there are, so that a drill that fails can be tried again within them
AGAIN = 6 * 3600.0  # seconds until a drill that failed is tried again


@dataclass(frozen=True)
class DrillNote:
    """The last drill of a VM: of which point, when, how long until the sign, and why it failed (empty where it did not).

    ``good`` is when the last one that was well was done, and ``good_generation`` its point; None for none.
    """

    vm: str
    uuid: str
    tried: float
    generation: str | None = None
    seconds: float = 0.0
    error: str = ""
    good: float | None = None
    good_generation: str | None = None

    def is_due(self, days: float, now: float) -> bool:
        """Return whether it is time for another drill; a clock that was set back must not put it off."""
        if self.error:
            return not self.tried <= now < self.tried + min(AGAIN, days * DAY)
        return self.good is None or not self.good <= now < self.good + EARLY * days * DAY

    def shown(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "generation": self.generation,
            "drilled_at": text_of(self.tried),
            "well": not self.error,
            "error": self.error or None,
            "seconds": round(self.seconds, 1),
            "last_well_at": text_of(self.good),
            "last_well_generation": self.good_generation,
        }


def read(folder: Path, uuid: str) -> DrillNote | None:
    """Return what was noted of a VM, None where nothing was or where it cannot be read: then it is drilled again."""
    path = folder / f"{uuid}.json"
    with suppress(OSError, EdgeError, KeyError, TypeError, ValueError):
        found = load_object(path.read_bytes(), str(path), LARGEST)
        require_schema(found, SCHEMA, str(path))
        good = found["good"]
        return DrillNote(
            str(found["vm"]),
            uuid,
            float(found["tried"]),
            found["generation"],
            float(found["seconds"]),
            str(found["error"]),
            None if good is None else float(good),
            found["good_generation"],
        )
    return None


def write(folder: Path, note: DrillNote) -> None:
    """Replace what is noted of a VM; a reader, and a host that lost its power, see the old or the new."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{note.uuid}.json"
    body = {**asdict(note), "schema": SCHEMA}
    write_atomically(path, json.dumps(body, sort_keys=True).encode() + b"\n", folder / f".{path.name}.new", 0o600)


def protection(folder: Path, now: float) -> list[dict[str, Any]]:
    """Return how far the points of each VM are and its last drill, by name, as noted in ``status`` and ``drills`` of the folder."""
    drills = {path.stem: read(path.parent, path.stem) for path in (folder / "drills").glob("*.json")}
    found = [(one.shown(now), drills.get(one.uuid)) for one in progress.all_in(folder / "status")]
    return [{**shown, "drill": note.shown() if note else None} for shown, note in found]
