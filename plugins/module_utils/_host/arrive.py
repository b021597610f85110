# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host arrive``: pull the images that running VMs wait for, and move the VMs onto them.

A VM that started before its image arrived has a marker in its folder. After a kill at any moment the next run goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._cluster import Cluster
from .._compute.domain.reconcile import Reconciler
from .._compute.host.events import EventLoop
from .._compute.host.lock import vm_lock
from .._compute.host.observe import read_vm
from .._compute.job.pivot import settle
from .._compute.lazy.apply import calls_below, resume_after_errors
from .._compute.lazy.plan import MARKER, arriving_images
from .._compute.model.host_facts import Folders
from .._compute.model.request import DomainOptions
from .._compute.model.state import BUSY, CRASHED, ENDING, VmState
from .._disks import DiskFiles
from .._errors import EdgeError
from .._libvirt import connection, intent, lookup
from .._runner import Runner, SubprocessRunner
from . import images

TRY_AGAIN = 5.0
MOVE_SECONDS = 600
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
        """Return the names of the VMs that have a marker; the marker of a VM that does not exist any more is removed."""
        found = []
        self._forget_answered()
        for marker in sorted(Path(self.folders.vms).glob(f"*/{MARKER}")):
            with intent(f"look for domain {marker.parent.name}"):
                known = lookup(self.connection.lookupByName, marker.parent.name)
            if known is None:
                marker.unlink(missing_ok=True)
            else:
                found.append(marker.parent.name)
        return found

    def _forget_answered(self) -> None:
        for call in calls_below(Path(self.folders.vms)).glob("*"):
            if not Path(self.folders.vm(call.name), MARKER).exists():
                call.unlink(missing_ok=True)

    def settle(self, name: str) -> list[str]:
        """Pull the images of one VM and move it onto them; return what was done."""
        domain = lookup(self.connection.lookupByName, name)
        if domain is None:
            return []
        with vm_lock(self.folders.lock(name), name, MOVE_SECONDS):
            settle(self.connection, name, self.folders.vm(name))
        state = read_vm(self.connection, name, self._tool, self.folders)
        with _kept_running(domain):
            for digest in arriving_images(state):
                images.pull(self.cluster, {"digest": digest})
        return self._move(read_vm(self.connection, name, self._tool, self.folders))

    def _move(self, state: VmState) -> list[str]:
        """Do what ``domain`` does without options; the guest keeps its state, running or not."""
        if state.config is None or state.run == "saved" or state.condition in (BUSY, CRASHED, ENDING):
            return []
        options = DomainOptions(state.name, state=state.run, timeout=MOVE_SECONDS)
        plan, _domain = Reconciler(self.connection, self._tool, self.runner, self.folders, options).run(check_mode=False)
        domain = lookup(self.connection.lookupByName, state.name)
        if domain is not None:
            resume_after_errors(domain)
        if not arriving_images(plan.after):
            Path(self.folders.vm(state.name), MARKER).unlink(missing_ok=True)
            self._forget_answered()
        return plan.actions


@contextmanager
def _kept_running(domain: Any) -> Iterator[None]:
    """Resume the guest whenever it was paused because its replica did not answer."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(TRY_AGAIN):
            resume_after_errors(domain)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(TRY_AGAIN)


def arrive(cluster: Cluster, _options: Options) -> dict[str, Any]:
    """Settle every VM that waits; one that fails does not stop the others and is reported at the end."""
    actions: list[str] = []
    failed: dict[str, str] = {}
    folders = Folders(images=str(cluster.images.root))
    with EventLoop(), connection() as opened:
        arrivals = Arrivals(opened, cluster, folders)
        for name in arrivals.waiting():
            try:
                with intent(f"move domain {name} onto its image"):
                    actions += arrivals.settle(name)
            except EdgeError as error:
                failed[name] = error.message
        for name in arrivals.waiting():
            failed.setdefault(name, "it cannot be moved now (saved, or in the middle of something else).")
    if failed:
        reasons = " ".join(f"{name}: {message}" for name, message in failed.items())
        raise EdgeError(f"These VMs still read a remote image. {reasons}", failed=failed, actions=actions)
    return {"changed": bool(actions), "actions": actions}
