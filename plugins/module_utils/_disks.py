# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk files that VMs need (_compute), made by the image library (_storage)."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _files
from ._compute.model.host_facts import ChainFile, Folders, Offer, VolumeFile
from ._compute.model.remote_image import POINTS_PORT, RemoteImage, on_server
from ._errors import Corrupt, EdgeError, NotFound, Unreachable
from ._generation import DELTA_CLUSTER
from ._image_lock import unwritten
from ._runner import Runner
from ._sizes import SECTOR
from ._space import longer
from ._storage.disk import copies, daemon, deltas
from ._storage.disk.disk_files import appearing, replacing, require_formats
from ._storage.format import disk_format, qcow2
from ._storage.format.foreign_image import refuse_other_files
from ._storage.format.qemu_img import QemuImg
from ._storage.recovery.delta_file import judge_delta
from ._storage.store import lease, usage, uses
from ._storage.store.references import DISK_DIRECTORIES, Headers, backing_name
from ._storage.store.store import Store

if TYPE_CHECKING:
    from ._storage.cluster.supply import Supply

LONGEST_CHAIN = 200


@dataclass(frozen=True)
class DiskFiles:
    """The tools that ``_compute`` needs for disk files, by qemu-img and the image cache of the host."""

    runner: Runner
    folders: Folders
    progress_file: Path | None = None
    headers: Headers = field(default_factory=Headers, compare=False)

    @property
    def _store(self) -> Store:
        return Store(Path(self.folders.images))

    @property
    def _supply(self) -> Supply:
        from ._storage.cluster.supply import Supply  # noqa: PLC0415 a tenth of a module's start, for a client that few runs need

        return Supply(self._store, self.progress_file)

    def info(self, path: str, image_format: str) -> VolumeFile:
        """See ImageTool.

        Headers of qcow2 are read here: a process for each disk would be most of the time of a run that changes nothing.
        """
        block = Path(path).is_block_device()
        if image_format == "qcow2":
            header = qcow2.read_header(Path(path))
            backing = _named(Path(path), header.backing_file) if header.backing_file else None
            flaws = header.encrypted, header.corrupt
            return VolumeFile(path, image_format, header.virtual_size, backing, header.backing_format, block, *flaws)
        if image_format == "raw":
            return VolumeFile(path, image_format, _raw_size(Path(path)), block=block)
        size = QemuImg(self.runner).info(Path(path), image_format, shared=True)["virtual-size"]
        return VolumeFile(path, image_format, size, block=block)

    def detect(self, path: str) -> str:
        """See ImageTool."""
        return disk_format.detect_format(Path(path))

    def require_formats(self, path: str) -> None:
        """See ImageTool."""
        require_formats(Path(path))

    def noted_format(self, path: str) -> str | None:
        """See ImageTool."""
        return disk_format.noted_format(Path(path))

    def note_format(self, path: str, image_format: str) -> None:
        """See ImageTool."""
        if image_format in disk_format.FORMATS and disk_format.noted_format(Path(path)) != image_format:
            disk_format.note_format(Path(path), image_format)

    def chain(self, path: str, image_format: str) -> list[ChainFile]:
        """See ImageTool; the format of an overlay below is the one that its overlay's header names."""
        overlays: list[ChainFile] = []
        following: tuple[str, str | None] | None = (path, image_format)
        while following and following[0] not in {overlay.path for overlay in overlays} and len(overlays) < LONGEST_CHAIN:
            overlay, following = _overlay(*following)
            overlays.append(overlay)
        return overlays

    def image_size(self, digest: str) -> int | None:
        """See ImageTool; an image can require a larger disk than its own size."""
        found = self._store.find(digest)
        return max(found.virtual_size, found.min_disk) if found else None

    def choose_image(self, text: str) -> str:
        """See ImageTool."""
        return self._supply.choose(text)

    def is_named(self, digest: str, text: str) -> bool | None:
        """See ImageTool."""
        return self._supply.is_named(digest, text)

    def newest_here(self, name: str) -> str | None:
        """See ImageTool."""
        return self._supply.newest_here(name)

    def offer(self, digest: str) -> Offer:
        """See ImageTool."""
        found = self._supply.offered(digest)
        return Offer(f"{found['name']}:{found['version']}", found["size"], max(found["virtual_size"], found["min_disk"]))

    def pull(self, digest: str) -> None:
        """See ImageTool."""
        self._supply.pull(digest)

    def image_template(self, digest: str) -> Mapping[str, Any]:
        """See ImageTool."""
        return self._supply.template(digest)

    def create_overlay(self, path: str, digest: str, size: int) -> None:
        """See ImageTool; the image cannot be removed while the overlay is made, and afterwards because the overlay uses it."""
        image = self._store.image_path(digest)
        with _files.file_lock(image, shared=True) as held, appearing(Path(path)) as work:
            if self._store.find(digest) is None:
                raise NotFound(
                    f"The image {digest} is not in the host cache any more; run edge.cloud.replica_image again.", digest=digest
                )
            QemuImg(self.runner).create(work, size, (image, "qcow2"))
            lease.write(image, Path(path), work)
            _files.require_named(image, held)
            usage.note_disk(image)

    def remote_image(self, digest: str, servers: Sequence[str], option: str) -> RemoteImage:
        """See ImageTool."""
        errors = []
        for server in servers:
            image = on_server(server, digest, "image_servers")
            try:
                found = QemuImg(self.runner).remote_info(image.host.strip("[]"), image.port, image.export)
                refuse_other_files(found, Path(image.export))
                return replace(image, size=int(found["virtual-size"]))
            except EdgeError as error:
                errors.append(f"{server}: {error.message}")
        raise Unreachable(
            f"{option}: the image {digest} is not in the host cache, and no server of image_servers gives it. {' '.join(errors)}",
            option=option,
            value=digest,
        )

    def remote_disk(self, export: str, size: int, servers: Sequence[str], option: str) -> RemoteImage:
        """See ImageTool."""
        errors = []
        for place, server in enumerate(servers):
            disk = on_server(server, export, f"{option}[{place}]", POINTS_PORT)
            try:
                found = QemuImg(self.runner).remote_info(disk.host.strip("[]"), disk.port, disk.export, disk.format)
                if int(found["virtual-size"]) == size:
                    return replace(disk, size=size)
                errors.append(f"{server}: it has {found['virtual-size']} bytes instead of {size}.")
            except EdgeError as error:
                errors.append(f"{server}: {error.message}")
        what = "no server gives the disk of the recovery point; export it on a replica that keeps it (edge-host point export)"
        raise Unreachable(f"{option}: {what}. {' '.join(errors)}", option=option)

    def create_remote_overlay(self, path: str, image: RemoteImage, size: int) -> None:
        """See ImageTool."""
        with appearing(Path(path)) as work:
            QemuImg(self.runner).create_remote(work, size, image.backing, image.format)

    def rebase(self, path: str, digest: str) -> None:
        """See ImageTool."""
        image = self._store.image_path(digest)
        with _files.file_lock(image, shared=True) as held:
            lease.write(image, Path(path), Path(path))
            _files.require_named(image, held)
            QemuImg(self.runner).rebase(Path(path), (image, "qcow2"), unsafe=True)
            _files.fsync(Path(path))
            usage.note_disk(image)

    def lease(self, path: str, image: str) -> tuple[str, bytes]:
        """See ImageTool."""
        file = lease.folder_of(Path(image)) / lease.file_name(Path(image), path, "")
        return str(file), lease.text_of(lease.Lease(file, path))

    def removed(self, paths: Sequence[str]) -> None:
        """See ImageTool."""
        uses.end(Path(self.folders.images), paths)

    def create_empty(self, path: str, size: int, preallocation: str | None = None, image_format: str = "qcow2") -> None:
        """See ImageTool."""
        with appearing(Path(path), image_format) as work:
            if image_format == "raw":
                QemuImg(self.runner).create_raw(work, size, preallocation)
            else:
                QemuImg(self.runner).create(work, size, creation={"preallocation": preallocation})

    def grow(self, path: str, size: int, image_format: str = "qcow2") -> None:
        """See ImageTool."""
        if image_format == "qcow2":
            require_formats(Path(path))
        QemuImg(self.runner).resize(Path(path), size, image_format=image_format)

    def create_overlay_on(self, path: str, below: str, below_format: str, size: int) -> None:
        """See OverlayTool."""
        if below_format == "qcow2":
            require_formats(Path(below))
        with appearing(Path(path)) as work:
            QemuImg(self.runner).create(work, size, (Path(below), below_format))
            lease.note(Path(below), Path(path), work)

    def commit(self, top: str, base: str) -> None:
        """See OverlayTool."""
        require_formats(Path(top))
        with unwritten(Path(top)):
            QemuImg(self.runner).commit(Path(top), Path(base))
            _files.fsync(Path(base))

    def rebase_on(self, path: str, below: str, below_format: str) -> None:
        """See OverlayTool."""
        lease.note(Path(below), Path(path), Path(path))
        QemuImg(self.runner).rebase(Path(path), (Path(below), below_format), unsafe=True)
        _files.fsync(Path(path))

    def flatten(self, path: str) -> None:
        """See OverlayTool."""
        with replacing(Path(path)) as work:
            self.convert(path, "qcow2", str(work))
            self._require_sound(work)

    @contextmanager
    def exporting(self, path: str, compress: bool) -> Iterator[str]:
        """See DiskTool."""
        with appearing(Path(path)) as work:
            yield str(work)
            if compress:
                with replacing(work) as smaller:
                    QemuImg(self.runner).convert(work, "qcow2", smaller, compress=True)
            self._require_sound(work)

    @contextmanager
    def empty_copy(self, path: str, size: int, needed: int) -> Iterator[None]:
        """See DiskTool."""
        QemuImg(self.runner).create(Path(path), size)
        with longer(Path(path), needed, f"A whole copy of {needed} bytes"):
            yield

    def convert(self, source: str, source_format: str, target: str) -> None:
        """See DiskTool."""
        if source_format == "qcow2":
            require_formats(Path(source))
        QemuImg(self.runner).convert(Path(source), source_format, Path(target))

    def _require_sound(self, path: Path) -> None:
        found = QemuImg(self.runner).check(path)
        if found.corruptions or found.check_errors or qcow2.read_header(path).backing_file:
            raise Corrupt(f"The new file {path} is damaged or not standalone; it was removed.", path=str(path))

    def require_own_data(self, path: str, image_format: str) -> None:
        """See CloneTool."""
        copies.require_own_data(Path(path), image_format)

    def copy_disk(self, source: str, image_format: str, target: str, image: str | None) -> None:
        """See CloneTool."""
        copies.copy_disk(QemuImg(self.runner), Path(source), image_format, Path(target), Path(image) if image else None)

    def copy_flat(self, source: str, image_format: str, target: str) -> None:
        """See CloneTool."""
        path = Path(target)
        self.convert(source, image_format, target)
        with Path(source).open("rb") as original:
            copies.owned_as(original.fileno(), path)
        disk_format.note_format(path, "qcow2")
        self._require_sound(path)
        _files.fsync(path)

    def copy_file(self, source: str, target: str) -> None:
        """See CloneTool."""
        path = Path(target)
        path.touch(mode=0o600, exist_ok=False)
        copies.copy_into(Path(source), path)
        _files.fsync(path)

    def settle_lease(self, image: str, old: str, path: str) -> None:
        """See CloneTool."""
        copies.settle_lease(Path(image), Path(old), Path(path))

    def shares_blocks(self, source: str, folder: str) -> bool:
        """See CloneTool."""
        return copies.shares_blocks(Path(source), Path(folder))

    def require_room(self, folder: str, needed: int, what: str) -> None:
        """See DiskTool."""
        if not Path(folder).is_dir():
            raise NotFound(f"The folder {folder} does not exist; create it first.", path=folder)
        _files.require_space(Path(folder), needed, what)

    def has_data(self, path: str) -> bool:
        """See OverlayTool."""
        if _files.open_in_qemu(Path(path)):
            return True
        require_formats(Path(path))
        return QemuImg(self.runner).has_data(Path(path))

    def users(self, path: str) -> Collection[str]:
        """See OverlayTool."""
        return uses.look([Path(self.folders.vms), *map(Path, DISK_DIRECTORIES)], self.headers).users_of(Path(path))

    def bitmaps(self, path: str) -> Mapping[str, bool]:
        """See PointTool."""
        return QemuImg(self.runner).bitmaps(Path(path), shared=True)

    def add_bitmap(self, path: str, name: str) -> None:
        """See PointTool."""
        QemuImg(self.runner).add_bitmap(Path(path), name, DELTA_CLUSTER)
        _files.fsync(Path(path))

    def remove_bitmap(self, path: str, name: str) -> None:
        """See PointTool."""
        QemuImg(self.runner).remove_bitmap(Path(path), name)

    def noted(self, path: str, bitmap: str) -> int | None:
        """See PointTool."""
        require_formats(Path(path))
        return daemon.dirty_bytes(Path(path), bitmap)

    @contextmanager
    def empty_delta(self, path: str, size: int, needed: int) -> Iterator[None]:
        """See PointTool."""
        QemuImg(self.runner).create_delta(Path(path), size)
        with longer(Path(path), needed, f"A recovery point of {needed} bytes"):
            yield

    def copy_noted(self, disks: Mapping[str, str], old: str, new: str) -> None:
        """See PointTool."""
        for path in disks:
            require_formats(Path(path))
        daemon.copy_noted({Path(disk): Path(delta) for disk, delta in disks.items()}, old, new, DELTA_CLUSTER)
        for path in disks:
            _files.fsync(Path(path))

    def compare_disk(self, path: str, size: int, source: Mapping[str, Any] | str, image: str | None) -> None:
        """See PointTool."""
        below = self._store.image_path(image) if image else None
        qemu = QemuImg(self.runner)
        if isinstance(source, str):
            require_formats(Path(source))
        deltas.compare(qemu, Path(path), size, Path(source) if isinstance(source, str) else source, below)

    def require_delta(self, path: str, size: int) -> None:
        """See PointTool."""
        found = judge_delta(QemuImg(self.runner), Path(path), path)
        if found != size:
            raise Corrupt(f"{path} is a delta of a disk of {found} bytes, not of {size}.", path=path)


def _overlay(name: str, image_format: str | None) -> tuple[ChainFile, tuple[str, str | None] | None]:
    """Return one file of a chain, and name and format of the one below it."""
    path = Path(name)
    try:
        found = image_format or disk_format.detect_format(path)
        allocated = path.stat().st_blocks * 512
        if found != "qcow2":
            return ChainFile(name, found, _raw_size(path) if found == "raw" else None, allocated), None
        header = qcow2.read_header(path)
    except (OSError, EdgeError):
        return ChainFile(name, image_format, None, None), None
    below = (_named(path, header.backing_file), header.backing_format) if header.backing_file else None
    return ChainFile(name, found, header.virtual_size, allocated), below


def _named(overlay: Path, backing: str) -> str:
    """Return a backing file as an absolute path, by the name that domains have too: /dev/GROUP/VOLUME is a link."""
    plain = backing.removeprefix("file:")
    return plain if plain.startswith("/") else backing_name(overlay, backing)


def _raw_size(path: Path) -> int:
    """Return the bytes of a raw file or block device in whole sectors, as QEMU counts them; a drive without a medium has none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOMEDIUM, errno.ENXIO) and path.is_block_device():
            return 0
        raise
    try:
        return -(-os.lseek(descriptor, 0, os.SEEK_END) // SECTOR) * SECTOR
    finally:
        os.close(descriptor)
