# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashes of files: of each piece, for an image's digest, and of the whole, for the checksum of a source."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import _space, _sparse
from ..._errors import Conflict
from ..format.pieces import Pieces
from .manifest import digest_of, piece_size_for

IMAGE = "image"  # a checksum's algorithm
BLOCK = 4 * 1024 * 1024


@dataclass(frozen=True)
class Description:
    """The length of a file and the SHA-256 of each of its pieces."""

    size: int
    piece_size: int
    pieces: Pieces


def describe(path: Path, piece_size: int | None = None, read: Callable[[int, int], None] = lambda _done, _all: None) -> Description:
    """Return length and pieces of ``path`` by one read; ``read`` gets how much of it was read, of all."""
    length = path.stat().st_size
    piece_size = piece_size or piece_size_for(length)
    pieces = bytearray()
    size = 0
    with path.open("rb", buffering=0) as file:
        for data in _blocks(file, max(BLOCK, piece_size)):
            size += len(data)
            parts = (memoryview(data)[at : at + piece_size] for at in range(0, len(data), piece_size))
            pieces += b"".join(hashlib.sha256(part).digest() for part in parts)
            read(size, max(size, length))
    return Description(size, piece_size, Pieces.of([bytes(pieces)]))


def _blocks(file: Any, length: int) -> Iterator[bytes]:
    """Yield blocks of exactly ``length`` bytes; only the last may be short."""
    while True:
        block = file.read(length)
        while block and len(block) < length and (more := file.read(length - len(block))):
            block += more
        if not block:
            return
        yield block


def checksum_of(path: Path, algorithm: str) -> str:
    """Return ``ALGORITHM:HEX`` of a file; ``image`` gives the digest that the file has as an image, whatever it holds."""
    if algorithm == IMAGE:
        return f"{IMAGE}:{_as_image(path)}"
    with path.open("rb", buffering=0) as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def _as_image(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        virtual_size = int.from_bytes(os.pread(file.fileno(), 8, 24), "big")  # where a qcow2 header has it
    found = describe(path)
    digest = digest_of(
        format="qcow2", size=found.size, virtual_size=virtual_size, piece_size=found.piece_size, root=found.pieces.root
    )
    return digest.removeprefix("sha256:")


def copy_with_checksum(source: Path, target: Path, algorithm: str) -> str:
    """Copy ``source`` to the new file ``target``, zeros as holes, and return the checksum of exactly the bytes written."""
    hashed = None if algorithm == IMAGE else hashlib.new(algorithm)
    with source.open("rb", buffering=0) as reader, target.open("xb", buffering=0) as writer:
        parts = list(_sparse.extents(reader.fileno(), 0, os.fstat(reader.fileno()).st_size))
        space = _space.Space(target.parent, f"The copy of {source}")
        space.take(writer.fileno(), [(part.offset, part.length) for part in parts if part.data])
        for at, block in _read(reader.fileno(), parts):
            if hashed:
                hashed.update(block)
            with space.writing():
                _sparse.write(writer.fileno(), block, at)
    return f"{algorithm}:{hashed.hexdigest()}" if hashed else checksum_of(target, algorithm)


def _read(descriptor: int, parts: Sequence[_sparse.Extent]) -> Iterator[tuple[int, bytes]]:
    """Yield the blocks of a file with their offsets; those of holes are not read."""
    for part in parts:
        for at in range(part.offset, part.offset + part.length, BLOCK):
            length = min(BLOCK, part.offset + part.length - at)
            yield at, _exactly(descriptor, length, at) if part.data else _sparse.ZEROS[:length]


def _exactly(descriptor: int, length: int, offset: int) -> bytes:
    block = os.pread(descriptor, length, offset)
    while len(block) < length:
        more = os.pread(descriptor, length - len(block), offset + len(block))
        if not more:
            raise Conflict("The source became shorter while it was copied; nothing was kept. Copy it again when nothing writes it.")
        block += more
    return block
