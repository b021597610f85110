# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packed images: unpacked in a stream, with holes in place of zeros, and never to more than the largest allowed size."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ... import _space, _sparse
from ..._errors import Corrupt, NoSpace, Refused, Unsupported
from ..format.disk_format import recorded_raw

BLOCK = 1024 * 1024
MEMORY = 1024**3
MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2"}


def packed_as(path: Path) -> str | None:
    """Return how a file is packed, by its first bytes: gzip, xz, zstd, bzip2, or None.

    What is on record as a raw disk is never packed: those bytes are its guest's.
    """
    if recorded_raw(path):
        return None
    with path.open("rb") as file:
        head = file.read(6)
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)


def unpack(source: Path, packed: str, target: Path, largest: int) -> int:
    """Unpack ``source`` to the new file ``target`` and return its length; an error leaves no target.

    More than ``largest`` bytes are Refused: a few KiB can unpack to terabytes.
    """
    try:
        with source.open("rb") as reader, target.open("xb") as writer:
            return _write(READERS[packed](reader), writer, source, largest)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        target.unlink(missing_ok=True)
        raise Corrupt(f"{source} cannot be unpacked ({packed}): {error}.", path=str(source)) from None
    except OSError as error:
        target.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(f"No space left to unpack {source} to {target}; free some.", path=str(target)) from None
        if error.errno is None:  # bz2 and gzip report damage like this
            raise Corrupt(f"{source} cannot be unpacked ({packed}): {error}.", path=str(source)) from None
        raise
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _write(blocks: Iterator[bytes], writer: BinaryIO, source: Path, largest: int) -> int:
    size = 0
    room = _space.Growing(_space.Space(Path(writer.name).parent, f"Unpacking {source}"), writer.fileno())
    for block in blocks:
        size += len(block)
        if size > largest:
            raise Refused(
                f"{source} unpacks to more than {largest} bytes (max_unpacked_size); it was not imported.", path=str(source)
            )
        room.reach(size)
        _sparse.write(writer.fileno(), block, size - len(block))
    _space.give_back(writer.fileno())
    return size


def _gzip(reader: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=reader) as unpacker:
        while block := unpacker.read(BLOCK):
            yield block


def _streams(reader: BinaryIO, begin: Callable[[], Any]) -> Iterator[bytes]:
    """Unpack one stream after the other; what follows the last one must be padding of zeros."""
    rest = reader.read(BLOCK)
    while rest:
        unpacker = begin()
        while not unpacker.eof:
            if unpacker.needs_input and not rest:
                rest = reader.read(BLOCK)
                if not rest:
                    raise EOFError("it ends in the middle")
            block, rest = unpacker.decompress(rest, BLOCK), b""
            if block:
                yield block
        rest = (unpacker.unused_data or reader.read(BLOCK)).lstrip(b"\0")
        while not rest and (more := reader.read(BLOCK)):
            rest = more.lstrip(b"\0")


def _xz(reader: BinaryIO) -> Iterator[bytes]:
    return _streams(reader, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY))


def _bzip2(reader: BinaryIO) -> Iterator[bytes]:
    return _streams(reader, bz2.BZ2Decompressor)


def require_program(packed: str | None, where: str) -> None:
    """Raise Unsupported if the program that unpacks it is not installed: Python's library has no zstd."""
    if packed == "zstd" and shutil.which("zstd") is None:
        raise Unsupported(
            f"{where} is packed with zstd, which is not installed on this host; install the package zstd.", program="zstd"
        )


def _zstd(reader: BinaryIO) -> Iterator[bytes]:
    require_program("zstd", reader.name)
    argv = ["zstd", "--decompress", "--stdout", "--quiet", f"--memory={MEMORY}"]
    with tempfile.TemporaryFile() as errors, subprocess.Popen(argv, stdin=reader, stdout=subprocess.PIPE, stderr=errors) as process:
        try:
            while process.stdout is not None and (block := process.stdout.read(BLOCK)):
                yield block
            if process.wait():
                errors.seek(0)
                raise EOFError(errors.read(500).decode(errors="replace").strip())
        finally:
            process.kill()


READERS: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {"gzip": _gzip, "xz": _xz, "bzip2": _bzip2, "zstd": _zstd}
