# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A quick survey of the hosts of a cluster, in parallel: which are reachable, and which have an image."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from threading import Thread

from ..._cluster import Member
from ..._errors import EdgeError
from .. import names
from ..transfer.http_client import Connection, Trust
from .pull_policy import ObservedMember

PEER_SECONDS = 1.0
REPLICA_SECONDS = 5.0  # a busy replica must not count as lost: the image would cross the WAN twice


def look(member: Member, digest: str, trust: Trust, seconds: float) -> ObservedMember:
    """Ask one member for an image's manifest, without reading it."""
    try:
        connection = Connection(member.url, trust, seconds)
    except EdgeError as error:
        return ObservedMember(error=error.message)
    try:
        with connection.ask("HEAD", f"{names.hex_of(digest)}.json") as response:
            response.read()
            if response.status in (200, 404):
                return ObservedMember(reachable=True, has=response.status == 200)
            return ObservedMember(error=f"{member.url} answered {response.status} {response.reason}")
    except EdgeError as error:
        return ObservedMember(error=error.message)
    finally:
        connection.close()


def survey(peers: Sequence[Member], replicas: Sequence[Member], digest: str, trust: Trust) -> dict[str, ObservedMember]:
    """Ask all in parallel: wait one second at most, and longer for replicas only if no host with the image has answered."""
    asked = {member.name: _asked(member, digest, trust, PEER_SECONDS) for member in peers}
    asked |= {member.name: _asked(member, digest, trust, REPLICA_SECONDS) for member in replicas}
    _wait(list(asked.values()), [asked[member.name] for member in replicas])
    return {name: future.result() if future.done() else ObservedMember(error="no answer yet") for name, future in asked.items()}


def _asked(member: Member, digest: str, trust: Trust, seconds: float) -> Future[ObservedMember]:
    """Look in a thread that even the end of the program does not wait for."""
    future: Future[ObservedMember] = Future()
    Thread(target=lambda: future.set_result(look(member, digest, trust, seconds)), daemon=True).start()
    return future


def _wait(futures: list[Future[ObservedMember]], replicas: list[Future[ObservedMember]]) -> None:
    soon, late = time.monotonic() + PEER_SECONDS, time.monotonic() + REPLICA_SECONDS
    wait(futures, timeout=max(0.0, soon - time.monotonic()))
    if not any(future.done() and future.result().has for future in futures):
        wait(replicas, timeout=max(0.0, late - time.monotonic()))
