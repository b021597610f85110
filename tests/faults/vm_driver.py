# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a lab host, beside the library: one change of a VM's snapshots, or of one disk, in which a process is killed.

Its argument is JSON: the options of domain_snapshot, or with ``disk`` those of domain_disk, ``check``, and ``kill``. That has
``who`` (self, qemu, libvirtd; restart for an orderly restart of libvirtd; room for the room in the folder ``folder``) and either
``step`` (from 0) and ``when`` (before, after, during), or ``when`` frozen: once the guest's file systems are. A kill during a step
has ``delay``, seconds after it began, or ``share``: once so much of the block job of disk ``target`` is done. A ``share`` without
a ``step`` is one of a disk's copy. The kill is left out if the step or the copy has ended by then.

It prints the sentences of the plan as JSON; killed by itself, it prints none. A line ``{"hit": true}`` says that the kill was done.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from module_utils._compute.disk import reconcile as disks
from module_utils._compute.host.events import EventLoop
from module_utils._compute.job import backup_job, quiesce
from module_utils._compute.job.backup_job import PushBackup
from module_utils._compute.job.block_job import JobLimits
from module_utils._compute.model.host_facts import Folders
from module_utils._compute.snapshot import reconcile as snapshots
from module_utils._compute.snapshot.apply import SnapshotGuest
from module_utils._compute.snapshot.plan import SnapshotRequest
from module_utils._disks.files import DiskFiles
from module_utils._errors import EdgeError
from module_utils._libvirt import connection, libvirt
from module_utils._runner import SubprocessRunner

FOLDERS = Folders()
LOOK_AGAIN = 0.02
TOOL = DiskFiles(SubprocessRunner(), FOLDERS)


def kill(domain: str, who: str, folder: str = "", **_when: Any) -> None:
    """Kill the victim and say so."""
    if who == "self":
        print(json.dumps({"hit": True}), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    elif who == "qemu":
        os.kill(int(Path(f"/run/libvirt/qemu/{domain}.pid").read_text()), signal.SIGKILL)
    elif who == "libvirtd":
        os.kill(int(Path("/run/libvirtd.pid").read_text()), signal.SIGKILL)
    elif who == "restart":
        subprocess.run(["systemctl", "restart", "libvirtd.service"], check=True)
    elif who == "room":
        subprocess.run(["dd", "if=/dev/zero", f"of={folder}/filler", "bs=1M"], check=False, capture_output=True)
    else:
        sys.exit(f"who: {who!r} is not known")
    print(json.dumps({"hit": True}), flush=True)


@contextmanager
def kill_after(domain: str, order: dict[str, Any]) -> Iterator[None]:
    """Kill after the order's delay, unless the block has ended by then."""
    timer = threading.Timer(order["delay"], kill, (domain,), order)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def done_share(domain: Any, target: str) -> float:
    """Return which share of a disk's block job, or of the domain's copy where no target is named, is done; 0 without one."""
    if target:
        found = domain.blockJobInfo(target) or {}
        return float(found["cur"] / found["end"]) if found.get("end") else 0.0
    stats = domain.jobStats()
    return float(stats["disk_processed"] / stats["disk_total"]) if stats.get("disk_total") else 0.0


def kill_at_share(domain: str, order: dict[str, Any], ended: threading.Event) -> None:
    """Kill once the order's share is done, unless the work has ``ended`` by then."""
    with connection() as opened:
        found = opened.lookupByName(domain)
        while not ended.wait(LOOK_AGAIN):
            with suppress(libvirt.libvirtError):  # the job has just begun
                if done_share(found, order.get("target", "")) >= order["share"]:
                    kill(domain, **order)
                    return


@contextmanager
def kill_during(domain: str, order: dict[str, Any]) -> Iterator[None]:
    """Kill within, at the order's share of the job or after its delay."""
    if "delay" in order:
        with kill_after(domain, order):
            yield
        return
    ended = threading.Event()
    watch = threading.Thread(target=kill_at_share, args=(domain, order, ended))
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()


def doomed(guest: type[Any], domain: str, order: dict[str, Any]) -> type[Any]:
    """Return a class that applies steps as ``guest`` does, until the named one."""
    wanted = {"step": -1, "when": "", **order}
    numbers = iter(range(1000))

    class Doomed(guest):  # type: ignore[misc]
        def apply(self, step: Any) -> None:
            mine = wanted["step"] == next(numbers)
            if mine and wanted["when"] == "before":
                kill(domain, **order)
            with kill_during(domain, order) if mine and wanted["when"] == "during" else nullcontext():
                super().apply(step)
            if mine and wanted["when"] == "after":
                kill(domain, **order)

    return Doomed


def doomed_copy(domain: str, order: dict[str, Any]) -> type[PushBackup]:
    """Return a class that copies as PushBackup does, and kills the victim meanwhile."""

    class DoomedBackup(PushBackup):
        def copy(self, *arguments: Any) -> bool:
            with kill_during(domain, order):
                return super().copy(*arguments)

    return DoomedBackup


def ended_when_frozen(domain: str, order: dict[str, Any]) -> Callable[..., Any]:
    """Return a context that is as ``frozen``, and kills the victim within."""

    @contextmanager
    def doomed_frozen(*arguments: Any) -> Iterator[bool]:
        with quiesce.frozen(*arguments) as quiesced:
            kill(domain, **order)
            yield quiesced

    return doomed_frozen


def change_snapshots(order: dict[str, Any], fault: dict[str, Any]) -> dict[str, Any]:
    """Run what domain_snapshot runs."""
    name, check = order.pop("name"), order.pop("check", False)
    snapshots.SnapshotGuest = doomed(SnapshotGuest, name, fault)  # type: ignore[misc]
    request = SnapshotRequest(order.pop("snapshot"), **{"quiesce": "auto", "now": "2026-01-01T00:00:00Z", **order})
    with EventLoop(), connection() as opened:
        plan, found = snapshots.Snapshots(opened, TOOL, FOLDERS, name, 120).run(request, check)
    return {"actions": plan.actions, **found}


def change_disk(order: dict[str, Any], fault: dict[str, Any]) -> dict[str, Any]:
    """Run what domain_disk runs."""
    name, check = order.pop("name"), order.pop("check", False)
    disk, limits = order.pop("disk"), JobLimits(120, order.pop("bandwidth", 0))
    disks.DiskGuest = doomed(disks.DiskGuest, name, fault)  # type: ignore[misc]
    if fault.get("when") == "frozen":
        backup_job.frozen = ended_when_frozen(name, fault)
    elif fault and "when" not in fault:
        disks.PushBackup = doomed_copy(name, fault)  # type: ignore[misc]
    with EventLoop(), connection() as opened:
        plan, _view, found = disks.Disks(opened, TOOL, FOLDERS, name, disk, limits).run(disks.DiskRequest(**order), check)
    return {"actions": plan.actions, **found}


def main() -> None:
    """Do what the argument says."""
    order = json.loads(sys.argv[1])
    change: Callable[..., dict[str, Any]] = change_disk if "disk" in order else change_snapshots
    try:
        print(json.dumps(change(order, order.pop("kill", {}))))
    except EdgeError as error:
        print(json.dumps({"failed": True, **error.as_result()}))


if __name__ == "__main__":
    main()
