# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a lab host, beside the library: one change of a VM's snapshots, or of one disk, that somebody dies in.

Its argument is JSON: the options of domain_snapshot, or with ``disk`` those of domain_disk, ``check``, and ``kill``. That has
``who`` (self, qemu, libvirtd; restart for an orderly restart of libvirtd; room for the room in the folder ``folder``) and either
``step`` (from 0) and ``when`` (before, after, during), or ``delay``, in seconds after the change began, or ``when`` frozen: once
the guest's file systems are. It prints the sentences of
the plan as JSON; killed by itself, it prints nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from module_utils._compute.disk import reconcile as disks
from module_utils._compute.host.events import EventLoop
from module_utils._compute.job import backup_job, quiesce
from module_utils._compute.job.block_job import JobLimits
from module_utils._compute.model.host_facts import Folders
from module_utils._compute.snapshot import reconcile as snapshots
from module_utils._compute.snapshot.apply import SnapshotGuest
from module_utils._compute.snapshot.plan import SnapshotRequest
from module_utils._disks import DiskFiles
from module_utils._errors import EdgeError
from module_utils._libvirt import connection
from module_utils._runner import SubprocessRunner

FOLDERS = Folders()
TOOL = DiskFiles(SubprocessRunner(), FOLDERS)


def kill(domain: str, who: str, folder: str = "", **_when: Any) -> None:
    """End the victim at once; return when its death is seen."""
    if who == "self":
        os.kill(os.getpid(), signal.SIGKILL)
    elif who == "qemu":
        os.kill(int(Path(f"/run/libvirt/qemu/{domain}.pid").read_text()), signal.SIGKILL)
    elif who == "libvirtd":
        subprocess.run(["systemctl", "kill", "--signal=KILL", "--kill-whom=main", "libvirtd.service"], check=True)
    elif who == "restart":
        subprocess.run(["systemctl", "restart", "libvirtd.service"], check=True)
    elif who == "room":
        subprocess.run(["dd", "if=/dev/zero", f"of={folder}/filler", "bs=1M"], check=False, capture_output=True)
    else:
        sys.exit(f"nobody is called {who}")


def doomed(guest: type[Any], domain: str, order: dict[str, Any]) -> type[Any]:
    """Return a class that applies steps as ``guest`` does, until the named one."""
    wanted = {"step": -1, "when": "", **order}
    numbers = iter(range(1000))

    class Doomed(guest):  # type: ignore[misc]
        def apply(self, step: Any) -> None:
            mine = wanted["step"] == next(numbers)
            if mine and wanted["when"] == "before":
                kill(domain, **order)
            if mine and wanted["when"] == "during":
                threading.Timer(order["delay"], kill, (domain,), order).start()
            super().apply(step)
            if mine and wanted["when"] == "after":
                kill(domain, **order)

    return Doomed


def ended_when_frozen(domain: str, order: dict[str, Any]) -> Callable[..., Any]:
    """Return a context that is as ``frozen``, and lets the victim die within."""

    @contextmanager
    def doomed_frozen(*arguments: Any) -> Iterator[bool]:
        with quiesce.frozen(*arguments) as quiesced:
            kill(domain, **order)
            yield quiesced

    return doomed_frozen


def change_snapshots(order: dict[str, Any], fault: dict[str, Any]) -> dict[str, Any]:
    """Run what domain_snapshot runs."""
    name = order.pop("name")
    snapshots.SnapshotGuest = doomed(SnapshotGuest, name, fault)  # type: ignore[misc]
    request = SnapshotRequest(order.pop("snapshot"), **{"quiesce": "auto", "now": "2026-01-01T00:00:00Z", **order})
    with EventLoop(), connection() as opened:
        plan, found = snapshots.Snapshots(opened, TOOL, FOLDERS, name, 120).run(request, False)
    return {"actions": plan.actions, **found}


def change_disk(order: dict[str, Any], fault: dict[str, Any]) -> dict[str, Any]:
    """Run what domain_disk runs."""
    name, check = order.pop("name"), order.pop("check", False)
    disk, limits = order.pop("disk"), JobLimits(120, order.pop("bandwidth", 0))
    disks.DiskGuest = doomed(disks.DiskGuest, name, fault)  # type: ignore[misc]
    if fault.get("when") == "frozen":
        backup_job.frozen = ended_when_frozen(name, fault)
    elif fault and "when" not in fault:
        threading.Timer(fault["delay"], kill, (name,), fault).start()
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
