# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases: ``ROOT/leases/HEX.PATH.FILE.json`` says that a disk file uses the image HEX, durable before the disk has its name.

A lease holds what the file is, so that it is found after a rename or by another mount. It ends only when the file is proven gone.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import _files
from ..._errors import Corrupt
from ..._json import load_object
from .identity import FileId, from_json, identify
from .references import IMAGE_NAME

LARGEST = 64 * 1024
Listed = dict[str, list[Path]]


@dataclass(frozen=True)
class Lease:
    """One use of an image: the disk's path when it was written, what the disk is and what its folder.

    ``disk`` is None for a disk that another host makes here; ``path`` is empty where the lease cannot be read.
    """

    file: Path
    path: str = ""
    disk: FileId | None = None
    folder: FileId | None = None


def folder_of(image: Path) -> Path:
    """Return the folder of the leases of an image file."""
    return image.parent / "leases"


def is_image(path: Path) -> bool:
    """Return whether a file is an image of a store, which has leases."""
    return bool(IMAGE_NAME.fullmatch(path.name)) and (path.with_suffix(".json").exists() or folder_of(path).is_dir())


def leases_of(image: Path, path: Path | None = None, listed: Listed | None = None) -> list[Lease]:
    """Return the leases of an image, or those of them for a disk of that path; ``listed`` is what ``listed_in`` found."""
    kind = f"{image.stem}.{_short(str(path))}." if path else f"{image.stem}."
    files = (listed_in(folder_of(image)) if listed is None else listed).get(image.stem, ())
    return [_read(file) for file in files if file.name.startswith(kind)]


def listed_in(folder: Path) -> Listed:
    """Return the files of leases by the hexadecimal part of their image's digest, by one look at their folder."""
    found: Listed = {}
    with suppress(FileNotFoundError):
        for file in sorted(folder.iterdir()):
            if file.suffix == ".json" and not file.name.startswith("."):
                found.setdefault(file.name.partition(".")[0], []).append(file)
    return found


def all_leases(root: Path) -> list[Lease]:
    """Return the leases of all images of a store."""
    return [_read(file) for file in sorted((root / "leases").glob("[0-9a-f]*.json"))]


def leases_at(root: Path, paths: Sequence[str]) -> list[Lease]:
    """Return the leases of all images for disks of these paths; no other one is read."""
    kinds = {_short(path) for path in paths}
    files = [file for files in listed_in(root / "leases").values() for file in files]
    found = [_read(file) for file in files if file.name.split(".")[1] in kinds]
    return [lease for lease in found if lease.path in paths]


def image_of(lease: Lease) -> Path:
    """Return the image file that a lease keeps."""
    return lease.file.parent.parent / f"{lease.file.name.split('.')[0]}.qcow2"


def _read(file: Path) -> Lease:
    try:
        found = load_object(file.read_bytes(), str(file), LARGEST)
    except (OSError, Corrupt):
        return Lease(file)
    path, disk = found.get("path"), from_json(found.get("disk"))
    if not isinstance(path, str) or (disk is None and found.get("disk") is not None):
        return Lease(file)
    return Lease(file, path, disk, from_json(found.get("folder")))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def write(image: Path, path: Path, disk: Path) -> Lease:
    """Note that the file ``disk``, which has or will have the name ``path``, uses the image; durable when this returns."""
    folder = folder_of(image)
    if not folder.is_dir():
        folder.mkdir(mode=0o700, exist_ok=True)
        _files.fsync(image.parent)
    lease = Lease(Path(), str(path), identify(disk), identify(path.parent))
    name = file_name(image, str(path), json.dumps(_described(lease), sort_keys=True))
    work = folder / f".{name}.{os.getpid()}"
    _files.write_atomically(folder / name, text_of(lease), work, mode=0o600)
    return Lease(folder / name, lease.path, lease.disk, lease.folder)


def file_name(image: Path, path: str, what: str) -> str:
    """Return the name of a lease: the same disk has the same one."""
    return f"{image.stem}.{_short(path)}.{_short(what)}.json"


def text_of(lease: Lease) -> bytes:
    """Return the content of a lease's file."""
    return json.dumps(_described(lease), sort_keys=True).encode() + b"\n"


def _described(lease: Lease) -> dict[str, Any]:
    return {
        "path": lease.path,
        "disk": lease.disk.as_json() if lease.disk else None,
        "folder": lease.folder.as_json() if lease.folder else None,
    }


def drop(lease: Lease) -> None:
    """Remove a lease."""
    lease.file.unlink(missing_ok=True)
    _files.fsync(lease.file.parent)


def note(image: Path, path: Path, disk: Path) -> None:
    """Write the lease of a disk if it is over an image of a store; ``disk`` is the file that will be renamed to ``path``."""
    if is_image(image):
        write(image, path, disk)


def sweep(root: Path, stale: float) -> None:
    """Remove the scratch files of writers that were killed more than ``stale`` seconds ago."""
    for work in (root / "leases").glob(".*"):
        with suppress(FileNotFoundError):
            if time.time() - work.stat().st_mtime > stale:
                work.unlink()
