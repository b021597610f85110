# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The uses of an image against folders that are gone, moved, covered, unmounted or mounted elsewhere: doubt keeps, proof frees."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._errors import NotFound, Refused
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.disk.disk import Base, CreateDisk, Creation, RebaseDisk
from ansible_collections.edge.cloud.plugins.module_utils._storage.disk.disk_files import Qcow2Files
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.gc import Collector
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.gc_plan import Limits
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import lease, uses
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import references as references_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.identity import Filesystem
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.bad_disk import mounted, new_disk
from support.images import QEMU, datastore, qcow2, qemu_img
from support.processes import killed
from support.small_disk import small_disk

SIZE = 1024 * 1024


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Manifest]:
    folder = tmp_path_factory.mktemp("origin")
    return datastore(folder / "store", qcow2(folder / "a.qcow2", 1))


@pytest.fixture
def here(origin: tuple[Store, Manifest], tmp_path: Path) -> tuple[Store, Path]:
    """A host cache of one image, with the path of the image's file."""
    shutil.copytree(origin[0].root, tmp_path / "here")
    (tmp_path / "vms" / "web").mkdir(parents=True)
    return Store(tmp_path / "here"), Store(tmp_path / "here").image_path(origin[1].digest)


def digest_of(image: Path) -> str:
    return f"sha256:{image.stem}"


def laid(image: Path, disk: Path) -> Path:
    """Make a VM's disk as the module domain does."""
    disk.parent.mkdir(parents=True, exist_ok=True)
    DiskFiles(SubprocessRunner(), Folders(images=str(image.parent))).create_overlay(str(disk), digest_of(image), SIZE)
    return disk


def collected(store: Store, *folders: Path) -> dict[str, str]:
    """Collect all that nothing keeps, and return why the rest is kept."""
    for path in store.root.glob("*.*"):
        os.utime(path, (0, 0))
    return dict(Collector(store, folders, Limits(0, 0)).collect().decision.kept)


def leases(store: Store) -> list[Path]:
    return sorted((store.root / "leases").glob("*.json"))


def test_a_stopped_vm_keeps_its_image_wherever_its_folder_went(here: tuple[Store, Path], tmp_path: Path) -> None:
    store, image = here
    disk = laid(image, tmp_path / "vms" / "web" / "d.qcow2")
    (tmp_path / "vms").rename(tmp_path / "away")
    moved = str(tmp_path / "away" / "web" / "d.qcow2")
    assert collected(store) == {digest_of(image): f"it is used by {moved}"}
    with pytest.raises(Refused, match=f"in use by {moved}"):
        store.remove(digest_of(image), [])
    assert not disk.exists()
    (tmp_path / "away" / "web" / "d.qcow2").rename(tmp_path / "other")
    assert store.uses_of(digest_of(image), []).users == (str(tmp_path / "other"),)


@pytest.mark.parametrize("how", ["file", "folder", "all folders", "other file", "standalone"])
def test_a_disk_that_is_proven_gone_frees_its_image(here: tuple[Store, Path], tmp_path: Path, how: str) -> None:
    store, image = here
    disk = laid(image, tmp_path / "vms" / "web" / "d.qcow2")
    if how in ("file", "other file"):
        disk.unlink()
        if how == "other file":
            disk.write_bytes(b"something else")
    elif how == "standalone":
        qemu_img("rebase", "-f", "qcow2", "-b", "", disk)
    else:
        shutil.rmtree(disk.parent if how == "folder" else tmp_path / "vms")
    assert store.uses_of(digest_of(image), []).any is False
    assert collected(store) == {}
    assert not image.exists()
    assert leases(store) == []


def test_a_disk_whose_name_the_kernel_does_not_know_is_read_all_the_same(here: tuple[Store, Path], tmp_path: Path) -> None:
    """After a reboot a file that is opened by its handle has no name before somebody looked into its folder."""
    store, image = here
    disk, folder = new_disk(tmp_path / "disk", 64), tmp_path / "mnt"
    with mounted(disk, folder):
        made = laid(image, folder / "vms" / "root.qcow2")
        (folder / "elsewhere").mkdir()
        made.rename(folder / "elsewhere" / "root.qcow2")
    with mounted(disk, folder):
        assert store.uses_of(digest_of(image), [folder / "vms"]).users == (str(folder / "vms" / "root.qcow2"),)
    with mounted(disk, folder):
        qemu_img("rebase", "-u", "-f", "qcow2", "-b", "", folder / "elsewhere" / "root.qcow2")
    with mounted(disk, folder):
        assert collected(store, folder / "vms") == {}
        assert leases(store) == []


@pytest.mark.parametrize("how", ["both are mounted", "only the copy is mounted", "the copy is mounted in its place"])
def test_what_a_copy_of_the_file_system_lacks_is_not_gone(here: tuple[Store, Path], tmp_path: Path, how: str) -> None:
    """A snapshot or clone of a disk has its UUID."""
    store, image = here
    disk, copy, folder, beside = new_disk(tmp_path / "disk", 64), tmp_path / "copy", tmp_path / "mnt", tmp_path / "beside"
    with mounted(disk, folder):
        made = laid(image, folder / "vms" / "root.qcow2")
        name = made.name
    shutil.copyfile(disk, copy)
    in_its_place = how == "the copy is mounted in its place"
    with ExitStack() as mounts:
        mounts.enter_context(mounted(copy, folder if in_its_place else beside))
        ((folder if in_its_place else beside) / "vms" / name).unlink()
        if how != "only the copy is mounted":
            mounts.enter_context(mounted(disk, beside if in_its_place else folder))
        assert digest_of(image) in collected(store, folder / "vms" if how != "only the copy is mounted" else tmp_path)
        assert image.exists()
        assert leases(store)
    with mounted(disk, folder):
        (folder / "vms" / name).unlink()
        assert collected(store, folder / "vms") == {}


def test_the_lease_of_a_disk_that_was_seen_by_a_link_is_that_of_the_disk(here: tuple[Store, Path], tmp_path: Path) -> None:
    store, image = here
    (tmp_path / "big").mkdir()
    disk, link = tmp_path / "big" / "root.qcow2", tmp_path / "vms" / "web" / "root.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", image, "-F", "qcow2", disk)
    link.symlink_to(disk)
    assert collected(store, tmp_path / "vms")
    link.unlink()
    assert collected(store, tmp_path / "vms").keys() == {digest_of(image)}, "the disk is there all the same"
    disk.unlink()
    assert collected(store, tmp_path / "vms") == {}


@pytest.mark.parametrize("how", ["unmounted", "covered", "hidden"])
def test_a_folder_that_cannot_be_seen_is_doubt(here: tuple[Store, Path], tmp_path: Path, how: str) -> None:
    store, image = here
    with small_disk(tmp_path / "disk", 8) as folder:
        disk = laid(image, (folder if how == "unmounted" else tmp_path / "vms") / "web" / "d.qcow2")
        assert collected(store, tmp_path / "vms") == {digest_of(image): f"it is used by {disk}"}
    if how == "unmounted":  # its mount point is there, empty
        kept = collected(store, tmp_path / "disk")[digest_of(image)]
        assert "the file system that it was on is not mounted here; mount it where it was, or release" in kept
        with pytest.raises(Refused, match=f"may be in use: the disk {disk} has a lease and was not found"):
            store.remove(digest_of(image), [tmp_path / "disk"])
        return
    empty = tmp_path / "systemd" / "inaccessible" / "dir"
    empty.mkdir(parents=True)
    with covered(tmp_path / "vms", None if how == "covered" else empty):
        assert "used by" in collected(store, tmp_path / "vms")[digest_of(image)]
        assert (how == "hidden") == any("is hidden from this process" in one for one in doubts(store, image, tmp_path / "vms"))
    assert collected(store, tmp_path / "vms") == {digest_of(image): f"it is used by {disk}"}


def doubts(store: Store, image: Path, *folders: Path) -> tuple[str, ...]:
    return store.uses_of(digest_of(image), folders).doubts


@contextmanager
def covered(folder: Path, source: Path | None) -> Iterator[None]:
    """Mount an empty folder over another."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    subprocess.run(["mount", *(("--bind", source) if source else ("-t", "tmpfs", "none")), folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_over_a_bind_mount_of_the_store_is_a_user(here: tuple[Store, Path], tmp_path: Path) -> None:
    store, image = here
    (tmp_path / "bound").mkdir()
    disk = tmp_path / "vms" / "web" / "d.qcow2"
    with covered(tmp_path / "bound", store.root):
        qemu_img("create", "-f", "qcow2", "-b", tmp_path / "bound" / image.name, "-F", "qcow2", disk)
        assert store.uses_of(digest_of(image), [tmp_path / "vms"]).users == (str(disk),)
    assert store.uses_of(digest_of(image), [tmp_path / "vms"]).users == (str(disk),), "its name is the image's"
    disk.unlink()
    with covered(tmp_path / "bound", tmp_path / "vms"):
        laid(image, tmp_path / "bound" / "web" / "e.qcow2")
    assert store.uses_of(digest_of(image), []).users == (str(tmp_path / "vms" / "web" / "e.qcow2"),)
    assert store.uses_of(digest_of(image), [tmp_path / "vms"]).users == (str(tmp_path / "vms" / "web" / "e.qcow2"),)


def test_a_disk_made_by_hand_has_a_lease_once_it_was_seen(here: tuple[Store, Path], tmp_path: Path) -> None:
    store, image = here
    disk = tmp_path / "vms" / "web" / "d.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", image, "-F", "qcow2", disk)
    assert collected(store, tmp_path / "vms")
    assert len(leases(store)) == 1
    with covered(tmp_path / "vms", None):
        assert collected(store, tmp_path / "vms")
    disk.rename(disk.with_name("e.qcow2"))
    collected(store, tmp_path / "vms")
    assert [one.path for one in lease.all_leases(store.root)] == [str(disk.with_name("e.qcow2"))]


def test_a_chain_that_ends_in_nothing_is_doubt(here: tuple[Store, Path], tmp_path: Path) -> None:
    store, image = here
    middle, top = tmp_path / "middle", tmp_path / "vms" / "web" / "d.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", image, "-F", "qcow2", middle)
    qemu_img("create", "-f", "qcow2", "-b", middle, "-F", "qcow2", top)
    middle.rename(tmp_path / "elsewhere")
    assert doubts(store, image, tmp_path / "vms") == (f"{top} may use it: {middle}, which it stands on, is not there",)
    assert collected(store, tmp_path / "vms")


def test_a_link_to_a_folder_that_is_not_there_is_doubt(here: tuple[Store, Path], tmp_path: Path) -> None:
    store, image = here
    (tmp_path / "vms" / "db").symlink_to(tmp_path / "unmounted")
    assert doubts(store, image, tmp_path / "vms") == (
        f"{tmp_path}/vms/db may use it: {tmp_path}/unmounted, to which it links, is not there",
    )


def test_a_folder_that_is_named_and_not_there_keeps_all(
    here: tuple[Store, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, image = here
    assert "mount it or correct its name" in collected(store, tmp_path / "vmz")[digest_of(image)]
    (tmp_path / "link").symlink_to(tmp_path / "unmounted")
    monkeypatch.setattr(references_of, "DISK_DIRECTORIES", (str(tmp_path / "link"), str(tmp_path / "none")))
    assert doubts(store, image, tmp_path / "none") == (), "a folder that a role makes on other hosts"
    assert "link of disk_directories is not there" in doubts(store, image, tmp_path / "link")[0]
    assert "(Not a directory)" in doubts(store, image, store.manifest_path(digest_of(image)))[0]


@pytest.mark.parametrize("make", ["qcow2_image", "rebase", "snapshot"])
def test_every_way_to_a_disk_takes_a_lease(here: tuple[Store, Path], tmp_path: Path, make: str) -> None:
    store, image = here
    disk = tmp_path / "vms" / "web" / "d.qcow2"
    base = Base(str(image), "qcow2", SIZE)
    files = Qcow2Files(QEMU, [])
    if make == "qcow2_image":
        files.apply(CreateDisk(str(disk), SIZE, base, Creation()))
    elif make == "rebase":
        qemu_img("create", "-f", "qcow2", disk, str(SIZE))
        files.apply(RebaseDisk(str(disk), base, True))
    else:
        DiskFiles(SubprocessRunner(), Folders(images=str(store.root))).create_overlay_on(str(disk), str(image), "qcow2", SIZE)
    assert [one.path for one in lease.leases_of(image)] == [str(disk)]
    disk.rename(tmp_path / "away")
    assert store.uses_of(digest_of(image), []).users == (str(tmp_path / "away"),)


def test_a_kill_while_a_disk_is_made_leaves_no_disk_without_a_lease(here: tuple[Store, Path], tmp_path: Path) -> None:
    store, image = here
    disk = tmp_path / "vms" / "web" / "d.qcow2"
    kills = 0
    while killed(lambda: laid(image, disk), kills + 1, opens=lambda path: "leases" in path):
        kills += 1
        assert not disk.exists() or lease.leases_of(image, disk)
        disk.unlink(missing_ok=True)
    assert kills > 5
    shutil.rmtree(disk.parent)
    assert collected(store) == {}, "a lease without a disk stayed"


def test_a_lease_ends_on_the_word_of_the_administrator(here: tuple[Store, Path], tmp_path: Path) -> None:
    store, image = here
    with small_disk(tmp_path / "disk", 8) as folder:
        disk = laid(image, folder / "d.qcow2")
        with pytest.raises(Refused, match="is there and uses"):
            uses.release(store.root, str(disk))
    assert uses.release(store.root, str(disk), check=True) == [image.name]
    assert len(leases(store)) == 1
    assert uses.release(store.root, str(disk)) == [image.name]
    with pytest.raises(NotFound, match="has a lease for"):
        uses.release(store.root, str(disk))
    assert collected(store) == {}


def test_leases_of_an_image_that_is_not_here_go_with_their_disks(here: tuple[Store, Path], tmp_path: Path) -> None:
    store, image = here
    disk = laid(image, tmp_path / "vms" / "web" / "d.qcow2")
    image.unlink()
    collected(store)
    assert len(leases(store)) == 1
    disk.unlink()
    (store.root / "leases" / ".killed").touch()
    os.utime(store.root / "leases" / ".killed", (0, 0))
    collected(store)
    assert list((store.root / "leases").iterdir()) == []


def test_a_torn_lease_is_doubt(here: tuple[Store, Path], tmp_path: Path) -> None:
    store, image = here
    laid(image, tmp_path / "vms" / "web" / "d.qcow2")
    (found,) = leases(store)
    found.write_bytes(b'{"path": "/x')
    assert doubts(store, image) == (f"the lease {found} cannot be read; remove that file if no disk uses the image",)
    assert collected(store)


@pytest.mark.parametrize(
    "disk",
    [{"inode": "7"}, {"volume": "a"}, [7], {"inode": 7, "type": "ext4", "handle": "what"}, {"inode": 7, "handle": "1:abc"}],
)
def test_a_lease_of_a_disk_that_is_described_otherwise_is_doubt(here: tuple[Store, Path], tmp_path: Path, disk: object) -> None:
    """A newer version may say what a disk is in another way; it is not the lease of a disk that another host makes."""
    store, image = here
    laid(image, tmp_path / "vms" / "web" / "root.qcow2")
    (file,) = leases(store)
    gone = str(tmp_path / "vms" / "web" / "gone.qcow2")
    file.write_text(json.dumps({**json.loads(file.read_text()), "path": gone, "disk": disk}))
    (tmp_path / "vms" / "web" / "root.qcow2").unlink()
    os.utime(file, (0, 0))
    assert "cannot be read" in doubts(store, image, tmp_path / "vms")[0]
    assert "cannot be read" in collected(store, tmp_path / "vms")[digest_of(image)]


def test_a_lease_that_the_disk_cannot_read_keeps_its_own_image_only(here: tuple[Store, Path], tmp_path: Path) -> None:
    store, image = here
    other = store.root / f"{'e' * 64}.qcow2"
    other.touch()
    laid(image, tmp_path / "vms" / "web" / "root.qcow2")
    (file,) = leases(store)
    file.unlink()
    file.mkdir()  # a read of it fails as one of a bad sector does
    (tmp_path / "vms" / "web" / "root.qcow2").unlink()
    assert list(collected(store, tmp_path / "vms")) == [digest_of(image)]
    assert not other.exists()


def awaited(store: Store, image: Path, disk: Path) -> Path:
    """Note a disk that another host makes here."""
    folder = store.root / "leases"
    folder.mkdir(exist_ok=True)
    file = folder / lease.file_name(image, str(disk), "")
    file.write_bytes(lease.text_of(lease.Lease(file, str(disk))))
    return file


def test_a_disk_that_another_host_makes_is_awaited_then_known(here: tuple[Store, Path], tmp_path: Path) -> None:
    store, image = here
    disk = tmp_path / "vms" / "web" / "d.qcow2"
    file = awaited(store, image, disk)
    assert "another host makes the disk" in collected(store, tmp_path / "vms")[digest_of(image)]
    qemu_img("create", "-f", "qcow2", "-b", image, "-F", "qcow2", disk)
    assert collected(store)
    assert [one.disk is None for one in lease.leases_of(image)] == [False]
    disk.unlink()
    file = awaited(store, image, disk)
    os.utime(file, (time.time() - uses.REMOTE_SECONDS - 9,) * 2)
    assert collected(store) == {}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Filesystem("ext4", "a", "1"), Filesystem("ext4", "a", "2"), True),
        (Filesystem("xfs", "a", "1"), Filesystem("xfs", "b", "1"), False),
        (Filesystem("xfs", "a", "1"), Filesystem("xfs", "", "1"), True),
        (Filesystem("xfs", "", "1"), Filesystem("ext4", "", "1"), False),
        (Filesystem("fuse", "", ""), Filesystem("fuse", "", ""), False),
    ],
)
def test_file_systems_are_the_same_for_certain_only(one: Filesystem, other: Filesystem, same: bool) -> None:
    assert (one.same(other), other.same(one)) == (same, same)


@pytest.mark.parametrize("handles", [True, False])
def test_without_handles_the_folder_tells(here: tuple[Store, Path], tmp_path: Path, handles: bool) -> None:
    store, image = here
    disk = laid(image, tmp_path / "vms" / "web" / "d.qcow2")
    if not handles:
        (found,) = leases(store)
        text = found.read_text()
        start = text.index('"handle": "', text.index('"disk"')) + len('"handle": "')
        found.write_text(text[:start] + text[text.index('"', start) :])
    shutil.rmtree(disk.parent)
    assert bool(doubts(store, image)) is not handles
    disk.parent.mkdir()
    assert bool(doubts(store, image)) is not handles, "another folder of that name"
