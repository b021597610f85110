# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe, plan, apply and report what is done to one disk of a VM as a whole: what the module ``domain_disk`` runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from ..._errors import Busy, Corrupt, InvalidInput, Unsupported
from ..._files import fsync
from ..._libvirt import intent
from ..._plan import Plan, execute
from ..host.at_rest import refuse_saved, refuse_unsettled
from ..host.migration_mark import refuse_while_migrating
from ..job.backup_job import PushBackup
from ..job.block_job import JobLimits, pull_live
from ..job.ended import ended_lock
from ..lazy.plan import is_arriving
from ..model.host_facts import Folders, VolumeFile
from ..model.image_tools import DiskTool
from ..options.values import check_name
from ..snapshot.apply import SnapshotGuest
from ..snapshot.observe import quiesce_of, read_snapshots
from ..snapshot.state import SnapshotState
from .export import Export, ExportState, export_view, plan_export
from .flatten import Flatten, chain_view, own_files, plan_flatten, require_disk

Report: TypeAlias = tuple[Plan[Any], Callable[[Any], Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class DiskRequest:
    """What is asked of a disk: ``state`` flattened, as far as ``depth``, or exported, to the file ``dest``."""

    state: str
    depth: str = "image"
    dest: str = ""
    compress: bool = False
    quiesce: str = "auto"


class DiskGuest(SnapshotGuest):
    """Applies the steps of snapshots, and those that flatten a disk."""

    def apply(self, step: Any) -> None:
        """Do one step."""
        if not isinstance(step, Flatten):
            super().apply(step)
            return
        domain = self._domain()
        with intent(f"read domain {self.state.name}"):
            running = bool(domain.isActive())
        if running:
            pull_live(self.connection, domain, self._target(step.disk), self.limits)
            fsync(Path(step.path))
        else:
            self.tool.flatten(step.path)
        self.state = step.predict(self.state)


@dataclass(frozen=True)
class Disks:
    """One disk of one domain, on one connection; ``limits`` bound every job."""

    connection: Any
    tool: DiskTool
    folders: Folders
    domain: str
    disk: str
    limits: JobLimits

    def run(self, request: DiskRequest, check_mode: bool) -> Report:
        """Return the plan, what its diff is made of, and the result: as predicted in check mode, as read back else."""
        do = {"flattened": self._flatten, "exported": self._export}[request.state]
        name = check_name(self.domain)
        if check_mode or not Path(self.folders.vm(name)).is_dir():
            return do(request, True)
        with ended_lock(self.connection, self.folders, name, self.limits.timeout):
            return do(request, False)

    @property
    def _marker(self) -> Path:
        return Path(self.folders.frozen(self.domain))

    def _read(self) -> SnapshotState:
        state = read_snapshots(self.connection, self.domain, self.tool, self.folders)
        refuse_while_migrating(self.domain, state.home, state.run)
        refuse_saved(self.domain, state.run)
        refuse_unsettled(self.domain, state.condition)
        disk = require_disk(state, self.disk)
        if is_arriving(disk.active):
            raise Busy(
                f"disk: the image of disk {disk.name} of {state.name} is still on its way; run edge.cloud.domain again once it "
                "is here.",
                option="disk",
                value=disk.name,
            )
        return state

    def _flatten(self, request: DiskRequest, check_mode: bool) -> Report:
        state, alone = self._read(), request.depth == "all"
        files = own_files(state, require_disk(state, self.disk))
        users = {one.path: sorted(self.tool.users(one.path)) for one in files} if len(files) > 1 else {}
        plan = plan_flatten(state, self.disk, alone=alone, users=users)
        if any(isinstance(step, Flatten) for step in plan.steps):
            self._require_room(files[-1], str(PurePosixPath(files[-1].path).parent))
        if not check_mode and plan.changed:
            execute(plan, DiskGuest(self.connection, state, self.tool, self.limits, self._marker).apply)
        after = self._read() if plan.changed and not check_mode else plan.after
        return plan, lambda one: chain_view(one, self.disk), self._described(after)

    def _export(self, request: DiskRequest, check_mode: bool) -> Report:
        dest = self._dest(request.dest)
        state = self._read()
        disk = require_disk(state, self.disk)
        source = next(one for one in state.files if one.path == disk.active)
        wanted = Export(state.name, disk.name, disk.target, source, dest, state.run != "stopped", compress=request.compress)
        before = ExportState(dest, self._found(dest) if Path(dest).exists() else None)
        plan = plan_export(before, wanted)
        copied = {}
        if plan.changed:
            self._require_room(source, str(PurePosixPath(dest).parent))
            wanted = replace(wanted, quiesce=quiesce_of(self.connection, state, request.quiesce))
            plan = plan_export(before, wanted)
            copied = {"quiesced": wanted.quiesce != "never" if check_mode else self._copy(wanted)}
        return plan, export_view, {**self._described(state), "exported": {**export_view(plan.after), **copied}}

    def _found(self, dest: str) -> VolumeFile:
        """Return what is at the place of the copy; what is not qcow2 is some other file."""
        try:
            return self.tool.info(dest, "qcow2")
        except (Corrupt, Unsupported):
            return self.tool.info(dest, "raw")

    def _dest(self, path: str) -> str:
        """Return where the copy goes; raise InvalidInput where it could be taken for one of our disks or images."""
        place = PurePosixPath(path)
        homes = (self.folders.vms, self.folders.images)
        if not place.is_absolute() or ".." in place.parts or place.suffix != ".qcow2":
            raise InvalidInput(f"dest: {path!r} must be an absolute path that ends in .qcow2.", option="dest", value=path)
        if any(place.is_relative_to(home) for home in homes):
            raise InvalidInput(
                f"dest: {path} is in a folder of VMs or images ({', '.join(homes)}); name another.", option="dest", value=path
            )
        return path

    def _copy(self, step: Export) -> bool:
        """Do the step; return whether the guest's file systems were frozen for it."""
        with self.tool.exporting(step.dest, step.compress) as work:
            if not step.live:
                self.tool.convert(step.source.path, step.source.format, work)
                return False
            with intent(f"look up domain {step.domain}"):
                domain = self.connection.lookupByName(step.domain)
            made = self.tool.empty_copy(work, step.source.size, self._needed(step.source))
            return PushBackup(self.connection, domain, self._marker, self.limits).copy(step.target, work, step.quiesce, made)

    def _require_room(self, top: VolumeFile, folder: str) -> None:
        """Raise NoSpace where what the disk has may not fit into a folder."""
        self.tool.require_room(folder, self._needed(top), f"A whole copy of disk {self.disk}")

    def _needed(self, top: VolumeFile) -> int:
        """Return the bytes that a whole copy of the disk can take."""
        return min(sum(overlay.allocated or 0 for overlay in self.tool.chain(top.path, top.format)), top.size)

    def _described(self, state: SnapshotState) -> dict[str, Any]:
        disk = require_disk(state, self.disk)
        found = {"domain": state.name, "name": disk.name, "target": disk.target, "active": disk.active}
        return {**found, **chain_view(state, disk.name)}
