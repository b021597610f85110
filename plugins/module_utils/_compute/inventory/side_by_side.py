# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Much work side by side, each with its own time: what does not answer holds up nothing else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

AT_A_TIME = 64
MOST = 2048  # that have begun and not ended: each may be a process (ssh) of some megabytes
PATIENCE = 1.0  # seconds after which one that has not answered makes room for the next
Answer = TypeVar("Answer")
Tell = Callable[[Answer], None]


@dataclass
class _Running(Generic[Answer]):
    begun: float
    partial: Answer | None = None
    answer: Answer | BaseException | None = None


def side_by_side(works: Sequence[Callable[[Tell[Answer]], Answer]], seconds: float, late: Callable[[int], Answer]) -> list[Answer]:
    """Return the answers in order, or where one has not come within ``seconds`` of its begin what it had reported, else ``late``.

    So the time-out passes once, however many do not answer. What does not end is left alone in a thread that does not delay the
    exit; an exception is raised.
    """
    found: dict[int, Answer] = {}
    for place, running in _ended(works, seconds):
        if isinstance(running.answer, BaseException):
            raise running.answer
        answer = running.partial if running.answer is None else running.answer
        found[place] = late(place) if answer is None else answer
    return [found[place] for place in range(len(works))]


def _ended(works: Sequence[Callable[[Tell[Answer]], Answer]], seconds: float) -> Iterator[tuple[int, _Running[Answer]]]:
    patience = min(PATIENCE, seconds / 4)
    waiting = deque(range(len(works)))
    running: dict[int, _Running[Answer]] = {}
    done: SimpleQueue[int] = SimpleQueue()
    while waiting or running:
        now = time.monotonic()
        for place in [place for place, one in running.items() if now - one.begun >= seconds]:
            yield place, running.pop(place)
        fresh = sum(now - one.begun < patience for one in running.values())
        for place in [waiting.popleft() for _any in range(min(AT_A_TIME - fresh, MOST - len(running), len(waiting)))]:
            running[place] = _begun(place, works[place], done)
        place = _next(done, running, patience, seconds)
        if place in running:
            yield place, running.pop(place)


def _begun(place: int, work: Callable[[Tell[Answer]], Answer], done: SimpleQueue[int]) -> _Running[Answer]:
    one: _Running[Answer] = _Running(time.monotonic())

    def tell(partial: Answer) -> None:
        one.partial = partial

    def run() -> None:
        try:
            one.answer = work(tell)
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            one.answer = error
        done.put(place)

    Thread(target=run, daemon=True).start()
    return one


def _next(done: SimpleQueue[int], running: dict[int, _Running[Answer]], patience: float, seconds: float) -> int:
    """Wait for one that ends, at most until one has lost its place or its time; -1 for none."""
    now = time.monotonic()
    ends = (one.begun + (seconds if now - one.begun >= patience else patience) for one in running.values())
    try:
        return done.get(timeout=max(0.0, min(ends, default=now) - now))
    except Empty:
        return -1
