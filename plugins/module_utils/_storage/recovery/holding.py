# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images below recovery points, kept from garbage collection by a user that their store sees as any other: an empty overlay."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ... import _files
from ..._generation import Generation, file_name
from ..format.qemu_img import QemuImg
from ..store import lease
from ..store.store import Store
from .depot import Depot

SMALLEST_DISK = "512"


def images_of(generations: Iterable[Generation]) -> list[str]:
    """Return the digests of the images that generations stand on."""
    return sorted({disk.image for one in generations for disk in one.disks if disk.image})


def missing_images(images: Store | None, generation: Generation) -> tuple[str, ...]:
    """Return the digests of the images that a generation stands on and that are not here."""
    return tuple(one for one in images_of([generation]) if images is None or images.find(one) is None)


def hold_images(depot: Depot, qemu: QemuImg, images: Store | None, generations: Iterable[Generation], work: Path) -> None:
    """Hold the images below generations that are here and not held yet; the caller holds the lock of their VM."""
    for generation in generations:
        for digest in images_of([generation]):
            mark = depot.folder(generation.vm.uuid) / f"{file_name(digest)}.image"
            if images and not mark.exists() and images.find(digest):
                _hold(qemu, images.image_path(digest), mark, work / mark.name)


def _hold(qemu: QemuImg, image: Path, mark: Path, work: Path) -> None:
    """Make the overlay, which has a lease before it has its name."""
    with _files.file_lock(image, shared=True) as locked:
        qemu.run(["create", "-q", "-f", "qcow2", "-u", "-b", str(image), "-F", "qcow2", str(work), SMALLEST_DISK])
        work.chmod(0o600)
        lease.note(image, mark, work)
        _files.fsync(work)
        _files.require_named(image, locked)
        work.rename(mark)
        _files.fsync(mark.parent)
