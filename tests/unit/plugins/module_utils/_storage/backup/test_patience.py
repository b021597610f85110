# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which locks a run of the timer has removed: those of killed runs alone, however clocks and names of hosts are."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.patience import Lock, Patience
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.request import Access
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.restic import Restic

NO_PROCESS = 2**22 + 1  # above the largest number that a process can have


def lock(name: str, *, host: str = "edge1", pid: int = os.getpid(), minutes: float = 0) -> Lock:
    return Lock(name, host, pid, datetime.now(UTC) - timedelta(minutes=minutes))


def patience(dead_after: float) -> Patience:
    return Patience(lambda _line: None, dead_after=dead_after)


def test_a_lock_is_dead_when_it_stayed_the_same() -> None:
    assert patience(0).may_unlock([lock("a", minutes=60)], "edge1")
    assert not patience(3600).may_unlock([lock("a", minutes=60)], "edge1"), "an old time may be a clock that is wrong"
    assert not patience(0).may_unlock([], "edge1")


def test_a_lock_of_another_that_unlock_would_remove_too_is_left_alone() -> None:
    """As of a host whose clock is behind, or of another host of the same name, where this process does not run."""
    waits = patience(3600)
    waits.since = {"dead": -1e9}
    for other in (lock("other", minutes=31), lock("other", pid=NO_PROCESS)):
        assert not waits.may_unlock([lock("dead", minutes=90), other], "edge1")
    assert waits.may_unlock([lock("dead", minutes=90), lock("other", host="edge2", pid=NO_PROCESS)], "edge1")
    assert set(waits.since) == {"dead", "other"}


def test_locks_of_the_real_restic(tmp_path: Path) -> None:
    access = Access(str(tmp_path / "repository"), "secret", None, {"RESTIC_CACHE_DIR": str(tmp_path / "cache")})
    restic = Restic(SubprocessRunner(access.variables), access)
    restic.init()
    os.mkfifo(tmp_path / "fifo")
    pipe = os.open(tmp_path / "fifo", os.O_RDWR)
    holder = subprocess.Popen(["restic", "backup", "--stdin"], stdin=pipe, env={**os.environ, **access.variables})
    os.close(pipe)
    try:
        while not any(len(one.name) == 64 for one in (tmp_path / "repository/locks").iterdir()):
            assert holder.poll() is None
        waits = patience(3600)
        patient = Restic(SubprocessRunner(access.variables), access, patience=waits)
        (found,) = patient.locks()
        assert found.pid == holder.pid and abs(found.time - datetime.now(UTC)) < timedelta(minutes=5)
        assert not waits.may_unlock([found], found.host)
    finally:
        holder.kill()
        holder.wait()
    (still,) = patient.locks()
    assert still.id == found.id and not waits.may_unlock([still], found.host)
    waits.dead_after = 0
    assert waits.may_unlock([still], found.host)
