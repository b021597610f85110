# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe, plan, apply and report the snapshots of one VM: what the module ``domain_snapshot`` and every other caller runs."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..._errors import Busy, EdgeError, InvalidInput, Refused, TimedOut
from ..._plan import Plan, execute
from ..host.at_rest import refuse_saved, refuse_unsettled
from ..host.migration_mark import refuse_while_migrating
from ..job.block_job import JobLimits
from ..job.ended import ended_lock
from ..lazy.plan import is_arriving
from ..model.host_facts import Folders
from ..model.image_tools import OverlayTool
from ..model.state import CRASHED, SUSPENDED
from ..options.values import check_name
from .apply import SnapshotGuest
from .observe import quiesce_of, read_snapshots
from .plan import SnapshotRequest, plan_snapshot
from .recovery import recover
from .state import SnapshotState, describe

SNAPSHOT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,49}")


def check_snapshot(name: str) -> None:
    """Raise InvalidInput for what cannot be a snapshot's name."""
    if SNAPSHOT.fullmatch(name) is None or name == "arriving":
        raise InvalidInput(
            f"snapshot: {name!r} is not valid; it must be letters, digits, dashes and underscores, at most 50, and not arriving.",
            option="snapshot",
            value=name,
        )


@dataclass(frozen=True)
class Snapshots:
    """The snapshots of one domain, on one connection."""

    connection: Any
    tool: OverlayTool
    folders: Folders
    domain: str
    timeout: float = 600

    def _read(self) -> SnapshotState:
        return read_snapshots(self.connection, self.domain, self.tool, self.folders)

    def _guest(self, state: SnapshotState) -> SnapshotGuest:
        marker = Path(self.folders.frozen(self.domain))
        return SnapshotGuest(self.connection, state, self.tool, JobLimits(self.timeout), marker)

    def run(self, request: SnapshotRequest, check_mode: bool) -> tuple[Plan[SnapshotState], dict[str, Any]]:
        """Return the plan and the snapshots after it: as predicted in check mode, as read back else."""
        check_snapshot(request.name)
        home = self.folders.vm(check_name(self.domain))
        if check_mode or not Path(home).is_dir():
            plan = self._plan(self._read(), request)
            return plan, describe(plan.after)
        with ended_lock(self.connection, self.folders, self.domain, 0):
            plan = self._plan(self._read(), request)
            self.execute(plan)
            return plan, describe(self._read() if plan.changed else plan.before)

    def execute(self, plan: Plan[SnapshotState]) -> None:
        """Apply a plan; what fails midway is undone or finished at once, as the next run would, and the first error is raised."""
        try:
            execute(plan, self._guest(plan.before).apply)
        except EdgeError as error:
            if not isinstance(error, TimedOut):
                with suppress(EdgeError):
                    self._recover()
            raise

    def _recover(self) -> None:
        state = self._read()
        steps = recover(state) if state.index.journal and state.index.journal.what == "take" else []
        execute(Plan(state, tuple(steps)), self._guest(state).apply)

    def _plan(self, state: SnapshotState, request: SnapshotRequest) -> Plan[SnapshotState]:
        refuse_while_migrating(state.name, state.home, state.run)
        waiting = [disk.name for disk in state.disks if is_arriving(disk.active)]
        if waiting and request.state != "absent":
            raise Busy(
                f"name: the image of disk {waiting[0]} of {state.name} is still on its way; run edge.cloud.domain again "
                "once it is here, then take the snapshot.",
                option="name",
                disk=waiting[0],
            )
        if state.run == "saved":
            stopped, asked = replace(state, run="stopped"), replace(request, memory=False, quiesce="never")
            if request.state == "reverted" or plan_snapshot(stopped, asked).changed:
                refuse_saved(state.name, state.run)
            return Plan(state)
        new = request.state == "present" and state.index.snapshot(request.name) is None
        quiesce = quiesce_of(self.connection, state, request.quiesce, memory=request.memory) if new else "never"
        plan = plan_snapshot(state, replace(request, quiesce=quiesce))
        if plan.changed:
            refuse_unsettled(state.name, state.condition)
        if new:
            _refuse_halted(state.name, state.condition)
        return plan


def _refuse_halted(name: str, condition: str) -> None:
    """Raise Refused where libvirt takes no snapshot: of a guest that sleeps (S3), or that has crashed and is kept."""
    if condition in (SUSPENDED, CRASHED):
        what = "sleeps (S3); wake it" if condition == SUSPENDED else "has crashed; start it again"
        raise Refused(
            f"name: the guest of domain {name} {what} with edge.cloud.domain (state running) first.", option="name", value=name
        )
