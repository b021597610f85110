# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a recovery point of a VM: all disks at one instant, what changed since the last point, in a folder that replicas take.

A running guest's disks are copied by libvirt's backup job, those of a stopped one by qemu-storage-daemon, both by the bitmaps of
the last checkpoint. Where these cannot be believed, the point has all in which the disks differ from their images: the disks are
read through a view at the instant and compared. The lock of the VM is held to begin and to end, not while bytes are copied: who
takes it then ends the copy (``job/point_job``), which raises Busy here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..._errors import Busy, EdgeError, NoSpace, NotFound, Refused
from ..._files import locked
from ..._generation import Disk, File, Generation, Vm
from ..._libvirt import intent, lookup
from ..._sizes import MIB
from ..host.at_rest import at_rest
from ..job.block_job import JobLimits
from ..job.ended import settled_lock
from ..model.host_facts import Folders
from ..model.image_tools import PointTool
from ..model.recovery_policy import RecoveryPolicy
from ..options.values import check_name
from . import journal as journals
from .backup import PointBackup, ahead_guard, room_guard
from .checkpoints import Checkpoints, new_name
from .choose import PointDisk
from .mend import BELIEVED, distrust, give_up, mend
from .observe import PointVm, observe
from .publish import are_copied, copied, drop_unfinished, empty_work_folder, make_folder, newest_number, publish, settled

SLACK = 64 * MIB  # a delta's own tables, and what the guest writes until the instant
TIDY_SECONDS = 30.0
LONGEST = 1000  # deltas in a document
QUIESCE = {"never": "never", "try": "auto", "required": "required"}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def files_of(vm: PointVm) -> journals.Files:
    """Return the active file of each disk, its inode, and the file by which the VM has the disk."""
    return {disk.target: (disk.active, Path(disk.active).stat().st_ino, disk.path) for disk in vm.choice.disks}


@dataclass(frozen=True)
class PointOrder:
    """What is asked: ``policy`` None is that of the VM's record.

    ``after`` is the newest number that any replica has, 0 for none.
    ``final``: the VM was stopped cleanly and does not run here again in this epoch.
    """

    policy: RecoveryPolicy | None = None
    epoch: int = 0
    after: int = 0
    final: bool = False
    limits: JobLimits = field(default_factory=lambda: JobLimits(3600))


@dataclass(frozen=True)
class PointMade:
    """What was made: ``folder`` None where nothing changed since ``generation``.

    ``whole`` says why the point has all that is above the images, empty for one that has what changed since the last.
    """

    generation: Generation
    folder: Path | None
    whole: str = ""
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Points:
    """The recovery points of VMs of one host, below ``root``; ``sockets`` is where libvirt has a folder for each guest."""

    connection: Any
    tool: PointTool
    folders: Folders
    root: Path = Path("/var/lib/edge/recovery")
    sockets: Path = Path("/var/lib/libvirt/qemu")
    tpms: Path = Path("/var/lib/libvirt/swtpm")
    now: Callable[[], str] = _now

    def home(self, uuid: str) -> Path:
        """Return the folder of a VM's points that no replica has taken yet."""
        return self.root / "outgoing" / uuid

    def make(self, name: str, order: PointOrder) -> PointMade:
        """Make a point; raise Busy where another task works on the VM or takes it over, Refused where none can be whole.

        Whatever is raised, the guest runs on, the points before stay, and the next call begins where this one was.
        """
        uuid, home = self._prepared(name)
        with self._lock(name), ExitStack() as stack:
            with settled_lock(self.connection, self.folders, name, 0):
                making = _Making(self, self._observe(name, uuid), order, home)
                finish = making.begin(stack) if making.vm.active else making.at_rest
                if not making.vm.active:
                    return finish()
            try:
                return finish()
            finally:
                self._tidy(name, uuid)

    def born(self, name: str) -> None:
        """Let the disks of a VM that was never started note what is written to them, so that its first point is small.

        The caller holds the lock of the VM. A disk that has data already, or a VM that has points, is left as it is.
        """
        uuid, home = self._prepared(name)
        with self._lock(name):
            journal = journals.read(home)
            if journal.checkpoint or journal.last or journal.ready:
                return
            vm = self._observe(name, uuid)
            journal = mend(vm, home, self.tool)
            if vm.active or any(self.tool.has_data(one.active) for one in vm.choice.disks):
                return
            new = new_name()
            for disk in vm.choice.disks:
                self.tool.add_bitmap(disk.active, new)
            journals.write(home, replace(journal, checkpoint=new, files=files_of(vm)))
            Checkpoints(vm.domain).define(new, [disk.target for disk in vm.choice.disks])

    def _prepared(self, name: str) -> tuple[str, Path]:
        """Return the UUID of a VM and the folder of its points, which is there."""
        uuid = self._uuid(name)
        home = self.home(uuid)
        for folder in (self.root, home.parent, home):
            make_folder(folder)
        return uuid, home

    def _lock(self, name: str) -> AbstractContextManager[None]:
        return locked(Path(self.folders.point(name)), wait=False, make_folder=True)

    def _uuid(self, name: str) -> str:
        with intent(f"look up domain {check_name(name)}"):
            domain = lookup(self.connection.lookupByName, name)
        if domain is None:
            raise NotFound(f"name: this host has no domain {name}.", option="name", value=name)
        return str(domain.UUIDString())

    def _observe(self, name: str, uuid: str) -> PointVm:
        vm = observe(self.connection, name, self.tool, self.folders)
        if vm.uuid != uuid:
            raise Busy(f"name: another domain has the name {name} now; run again.", option="name", value=name)
        return vm

    def _tidy(self, name: str, uuid: str) -> None:
        """Remove the checkpoint before the last, or the one of a point that failed; the next point does what cannot be done now."""
        with suppress(EdgeError, OSError):  # such as a disk that is full, of which the point's own error tells
            drop_unfinished(self.home(uuid))
        with suppress(EdgeError, OSError), settled_lock(self.connection, self.folders, name, TIDY_SECONDS):
            mend(self._observe(name, uuid), self.home(uuid), self.tool)


def _too_long(journal: journals.Journal) -> str:
    """Return why the next point is a whole one where a chain of deltas would be longer than a document should be."""
    longest = max((len(disk.chain) for disk in journal.last.disks), default=0) if journal.last else 0
    return f"{longest} deltas stand on the last whole point, and a chain begins again then" if longest >= LONGEST else BELIEVED


class _Making:
    """One point of one VM."""

    def __init__(self, points: Points, vm: PointVm, order: PointOrder, home: Path) -> None:
        self.points, self.vm, self.order, self.home, self.tool = points, vm, order, home, points.tool
        record = vm.state.record
        self.policy = order.policy or (record.recovery if record else None) or RecoveryPolicy()
        self.journal = mend(vm, home, self.tool)
        self.whole = distrust(vm, self.journal, self.tool) or _too_long(self.journal)
        if self.whole != BELIEVED:
            self.journal = give_up(vm, home, self.tool, self.journal)
        last = self.journal.last
        if last and last.epoch > order.epoch:
            raise Refused(
                f"epoch: {vm.state.name} has a point of epoch {last.epoch} on this host, and one of the older epoch {order.epoch} "
                "was asked for: the VM runs elsewhere now, or a wrong epoch was given.",
                option="epoch",
                value=order.epoch,
            )
        self.previous = last.number if last else None
        self.number = max(self.previous or 0, order.after, newest_number(home)) + 1
        if order.after > (self.previous or 0):  # points that this host knows nothing of
            self.whole = self.whole or "replicas have a newer point, which this host did not make"
        self._files = files_of(vm)
        self.name, self.new, self.instant, self.quiesced = f"{order.epoch}.{self.number}", new_name(), points.now(), False

    @property
    def _disks(self) -> tuple[PointDisk, ...]:
        return self.vm.choice.disks

    def _prepare(self, needed: int) -> Path:
        """Make the folder for the point, and note its checkpoint in the journal before libvirt has it."""
        budget = self.policy.budget
        held = sum(file.stat().st_size for file in self.home.rglob("*") if file.is_file())
        if budget is not None and held + needed > budget:
            raise NoSpace(
                f"recovery.budget: points of {self.vm.state.name} that no replica has taken have {held} bytes, and the next needs "
                f"{needed}; the budget is {budget}. See why replicas do not take them, or raise it.",
                option="recovery.budget",
                path=str(self.home),
                needed=needed,
            )
        work = empty_work_folder(self.home, self.name)
        self.journal = replace(self.journal, begun=self.new, ready=None)
        journals.write(self.home, self.journal)
        return work

    def begin(self, stack: ExitStack) -> Callable[[], PointMade]:
        """Begin a point of a running guest; what is returned waits for its end and publishes it."""
        limits, marker = self.order.limits, Path(self.points.folders.frozen(self.vm.state.name))
        guard = room_guard(self.home, self.vm.state.name)
        backup = PointBackup(self.points.connection, self.vm.domain, marker, limits, guard=guard)
        waiter = stack.enter_context(backup.heard())
        quiesce = QUIESCE[self.policy.quiesce]
        guard()
        if self.whole:
            work = self._prepare(0)
            socket = self._socket(work)
            scratch = {disk.target: work / f"{disk.target}.scratch" for disk in self._disks}
            for disk in self._disks:
                stack.enter_context(self.tool.empty_delta(str(scratch[disk.target]), disk.size, 0))
            backup.guard = ahead_guard(guard, {scratch[disk.target]: disk.size for disk in self._disks})
            backup.guard()
            self.instant = self.points.now()
            self.quiesced = backup.begin_view(scratch, socket, self.new, quiesce)
            return lambda: self._finish(lambda: backup.view(waiter, lambda: self._compare_view(work, socket)), work)
        noted = Checkpoints(self.vm.domain).noted(str(self.journal.checkpoint))
        work = self._prepare(sum(noted.values()))
        files = {disk.target: work / f"{disk.target}.delta" for disk in self._disks}
        for disk in self._disks:
            stack.enter_context(self.tool.empty_delta(str(files[disk.target]), disk.size, noted[disk.target] + SLACK))
        self.instant = self.points.now()
        self.quiesced = backup.begin_changes(files, str(self.journal.checkpoint), self.new, quiesce)
        return lambda: self._finish(lambda: backup.wait(waiter), work)

    def _socket(self, work: Path) -> Path:
        """Return a path where QEMU, which is not root, can make a socket: in the folder that libvirt made for it."""
        folders = [path for path in self.points.sockets.glob(f"domain-{self.vm.domain.ID()}-*") if path.is_dir()]
        path = (folders[0] if folders else work) / "view.sock"
        path.unlink(missing_ok=True)
        return path

    def _compare_view(self, work: Path, socket: Path) -> None:
        for disk in self._disks:
            view = {"driver": "nbd", "server": {"type": "unix", "path": str(socket)}, "export": disk.target}
            delta = str(work / f"{disk.target}.delta")
            self.tool.compare_disk(delta, disk.size, {"driver": "raw", "file": view}, disk.image)

    def _finish(self, copy: Callable[[], None], work: Path) -> PointMade:
        copy()
        for path in (*work.glob("*.scratch"), *work.glob("*.sock")):
            path.unlink(missing_ok=True)
        return self._publish(work)

    def at_rest(self) -> PointMade:
        """Make a point of a stopped VM, whose lock is held."""
        guard = room_guard(self.home, self.vm.state.name)
        guard()
        if self.whole:
            made = self._whole_at_rest()
        else:
            noted = {one.target: self.tool.noted(one.active, str(self.journal.checkpoint)) or 0 for one in self._disks}
            last = self.journal.last
            if last and not any(noted.values()) and self._is_still(last):
                return PointMade(last, None, left_out=self.vm.choice.left_out)
            made = self._changes_at_rest(noted)
        mend(self.vm, self.home, self.tool)
        return made

    def _is_still(self, last: Generation) -> bool:
        """Return whether a point has all of the VM but what its disks have: another record, size or NVRAM is a change too."""
        disks = [(disk.target, disk.image, disk.size) for disk in self._disks]
        return (
            (last.epoch, last.vm.name) == (self.order.epoch, self.vm.state.name)
            and last.final >= self.order.final
            and [(disk.target, disk.image, disk.virtual_size) for disk in last.disks] == disks
            and last.spec == self._record()
            and are_copied(self._small_files(), last.files)
        )

    def _record(self) -> dict[str, Any]:
        record = self.vm.state.record
        return dict(json.loads(record.to_json())) if record else {}

    def _changes_at_rest(self, noted: Mapping[str, int]) -> PointMade:
        work = self._prepare(sum(noted.values()))
        paths = {disk.active: str(work / f"{disk.target}.delta") for disk in self._disks}
        with ExitStack() as stack:
            for disk in self._disks:
                stack.enter_context(self.tool.empty_delta(paths[disk.active], disk.size, noted[disk.target] + SLACK))
            self.instant = self.points.now()
            self.tool.copy_noted(paths, str(self.journal.checkpoint), self.new)
        return self._publish(work)

    def _whole_at_rest(self) -> PointMade:
        work = self._prepare(0)
        for disk in self._disks:
            self.tool.add_bitmap(disk.active, self.new)
        with at_rest(self.vm.domain, [disk.active for disk in self._disks], saved=True):
            self.instant = self.points.now()
            for disk in self._disks:
                self.tool.compare_disk(str(work / f"{disk.target}.delta"), disk.size, disk.active, disk.image)
        return self._publish(work)

    def _publish(self, work: Path) -> PointMade:
        """Verify the files, write the document and let the point appear."""
        disks = []
        for disk in self._disks:
            path = work / f"{disk.target}.delta"
            self.tool.require_delta(str(path), disk.size)
            disks.append(self._disk(disk, settled(path)))
        generation = Generation(
            vm=Vm(self.vm.state.name, self.vm.uuid),
            epoch=self.order.epoch,
            number=self.number,
            instant=self.instant,
            quiesced=self.quiesced,
            final=self.order.final and not self.vm.active,
            spec=self._record(),
            files=copied(self._small_files(), work),
            disks=tuple(disks),
            previous=self.previous,
        )
        journal = replace(self.journal, files=self._files)
        self.journal = publish(self.home, journal, generation)
        return PointMade(generation, self.home / self.name, self.whole, self.vm.choice.left_out)

    def _disk(self, disk: PointDisk, file: File) -> Disk:
        last = self.journal.last.disk(disk.target) if self.journal.last and not self.whole else None
        if last is None:
            return Disk(disk.target, disk.image, disk.size).begun_again(file, (1, self.number), disk.size)
        return last.followed_by(file, self.number, disk.size)

    def _small_files(self) -> dict[str, Path]:
        """Return the files of the VM that are not disks: what its firmware, its TPM and cloud-init keep."""
        folders, name = self.points.folders, self.vm.state.name
        config = self.vm.state.config
        found = {"seed": Path(folders.seed(name)), "context": Path(folders.context(name))}
        if config and config.nvram:
            found["nvram"] = Path(config.nvram)
        if config and config.tpm:
            found["tpm"] = self.points.tpms / self.vm.uuid / "tpm2" / "tpm2-00.permall"
        return found
