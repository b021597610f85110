# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which replica takes a VM's points: so many as the VM asks for at once, and the next ones only when those do not."""

from __future__ import annotations

from collections import Counter

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._cluster import Member
from ansible_collections.edge.cloud.plugins.module_utils._recovery_policy import Policy
from ansible_collections.edge.cloud.plugins.module_utils._storage.replication.turns import is_due, rank

REPLICAS = [Member(name, f"https://{name}/") for name in ("a", "b", "c", "d")]


def test_each_vm_has_an_order_of_the_replicas_without_its_own_host() -> None:
    first = Counter()  # type: Counter[str]
    for number in range(400):
        places = {one.name: rank(f"vm{number}", REPLICAS, "a", one.name) for one in REPLICAS}
        assert places.pop("a") == 3 and sorted(places.values()) == [0, 1, 2]
        first[min(places, key=lambda name: places[name])] += 1
    assert min(first.values()) > 80


def test_a_replica_that_leaves_changes_no_order_of_the_others() -> None:
    for number in range(50):
        before = sorted("bcd", key=lambda name: rank(f"vm{number}", REPLICAS, "a", name))
        after = sorted("bd", key=lambda name: rank(f"vm{number}", [one for one in REPLICAS if one.name != "c"], "a", name))
        assert after == [name for name in before if name != "c"]


@pytest.mark.parametrize(("place", "age", "due"), [
    (0, 0, True), (1, 0, True), (2, 0, False), (2, 1199, False), (2, 1200, True), (3, 1200, False), (3, 2400, True),
    (2, -5000, False),
])  # fmt: skip
def test_a_later_one_waits(place: int, age: float, due: bool) -> None:
    assert is_due(Policy(replicas=2, interval=600), place, age) is due
