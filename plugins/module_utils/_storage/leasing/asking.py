# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a replica to export a recovery point, and to go on with it or end it: ``PUT /leases/ID/…``, then ``GET /leases/ID.json``."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..._cluster import Member
from ..._errors import Busy, Corrupt, EdgeError, NotFound, Refused, TimedOut, Unreachable, Unsupported
from ..transfer.http_client import Connection, Trust
from .records import END, GRANTED, KEEP, LARGEST_JSON, REFUSED, Lease, parse

ANSWER_SECONDS = 5.0  # a slower answer counts as no answer
KINDS: dict[str, type[EdgeError]] = {kind.code: kind for kind in (Busy, Corrupt, NotFound, Refused, Unsupported)}
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0


@dataclass(frozen=True)
class Wanted:
    """What is asked for: a point of a VM, under an ID of the host that asks."""

    lease: str
    vm: str
    generation: str

    def below(self, word: str) -> str:
        """Where it is asked for below the URL of a replica."""
        return f"leases/{self.lease}/{self.vm}/{self.generation}/{word}"


class Asking:
    """The leases of this host at one replica, with the URL of its images."""

    def __init__(
        self,
        replica: Member,
        trust: Trust,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name, self._url = replica.name, replica.url
        self.host = urlsplit(replica.nbd or replica.url).hostname or ""
        self._connection = Connection(replica.url, trust, ANSWER_SECONDS)
        self._clock, self._sleep = clock, sleep

    def keep(self, wanted: Wanted, seconds: float) -> Lease:
        """Return the lease once its exports can be read, for as long as a lease lasts from now on.

        Raises what the replica refuses it with, Refused for our name, Unsupported for a replica that exports nothing, Unreachable,
        and TimedOut with what it waits for.
        """
        end = self._clock() + seconds
        before = self._state(wanted)
        self._put(wanted.below(KEEP))
        lease = self._answer(wanted, before, end, seconds)
        if lease.state == REFUSED:
            kind = KINDS.get(lease.code, EdgeError)
            raise kind(f"The replica {self.name} refuses to export it: {lease.error}", replica=self.name)
        self._require_reached(lease, end, seconds)
        return lease

    def end(self, wanted: Wanted) -> None:
        """Have the replica end a lease, known there or not."""
        self._put(wanted.below(END))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _answer(self, wanted: Wanted, before: Lease | None, end: float, seconds: float) -> Lease:
        """Return the state that the request made: each request gives another time at which the lease ends."""
        pause, waits = FIRST_PAUSE, "it has not begun; does edge-points-leases.path run there?"
        while True:
            try:
                state = self._state(wanted)
            except Unreachable as error:  # it reloads, or is gone
                state, waits = None, error.message
            if state and (before is None or state.until != before.until):
                if state.state in (GRANTED, REFUSED):
                    return state
                waits = state.error or waits
            if self._clock() >= end:
                raise TimedOut(f"The replica {self.name} did not export it within {seconds:g} s: {waits}", replica=self.name)
            self._sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _require_reached(self, lease: Lease, end: float, seconds: float) -> None:
        """Return when the NBD server takes connections: it is started again for a change."""
        while True:
            left = end - self._clock()
            try:
                with socket.create_connection((self.host, lease.port), max(0.1, min(left, ANSWER_SECONDS))):
                    return
            except OSError as error:
                if left <= 0:
                    raise TimedOut(
                        f"The replica {self.name} exports it, but its port {lease.port} was not reached within {seconds:g} s: "
                        f"{error}; see docs/ports.md, and edge-points-nbd.service there.",
                        replica=self.name,
                    ) from None
                self._sleep(LONGEST_PAUSE)

    def _put(self, below: str) -> None:
        try:
            with self._connection.ask("PUT", below, {"Content-Type": "application/json"}, b"{}") as response:
                self._connection.require(response, (201, 204), f"{self._url}{below}")
                response.read()
        except NotFound:
            raise Unsupported(
                f"The replica {self.name} exports no recovery points on request; set replica_points_nbd, and run the role replica.",
                replica=self.name,
            ) from None
        except Unreachable as error:
            raise self._named(error) from None

    def _state(self, wanted: Wanted) -> Lease | None:
        below = f"leases/{wanted.lease}.json"
        try:
            return parse(self._connection.fetch(below, LARGEST_JSON), f"{self._url}{below}")
        except NotFound:
            return None
        except Unreachable as error:
            raise self._named(error) from None

    def _named(self, error: Unreachable) -> EdgeError:
        if error.details.get("status") == 403:
            return Refused(
                f"The replica {self.name} lets this host read no recovery points: it is not among image_server_point_readers.",
                replica=self.name,
            )
        return Unreachable(f"The replica {self.name}: {error.message}", source=self._url)
