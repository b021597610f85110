# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source that trickles is left while there is a better one, and nothing goes to and fro."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import Trust
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.rate_limit import RateLimit
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.source_choice import BETTER, FLOOR, WINDOW, Speeds
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.https import HttpsSource
from support.certificates import Authority
from support.image_server import nginx
from support.images import datastore, qcow2

MIB = 1024 * 1024


def simulate(speeds: Speeds, rates: dict[str, float], windows: int) -> list[str]:
    """Return which source is read in each window: always the best ranked, left when the rule says so."""
    used = []
    for _window in range(windows):
        name = min(rates, key=speeds.rank)
        speeds.begin(name)
        used.append(name)
        assert speeds.gave(int(rates[name] * WINDOW), WINDOW)
        speeds.leave(rates)
    return used


def test_a_trickle_is_left_for_one_that_was_never_tried() -> None:
    assert simulate(Speeds(), {"a": FLOOR / 2, "b": 10 * MIB}, 5) == ["a", "b", "b", "b", "b"]


def test_with_nobody_else_a_trickle_is_kept() -> None:
    assert simulate(Speeds(), {"a": 10.0}, 5) == ["a"] * 5


def test_what_is_not_slow_is_kept_although_another_may_be_faster() -> None:
    assert simulate(Speeds(), {"a": FLOOR * 1.1, "b": 100 * MIB}, 5) == ["a"] * 5


def test_a_source_known_to_be_much_faster_is_gone_back_to() -> None:
    speeds = Speeds(rates={"b": 100.0 * MIB})
    assert simulate(speeds, {"a": MIB, "b": 100.0 * MIB}, 3) == ["a", "b", "b"]


def test_among_slow_ones_the_least_slow_is_found_and_kept() -> None:
    used = simulate(Speeds(), {"a": FLOOR / 20, "b": FLOOR / 30, "c": FLOOR / 2, "d": FLOOR / 25}, 50)
    assert set(used[:4]) == {"a", "b", "c", "d"}
    assert set(used[5:]) == {"c"}


@pytest.mark.parametrize("seed", range(100))
def test_there_is_no_going_to_and_fro(seed: int) -> None:
    """Sources whose rates change by less than the factor are each left once at most for a new one, and once for the best."""
    dice = random.Random(seed)
    base = {name: dice.uniform(100, 2 * FLOOR) for name in "abcdef"[: dice.randrange(1, 7)]}
    speeds, used = Speeds(), []
    for _window in range(200):
        name = min(base, key=speeds.rank)
        speeds.begin(name)
        used.append(name)
        speeds.gave(int(base[name] * dice.uniform(1, BETTER**0.5) * WINDOW), WINDOW)
        speeds.leave(base)
    changes = sum(one != two for one, two in itertools.pairwise(used))
    assert changes <= 2 * len(base)


def test_time_that_we_take_ourselves_is_not_the_source_s(tmp_path: Path) -> None:
    store, image = datastore(tmp_path / "store", qcow2(tmp_path / "a.qcow2", 2))
    other = Store(tmp_path / "other")
    other.root.mkdir()
    for path in (store.image_path(image.digest), store.manifest_path(image.digest)):
        (other.root / path.name).write_bytes(path.read_bytes())
    clock = [0.0]
    limit = RateLimit(1000, lambda: clock[0], lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    sources = [DirectorySource(store.root), DirectorySource(other.root)]
    assert pull_image(Store(tmp_path / "here"), image.digest, sources, now=0, limit=limit).sources == (str(store.root),)


def test_a_pull_goes_on_with_another_source(tmp_path: Path) -> None:
    store, image = datastore(tmp_path / "store", qcow2(tmp_path / "a.qcow2", 8))
    authority = Authority(tmp_path / "ca")
    pair, client = authority.issue("127.0.0.1"), authority.issue("host1.example")
    trust = Trust(authority.ca_file, client.cert, client.key)
    with (
        nginx(tmp_path / "slow", store.root, authority, pair, rate="40k") as slow,
        nginx(tmp_path / "fast", store.root, authority, pair) as fast,
    ):
        sources = [HttpsSource(slow.url, trust), HttpsSource(fast.url, trust)]
        done = pull_image(Store(tmp_path / "here"), image.digest, sources, now=0)
    assert fast.url in done.sources
    assert slow.sent() < image.size / 2, "it was not left for the other one"
    assert done.bytes_fetched < image.size + 2 * MIB
