# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of an image datastore, ``index.json``: its images, and the digest of each name and version."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import _files
from ..._errors import Conflict, Corrupt, EdgeError, NotFound
from ..._json import load_object, require_schema
from ..._shown import few, nearest
from .. import names
from .manifest import RULES, Manifest
from .store import Store

FILE = "index.json"
SCHEMA = 1
LARGEST_JSON = 16 * 1024 * 1024
KEYS = ("name", "version", "digest", "size", "virtual_size", "format", "os", "arch", "min_disk", "created")


@dataclass(frozen=True)
class Entry:
    """One image of a catalogue, with the fields that a choice needs."""

    name: str
    version: str
    digest: str
    size: int
    virtual_size: int
    format: str
    os: str
    arch: str
    min_disk: int
    created: str


def parse(data: bytes, where: str) -> list[Entry]:
    """Return the entries of a catalogue from any host, or raise Corrupt that names ``where``."""
    found = load_object(data, where, LARGEST_JSON)
    require_schema(found, SCHEMA, where)
    images = found.get("images")
    if not isinstance(images, list):
        raise Corrupt(f"{where} is not a catalogue: it has no list of images.", where=where)
    return [entry(item, f"{where}, image {number}") for number, item in enumerate(images)]


def entry(item: Any, where: str) -> Entry:
    """Return one image of a catalogue from any host, or raise Corrupt that names ``where``."""
    if not isinstance(item, dict) or not set(KEYS) <= set(item):
        raise Corrupt(f"{where} lacks keys; it must have {', '.join(KEYS)}.", where=where)
    try:
        for key in KEYS:
            RULES[key](item[key], key)
    except EdgeError as error:
        raise Corrupt(f"{where}: {error.message}", where=where) from None
    return Entry(**{key: item[key] for key in KEYS})


def resolve(entries: list[Entry], name: str, version: str | None, where: str) -> Entry:
    """Return the entry with ``name`` and ``version``; without a version the highest one (12.9 < 12.10, 13~rc1 < 13)."""
    of_name = [entry for entry in entries if entry.name == name]
    found = [entry for entry in of_name if version in (None, entry.version)]
    if found:
        return max(found, key=lambda entry: (names.version_key(entry.version), entry.created))
    versions = sorted({entry.version for entry in of_name}, key=names.version_key, reverse=True)
    have = few(versions) if versions else _other_names(entries, name)
    raise NotFound(f"{where} has no image {name} {version or '(any version)'}; it has {have}.", name=name, version=version)


def _other_names(entries: list[Entry], name: str) -> str:
    """Return the names that there are, the most like ``name`` first, as many as a message can have."""
    return f"none of that name, but {few(nearest(name, (one.name for one in entries)))}" if entries else "no images at all"


def render(images: Sequence[Manifest]) -> bytes:
    """Return the catalogue of images as canonical JSON."""
    rows = [{key: getattr(one, key) for key in KEYS} for one in images]
    return json.dumps({"images": rows, "schema": SCHEMA}, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def current(store: Store, images: Sequence[Manifest] | None = None) -> bool:
    """Return whether the catalogue file lists exactly what the store has: ``images``, where these were read already."""
    try:
        return (store.root / FILE).read_bytes() == render(store.images() if images is None else images)
    except FileNotFoundError:
        return False


def write(store: Store) -> Path:
    """Write the catalogue whole, after every change of the store; after a crash the next run writes it."""
    path = store.root / FILE
    with store.named_lock("index"):
        _files.write_atomically(path, render(store.images()), store.partial / FILE)
    return path


def require_free_name(store: Store, name: str, version: str, digest: str) -> None:
    """Raise Conflict if the name and version belong to other bytes, or the bytes to another name and version."""
    there = store.named(name, version)
    if there is not None and there.digest != digest:
        raise Conflict(
            f"version: the image {name} {version} is already in {store.root} with other bytes ({there.digest}, not {digest}); "
            "give the new bytes a new version, or remove the old image first.",
            option="version",
            digest=there.digest,
        )
    same = store.find(digest)
    if same is not None and (same.name, same.version) != (name, version):
        raise Conflict(
            f"name: these bytes ({digest}) are in {store.root} already as {same.name} {same.version}; use that or remove it first.",
            option="name",
            digest=digest,
        )
