# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading an image that is elsewhere, half here, or here: always the right bytes, and each fetched once."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _files
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, EdgeError, NotFound, Unreachable
from ansible_collections.edge.cloud.plugins.module_utils._host.nbd_export import Exports
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.pieces import Check
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.digest import describe
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.prefetch import PieceFile
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.read_through import WINDOW, ReadThrough
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.protocol import Reader
from support.bad_disk import bad_sectors, mounted, new_disk, place_of
from support.images import datastore, hole, qcow2

MIB = 2**20


class Counting(DirectorySource):
    """A folder as a source that remembers what was asked of it."""

    asked: list[tuple[int, int]]

    @contextmanager
    def read(self, digest: str, offset: int, length: int) -> Iterator[Reader]:
        self.asked.append((offset, length))
        with super().read(digest, offset, length) as reader:
            yield reader


def counting(root: Path) -> Counting:
    source = Counting(root)
    source.asked = []
    return source


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Manifest]:
    folder = tmp_path_factory.mktemp("origin")
    return datastore(folder / "store", qcow2(folder / "a.qcow2", 8))


@pytest.fixture
def here(tmp_path: Path) -> Store:
    store = Store(tmp_path / "here")
    store.prepare()
    return store


def bytes_of(store: Store, image: Manifest) -> bytes:
    return store.image_path(image.digest).read_bytes()


def test_any_bytes_of_an_image_that_is_elsewhere(here: Store, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    reader = ReadThrough(here, image.digest, [DirectorySource(store.root)])
    whole = bytes_of(store, image)
    assert reader.size == image.size == len(whole)
    chance = random.Random(7)
    for _try in range(50):
        offset = chance.randrange(image.size)
        length = min(chance.randrange(1, 300_000), image.size - offset)
        assert reader.read(offset, length) == whole[offset : offset + length]
    assert here.find(image.digest) is None


def test_a_piece_is_fetched_once_and_waits_for_the_pull(here: Store, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    source = counting(store.root)
    reader = ReadThrough(here, image.digest, [source])
    reader.read(image.piece_size * 3 + 5, 10)
    reader.read(image.piece_size * 3 + 50_000, 10)
    assert source.asked == [(image.piece_size * 3, image.piece_size)]
    waiting = PieceFile(here.ahead_path(image.digest), image)
    assert list(waiting.present(0, len(image.pieces))) == [3]
    assert waiting.get(3) == bytes_of(store, image)[3 * image.piece_size : 4 * image.piece_size]
    again = ReadThrough(here, image.digest, [source])  # a service that was restarted
    again.read(image.piece_size * 3, 10)
    assert len(source.asked) == 1


def test_reading_in_order_fetches_more_at_once(here: Store, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    source = counting(store.root)
    reader = ReadThrough(here, image.digest, [source])
    assert b"".join(reader.read(at, min(4096, image.size - at)) for at in range(0, image.size, 4096)) == bytes_of(store, image)
    assert sum(length for _offset, length in source.asked) == image.size
    lengths = [length for _offset, length in source.asked]
    assert lengths[:3] == [image.piece_size, 2 * image.piece_size, 4 * image.piece_size]
    assert max(lengths) == WINDOW


def test_the_pull_takes_what_was_fetched_ahead(here: Store, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    reader = ReadThrough(here, image.digest, [DirectorySource(store.root)])
    for index in (0, 5, 6, 40):
        reader.read(index * image.piece_size, 10)
    waiting = PieceFile(here.ahead_path(image.digest), image)
    held = sum(image.piece_length(index) for index in waiting.present(0, len(image.pieces)))
    with here.ahead_path(image.digest).open("r+b") as file:  # one of them was torn by a power cut
        file.seek(5 * image.piece_size)
        file.write(b"torn")
    pulled = pull_image(here, image.digest, [DirectorySource(store.root)], now=0)
    assert pulled.bytes_fetched == image.size - held + image.piece_length(5)
    assert here.verify(image.digest) == []
    assert not here.ahead_path(image.digest).exists()


def test_a_disk_that_keeps_and_gives_nothing_fails_no_read(here: Store, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    here.ahead_path(image.digest).mkdir()
    reader = ReadThrough(here, image.digest, [DirectorySource(store.root)])
    assert reader.read(100, 1000) == bytes_of(store, image)[100:1100]
    here.ahead_path(image.digest).rmdir()
    shutil.rmtree(here.partial)
    assert reader.read(5 * MIB, 1000) == bytes_of(store, image)[5 * MIB : 5 * MIB + 1000]


def test_a_bad_sector_below_a_piece_has_it_fetched(tmp_path: Path, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    whole, disk = bytes_of(store, image), new_disk(tmp_path / "disk", 160)
    with mounted(disk, tmp_path / "mnt") as folder:
        Store(folder / "here").prepare()
        for path in (Store(folder / "here").partial_path(image.digest), Store(folder / "here").ahead_path(image.digest)):
            path.write_bytes(whole[: 2 * MIB])
        os.sync()
        raw = disk.read_bytes()
    places = [found.start() for found in re.finditer(re.escape(whole[MIB : MIB + 512]), raw)]
    assert len(places) == 2
    with bad_sectors(disk, places) as bad, mounted(bad, tmp_path / "mnt") as folder:
        source = counting(store.root)
        with pytest.raises(OSError, match="Input/output error"):
            Store(folder / "here").ahead_path(image.digest).read_bytes()
        assert ReadThrough(Store(folder / "here"), image.digest, [source]).read(MIB, 4096) == whole[MIB : MIB + 4096]
        assert [length for _offset, length in source.asked] == [image.piece_size]


def test_a_bad_sector_below_a_published_image_has_its_piece_fetched(tmp_path: Path, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    whole, disk = bytes_of(store, image), new_disk(tmp_path / "disk", 160)
    with mounted(disk, tmp_path / "mnt") as folder:
        shutil.copytree(store.root, folder / "here")
    index, size = MIB // image.piece_size, image.piece_size
    with bad_sectors(disk, [place_of(disk, whole[MIB : MIB + 512])]) as bad, mounted(bad, tmp_path / "mnt") as folder:
        here, source = Store(folder / "here"), counting(store.root)
        here.prepare()
        alone = ReadThrough(here, image.digest, [])
        with pytest.raises(Unreachable, match="cannot be read here: Input/output error"):
            alone.read(MIB, 4096)
        assert alone.read(3 * MIB, 4096) == whole[3 * MIB : 3 * MIB + 4096]
        alone.close()
        reader = ReadThrough(here, image.digest, [source])
        try:
            for begin, length in ((MIB, 4096), (MIB - 2 * size - 7, 5 * size), (MIB + 100, 10)):
                assert reader.read(begin, length) == whole[begin : begin + length]
            assert source.asked == [(index * size, size)]
        finally:
            reader.close()


def test_a_published_image_that_is_short_is_completed_and_left_when_it_is_repaired(
    here: Store, origin: tuple[Store, Manifest]
) -> None:
    store, image = origin
    whole = bytes_of(store, image)
    pull_image(here, image.digest, [DirectorySource(store.root)], now=0)
    path, source = here.image_path(image.digest), counting(store.root)
    reader = ReadThrough(here, image.digest, [source])
    assert reader.read(0, 10) == whole[:10]
    path.chmod(0o600)
    os.truncate(path, 3 * image.piece_size + 10)
    assert reader.read(2 * image.piece_size, 2 * image.piece_size) == whole[2 * image.piece_size : 4 * image.piece_size]
    assert source.asked == [(3 * image.piece_size, image.piece_size)]
    broken, work = path.stat().st_ino, here.partial_path(image.digest)
    work.write_bytes(whole)
    here.replace(work, image.digest)
    assert reader.read(0, image.size) == whole
    assert len(source.asked) == 1 and not here.ahead_path(image.digest).exists()
    assert broken not in {one.stat().st_ino for one in Path("/proc/self/fd").iterdir() if one.exists()}
    assert _files.held(path)
    reader.close()


def test_what_the_pull_has_is_not_fetched(here: Store, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    half = len(image.pieces) // 2 * image.piece_size
    here.partial_path(image.digest).write_bytes(bytes_of(store, image)[:half])
    source = counting(store.root)
    reader = ReadThrough(here, image.digest, [source])
    assert reader.read(0, half) == bytes_of(store, image)[:half]
    assert source.asked == []
    with here.partial_path(image.digest).open("r+b") as file:
        file.seek(10)
        file.write(b"wrong")
    fresh = ReadThrough(here, image.digest, [source])
    assert fresh.read(0, 100) == bytes_of(store, image)[:100]
    assert source.asked == [(0, image.piece_size)]


def test_an_image_that_arrived_is_read_here_and_held(here: Store, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    source = counting(store.root)
    reader = ReadThrough(here, image.digest, [source])
    reader.read(0, 10)
    pull_image(here, image.digest, [DirectorySource(store.root)], now=0)
    asked = len(source.asked)
    assert reader.read(image.size - 100, 100) == bytes_of(store, image)[-100:]
    assert len(source.asked) == asked
    assert _files.held(here.image_path(image.digest))
    assert not here.ahead_path(image.digest).exists()
    reader.close()
    assert not _files.held(here.image_path(image.digest))


def test_wrong_bytes_are_given_to_nobody(here: Store, origin: tuple[Store, Manifest], tmp_path: Path) -> None:
    store, image = origin
    lying = Store(tmp_path / "lying")
    lying.prepare()
    wrong = bytearray(bytes_of(store, image))
    wrong[image.piece_size * 2 + 7] ^= 1
    lying.image_path(image.digest).write_bytes(wrong)
    lying.adopt(image)
    liar = DirectorySource(lying.root)
    alone = ReadThrough(here, image.digest, [liar])
    with pytest.raises(EdgeError, match="wrong bytes for piece 2") as caught:
        alone.read(image.piece_size * 2, 10)
    assert not isinstance(caught.value, Corrupt | NotFound)
    helped = ReadThrough(here, image.digest, [liar, DirectorySource(store.root)])
    assert helped.read(image.piece_size * 2, 10) == bytes_of(store, image)[image.piece_size * 2 :][:10]


def test_the_digest_decides_and_not_the_source_s_list_of_pieces(
    here: Store, origin: tuple[Store, Manifest], tmp_path: Path
) -> None:
    """The liar's bytes and pieces agree with each other; only the name tells that they are of another image."""
    store, image = origin
    evil = bytearray(bytes_of(store, image))
    evil[image.piece_size * 2 + 7] ^= 1
    lying = Store(tmp_path / "lying")
    lying.prepare()
    lying.image_path(image.digest).write_bytes(evil)
    pieces = describe(lying.image_path(image.digest)).pieces
    lying.pieces_path(image.digest).write_bytes(b"".join(pieces.file()))
    lying.manifest_path(image.digest).write_bytes(image.to_json())
    liar = DirectorySource(lying.root)
    with pytest.raises(Unreachable, match="the list of pieces is not the one"):
        ReadThrough(here, image.digest, [liar]).read(0, 10)
    lying.manifest_path(image.digest).unlink()
    lying.manifest_path(image.digest).write_text(json.dumps({**json.loads(image.to_json()), "root": pieces.root}))
    with pytest.raises(NotFound, match="another image"):
        ReadThrough(here, image.digest, [liar])
    with pytest.raises(NotFound, match="another image"):
        Exports(here, lambda: [liar]).open(image.hex)
    helped = ReadThrough(here, image.digest, [liar, DirectorySource(store.root)])
    assert helped.read(0, image.size) == bytes_of(store, image)


def test_the_sound_manifest_of_another_image_is_refused(here: Store, origin: tuple[Store, Manifest], tmp_path: Path) -> None:
    _store, other = datastore(tmp_path / "other", qcow2(tmp_path / "b.qcow2", 1))

    class Swapping(DirectorySource):
        def manifest(self, digest: str) -> Manifest:
            return super().manifest(other.digest)

    liar = Swapping(tmp_path / "other")
    with pytest.raises(NotFound, match="was asked for"):
        ReadThrough(here, origin[1].digest, [liar])
    with pytest.raises(Corrupt, match="was asked for"):
        pull_image(here, origin[1].digest, [liar], now=0)


def test_an_image_that_nobody_has(here: Store, origin: tuple[Store, Manifest], tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="not here and no source has it"):
        ReadThrough(here, origin[1].digest, [DirectorySource(tmp_path)])


class Weighed(DirectorySource):
    """A source that tells how many bytes it gave: of images, manifests and lists of pieces."""

    given = 0

    def manifest(self, digest: str) -> Manifest:
        found = super().manifest(digest)
        self.given += len(found.to_json())

        def read(offset: int, length: int, _check: Check) -> bytes:
            self.given += length
            return found.pieces.part(offset, length)

        return replace(found, pieces=found.list_from(read, self.name))

    @contextmanager
    def read(self, digest: str, offset: int, length: int) -> Iterator[Reader]:
        self.given += length
        with super().read(digest, offset, length) as reader:
            yield reader


@pytest.mark.parametrize("gib", [1, 8, 100, 1024])
def test_the_first_4_kib_of_an_image_of_any_size_fetch_less_than_1_mib(here: Store, tmp_path: Path, gib: int) -> None:
    """The image is one hole, which the digest binds as zeros."""
    store, size = Store(tmp_path / "large"), gib * 1024**3
    image = hole(store, "large", size)
    source = Weighed(store.root)
    reader = ReadThrough(here, image.digest, [source])
    assert reader.read(size // 2, 4096) == bytes(4096)
    assert source.given < MIB
    given = source.given
    assert reader.read(size // 2 + 4096, 4096) == bytes(4096)
    assert source.given == given
    served = Exports(here, lambda: [source])
    handle = served.open(f"{image.hex}.pieces")
    pieces = image.pieces
    assert served.size(handle) == pieces.length
    assert served.read(handle, pieces.length - 32, 32) == pieces.part(pieces.length - 32, 32)
    served.close(handle)
