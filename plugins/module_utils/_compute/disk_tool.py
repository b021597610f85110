# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What exporting a disk needs of disk image files; who composes the rooms gives an object that does it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from .layer_tool import LayerTool


class DiskTool(LayerTool, Protocol):
    """Makes standalone copies; sizes in bytes, paths absolute."""

    def exporting(self, path: str, compress: bool) -> AbstractContextManager[str]:
        """Give a scratch name beside ``path`` for a qcow2; what is there at the end is checked and appears as ``path``, durable."""

    def convert(self, source: str, source_format: str, target: str) -> None:
        """Write what a disk that nobody writes has, in all its files, to a new standalone qcow2."""

    def demand_room(self, folder: str, needed: int, what: str) -> None:
        """Raise NoSpace unless so many bytes fit into a folder, NotFound where it is not there."""
