# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VM asks of the hosts that make and keep its recovery points: the part ``recovery`` of its record.

Both rooms read it from a generation, which another host wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BOUNDS = {"interval": (60, 30 * 86400), "keep": (2, 1000), "replicas": (1, 100)}  # seconds, points, hosts
LEAST_KEPT = BOUNDS["keep"][0]


@dataclass(frozen=True)
class Policy:
    """A recovery point each ``interval`` seconds, of which the newest ``keep`` stay on ``replicas`` other hosts."""

    interval: int = 900
    keep: int = LEAST_KEPT
    replicas: int = 1


def policy_in(spec: Mapping[str, Any]) -> Policy:
    """Return the policy in a VM's record: what is missing or not possible is the default, and what is too much the most."""
    found = spec.get("recovery")
    asked = found if isinstance(found, Mapping) else {}
    return Policy(**{key: _bounded(asked.get(key), least, most, getattr(Policy, key)) for key, (least, most) in BOUNDS.items()})


def _bounded(value: object, least: int, most: int, default: int) -> int:
    return min(value, most) if isinstance(value, int) and not isinstance(value, bool) and value >= least else default
