# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bitmaps of a VM at rest are believed only for the disk that they are of."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.state import VmState
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.choose import Choice, PointDisk
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.journal import Journal
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.mend import BELIEVED, distrust
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.observe import PointVm
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.point import files_of
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._generation import Disk, File, Generation, Vm
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner

MIB, KEEP = 2**20, "edge-point-a"
Disks = tuple[PointDisk, ...]


def exchanged(disks: Disks) -> Disks:
    one, other = disks
    return replace(other, target=one.target), replace(one, target=other.target)


def exchanged_below_snapshots(disks: Disks) -> Disks:
    """A snapshot of a running guest gives the overlay a bitmap of the same name."""
    above = []
    for disk in exchanged(disks):
        path = Path(disk.path).with_suffix(".before.qcow2")
        Path(disk.active).rename(path)
        Path(disk.active).write_bytes(path.read_bytes())
        above.append(replace(disk, active=str(path)))
    return tuple(above)


def snapshot(disks: Disks) -> Disks:
    path = Path(disks[0].path).with_suffix(".before.qcow2")
    path.write_bytes(Path(disks[0].path).read_bytes())
    return replace(disks[0], active=str(path)), disks[1]


@pytest.mark.parametrize(
    ("change", "believed"),
    [(lambda disks: disks, True), (snapshot, True), (exchanged, False), (exchanged_below_snapshots, False)],
)
def test_disks_that_were_exchanged_have_no_bitmaps_of_each_other(
    tmp_path: Path, change: Callable[[Disks], Disks], believed: bool
) -> None:
    tool = DiskFiles(SubprocessRunner(), Folders(str(tmp_path), str(tmp_path), str(tmp_path)))
    paths = [str(tmp_path / name) for name in ("one.qcow2", "other.qcow2")]
    for path in paths:
        tool.create_empty(path, MIB)
        tool.add_bitmap(path, KEEP)
    disks = tuple(PointDisk(target, path, None, MIB, path) for target, path in zip(("vda", "vdb"), paths, strict=True))
    vm = PointVm(VmState("web", None), None, str(uuid.uuid4()), False, Choice(disks))
    chains = tuple(Disk(disk.target, None, MIB).begun_again(File(f"sha256:{'0' * 64}", 1), (1, 1), MIB) for disk in disks)
    last = Generation(Vm("web", vm.uuid), 0, 1, "2026-01-01T00:00:00Z", False, False, {}, {}, chains)
    journal = Journal(KEEP, last, None, None, files_of(vm))
    reason = distrust(replace(vm, choice=Choice(change(disks))), journal, tool)
    assert (reason == BELIEVED) is believed, reason
