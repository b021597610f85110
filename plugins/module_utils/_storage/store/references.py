# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The users of an image: the qcow2 files whose header names it as their backing file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from ..._errors import Corrupt, EdgeError
from ..._json import load_json
from ..format import qcow2
from ..format.disk_format import recorded_raw

DISK_DIRECTORIES = ("/var/lib/edge/vms", "/var/lib/edge/recovery")


def users_of(image: Path, directories: Sequence[Path]) -> list[str]:
    """Return the paths of the qcow2 files under ``directories`` whose backing file is ``image``, sorted.

    A qcow2 file that cannot be read counts as a user of every image, so that none is removed by mistake.
    """
    return references(directories).users_of(image)


@dataclass(frozen=True)
class References:
    """The users of each backing file, from one scan of all disks, and the files that may use any image."""

    by_image: Mapping[Path, frozenset[str]]
    doubtful: frozenset[str]

    def users_of(self, image: Path) -> list[str]:
        """Return the paths of the files whose chain has ``image``, sorted."""
        return sorted((self.by_image.get(image.resolve(), frozenset()) | self.doubtful) - {str(image)})


def references(directories: Sequence[Path]) -> References:
    """Read every file under ``directories``; a backing file outside of them is followed to its own backing file."""
    found: dict[Path, set[str]] = {}
    doubtful: set[str] = set()
    disks = {path: path.resolve() for path in _files(directories) if _is_qcow2(path)}
    inside = set(disks.values())
    for path in disks:
        try:
            for backing in _below(path, inside):
                found.setdefault(backing, set()).add(str(path))
        except EdgeError:
            doubtful.add(str(path))
    return References({image: frozenset(users) for image, users in found.items()}, frozenset(doubtful))


def _below(path: Path, inside: Set[Path]) -> Iterator[Path]:
    """Yield the backing file, and its own backing file unless it is one of the disks that are scanned anyway."""
    followed: set[Path] = set()
    ahead = _backings_of(path)
    while ahead:
        backing = ahead.pop()
        if backing not in followed:
            yield backing
            followed.add(backing)
            ahead += _backings_of(backing) if backing not in inside and _is_qcow2(backing) else []


def _backings_of(path: Path) -> list[Path]:
    try:
        backing = qcow2.read_header(path).backing_file
    except FileNotFoundError:
        return []
    if backing is None:
        return []
    if not backing.startswith("json:"):
        return [resolve_backing(path, backing)]
    options = load_json(backing.removeprefix("json:"), f"The name of the backing file of {path}", qcow2.LONGEST_NAME)
    try:
        return [resolve_backing(path, name) for name in _file_names(options)]
    except (ValueError, RecursionError):
        raise Corrupt(f"{path} names a backing file that cannot be a path: {backing:.200}.", path=str(path)) from None


def _file_names(node: object, key: str = "") -> Iterator[str]:
    """Yield every string in QEMU's options of a block device that may be the name of a file."""
    if isinstance(node, dict):
        for name, below in node.items():
            yield from _file_names(below, name)
    elif isinstance(node, list):
        for below in node:
            yield from _file_names(below, key)
    elif isinstance(node, str) and (key.endswith("filename") or node.startswith("/")):
        yield node


def _files(directories: Sequence[Path]) -> Iterator[Path]:
    """Yield all files under ``directories``, following symbolic links as QEMU does, each folder once."""
    visited: set[tuple[int, int]] = set()
    for directory in directories:
        for folder, below, entries in os.walk(directory, onerror=_raise_unless_gone, followlinks=True):
            found = _identity(folder)
            if found is None or found in visited:
                below.clear()
                continue
            visited.add(found)
            yield from (Path(folder, entry) for entry in entries)


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        found = Path(folder).stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _is_qcow2(path: Path) -> bool:
    try:
        if not path.is_file() or recorded_raw(path):
            return False
        with path.open("rb") as file:
            return file.read(4) == qcow2.MAGIC
    except FileNotFoundError:
        return False


def resolve_backing(overlay: Path, backing: str) -> Path:
    """Return the file that a backing file name means, as QEMU reads it: relative to the overlay's folder."""
    plain = backing.removeprefix("file:")
    return (overlay.parent / plain).resolve()


def backing_name(overlay: Path, backing: str) -> str:
    """Return a backing file name as an absolute path, or unchanged if it is a network location."""
    remote = "://" in backing or backing.startswith(("json:", "nbd:"))
    return backing if remote else str(resolve_backing(overlay, backing))
