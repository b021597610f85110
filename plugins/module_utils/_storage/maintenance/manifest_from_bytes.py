# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A damaged manifest or list of pieces beside a whole image: the file gives all that the digest binds, the manifest the rest."""

from __future__ import annotations

from typing import Any

from ..._errors import Corrupt, EdgeError, Unsupported
from ..._json import load_object, require_schema
from ..format import qcow2
from ..store import digest as digests
from ..store.manifest import LARGEST_JSON, RULES, SCHEMA, Manifest, kept_of, piece_size_for
from ..store.store import Store


def manifest_from_bytes(store: Store, digest: str) -> bool:
    """Write manifest and list of pieces of a whole image again if the manifest still has name, version and date.

    Return whether they are right now.

    Nothing is believed: what is written has the digest that the file is named by.
    """
    store.prepare()
    with store.lock(digest):
        if store.proven(digest):
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
    recorded, usual = words.get("piece_size"), piece_size_for(path.stat().st_size)
    for piece_size in (recorded, usual) if recorded not in (None, usual) else (usual,):
        found = digests.describe(path, piece_size)
        made = Manifest.new(**{**words, **vars(found), "virtual_size": qcow2.read_header(path).virtual_size})
        if made.digest == digest:
            return made
    raise Corrupt(f"{path} is not the image that its name says.", path=str(path))


def _sound(loaded: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that can be those of a manifest."""
    found = {}
    for key in sorted(set(loaded) & set(RULES) - {"digest", "root"}):
        try:
            RULES[key](loaded[key], key)
        except EdgeError:
            continue
        found[key] = loaded[key]
    return found
