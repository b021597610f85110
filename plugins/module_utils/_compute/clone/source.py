# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the VM that is to be cloned: which of its disks are copied, and which cannot be."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..._errors import EdgeError
from ..host.kinds import kind_of
from ..model.host_facts import ChainFile, Folders
from ..model.overlays import made_path
from ..model.spec import Disk
from ..model.state import VmState
from ..options.values import DEVICE_NAME
from .model import DiskCopy
from .tool import CloneTool

FORMATS = ("qcow2", "raw")


@dataclass
class Disks:
    """Finds the copies to make of a VM's disks, and gathers in ``obstacles`` why it cannot be cloned."""

    tool: CloneTool
    folders: Folders
    state: VmState
    new: str
    shared: Collection[str] = ()
    obstacles: list[str] = field(default_factory=list)

    def read(self) -> list[DiskCopy]:
        """Return the copies, in the order of the disks."""
        home, seeds = self.folders.vm(self.state.name), (self.folders.seed(self.state.name), self.folders.context(self.state.name))
        copies: list[DiskCopy] = []
        for disk in self.state.disks:
            if not (disk.active or disk.source or disk.other) or disk.active in seeds:
                continue
            outside = str(PurePosixPath(disk.active).parent) != home
            if disk.active and not disk.block and outside and (disk.read_only or disk.device == "cdrom"):
                continue  # an ISO file, which both have
            if why := self._obstacle(disk):
                self.obstacles.append(f"its disk {disk.name} ({disk.target}) {why}")
            elif copy := self._copy(disk, {one.name for one in copies}):
                copies.append(copy)
        return copies

    def _obstacle(self, disk: Disk) -> str | None:
        if disk.source or disk.other or disk.active_block:
            what = disk.source.protocol if disk.source else disk.other or f"the block device {disk.active}"
            return f"is not a file of this host ({what}), which only one domain can write; take it out first"
        if disk.remote:
            return "still reads its image from a replica; run edge.cloud.domain again once the image is here"
        if disk.target in self.shared:
            return "is shared with other domains (shareable); take it out first"
        if disk.active_format not in FORMATS:
            return f"has the format {disk.active_format}; only {' and '.join(FORMATS)} are copied"
        kind = kind_of(disk.active)
        return None if kind == "file" else f"is {disk.active}, which is {'missing' if kind is None else f'a {kind}'}"

    def _copy(self, disk: Disk, taken: Collection[str]) -> DiskCopy | None:
        chain = self.tool.chain(disk.active, disk.active_format)
        lost = [one.path for one in chain if one.size is None]
        if lost:
            self.obstacles.append(f"its disk {disk.name} ({disk.target}) needs {lost[0]}, which cannot be read")
            return None
        try:
            if disk.active_format == "qcow2":
                self.tool.require_formats(disk.active)
            for one in chain:
                self.tool.require_own_data(one.path, one.format or "raw")
        except EdgeError as error:
            self.obstacles.append(error.message)
            return None
        return self._copy_of(disk, chain, next(self._names(disk, taken)))

    def _copy_of(self, disk: Disk, chain: list[ChainFile], name: str) -> DiskCopy:
        images = [one.path for one in chain if str(PurePosixPath(one.path).parent) == self.folders.images]
        image = images[0] if len(chain) == 2 and images == [chain[1].path] else None
        flat, size = len(chain) > 1 and image is None, chain[0].size or 0
        allocated = sum(one.allocated or 0 for one in (chain if flat else chain[:1]))
        form = "qcow2" if flat else disk.active_format
        path = made_path(self.folders.vm(self.new), name, form)
        own = tuple(one.path for one in chain if one.path not in images)
        return DiskCopy(
            disk.target, name, own, disk.active, disk.active_format, path, size, min(allocated, size) if flat else allocated,
            image, flat,
        )  # fmt: skip

    def _names(self, disk: Disk, taken: Collection[str]) -> Iterator[str]:
        """Yield names for the copy of a disk: its own, or that of its target, and numbered ones where another has it."""
        ours = {one.name for one in self.state.config.disks} if self.state.config else set()
        first = disk.name if DEVICE_NAME.fullmatch(disk.name) else disk.target
        used = set(taken) | (ours - {disk.name} if disk.name in ours else ours)
        yield from (one for one in (first, *(f"{first}-{number}" for number in range(2, 100))) if one not in used)


def files_in(home: str) -> list[str]:
    """Return what is in the folder of a VM, the names of files that programs hide too."""
    folder = Path(home)
    return sorted(str(path) for path in folder.iterdir()) if folder.is_dir() else []
