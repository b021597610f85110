# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a clone needs of disk image files, as a protocol; ``_disks`` implements it with the storage room."""

from __future__ import annotations

from typing import Protocol

from ..model.image_tools import FileTool


class CloneTool(FileTool, Protocol):
    """Copies files that no program writes; paths absolute. A target appears in a private folder, and is durable."""

    def require_own_data(self, path: str, image_format: str) -> None:
        """Raise Refused for a qcow2 that keeps its data in another file."""

    def copy_disk(self, source: str, image_format: str, target: str, image: str | None) -> None:
        """Copy a disk's file, with its holes, by shared blocks where the file system can; ``image`` is kept for it by a lease."""

    def copy_flat(self, source: str, image_format: str, target: str) -> None:
        """Write the content of a disk, from all its files, to a new standalone qcow2."""

    def copy_file(self, source: str, target: str) -> None:
        """Copy a file that is not a disk."""

    def settle_lease(self, image: str, old: str, path: str) -> None:
        """Let the lease of a copy name the path that the file has now."""

    def shares_blocks(self, source: str, folder: str) -> bool:
        """Return whether a copy of the file in the folder takes no space until one of both is written."""

    def require_room(self, folder: str, needed: int, what: str) -> None:
        """Raise NoSpace unless the bytes fit into a folder, NotFound where the folder does not exist."""
