# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore needs of recovery points and of disk files, as protocols; ``_points`` and ``_disks`` implement them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from ..._generation import Generation
from ..clone.tool import CloneTool
from ..model.image_tools import ImageTool, OverlayTool


class RestoreTool(CloneTool, OverlayTool, ImageTool, Protocol):
    """All that is done with the disk files of a VM that is restored, except for writing them."""


class PointContent(Protocol):
    """The disks of one generation."""

    def write_disk(self, target: str, path: Path) -> None:
        """Write a disk to a new file, compared with the generation by reading; durable, and there whole or not at all."""


class PointSource(Protocol):
    """One generation that can be read on this host, wherever it came from."""

    @property
    def generation(self) -> Generation:
        """Its document."""

    def newest(self) -> Generation:
        """Return the newest generation of the VM that is known where this one is."""

    def missing_images(self) -> tuple[str, ...]:
        """Return the digests of the images that it stands on and that are not in the host cache."""

    def content(self, what: str) -> bytes:
        """Return a file of it that is not a disk; raise Corrupt where its bytes are not those of its digest."""

    def room_factor(self) -> int:
        """Return how often the bytes of its disks are written here."""

    def opened(self, scratch: Path) -> AbstractContextManager[PointContent]:
        """Give its disks, all checked; ``scratch`` is a folder that may be made for that, and is gone at the end."""
