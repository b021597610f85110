# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces that are on this host already: the plan by properties, the copy by real images, damaged and moved ones too."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.pieces import Pieces
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import digest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import (
    LARGEST_PIECE,
    MOST_PIECES,
    SMALLEST_PIECE,
    Manifest,
    piece_size_for,
)
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer import delta, partial_file
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import Pulled, pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from hypothesis import given
from hypothesis import strategies as st
from support.images import changed, datastore, qcow2

PIECE = SMALLEST_PIECE
contents = st.lists(st.sampled_from("abcde"), min_size=1, max_size=12)


def hashes(letters: list[str]) -> Pieces:
    return Pieces.of(hashlib.sha256(letter.encode()).digest() for letter in letters)


@pytest.mark.parametrize("window", [1, 3, delta.WINDOW])
@given(contents, st.lists(contents, max_size=3), st.sets(st.integers(0, 11)), st.booleans())
def test_each_piece_is_copied_once_from_where_it_is(
    window: int, new: list[str], old: list[list[str]], good: set[int], short: bool
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(delta, "WINDOW", window)
        check_copies(new, old, good, short)


def check_copies(new: list[str], old: list[list[str]], good: set[int], short: bool) -> None:
    size = len(new) * PIECE - (7 if short else 0)
    wanted = hashes(new)
    bound = {"size": size, "virtual_size": 1, "piece_size": PIECE}
    image = Manifest.new(**bound, pieces=wanted, name="n", version="1", created="2026-01-02T03:04:05Z")
    there = [delta.Candidate(Path(str(number)), len(one) * PIECE, hashes(one)) for number, one in enumerate(old)]
    seen: list[int] = []
    for extent in delta.extents(image, good, there):
        source = old[int(str(extent.path))]
        begin = extent.source_offset // PIECE
        assert new[extent.pieces.start : extent.pieces.stop] == source[begin : begin + len(extent.pieces)]
        assert (extent.offset, extent.length) == (extent.pieces.start * PIECE, len(extent.pieces) * PIECE)
        seen += extent.pieces
    known = {letter for one in old for letter in one}
    last = {len(new) - 1} if short else set()
    assert seen == sorted({index for index, letter in enumerate(new) if letter in known} - good - last)


def test_a_plan_takes_less_memory_than_a_set_of_what_is_wanted() -> None:
    """Places are kept for one window of the image; each list is read once for each window."""
    peaks = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(delta, "WINDOW", 512)
        for count in (8192,):
            pieces = Pieces.of(hashlib.sha256(b"%d" % number).digest() for number in range(count))
            bound = {"size": count * PIECE, "virtual_size": 1, "piece_size": PIECE}
            image = Manifest.new(**bound, pieces=pieces, name="n", version="1", created="2026-01-02T03:04:05Z")
            there = [delta.Candidate(Path("old"), count * PIECE, pieces)]
            tracemalloc.start()
            assert sum(len(one.pieces) for one in delta.extents(image, set(), there)) == count
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[0] < 100 * 8192  # a set and the places of all pieces took 300 bytes for each


@given(st.integers(1, 2**50))
def test_pieces_are_few_but_small(size: int) -> None:
    length = piece_size_for(size)
    assert -(-size // length) <= MOST_PIECES or length == LARGEST_PIECE
    assert length == PIECE or size > MOST_PIECES * length // 2


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Manifest, Manifest]:
    """A datastore with an image and its next version, of which 5 % are changed in clusters here and there."""
    folder = tmp_path_factory.mktemp("origin")
    first = qcow2(folder / "1.qcow2", 40)
    second = changed(first, folder / "2.qcow2", share=0.05, extent=PIECE)
    store, one = datastore(folder / "store", first)
    return store, one, datastore(folder / "store", second, version="2")[1]


def pull(here: Store, image: Manifest, source: Store) -> Pulled:
    return pull_image(here, image.digest, [DirectorySource(source.root)], now=0)


def whole(here: Store, image: Manifest) -> bool:
    return here.find(image.digest) == image and here.verify(image.digest) == [] and list(here.partial.iterdir()) == []


def test_a_new_version_moves_only_what_changed(tmp_path: Path, origin: tuple[Store, Manifest, Manifest]) -> None:
    source, one, two = origin
    here = Store(tmp_path / "here")
    assert pull(here, one, source).bytes_reused == 0
    done = pull(here, two, source)
    assert whole(here, two)
    assert done.bytes_fetched + done.bytes_reused == two.size
    assert 0.04 * two.size < done.bytes_fetched < 0.07 * two.size
    assert whole(here, one)


@pytest.mark.parametrize("refusal", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_the_kernel_does_not_copy_we_do(
    tmp_path: Path, origin: tuple[Store, Manifest, Manifest], monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    def refuse(*_arguments: Any) -> int:
        raise OSError(refusal, os.strerror(refusal))

    source, one, two = origin
    here = Store(tmp_path / "here")
    pull(here, one, source)
    monkeypatch.setattr(partial_file.os, "copy_file_range", refuse)  # type: ignore[attr-defined]
    done = pull(here, two, source)
    assert whole(here, two)
    assert done.bytes_reused > 0.9 * two.size


@pytest.mark.parametrize("harm", ["flip", "gone"])
def test_a_damaged_old_image_is_not_believed(tmp_path: Path, origin: tuple[Store, Manifest, Manifest], harm: str) -> None:
    source, one, two = origin
    here = Store(tmp_path / "here")
    pull(here, one, source)
    path = here.image_path(one.digest)
    path.chmod(0o644)
    with path.open("r+b") as file:
        for index in (100, 101, 300):
            file.seek(index * PIECE + 5)
            file.write(b"damage")
    if harm == "gone":
        path.unlink()
    done = pull(here, two, source)
    assert whole(here, two)
    assert done.bytes_fetched + done.bytes_reused == two.size
    assert (done.bytes_reused == 0) == (harm == "gone")


def test_an_old_image_of_other_pieces_serves_too(tmp_path: Path, origin: tuple[Store, Manifest, Manifest]) -> None:
    source, one, two = origin
    here = Store(tmp_path / "here")
    pull(here, one, source)
    words = {key: value for key, value in vars(one).items() if key not in {"digest", "size", "piece_size", "pieces", "root"}}
    old = Manifest.new(**words, **vars(digest.describe(here.image_path(one.digest), LARGEST_PIECE)))
    here.image_path(one.digest).rename(here.image_path(old.digest))
    here.manifest_path(one.digest).unlink()
    here.adopt(old)
    assert pull(here, two, source).bytes_reused > 0.9 * two.size
    assert whole(here, old)


def test_what_an_older_try_left_is_used_first(tmp_path: Path, origin: tuple[Store, Manifest, Manifest]) -> None:
    source, one, two = origin
    here = Store(tmp_path / "here")
    pull(here, one, source)
    shutil.copy(here.image_path(one.digest), here.partial_path(two.digest))  # an older try that took the wrong bytes
    done = pull(here, two, source)
    assert whole(here, two)
    assert done.bytes_fetched < 0.07 * two.size
