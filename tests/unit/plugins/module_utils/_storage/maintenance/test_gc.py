# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Garbage collection against real images, real QEMU programs, real races and real kills: nothing that is used is ever lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _files
from ansible_collections.edge.cloud.plugins.module_utils._errors import DiskFailed, Refused
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.gc import Collector, account, last_collection, observe
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.gc_plan import Limits, RemoveCached
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import usage
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.references import references
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.images import datastore, qcow2, qemu_img
from support.processes import killed, python
from support.waiting import LIMIT, until

NOTHING = Limits(0, 0)
COLLECT = """
import sys, time
from pathlib import Path
from LIBRARY._storage.maintenance.gc import Collector
from LIBRARY._storage.maintenance.gc_plan import Limits, RemoveCached
from LIBRARY._storage.store.store import Store
root, disks, age, until = sys.argv[1:]
removed, stop = 0, False
while not stop:
    stop = Path(until).exists()  # and once more after the end
    done = Collector(Store(Path(root)), [Path(disks)], Limits(0, float(age))).collect().done
    removed += sum(isinstance(step, RemoveCached) for step in done.steps)  # a lock's file between its making and locking goes too
print(removed)
"""
LAY = """
import sys
from pathlib import Path
from LIBRARY._disks.files import DiskFiles
from LIBRARY._compute.model.host_facts import Folders
from LIBRARY._errors import NotFound
from LIBRARY._runner import SubprocessRunner
from LIBRARY._storage.transfer.sources.directory import DirectorySource
from LIBRARY._storage.transfer.pull import pull_image
from LIBRARY._storage.store.store import Store
root, disks, digest, origin, name = sys.argv[1:]
tool = DiskFiles(SubprocessRunner(), Folders(images=root))
store = Store(Path(root))
laid = lost = 0
for number in range(6):
    disk = Path(disks, f"{name}-{number}")
    image = pull_image(store, digest, [DirectorySource(Path(origin))], now=0).manifest
    try:
        tool.create_overlay(str(disk), digest, image.virtual_size)
    except NotFound:
        lost += 1
        continue
    assert store.find(digest) == image, "the image was taken from under a disk"
    laid += 1
    disk.unlink()
print(laid, lost)
"""


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[Manifest]]:
    folder = tmp_path_factory.mktemp("origin")
    images = [datastore(folder / "store", qcow2(folder / f"{one}.qcow2", 1, one), version=str(one))[1] for one in (1, 2, 3)]
    return Store(folder / "store"), images


@pytest.fixture
def here(origin: tuple[Store, list[Manifest]], tmp_path: Path) -> Store:
    """A host cache of three images, version 1 used the longest ago, and a folder for disks."""
    shutil.copytree(origin[0].root, tmp_path / "here")
    (tmp_path / "vms").mkdir()
    store = Store(tmp_path / "here")
    for image in origin[1]:
        age(store, image, 5000 - 1000 * int(image.version))
    return store


def age(store: Store, image: Manifest, seconds: float) -> None:
    path = store.image_path(image.digest)
    for one in (path, store.manifest_path(image.digest), usage.path_of(path)):
        if one.exists():
            os.utime(one, (time.time() - seconds,) * 2)


def collector(store: Store, limits: Limits = NOTHING) -> Collector:
    return Collector(store, [store.root.parent / "vms"], limits)


def versions(store: Store) -> list[str]:
    return [image.version for image in store.images()]


def overlay(path: Path, backing: Path | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    qemu_img("create", "-f", "qcow2", "-b", backing, "-F", "qcow2", path)
    return path


def test_the_least_recently_used_goes_and_no_more(here: Store, origin: tuple[Store, list[Manifest]]) -> None:
    images = origin[1]
    before = observe(here, [], time.time()).bytes
    done = collector(here, Limits(before - 1, 60)).collect()
    assert versions(here) == ["2", "3"]
    assert done.bytes_freed == images[0].size
    assert last_collection(here)["removed"] == [images[0].digest]
    assert here.claim(images[1].digest, usage.PULL)
    collector(here, Limits(images[1].size + 1, 60)).collect()
    assert versions(here) == ["2"], "a use did not count"
    assert collector(here, Limits(0, 60)).collect().decision.over == images[1].size


def test_without_a_store_nothing_is_made(tmp_path: Path) -> None:
    assert not collector(Store(tmp_path / "none")).collect().done.changed
    assert last_collection(Store(tmp_path)) == {}
    assert account(Store(tmp_path / "none"), [], 0)["images"] == []
    assert list(tmp_path.iterdir()) == []


def test_all_that_needs_an_image_keeps_it(here: Store, origin: tuple[Store, list[Manifest]]) -> None:
    first, second, third = origin[1]
    overlay(here.root.parent / "vms" / "web" / "d", here.image_path(first.digest))
    here.pin(second.digest, True)
    with _files.file_lock(here.image_path(third.digest), shared=True):
        assert not collector(here).collect().done.changed
    with here.lock(third.digest):
        assert not collector(here).collect().done.changed
    assert collector(here).collect().bytes_freed == third.size
    assert versions(here) == ["1", "2"]


@pytest.mark.parametrize("how", ["folder link", "chain", "json", "nested json"])
def test_a_disk_is_found_wherever_it_hides(here: Store, origin: tuple[Store, list[Manifest]], tmp_path: Path, how: str) -> None:
    path = here.image_path(origin[1][0].digest)
    disk = tmp_path / "vms" / "d"
    if how == "folder link":
        disk = overlay(tmp_path / "elsewhere" / "d", path)
        (tmp_path / "vms" / "link").symlink_to(disk.parent)
        (disk.parent / "circle").symlink_to(tmp_path / "vms")
        disk = tmp_path / "vms" / "link" / "d"
    elif how == "chain":
        overlay(disk, overlay(tmp_path / "elsewhere" / "middle", path))
    elif how == "json":
        overlay(disk, f'json:{{"driver":"qcow2","file":{{"driver":"file","filename":"{path}"}}}}')
    else:
        overlay(disk, f'json:{{"driver":"qcow2","file":{{"driver":"raw","file":{{"driver":"file","filename":"{path}"}}}}}}')
    assert references([tmp_path / "vms"]).users_of(path) == [str(disk)]
    collector(here).collect()
    assert versions(here) == ["1"]


def test_json_that_names_no_file_of_this_host_keeps_nothing(here: Store, tmp_path: Path) -> None:
    listed = 'json:{"driver":"quorum","children":[{"driver":"nbd","server":{"type":"unix","path":"/run/none"}}]}'
    disk = tmp_path / "vms" / "d"
    qemu_img("create", "-f", "qcow2", "-u", "-b", listed, "-F", "raw", disk, "1M")
    assert references([tmp_path / "vms", tmp_path / "none"]).users_of(next(here.root.glob("*.qcow2"))) == []
    assert len(collector(here).collect().done.steps) == 3


def test_a_backing_name_in_torn_json_keeps_everything(here: Store, tmp_path: Path) -> None:
    disk = tmp_path / "vms" / "d"
    name = 'json:{"driver":"nbd","host":"frontend.example"}'
    qemu_img("create", "-f", "qcow2", "-u", "-b", name, "-F", "raw", disk, "1M")
    disk.write_bytes(disk.read_bytes().replace(b'"driver":', b'"driver" '))
    assert references([tmp_path / "vms"]).doubtful.keys() == {str(disk)}
    assert not collector(here).collect().done.changed


def test_an_image_that_a_qemu_program_has_open_stays(here: Store, origin: tuple[Store, list[Manifest]], tmp_path: Path) -> None:
    first = origin[1][0]
    socket = tmp_path / "s"
    argv = ["qemu-nbd", "-r", "-t", "-f", "qcow2", "-k", str(socket), str(here.image_path(first.digest))]
    server = subprocess.Popen(argv)
    try:
        answers = ["qemu-img", "info", f"nbd+unix:///?socket={socket}"]  # the socket is there before the image is open
        until(lambda: subprocess.run(answers, check=False, capture_output=True).returncode == 0, "the NBD server")
        collected = collector(here).collect()
        with pytest.raises(Refused, match="open in a QEMU program"):
            here.remove(first.digest, [])
    finally:
        server.terminate()
        server.wait()
    assert versions(here) == ["1"]
    assert collected.decision.kept == {first.digest: "it is used by a QEMU program that has it open"}
    assert collector(here).collect().bytes_freed == first.size


def test_what_the_dead_left_goes_and_what_lives_stays(here: Store, origin: tuple[Store, list[Manifest]]) -> None:
    first, second, third = origin[1]
    here.manifest_path(first.digest).unlink()
    here.manifest_path(second.digest).unlink()
    os.utime(here.image_path(second.digest))
    here.pin(third.digest, True)
    (here.partial / f"{'a' * 64}.lock").touch()
    (here.partial / f"{'b' * 64}.qcow2").write_bytes(b"young")
    (here.partial / f"{'c' * 64}.qcow2").write_bytes(b"old")
    os.utime(here.partial / f"{'c' * 64}.qcow2", (0, 0))
    with here.named_lock("d" * 64):
        done = collector(here, Limits(None, 600)).collect()
        assert sorted(path.name[0] for path in here.partial.iterdir()) == ["b", "d"]
    assert done.bytes_freed == first.size + 3
    assert here.image_path(second.digest).exists()
    assert not here.image_path(first.digest).exists()
    assert account(here, [], time.time())["orphans"] == [{"digest": second.digest, "size": second.size}]


def test_a_use_between_the_plan_and_the_removal_counts(here: Store, origin: tuple[Store, list[Manifest]]) -> None:
    first, second, third = origin[1]
    asked: list[float] = []

    def clock() -> float:
        """The plan asks first; the second question is the look under the locks: by then two images came into use."""
        asked.append(time.time())
        if len(asked) == 2:
            usage.note_disk(here.image_path(first.digest))
            here.pin(third.digest, True)
        return asked[-1]

    done = collector(here, Limits(0, 600)).collect(clock)
    assert done.decision.kept == {first.digest: "it was used in the last 600 seconds", third.digest: "it is pinned"}
    assert done.bytes_freed == second.size


def test_the_books_of_uses(here: Store, origin: tuple[Store, list[Manifest]], tmp_path: Path) -> None:
    first = origin[1][0]
    path = here.image_path(first.digest)
    usage.note_disk(path)
    usage.note_disk(path)
    usage.note_disk(tmp_path / "other.qcow2")
    assert here.claim(first.digest, usage.PULL) == first
    assert here.claim("sha256:" + "0" * 64, usage.PULL) is None
    shown = next(one for one in account(here, [], time.time())["images"] if one["digest"] == first.digest)
    assert (shown["hits"], shown["disks_made"], shown["bytes_saved"]) == (3, 2, 2 * first.size)
    assert not (tmp_path / "other.used").exists()
    here.remove(first.digest, [])
    assert not usage.path_of(path).exists()


def test_books_that_the_disk_cannot_read_stop_no_collection(here: Store, origin: tuple[Store, list[Manifest]]) -> None:
    bad = usage.path_of(here.image_path(origin[1][2].digest))
    (here.root / "gc.json").unlink(missing_ok=True)
    for path in (bad, here.root / "gc.json"):
        path.mkdir()  # a read of it fails as one of a bad sector does
    found = account(here, [], time.time())
    assert (len(found["images"]), found["last_collection"]) == (3, {})
    (here.root / "gc.json").rmdir()
    assert len(collector(here, Limits(origin[1][2].size, 0)).collect().done.steps) == 2
    assert versions(here) == ["3"], "what is known of its last use is the time of the file"


@pytest.mark.parametrize("minimum_age", [0, 600])
def test_races_of_collection_pull_and_disks(origin: tuple[Store, list[Manifest]], tmp_path: Path, minimum_age: int) -> None:
    store, images = origin
    disks, here, stop = tmp_path / "vms", tmp_path / "here", tmp_path / "stop"
    disks.mkdir()
    collecting = [python(COLLECT, here, disks, minimum_age, stop) for _number in range(2)]
    laying = [python(LAY, here, disks, images[0].digest, store.root, f"d{number}") for number in range(2)]
    try:
        answer = [process.communicate(timeout=LIMIT)[0] for process in laying]
    finally:
        stop.touch()
    removed = [int(process.communicate(timeout=LIMIT)[0]) for process in collecting]
    assert [process.returncode for process in (*laying, *collecting)] == [0] * 4
    laid, lost = (sum(int(line.split()[at]) for line in answer) for at in (0, 1))
    assert laid + lost == 12
    if minimum_age:
        assert (lost, sum(removed)) == (0, 0), "who pulled an image did not keep it"
    else:
        assert sum(removed) > 0
    left = Store(here)
    assert [left.verify(image.digest) for image in left.images()] == [[]] * len(left.images())


def test_a_kill_at_any_step_loses_nothing_and_the_next_collection_ends_it(
    here: Store, origin: tuple[Store, list[Manifest]], tmp_path: Path
) -> None:
    first, _second, third = origin[1]
    overlay(tmp_path / "vms" / "d", here.image_path(first.digest))
    here.pin(third.digest, True)
    kills = 0
    while killed(lambda: collector(here).collect(), kills + 1, opens=lambda _path: True):
        kills += 1
        assert [image for image in here.images() if image.version != "2"] == [first, third]
        assert collector(here).collect().decision.plan.changed is False
        assert versions(here) == ["1", "3"]
        assert sorted(path.name for path in here.partial.iterdir()) == []
        shutil.copy2(origin[0].image_path(_second.digest), here.image_path(_second.digest))
        shutil.copy2(origin[0].manifest_path(_second.digest), here.manifest_path(_second.digest))
    assert kills > 20


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    """Make a file that not even root can remove."""
    made = subprocess.run(["chattr", "+i", path], check=False, capture_output=True, text=True) if shutil.which("chattr") else None
    if made is None or made.returncode:
        pytest.skip(f"chattr +i needs root and a file system that has it: {made.stderr if made else 'no chattr'}")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", path], check=True)


def test_an_image_that_cannot_be_removed_stays_whole_and_the_others_go(here: Store, origin: tuple[Store, list[Manifest]]) -> None:
    first = origin[1][0]
    with immutable(here.image_path(first.digest)):
        with pytest.raises(DiskFailed, match=r"could not be removed.*Operation not permitted") as caught:
            collector(here).collect()
        assert here.find(first.digest) == first
    details = caught.value.details
    assert versions(here) == ["1"] and here.verify(first.digest) == []
    assert list(details["unremovable"]) == [first.digest]
    assert sorted(one["digest"] for one in details["removed"]) == sorted(image.digest for image in origin[1][1:])
    assert [one["digest"] for one in details["kept"]] == [first.digest]
    assert "it could not be removed: Operation not permitted" in details["kept"][0]["reason"]
    assert details["over"] == first.size
    assert last_collection(here)["removed"] == [one["digest"] for one in details["removed"]]
    assert [step.image.digest for step in collector(here).collect().done.steps if isinstance(step, RemoveCached)] == [first.digest]


def test_another_image_goes_for_one_that_cannot_be_removed(here: Store, origin: tuple[Store, list[Manifest]]) -> None:
    images = origin[1]
    with immutable(here.image_path(images[0].digest)), pytest.raises(DiskFailed):
        collector(here, Limits(images[0].size + images[2].size, 0)).collect()
    assert versions(here) == ["1", "3"]


def test_a_leftover_that_cannot_be_removed_does_not_keep_the_others(here: Store, origin: tuple[Store, list[Manifest]]) -> None:
    here.prepare()
    stuck, loose = here.partial / "import-1", here.partial / "import-2"
    stuck.mkdir()
    loose.touch()
    with pytest.raises(DiskFailed) as caught:
        collector(here).collect()
    assert list(caught.value.details["unremovable"]) == [stuck.name]
    assert (versions(here), loose.exists()) == ([], False)
    assert len(caught.value.details["removed"]) == len(origin[1])
