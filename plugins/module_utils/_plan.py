# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan: the ordered steps from an observed to a requested state, which alone decide changed, diff and actions.

Check mode and a real run use the same plan, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Generic, Protocol, TypeVar

from ._errors import EdgeError, from_os_error

State = TypeVar("State")
AnyState = TypeVar("AnyState")


class Step(Protocol[AnyState]):
    """One small change, as frozen data: its sentence for people and its effect on a state."""

    @property
    def sentence(self) -> str:
        """The change in one imperative sentence."""

    def predict(self, state: AnyState) -> AnyState:
        """Return the state after this step, without any effect."""


@dataclass(frozen=True)
class Plan(Generic[State]):
    """The steps that lead from ``before`` to ``after``; empty when nothing differs."""

    before: State
    steps: tuple[Step[State], ...] = ()

    @property
    def after(self) -> State:
        """The state that the steps predict."""
        return reduce(lambda state, step: step.predict(state), self.steps, self.before)

    @property
    def changed(self) -> bool:
        """True exactly when there is a step."""
        return bool(self.steps)

    @property
    def actions(self) -> list[str]:
        """One sentence a step, in order."""
        return [step.sentence for step in self.steps]

    def diff(self, view: Callable[[State], Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return before and after of the fields that we own; ``view`` makes a state JSON."""
        return changes(view(self.before), view(self.after)) if self.steps else {"before": {}, "after": {}}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return only the keys whose values differ, as Ansible's ``{"before": {...}, "after": {...}}``."""
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return {
        "before": {key: before[key] for key in keys if before.get(key) is not None},
        "after": {key: after[key] for key in keys if after.get(key) is not None},
    }


def execute(plan: Plan[State], apply: Callable[[Any], Any | None]) -> None:
    """Apply the steps in order; an error carries the steps that were done, the one that failed and those left.

    A rerun observes again and plans only what is left, so a failure in the middle needs no undo.
    """
    for number, step in enumerate(plan.steps):
        try:
            apply(step)
        except (EdgeError, OSError) as caught:
            error = from_os_error(caught) if isinstance(caught, OSError) else caught
            error.details.setdefault("done", plan.actions[:number])
            error.details.setdefault("failed_action", step.sentence)
            error.details.setdefault("left", plan.actions[number + 1 :])
            raise error from caught.__cause__
