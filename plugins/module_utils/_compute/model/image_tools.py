# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this room needs of disk image files, as protocols; ``_disks`` implements them with the storage room."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from .host_facts import ChainFile, Offer, VolumeFile
from .remote_image import RemoteImage


class ReadTool(Protocol):
    """Reads disk files, also while a guest uses them; sizes in bytes, paths absolute."""

    def info(self, path: str, image_format: str) -> VolumeFile:
        """Return what the file is, read as this format, also while a guest uses it."""

    def detect(self, path: str) -> str:
        """Return the format of a file that nothing tells; raise Refused where its first bytes are not to be believed."""

    def require_formats(self, path: str) -> None:
        """Raise Refused unless a qcow2 and all below it say the format of the file below."""

    def noted_format(self, path: str) -> str | None:
        """Return the format that is on record with a file, None where there is no record."""

    def chain(self, path: str, image_format: str) -> list[ChainFile]:
        """Return the file and every one below it, also while a guest uses it; one that cannot be read ends the chain."""


class FileTool(ReadTool, Protocol):
    """Makes disk files that need no image; sizes in bytes, paths absolute."""

    def note_format(self, path: str, image_format: str) -> None:
        """Record a file's format with the file, where its file system can."""

    def create_empty(self, path: str, size: int, preallocation: str | None = None, image_format: str = "qcow2") -> None:
        """Make an empty disk file; it appears under its name complete or not at all, with ``preallocation`` with all its space."""

    def grow(self, path: str, size: int, image_format: str = "qcow2") -> None:
        """Make a disk file that is not in use larger."""

    def lease(self, path: str, image: str) -> tuple[str, bytes]:
        """Return path and content of the file by which a disk that is made on another host keeps its image there."""

    def removed(self, paths: Sequence[str]) -> None:
        """End the use that disk files made of images, once the files were deleted."""

    def require_room(self, folder: str, needed: int, what: str) -> None:
        """Raise NoSpace unless the bytes fit into a folder, NotFound where the folder does not exist."""


class ImageTool(FileTool, Protocol):
    """Knows and brings images, and makes disk files on them; sizes in bytes, paths absolute."""

    def image_size(self, digest: str) -> int | None:
        """Return the virtual size of an image of the host cache, None where it is not there, whole and described."""

    def choose_image(self, text: str) -> str:
        """Return the digest of the image that ``NAME`` or ``NAME:VERSION`` means; raise NotFound with what there is."""

    def is_named(self, digest: str, text: str) -> bool | None:
        """Return whether an image of the host cache has this name, and version where one is given; None where it is not there."""

    def newest_here(self, name: str) -> str | None:
        """Return the digest of the newest image of the host cache with this name."""

    def offer(self, digest: str) -> Offer:
        """Return an image that is not here and can be brought; raise NotFound or Unreachable with the reason."""

    def pull(self, digest: str) -> None:
        """Bring an image into the host cache; at once where it is there."""

    def image_template(self, digest: str) -> Mapping[str, Any]:
        """Return the JSON of what a VM of an image begins with, empty where its manifest, here or in the cluster, says nothing.

        Raise NotFound or Unreachable where no host has the manifest.
        """

    def create_overlay(self, path: str, digest: str, size: int) -> None:
        """Make a qcow2 overlay on an image of the host cache; it appears under its name complete or not at all."""

    def remote_image(self, digest: str, servers: Sequence[str], option: str) -> RemoteImage:
        """Return the image on the first of the replicas' NBD servers that gives it; raise Unreachable with the error of each."""

    def remote_disk(self, export: str, size: int, servers: Sequence[str], option: str) -> RemoteImage:
        """Return a disk of a recovery point on the first of the NBD servers that gives it; raise Unreachable with each error."""

    def create_remote_overlay(self, path: str, image: RemoteImage, size: int) -> None:
        """Make a qcow2 overlay on a remote image; it appears under its name complete or not at all."""

    def rebase(self, path: str, digest: str) -> None:
        """Name an image of the host cache as the backing of an overlay that is not in use; it has the same bytes as the old one."""


class OverlayTool(FileTool, Protocol):
    """Makes, commits and watches overlays; sizes in bytes, paths absolute. Every change is durable when a call returns."""

    def create_overlay_on(self, path: str, below: str, below_format: str, size: int) -> None:
        """Make an empty qcow2 over a file; it appears under its name complete or not at all. The file below may be in use."""

    def commit(self, top: str, base: str) -> None:
        """Write the data of ``top`` into ``base``, the file below it, which is not in use; ``top`` stays as it is."""

    def rebase_on(self, path: str, below: str, below_format: str) -> None:
        """Let a qcow2 that is not in use stand on another file of the same content."""

    def flatten(self, path: str) -> None:
        """Replace a qcow2 that is not in use by one that stands alone; at any moment the name is that of a whole file."""

    def has_data(self, path: str) -> bool:
        """Return whether something was written to an overlay, or a QEMU that may write has it open."""

    def users(self, path: str) -> Collection[str]:
        """Return the disk files of this host that stand on a file."""


class DiskTool(OverlayTool, Protocol):
    """Makes standalone copies; sizes in bytes, paths absolute."""

    def empty_copy(self, path: str, size: int, needed: int) -> AbstractContextManager[None]:
        """Make an empty qcow2 of ``size`` bytes that QEMU fills, and have ``needed`` bytes of space for it meanwhile.

        Raises NoSpace where they are not there. What was not written is given back.
        """

    def exporting(self, path: str, compress: bool) -> AbstractContextManager[str]:
        """Give a scratch name beside ``path`` for a qcow2; what is there at the end is checked and appears as ``path``, durable."""

    def convert(self, source: str, source_format: str, target: str) -> None:
        """Write the content of a disk that is not written to, from all its files, to a new standalone qcow2."""


class PointTool(OverlayTool, Protocol):
    """Makes the files of recovery points; sizes in bytes, paths absolute."""

    def bitmaps(self, path: str) -> Mapping[str, bool]:
        """Return the dirty bitmaps that a qcow2 has on disk, and whether each can be believed: none while a guest runs on it."""

    def add_bitmap(self, path: str, name: str) -> None:
        """Let a qcow2 at rest note what is written to it from now on."""

    def remove_bitmap(self, path: str, name: str) -> None:
        """Take a bitmap out of a qcow2 at rest."""

    def noted(self, path: str, bitmap: str) -> int | None:
        """Return how much of a disk at rest a bitmap has noted; None where it has none of this name that can be believed."""

    def empty_delta(self, path: str, size: int, needed: int) -> AbstractContextManager[None]:
        """Make an empty delta, and have ``needed`` bytes of space for it meanwhile; raises NoSpace where they are not there."""

    def copy_noted(self, disks: Mapping[str, str], old: str, new: str) -> None:
        """Copy what the bitmap ``old`` of disks at rest has noted into their deltas, and begin the bitmap ``new`` in each."""

    def compare_disk(self, path: str, size: int, source: Mapping[str, Any] | str, image: str | None) -> None:
        """Make the delta of all in which a disk that nothing writes differs from its image.

        ``source`` is a qcow2 that stands on others, or QEMU's options of a raw disk.
        """

    def require_delta(self, path: str, size: int) -> None:
        """Raise Corrupt, Refused or Unsupported unless a file is a delta of a disk of this size, as replicas take it."""


class DomainTool(ImageTool, PointTool, Protocol):
    """Makes the disks of a VM, and what its recovery points know of them."""
