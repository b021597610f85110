# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster goes off all of its hosts or off none."""

from __future__ import annotations

import pytest
from support.corosync_hosts import World


@pytest.fixture
def made() -> World:
    """Three hosts that run a cluster, and two that do not."""
    world = World.of(5)
    world.have(*"abc")
    return world


def test_it_goes_off_all_hosts_that_have_it(made: World) -> None:
    assert made.removal(*"abcd") == {"hosts": ["a", "b", "c"], "clean": ["a", "b", "c", "d"], "refused": ""}


def test_hosts_without_one_have_nothing_to_lose() -> None:
    assert World.of(2).removal(*"ab", cluster="other") == {"hosts": [], "clean": ["a", "b"], "refused": ""}


def test_it_goes_on_after_an_interruption(made: World) -> None:
    bare = World.of(5).machines
    made.machines["a"] = bare["a"]
    assert made.removal(*"abc") == {"hosts": ["b", "c"], "clean": ["a", "b", "c"], "refused": ""}


def test_it_goes_where_it_is_off(made: World) -> None:
    for machine in made.machines.values():
        machine.loaded = None
    assert made.removal(*"abc")["hosts"] == ["a", "b", "c"]


@pytest.mark.parametrize("running", [True, False])
def test_it_stays_if_a_member_is_not_asked_for(made: World, running: bool) -> None:
    if not running:
        for machine in made.machines.values():
            machine.loaded = None
    assert "a is in the cluster site1 with c" in made.removal(*"ab")["refused"]


def test_it_stays_while_a_host_is_silent(made: World) -> None:
    assert made.removal(*"abc", silent="c")["refused"].startswith("c: no answer")


@pytest.mark.parametrize("running", [True, False])
def test_another_name_skips_no_check(made: World, running: bool) -> None:
    if not running:
        for machine in made.machines.values():
            machine.loaded = None
    for cluster in ("other", ""):
        found = made.removal(*"abc", cluster=cluster)
        assert found["hosts"] == [] and "the cluster site1, not" in found["refused"]


@pytest.mark.parametrize(
    ("resources", "says"), [(1, "has 1 resource configured"), (2, "has 2 resources"), (None, "cannot be read")]
)
def test_it_stays_while_pacemaker_has_resources(made: World, resources: int | None, says: str) -> None:
    made.machines["b"].resources = resources
    assert says in made.removal(*"abc")["refused"]


def test_a_cluster_that_the_role_did_not_form_is_left_alone(made: World) -> None:
    for machine in made.machines.values():
        machine.managed = False
    found = made.removal(*"abcd")
    assert (found["hosts"], found["clean"]) == ([], ["d"]), "not even its packages go"
    for machine in made.machines.values():
        machine.loaded, machine.text, machine.has_run = None, "", False
    assert made.removal(*"abcd")["clean"] == ["d"], "Pacemaker's configuration is of some cluster"
