# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pulls of a replica: images that other hosts requested, a few at a time, then images that only other replicas have.

One worker runs on a host. It takes new requests while it works and ends when nothing is left to do.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from ... import _files
from ..._errors import EdgeError, from_os_error, message_of, print_defect
from ..transfer.progress import Progress, Report
from ..transfer.pull import Pulled
from .requests import LARGEST_QUEUE, PullRequests, RequestState, failed

WORKERS = 4
LOOK_SECONDS = 0.5
REPORT_SECONDS = 1.0
ALIVE_SECONDS = 5.0
Pull = Callable[[str, Progress], Pulled]


@dataclass
class Outcome:
    """What a worker did: the images that were pulled, and why others were not."""

    pulled: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    bytes_fetched: int = 0


@dataclass
class _Work:
    """A request that is being served."""

    state: RequestState
    reported_at: float = 0.0


@dataclass(frozen=True)
class _Told(Report):
    """Writes how far a request is, at most once a second."""

    work: _Work
    clock: Callable[[], float]
    write: Callable[[RequestState], None]

    def __call__(self, done: int, total: int) -> None:
        self._tell(replace(self.work.state, state="pulling", done=done, total=total, scanned=0))

    def scanned(self, done: int, total: int) -> None:
        self._tell(replace(self.work.state, state="pulling", total=total, scanned=done))

    def _tell(self, state: RequestState) -> None:
        now = self.clock()
        self.work.state = replace(state, updated=now)
        if now - self.work.reported_at >= REPORT_SECONDS:
            self.work.reported_at = now
            self.write(self.work.state)


class RequestWorker:
    """Serves ``requests`` with ``pull``, then pulls ``extras``: images by digest that no host waits for."""

    def __init__(
        self,
        requests: PullRequests,
        pull: Pull,
        pull_extra: Pull,
        extras: Iterable[str] = (),
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._requests = requests
        self._pull = pull
        self._pull_extra = pull_extra
        self._extras: Iterator[str] = iter(extras)
        self._clock = clock
        self._work: dict[str, _Work] = {}
        self._futures: dict[str, Future[Pulled]] = {}
        self._outcome = Outcome()
        self._ended = 0

    def run(self) -> Outcome:
        """Return when nothing is left to do; raise Busy if another worker runs."""
        self._requests.prepare()
        with _files.locked(self._requests.folder / "fill.lock", wait=False), ThreadPoolExecutor(WORKERS) as pool:
            self._requests.sweep(self._clock())
            for digest in self._requests.unfinished():
                self._begin(pool, digest)
            while True:
                self._take(pool)
                if not self._futures and not self._next_extra(pool):
                    return self._outcome
                wait(self._futures.values(), timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
                self._settle()
                self._show_alive()

    def _take(self, pool: ThreadPoolExecutor) -> None:
        for digest in self._requests.waiting():
            if digest in self._work or len(self._work) >= LARGEST_QUEUE:
                self._requests.take(digest, None)
            else:
                self._begin(pool, digest)

    def _begin(self, pool: ThreadPoolExecutor, digest: str) -> None:
        self._work[digest] = _Work(RequestState(secrets.token_hex(8), "queued", updated=self._clock()))
        self._requests.take(digest, self._work[digest].state)
        self._futures[digest] = pool.submit(self._pull_wanted, digest)

    def _pull_wanted(self, digest: str) -> Pulled:
        progress = _Told(self._work[digest], self._clock, lambda state: self._requests.write(digest, state))
        progress(0, 0)
        return self._pull(digest, progress)

    def _settle(self) -> None:
        """Write the final state of the pulls that ended. A later request for the same image starts a new pull."""
        for digest, future in [(digest, future) for digest, future in self._futures.items() if future.done()]:
            error = _error_of(future)
            if error is None:
                done = future.result()
                self._outcome.bytes_fetched += done.bytes_fetched
                self._outcome.pulled += [digest] if done.bytes_fetched or done.bytes_reused else []
            else:
                self._outcome.failed[digest] = error.message
            self._end(digest, error)
            del self._futures[digest]
        if self._ended >= LARGEST_QUEUE:
            self._requests.sweep(self._clock())
            self._ended = 0

    def _end(self, digest: str, error: EdgeError | None) -> None:
        work = self._work.pop(digest, None)
        if work is None:
            return
        now, state = self._clock(), work.state
        done = replace(state, state="done", done=state.total, scanned=0, updated=now)
        ended = failed(state, error.message, error.code, now) if error else done
        self._requests.write(digest, ended)
        self._ended += 1

    def _show_alive(self) -> None:
        now = self._clock()
        for digest, work in self._work.items():
            if not work.state.measured and now - work.state.updated >= ALIVE_SECONDS:
                work.state = replace(work.state, updated=now)
                self._requests.write(digest, work.state)

    def _next_extra(self, pool: ThreadPoolExecutor) -> bool:
        digest = next(self._extras, None)
        if digest is None:
            return False
        self._futures[digest] = pool.submit(self._pull_extra, digest, lambda _done, _total: None)
        return True


def _error_of(future: Future[Pulled]) -> EdgeError | None:
    """Return the failure, if there was one; our own defect is logged with its traceback and does not stop the other requests."""
    error = future.exception()
    if error is None or isinstance(error, EdgeError):
        return error
    if isinstance(error, OSError):
        return from_os_error(error)
    print_defect(error)
    return EdgeError(message_of(error))
