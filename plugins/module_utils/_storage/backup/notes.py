# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs of a host's timer note: when space was given back and restores were tried, and the last run.

Where the notes are lost, or cannot be read, both are done again at the next run; they never stop one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..._errors import Corrupt, EdgeError
from ..._files import write_atomically
from ..._json import load_object, require_schema
from ..._sizes import MIB

SCHEMA, NOTES = 1, "runs.json"
LARGEST, LONGEST_MESSAGE = 16 * MIB, 300


@dataclass
class Report:
    """What a run did, by the name of each VM or of the files: done, nothing to do, or failed and why.

    ``error`` is why it could not even begin with them. Without ``ended`` it goes on, or was killed.
    """

    begun: str
    ended: str = ""
    error: str = ""
    made: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    verified: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    not_here: list[str] = field(default_factory=list)
    pruned: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass
class Notes:
    """When the space was last given back, when each backup was last tried, when a run last succeeded, and the last run.

    ``newest`` is of what time the newest backup of each is, by the name that is shown. ``problem`` is why there are none of earlier
    runs.
    """

    folder: Path
    pruned: str = ""
    verified: dict[str, str] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    succeeded: str = ""
    newest: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Notes:
        """Return the notes in a folder, none where they cannot be read."""
        try:
            return cls._read(folder)
        except FileNotFoundError:
            return cls(folder)
        except (EdgeError, OSError) as error:
            return cls(folder, problem=f"The notes of earlier runs cannot be read and are written anew: {error}")

    @classmethod
    def _read(cls, folder: Path) -> Notes:
        path = folder / NOTES
        found = load_object(path.read_bytes(), str(path), LARGEST)
        require_schema(found, SCHEMA, str(path))
        pruned, verified, last = found.get("pruned", ""), found.get("verified", {}), found.get("last", {})
        succeeded, newest = found.get("succeeded", ""), found.get("newest", {})
        texts = isinstance(pruned, str) and isinstance(succeeded, str)
        if not (texts and all(isinstance(one, dict) for one in (verified, newest, last))):
            raise Corrupt(f"{path} is not what a run of backups notes.", where=str(path))
        times = [{str(key): str(value) for key, value in one.items()} for one in (verified, newest)]
        return cls(folder, pruned, times[0], last, succeeded=succeeded, newest=times[1])

    def take(self, report: Report) -> None:
        """Have a run as the last one, its messages cut."""
        failed = {name: _cut(message) for name, message in report.failed.items()}
        self.last = {**asdict(report), "error": _cut(report.error), "failed": failed}
        if report.ended and not (report.error or failed):
            self.succeeded = report.ended

    def write(self) -> None:
        """Write them, whole or not at all."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = {"schema": SCHEMA, "pruned": self.pruned, "verified": self.verified, "succeeded": self.succeeded}
        found |= {"newest": self.newest, "last": self.last}
        path = self.folder / NOTES
        write_atomically(path, json.dumps(found, indent=1).encode(), path.with_name(f".{NOTES}.new"), 0o600)


def _cut(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 2]} …"
