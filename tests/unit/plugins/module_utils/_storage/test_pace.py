# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rate limit, on a clock of its own and in a real pull."""

from __future__ import annotations

import time
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._storage.directory_source import DirectorySource
from ansible_collections.edge.cloud.plugins.module_utils._storage.pace import BURST_SECONDS, Pace
from ansible_collections.edge.cloud.plugins.module_utils._storage.puller import pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import Store
from hypothesis import given
from hypothesis import strategies as st
from support.images import MIB, datastore, qcow2


class Clock:
    """Time that passes by sleeping, and by what a source takes."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(st.integers(1, 10**9), st.lists(st.tuples(st.integers(1, 65536), st.floats(0, 10)), max_size=40))
def test_never_more_than_the_rate_and_a_burst(rate: int, arrivals: list[tuple[int, float]]) -> None:
    clock = Clock()
    pace = Pace(rate, lambda: clock.now, clock.sleep)
    told = 0
    for count, idle in arrivals:
        clock.sleep(idle)
        pace(count)
        told += count
        assert told <= (rate * clock.now + max(rate * BURST_SECONDS, 65536)) * (1 + 1e-9) + 1


def test_a_slow_source_is_not_slowed() -> None:
    clock = Clock()
    pace = Pace(1000, lambda: clock.now, clock.sleep)
    for _arrival in range(10):
        clock.sleep(1.0)
        pace(900)
    assert clock.now == 10.0


def test_a_pull_keeps_to_it(tmp_path: Path) -> None:
    store, image = datastore(tmp_path / "store", qcow2(tmp_path / "a.qcow2", 4))
    begun = time.monotonic()
    pace = Pace(4 * MIB, time.monotonic, time.sleep)
    done = pull_image(Store(tmp_path / "here"), image.digest, [DirectorySource(store.root)], now=0, pace=pace)
    assert done.bytes_fetched == image.size
    assert time.monotonic() - begun >= image.size / (4 * MIB) - BURST_SECONDS
