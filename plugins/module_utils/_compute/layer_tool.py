# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What snapshots need of disk image files; who composes the rooms gives an object that does it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from .image_tool import ImageTool


class LayerTool(ImageTool, Protocol):
    """Makes, merges and watches layers; sizes in bytes, paths absolute. Every change is durable when a call returns."""

    def create_layer(self, path: str, below: str, below_format: str, size: int) -> None:
        """Make an empty qcow2 over a file; it appears under its name complete or not at all. The file below may be in use."""

    def merge(self, top: str, base: str) -> None:
        """Write the data of ``top`` into ``base``, the file below it, which nobody uses; ``top`` stays as it is."""

    def restack(self, path: str, below: str, below_format: str) -> None:
        """Let a qcow2 that nobody uses stand on another file of the same content."""

    def flatten(self, path: str) -> None:
        """Replace a qcow2 that nobody uses by one that stands alone; at any moment the name is that of a whole file."""

    def has_data(self, path: str) -> bool:
        """Tell whether something was written to a layer, or a QEMU that may write has it open."""

    def is_open(self, path: str) -> bool:
        """Tell whether a QEMU program has the file open."""

    def users(self, path: str) -> Collection[str]:
        """Return the disk files of this host that stand on a file."""
