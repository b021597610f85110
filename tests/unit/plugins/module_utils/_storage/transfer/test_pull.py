# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pull against real files, real connections, real kills: no wrong byte under a final name, nothing fetched twice."""

from __future__ import annotations

import json
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _files
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, NoSpace, NotFound, Unreachable
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.pieces import Pieces
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import Trust
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.progress import ProgressFile, Report
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import BATCH, Pulled, pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.https import HttpsSource
from support.certificates import Authority
from support.image_server import Faults, faulty
from support.images import MIB, datastore, qcow2, qemu_img
from support.processes import killed
from support.pulls import fetched_by, received, separate
from support.small_disk import small_disk
from support.waiting import LIMIT, until

IMAGE_MIB = 30


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Manifest]:
    folder = tmp_path_factory.mktemp("origin")
    return datastore(folder / "store", qcow2(folder / "a.qcow2", IMAGE_MIB))


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return Store(tmp_path / "here")


def pull(store: Store, image: Manifest, *sources: Any) -> Pulled:
    return pull_image(store, image.digest, sources, now=0)


def whole(store: Store, image: Manifest) -> bool:
    left = [path for path in store.partial.iterdir() if path.suffix != ".lock"]  # a dead process's lock is free, its file harmless
    return store.find(image.digest) == image and store.verify(image.digest) == [] and left == []


def test_a_pull_makes_the_same_image_and_tells_its_progress(here: Store, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    shown: list[tuple[int, int]] = []
    done = pull_image(here, image.digest, [DirectorySource(store.root)], now=0, progress=lambda *one: shown.append(one))
    assert (done.bytes_fetched, done.sources) == (image.size, (str(store.root),))
    assert whole(here, image)
    assert shown[-1] == (image.size, image.size)
    assert shown == sorted(shown)
    assert pull(here, image).bytes_fetched == 0


def test_without_any_source_it_says_so(here: Store, origin: tuple[Store, Manifest]) -> None:
    with pytest.raises(NotFound, match="there are no sources"):
        pull(here, origin[1])


def test_a_source_without_the_image_is_passed_over(here: Store, origin: tuple[Store, Manifest], tmp_path: Path) -> None:
    store, image = origin
    assert pull(here, image, DirectorySource(tmp_path / "empty"), DirectorySource(store.root)).sources == (str(store.root),)
    with pytest.raises(NotFound):
        pull(Store(tmp_path / "other"), image, DirectorySource(tmp_path / "empty"))


@pytest.fixture
def liar(origin: tuple[Store, Manifest], tmp_path: Path) -> Path:
    """A store with one byte flipped at rest in the third piece."""
    store, image = origin
    copy = tmp_path / "liar"
    shutil.copytree(store.root, copy)
    path = Store(copy).image_path(image.digest)
    data = bytearray(path.read_bytes())
    data[2 * image.piece_size + 77] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    return copy


def test_a_lying_source_is_left_and_its_bytes_are_not_used(here: Store, origin: tuple[Store, Manifest], liar: Path) -> None:
    store, image = origin
    with pytest.raises(Corrupt, match="wrong bytes for piece 2"):
        pull(here, image, DirectorySource(liar))
    assert not here.image_path(image.digest).exists()
    done = pull(here, image, DirectorySource(liar), DirectorySource(store.root))
    assert whole(here, image)
    assert str(store.root) in done.sources
    assert done.bytes_fetched <= image.size - 2 * image.piece_size + 2 * image.piece_size


def test_a_lying_manifest_does_not_stop_an_honest_source(here: Store, origin: tuple[Store, Manifest], tmp_path: Path) -> None:
    store, image = origin
    copy = tmp_path / "liar"
    shutil.copytree(store.root, copy)
    lies = {**json.loads(image.to_json()), "root": Pieces.of([bytes(32)] * image.count).root}
    Store(copy).manifest_path(image.digest).unlink()
    Store(copy).manifest_path(image.digest).write_text(json.dumps(lies))
    with pytest.raises(Corrupt, match="another image"):
        pull(here, image, DirectorySource(copy))
    assert pull(here, image, DirectorySource(copy), DirectorySource(store.root)).manifest == image
    assert whole(here, image)


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
def test_a_damaged_list_of_pieces_does_not_stop_a_sound_source(
    here: Store, origin: tuple[Store, Manifest], tmp_path: Path, harm: str
) -> None:
    store, image = origin
    copy = Store(tmp_path / "damaged")
    shutil.copytree(store.root, copy.root)
    path = copy.pieces_path(image.digest)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.unlink()
    if harm != "gone":
        path.write_bytes(data if harm == "flipped" else data[:-1])
    with pytest.raises(
        NotFound if harm == "gone" else Corrupt, match="is not there" if harm == "gone" else "the list of pieces is not the one"
    ):
        pull(here, image, DirectorySource(copy.root))
    assert list(here.partial.iterdir()) == []
    pull(here, image, DirectorySource(copy.root), DirectorySource(store.root))
    assert whole(here, image)


def test_the_kept_list_of_a_pull_is_proven_again(here: Store, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    here.prepare()
    here.listing_path(image.digest).write_bytes(b"what a killed pull left")
    pull(here, image, DirectorySource(store.root))
    assert whole(here, image)
    assert here.pieces_path(image.digest).read_bytes() == store.pieces_path(image.digest).read_bytes()


def test_a_manifest_that_lies_about_the_disk_is_not_published(here: Store, origin: tuple[Store, Manifest], tmp_path: Path) -> None:
    """Its publisher lied, since the digest is right: the bytes are of another disk than their manifest says."""
    store, image = origin
    liar = Store(tmp_path / "liar")
    liar.prepare()
    words = {key: value for key, value in vars(image).items() if key not in {"digest", "root"}} | {"virtual_size": 2**50}
    lies = Manifest.new(**words)
    shutil.copy(store.image_path(image.digest), liar.image_path(lies.digest))
    liar.adopt(lies)
    with pytest.raises(Corrupt, match="virtual size"):
        pull(here, lies, DirectorySource(liar.root))
    assert here.find(lies.digest) is None
    assert not here.partial_path(lies.digest).exists()


@pytest.mark.parametrize("cut", [0, 1, 5 * MIB, 17 * MIB])
def test_a_cut_connection_is_resumed_from_another_source(
    here: Store, origin: tuple[Store, Manifest], authority: Authority, cut: int
) -> None:
    store, image = origin
    pair = authority.issue("127.0.0.1")
    faults = Faults(cut_after=cut)
    with faulty(store.root, faults, pair) as url, faulty(store.root, Faults(), pair) as other:
        trust = Trust(authority.ca_file)
        done = pull(here, image, HttpsSource(url, trust), HttpsSource(other, trust))
    assert whole(here, image)
    assert done.bytes_fetched <= image.size + BATCH
    assert faults.cuts == 0


def test_a_byte_flipped_in_flight_never_arrives(here: Store, origin: tuple[Store, Manifest], authority: Authority) -> None:
    store, image = origin
    with faulty(store.root, Faults(flip_at=9 * MIB), authority.issue("127.0.0.1")) as url:
        source = HttpsSource(url, Trust(authority.ca_file))
        with pytest.raises(Corrupt, match="wrong bytes"):
            pull(here, image, source)
        assert here.find(image.digest) is None
        assert pull(here, image, source, DirectorySource(store.root)).sources[-1] == str(store.root)
    assert whole(here, image)


def test_a_source_that_breaks_again_and_again_is_enough(here: Store, origin: tuple[Store, Manifest], authority: Authority) -> None:
    store, image = origin
    with faulty(store.root, Faults(cut_after=13 * MIB + 1, cuts=99), authority.issue("127.0.0.1")) as url:
        done = pull(here, image, HttpsSource(url, Trust(authority.ca_file)))
    assert image.size < done.bytes_fetched <= image.size + 3 * BATCH
    assert whole(here, image)


def test_a_list_that_is_cut_on_its_way_is_no_lie(here: Store, origin: tuple[Store, Manifest], authority: Authority) -> None:
    store, image = origin
    with faulty(store.root, Faults(cut_list=True), authority.issue("127.0.0.1")) as url:
        source = HttpsSource(url, Trust(authority.ca_file))
        with pytest.raises(Unreachable, match=rf"{image.hex}\.pieces\): the connection ended after"):
            pull(here, image, source)
        pull(here, image, source, DirectorySource(store.root))
    assert whole(here, image)


@pytest.mark.parametrize("kind", ["json", "pieces", "qcow2"])
def test_a_folder_that_cannot_be_read_is_an_error_of_that_source(
    here: Store, origin: tuple[Store, Manifest], tmp_path: Path, kind: str
) -> None:
    store, image = origin
    copy = Path(shutil.copytree(store.root, tmp_path / "copy"))
    path = copy / f"{image.hex}.{kind}"
    path.unlink()
    path.mkdir()
    with pytest.raises((Unreachable, Corrupt), match=f"{path} cannot be read: Is a directory"):
        pull(here, image, DirectorySource(copy))
    pull(here, image, DirectorySource(copy), DirectorySource(store.root))
    assert whole(here, image)


def test_a_source_that_is_away_is_an_error_that_names_it(here: Store, origin: tuple[Store, Manifest], authority: Authority) -> None:
    with pytest.raises(Unreachable, match=r"https://127\.0\.0\.1:9/"):
        pull(here, origin[1], HttpsSource("https://127.0.0.1:9/", Trust(authority.ca_file)))


@pytest.mark.parametrize("at", [100, 4 * MIB - 1, 4 * MIB, 11 * MIB, 29 * MIB])
def test_a_killed_puller_is_resumed_within_two_batches(
    here: Store, origin: tuple[Store, Manifest], authority: Authority, at: int
) -> None:
    store, image = origin
    faults = Faults(stop_at=at)
    with faulty(store.root, faults, authority.issue("127.0.0.1")) as url:
        victim = separate(here, image, url, authority.ca_file)
        assert faults.reached.wait(LIMIT)
        partial, known = here.partial_path(image.digest), max(0, at // BATCH - 1) * BATCH
        until(lambda: partial.exists() and partial.stat().st_size >= known, "the growth of the partial file")
        victim.kill()
        victim.wait()
        faults.stop_at = None
        faults.go_on.set()
        assert here.find(image.digest) is None
        done = pull(here, image, HttpsSource(url, Trust(authority.ca_file)))
    assert whole(here, image)
    assert image.size - at - BATCH <= done.bytes_fetched <= image.size - at + 2 * BATCH


class Told(Report):
    """What a pull told of its progress."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.rows.append(("pulled", done, total))

    def scanned(self, done: int, total: int) -> None:
        self.rows.append(("scanned", done, total))


@pytest.mark.parametrize("left", ["partial", "image without manifest"])
def test_a_resumed_pull_tells_that_it_scans_what_is_here(here: Store, origin: tuple[Store, Manifest], left: str) -> None:
    store, image = origin
    here.prepare()
    data = store.image_path(image.digest).read_bytes()
    if left == "partial":
        size = 300 * image.piece_size
        here.partial_path(image.digest).write_bytes(data[:size])
    else:
        size = image.size
        here.image_path(image.digest).write_bytes(data)
    told = Told()
    pull_image(here, image.digest, [DirectorySource(store.root)], now=0, progress=told)
    scanned = [row for row in told.rows if row[0] == "scanned"]
    assert told.rows[: len(scanned)] == scanned
    assert scanned == sorted(scanned) and len(scanned) > 3
    assert scanned[-1] == ("scanned", size, size)
    if left == "partial":
        assert told.rows[len(scanned)] == ("pulled", size, image.size)
    assert whole(here, image)


def test_holes_of_what_is_here_are_not_read(here: Store, tmp_path: Path) -> None:
    """A sparse image of 1 TiB would take hours."""
    path = tmp_path / "sparse.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", path, "64M")
    store, image = datastore(tmp_path / "origin", path)
    here.prepare()
    with here.partial_path(image.digest).open("wb") as file:
        file.truncate(image.size)
    told = Told()
    done = pull_image(here, image.digest, [DirectorySource(store.root)], now=0, progress=told)
    assert [row for row in told.rows if row[0] == "scanned"] == []
    assert done.bytes_fetched < image.size / 4
    assert whole(here, image)


def test_the_line_for_people_says_what_is_scanned(tmp_path: Path) -> None:
    clock = iter([0.0, 0.5, 2.0, 2.1])
    line = ProgressFile(tmp_path / "line", "Pulling debian 1", lambda: next(clock))
    line.scanned(MIB, 4 * MIB)
    line.scanned(2 * MIB, 4 * MIB)
    assert (tmp_path / "line").read_text() == "Pulling debian 1: scanning what is here already, 25 % (1 of 4 MiB)\n"
    line(2 * MIB, 8 * MIB)
    assert (tmp_path / "line").read_text() == "Pulling debian 1: 25 % (2 of 8 MiB)\n"
    line(8 * MIB, 8 * MIB)
    assert (tmp_path / "line").read_text() == "Pulling debian 1: 100 % (8 of 8 MiB)\n"


def test_two_pullers_fetch_once(here: Store, origin: tuple[Store, Manifest], authority: Authority) -> None:
    store, image = origin
    faults = Faults(stop_at=6 * MIB)
    with faulty(store.root, faults, authority.issue("127.0.0.1")) as url:
        pair = [separate(here, image, url, authority.ca_file) for _any in range(2)]
        assert faults.reached.wait(LIMIT)
        faults.stop_at = None
        faults.go_on.set()
        assert sorted(fetched_by(one) for one in pair) == [0, image.size]
    assert whole(here, image)


@pytest.mark.parametrize("harm", ["flip", "hole", "tail", "longer"])
def test_what_a_partial_file_claims_is_proven_again(here: Store, origin: tuple[Store, Manifest], harm: str) -> None:
    store, image = origin
    here.prepare()
    data = bytearray(store.image_path(image.digest).read_bytes())
    if harm == "flip":
        data[image.piece_size + 5] ^= 1
    elif harm == "hole":
        data[image.piece_size : 2 * image.piece_size] = bytes(image.piece_size)
    elif harm == "tail":
        del data[-10:]
    else:
        data += b"more"
    here.partial_path(image.digest).write_bytes(data)
    bad = {"flip": image.piece_size, "hole": image.piece_size, "tail": image.piece_length(len(image.pieces) - 1), "longer": 0}[harm]
    assert pull(here, image, DirectorySource(store.root)).bytes_fetched == bad
    assert whole(here, image)


def test_a_kill_between_the_two_renames_costs_no_fetch(here: Store, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    pull(here, image, DirectorySource(store.root))
    here.manifest_path(image.digest).unlink()
    assert pull(here, image, DirectorySource(store.root)).bytes_fetched == 0
    assert whole(here, image)


def test_a_damaged_image_under_the_final_name_is_replaced(here: Store, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    pull(here, image, DirectorySource(store.root))
    here.manifest_path(image.digest).unlink()
    here.image_path(image.digest).chmod(0o644)
    with here.image_path(image.digest).open("r+b") as file:
        file.write(b"damage")
    pull(here, image, DirectorySource(store.root))
    assert whole(here, image)


def test_a_kill_before_any_change_of_the_disk_converges(tmp_path: Path, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    kills, here = 0, Store(tmp_path / "here")
    source = DirectorySource(store.root)
    while killed(lambda: pull(here, image, source), kills + 1, opens=lambda path: path.startswith(str(here.root))):
        kills += 1
        assert here.find(image.digest) is None or here.verify(image.digest) == []
        pull(here, image, source)
        assert whole(here, image)
        shutil.rmtree(here.root)
    assert kills > 10
    assert whole(here, image)


def test_random_kills_lose_nothing(tmp_path: Path, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    dice = random.Random(20260102)
    hits = 0
    for number in range(100):
        here, tally, enough = Store(tmp_path / str(number)), tmp_path / f"{number}.tally", dice.randrange(image.size)
        victim = separate(here, image, store.root, tally=tally)
        until(lambda tally=tally, enough=enough: received(tally) > enough, every=0.0002)  # type: ignore[misc]
        victim.kill()
        hits += victim.wait() == -signal.SIGKILL
        assert here.find(image.digest) is None or here.verify(image.digest) == []
        pull(here, image, DirectorySource(store.root))
        assert whole(here, image)
        shutil.rmtree(here.root)
        if hits == 8:
            return
    pytest.fail(f"only {hits} of 100 kills came before the end of the pull")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", 20) as path:
        yield path


def test_no_space_is_seen_before_anything_is_written(small: Path, origin: tuple[Store, Manifest]) -> None:
    store, image = origin
    here = Store(small / "store")
    with pytest.raises(NoSpace, match="needs"):
        pull(here, image, DirectorySource(store.root))
    assert list(here.partial.iterdir()) == []


def test_a_very_long_list_of_pieces_does_not_take_the_reserve(small: Path, origin: tuple[Store, Manifest]) -> None:
    """The digest binds it, so it is not a lie; nothing of it is fetched."""
    store, image = origin
    here = Store(small / "store")
    asked: list[int] = []
    pieces = Pieces(2**24, "0" * 64, lambda offset, _length, _check: asked.append(offset) or b"", "the source")
    words = {key: value for key, value in vars(image).items() if key not in {"digest", "root", "pieces", "size", "piece_size"}}
    long = Manifest.new(**words, pieces=pieces, size=2**40, piece_size=65536)
    source = DirectorySource(store.root)
    source.manifest = lambda _digest: long  # type: ignore[method-assign]
    with pytest.raises(NoSpace, match=f"needs {pieces.length} bytes"):
        pull(here, long, source)
    assert asked == []
    assert list(here.partial.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(
    small: Path, origin: tuple[Store, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, image = origin
    here = Store(small / "store")
    monkeypatch.setattr(_files, "free_bytes", lambda _folder: 2**40)  # as if the space had been there a moment ago
    with pytest.raises(NoSpace, match="No space left"):
        pull(here, image, DirectorySource(store.root))
    assert list(here.partial.iterdir()) == []
    assert here.find(image.digest) is None
