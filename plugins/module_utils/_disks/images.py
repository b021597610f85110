# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disk files on images: of the host cache, of the cluster that brings them there, and of servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _files
from .._compute.model.host_facts import Offer
from .._compute.model.remote_image import POINTS_PORT, RemoteImage, on_server
from .._errors import EdgeError, NotFound, Unreachable
from .._storage.disk.whole import appearing
from .._storage.format.foreign_image import refuse_other_files
from .._storage.format.qemu_img import QemuImg
from .._storage.store import lease, usage
from .._storage.store.store import Store
from .writer import DiskWriter

if TYPE_CHECKING:
    from .._storage.cluster.supply import Supply


@dataclass(frozen=True)
class ImageDisks(DiskWriter):
    """See ImageTool."""

    progress_file: Path | None = None

    @property
    def _store(self) -> Store:
        return Store(Path(self.folders.images))

    @property
    def _supply(self) -> Supply:
        from .._storage.cluster.supply import Supply  # noqa: PLC0415 a tenth of a module's start, for a client that few runs need

        return Supply(self._store, self.progress_file)

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
