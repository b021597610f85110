# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VM asks of recovery points: the option ``recovery``, kept in its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ... import _recovery_policy
from ..._errors import InvalidInput
from ..._sizes import parse_size

QUIESCE = ("never", "try", "required")
LONGEST_SIGN = 200
SIGN = f"be a text of 1 to {LONGEST_SIGN} printable characters, which the guest prints on its serial console"
BOUNDS = {**_recovery_policy.BOUNDS, "budget": (1, 2**63 - 1)}


@dataclass(frozen=True)
class RecoveryPolicy(_recovery_policy.Policy):
    """All of it.

    ``quiesce`` is whether the guest's agent freezes its file systems for the instant. Points that no replica has taken yet may
    have ``budget`` bytes on the VM's own host, None for no bound but its free space. ``sign`` is the text on the serial console by
    which a drill knows that the guest is up, None for an answer of its agent.
    """

    quiesce: str = "try"
    budget: int | None = None
    sign: str | None = None


@dataclass(frozen=True)
class RecoveryOptions:
    """The option ``recovery`` as the user wrote it; ``state`` absent ends the policy."""

    state: str = "present"
    interval: int | None = None
    keep: int | None = None
    quiesce: str | None = None
    replicas: int | None = None
    budget: str | None = None
    sign: str | None = None


def policy_of(asked: RecoveryOptions | None, before: RecoveryPolicy | None) -> RecoveryPolicy | None:
    """Return the policy that a VM is to have: what is asked is the whole of it; raise InvalidInput that names what is wrong."""
    if asked is None:
        return before
    parts = {key: value for key, value in asdict(asked).items() if key != "state" and value is not None}
    if asked.state == "absent":
        if parts:
            raise InvalidInput(
                f"recovery.state: absent was asked, and {', '.join(parts)} with it; leave one of the two out.",
                option="recovery.state",
                value=asked.state,
            )
        return None
    if asked.budget is not None:
        parts["budget"] = parse_size(asked.budget, "recovery.budget")
    return read_policy(parts)


def read_policy(options: Mapping[str, Any] | None) -> RecoveryPolicy | None:
    """Return the policy of an option, None without one; raise InvalidInput that names what is wrong."""
    if options is None:
        return None
    defaults = RecoveryPolicy()
    known = {one.name for one in fields(RecoveryPolicy)}
    for key in options:
        _require(key in known, key, options[key], f"be one of {', '.join(sorted(known))}, and there is no other part")
    given = {key: value for key, value in options.items() if value is not None}
    for key, (least, most) in BOUNDS.items():
        value = given.get(key, least)
        whole = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        _require(whole, key, value, f"be a whole number from {least} to {most}")
    _require(given.get("quiesce", "try") in QUIESCE, "quiesce", given.get("quiesce"), f"be one of {', '.join(QUIESCE)}")
    sign = given.get("sign", "x")
    _require(isinstance(sign, str) and 0 < len(sign) <= LONGEST_SIGN and sign.isprintable(), "sign", sign, SIGN)
    return RecoveryPolicy(**{**asdict(defaults), **given})


def _require(condition: bool, key: str, value: Any, wanted: str) -> None:
    if not condition:
        raise InvalidInput(f"recovery.{key}: it must {wanted}; it is {value!r:.80}.", option=f"recovery.{key}", value=value)
