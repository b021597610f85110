# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Block jobs of a running guest: started or taken over, waited for by libvirt's events, and proven by the chain read afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from ..._errors import Busy, EdgeError, NotFound, TimedOut
from ..._libvirt import intent, libvirt
from ..host.events import Waiter, hearing
from ..xml.disk import read_file
from ..xml.domain import parse_xml
from ..xml.properties import read_path

LOOK_AGAIN = 1.0


def _ignore(_done: int, _total: int) -> None:
    """Ignore the progress of a job."""


@dataclass(frozen=True)
class JobLimits:
    """How a job may go: ``timeout`` in seconds, ``bandwidth`` in bytes a second, 0 for no bound.

    ``on_progress`` is called with the bytes that are done, and of how many.
    """

    timeout: float = 600
    bandwidth: int = 0
    on_progress: Callable[[int, int], None] = _ignore


def live_disk(domain: Any, target: str) -> Element:
    """Return a running guest's disk from libvirt's XML; raise NotFound where it has none of this device name."""
    with intent(f"read domain {domain.name()}"):
        root = parse_xml(domain.XMLDesc())
    for disk in root.iterfind("devices/disk"):
        if read_path(disk, "target@dev") == target:
            return disk
    raise NotFound(f"Domain {domain.name()} has no disk {target} now.", disk=target)


def live_chain(domain: Any, target: str) -> list[str]:
    """Return the files of a running guest's disk, from the one that it writes down, as libvirt knows them."""
    disk = live_disk(domain, target)
    files = [read_file(disk)]
    below = disk.find("backingStore")
    while below is not None:
        files.append(read_file(below))
        below = below.find("backingStore")
    return [path for path in files if path]


@contextmanager
def block_jobs(connection: Any, domain: Any) -> Iterator[Waiter]:
    """Give a Waiter that receives the events of the domain's block jobs."""
    waiter = Waiter()
    with hearing(connection, domain, libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, waiter.wake):
        yield waiter


def job_of(domain: Any, target: str) -> dict[str, Any]:
    """Return the block job of a disk as libvirt reports it, empty where it has none."""
    with intent(f"read the block job of disk {target} of domain {domain.name()}"):
        return dict(domain.blockJobInfo(target) or {})


def wait_job(domain: Any, target: str, waiter: Waiter, limits: JobLimits, ready: Callable[[], bool]) -> None:
    """Return once the job has ended or is ``ready``; on the time limit end it, which leaves the chain as it was."""

    def done() -> bool:
        found = job_of(domain, target)
        if found.get("end"):
            limits.on_progress(found["cur"], found["end"])
        return ready() or not found

    if waiter.until(done, limits.timeout, LOOK_AGAIN):
        return
    with suppress(libvirt.libvirtError):
        domain.blockJobAbort(target, 0)
    raise TimedOut(
        f"timeout: the block job of disk {target} of domain {domain.name()} did not end within {limits.timeout:g} s and was "
        "ended; nothing is lost. Give it more time and run again.",
        option="timeout",
        disk=target,
        seconds=limits.timeout,
    )


def mirror_ready(domain: Any, target: str) -> bool:
    """Return whether the disk has a second file that is as the first, so that the guest can be switched to it."""
    return read_path(live_disk(domain, target), "mirror@ready") == "yes"


def require_mirror(domain: Any, target: str) -> None:
    """Raise EdgeError unless the guest can be switched to the second file."""
    if not mirror_ready(domain, target):
        raise EdgeError(f"The copy of disk {target} of {domain.name()} ended early; libvirt's log has the reason.", disk=target)


def pull_live(connection: Any, domain: Any, target: str, limits: JobLimits) -> None:
    """Copy all that a running guest's disk has in files below into the one that it writes; an earlier run's job is gone on with.

    Returns once libvirt names no file below. Raises TimedOut after the pace's ``timeout``, with the job ended and the chain as it
    was; what was copied by then stays, and is not copied again.
    """
    with block_jobs(connection, domain) as waiter:
        if not is_running(domain, target, libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_PULL):
            with intent(f"pull what is below disk {target} of domain {domain.name()}"):
                domain.blockPull(target, limits.bandwidth, libvirt.VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES)
        wait_job(domain, target, waiter, limits, lambda: False)
    chain = live_chain(domain, target)
    if len(chain) != 1:
        raise unsuccessful(f"Pulling what is below disk {target} of domain {domain.name()}", chain)


def unsuccessful(what: str, chain: list[str]) -> EdgeError:
    """Return the error of a job whose chain is not what it was to be."""
    return EdgeError(
        f"{what} ended without success; all files stay as they are. Look at the host's free space and QEMU's log, then run again.",
        chain=chain,
    )


def is_running(domain: Any, target: str, kind: int) -> bool:
    """Return whether the disk has a job of this kind; raise Busy where it has another one."""
    found = job_of(domain, target)
    if found and found["type"] != kind:
        raise Busy(f"Disk {target} of domain {domain.name()} has another block job now; run again when it has ended.", disk=target)
    return bool(found)
