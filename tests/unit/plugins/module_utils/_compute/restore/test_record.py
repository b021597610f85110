# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record in a recovery point is another host's word: what it names leads nowhere but into the folder of the restored VM."""

from __future__ import annotations

import json

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Cpu, Disk, DomainSpec, NetworkSource, Record
from ansible_collections.edge.cloud.plugins.module_utils._compute.restore.record import Target, names_of, record_of, restored_record
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt
from ansible_collections.edge.cloud.plugins.module_utils._generation import Disk as PointDisk
from ansible_collections.edge.cloud.plugins.module_utils._generation import File, Generation, Vm
from ansible_collections.edge.cloud.plugins.module_utils._sizes import GIB

UUID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
FOLDERS = Folders("/vms", "/images", "/locks", "/recovery")


def generation(disk: Disk) -> Generation:
    point = PointDisk(disk.target, None, GIB).begun_again(File("sha256:" + "ab" * 32, 1), (1, 1), GIB)
    record = Record(DomainSpec("web", UUID, "qemu", "x86_64", "pc-q35-7.2", GIB, 1, Cpu("custom", "qemu64"), disks=(disk,)))
    return Generation(Vm("web", UUID), 0, 1, "2026-01-01T00:00:00Z", True, False, json.loads(record.to_json()), {}, (point,))


@pytest.mark.parametrize("name", ["../db/root", "root/../../db/root", "/etc/cron.d/x", "Root", "a" * 30, ".", ""])
def test_a_name_that_no_user_could_give_a_disk_is_no_path(name: str) -> None:
    point = generation(Disk(name, "/vms/web/x.qcow2", "qcow2", "vda", "virtio"))
    record = record_of(point)
    (copy,) = names_of(point, record, FOLDERS, Target("web", UUID, "/vms/web")).disks.values()
    assert copy.path == "/vms/web/vda.qcow2"


def test_a_disk_of_the_point_is_a_file_and_nothing_else() -> None:
    far = Disk("root", "/vms/web/x.qcow2", "qcow2", "vda", "virtio", source=NetworkSource("rbd", "pool/db"), other="a volume")
    point = generation(far)
    record = record_of(point)
    names = names_of(point, record, FOLDERS, Target("web", UUID, "/vms/web"))
    (disk,) = restored_record(record, names, point, (None, None)).spec.disks
    assert (disk.path, disk.source, disk.other) == ("/vms/web/root.qcow2", None, None)


@pytest.mark.parametrize("target", ["../a", "vd a", "v", "", "VDA"])
def test_a_target_that_is_none_is_refused(target: str) -> None:
    with pytest.raises(Corrupt, match=r"^generation: 0\.1 has a disk at .*, which is no device of a guest"):
        record_of(generation(Disk("root", "/vms/web/x.qcow2", "qcow2", target, "virtio")))
