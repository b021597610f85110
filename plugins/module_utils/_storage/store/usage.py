# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When an image was last used and how often: ``HEX.used`` grows by one byte a use, and its time of change is the last use.

An append of one byte is atomic, needs no lock and cannot be torn by a kill. The file system's access times do not show uses:
most hosts mount with relatime, and every check and scrub reads an image without using it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

DISK, PULL = b"d", b"p"


@dataclass(frozen=True)
class Usage:
    """The last use in seconds since the epoch, the disks that were created over the image, and the pulls that found it here."""

    last_use: float = 0.0
    disks: int = 0
    found: int = 0

    @property
    def hits(self) -> int:
        """How often the image was requested and was here."""
        return self.disks + self.found


def path_of(image: Path) -> Path:
    """Return the file that counts the uses of an image file."""
    return image.with_suffix(".used")


def note(image: Path, use: bytes) -> None:
    """Note a use (DISK or PULL) of an image file. If the host cannot write it (no space), the use is not counted."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path_of(image), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, use)
        except OSError:
            os.utime(descriptor)
            raise
        finally:
            os.close(descriptor)


def note_disk(backing: Path) -> None:
    """Note that a disk was created over a backing file, if that is an image of a store."""
    if backing.suffix == ".qcow2" and backing.with_suffix(".json").exists():
        note(backing, DISK)


def read(image: Path) -> Usage:
    """Return the uses of an image file; the last is not before the image arrived."""
    times = [found.st_mtime for path in (path_of(image), image.with_suffix(".json"), image) if (found := _stat(path))]
    try:
        noted = path_of(image).read_bytes()
    except OSError:  # none yet, or a bad sector: then its time still counts
        noted = b""
    return Usage(max(times, default=0.0), noted.count(DISK), noted.count(PULL))


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
