# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the compute room needs of disk image files; who composes the rooms gives an object that does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .facts import Layer, VolumeFile
from .remote_image import RemoteImage


class ImageTool(Protocol):
    """Reads and makes disk files; sizes in bytes, paths absolute."""

    def info(self, path: str, image_format: str | None = None) -> VolumeFile:
        """Return what the file is, also while a guest uses it; without a format it is detected."""

    def chain(self, path: str, image_format: str | None = None) -> list[Layer]:
        """Return the file and every one below it, also while a guest uses it; one that cannot be read ends the chain."""

    def image_size(self, digest: str) -> int | None:
        """Return the virtual size of an image of the host cache, None where it is not there, whole and described."""

    def create_overlay(self, path: str, digest: str, size: int) -> None:
        """Make a qcow2 overlay on an image of the host cache; it appears under its name complete or not at all."""

    def remote_image(self, digest: str, servers: Sequence[str], option: str) -> RemoteImage:
        """Return the image on the first of the replicas' NBD servers that gives it; raise Unreachable with what each said."""

    def create_remote_overlay(self, path: str, image: RemoteImage, size: int) -> None:
        """Make a qcow2 overlay on a remote image; it appears under its name complete or not at all."""

    def rebase(self, path: str, digest: str) -> None:
        """Name an image of the host cache as the backing of an overlay that nobody uses; it has the same bytes as the old one."""

    def create_empty(self, path: str, size: int) -> None:
        """Make an empty qcow2 file; it appears under its name complete or not at all."""

    def grow(self, path: str, size: int) -> None:
        """Make a qcow2 file that nobody uses larger."""
