# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a pass over all images came: ``ROOT/scrub.json``, so that a scrub that was interrupted goes on there."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ... import _files
from ..._errors import Corrupt
from ..._json import load_object

STATE_FILE = "scrub.json"
LARGEST = 64 * 1024 * 1024
LONGEST = 30 * 24 * 3600.0  # of a pass; what was read before that is read again
SAVE_SECONDS = 10.0


@dataclass
class Position:
    """What of one image file was read in this pass: the number of pieces, and the damaged ones of these."""

    file: str
    pieces: int = 0
    damaged: list[int] = field(default_factory=list)


class Pass:
    """A pass over all images of a store; ``path`` is where it is recorded, None for one that leaves no trace."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._saved_at = clock()
        self._begun = clock()
        self._images: dict[str, Position] = {}
        if path:
            self._load(path)

    def _load(self, path: Path) -> None:
        try:
            found = load_object(path.read_bytes(), str(path), LARGEST)
            begun = float(found["begun"])
            images = {digest: _position(one) for digest, one in found["images"].items()}
        except (OSError, Corrupt, KeyError, TypeError, ValueError, AttributeError):
            return
        if 0 <= self._clock() - begun <= LONGEST:
            self._begun, self._images = begun, images

    def position(self, digest: str, image: Path) -> Position:
        """Return how far an image was read; from the start if its file is another one than then."""
        found = image.stat()
        file = f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"
        known = self._images.get(digest)
        if known is None or known.file != file:
            known = self._images[digest] = Position(file)
        return known

    def save(self, *, now: bool = False) -> None:
        """Record how far the pass came, at most once in some seconds unless ``now``; a full disk is not damage to an image."""
        if self._path is None or not (now or self._clock() - self._saved_at >= SAVE_SECONDS):
            return
        self._saved_at = self._clock()
        state = {"begun": self._begun, "images": {digest: vars(one) for digest, one in self._images.items()}}
        data = json.dumps(state, sort_keys=True).encode() + b"\n"
        with contextlib.suppress(OSError):
            _files.write_atomically(self._path, data, self._path.with_name("partial") / STATE_FILE, mode=0o600)

    def end(self) -> None:
        """Forget the pass: the next scrub reads all again."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            _files.fsync(self._path.parent)


def _position(found: dict[str, Any]) -> Position:
    return Position(str(found["file"]), int(found["pieces"]), [int(index) for index in found["damaged"]])
