# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rule of the WAN: whatever is reachable and whoever is asked, at most one replica is told to use it."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._cluster import Member
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, Unreachable
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.pull_policy import (
    Ask,
    Fetch,
    ObservedMember,
    Situation,
    ranked,
)
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.request_client import BEGIN_SECONDS, STALL_SECONDS, Watch
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.requests import RequestState, parse

REPLICAS = tuple(Member(f"r{number}", f"https://r{number}.example/") for number in range(5))
PEERS = tuple(Member(f"h{number}", f"https://h{number}.example/") for number in range(3))
FRONT = ("https://front.example/",)


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def situation(host: str, image: str) -> Situation:
    return Situation(host, tuple(ranked(image, REPLICAS)), PEERS, FRONT)


def test_an_image_has_one_order_and_images_have_many() -> None:
    orders = [ranked(digest(number), random.Random(number).sample(REPLICAS, 5)) for number in range(1000)]
    assert orders == [ranked(digest(number), REPLICAS) for number in range(1000)]
    first = Counter(order[0].name for order in orders)
    assert set(first) == {one.name for one in REPLICAS}
    assert max(first.values()) < 300, "one replica has much more than its share"
    without = [[one for one in order if one.name != "r3"] for order in orders]
    assert without == [ranked(digest(number), [one for one in REPLICAS if one.name != "r3"]) for number in range(1000)]


@pytest.mark.parametrize("seed", range(200))
def test_among_those_who_see_each_other_one_replica_moves_it(seed: int) -> None:
    """Any set of lost hosts, nobody has the image: exactly one reachable replica goes to the Front-end, all others ask it."""
    dice = random.Random(seed)
    image = digest(seed)
    alive = {member.name for member in (*REPLICAS, *PEERS) if dice.random() < 0.6}
    seen = {name: ObservedMember(reachable=True) for name in alive}
    replicas = [one.name for one in ranked(image, REPLICAS) if one.name in alive]
    steps = {name: situation(name, image).decide(seen, set()) for name in alive}
    movers = [name for name, step in steps.items() if isinstance(step, Fetch)]
    if replicas:
        assert movers == [replicas[0]]
        asked = [step.replica.name for step in steps.values() if isinstance(step, Ask)]
        assert asked == [replicas[0]] * (len(alive) - 1)
    else:
        assert set(movers) == alive, "with no replica the Front-end is all that is left"
    assert all(step == Fetch(FRONT, wan=True) for step in steps.values() if isinstance(step, Fetch))


def test_who_has_it_is_asked_peers_first_and_never_the_front_end() -> None:
    image = digest(1)
    seen = {one.name: ObservedMember(reachable=True) for one in (*REPLICAS, *PEERS)}
    seen |= {"h1": ObservedMember(reachable=True, has=True), "r2": ObservedMember(reachable=True, has=True)}
    urls = ("https://h1.example/", "https://r2.example/")
    for host in ("h0", "r0", "r4"):
        assert situation(host, image).decide(seen, set()) == Fetch(urls)
    assert situation("h0", image).decide(seen, {"h1"}) == Fetch(urls[1:])


def test_whoever_failed_is_passed_over_to_the_end() -> None:
    image = digest(7)
    here = situation("h0", image)
    seen = {one.name: ObservedMember(reachable=True) for one in REPLICAS}
    left: set[str] = set()
    for replica in here.replicas:
        assert here.decide(seen, left) == Ask(replica)
        left.add(replica.name)
    assert here.decide(seen, left) == Fetch(FRONT, wan=True)


def test_a_request_that_moves_is_waited_for_and_one_that_does_not_is_left() -> None:
    watch = Watch(None, asked_at=0)
    assert watch.look(None, BEGIN_SECONDS - 1) is None
    for second in range(1, 10):
        now = second * STALL_SECONDS * 0.9
        assert watch.look(RequestState("a", "pulling", done=second, total=100), now) is not None
    assert watch.look(RequestState("a", "pulling", done=9, total=100), now + STALL_SECONDS) is not None
    with pytest.raises(Unreachable, match="9 of 100 bytes for 120 s"):
        watch.look(RequestState("a", "pulling", done=9, total=100, updated=5), now + STALL_SECONDS + 1)


def test_a_request_that_waits_for_its_turn_is_alive_while_it_says_so() -> None:
    watch = Watch(None, asked_at=0)
    for second in range(100):
        assert watch.look(RequestState("a", "queued", updated=second), second * 100.0) is not None
    with pytest.raises(Unreachable):
        watch.look(RequestState("a", "queued", updated=99), 99 * 100.0 + STALL_SECONDS + 1)


def test_a_replica_that_scans_what_it_has_is_waited_for_while_it_moves() -> None:
    watch = Watch(None, asked_at=0)
    for second in range(1, 100):
        assert watch.look(RequestState("a", "pulling", total=100, scanned=second), second * STALL_SECONDS * 0.9) is not None
    with pytest.raises(Unreachable, match="99 of 100 bytes for 120 s"):
        watch.look(RequestState("a", "pulling", total=100, scanned=99, updated=5), 101 * STALL_SECONDS)


@pytest.mark.parametrize("state", [{"total": 0}, {"done": 100, "total": 100}])
def test_one_that_waits_for_another_pull_or_for_its_disk_is_alive_while_it_says_so(state: dict[str, int]) -> None:
    watch = Watch(None, asked_at=0)
    for second in range(100):
        assert watch.look(RequestState("a", "pulling", updated=second, **state), second * 100.0) is not None
    with pytest.raises(Unreachable):
        watch.look(RequestState("a", "pulling", updated=99, **state), 99 * 100.0 + STALL_SECONDS + 1)


def test_the_end_of_an_earlier_try_is_not_ours() -> None:
    old = RequestState("a", "failed", error="then")
    watch = Watch(old, asked_at=0)
    assert watch.look(old, 1) is None
    with pytest.raises(Unreachable, match="did not begin"):
        watch.look(old, BEGIN_SECONDS + 1)
    assert Watch(old, asked_at=0).look(RequestState("b", "failed", error="now"), 1) is not None
    running = RequestState("a", "pulling", done=5)
    assert Watch(running, asked_at=0).look(RequestState("a", "done"), 1) is not None, "a try that ran when we asked counts"


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"run": "a"}', b'{"run": "a", "state": "dancing"}', b'{"run": 1, "state": "done"}', b"{" + b" " * 70000]
)
def test_a_state_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt):
        parse(data, "here")
