# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of a store with their users, filtered, and verified on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import uses
from .manifest import Manifest
from .store import Store


@dataclass(frozen=True)
class Filter:
    """Which images are asked for; None matches any."""

    name: str | None = None
    version: str | None = None
    digest: str | None = None

    def admits(self, image: Manifest) -> bool:
        """Return whether the image is asked for."""
        pairs = ((self.name, image.name), (self.version, image.version), (self.digest, image.digest))
        return all(wanted in (None, found) for wanted, found in pairs)


def images_of(store: Store, wanted: Filter, directories: Sequence[Path], *, verify: bool = False) -> list[dict[str, Any]]:
    """Return the store's images that ``wanted`` admits, each with its users and, with ``verify``, its damaged pieces."""
    found = [image for image in store.images() if wanted.admits(image)]
    if not found:
        return []
    seen = uses.look(directories)
    return [_shown_with_users(store, image, seen, verify) for image in found]


def _shown_with_users(store: Store, image: Manifest, seen: uses.Look, verify: bool) -> dict[str, Any]:
    return {
        **(shown(store, image) or {}),
        "pinned": store.pinned(image.digest),
        **seen.uses_of(store.image_path(image.digest)).shown,
        **({"damaged_pieces": store.verify(image.digest)} if verify else {}),
    }


def shown(store: Store, found: Manifest | None) -> dict[str, Any] | None:
    """Return an image as modules show it: its manifest's summary and its path."""
    return {**found.summary(), "path": str(store.image_path(found.digest))} if found else None
