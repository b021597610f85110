# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hostile host of the cluster that requests thousands of images that do not exist: a replica keeps a limited number of files."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import NotFound
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.request_worker import RequestWorker
from ansible_collections.edge.cloud.plugins.module_utils._storage.cluster.requests import (
    KEPT_SECONDS,
    LARGEST_QUEUE,
    MOST_ENDED,
    PullRequests,
    RequestState,
)
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.progress import Progress
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import Pulled


@pytest.fixture
def requests(tmp_path: Path) -> PullRequests:
    made = PullRequests(tmp_path / "wanted")
    made.asked.mkdir(parents=True)
    made.prepare()
    return made


def hexes(count: int, *, first: int = 0) -> list[str]:
    return [f"{number:064x}" for number in range(first, first + count)]


def ask(requests: PullRequests, names: list[str]) -> None:
    for name in names:
        (requests.asked / name).touch()


def no_such_image(digest: str, _progress: Progress) -> Pulled:
    raise NotFound(f"No source has {digest}.")


def ended(updated: float) -> RequestState:
    return RequestState("run", "failed", updated=updated)


def test_requests_beyond_the_limit_are_dropped_and_not_kept_for_later(requests: PullRequests) -> None:
    ask(requests, [*hexes(LARGEST_QUEUE + 50), "no request"])
    assert requests.waiting() == [f"sha256:{name}" for name in hexes(LARGEST_QUEUE)]
    assert sorted(path.name for path in requests.asked.iterdir()) == hexes(LARGEST_QUEUE)


def test_while_many_are_served_no_more_are_taken(requests: PullRequests) -> None:
    """The pulls wait until more than the limit was asked for and looked at; what is beyond it has no state."""
    more, asked, looked, once = hexes(50, first=LARGEST_QUEUE), threading.Event(), threading.Event(), threading.Lock()

    class Watched(PullRequests):
        def waiting(self) -> list[str]:
            before = asked.is_set()
            found = super().waiting()
            if before and not found:  # all that was asked for has been taken or dropped
                looked.set()
            return found

    def pull(digest: str, progress: Progress) -> Pulled:
        with once:
            if not asked.is_set():
                ask(requests, more)
                asked.set()
        assert looked.wait(600)
        return no_such_image(digest, progress)

    ask(requests, hexes(LARGEST_QUEUE))
    outcome = RequestWorker(Watched(requests.folder), pull, no_such_image).run()
    assert len(outcome.failed) == LARGEST_QUEUE
    assert not any((requests.states / f"{name}.json").exists() for name in more)
    assert list(requests.asked.iterdir()) == []


def test_of_what_ended_the_newest_states_stay(requests: PullRequests) -> None:
    names = hexes(MOST_ENDED + 20)
    for number, name in enumerate(names):
        requests.write(f"sha256:{name}", ended(1000.0 + number))
    going, old = "e" * 64, "f" * 64
    requests.write(f"sha256:{going}", RequestState("run", "pulling", updated=1.0))
    requests.write(f"sha256:{old}", ended(1000.0 - KEPT_SECONDS))
    requests.sweep(1010.0)
    assert {path.stem for path in requests.states.glob("*.json")} == {*names[20:], going}


def test_a_worker_that_runs_long_goes_on_removing(requests: PullRequests) -> None:
    """States that are there and too many go while it works: they are not those of its start."""
    written, once = threading.Event(), threading.Lock()

    def pull(digest: str, progress: Progress) -> Pulled:
        with once:
            if not written.is_set():
                for number, name in enumerate(hexes(MOST_ENDED, first=10**6)):
                    requests.write(f"sha256:{name}", ended(float(number)))
                written.set()
        return no_such_image(digest, progress)

    ask(requests, hexes(LARGEST_QUEUE))
    RequestWorker(requests, pull, no_such_image, clock=lambda: float(MOST_ENDED)).run()
    assert len(list(requests.states.glob("*.json"))) == MOST_ENDED
