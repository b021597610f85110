# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Block jobs of a running guest: started or taken over, waited for by libvirt's events, and proven by the chain read afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from .._errors import Busy, EdgeError, TimedOut
from .._libvirt import intent, libvirt
from .domain_xml import parse_xml
from .events import Waiter
from .xml_properties import read_path

LOOK_AGAIN = 1.0


def live_chain(domain: Any, target: str) -> list[str]:
    """Return the files of a running guest's disk, from the one that it writes down, as libvirt knows them."""
    with intent(f"read domain {domain.name()}"):
        root = parse_xml(domain.XMLDesc())
    disk = next(one for one in root.iterfind("devices/disk") if read_path(one, "target@dev") == target)
    files = [read_path(disk, "source@file")]
    below = disk.find("backingStore")
    while below is not None:
        files.append(read_path(below, "source@file"))
        below = below.find("backingStore")
    return [path for path in files if path]


def merge_live(connection: Any, domain: Any, target: str, files: tuple[str, str], timeout: float) -> None:
    """Commit the first of ``files`` into the second, below it, under a running guest; an earlier run's job is gone on with.

    Returns once the guest does not use the first any more, read back from libvirt. Raises TimedOut after ``timeout`` seconds, with
    the job ended and the chain as it was, and EdgeError where the job failed.
    """
    top, base = files
    active = live_chain(domain, target)[0] == top
    with _job_events(connection, domain) as waiter:
        kind = libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT if active else libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT
        if not _running(domain, target, kind):
            flags = libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE if active else 0
            with intent(f"merge {top} into {base} under domain {domain.name()}"):
                domain.blockCommit(target, base, top, 0, flags)
        _wait(domain, target, waiter, timeout, (lambda: _ready(domain, target)) if active else (lambda: False))
        if active and _ready(domain, target):
            with intent(f"let domain {domain.name()} write to {base}"):
                domain.blockJobAbort(target, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
    _demand_gone(domain, target, top, base)


def _demand_gone(domain: Any, target: str, top: str, base: str) -> None:
    chain = live_chain(domain, target)
    if top in chain or base not in chain:
        raise EdgeError(
            f"Merging {top} into {base} under domain {domain.name()} ended without success; both files stay as they are. "
            "Look at the host's free space and QEMU's log, then run again.",
            chain=chain,
        )


def _info(domain: Any, target: str) -> dict[str, Any]:
    with intent(f"read the block job of disk {target} of domain {domain.name()}"):
        return dict(domain.blockJobInfo(target) or {})


def _running(domain: Any, target: str, kind: int) -> bool:
    found = _info(domain, target)
    if found and found["type"] != kind:
        raise Busy(f"Disk {target} of domain {domain.name()} has another block job now; run again when it has ended.", disk=target)
    return bool(found)


def _ready(domain: Any, target: str) -> bool:
    with intent(f"read domain {domain.name()}"):
        root = parse_xml(domain.XMLDesc())
    disks = (one for one in root.iterfind("devices/disk") if read_path(one, "target@dev") == target)
    return any(read_path(disk, "mirror@ready") == "yes" for disk in disks)


def _wait(domain: Any, target: str, waiter: Waiter, timeout: float, ready: Callable[[], bool]) -> None:
    """Return once the job has ended or is ``ready``; on the time limit end it, which leaves the chain as it was."""
    if waiter.until(lambda: ready() or not _info(domain, target), timeout, LOOK_AGAIN):
        return
    with suppress(libvirt.libvirtError):
        domain.blockJobAbort(target, 0)
    raise TimedOut(
        f"The block job of disk {target} of domain {domain.name()} did not end within {timeout:g} s and was ended; "
        "nothing is lost. Give it more with timeout and run again.",
        disk=target,
        seconds=timeout,
    )


@contextmanager
def _job_events(connection: Any, domain: Any) -> Iterator[Waiter]:
    waiter = Waiter()
    with intent(f"listen to the block jobs of domain {domain.name()}"):
        number = connection.domainEventRegisterAny(domain, libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, waiter.wake, None)
    try:
        yield waiter
    finally:
        with suppress(libvirt.libvirtError):
            connection.domainEventDeregisterAny(number)
