# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exported generations in the real qemu-storage-daemon: whole content, to the right readers only, and never tidied away."""

from __future__ import annotations

import filecmp
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import NotFound
from ansible_collections.edge.cloud.plugins.module_utils._generation import export_name
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.exports import Exports
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.certificates import Authority
from support.images import QEMU
from support.points_nbd import points_nbd
from support.recovery import CLUSTER, UUID, Replica

READERS = ["hyper1", "qemu/hyper1"]


def exports(replica: Replica) -> Exports:
    return Exports(replica.depot, QEMU, replica.machine.images)


def test_readers_get_the_content_of_each_generation_and_others_nothing(
    replica: Replica, authority: Authority, tmp_path: Path
) -> None:
    for name in ("0.1", "0.3"):
        assert exports(replica).begin(UUID, name)
    nodes, failed = exports(replica).nodes()
    assert (len(nodes), failed) == (2, {})
    files = {path: path.read_bytes() for path in replica.depot.files(UUID).iterdir()}
    with points_nbd(tmp_path / "server", authority, nodes, READERS) as server:
        for client in READERS:
            for name in ("0.1", "0.3"):
                done = server.read(client, export_name(UUID, name, "vda"), raw := tmp_path / "raw")
                assert done.returncode == 0, done.stderr
                assert filecmp.cmp(raw, replica.machine.contents[name], shallow=False)
        for client in ("front", "qemu/front", "hyper1.evil", "qemu/hyper1.evil"):
            assert server.read(client, export_name(UUID, "0.1", "vda"), tmp_path / "none").returncode != 0
        assert server.read("hyper1", export_name(UUID, "0.2", "vda"), tmp_path / "none").returncode != 0
        written = server.write("qemu/hyper1", export_name(UUID, "0.1", "vda"))
        assert written.returncode != 0 or "failed" in written.stdout + written.stderr
    assert {path: path.read_bytes() for path in replica.depot.files(UUID).iterdir()} == files


def test_what_is_exported_stays_as_it_is_until_it_is_no_longer(replica: Replica) -> None:
    found = exports(replica)
    before = replica.depot.find(UUID, "0.1")
    assert found.begin(UUID, "0.1") and not found.begin(UUID, "0.1")
    for number in range(4, 8):
        replica.machine.write(number * CLUSTER, CLUSTER, number + 1)
        replica.intake.take(replica.machine.point())
    replica.tidy(keep=2, longest=2)
    assert replica.names == ["0.1", "0.6", "0.7"] and replica.depot.find(UUID, "0.1") == before
    assert [one.name for one in found.generations()] == ["0.1"]
    replica.depot.pin(UUID, "0.1", False)  # another mark, which was not there
    assert len(found.nodes()[0]) == 1
    assert found.end(UUID, "0.1") and not found.end(UUID, "0.1")
    replica.tidy(keep=2, longest=2)
    assert replica.names == ["0.6", "0.7"] and not list(found.generations())


def test_a_pin_of_the_users_stays_after_an_export(replica: Replica) -> None:
    replica.depot.pin(UUID, "0.1", True)
    exports(replica).begin(UUID, "0.1")
    exports(replica).end(UUID, "0.1")
    assert replica.depot.listed(UUID).pinned == {"0.1"}


def test_without_its_image_a_generation_is_not_exported(replica: Replica, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"^generation: 0\.1 stands on images .* pull them first"):
        Exports(replica.depot, QEMU, Store(tmp_path / "empty")).begin(UUID, "0.1")
    assert replica.depot.listed(UUID).exported == frozenset()


def test_a_disk_that_cannot_be_opened_costs_only_its_own_export(replica: Replica) -> None:
    for name in ("0.1", "0.3"):
        exports(replica).begin(UUID, name)
    newest = replica.depot.find(UUID, "0.3").disks[0].chain[-1]
    path = replica.depot.path_of(UUID, newest.digest)
    path.write_bytes(bytes(newest.size))
    nodes, failed = exports(replica).nodes()
    assert list(nodes) == [export_name(UUID, "0.1", "vda")]
    assert list(failed) == ["web 0.3 vda"]


def test_what_is_wrong_with_another_vm_keeps_no_disk_from_being_exported(replica: Replica) -> None:
    exports(replica).begin(UUID, "0.3")
    other = UUID.replace("6fa4", "7fa4")
    (replica.depot.root / other).write_text("where its folder was, as a damaged file system has it")
    nodes, failed = exports(replica).nodes()
    assert list(nodes) == [export_name(UUID, "0.3", "vda")]
    assert list(failed) == [f"the VM {other}"] and "Not a directory" in failed[f"the VM {other}"]
