# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses an image: the qcow2 files whose header names it as their backing file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from .._errors import EdgeError
from . import qcow2

DISK_DIRECTORIES = ("/var/lib/edge/vms", "/var/lib/edge/recovery")


def users_of(image: Path, directories: Sequence[Path]) -> list[str]:
    """Return the paths of the qcow2 files under ``directories`` whose backing file is ``image``, sorted.

    A file with a qcow2 magic that cannot be read counts as a user of everything: an image is not lost to a doubt.
    """
    target = image.resolve()
    return sorted({str(path) for path in _files(directories) if path != image and _uses(path, target)})


def _files(directories: Sequence[Path]) -> Iterator[Path]:
    for directory in directories:
        for folder, _, entries in os.walk(directory, onerror=_raise_unless_gone):
            yield from (Path(folder, entry) for entry in entries)


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _uses(path: Path, target: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            if file.read(4) != qcow2.MAGIC:
                return False
        backing = qcow2.read_header(path).backing_file
    except FileNotFoundError:
        return False
    except EdgeError:
        return True
    return backing is not None and resolve_backing(path, backing) == target


def resolve_backing(overlay: Path, backing: str) -> Path:
    """Return the file that a backing file name means, as QEMU reads it: relative to the overlay's folder."""
    plain = backing.removeprefix("file:")
    return (overlay.parent / plain).resolve()


def backing_name(overlay: Path, backing: str) -> str:
    """Return a backing file name as an absolute path, or as it is if it means something on the network."""
    remote = "://" in backing or backing.startswith(("json:", "nbd:"))
    return backing if remote else str(resolve_backing(overlay, backing))
