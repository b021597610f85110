# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A digest of a file's bytes to which a hole and zeros that were written are the same, and which holes of any size cost nothing."""

from __future__ import annotations

import hashlib

BLOCK = 64 * 1024
ZEROS = bytes(BLOCK)


class SparseDigest:
    """SHA-256 of each block of 64 KiB that is not all zeros, after its offset, and of the length at the end.

    Two files have the same digest if and only if they have the same bytes; how they came, in what parts, does not matter.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._at = 0
        self._rest = bytearray()

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._rest += data
        whole = len(self._rest) // BLOCK * BLOCK
        for start in range(0, whole, BLOCK):
            self._block(bytes(self._rest[start : start + BLOCK]))
        del self._rest[:whole]

    def zeros(self, size: int) -> None:
        """Take the next ``size`` bytes, which are zeros."""
        head = min(size, -len(self._rest) % BLOCK)
        self.update(ZEROS[:head])
        blocks, tail = divmod(size - head, BLOCK)
        self._at += blocks * BLOCK
        self.update(ZEROS[:tail])

    def hexdigest(self) -> str:
        """Return the digest of what was taken so far; nothing can be taken after."""
        length = self._at + len(self._rest)
        self._block(bytes(self._rest))
        self._hash.update(length.to_bytes(8, "big"))
        return self._hash.hexdigest()

    def _block(self, block: bytes) -> None:
        if block != ZEROS[: len(block)]:
            self._hash.update(self._at.to_bytes(8, "big") + block)
        self._at += len(block)
