# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host status``: which services of this host failed or are started again and again, and what is said of its certificates.

A service with ``Restart=`` and without a start limit never reaches its ``OnFailure=``: only systemd itself knows of its failures.
The others are noted by ``edge-failed@.service`` until they succeed, also over a boot.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .._cluster import Cluster
from .._errors import Corrupt
from .._json import load_object
from .._runner import Runner, SubprocessRunner
from .._sizes import MIB
from .images import config

FAILED = Path("/var/lib/edge/failed")
CERTIFICATES = Path("/var/lib/edge/certificates.json")  # of the role pki's edge-certificates
UNITS = tuple(f"edge-*.{kind}" for kind in ("service", "path", "timer"))
PROPERTIES = ("Id", "LoadState", "ActiveState", "SubState", "Result", "NRestarts", "ActiveEnterTimestampMonotonic",
              "StateChangeTimestampMonotonic")  # fmt: skip
SETTLED = 300  # seconds: a service that was started again is shown until it has been up for so long
MICRO = 1_000_000
LOOKED_WITHIN = timedelta(days=2)
LARGEST_JSON = MIB


@dataclass(frozen=True)
class Unit:
    """What systemd says of a unit; times in seconds of the clock that starts with the boot."""

    name: str
    known: bool
    state: str
    substate: str
    result: str
    restarts: int
    up_since: float
    changed: float

    def is_restarting(self, now: float) -> bool:
        """Tell whether it was started again after a failure, and has not been up for long or ended well since."""
        if self.substate.startswith("auto-restart"):
            return self.result != "success"  # a server that ended well is started again, too
        return self.restarts > 0 and (self.state == "activating" or (self.state == "active" and now - self.up_since < SETTLED))

    def as_restarting(self) -> dict[str, Any]:
        """Return its row; the result is that of the last try, and None while one is under way."""
        result = None if self.result == "success" else self.result
        return {"unit": self.name, "restarts": self.restarts, "state": f"{self.state} ({self.substate})", "result": result}


def look(runner: Runner, names: Sequence[str] = ()) -> dict[str, Unit]:
    """Return our units that systemd has loaded, and those of these names, whether they are there or not."""
    shown = runner.run(["systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", *UNITS, *names], timeout=60).stdout
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.strip("\n").split("\n\n") if block]
    return {unit.name: unit for unit in map(_unit_of, blocks)}


def _unit_of(says: Mapping[str, str]) -> Unit:
    """Return what a block says; paths and timers have no number of restarts, and no result while they are not loaded."""
    up_since, changed = (int(says.get(f"{key}TimestampMonotonic") or 0) / MICRO for key in ("ActiveEnter", "StateChange"))
    known, restarts = says["LoadState"] != "not-found", int(says.get("NRestarts") or 0)
    return Unit(
        says["Id"], known, says["ActiveState"], says["SubState"], says.get("Result", "success"), restarts, up_since, changed
    )


def noted(folder: Path) -> dict[str, datetime]:
    """Return the services that were noted as failed at their last run, each with the time of its last failure."""
    found = {}
    for note in sorted(folder.glob("edge-*")):
        try:
            found[f"{note.name}.service"] = datetime.fromtimestamp(note.stat().st_mtime, UTC)
        except FileNotFoundError:
            continue  # it has succeeded meanwhile
    return found


def failures(notes: Mapping[str, datetime], units: Mapping[str, Unit], now: datetime, uptime: float) -> list[dict[str, str]]:
    """Return the units that failed at their last run, by name; a note of a service that the host no longer has does not count."""
    found = {name: since for name, since in notes.items() if name in units and units[name].known}
    for name, unit in units.items():
        if unit.state == "failed":
            found.setdefault(name, datetime.fromtimestamp(now.timestamp() - uptime + unit.changed, UTC))
    return [{"unit": name, "since": since.isoformat(timespec="seconds")} for name, since in sorted(found.items())]


def certificate_warnings(path: Path, now: datetime) -> list[str]:
    """Return what the last look at the certificates found, which the role pki's timer has made every day, and whether it is old."""
    try:
        found = load_object(path.read_bytes(), str(path), LARGEST_JSON)
    except FileNotFoundError:
        return []
    except Corrupt as error:
        return [f"{error} Start edge-certificates-check.service, which writes it again."]
    said = [sentence for key in ("failed", "warnings") for sentence in found.get(key, [])]
    if not _is_recent(str(found.get("looked")), now):
        said.append(
            f"The certificates were last looked at: {found.get('looked')}. See: systemctl status edge-certificates-check.timer"
        )
    return said


def _is_recent(looked: str, now: datetime) -> bool:
    try:
        return now - datetime.fromisoformat(looked) < LOOKED_WITHIN
    except (TypeError, ValueError):  # without a zone, or not a time
        return False


def status(cluster: Cluster | None, _options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this host is, if it is in a cluster, and what is wrong with its services and certificates."""
    notes = noted(FAILED)
    units = look(SubprocessRunner(), list(notes))
    now, uptime = datetime.now(UTC), time.monotonic()
    restarting = [unit.as_restarting() for _name, unit in sorted(units.items()) if unit.is_restarting(uptime)]
    failed = failures(notes, units, now, uptime)
    return {
        **(config(cluster, {}) if cluster else {}),
        "failed": failed,
        "restarting": restarting,
        "certificates": certificate_warnings(CERTIFICATES, now),
    }
