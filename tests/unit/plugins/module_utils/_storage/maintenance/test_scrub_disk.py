# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scrub against disks that go bad, interruptions, users and clients: only what is damaged is, and nobody waits for ever."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _files
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy, Corrupt, InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.scrub import Scrub, inspect, limit_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.maintenance.scrub_pass import LONGEST, STATE_FILE, Pass
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.read_through import ReadThrough
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from support.bad_disk import bad_sectors, mounted, new_disk, place_of
from support.images import datastore, qcow2, qemu_img


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[Manifest]]:
    folder = tmp_path_factory.mktemp("origin")
    images = [datastore(folder / "store", qcow2(folder / f"{one}.qcow2", 1, one), version=str(one))[1] for one in (1, 2)]
    return Store(folder / "store"), sorted(images, key=lambda image: image.version)


@pytest.fixture
def here(origin: tuple[Store, list[Manifest]], tmp_path: Path) -> Store:
    shutil.copytree(origin[0].root, tmp_path / "here")
    return Store(tmp_path / "here")


def flip(store: Store, image: Manifest, *pieces: int) -> None:
    path = store.image_path(image.digest)
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    for piece in pieces:
        data[piece * image.piece_size + 99] ^= 1
    path.write_bytes(data)
    path.chmod(0o444)


def part(store: Store, image: Manifest, piece: int) -> bytes:
    """Return bytes of a piece that are nowhere else."""
    begin = piece * image.piece_size + 8192
    return store.image_path(image.digest).read_bytes()[begin : begin + 512]


def test_the_disk_is_read_and_not_the_cache(origin: tuple[Store, list[Manifest]], tmp_path: Path) -> None:
    first = origin[1][0]
    disk = new_disk(tmp_path / "disk", 160)
    with mounted(disk, tmp_path / "mnt") as folder:
        shutil.copytree(origin[0].root, folder / "here")
        here = Store(folder / "here")
        sound = here.image_path(first.digest).read_bytes()
        at = place_of(disk, part(here, first, 5))
        with disk.open("r+b") as file:
            os.pwrite(file.fileno(), b"rotten", at)
        assert here.image_path(first.digest).read_bytes() == sound, "the cache does not have the good bytes any more"
        assert [(one.digest, one.pieces) for one in Scrub(here).look().damaged] == [(first.digest, (5,))]
        Scrub(here, [DirectorySource(origin[0].root)]).run(lambda: 0.0)
        assert Scrub(here).look().damaged == ()


def test_a_sector_that_cannot_be_read_spoils_its_own_image_only(origin: tuple[Store, list[Manifest]], tmp_path: Path) -> None:
    first, second = origin[1]
    disk = new_disk(tmp_path / "disk", 160)
    with mounted(disk, tmp_path / "mnt") as folder:
        shutil.copytree(origin[0].root, folder / "here")
    places = [place_of(disk, part(origin[0], first, 7)), place_of(disk, origin[0].manifest_path(second.digest).read_bytes()[:512])]
    with bad_sectors(disk, places) as bad, mounted(bad, tmp_path / "mnt") as folder:
        here = Store(folder / "here")
        with pytest.raises(OSError, match="Input/output error"):
            here.manifest_path(second.digest).read_bytes()
        health = Scrub(here).look()
        assert health.checked == 2
        assert here.verify(first.digest) == [7]
        assert {one.digest: one.pieces for one in health.damaged} == {first.digest: (7,), second.digest: ()}
        with pytest.raises(Corrupt) as caught:
            Scrub(here).run(lambda: 0.0)
        assert caught.value.details["unrepairable"].keys() == {first.digest, second.digest}
        assert here.find(first.digest) == first
        report = Scrub(here, [DirectorySource(origin[0].root)]).run(lambda: 0.0)[1]
        assert sorted(report["repaired"]) == sorted([first.digest, second.digest])
        assert report["bytes_fetched"] == first.piece_length(7)
        assert Scrub(here).look().damaged == ()


def test_an_interrupted_scrub_goes_on_and_remembers_what_was_damaged(here: Store, origin: tuple[Store, list[Manifest]]) -> None:
    first, second = origin[1]
    flip(here, first, 1)
    read: list[int] = []

    def limit(count: int) -> None:
        read.append(count)
        if sum(read) > first.size:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Scrub(here, limit=limit).run(lambda: 0.0)
    again: list[int] = []
    report = Scrub(here, [DirectorySource(origin[0].root)], limit=again.append).run(lambda: 0.0)[1]
    assert sum(again) == second.size
    assert [(one["digest"], one["pieces"]) for one in report["damaged"]] == [(first.digest, [1])]
    assert report["repaired"] == [first.digest]
    whole: list[int] = []
    Scrub(here, limit=whole.append).run(lambda: 0.0)
    assert sum(whole) == first.size + second.size, "the next scrub did not read all"


def test_a_pass_reads_again_what_was_replaced_and_what_it_read_long_ago(here: Store, origin: tuple[Store, list[Manifest]]) -> None:
    first = origin[1][0]
    path = here.image_path(first.digest)
    going = Pass(here.root / "scrub.json", clock=lambda: 0.0)
    going.position(first.digest, path).pieces = 7
    going.save(now=True)
    assert Pass(here.root / "scrub.json", clock=lambda: LONGEST).position(first.digest, path).pieces == 7
    assert Pass(here.root / "scrub.json", clock=lambda: LONGEST + 1).position(first.digest, path).pieces == 0
    flip(here, first)
    assert Pass(here.root / "scrub.json", clock=lambda: 1.0).position(first.digest, path).pieces == 0
    for text in ("", "[]", "{}", '{"begun": 0, "images": {"x": {"file": "y", "pieces": "z", "damaged": 1}}}'):
        (here.root / "scrub.json").chmod(0o600)
        (here.root / "scrub.json").write_text(text)
        assert Pass(here.root / "scrub.json", clock=lambda: 1.0).position(first.digest, path).pieces == 0


def test_check_mode_leaves_no_trace_and_two_scrubs_do_not_meet(here: Store, origin: tuple[Store, list[Manifest]]) -> None:
    flip(here, origin[1][0], 0)
    before = sorted(path.name for path in here.root.iterdir())
    Scrub(here).run(lambda: 0.0, check=True)
    assert sorted(path.name for path in here.root.iterdir()) == before
    with here.named_lock("scrub"), pytest.raises(Busy):
        Scrub(here).run(lambda: 0.0)


def test_users_of_a_damaged_image_are_told(here: Store, origin: tuple[Store, list[Manifest]], tmp_path: Path) -> None:
    first = origin[1][0]
    flip(here, first, 2)
    (tmp_path / "vms").mkdir()
    qemu_img("create", "-f", "qcow2", "-b", here.image_path(first.digest), "-F", "qcow2", tmp_path / "vms" / "d")
    report = Scrub(here, [DirectorySource(origin[0].root)], [tmp_path / "vms"]).run(lambda: 0.0)[1]
    assert [one["used_by"] for one in report["damaged"]] == [[str(tmp_path / "vms" / "d")]]
    flip(here, first, 2)
    with pytest.raises(Corrupt) as caught:
        Scrub(here, [], [tmp_path / "vms", tmp_path / "none"]).run(lambda: 0.0)
    (told,) = caught.value.details["damaged"]
    assert told["used_by"] == [str(tmp_path / "vms" / "d")]
    assert "is not there" in told["doubts"][0]


def test_a_client_that_reads_an_image_holds_nobody_up(here: Store, origin: tuple[Store, list[Manifest]]) -> None:
    first = origin[1][0]
    flip(here, first, 4)
    client = ReadThrough(here, first.digest, [])
    assert client.read(0, 4) == b"QFI\xfb"
    assert _files.held(here.image_path(first.digest))
    assert Scrub(here, [DirectorySource(origin[0].root)]).run(lambda: 0.0)[1]["repaired"] == [first.digest]
    assert inspect(here, first) is None
    client.close()
    client = ReadThrough(here, first.digest, [])
    client.read(0, 4)
    with pytest.raises(Busy, match=rf"in use by another process now \(held by .*process {os.getpid()}\)"):
        here.remove(first.digest, [], wait=0.2)
    assert here.find(first.digest) == first
    client.close()
    here.remove(first.digest, [])


def test_rates(here: Store) -> None:
    with pytest.raises(InvalidInput, match="rate_limit: -1 is negative"):
        limit_of(-1)
    limit_of(0)(2**40)


def test_a_place_that_cannot_be_recorded_is_no_damage(here: Store, origin: tuple[Store, list[Manifest]]) -> None:
    """On a full disk, for one."""
    here.prepare()
    (here.partial / STATE_FILE).mkdir()
    flip(here, origin[1][1], 3)
    with pytest.raises(Corrupt) as caught:
        Scrub(here).run(lambda: 0.0)
    assert caught.value.details["unrepairable"].keys() == {origin[1][1].digest}
    assert [one["pieces"] for one in caught.value.details["damaged"]] == [[3]]
