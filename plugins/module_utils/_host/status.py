# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host status``: which services of this host failed at their last run, as ``edge-failed@.service`` wrote it down."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .._cluster import Cluster
from .images import config

FAILED = Path("/var/lib/edge/failed")


def failures(folder: Path) -> list[dict[str, str]]:
    """Return the services that failed at their last run, by name, each with the time of its last failure."""
    found = []
    for note in sorted(folder.glob("edge-*")):
        try:
            since = datetime.fromtimestamp(note.stat().st_mtime, UTC)
        except FileNotFoundError:
            continue  # it has succeeded meanwhile
        found.append({"unit": f"{note.name}.service", "since": since.isoformat(timespec="seconds")})
    return found


def status(cluster: Cluster, _options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this host is, and the services that failed."""
    return {**config(cluster, {}), "failed": failures(FAILED)}
