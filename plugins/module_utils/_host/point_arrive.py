# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves VMs that began on a recovery point where that is onto disks of this host.

Each disk is restored beside the VM as ever, compared with the point. What the guest wrote since is then copied into it, while the
guest runs or while it is kept from starting. Until that, the VM's own file names the replica; after it, nothing does.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _files
from .._cluster import Cluster
from .._compute.host.at_rest import at_rest
from .._compute.host.observe import read_vm
from .._compute.job.ended import settled_lock
from .._compute.lazy.apply import ArrivalMover, stand_alone
from .._compute.lazy.plan import MoveDisk, is_arriving, own_path
from .._compute.model.host_facts import Folders
from .._compute.model.remote_image import from_url
from .._compute.model.spec import Disk
from .._compute.model.state import BUSY, CRASHED, ENDING, VmState
from .._disks.files import DiskFiles
from .._errors import Corrupt, EdgeError, NoSpace, NotFound, message_of
from .._generation import export_name, file_name
from .._image_lock import remove_images
from .._kept_points import KeptPoint, KeptPoints
from .._libvirt import intent
from .._points import DepotPoint, point_in_depot
from .._runner import Runner
from .._storage.format.qemu_img import QemuImg
from .._storage.recovery.layers import Base, Layers

RECOVERY = Path("/var/lib/edge/recovery")
FETCHED = "arriving-"  # begins the names of folders of what comes from replicas, one for each VM
FOLDER_MODE = 0o700


def waiting(state: VmState) -> dict[str, Disk]:
    """Return the disks of a VM that read a recovery point where it is, by the names of their exports."""
    found = {}
    for disk in state.config.disks if state.config else ():
        afar = from_url(disk.remote) if is_arriving(disk.active) else None
        if afar and afar.is_point:
            found[afar.export] = disk
    return found


def forget_fetched(root: Path, names: Iterable[str]) -> None:
    """Remove what was fetched for VMs that do not wait any more; ``names`` are those that do."""
    kept = {f"{FETCHED}{name}" for name in names}
    for folder in root.glob(f"{FETCHED}*"):
        if folder.name not in kept:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class PointArrivals:
    """The moves of the VMs of one hypervisor; ``timeout`` in seconds bounds each wait, ``root`` has what is fetched."""

    connection: Any
    cluster: Cluster
    folders: Folders
    runner: Runner
    timeout: float
    root: Path = RECOVERY

    @property
    def _tool(self) -> DiskFiles:
        return DiskFiles(self.runner, self.folders)

    def settle(self, state: VmState) -> list[str]:
        """Move the disks of a VM that wait; return what was done. Another run after a kill at any point does the rest."""
        if not waiting(state) or state.run == "saved" or state.condition in (BUSY, CRASHED, ENDING):
            return []
        with self._restored(state) as made, settled_lock(self.connection, self.folders, state.name, self.timeout):
            now = read_vm(self.connection, state.name, self._tool, self.folders)
            return [self._move(now, disk, made[export]) for export, disk in waiting(now).items() if export in made]

    @contextmanager
    def _restored(self, state: VmState) -> Iterator[dict[str, Path]]:
        """Give each disk that waits as it was at the point, by the name of its export; what is not used goes."""
        folder = Path(self.folders.vms, f".arriving-{state.name}")
        try:
            yield self._made(state, folder)
        finally:
            self._remove(folder)

    def _made(self, state: VmState, folder: Path) -> dict[str, Path]:
        """Restore the disks that wait into ``folder`` from the first copy of the point that is whole: others may be damaged."""
        uuid, name = self._origin(state)
        bad: list[str] = []
        for point in self._copies(state.name, uuid, name, bad):
            self._remove(folder)
            folder.mkdir(mode=FOLDER_MODE)
            try:
                return self._restore(point, state, folder)
            except NoSpace:
                raise
            except (EdgeError, OSError) as error:
                bad.append(message_of(error) if isinstance(point, KeptPoint) else f"this host: {message_of(error)}")
        raise EdgeError(
            f"No copy of the recovery point {name} of the VM {uuid} can be restored ({' '.join(bad)}). {state.name} goes on over "
            "the one that is exported: leave that exported until a replica has a whole copy.",
            vm=state.name,
        )

    def _restore(self, point: DepotPoint | KeptPoint, state: VmState, folder: Path) -> dict[str, Path]:
        generation, made = point.generation, {}
        with point.opened(folder / "point") as content:
            for disk in generation.disks:
                export = export_name(generation.vm.uuid, generation.name, disk.target)
                if export in waiting(state):
                    made[export] = folder / f"{disk.target}.qcow2"
                    content.write_disk(disk.target, made[export])
        return made

    def _remove(self, folder: Path) -> None:
        if folder.is_dir():
            paths = [str(path) for path in folder.glob("*.qcow2")]
            shutil.rmtree(folder)
            _files.fsync(folder.parent)
            self._tool.removed(paths)

    def _origin(self, state: VmState) -> tuple[str, str]:
        """Return the UUID and the name of the recovery point that the disks of a VM are from."""
        origin = state.record.restored_from if state.record else None
        uuid, _space, name = (origin or "").partition(" ")
        if not name:
            raise Corrupt(f"The record of domain {state.name} does not say from which recovery point its disks are.")
        return uuid, name

    def _copies(self, vm: str, uuid: str, name: str, bad: list[str]) -> Iterator[DepotPoint | KeptPoint]:
        """Yield a point where it is kept, this host first; why it is not to be had elsewhere is added to ``bad``."""
        images = Path(self.folders.images)
        with suppress(NotFound, Corrupt):
            yield point_in_depot(self.cluster.recovery.root, uuid, name, images, self.runner)
        try:
            yield KeptPoints(self.cluster, self.root / f"{FETCHED}{vm}", images, self.runner).find(uuid, name)
        except EdgeError as error:
            bad.append(error.message)

    def _move(self, state: VmState, disk: Disk, restored: Path) -> str:
        volumes = state.record.volumes if state.record else ()
        image = next((one.image for one in volumes if one.disk == disk.name), None) or ""
        backing = f"{self.folders.images}/{file_name(image)}.qcow2" if image else ""
        with intent(f"look up domain {state.name}"):
            domain = self.connection.lookupByName(state.name)
            live = bool(domain.isActive())
        step = MoveDisk(state.name, disk.name, str(disk.target), disk.active, own_path(disk.active), image, backing, live)

        def make(step: MoveDisk, size: int) -> None:
            self._put(restored, step, size)

        if live:
            size = self._tool.info(step.source, "qcow2").size
            ArrivalMover(self.connection, domain, self._tool, self.timeout, make).move(step, size)
            stand_alone(self.connection, domain, step.target, step.path)
        else:
            self._move_stopped(domain, step, restored)
        return f"Move disk {disk.name} of domain {state.name} from the recovery point onto {step.path}"

    def _put(self, restored: Path, step: MoveDisk, size: int) -> None:
        """Give the restored disk its place in the VM's folder, as long as the disk is now."""
        target = Path(step.path)
        _files.rename_new(restored, target)
        _files.fsync(target.parent)
        if step.image:
            self._tool.settle_lease(step.backing, str(restored), step.path)
        if size > self._tool.info(step.path, "qcow2").size:
            self._tool.grow(step.path, size)

    def _move_stopped(self, domain: Any, step: MoveDisk, restored: Path) -> None:
        with at_rest(domain, [step.source]):
            remove_images([step.path])  # of a run that was killed; the definition names another file
            self._put(restored, step, self._tool.info(step.source, "qcow2").size)
            Layers(QemuImg(self.runner)).fold([Path(step.source)], Path(step.path), Base(own=True))
            _files.fsync(Path(step.path))
            stand_alone(self.connection, domain, step.target, step.path)
