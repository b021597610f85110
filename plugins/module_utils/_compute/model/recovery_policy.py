# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VM asks of recovery points: the option ``recovery``, kept in its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..._errors import InvalidInput

QUIESCE = ("never", "try", "required")
SHORTEST, LEAST_KEPT = 60, 2


@dataclass(frozen=True)
class RecoveryPolicy:
    """A recovery point each ``interval`` seconds, of which the newest ``keep`` stay on ``replicas`` other hosts.

    ``quiesce`` is whether the guest's agent freezes its file systems for the instant. Points that no replica has taken yet may
    have ``budget`` bytes on the VM's own host, None for no bound but its free space.
    """

    interval: int = 900
    keep: int = 2
    quiesce: str = "try"
    replicas: int = 1
    budget: int | None = None


def read_policy(options: Mapping[str, Any] | None) -> RecoveryPolicy | None:
    """Return the policy of an option, None without one; raise InvalidInput that names what is wrong."""
    if options is None:
        return None
    defaults = RecoveryPolicy()
    known = {one.name for one in fields(RecoveryPolicy)}
    for key in options:
        _require(key in known, key, options[key], f"be one of {', '.join(sorted(known))}, and there is no other part")
    given = {key: value for key, value in options.items() if value is not None}
    for key, least in (("interval", SHORTEST), ("keep", LEAST_KEPT), ("replicas", 1), ("budget", 1)):
        value = given.get(key, least)
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
        _require(whole, key, value, f"be a whole number, at least {least}")
    _require(given.get("quiesce", "try") in QUIESCE, "quiesce", given.get("quiesce"), f"be one of {', '.join(QUIESCE)}")
    return RecoveryPolicy(**{**asdict(defaults), **given})


def _require(condition: bool, key: str, value: Any, wanted: str) -> None:
    if not condition:
        raise InvalidInput(f"recovery.{key}: it must {wanted}; it is {value!r:.80}.", option=f"recovery.{key}", value=value)
