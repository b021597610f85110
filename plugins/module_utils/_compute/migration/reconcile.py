# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe, plan, apply and report the migration of one VM: what the module ``domain_migration`` runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from ..._errors import Conflict, EdgeError
from ..._libvirt import connection, intent, lookup
from ..._plan import Plan, execute
from ..host.lock import vm_lock
from ..host.migration_mark import refuse_incoming
from ..host.restore_mark import refuse_while_restoring
from ..job.pivot import require_settled
from ..job.point_job import end_point
from ..model.host_facts import Folders
from ..model.image_tools import FileTool
from ..model.virtual_network import NetworkTool, NoNetworks
from .apply import MigratingVm
from .check import check_same
from .destination import Address, probe, read_destination
from .job import Job, MigrationOptions
from .journal import Journal, read_journal, write_journal
from .model import MigrationState, SourceVm, view
from .place import HERE, MOVING, THERE, on_its_way, where
from .plan import began, plan_migration
from .remote_files import Volumes
from .source import read_source

KEEP_ALIVE, MISSED = 5, 6
LONGEST_WAIT = 60.0


def _silent(_done: int, _total: int) -> None:
    """Ignore the progress."""


@dataclass
class Migrator:
    """Brings one VM of this host to another; ``on_progress`` is called with done and total bytes of what is on its way."""

    here: Any
    tool: FileTool
    folders: Folders
    name: str
    address: Address
    options: MigrationOptions = field(default_factory=MigrationOptions)
    keep_source: bool = False
    allow_restart: bool = False
    on_progress: Callable[[int, int], None] = _silent
    networks: NetworkTool = field(default_factory=NoNetworks)

    @property
    def _folder(self) -> str:
        return self.folders.vm(self.name)

    @contextmanager
    def destination(self) -> Iterator[Any]:
        """Give a connection to the destination that notices when the other end fails."""
        probe(self.address)
        with connection(self.address.uri) as there:
            with intent(f"watch the connection to {self.address.host}"):
                there.setKeepAlive(KEEP_ALIVE, MISSED)
            yield there

    def observe(self, there: Any) -> MigrationState:
        """Return both ends as they are."""
        journal = read_journal(self._folder)
        self._check_journal(journal)
        source = read_source(self.here, self.name, self.tool, self.folders, self.networks)
        with intent("read the names of the hosts"):
            here, other = self.here.getHostname(), there.getHostname()
        check_same(here, other, self.address.host)
        found = read_destination(there, self.address, self.name, source, self.folders, known=self.networks)
        return MigrationState(self.name, here, found, source, journal, self._files(source, journal))

    def _check_journal(self, journal: Journal | None) -> None:
        """Raise Conflict where another destination may have the VM; what only failed there does not bind a new destination."""
        if journal is not None and journal.destination != self.address.host and journal.phase != "failed":
            raise Conflict(
                f"destination: a migration of domain {self.name} to {journal.destination} began and did not end; run this with "
                f"destination {journal.destination} first, which finishes it or cleans up.",
                option="destination",
                value=self.address.host,
            )

    def _files(self, source: SourceVm | None, journal: Journal | None) -> tuple[str, ...]:
        """Return the files of the VM that are here: those of its disks, and the log of its console."""
        known = (*(source.paths if source else ()), *(journal.files if journal else ()), f"{self._folder}/console.log")
        return tuple(sorted(path for path in set(known) if os.path.exists(path)))  # noqa: PTH110 - kept as the texts that they are

    def run(self, check_mode: bool) -> tuple[Plan[MigrationState], dict[str, Any], dict[str, Any]]:
        """Return the plan, the VM after it (as predicted in check mode, as read back else), and what moved.

        No other task works on the VM of this host at the same time. The lock is waited for a minute at most, then Busy is raised.
        """
        lock = vm_lock(self.folders.lock(self.name), self.name, min(self.options.timeout, LONGEST_WAIT))
        with nullcontext() if check_mode else lock:
            if not check_mode:
                require_settled(self.here, self.name, self._folder)
                end_point(self.here, self.name)
            return self._run(check_mode)

    def _run(self, check_mode: bool) -> tuple[Plan[MigrationState], dict[str, Any], dict[str, Any]]:
        began_at = time.monotonic()
        refuse_incoming(self.name, self._folder)
        refuse_while_restoring(self.name, self._folder)
        with self.destination() as there:
            state = self.observe(there)
            if where(state) == MOVING:
                self._wait(state, check_mode)
                state = self.observe(there)
            plan = self._plan(state, check_mode)
            moved: dict[str, Any] = {}
            if check_mode:
                return plan, view(plan.after), moved
            if plan.changed or state.journal:
                moved = self._apply(plan, there)
            after = self.observe(there) if plan.changed else state
        moved |= {"seconds": round(time.monotonic() - began_at, 3)} if plan.changed else {}
        return plan, view(after), moved

    def _plan(self, state: MigrationState, check_mode: bool) -> Plan[MigrationState]:
        try:
            return plan_migration(state, self.keep_source, self.allow_restart)
        except EdgeError:
            if not check_mode and state.journal and state.source and where(state) == HERE:
                self._stay(state.journal)
            raise

    def _stay(self, journal: Journal) -> None:
        """Let the VM be used here again after a migration that cannot go on now, and whose guest never ran there."""
        write_journal(self._folder, replace(journal, phase="failed"))
        with intent(f"turn autostart of domain {self.name} on"):
            domain = lookup(self.here.lookupByName, self.name)
            if domain is not None and journal.autostart:
                domain.setAutostart(1)

    def _wait(self, state: MigrationState, check_mode: bool) -> None:
        """Wait for the migration that an earlier run began and did not see the end of."""
        if check_mode:
            raise on_its_way(state)
        with intent(f"look up domain {self.name}"):
            domain = lookup(self.here.lookupByName, self.name)
        if domain is not None:
            Job(domain, self.options, self.on_progress).wait()

    def _apply(self, plan: Plan[MigrationState], there: Any) -> dict[str, Any]:
        state = plan.before
        volumes = Volumes(there, self.address.host)
        journal = self._journal(state)
        mover = MigratingVm(
            self.here, there, self.name, self._folder, self.address, volumes, self.options, self.on_progress, journal,
            self.tool.removed, state.source, leases=self._leases(state.source),
        )  # fmt: skip
        if plan.changed and where(state) != THERE:
            mover.write(journal)
        try:
            execute(plan, mover.apply)
        except EdgeError as error:
            if doubt := self._give_up(mover):
                error.message = f"{error.message} {doubt}"
                error.args = (error.message,)
            error.details.setdefault("migration", mover.moved)
            raise
        mover.end()
        volumes.close(self._folder)
        return mover.moved

    def _leases(self, source: SourceVm | None) -> dict[str, bytes]:
        """Return the leases of the VM's images for the destination, which makes the disks without knowing of ours."""
        disks = [disk for disk in source.disks if disk.image and disk.overlays] if source else []
        return dict(self.tool.lease(disk.overlays[-1].path, str(disk.image)) for disk in disks)

    def _journal(self, state: MigrationState) -> Journal:
        """Return the journal to go on with: the one that is there while it holds, else a new one that remembers leftovers."""
        journal, source = state.journal, state.source
        if source is None or (journal is not None and journal.phase != "failed"):
            if journal is None:
                raise Conflict(
                    f"name: domain {self.name} is not on this host, and no migration of it began here.",
                    option="name",
                    value=self.name,
                )
            return journal
        new = began(state, source)
        if journal is None or journal.destination != self.address.host:
            return new
        return new.with_made(journal.made)

    def _give_up(self, mover: MigratingVm) -> str:
        """Leave the VM as it was after a failure, which is what is reported; return what to do where that cannot be."""
        try:
            return mover.give_up()
        except EdgeError as error:
            mover.moved["warnings"].append(error.message)
            return ""
