# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image with holes takes as little space in every copy of ours as in its original."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.foreign_image import Rules
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.download import downloaded
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.import_ import ImageDescription, import_file
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.digest import checksum_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import Trust
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from support.image_server import Faults, faulty
from support.images import MIB, QEMU, changed, datastore, qemu_img

SIZE = 64 * MIB
SLACK = MIB // 2


def taken(path: Path) -> int:
    return path.stat().st_blocks * 512


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    """A qcow2 with tables for all of its disk, and data in 3 MiB of it."""
    path = tmp_path / "sparse.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", path, str(SIZE))
    writes = [f"write -q -P 7 {at * 16 * MIB} {MIB}" for at in range(3)]
    subprocess.run(["qemu-io", "-f", "qcow2", path], input="\n".join(writes), text=True, check=True, stdout=subprocess.DEVNULL)
    assert taken(path) < 4 * MIB < SIZE < path.stat().st_size
    return path


def test_the_datastore_the_replica_and_the_host_cache_keep_the_holes(tmp_path: Path, sparse: Path) -> None:
    store, image = datastore(tmp_path / "store", sparse)
    assert taken(store.image_path(image.digest)) <= taken(sparse) + SLACK
    for name in ("replica", "cache"):
        here = Store(tmp_path / name)
        pull_image(here, image.digest, [DirectorySource(store.root)], now=0)
        assert taken(here.image_path(image.digest)) <= taken(sparse) + SLACK
        assert here.verify(image.digest) == []
        store = here


def test_zeros_that_were_written_are_holes_in_the_copy(tmp_path: Path, sparse: Path) -> None:
    full = tmp_path / "full"
    full.write_bytes(sparse.read_bytes())
    store, image = datastore(tmp_path / "store", full)
    assert taken(full) >= SIZE
    assert taken(store.image_path(image.digest)) <= taken(sparse) + SLACK
    assert store.image_path(image.digest).read_bytes() == full.read_bytes()


def test_a_packed_image_is_unpacked_with_holes(tmp_path: Path, sparse: Path) -> None:
    packed = tmp_path / "sparse.qcow2.gz"
    packed.write_bytes(gzip.compress(sparse.read_bytes()))
    store, image = datastore(tmp_path / "store", packed)
    assert taken(store.image_path(image.digest)) <= taken(sparse) + SLACK


def test_a_download_has_holes_and_is_resumed(tmp_path: Path, sparse: Path) -> None:
    store, web = Store(tmp_path / "store"), tmp_path / "web"
    store.prepare()
    web.mkdir()
    (web / "a.qcow2").symlink_to(sparse)
    faults = Faults(cut_after=30 * MIB)
    with faulty(web, faults) as url, downloaded(store, url + "a.qcow2", checksum_of(sparse, "sha256"), Trust()) as path:
        assert taken(path) <= taken(sparse) + SLACK
        assert path.read_bytes() == sparse.read_bytes()
    assert len(faults.ranges) == 1


def test_pieces_that_another_image_gives_keep_their_holes(tmp_path: Path, sparse: Path) -> None:
    store, image = datastore(tmp_path / "store", sparse)
    newer = changed(sparse, tmp_path / "newer.qcow2", share=MIB / SIZE, extent=MIB)
    wanted = ImageDescription("debian", "2", created="2026-01-02T03:04:05Z", source="here")
    second = import_file(store, QEMU, newer, wanted=wanted, rules=Rules(), now=0)
    here = Store(tmp_path / "here")
    for digest in (image.digest, second.digest):
        done = pull_image(here, digest, [DirectorySource(store.root)], now=0)
    assert done.bytes_reused >= 2 * MIB
    assert done.bytes_fetched <= 2 * MIB
    assert taken(here.image_path(second.digest)) <= taken(sparse) + MIB + SLACK


def test_a_bad_partial_file_becomes_the_image_with_its_holes(tmp_path: Path, sparse: Path) -> None:
    store, image = datastore(tmp_path / "store", sparse)
    here = Store(tmp_path / "here")
    here.prepare()
    here.partial_path(image.digest).write_bytes(os.urandom(image.size))
    pull_image(here, image.digest, [DirectorySource(store.root)], now=0)
    assert taken(here.image_path(image.digest)) <= taken(sparse) + SLACK
    assert here.verify(image.digest) == []
