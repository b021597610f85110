# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the recovery points of a VM are: when the newest was made, and which of them enough other hosts hold.

A file for each VM, which is kept over reboots: points that are held are removed from this host, and only this file knows of them.
Times are seconds since 1970. Nothing here asks the clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..._errors import EdgeError
from ..._files import write_atomically
from ..._generation import Generation, Point, point_of
from ..._json import load_object, require_schema

SCHEMA, LARGEST = 1, 2**20
BREACH = 2  # intervals
FIRST, LONGEST = 50.0, 3600.0  # seconds until a try after the first failure, within the minute between passes, and after many


@dataclass(frozen=True)
class Progress:
    """One VM with a policy. ``since`` is when the policy was first seen.

    ``made`` is the newest point, and ``current`` when it had all that the VM had: at its instant, or later, where a stopped VM was
    looked at again and nothing had changed. ``held`` are the newest points that enough other hosts hold, each with its instant, the
    oldest first. ``error`` is why the last try made no point, empty where it did. ``failures`` is how many tries failed in a row,
    the last one at ``tried``; a VM that was busy did not fail.
    """

    vm: str
    uuid: str
    since: float
    interval: int
    made: str | None = None
    current: float | None = None
    held: tuple[tuple[str, float], ...] = ()
    error: str = ""
    failures: int = 0
    tried: float | None = None

    @property
    def made_point(self) -> Point | None:
        """The newest point as a number."""
        return point_of(self.made) if self.made else None

    def is_due(self, now: float) -> bool:
        """Return whether it is time for a point; a clock that was set back must not put it off."""
        fresh = self.current is not None and self.current <= now < self.current + self.interval
        return not fresh and not self.waits(now)

    @property
    def again(self) -> float | None:
        """When a VM that failed is tried again: later after each failure, never later than an interval; None where none failed."""
        if not self.failures or self.tried is None:
            return None
        return self.tried + min(FIRST * 2 ** min(self.failures - 1, 10), LONGEST, self.interval)

    def waits(self, now: float) -> bool:
        """Return whether a VM that failed is not tried yet."""
        return self.again is not None and self.tried is not None and self.tried <= now < self.again

    def failed(self, error: str, now: float) -> Progress:
        """Return the progress after a try that failed."""
        return replace(self, error=error, failures=self.failures + 1, tried=now)

    @property
    def safe(self) -> float | None:
        """When the newest point that enough hosts hold had all that the VM had; None without one."""
        if not self.held:
            return None
        name, instant = self.held[-1]
        return self.current if name == self.made and self.current is not None else instant

    def is_breach(self, now: float) -> bool:
        """Return whether more than two intervals of what the guest wrote would be lost with this host."""
        return now - (self.since if self.safe is None else self.safe) > BREACH * self.interval

    def made_at(self, generation: Generation, current: float) -> Progress:
        """Return the progress with a point that was made, or was still right at ``current``."""
        current = max(current, generation.timestamp)
        return replace(self, vm=generation.vm.name, made=generation.name, current=current, error="", failures=0, tried=None)

    def holding(self, held: Mapping[str, float], keep: int) -> Progress:
        """Return the progress in which these points are held, too; the newest ``keep`` are remembered."""
        every = {**dict(self.held), **held}
        newest = sorted(every, key=point_of)[-keep:]
        return replace(self, held=tuple((name, every[name]) for name in newest))

    def shown(self, now: float) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "vm": self.vm,
            "uuid": self.uuid,
            "interval": self.interval,
            "newest": self.made,
            "current_at": text_of(self.current),
            "held": [name for name, _instant in self.held],
            "held_at": text_of(self.safe),
            "breach": self.is_breach(now),
            "error": self.error or None,
            "tried_again_at": text_of(self.again),
        }


def text_of(when: float | None) -> str | None:
    """Return a time as a point has it."""
    return None if when is None else datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def with_last(found: Progress, last: Generation | None) -> Progress:
    """Return where a VM is at the beginning of a pass, by what was noted of it and by the newest point that its journal has."""
    if last and (found.made_point or (0, 0)) < last.point:
        found = replace(found, made=last.name, current=last.timestamp, failures=0, tried=None)
    return found


def read(folder: Path, uuid: str) -> Progress | None:
    """Return what was noted of a VM, None where nothing was or where it cannot be read: what is held is asked again then."""
    path = folder / f"{uuid}.json"
    with suppress(FileNotFoundError, EdgeError, KeyError, TypeError, ValueError, OverflowError):
        found = load_object(path.read_bytes(), str(path), LARGEST)
        require_schema(found, SCHEMA, str(path))
        held = tuple((str(name), float(instant)) for name, instant in found["held"])
        made, current = found["made"], found["current"]
        for name in (*(name for name, _instant in held), *([made] if made else [])):
            point_of(name)
        failures, tried = max(0, int(found.get("failures", 0))), found.get("tried")
        return Progress(
            str(found["vm"]),
            uuid,
            float(found["since"]),
            int(found["interval"]),
            made,
            None if current is None else float(current),
            held,
            str(found["error"]),
            failures,
            None if tried is None else float(tried),
        )
    return None


def write(folder: Path, progress: Progress) -> None:
    """Replace what is noted of a VM; a reader, and a host that lost its power, see the old or the new."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{progress.uuid}.json"
    body = {**asdict(progress), "schema": SCHEMA}
    write_atomically(path, json.dumps(body, sort_keys=True).encode() + b"\n", folder / f".{path.name}.new", 0o600)


def all_in(folder: Path) -> list[Progress]:
    """Return what is noted of every VM, by name."""
    found = (read(folder, path.stem) for path in sorted(folder.glob("*.json")))
    return sorted((one for one in found if one), key=lambda one: one.vm)
