# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: visible exactly when whole, never removed when used."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _files
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy, NotFound, Refused
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import STALE_SECONDS, Store
from support.images import datastore, qcow2, qemu_img
from support.processes import python
from support.waiting import LIMIT, until

HOLD = """
import sys, time
from pathlib import Path
from LIBRARY import _files as files
with files.locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(3600)
"""
REMOVE = """
import sys
from pathlib import Path
from LIBRARY._storage.store.store import Store
print("begin", flush=True)
Store(Path(sys.argv[1])).remove(sys.argv[2], [])
"""
COUNT = """
import sys
from pathlib import Path
from LIBRARY import _files as files
number = Path(sys.argv[2])
for _any in range(200):
    with files.locked(Path(sys.argv[1])):
        number.write_text(str(int(number.read_text()) + 1))
"""


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Store, Manifest]:
    return datastore(tmp_path / "store", qcow2(tmp_path / "a.qcow2", 5))


def test_an_image_is_there_exactly_when_its_manifest_is(filled: tuple[Store, Manifest]) -> None:
    store, image = filled
    assert store.find(image.digest) == image
    assert store.named("debian", "1") == image
    assert store.image_path(image.digest).stat().st_mode & 0o777 == 0o444
    store.manifest_path(image.digest).unlink()
    assert store.find(image.digest) is None
    assert store.images() == []


@pytest.mark.parametrize("harm", ["manifest", "short", "gone", "list cut", "list gone"])
def test_a_damaged_image_is_not_visible_and_is_reported(filled: tuple[Store, Manifest], harm: str) -> None:
    store, image = filled
    path = store.image_path(image.digest)
    if harm == "manifest":
        store.manifest_path(image.digest).chmod(0o644)
        store.manifest_path(image.digest).write_bytes(image.to_json()[:-40])
    elif harm == "short":
        os.truncate(path, image.size - 1)
    elif harm == "list cut":
        os.truncate(store.pieces_path(image.digest), 31)
    elif harm == "list gone":
        store.pieces_path(image.digest).unlink()
    else:
        path.unlink()
    assert store.find(image.digest) is None
    assert store.broken() == [image.digest]


def test_a_list_that_a_killed_removal_left_alone_is_swept(filled: tuple[Store, Manifest]) -> None:
    """One whose image is here stays, also without a manifest: a kill between two renames leaves that."""
    store, image = filled
    alone = store.pieces_path("sha256:" + "a" * 64)
    alone.write_bytes(bytes(32))
    store.manifest_path(image.digest).unlink()
    with store.lock("sha256:" + "a" * 64):
        store.sweep(now=0)
        assert alone.exists(), "another process works on it"
    store.sweep(now=0)
    assert not alone.exists()
    assert store.pieces_path(image.digest).exists()


def test_verify_names_the_flipped_piece(filled: tuple[Store, Manifest]) -> None:
    store, image = filled
    assert store.verify(image.digest) == []
    with store.image_path(image.digest).open("r+b") as file:
        file.seek(image.piece_size + 3)
        byte = file.read(1)
        file.seek(image.piece_size + 3)
        file.write(bytes([byte[0] ^ 1]))
    assert store.verify(image.digest) == [1]


def test_verify_without_a_sound_list_of_pieces_can_prove_none(filled: tuple[Store, Manifest]) -> None:
    store, image = filled
    path = store.pieces_path(image.digest)
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.unlink()
    path.write_bytes(data)
    assert store.verify(image.digest) == list(range(image.count))


def test_verify_of_what_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Store(tmp_path).verify("sha256:" + "0" * 64)


@pytest.mark.parametrize("how", ["absolute", "relative", "linked"])
def test_an_image_under_a_disk_is_not_removed(filled: tuple[Store, Manifest], tmp_path: Path, how: str) -> None:
    store, image = filled
    disks = tmp_path / "vms" / "web" / "deep"
    disks.mkdir(parents=True)
    backing = store.image_path(image.digest)
    name = {"absolute": backing, "relative": Path(os.path.relpath(backing, disks)), "linked": disks / "link"}[how]
    if how == "linked":
        name.symlink_to(backing)
    qemu_img("create", "-f", "qcow2", "-b", name, "-F", "qcow2", disks / "d.qcow2")
    with pytest.raises(Refused, match=r"in use by .*d\.qcow2"):
        store.remove(image.digest, [tmp_path / "vms"])
    assert store.find(image.digest) == image
    (disks / "d.qcow2").unlink()
    with pytest.raises(Refused, match=r"may be in use: the folder .*none of disk_directories is not there .*mount it or correct"):
        store.remove(image.digest, [tmp_path / "vms", tmp_path / "none"])
    store.remove(image.digest, [tmp_path / "vms"])
    assert sorted(path.name for path in store.root.iterdir()) == ["index.json", "partial"]


def test_a_qcow2_that_cannot_be_read_counts_as_a_user(filled: tuple[Store, Manifest], tmp_path: Path) -> None:
    store, image = filled
    (tmp_path / "vms").mkdir()
    (tmp_path / "vms" / "torn.qcow2").write_bytes(b"QFI\xfb\0\0\0\x03torn")
    assert store.uses_of(image.digest, [tmp_path / "vms"]).users == (str(tmp_path / "vms" / "torn.qcow2"),)


def test_a_removal_waits_for_who_lays_an_overlay_now(filled: tuple[Store, Manifest], tmp_path: Path) -> None:
    store, image = filled
    with _files.file_lock(store.image_path(image.digest), shared=True):
        remover = python(REMOVE, store.root, image.digest)
        assert remover.stdout
        assert remover.stdout.readline() == "begin\n"
        until(lambda: waits_for_a_lock(remover.pid), "that it waits")
        assert store.find(image.digest) == image, "the image was removed under the hands of who uses it"
    assert remover.wait(LIMIT) == 0
    assert store.find(image.digest) is None


def waits_for_a_lock(pid: int) -> bool:
    """Tell whether the kernel has the process wait for a lock of a file."""
    rows = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return any(row[1] == "->" and row[5] == str(pid) for row in rows)


def held(path: Path) -> subprocess.Popen[str]:
    holder = python(HOLD, path)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_lock_of_a_killed_process_is_free_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    holder = held(path)
    with pytest.raises(Busy, match="holds"), _files.locked(path, wait=False):
        pass
    holder.kill()
    holder.wait()
    with _files.locked(path, wait=False):
        assert path.exists()
    assert not path.exists()


def test_a_lock_admits_one_although_its_file_comes_and_goes(tmp_path: Path) -> None:
    number = tmp_path / "number"
    number.write_text("0")
    workers = [python(COUNT, tmp_path / "lock", number) for _any in range(4)]
    assert [worker.wait(LIMIT) for worker in workers] == [0, 0, 0, 0]
    assert number.read_text() == "800"


def test_sweep_takes_what_the_dead_left_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.prepare()
    old, new = "a" * 64, "b" * 64
    for name in (f"{old}.qcow2", f"{new}.qcow2", "import-dead.qcow2", "import-live.qcow2", "import-dead.lock"):
        (store.partial / name).write_bytes(b"x")
    now = time.time()
    os.utime(store.partial / f"{old}.qcow2", (now - STALE_SECONDS - 5,) * 2)
    live = held(store.partial / "import-live.lock")
    store.sweep(now)
    live.kill()
    live.wait()
    assert sorted(path.name for path in store.partial.iterdir()) == [f"{new}.qcow2", "import-live.lock", "import-live.qcow2"]


def test_a_pin_is_kept_beside_the_image(filled: tuple[Store, Manifest]) -> None:
    store, image = filled
    assert not store.pinned(image.digest)
    store.pin(image.digest, True)
    assert store.pinned(image.digest)
    store.pin(image.digest, False)
    store.pin(image.digest, False)
    assert not store.pinned(image.digest)
