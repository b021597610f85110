# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans: what they predict is what carrying them out makes, a failure tells how far it got, and a diff is exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy, EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._plan import Plan, changes, execute
from hypothesis import given
from hypothesis import strategies as st

State = dict[str, int]


@dataclass(frozen=True)
class Put:
    """A step that puts a number under a key."""

    key: str
    value: int

    @property
    def sentence(self) -> str:
        return f"Put {self.value} under {self.key}"

    def predict(self, state: State) -> State:
        return {**state, self.key: self.value}


class World:
    """A state that steps really change, and that fails at one of them."""

    def __init__(self, state: State, fails_at: Put | None = None) -> None:
        self.state, self.fails_at = dict(state), fails_at

    def apply(self, step: Put) -> None:
        if step == self.fails_at:
            raise Busy("The world is busy.", who="somebody")
        self.state[step.key] = step.value


def to(before: State, wanted: State) -> Plan[State]:
    return Plan(before, tuple(Put(key, value) for key, value in wanted.items() if before.get(key) != value))


states = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 3))


def test_no_steps_no_change() -> None:
    plan: Plan[State] = Plan({"a": 1})
    assert (plan.changed, plan.actions, plan.after) == (False, [], {"a": 1})
    assert plan.diff(dict) == {"before": {}, "after": {}}


def test_steps_come_in_order() -> None:
    plan = Plan({"a": 1}, (Put("a", 2), Put("b", 3), Put("a", 4)))
    assert plan.changed
    assert plan.actions == ["Put 2 under a", "Put 3 under b", "Put 4 under a"]
    assert plan.after == {"a": 4, "b": 3}
    assert plan.before == {"a": 1}
    assert plan.diff(dict) == {"before": {"a": 1}, "after": {"a": 4, "b": 3}}


@given(states, states)
def test_the_prediction_is_what_execute_makes(before: State, wanted: State) -> None:
    plan, world = to(before, wanted), World(before)
    execute(plan, world.apply)
    assert world.state == plan.after
    assert not to(world.state, wanted).changed


@given(states, states, st.data())
def test_a_failure_tells_how_far_it_got_and_a_rerun_goes_on(before: State, wanted: State, data: st.DataObject) -> None:
    plan = to(before, wanted)
    if not plan.changed:
        return
    number = data.draw(st.integers(0, len(plan.steps) - 1))
    step: Any = plan.steps[number]
    world = World(before, fails_at=step)
    with pytest.raises(Busy) as caught:
        execute(plan, world.apply)
    details = caught.value.details
    assert [*details["done"], details["failed_action"], *details["left"]] == plan.actions
    assert details["failed_action"] == step.sentence
    assert details["who"] == "somebody"
    world.fails_at = None
    rest = to(world.state, wanted)
    assert rest.actions == plan.actions[number:]
    execute(rest, world.apply)
    assert world.state == plan.after


def test_an_inner_plan_keeps_its_own_account() -> None:
    def inner(_step: Put) -> None:
        execute(Plan({}, (Put("x", 1),)), World({}, Put("x", 1)).apply)

    with pytest.raises(EdgeError) as caught:
        execute(Plan({}, (Put("a", 1), Put("b", 2))), inner)
    assert caught.value.details["failed_action"] == "Put 1 under x"


def test_a_defect_of_ours_is_not_dressed_up() -> None:
    def broken(_step: Put) -> None:
        raise KeyError("a")

    with pytest.raises(KeyError):
        execute(Plan({}, (Put("a", 1),)), broken)


values = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
views = st.dictionaries(st.sampled_from("abcdef"), values)


@given(views, views)
def test_a_diff_shows_exactly_what_differs(before: dict[str, Any], after: dict[str, Any]) -> None:
    diff = changes(before, after)
    shown = {*diff["before"], *diff["after"]}
    for key in {*before, *after}:
        assert (key in shown) is (before.get(key) != after.get(key))
        assert diff["before"].get(key) == (before.get(key) if key in shown else None)
        assert diff["after"].get(key) == (after.get(key) if key in shown else None)
    assert None not in [*diff["before"].values(), *diff["after"].values()]


@given(views)
def test_no_difference_no_diff(view: dict[str, Any]) -> None:
    assert changes(view, dict(view)) == {"before": {}, "after": {}}
