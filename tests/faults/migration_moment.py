# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the source of a migration: holds its task still at a state of the migration, so that a fault hits it on any machine.

``migration_moment.py hold DOMAIN LOCK JOURNAL STATE SHARE`` waits for the process that holds the VM's lock, and then for the state:
``begun`` (the journal is there), ``disks`` or ``memory`` (that share of them was sent), ``over`` (the guest has left, and the
journal is there). It stops the process and prints its number, or prints nothing where the state came and went unseen. libvirt and
QEMU go on. ``migration_moment.py kill LOCK`` kills those who hold the lock.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import libvirt

PATIENCE = 600.0  # seconds, for the task to begin
LOOK_AGAIN = 0.01


def holders(lock: str) -> Iterator[int]:
    """Yield the processes that have a file open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # the process or the file has gone
            if link.readlink() == Path(lock):
                yield int(link.parts[2])


def share_of_memory(domain: Any) -> float:
    """Return the share of the guest's memory that was sent."""
    stats = domain.jobStats()
    return float(stats.get("memory_processed", 0) / stats["memory_total"]) if stats.get("memory_total") else 0.0


def share_of_disks(domain: Any) -> float:
    """Return the share of the first disk that was sent; 1 once memory is sent."""
    job = domain.blockJobInfo("vda")
    return float(job["cur"] / job["end"]) if job and job["end"] else float(share_of_memory(domain) > 0)


def seen(domain: Any, journal: Path, state: str, share: float) -> bool | None:
    """Return whether the state is there; None where it is over."""
    if not journal.exists():
        return False
    if state == "begun":
        return True
    if state == "over":
        return not domain.isActive()
    if not domain.isActive():
        return None
    now = (share_of_disks if state == "disks" else share_of_memory)(domain)
    return None if now >= 1 else 0 < now >= share


def alive(process: int) -> bool:
    """Tell whether a process is there."""
    return Path(f"/proc/{process}").exists()


def until(look: Callable[[], Any], process: int) -> Any:
    """Return what ``look`` gives, once it is not False; None when the process has ended."""
    while alive(process):
        with suppress(libvirt.libvirtError):  # the job has just begun or ended
            if (found := look()) is not False:
                return found
        time.sleep(LOOK_AGAIN)
    return None


def hold(name: str, lock: str, journal: Path, state: str, share: float) -> None:
    """Stop the task at the state."""
    deadline = time.monotonic() + PATIENCE
    while (process := next(holders(lock), 0)) == 0:
        if time.monotonic() > deadline:
            sys.exit("the task did not begin")
        time.sleep(LOOK_AGAIN)
    with closing(libvirt.open("qemu:///system")) as connection:
        domain = connection.lookupByName(name)
        if not until(lambda: seen(domain, journal, state, share), process):
            return
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGSTOP)
            if journal.exists():
                print(process)


def main() -> None:
    """Do what the arguments say."""
    libvirt.registerErrorHandler(lambda *_about: None, None)
    verb, *words = sys.argv[1:]
    if verb == "hold":
        name, lock, journal, state, share = words
        hold(name, lock, Path(journal), state, float(share))
        return
    for process in holders(words[0]):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    main()
