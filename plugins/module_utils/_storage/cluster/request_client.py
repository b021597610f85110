# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests an image of a replica and waits until the replica has it: ``PUT /wanted/HEX``, then ``GET /wanted/HEX.json``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from ... import _errors
from ..._cluster import Member
from ..._errors import Corrupt, EdgeError, NotFound, Unreachable, Unsupported
from .. import names
from ..transfer.http_client import Connection, Trust
from ..transfer.progress import Progress, scanned_of
from . import requests
from .requests import RequestState

POLL_SECONDS = 3.0  # a slower answer counts as no answer
MOST_POLLS = 3  # of one state, while the server reloads
BEGIN_SECONDS = 30.0
STALL_SECONDS = 120.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
KINDS: dict[str, type[EdgeError]] = {
    kind.code: kind for kind in vars(_errors).values() if isinstance(kind, type) and issubclass(kind, EdgeError)
}


class ReplicaFailed(EdgeError):
    """A replica tried a requested pull and failed; ``cause`` is its error."""

    def __init__(self, cause: EdgeError) -> None:
        super().__init__(cause.message, **cause.details)
        self.cause = cause


@dataclass
class Watch:
    """Decides from the successive states of a request whether the replica still works on it; pure."""

    before: RequestState | None
    asked_at: float
    _mark: tuple[object, ...] | None = None
    _moved_at: float = 0.0

    def look(self, state: RequestState | None, now: float) -> RequestState | None:
        """Return the state unless it is of an earlier try; raise Unreachable if nothing moves any more."""
        if state is None or (self.before is not None and self.before.final and state.run == self.before.run):
            if now - self.asked_at > BEGIN_SECONDS:
                raise Unreachable(
                    f"It took the request but did not begin within {BEGIN_SECONDS:g} s; does edge-fill.path run there?"
                )
            return None
        mark = (state.run, state.state, state.done, state.scanned, None if state.measured else state.updated)
        if mark != self._mark:
            self._mark, self._moved_at = mark, now
        elif now - self._moved_at > STALL_SECONDS:
            raise Unreachable(f"It is at {state.scanned or state.done} of {state.total} bytes for {STALL_SECONDS:g} s.")
        return state


class Asking:
    """The request of one image to one replica."""

    def __init__(
        self,
        replica: Member,
        digest: str,
        trust: Trust,
        host: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._replica = replica
        self._below = f"wanted/{names.hex_of(digest)}"
        self._connection = Connection(replica.url, trust, POLL_SECONDS)
        self._host = host
        self._clock = clock
        self._sleep = sleep

    def wait(self, progress: Progress) -> None:
        """Return when the replica has it; raise Unreachable if the replica is lost or stuck, ReplicaFailed with its error."""
        try:
            watch = Watch(self._state(), self._clock())
            self._ask()
            pause = FIRST_PAUSE
            while True:
                self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                state = watch.look(self._patiently(), self._clock())
                if state is None:
                    continue
                if state.state == "done":
                    return
                if state.state == "failed":
                    raise ReplicaFailed(
                        KINDS.get(state.code, EdgeError)(f"The replica {self._replica.name} reports: {state.error}")
                    )
                if state.scanned:
                    scanned_of(progress)(state.scanned, state.total)
                elif state.total:
                    progress(state.done, state.total)
        except (Unreachable, Corrupt, NotFound, Unsupported) as error:
            raise Unreachable(f"The replica {self._replica.name}: {error.message}", source=self._replica.url) from None
        finally:
            self._connection.close()

    def _ask(self) -> None:
        body = json.dumps({"host": self._host, "schema": requests.SCHEMA}).encode()
        with self._connection.ask("PUT", self._below, {"Content-Type": "application/json"}, body) as response:
            self._connection.require(response, (201, 204), f"{self._replica.url}{self._below}")
            response.read()

    def _state(self) -> RequestState | None:
        try:
            data = self._connection.fetch(f"{self._below}.json", requests.LARGEST_JSON)
        except NotFound:
            return None
        return requests.parse(data, f"{self._replica.url}{self._below}.json")

    def _patiently(self) -> RequestState | None:
        """Return the state; ask again if the server is just reloading."""
        for _poll in range(MOST_POLLS - 1):
            try:
                return self._state()
            except Unreachable:
                self._sleep(LONGEST_PAUSE)
        return self._state()
