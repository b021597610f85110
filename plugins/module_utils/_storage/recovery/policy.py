# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VM asks of its replicas: the part ``recovery`` of its record, which another host wrote, read from a generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INTERVAL, SHORTEST, LONGEST = 900, 60, 7 * 24 * 3600  # seconds
LEAST_KEPT, MOST_KEPT = 2, 1000


@dataclass(frozen=True)
class Policy:
    """How many replicas a VM asks for, the seconds between its recovery points, and how many of these are to stay."""

    replicas: int = 1
    interval: int = INTERVAL
    keep: int = LEAST_KEPT


def policy_in(spec: Mapping[str, Any]) -> Policy:
    """Return the policy in a VM's record: what is missing or not possible is the default, and what is too much the most."""
    found = spec.get("recovery")
    asked = found if isinstance(found, Mapping) else {}
    interval = min(_whole(asked.get("interval"), SHORTEST, INTERVAL), LONGEST)
    keep = min(_whole(asked.get("keep"), LEAST_KEPT, LEAST_KEPT), MOST_KEPT)
    return Policy(_whole(asked.get("replicas"), 1, 1), interval, keep)


def _whole(value: object, least: int, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= least else default
