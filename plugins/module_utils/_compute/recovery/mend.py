# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings libvirt's checkpoints, QEMU's bitmaps and the journal together, and says whether the bitmaps can be believed.

At most the checkpoint of the last point stays, and its bitmaps; what an interrupted point, a redefined domain or a killed QEMU left
is removed. Only names that begin as ours do are touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..._errors import EdgeError
from ..model.image_tools import PointTool
from . import journal as journals
from .checkpoints import PREFIX, Checkpoints
from .choose import PointDisk
from .journal import Journal
from .observe import PointVm
from .publish import drop_unfinished, settle

BELIEVED = ""


def mend(vm: PointVm, home: Path, tool: PointTool) -> Journal:
    """Return the journal, with an interrupted point finished or undone and nothing of ours left but the last checkpoint."""
    before = journals.read(home)
    journal = settle(home, before)
    drop_unfinished(home)
    points, keep = Checkpoints(vm.domain), journal.checkpoint
    targets = [disk.target for disk in vm.choice.disks]
    for name in points.names():
        if name != keep:
            points.forget(name)
    for disk in vm.choice.disks:
        for name in _bitmaps(tool, disk.active):
            if name != keep and name.startswith(PREFIX):
                _drop_bitmap(vm, tool, (disk.target, disk.active), name)
    if keep and keep not in points.names():
        points.define(keep, targets)
    if journal.begun:
        journal = replace(journal, begun=None)
        journals.write(home, journal)
    return journal


def _bitmaps(tool: PointTool, path: str) -> Mapping[str, bool]:
    with suppress(EdgeError):  # a guest writes the file just now: what is left is removed at the next point
        return tool.bitmaps(path)
    return {}


def _drop_bitmap(vm: PointVm, tool: PointTool, disk: tuple[str, str], name: str) -> None:
    """Remove a bitmap that no checkpoint has; QEMU's own is removed by a checkpoint that is made for it."""
    target, path = disk
    if not vm.active:
        tool.remove_bitmap(path, name)
        return
    points = Checkpoints(vm.domain)
    points.define(name, [target])
    points.forget(name)


def distrust(vm: PointVm, journal: Journal, tool: PointTool) -> str:
    """Return why what the last checkpoint's bitmaps have noted cannot be all that changed since, ``BELIEVED`` where it is."""
    if journal.checkpoint is None:
        return "there is no point or checkpoint before it on this host"
    noted: Mapping[str, int] = Checkpoints(vm.domain).noted(journal.checkpoint) if vm.active else {}
    for disk in vm.choice.disks:
        had = journal.last.disk(disk.target) if journal.last else None
        sound = disk.target in noted if vm.active else _bitmaps(tool, disk.active).get(journal.checkpoint, False)
        if journal.last and had is None:
            return f"disk {disk.target} was not in the last point"
        if had and (had.image != disk.image or had.virtual_size > disk.size):
            return f"disk {disk.target} stands on another image or is smaller than at the last point"
        if other := _another_file(disk, journal):
            return other
        if not sound:
            return (
                f"the dirty bitmap of disk {disk.target} is lost, as after a QEMU that was killed or a snapshot that was reverted"
            )
    return BELIEVED


def _another_file(disk: PointDisk, journal: Journal) -> str:
    """Return how the files of a disk are not those of the last point: a bitmap of that name may be of another disk or time."""
    path, inode, whose = journal.files.get(disk.target, (disk.active, 0, disk.path))
    if whose != disk.path:
        return f"disk {disk.target} is {disk.path} now, and was {whose} at the last point"
    if inode and path == disk.active and inode != Path(path).stat().st_ino:
        return f"{path} is another file than at the last point"
    return BELIEVED


def give_up(vm: PointVm, home: Path, tool: PointTool, journal: Journal) -> Journal:
    """Return the journal without the last checkpoint, whose bitmaps are removed; the points stay."""
    after = replace(journal, checkpoint=None)
    journals.write(home, after)
    return mend(vm, home, tool) if journal.checkpoint else after
