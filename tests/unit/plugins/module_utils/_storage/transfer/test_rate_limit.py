# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rate limit, on a clock of its own and in a real pull."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.rate_limit import (
    BURST_SECONDS,
    GRANTED,
    LINGER_SECONDS,
    LONGEST_SECONDS,
    Backoff,
    RateLimit,
)
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.read_through import ReadThrough
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.protocol import Reader
from hypothesis import given
from hypothesis import strategies as st
from support.images import MIB, datastore, qcow2
from support.waiting import LIMIT, until


class Clock:
    """Time that passes by sleeping, and by what a source takes."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(st.integers(1, 10**9), st.lists(st.tuples(st.integers(1, 65536), st.floats(0, 10)), max_size=40))
def test_never_more_than_the_rate_and_a_burst(rate: int, arrivals: list[tuple[int, float]]) -> None:
    clock = Clock()
    limit = RateLimit(rate, lambda: clock.now, clock.sleep)
    shown = 0
    for count, idle in arrivals:
        clock.sleep(idle)
        limit(count)
        shown += count
        assert shown <= (rate * clock.now + max(rate * BURST_SECONDS, 65536)) * (1 + 1e-9) + 1


def test_a_slow_source_is_not_slowed() -> None:
    clock = Clock()
    limit = RateLimit(1000, lambda: clock.now, clock.sleep)
    for _arrival in range(10):
        clock.sleep(1.0)
        limit(900)
    assert clock.now == 10.0


def test_a_pull_keeps_to_it(tmp_path: Path) -> None:
    store, image = datastore(tmp_path / "store", qcow2(tmp_path / "a.qcow2", 4))
    begun = time.monotonic()
    limit = RateLimit(4 * MIB, time.monotonic, time.sleep)
    done = pull_image(Store(tmp_path / "here"), image.digest, [DirectorySource(store.root)], now=0, limit=limit)
    assert done.bytes_fetched == image.size
    assert time.monotonic() - begun >= image.size / (4 * MIB) - BURST_SECONDS


@given(st.lists(st.tuples(st.integers(1, 65536), st.floats(0, 1), st.sampled_from([0.0, 0.3, 1.0, 5.0])), max_size=30))
def test_the_backoff_ends_soon_after_the_other_and_at_last_anyway(arrivals: list[tuple[int, float, float]]) -> None:
    clock = Clock()
    until = 0.0
    backoff = Backoff(lambda: clock.now < until, lambda: clock.now, clock.sleep)
    granted = 0
    for count, idle, reading in arrivals:
        clock.sleep(idle)
        until = clock.now + reading
        began = clock.now
        backoff(count)
        waited = clock.now - began
        granted = max(0, granted - count)
        if granted or not reading:
            assert waited == 0
        elif reading < LONGEST_SECONDS - LINGER_SECONDS - 0.05:
            assert reading + LINGER_SECONDS - 0.05 <= waited <= reading + LINGER_SECONDS + 0.05
        else:
            assert waited <= LONGEST_SECONDS + 0.05
            granted = GRANTED if waited >= LONGEST_SECONDS else 0


def test_a_pull_gives_way_while_a_vm_waits_for_bytes(tmp_path: Path) -> None:
    """Two readers of one image, one that a VM waits for: it stands at a slow source, and the pull waits as long as it may."""
    store, image = datastore(tmp_path / "store", qcow2(tmp_path / "a.qcow2", 8))
    here = Store(tmp_path / "here")
    here.prepare()
    came: list[tuple[float, int]] = []
    slow = Slow(store.root)
    reader = ReadThrough(here, image.digest, [slow])
    pulling = threading.Thread(
        target=pull_image,
        args=(here, image.digest, [DirectorySource(store.root)]),
        kwargs={"now": 0, "limit": lambda count: came.append((time.monotonic(), count))},
    )
    asking = threading.Thread(target=reader.read, args=(7 * MIB, 10))
    asking.start()
    assert slow.reached.wait(LIMIT)
    pulling.start()
    until(lambda: len(came) >= 2, "that the pull has the bytes that it is granted at last")
    slow.go_on.set()
    asking.join(LIMIT)
    pulling.join(LIMIT)
    (first, count), (second, _more) = came[:2]
    assert count <= 4096, "more than what comes with the look that sees the VM wait"
    assert second - first >= LONGEST_SECONDS, "the pull went on while a VM waited"
    assert here.verify(image.digest) == []


class Slow(DirectorySource):
    """A source that stands still until it is told to go on."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reached, self.go_on = threading.Event(), threading.Event()

    @contextmanager
    def read(self, digest: str, offset: int, length: int) -> Iterator[Reader]:
        self.reached.set()
        self.go_on.wait(LIMIT)
        with super().read(digest, offset, length) as reader:
            yield reader
