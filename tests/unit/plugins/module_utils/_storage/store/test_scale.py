# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a store of many images and disks costs: each manifest and each header is read once a command, and no list of pieces."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.gc import Collector, account
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.gc_plan import Limits
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import catalogue, lease, references, uses
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.inventory import Filter, images_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.references import Headers
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.images import hole, qemu_img
from support.modules import run_module
from support.opened import by_suffix, opened

GIB = 1024**3


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take files that were made just now for old ones."""
    monkeypatch.setattr(references, "SETTLED", -1.0)


def put_image(store: Store, number: int, size: int = 3 * GIB) -> Manifest:
    """Put an image into a store whose file is one hole; no byte of it is read here."""
    return hole(store, f"n{number}", size, number.to_bytes(32, "big"))


def put_disks(store: Store, folder: Path, images: list[Manifest], count: int) -> list[Path]:
    """Make disks over the images in turn, each in a folder of its own, with leases."""
    found = []
    for number in range(count):
        path = folder / f"vm{number}" / "root.qcow2"
        path.parent.mkdir(parents=True)
        image = store.image_path(images[number % len(images)].digest)
        qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", image, "-F", "qcow2", path, "4G")
        lease.write(image, path, path)
        found.append(path)
    return found


def cost(counter: Counter[str], folder: Path) -> dict[str, int]:
    return {kind: by_suffix(counter, kind, folder) for kind in (".qcow2", ".json", ".pieces")}


def test_a_run_that_changes_nothing_reads_each_manifest_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    images = [put_image(store, number) for number in range(6)]
    catalogue.write(store)
    with opened() as counter:
        result = run_module(capsys, "datastore_image", name="n3", version="1", root=str(store.root))
    assert not result["changed"] and result["image"]["digest"] == images[3].digest
    assert cost(counter, store.root) == {".qcow2": 0, ".json": len(images) + 1, ".pieces": 0}


@pytest.mark.parametrize("number", [1, 6])
def test_a_report_of_all_images_reads_each_header_as_often_as_that_of_one(tmp_path: Path, number: int) -> None:
    store = Store(tmp_path / "store")
    images = [put_image(store, one) for one in range(number)]
    disks = put_disks(store, tmp_path / "vms", images, 6)
    with opened() as counter:
        found = images_of(store, Filter(), [tmp_path / "vms"])
    assert sorted(user for one in found for user in one["used_by"]) == sorted(map(str, disks))
    assert all(counter[str(disk)] <= 2 for disk in disks)
    with opened() as counter:
        account(store, [tmp_path / "vms"], 0.0)
    assert all(counter[str(disk)] <= 2 for disk in disks)


def test_a_removal_reads_each_header_once_for_its_check_and_its_lock(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    images = [put_image(store, one) for one in range(2)]
    disks = put_disks(store, tmp_path / "vms", images[:1], 3)
    options: dict[str, Any] = {
        "version": "1",
        "state": "absent",
        "root": str(store.root),
        "disk_directories": [str(tmp_path / "vms")],
    }
    with opened() as counter:
        assert run_module(capsys, "datastore_image", name="n1", **options)["changed"]
    assert all(counter[str(disk)] <= 2 for disk in disks)
    refused = run_module(capsys, "datastore_image", name="n0", **options)
    assert refused["failed"] and refused["error"]["used_by"] == sorted(map(str, disks))


def test_a_collection_reads_each_header_as_often_for_ten_removals_as_for_one(tmp_path: Path) -> None:
    counts = []
    for number in (1, 10):
        store, folder = Store(tmp_path / f"store{number}"), tmp_path / f"vms{number}"
        images = [put_image(store, one) for one in range(number + 1)]
        disks = put_disks(store, folder, images[:1], 3)
        with opened() as counter:
            done = Collector(store, [folder], Limits(quota=0, minimum_age=0.0)).collect(lambda: 4e9)
        assert len(done.done.steps) == number
        assert [one.digest for one in store.images()] == [images[0].digest]
        counts.append(max(counter[str(disk)] for disk in disks))
    assert counts[0] == counts[1]


def test_a_collection_that_removes_nothing_reads_each_disk_and_each_lease_as_often_as_it_looks(tmp_path: Path) -> None:
    """It looks twice, before and after the leases are brought up to date, and then reads no disk again that has its lease."""
    store, folder = Store(tmp_path / "store"), tmp_path / "vms"
    images = [put_image(store, one) for one in range(2)]
    disks = put_disks(store, folder, images, 12)
    with opened() as counter:
        Collector(store, [folder], Limits(quota=0)).collect(lambda: 4e9)
    kept = lease.all_leases(store.root)
    assert {one.path for one in kept} == set(map(str, disks))
    with opened() as one_look:
        uses.look([folder])
    for disk in disks:  # the second look knows the header of the first; a lease is compared by a descriptor that cannot read
        assert counter[str(disk)] == one_look[str(disk)] + 1
    assert {counter[str(one.file)] for one in kept} == {2}
    assert by_suffix(counter, "mountinfo") < len(disks)


def test_a_disk_that_left_its_image_after_the_look_gets_no_lease(tmp_path: Path) -> None:
    store, folder = Store(tmp_path / "store"), tmp_path / "vms"
    images = [put_image(store, one) for one in range(2)]
    one, other = put_disks(store, folder, images[:1], 2)
    for kept in lease.all_leases(store.root):
        lease.drop(kept)
    image, seen = store.image_path(images[0].digest), uses.look([folder])
    qemu_img("rebase", "-u", "-b", store.image_path(images[1].digest), "-F", "qcow2", one)
    uses.settle(image, seen.uses_of(image), seen=seen)
    assert [kept.path for kept in lease.leases_of(image)] == [str(other)]


def test_disks_below_links_to_folders_are_the_users_of_what_they_are_over(tmp_path: Path) -> None:
    store, folder = Store(tmp_path / "store"), tmp_path / "vms"
    image = put_image(store, 1)
    far = tmp_path / "other" / "disk"
    (disk,) = put_disks(store, far, [image], 1)
    over = disk.with_name("over.qcow2")
    qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", "root.qcow2", "-F", "qcow2", over, "4G")
    (folder / "plain").mkdir(parents=True)
    (folder / "plain" / "link").symlink_to(tmp_path / "other")
    there = folder / "plain" / "link" / "disk" / "vm0"
    assert uses.look([folder]).uses_of(store.image_path(image.digest)).users == (str(there / "root.qcow2"),)
    assert uses.look([folder]).users_of(disk) == [str(there / "over.qcow2")]


def test_a_disk_that_comes_or_changes_after_the_look_is_seen_by_the_removal(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    images = [put_image(store, one) for one in range(2)]
    (disk,) = put_disks(store, tmp_path / "vms", images[:1], 1)
    headers = Headers()
    assert store.uses_of(images[1].digest, [tmp_path / "vms"], headers).users == ()
    qemu_img("rebase", "-u", "-b", store.image_path(images[1].digest), "-F", "qcow2", disk)
    assert store.uses_of(images[1].digest, [tmp_path / "vms"], headers).users == (str(disk),)
    second = tmp_path / "vms" / "by-hand.qcow2"
    qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", store.image_path(images[1].digest), "-F", "qcow2", second, "4G")
    assert set(store.uses_of(images[1].digest, [tmp_path / "vms"], headers).users) == {str(disk), str(second)}


def test_a_disk_that_changed_just_now_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its next change may have the same time."""
    monkeypatch.undo()
    store = Store(tmp_path / "store")
    (disk,) = put_disks(store, tmp_path / "vms", [put_image(store, 1)], 1)
    headers = Headers()
    for _twice in range(2):
        with opened() as counter:
            headers.backings(disk)
        assert counter[str(disk)] > 0


def test_the_memory_of_a_look_does_not_grow_with_the_list_of_pieces(tmp_path: Path) -> None:
    """That of 1 TiB has 64 MiB."""
    peaks = []
    for size in (3 * GIB, 1024 * GIB):
        store = Store(tmp_path / str(size))
        image = put_image(store, 1, size)
        tracemalloc.start()
        assert store.find(image.digest) == image
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert store.pieces_path(image.digest).stat().st_size > 64 * 1024**2
    assert peaks[1] < 2 * peaks[0]
