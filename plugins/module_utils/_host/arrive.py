# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host arrive``: pull the images and recovery points that running VMs wait for, and move the VMs onto them.

A VM that started before its image arrived has a marker in its folder. After a kill at any moment the next run goes on. A VM whose
guest is paused for a switch of a disk, because the task was killed in the middle, is settled too.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._cluster import Cluster
from .._compute.domain.reconcile import Reconciler
from .._compute.host.calls import ARRIVING, REASONS, SWITCHING, calls_below, forget, waits
from .._compute.host.events import EventLoop
from .._compute.host.lock import vm_lock
from .._compute.host.observe import read_vm
from .._compute.job.pivot import require_settled
from .._compute.lazy.apply import resume_after_errors
from .._compute.lazy.plan import arriving_images
from .._compute.model.host_facts import Folders
from .._compute.model.request import DomainOptions
from .._compute.model.state import BUSY, CRASHED, ENDING, VmState
from .._disks.files import DiskFiles
from .._errors import Busy, EdgeError
from .._libvirt import connection, intent, lookup
from .._runner import Runner, SubprocessRunner
from .._threads import meanwhile
from . import backoff, images
from .journal import log
from .point_arrive import RECOVERY, PointArrivals, forget_fetched, waiting
from .point_lease import Leases

TRY_AGAIN = 5.0
MOVE_SECONDS = 600
FAILURES = Path("/run/edge/arrive-failures")
Options = Mapping[str, Any]


@dataclass
class Arrivals:
    """The VMs of one hypervisor that wait for images."""

    connection: Any
    cluster: Cluster
    folders: Folders
    runner: Runner = field(default_factory=SubprocessRunner)

    @property
    def _tool(self) -> DiskFiles:
        return DiskFiles(self.runner, self.folders)

    def waiting(self) -> list[str]:
        """Return the names of the VMs that wait; the markers of a VM that does not exist any more are removed."""
        vms = Path(self.folders.vms)
        for answered in calls_below(vms).glob("*"):
            forget(vms / answered.name)
        found = []
        for folder in sorted({marker.parent for reason in REASONS for marker in vms.glob(f"*/{reason}")}):
            with intent(f"look for domain {folder.name}"):
                known = lookup(self.connection.lookupByName, folder.name)
            if known is None:
                for reason in REASONS:
                    (folder / reason).unlink(missing_ok=True)
                forget(folder)
            else:
                found.append(folder.name)
        return found

    def settle(self, name: str) -> list[str]:
        """End a switch that was interrupted, pull the images of one VM and move it onto them; return what was done."""
        folder = Path(self.folders.vm(name))
        domain = lookup(self.connection.lookupByName, name)
        if domain is None:
            return []
        ended = self._end_switch(name, folder / SWITCHING)
        return ended + (self._arrive(name, domain) if (folder / ARRIVING).exists() else [])

    def _end_switch(self, name: str, note: Path) -> list[str]:
        """Wait for the task that switches the disk; where it was killed, end the switch."""
        while note.exists():
            with contextlib.suppress(Busy), vm_lock(self.folders.lock(name), name, TRY_AGAIN):
                if note.exists():
                    require_settled(self.connection, name, str(note.parent))
                    return [f"End the interrupted switch of a disk of domain {name}"]
        return []

    def _arrive(self, name: str, domain: Any) -> list[str]:
        state = read_vm(self.connection, name, self._tool, self.folders)
        with _kept_running(domain):
            for digest in arriving_images(state):
                images.pull(self.cluster, {"digest": digest})
            done = PointArrivals(self.connection, self.cluster, self.folders, self.runner, MOVE_SECONDS).settle(state)
        return done + self._move(read_vm(self.connection, name, self._tool, self.folders))

    def _move(self, state: VmState) -> list[str]:
        """Do what ``domain`` does without options; the guest keeps its state, running or not."""
        if state.config is None or state.run == "saved" or state.condition in (BUSY, CRASHED, ENDING):
            return []
        options = DomainOptions(state.name, state=state.run, timeout=MOVE_SECONDS)
        plan, _domain = Reconciler(self.connection, self._tool, self.runner, self.folders, options).run(check_mode=False)
        domain = lookup(self.connection.lookupByName, state.name)
        if domain is not None:
            resume_after_errors(domain)
        if not arriving_images(plan.after) and not waiting(plan.after):
            folder = Path(self.folders.vm(state.name))
            (folder / ARRIVING).unlink(missing_ok=True)
            forget(folder)
        return plan.actions


@contextmanager
def _kept_running(domain: Any) -> Iterator[None]:
    """Resume the guest whenever it was paused because its replica did not answer."""

    def watch(done: threading.Event) -> None:
        while not done.wait(TRY_AGAIN):
            resume_after_errors(domain)

    with meanwhile(watch, TRY_AGAIN):
        yield


def settle_all(cluster: Cluster) -> dict[str, Any]:
    """Settle every VM that waits; one that fails does not stop the others and is reported at the end."""
    actions: list[str] = []
    failed: dict[str, str] = {}
    folders = Folders(images=str(cluster.images.root))
    with EventLoop(), connection() as opened:
        arrivals, leases = Arrivals(opened, cluster, folders), Leases(cluster)
        began = arrivals.waiting()

        def waits_still(name: str) -> bool:
            return waits(Path(folders.vm(name)))

        with leases.renewed(waits_still):
            for name in began:
                try:
                    with intent(f"move domain {name} onto its image"):
                        actions += arrivals.settle(name)
                except EdgeError as error:
                    failed[name] = error.message
        actions += leases.end_for(set(began) - set(arrivals.waiting()))
        leases.forget_over(waits_still, time.time())
        forget_fetched(RECOVERY, arrivals.waiting())
        for name in arrivals.waiting():
            failed.setdefault(name, "it cannot be moved now (saved, or in the middle of something else).")
    if failed:
        reasons = " ".join(f"{name}: {message}" for name, message in failed.items())
        raise EdgeError(
            f"These VMs still read a remote image, or are paused for a switch of a disk. {reasons}", failed=failed, actions=actions
        )
    return {"changed": bool(actions), "actions": actions}


def arrive(cluster: Cluster, options: Options) -> dict[str, Any]:
    """Settle every VM that waits; with ``wait``, as the service has it, end after a failure only when it is time to try again."""
    calls = calls_below(Path(Folders(images=str(cluster.images.root)).vms))
    known = backoff.names_in(calls)
    try:
        done = settle_all(cluster)
    except EdgeError as error:
        if options.get("wait"):
            log(error.message)
            backoff.wait_after_failure(FAILURES, calls, known, time.sleep)
        raise
    backoff.succeeded(FAILURES)
    return done
