# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source of images: a replica, a peer or the Front-end behind one small Protocol."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from ...store.catalogue import Entry
from ...store.manifest import Manifest


class Reader(Protocol):
    """Bytes in order."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill some of ``buffer`` and return how many bytes; 0 at the end."""


class Source(Protocol):
    """Answers with what it has, NotFound for what it has not, Unreachable when it cannot be asked or trusted."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def catalogue(self) -> list[Entry]:
        """Return what it offers."""

    def manifest(self, digest: str) -> Manifest:
        """Return the manifest of an image, parsed strictly."""

    def read(self, digest: str, offset: int, length: int) -> AbstractContextManager[Reader]:
        """Open exactly ``length`` bytes of the image from ``offset``."""

    def close(self) -> None:
        """Give up what it holds open."""
