# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A damaged manifest beside a whole image file: the file gives all that the digest binds, the manifest the description."""

from __future__ import annotations

import contextlib
from typing import Any

from ..._errors import EdgeError, InvalidInput, Unsupported
from ..._json import load_object, require_schema
from ..format import qcow2
from ..store import digest as digests
from ..store.manifest import LARGEST_JSON, RULES, SCHEMA, Manifest, kept_of, piece_size_for
from ..store.store import Store


def manifest_from_bytes(store: Store, digest: str) -> bool:
    """Write the manifest of a whole image anew if the damaged one still has name, version and date; return whether it is right now.

    Nothing is believed: what is written has the digest that the file is named by.
    """
    store.prepare()
    with store.lock(digest):
        if store.find(digest) is not None:
            return True
        try:
            made = _made(store, digest)
        except Unsupported:  # not damaged, but newer than this host
            raise
        except (EdgeError, OSError, TypeError):  # no name, no version, or not this image
            return False
        store.adopt(made)
        return True


def _made(store: Store, digest: str) -> Manifest:
    path, where = store.image_path(digest), store.manifest_path(digest)
    loaded = load_object(where.read_bytes(), str(where), LARGEST_JSON)
    require_schema(loaded, SCHEMA, str(where))
    words = {**_sound(loaded), "kept": kept_of(loaded, str(where))}
    bound = {"digest": digest, "virtual_size": qcow2.read_header(path).virtual_size}
    recorded, usual = words.get("piece_size"), piece_size_for(path.stat().st_size)
    if recorded not in (None, usual):
        with contextlib.suppress(InvalidInput):  # another image's: then the piece size is damaged too
            return Manifest(**{**words, **vars(digests.describe(path, recorded)), **bound})
    return Manifest(**{**words, **vars(digests.describe(path, usual)), **bound})


def _sound(loaded: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that can be those of a manifest."""
    found = {}
    for key in sorted(set(loaded) & set(RULES)):
        try:
            RULES[key](loaded[key], key)
        except EdgeError:
            continue
        found[key] = loaded[key]
    return found
