# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs side by side never fill a file system, and what found no space leaves nothing; on the file systems that hosts have."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _files, _sparse
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._errors import DiskFailed, NoSpace
from ansible_collections.edge.cloud.plugins.module_utils._space import Growing, Space, give_back
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.foreign_image import Rules
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.download import downloaded
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.import_ import ImageDescription, import_file
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.digest import checksum_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import Trust
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.partial_file import Assembly
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.prefetch import PieceFile
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from support.image_server import Faults, faulty
from support.images import MIB, QEMU, datastore, qcow2, raw

FILE_SYSTEMS = ["tmpfs", "ext4", "xfs", "btrfs"]
SMALLEST = {"tmpfs": 0, "ext4": 0, "xfs": 300, "btrfs": 256}
IMAGE_MIB = 24
IMAGES = 3
PULL = """
import sys
from pathlib import Path
from ansible_collections.edge.cloud.plugins.module_utils._errors import NoSpace
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.prefetch import PieceFile
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
sys.stdin.readline()
try:
    pull_image(Store(Path(sys.argv[1])), sys.argv[3], [DirectorySource(Path(sys.argv[2]))], now=0)
except NoSpace as error:
    sys.exit(str(error.message))
"""


@contextlib.contextmanager
def mounted(kind: str, folder: Path, mib: int) -> Iterator[Path]:
    """Have a file system of a kind with about ``mib`` MiB free; skip the test where it cannot be made."""
    if os.geteuid() != 0:
        pytest.skip("a file system can be mounted by root only")
    path, device = folder / kind, folder / f"{kind}.disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "small", path]
    if kind != "tmpfs":
        if shutil.which(f"mkfs.{kind}") is None:
            pytest.skip(f"mkfs.{kind} is not installed")
        with device.open("wb") as file:
            file.truncate((max(mib, SMALLEST[kind]) + 24) * MIB)
        subprocess.run([f"mkfs.{kind}", *(["-m", "0"] if kind == "ext4" else []), device], check=True, capture_output=True)
        command = ["mount", "-o", "loop", device, path]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip(f"{kind} cannot be mounted here")
    try:
        fill = _files.free_bytes(path) - mib * MIB
        if fill > 0:
            with (path / "filler").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, fill)
        yield path
    finally:
        subprocess.run(["umount", path], check=True)
        device.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[Manifest]]:
    folder, images = tmp_path_factory.mktemp("origin"), []
    for number in range(IMAGES):
        source = qcow2(folder / f"{number}.qcow2", IMAGE_MIB, seed=number + 1)
        store, image = datastore(folder / "store", source, name=f"image{number}")
        images.append(image)
    return store, images


class Interrupted(Exception):
    """The pull is ended in the middle."""


class Watch:
    """The least that was free in a file system while the block ran."""

    def __init__(self, path: Path) -> None:
        self._path, self._over = path, threading.Event()
        self.least = 2**60

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._over.wait(0.002):
            self.least = min(self.least, _files.free_bytes(self._path))

    def __exit__(self, *_any: object) -> None:
        self._over.set()
        self._thread.join()


def pulls(origin: tuple[Store, list[Manifest]], roots: list[Path]) -> list[str]:
    """Pull each image in a process of its own, all at once, and return their errors."""
    store, images = origin
    arguments = [[sys.executable, "-c", PULL, root, store.root, one.digest] for root, one in zip(roots, images, strict=True)]
    started = [subprocess.Popen(one, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for one in arguments]
    for process in started:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate()[1] for process in started]


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
@pytest.mark.parametrize("apart", [False, True], ids=["one store", "a store each"])
def test_three_pulls_side_by_side_keep_the_reserve(
    tmp_path: Path, origin: tuple[Store, list[Manifest]], kind: str, apart: bool
) -> None:
    room = 64 + 2 * IMAGE_MIB + 16  # of three images two have space
    with mounted(kind, tmp_path, room) as disk:
        roots = [disk / (f"store{number}" if apart else "store") for number in range(IMAGES)]
        with Watch(disk) as watch:
            errors = pulls(origin, roots)
        here = [Store(root).find(one.digest) for root, one in zip(roots, origin[1], strict=True)]
        assert sum(one is not None for one in here) == 2, errors
        assert sum(bool(error) for error in errors) == 1
        assert "needs" in "".join(errors) and "reserve" in "".join(errors) and "Traceback" not in "".join(errors)
        assert apart or watch.least >= _files.RESERVE - MIB
        for root, one in zip(roots, origin[1], strict=True):
            store = Store(root)
            assert store.find(one.digest) or not list(store.partial.glob(f"{one.hex}*"))
            assert not store.find(one.digest) or store.verify(one.digest) == []


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_what_is_taken_and_not_used_is_given_back(tmp_path: Path, kind: str) -> None:
    with mounted(kind, tmp_path, 160) as disk:
        before = _files.free_bytes(disk)
        descriptor = os.open(disk / "file", os.O_RDWR | os.O_CREAT)
        try:
            os.write(descriptor, b"x" * MIB)
            Space(disk, "The test").take(descriptor, [(MIB, 40 * MIB)])
            assert os.fstat(descriptor).st_size == MIB
            assert _files.free_bytes(disk) <= before - 40 * MIB
            with pytest.raises(NoSpace, match=r"The test needs \d+ bytes and \d+ in reserve"):
                Space(disk, "The test").take(descriptor, [(41 * MIB, 80 * MIB)])
            assert _files.free_bytes(disk) >= before - 43 * MIB
            give_back(descriptor, [(0, MIB)])
            assert os.fstat(descriptor).st_size == MIB
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        assert _files.free_bytes(disk) >= before - 4 * MIB
        assert sorted(path.name for path in disk.iterdir() if path.name not in ("filler", "lost+found")) == ["file"]


def test_an_interrupted_pull_takes_what_it_received(tmp_path: Path, origin: tuple[Store, list[Manifest]]) -> None:
    store, images = origin
    here = Store(tmp_path / "here")
    source = DirectorySource(store.root)

    def stop(done: int, _total: int) -> None:
        if done > 8 * MIB:
            raise Interrupted

    with pytest.raises(Interrupted):
        pull_image(here, images[0].digest, [source], now=0, progress=stop)
    part = here.partial_path(images[0].digest)
    assert MIB <= part.stat().st_size < images[0].size
    assert part.stat().st_blocks * 512 <= part.stat().st_size + MIB
    pull_image(here, images[0].digest, [source], now=0)
    assert here.verify(images[0].digest) == []


def test_what_a_killed_pull_had_taken_is_freed_by_the_next_one(tmp_path: Path, origin: tuple[Store, list[Manifest]]) -> None:
    store, images = origin
    here, first = Store(tmp_path / "here"), images[0]
    victim = os.fork()
    if victim == 0:
        os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
        kill = partial(os.kill, os.getpid(), signal.SIGKILL)
        pull_image(here, first.digest, [DirectorySource(store.root)], now=0, progress=lambda done, _total: kill() if done else None)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(victim, 0)[1]) == -signal.SIGKILL
    part = here.partial_path(first.digest)
    before = part.stat()
    assert before.st_blocks * 512 >= first.size - MIB > before.st_size
    pull_image(here, images[1].digest, [DirectorySource(store.root)], now=before.st_mtime)
    after = part.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert after.st_blocks * 512 <= after.st_size + MIB
    pull_image(here, first.digest, [DirectorySource(store.root)], now=0)
    assert here.verify(first.digest) == []


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_what_a_killed_pull_had_taken_in_the_middle_is_freed_too(tmp_path: Path, kind: str) -> None:
    with mounted(kind, tmp_path, 160) as disk:
        store = Store(disk / "here")
        store.prepare()
        with store.partial_path(f"sha256:{'a' * 64}").open("wb") as file:
            Space(disk, "The test").take(file.fileno(), [(0, 40 * MIB)])
            _sparse.write(file.fileno(), b"x" * MIB, 20 * MIB)
            _sparse.write(file.fileno(), b"x" * MIB, 39 * MIB)
        store.sweep(0)
        after = store.partial_path(f"sha256:{'a' * 64}")
        assert after.stat().st_blocks * 512 <= 4 * MIB
        assert after.read_bytes() == bytes(20 * MIB) + b"x" * MIB + bytes(18 * MIB) + b"x" * MIB


def test_a_pull_that_ends_while_it_looks_loses_nothing(tmp_path: Path, origin: tuple[Store, list[Manifest]]) -> None:
    image, part = origin[1][0], tmp_path / "part"
    whole = origin[0].image_path(image.digest).read_bytes()
    part.write_bytes(whole[: 8 * MIB])
    with pytest.raises(Interrupted), Assembly(part, image):
        raise Interrupted
    assert part.read_bytes() == whole[: 8 * MIB]


def test_what_a_killed_pull_had_taken_is_not_needed_twice(tmp_path: Path, origin: tuple[Store, list[Manifest]]) -> None:
    """Its pieces need not be the first ones: those of an image that is here are copied before."""
    image = origin[1][0]
    whole = origin[0].image_path(image.digest).read_bytes()
    with mounted("ext4", tmp_path, 64 + IMAGE_MIB + 8) as disk:
        here = Store(disk / "here")
        here.prepare()
        with here.partial_path(image.digest).open("wb") as file:
            Space(disk, "The test").take(file.fileno(), [(0, image.size)])
            at = (len(image.pieces) - 1) * image.piece_size
            file.seek(at)
            file.write(whole[at:])
        pulled = pull_image(here, image.digest, [DirectorySource(origin[0].root)], now=0)
        assert pulled.bytes_fetched <= at
        assert here.verify(image.digest) == []


def test_what_a_killed_download_had_taken_is_not_needed_twice(tmp_path: Path) -> None:
    web = tmp_path / "web"
    web.mkdir()
    source = qcow2(web / "a.qcow2", IMAGE_MIB, seed=1)
    checksum = checksum_of(source, "sha256")
    with mounted("ext4", tmp_path, 64 + IMAGE_MIB + 8) as disk, faulty(web, Faults()) as url:
        store = Store(disk / "store")
        store.prepare()

        def kill_one() -> Path:
            """Leave what a killed download leaves."""
            with contextlib.suppress(Interrupted), downloaded(store, f"{url}a.qcow2", checksum, Trust()):
                raise Interrupted
            (part,) = store.partial.glob("download-*.part")
            os.truncate(part, MIB)
            with part.open("r+b") as file:
                Space(disk, "The test").take(file.fileno(), [(MIB, source.stat().st_size - MIB)])
            return part

        kill_one()
        with downloaded(store, f"{url}a.qcow2", checksum, Trust()) as path:
            assert path.read_bytes() == source.read_bytes()
        part = kill_one()
        store.sweep(part.stat().st_mtime)
        assert part.stat().st_blocks * 512 <= 2 * MIB


def test_what_is_fetched_ahead_keeps_the_reserve(tmp_path: Path, origin: tuple[Store, list[Manifest]]) -> None:
    image = origin[1][0]
    data = origin[0].image_path(image.digest).read_bytes()[: image.piece_size]
    with mounted("tmpfs", tmp_path, 64) as disk:
        PieceFile(disk / "ahead", image).put(0, data)
        assert not (disk / "ahead").exists()
    PieceFile(tmp_path / "ahead", image).put(0, data)
    assert PieceFile(tmp_path / "ahead", image).get(0) == data


@pytest.mark.parametrize("written", [True, False], ids=["zeros", "holes"])
def test_a_conversion_ends_within_what_there_is(tmp_path: Path, written: bool) -> None:
    source = raw(tmp_path / "a.raw", 12)
    with source.open("r+b") as file:
        file.seek(200 * MIB - 1)
        file.write(bytes(1))
        if written:
            file.seek(100 * MIB)
            file.write(bytes(100 * MIB))
    with mounted("tmpfs", tmp_path, 64 + 20) as disk:
        QEMU.convert(source, "raw", disk / "a.qcow2")
        subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", source, disk / "a.qcow2"], check=True)
        assert _files.free_bytes(disk) >= _files.RESERVE
        with pytest.raises(NoSpace, match=r"The conversion of .*a.raw (can )?needs? \d+ bytes"):
            QEMU.convert(source, "raw", disk / "b.qcow2")
        assert _files.free_bytes(disk) >= _files.RESERVE - MIB


def test_imports_downloads_and_packed_sources_side_by_side_keep_the_reserve(tmp_path: Path) -> None:
    web = tmp_path / "web"
    web.mkdir()
    sources = [qcow2(web / f"{number}.qcow2", IMAGE_MIB, seed=number + 1) for number in range(3)]
    packed = web / "packed.gz"
    packed.write_bytes(gzip.compress(sources[0].read_bytes(), 1))
    failed: list[NoSpace] = []
    with mounted("tmpfs", tmp_path, 64 + IMAGE_MIB + 12) as disk, faulty(web, Faults()) as url:
        store = Store(disk / "store")
        store.prepare()

        def run(path: Path) -> None:
            wanted = ImageDescription(path.stem, "1", created="2026-01-02T03:04:05Z", source=str(path))
            try:
                if path is sources[2]:
                    with downloaded(store, f"{url}{path.name}", checksum_of(path, "sha256"), Trust()) as here:
                        import_file(store, QEMU, here, wanted=wanted, rules=Rules(), now=0)
                else:
                    import_file(store, QEMU, path, wanted=wanted, rules=Rules(), now=0)
            except NoSpace as error:
                failed.append(error)

        threads = [threading.Thread(target=run, args=[path]) for path in (sources[1], sources[2], packed)]
        with Watch(disk) as watch:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert watch.least >= _files.RESERVE - MIB
        assert failed and len(failed) + len(store.images()) == 3
        assert [path.name for path in store.partial.iterdir()] == []


@pytest.mark.parametrize("error", [NoSpace("full"), DiskFailed("bad sector"), OSError(errno.ENOSPC, "full")])
def test_an_import_that_the_disk_ends_leaves_no_download(tmp_path: Path, error: Exception) -> None:
    web, store = tmp_path / "web", Store(tmp_path / "store")
    web.mkdir()
    store.prepare()
    source = qcow2(web / "a.qcow2", 1)
    checksum = checksum_of(source, "sha256")
    with faulty(web, Faults()) as url, pytest.raises(type(error)), downloaded(store, f"{url}a.qcow2", checksum, Trust()):
        raise error
    assert list(store.partial.iterdir()) == []


def test_an_error_of_the_disk_is_not_one_of_the_network(tmp_path: Path) -> None:
    space = Space(tmp_path, "The test")
    full = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - its close fails too
    with pytest.raises(NoSpace, match="No space left: The test needs more"), space.writing(), full:
        full.write(b"x")
    with pytest.raises(DiskFailed, match="The test could not be written"), space.writing():
        tmp_path.open("wb")


def test_a_file_of_unknown_length_takes_space_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "file").open("wb") as file:
        room = Growing(Space(tmp_path, "The test"), file.fileno())
        for end in (1, 5 * MIB, 20 * MIB):
            room.reach(end)
            assert os.fstat(file.fileno()).st_blocks * 512 >= end
        monkeypatch.setattr(_files, "free_bytes", lambda _folder: 0)
        room.reach(20 * MIB)
        with pytest.raises(NoSpace):
            room.reach(40 * MIB)
        monkeypatch.undo()
        give_back(file.fileno())
        assert os.fstat(file.fileno()).st_blocks == 0


@pytest.mark.parametrize("form", ["qcow2", "raw"])
@pytest.mark.parametrize("way", ["falloc", "full"])
@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_a_disk_has_all_its_space_or_leaves_nothing_and_the_reserve_stays(kind: str, way: str, form: str, tmp_path: Path) -> None:
    with mounted(kind, tmp_path, 64 + 40 + 12) as disk:
        tool, home = DiskFiles(QEMU.runner, Folders()), disk / "web"
        home.mkdir()
        with pytest.raises(NoSpace, match="A preallocated disk of 60MiB needs"):
            tool.create_empty(str(home / f"b.{form}"), 60 * MIB, way, form)
        assert list(home.iterdir()) == []
        made = home / f"a.{form}"
        tool.create_empty(str(made), 40 * MIB, way, form)
        assert tool.info(str(made), form).size == 40 * MIB
        if form == "qcow2":
            subprocess.run(["qemu-img", "check", "-q", "-f", form, made], check=True)
        assert made.stat().st_blocks * 512 >= 40 * MIB
        assert _files.free_bytes(disk) >= _files.RESERVE
