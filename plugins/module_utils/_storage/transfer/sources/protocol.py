# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source of images: a replica, a peer or the Front-end behind one small Protocol."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from ...._errors import Corrupt
from ...store.catalogue import Entry
from ...store.manifest import Manifest


class Reader(Protocol):
    """Bytes in order."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill some of ``buffer`` and return how many bytes; 0 at the end."""


class Source(Protocol):
    """A source of images; it raises NotFound for what it lacks, and Unreachable if it cannot be reached or trusted."""

    @property
    def name(self) -> str:
        """The name that messages use."""

    def catalogue(self) -> list[Entry]:
        """Return the entries of its catalogue."""

    def manifest(self, digest: str) -> Manifest:
        """Return the manifest of an image, parsed strictly; its list of pieces is read from here when it is used."""

    def read(self, digest: str, offset: int, length: int) -> AbstractContextManager[Reader]:
        """Open exactly ``length`` bytes of the image from ``offset``."""

    def close(self) -> None:
        """Close its connections and files."""


def proven_manifest(source: Source, digest: str) -> Manifest:
    """Return the manifest of exactly this image; a manifest is proven by its own digest, so raise Corrupt if that is another."""
    found = source.manifest(digest)
    if found.digest != digest:
        raise Corrupt(f"{source.name} gave the manifest of {found.digest}, but {digest} was asked for.", source=source.name)
    return found
