# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disks are in a VM's recovery points, which are left out, and what lets a point be refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders, VolumeFile
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Disk, NetworkSource
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.choose import Choice, DiskFiles, PointDisk, choose
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy, Refused

FOLDERS = Folders()
HOME, IMAGE = "/var/lib/edge/vms/web", f"/var/lib/edge/images/{'ab' * 32}.qcow2"
ROOT = Disk("root", f"{HOME}/root.qcow2", "qcow2", "vda", "virtio")
OVERLAY = DiskFiles(ROOT, (VolumeFile(ROOT.path, "qcow2", 100, IMAGE),))
OWN = DiskFiles(
    replace(ROOT, name="data", path=f"{HOME}/data.qcow2", target="vdb"), (VolumeFile(f"{HOME}/data.qcow2", "qcow2", 50),)
)


def test_overlays_on_images_and_disks_of_their_own_are_in() -> None:
    snapshot = f"{HOME}/root.before.qcow2"
    files = (VolumeFile(snapshot, "qcow2", 120, ROOT.path), *OVERLAY.files)
    with_snapshot = DiskFiles(replace(ROOT, overlay=snapshot), files)
    digest = "sha256:" + "ab" * 32
    assert choose("web", [with_snapshot, OWN], FOLDERS) == Choice(
        (
            PointDisk("vda", snapshot, digest, 120, ROOT.path),
            PointDisk("vdb", f"{HOME}/data.qcow2", None, 50, f"{HOME}/data.qcow2"),
        )
    )


@pytest.mark.parametrize(
    ("disk", "reason"),
    [
        (replace(ROOT, device="cdrom"), "removable"),
        (replace(ROOT, read_only=True), "cannot write"),
        (replace(ROOT, path="", source=NetworkSource("rbd", "pool/disk")), "network store \\(rbd\\)"),
        (replace(ROOT, target="vdz"), "shared with other VMs"),
    ],
)
def test_what_no_point_needs_is_left_out_and_said(disk: Disk, reason: str) -> None:
    found = choose("web", [DiskFiles(disk), OWN], FOLDERS, {"vdz"})
    assert [one.target for one in found.disks] == ["vdb"]
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.left_out)


@pytest.mark.parametrize(
    ("files", "error", "reason"),
    [
        ((VolumeFile(ROOT.path, "raw", 1),), Refused, "is raw, which notes no changes"),
        ((VolumeFile("/srv/root.qcow2", "qcow2", 1),), Refused, "was given by its path"),
        ((VolumeFile(ROOT.path, "qcow2", 1, IMAGE, encrypted=True),), Refused, "in the clear"),
        ((VolumeFile(ROOT.path, "qcow2", 1, "/srv/base.qcow2"),), Refused, "not an image of the host cache"),
        ((VolumeFile(ROOT.path, "qcow2", 1, "nbd://replica.example/x"),), Busy, "still on its way"),
        ((), Refused, "others attached it"),
    ],
)
def test_a_vm_that_would_come_back_without_a_disk_has_no_points(files: tuple[VolumeFile, ...], error: Any, reason: str) -> None:
    with pytest.raises(error, match=reason):
        choose("web", [DiskFiles(ROOT, files), OWN], FOLDERS)


def test_a_vm_without_a_disk_to_keep_is_refused() -> None:
    with pytest.raises(Refused, match="no disk that a recovery point could have"):
        choose("web", [DiskFiles(replace(ROOT, read_only=True))], FOLDERS)
