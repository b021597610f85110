# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of files: the whole, each piece and each checkpoint, in one read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._errors import InvalidInput
from .manifest import piece_size_for

BLOCK = 4 * 1024 * 1024


@dataclass(frozen=True)
class Description:
    """The digests of a file."""

    digest: str
    size: int
    piece_size: int
    pieces: tuple[str, ...]
    checkpoints: tuple[str, ...]


def describe(path: Path, piece_size: int | None = None) -> Description:
    """Return the digests of ``path`` by one read; pieces and the whole are hashed side by side."""
    piece_size = piece_size or piece_size_for(path.stat().st_size)
    whole = hashlib.sha256()
    pieces: list[str] = []
    checkpoints: list[str] = []
    size = 0
    with path.open("rb", buffering=0) as file, ThreadPoolExecutor(1) as pool:
        behind: Future[list[str]] | None = None
        for data in _blocks(file, max(BLOCK, piece_size)):
            size += len(data)
            if behind:
                checkpoints += behind.result()
            parts = [memoryview(data)[at : at + piece_size] for at in range(0, len(data), piece_size)]
            behind = pool.submit(_advance, whole, parts)
            pieces += [hashlib.sha256(part).hexdigest() for part in parts]
        if behind is None:
            raise InvalidInput(f"The file {path} is empty; it cannot be an image.")
        checkpoints += behind.result()
    return Description(f"sha256:{checkpoints[-1]}", size, piece_size, tuple(pieces), tuple(checkpoints))


def _advance(whole: Any, parts: list[memoryview]) -> list[str]:
    found = []
    for part in parts:
        whole.update(part)
        found.append(str(whole.hexdigest()))
    return found


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
    """Return ``ALGORITHM:HEX`` of a file."""
    with path.open("rb", buffering=0) as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def copy_with_checksum(source: Path, target: Path, algorithm: str) -> str:
    """Copy ``source`` to the new file ``target`` and return the checksum of exactly the bytes written."""
    hashed = hashlib.new(algorithm)
    with source.open("rb", buffering=0) as reader, target.open("xb", buffering=0) as writer:
        os.posix_fadvise(reader.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        for block in _blocks(reader, BLOCK):
            hashed.update(block)
            write_all(writer.fileno(), block)
    return f"{algorithm}:{hashed.hexdigest()}"


def write_all(descriptor: int, data: bytes | memoryview, offset: int | None = None) -> None:
    """Write all of ``data``, at the current place or at ``offset``."""
    view = memoryview(data)
    while view:
        done = os.write(descriptor, view) if offset is None else os.pwrite(descriptor, view, offset)
        view = view[done:]
        offset = None if offset is None else offset + done
