# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scrub against bytes flipped at rest: found, repaired by the damaged pieces alone, never under a reader's hands."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.scrub import Damage, RepairImage, Scrub, inspect
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from support.images import datastore, qcow2
from support.processes import killed


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Manifest]:
    folder = tmp_path_factory.mktemp("origin")
    return datastore(folder / "store", qcow2(folder / "a.qcow2", 18))


@pytest.fixture
def here(origin: tuple[Store, Manifest], tmp_path: Path) -> Store:
    shutil.copytree(origin[0].root, tmp_path / "here")
    return Store(tmp_path / "here")


def flip(store: Store, image: Manifest, *pieces: int) -> None:
    path = store.image_path(image.digest)
    path.chmod(0o644)
    with path.open("r+b") as file:
        for piece in pieces:
            at = piece * image.piece_size + 99
            byte = os.pread(file.fileno(), 1, at)
            os.pwrite(file.fileno(), bytes([byte[0] ^ 1]), at)
    path.chmod(0o444)


def scrubbed(store: Store, *sources: Path) -> tuple[Scrub, list[RepairImage]]:
    scrub = Scrub(store, [DirectorySource(source) for source in sources])
    steps = scrub.plan(repair=True).steps
    return scrub, [step for step in steps if isinstance(step, RepairImage) and scrub.apply(step, 0)]


def whole(store: Store, image: Manifest) -> bool:
    return store.find(image.digest) == image and inspect(store, image) is None and list(store.partial.iterdir()) == []


@pytest.mark.parametrize("pieces", [(1,), (0, 3), (4,), (0, 1, 2, 3, 4)])
def test_only_the_damaged_pieces_are_fetched(here: Store, origin: tuple[Store, Manifest], pieces: tuple[int, ...]) -> None:
    image = origin[1]
    flip(here, image, *pieces)
    with here.image_path(image.digest).open("rb") as running:
        damaged = running.read()
        scrub, done = scrubbed(here, origin[0].root)
        running.seek(0)
        assert running.read() == damaged, "the file was changed under the hands of who reads it"
    assert [step.damage.pieces for step in done] == [pieces]
    assert scrub.bytes_fetched == sum(image.piece_length(index) for index in pieces)
    assert whole(here, image)
    assert not Scrub(here).plan(repair=True).changed


def test_damage_that_no_source_can_mend_is_reported_and_nothing_is_lost(
    here: Store, origin: tuple[Store, Manifest], tmp_path: Path
) -> None:
    image = origin[1]
    flip(here, image, 2)
    shutil.copytree(here.root, tmp_path / "liar")
    before = here.image_path(image.digest).read_bytes()
    for sources in ([], [tmp_path / "liar"], [tmp_path / "none"]):
        scrub, done = scrubbed(here, *sources)
        assert (done, list(scrub.unrepairable)) == ([], [image.digest])
    assert here.find(image.digest) == image
    assert here.image_path(image.digest).read_bytes() == before
    assert len(scrubbed(here, tmp_path / "liar", origin[0].root)[1]) == 1
    assert whole(here, image)


@pytest.mark.parametrize("harm", ["manifest", "length"])
def test_a_broken_image_is_pulled_again(here: Store, origin: tuple[Store, Manifest], harm: str) -> None:
    image = origin[1]
    path = here.manifest_path(image.digest) if harm == "manifest" else here.image_path(image.digest)
    path.chmod(0o644)
    os.truncate(path, 100)
    assert Scrub(here).look().damaged == (Damage(image.digest),)
    scrub, done = scrubbed(here, origin[0].root)
    assert len(done) == 1
    assert scrub.bytes_fetched == (0 if harm == "manifest" else image.size)
    assert whole(here, image)


HARMED: list[dict[str, Any]] = [
    {"root": "0" * 64}, {"root": None}, {"size": 5}, {"virtual_size": 5}, {"piece_size": 128 * 1024}, {"piece_size": "x"},
]  # fmt: skip


def spoil(store: Store, image: Manifest, **changes: Any) -> None:
    path = store.manifest_path(image.digest)
    data = {**json.loads(path.read_bytes()), **changes}
    path.chmod(0o644)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize("changes", HARMED)
def test_a_damaged_manifest_is_put_right_by_whole_bytes(
    here: Store, origin: tuple[Store, Manifest], changes: dict[str, Any]
) -> None:
    image = origin[1]
    spoil(here, image, **changes)
    assert here.find(image.digest) is None
    assert [one.pieces for one in Scrub(here).look().damaged] == [()]
    assert len(scrubbed(here)[1]) == 1
    assert whole(here, image)


@pytest.mark.parametrize("bytes_too", [False, True])
def test_a_damaged_list_of_pieces_is_made_anew(here: Store, origin: tuple[Store, Manifest], bytes_too: bool) -> None:
    """From the bytes, and by a source only where they are damaged too. Until then the image is read as before."""
    store, image = origin
    path = here.pieces_path(image.digest)
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    if bytes_too:
        flip(here, image, 1)
    assert here.find(image.digest) == image
    assert Scrub(here).look().damaged == (Damage(image.digest, "debian 1"),)
    scrub, done = scrubbed(here, store.root)
    assert len(done) == 1
    assert scrub.bytes_fetched == (image.piece_length(1) if bytes_too else 0)
    assert path.read_bytes() == good
    assert whole(here, image)


@pytest.mark.parametrize("changes", [{"name": "../x"}, {"version": None}, {"created": 1}])
def test_a_manifest_that_does_not_tell_what_the_image_is_comes_from_a_source(
    here: Store, origin: tuple[Store, Manifest], changes: dict[str, Any]
) -> None:
    image = origin[1]
    spoil(here, image, **changes)
    assert list(scrubbed(here)[0].unrepairable) == [image.digest]
    assert scrubbed(here, origin[0].root)[0].bytes_fetched == 0
    assert whole(here, image)


def test_bytes_of_another_image_get_no_manifest(here: Store, origin: tuple[Store, Manifest]) -> None:
    image = origin[1]
    flip(here, image, 1)
    spoil(here, image, root="0" * 64)
    assert list(scrubbed(here)[0].unrepairable) == [image.digest]
    assert here.find(image.digest) is None
    assert len(scrubbed(here, origin[0].root)[1]) == 1
    assert whole(here, image)


def test_what_another_process_mended_or_removed_meanwhile_is_let_be(here: Store, origin: tuple[Store, Manifest]) -> None:
    image = origin[1]
    step = RepairImage(Damage(image.digest, "debian 1", (1,)))
    scrub = Scrub(here)
    assert scrub.apply(step, 0)
    here.remove(image.digest, [])
    assert scrub.apply(step, 0)
    assert inspect(here, image) is None
    assert scrub.bytes_fetched == 0


def test_a_kill_at_any_step_of_a_repair_leaves_the_old_or_the_new_bytes(here: Store, origin: tuple[Store, Manifest]) -> None:
    image = origin[1]
    flip(here, image, 1, 3)
    damaged = here.image_path(image.digest).read_bytes()
    kept = here.image_path(image.digest).with_suffix(".kept")
    shutil.copy2(here.image_path(image.digest), kept)
    sound = origin[0].image_path(image.digest).read_bytes()
    kills = 0
    while killed(lambda: scrubbed(here, origin[0].root), kills + 1, opens=lambda path: "partial" in path):
        kills += 1
        assert here.image_path(image.digest).read_bytes() in (damaged, sound)
        assert here.find(image.digest) == image
        if kills % 5 == 0:
            scrubbed(here, origin[0].root)
            assert inspect(here, image) is None
        here.image_path(image.digest).unlink()
        shutil.copy2(kept, here.image_path(image.digest))
    assert kills > 10
    assert here.find(image.digest) == image
    assert inspect(here, image) is None
