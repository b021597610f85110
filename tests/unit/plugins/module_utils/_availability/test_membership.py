# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How hosts become a cluster: formed, joined, completed after each interruption, and refused where members cannot be known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._availability.model import parse
from support.corosync_hosts import World

EVEN = {"allow_without_witness": True}


def world(running: str, total: int, **given: Any) -> World:
    """Return hosts of which those named run a cluster."""
    made = World.of(total)
    if running:
        made.have(*running, **given)
    return made


def test_three_bare_hosts_form_a_cluster() -> None:
    made = world("abc", 3)
    assert made.whole(*"abc")
    conf = parse(made.machines["a"].text)
    assert conf is not None and (conf.version, conf.cluster, conf.token) == (1, "site1", 3650)
    assert [(node.id, node.name, node.links) for node in conf.nodes] == [
        (1, "a", ("192.0.2.1",)),
        (2, "b", ("192.0.2.2",)),
        (3, "c", ("192.0.2.3",)),
    ]


@pytest.mark.parametrize("running", ["a", "abc", "abcde"])
def test_a_second_run_finds_nothing_to_do(running: str) -> None:
    made = world(running, 5)
    plan = made.plan(*running)
    assert (plan["refused"], plan["actions"], plan["new"], plan["key_to"], plan["reload_on"], plan["start"]) == (
        "",
        (),
        (),
        (),
        "",
        (),
    )
    assert plan["conf"] == made.machines["a"].text


def test_a_new_host_gets_a_new_number_and_the_key_of_the_cluster() -> None:
    made = world("abc", 5)
    plan = made.plan(*"eabcd")
    assert (plan["key_from"], set(plan["key_to"]), set(plan["new"]), plan["version"]) == ("a", {"d", "e"}, {"d", "e"}, 2)
    conf = parse(plan["conf"])
    assert conf is not None and [(node.id, node.name) for node in conf.nodes] == [(1, "a"), (2, "b"), (3, "c"), (4, "e"), (5, "d")]
    made.have(*"eabcd")
    assert made.whole(*"abcde")


CASES = [("", "a"), ("", "abc"), ("abc", "abcde"), ("a", "abc"), ("abc", "abcdefg"), ("a", "ab")]


@pytest.mark.parametrize("cut_power", [False, True], ids=["run", "power"])
@pytest.mark.parametrize(("before", "after"), CASES)
def test_an_interrupted_run_is_completed_by_the_next_one(before: str, after: str, cut_power: bool) -> None:
    """It breaks off after each step, alone or with the power of all hosts."""
    count = len(list(world(before, 7).steps(world(before, 7).plan(*after, **EVEN))))
    assert count >= len(after)
    for last in range(count):
        made = world(before, 7)
        for number, _step in enumerate(made.steps(made.plan(*after, **EVEN))):
            if number == last:
                break
        if cut_power:
            made.power_cut()
        for _run in range(2):  # settings wait for quorum
            made.have(*after, **EVEN)
        assert made.whole(*after), f"after step {last}"
        assert made.plan(*after, **EVEN)["actions"] == ()


def test_a_host_that_was_off_gets_what_the_running_cluster_has() -> None:
    made = world("abc", 5)
    made.machines["c"].loaded = None
    old = made.machines["c"].text
    made.have(*"abc", token_ms=4000)
    assert made.machines["c"].text != old and made.whole(*"abc")


def test_a_host_that_was_off_while_others_joined_is_no_reason_to_forget_it() -> None:
    made = world("abc", 5)
    made.machines["c"].loaded = None
    made.have(*"abcde")
    assert made.whole(*"abcde")


def test_a_missed_reload_is_made_up_for() -> None:
    made = world("abc", 3)
    old = made.machines["b"].loaded
    made.have(*"abc", token_ms=5000)
    made.machines["b"].loaded = old
    plan = made.plan(*"abc", token_ms=5000)
    assert plan["reload_on"] and plan["start"] == () and plan["actions"] == ("Have b load version 2 of the configuration.",)
    made.have(*"abc", token_ms=5000)
    assert made.whole(*"abc")


def test_a_changed_file_is_put_right_without_a_new_version() -> None:
    made = world("abc", 3)
    right = made.machines["a"].text
    made.machines["a"].text = right.replace("aes256", "none")
    plan = made.plan(*"abc")
    assert (plan["conf"], plan["reload_on"]) == (right, "")


def test_a_cluster_that_is_off_is_started_as_it_is() -> None:
    made = world("abc", 3)
    for machine in made.machines.values():
        machine.loaded = None
    plan = made.plan(*"abc", token_ms=9000)
    assert (plan["conf"], plan["start"], plan["key_to"]) == ("", ("a", "b", "c"), ())
    made.have(*"abc", token_ms=9000)
    made.have(*"abc", token_ms=9000)
    assert made.whole(*"abc") and made.machines["a"].text != ""


def test_a_reinstalled_member_is_one_again() -> None:
    made = world("abc", 3)
    bare = World.of(3).machines["c"]
    made.machines["c"] = bare
    plan = made.plan(*"abc")
    assert (plan["version"], plan["key_to"], plan["start"], plan["members"]) == (1, ("c",), ("c",), (1, 2, 3))


def other_name(made: World) -> None:
    made.machines["d"].text = made.machines["a"].text.replace("site1", "site2")
    made.machines["d"].key = "other"
    made.machines["d"].managed = True


def runs_other(made: World) -> None:
    World({"d": made.machines["d"]}).have("d", cluster="site2")


def alone_of_the_same_name(made: World) -> None:
    alone = World({"d": made.machines["d"]})
    alone.have("d")
    made.machines["d"].key = made.machines["d"].started_key = "of d"


def was_member(made: World) -> None:
    made.machines["d"].has_run = made.machines["d"].managed = True


def by_hand(made: World) -> None:
    alone_of_the_same_name(made)
    made.machines["d"].managed = False


def other_address(made: World) -> None:
    made.machines["a"].links = made.machines["a"].extra = ("192.0.2.77",)


def not_loaded(made: World) -> None:
    made.machines["b"].key = "another"


def other_release(made: World) -> None:
    made.machines["d"].release = "bookworm"


def old_release(made: World) -> None:
    for machine in made.machines.values():
        machine.release = "bullseye"


def left_a_cib(made: World) -> None:
    made.machines["d"].cib = True


def cut_off(made: World) -> None:
    made.machines["c"].cut_off = True


REFUSED: list[tuple[Callable[[World], None], str]] = [
    (other_name, "d has /etc/corosync/corosync.conf of the cluster site2, not of site1"),
    (runs_other, "d runs Corosync in the cluster site2, not in site1"),
    (alone_of_the_same_name, "are not of one membership"),
    (was_member, "d was in a cluster site1 of which the running one knows nothing"),
    (left_a_cib, "d has a configuration of Pacemaker from another cluster"),
    (cut_off, "c runs Corosync and does not reach the other members of site1"),
    (by_hand, "d has a cluster site1 that this role did not form"),
    (other_address, "a has 192.0.2.1 in the running cluster site1, and 192.0.2.77 in the inventory"),
    (not_loaded, "b: /etc/corosync/authkey is not the key with which Corosync started"),
    (other_release, "releases bookworm, trixie"),
    (old_release, "releases bullseye"),
]


@pytest.mark.parametrize(("break_it", "says"), REFUSED, ids=[case[0].__name__ for case in REFUSED])
def test_what_cannot_be_known_is_refused(break_it: Callable[[World], None], says: str) -> None:
    made = world("abc", 5)
    break_it(made)
    plan = made.plan(*"abcde")
    assert says in plan["refused"]
    assert (plan["actions"], plan["conf"], plan["key_to"], plan["reload_on"], plan["start"]) == ((), "", (), "", ())


def test_a_member_that_is_not_in_the_inventory_is_refused() -> None:
    plan = world("abc", 5).plan(*"abd")
    assert "c of the running cluster site1 is not in the inventory" in plan["refused"]


def test_an_address_that_the_host_does_not_have_is_refused() -> None:
    made = world("", 3)
    made.machines["b"].links = ("192.0.2.99",)
    assert "b does not have the address 192.0.2.99. It has 127.0.0.1, 192.0.2.2." in made.plan(*"abc")["refused"]


def test_nothing_is_done_while_a_host_is_silent() -> None:
    plan = world("abc", 3).plan(*"abc", silent="b")
    assert plan["refused"].startswith("b: no answer, or not in this play")


def test_two_clusters_of_one_name_are_never_merged() -> None:
    made = World.of(3)
    for name in "abc":
        World({name: made.machines[name]}).have(name)
        made.machines[name].key = made.machines[name].started_key = f"of {name}"
    assert "Clusters are not merged" in made.plan(*"abc")["refused"]


def test_clusters_of_one_name_that_are_off_are_never_merged() -> None:
    made = World.of(3)
    for name in "abc":
        World({name: made.machines[name]}).have(name)
        made.machines[name].key, made.machines[name].loaded = f"of {name}", None
    refused = made.plan(*"abc")["refused"]
    assert "has no quorum" in refused and "a was a member and is stopped" in refused


def test_a_minority_decides_nothing() -> None:
    made = world("abcde", 5)
    for name in "abc":
        made.machines[name].loaded = None
    assert "has no quorum" in made.plan(*"abc")["refused"], "the other two are members, too"
    assert "has no quorum" in made.plan(*"de", **EVEN)["refused"]


def test_files_of_clusters_with_other_members_are_not_mixed() -> None:
    made = world("abcde", 5)
    for name in "abcde":
        made.machines[name].loaded = None
    conf = parse(made.machines["a"].text)
    assert conf is not None
    made.machines["b"].text = replace(conf, version=2, nodes=conf.nodes[1:]).text()
    made.machines["c"].text = replace(conf, nodes=(replace(conf.nodes[0], id=9), *conf.nodes[1:])).text()
    assert "has no quorum" in made.plan(*"abcde")["refused"]


def test_a_member_that_is_cut_off_with_an_old_configuration_is_refused() -> None:
    made = world("abc", 5)
    old = made.machines["c"].loaded
    made.have(*"abcde")
    made.machines["c"].loaded, made.machines["c"].started_key, made.machines["c"].key = old, "x", "x"
    assert "are not of one membership" in made.plan(*"abcde")["refused"]


def test_resources_keep_a_cluster_from_losing_quorum_by_a_join() -> None:
    made = world("abc", 7)
    for name in "abc":
        made.machines[name].resources = 2
    assert made.plan(*"abcde")["refused"] == ""
    assert "no majority of 7" in made.plan(*"abcdefg")["refused"]
    for name in "ab":
        made.machines[name].resources = 0
    assert "no majority of 7" in made.plan(*"abcdefg")["refused"], "Pacemaker has not started yet on those two"
    for name in "abc":
        made.machines[name].resources = None
    assert "no majority of 7" in made.plan(*"abcdefg")["refused"]


def test_a_configuration_of_pacemaker_that_was_left_is_not_taken_into_a_new_cluster() -> None:
    made = World.of(3)
    made.machines["b"].cib = True
    assert "b has a configuration of Pacemaker from another cluster" in made.plan(*"abc")["refused"]


def test_a_member_that_is_cut_off_keeps_nothing_from_being_as_it_is() -> None:
    made = world("abc", 3)
    cut_off(made)
    assert made.plan(*"abc")["refused"] == ""


def test_debians_example_is_no_cluster() -> None:
    made = world("", 3)
    made.machines[
        "a"
    ].text = "totem {\n cluster_name: debian\n}\nnodelist {\n node {\n  nodeid: 1\n  ring0_addr: 127.0.0.1\n }\n}\n"
    made.have(*"abc")
    assert made.whole(*"abc")
    made.machines["a"].text = made.machines["a"].text.replace("site1", "debian")
    assert "of the cluster debian" in made.plan(*"abc")["refused"]
