# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of an image's pieces: a tree of SHA-256 values, any part of which its root proves.

The list has the 32 raw bytes of the SHA-256 of each piece, in order. It is cut into pages of 1024 values (32 KiB); the SHA-256
values of the pages are the next level, which is cut again, until a level fits into one page. The SHA-256 of that page is the root.
A file of pieces has the levels one after another, that of the pieces first. So who knows the root can prove one piece of any image
by a page of each level.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import overload

from ... import _files
from ..._errors import Corrupt, NotFound

VALUE = 32
VALUES = 1024
PAGE = VALUES * VALUE
BURST = 32  # pages that are read at once where many are read in order
KEPT = 64  # pages in memory
Check = Callable[[bytes], bool]
Read = Callable[[int, int, Check], bytes]
"""Returns so many bytes of a file of pieces from an offset; where it can choose, those that the check takes."""


def levels_of(count: int) -> list[int]:
    """Return how many values each level has, that of the pieces first."""
    found = [count]
    while found[-1] > VALUES:
        found.append(-(-found[-1] // VALUES))
    return found


def length_of(count: int) -> int:
    """Return the bytes of a file of pieces."""
    return VALUE * sum(levels_of(count))


class Pieces(Sequence[str]):
    """The SHA-256 of each piece in hexadecimal, read by pages when they are used; each page is proven by ``root`` before that.

    A reader may meet Corrupt, and what ``read`` raises. Two are equal that have the same root.
    """

    def __init__(self, count: int, root: str, read: Read, where: str) -> None:
        self.root = root
        self._levels = levels_of(count)
        self._read = read
        self._where = where
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._lock = Lock()

    @classmethod
    def of(cls, values: Iterable[bytes]) -> Pieces:
        """Return the list of these raw SHA-256 values, which is in memory."""
        level = b"".join(values)
        count, data = len(level) // VALUE, level
        while len(level) > PAGE:
            level = b"".join(hashlib.sha256(level[at : at + PAGE]).digest() for at in range(0, len(level), PAGE))
            data += level
        return cls(count, hashlib.sha256(level).hexdigest(), lambda at, length, _check: data[at : at + length], "memory")

    @property
    def length(self) -> int:
        """The bytes of its file."""
        return VALUE * sum(self._levels)

    def __len__(self) -> int:
        return self._levels[0]

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        return self.value(range(len(self))[index]).hex()

    def __iter__(self) -> Iterator[str]:
        return (value.hex() for value in self.values())

    def __eq__(self, other: object) -> bool:
        return (len(self), self.root) == (len(other), other.root) if isinstance(other, Pieces) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.root)

    def value(self, index: int) -> bytes:
        """Return the raw SHA-256 of a piece."""
        return self._value(0, index)

    def _value(self, level: int, index: int) -> bytes:
        at = index % VALUES * VALUE
        return self._page(level, index // VALUES)[at : at + VALUE]

    def values(self, first: int = 0) -> Iterator[bytes]:
        """Yield the raw SHA-256 of all pieces in order, from the piece ``first``."""
        for number in range(first // VALUES, self._pages(0)):
            page = self._page(0, number, BURST)
            for at in range(first % VALUES * VALUE if number == first // VALUES else 0, len(page), VALUE):
                yield page[at : at + VALUE]

    def file(self) -> Iterator[bytes]:
        """Yield the bytes of its file in order, proven."""
        for level in range(len(self._levels)):
            for number in range(self._pages(level)):
                yield self._page(level, number, BURST)

    def part(self, offset: int, length: int) -> bytes:
        """Return some bytes of its file, proven; they end where it ends."""
        found = bytearray()
        for level, begin in enumerate(self._begins()):
            low, high = max(offset, begin), min(offset + length, begin + VALUE * self._levels[level])
            while low < high:
                number, at = divmod(low - begin, PAGE)
                some = self._page(level, number)[at : at + high - low]
                found += some
                low += len(some)
        return bytes(found)

    def prove(self) -> None:
        """Read all of it; raise Corrupt where it is damaged."""
        for _page in self.file():
            pass

    def _pages(self, level: int) -> int:
        return -(-self._levels[level] // VALUES)

    def _begins(self) -> list[int]:
        return [VALUE * sum(self._levels[:level]) for level in range(len(self._levels))]

    def _page(self, level: int, number: int, burst: int = 1) -> bytes:
        with self._lock:
            known = self._kept.get((level, number))
            if known is not None:
                self._kept.move_to_end((level, number))
                return known
        pages = self._load(level, range(number, min(number + burst, self._pages(level))))
        with self._lock:
            for offset, page in enumerate(pages):
                self._kept[level, number + offset] = page
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return pages[0]

    def _load(self, level: int, numbers: range) -> list[bytes]:
        """Read pages, and prove each by the level above."""
        top = level == len(self._levels) - 1
        wanted = [bytes.fromhex(self.root) if top else self._value(level + 1, number) for number in numbers]
        begin = self._begins()[level]
        end = begin + min(numbers.stop * PAGE, VALUE * self._levels[level])
        begin += numbers.start * PAGE

        def right(data: bytes) -> bool:
            return len(data) == end - begin and [hashlib.sha256(page).digest() for page in _cut(data)] == wanted

        data = self._read(begin, end - begin, right)
        if not right(data):
            raise Corrupt(f"{self._where}: the list of pieces is not the one that the digest binds.", where=self._where)
        return list(_cut(data))


def _cut(data: bytes) -> Iterator[bytes]:
    return (data[at : at + PAGE] for at in range(0, len(data), PAGE))


def reader_of(path: Path) -> Read:
    """Return what reads a file of pieces; one that its disk cannot read is Corrupt."""

    def read(offset: int, length: int, _check: Check) -> bytes:
        try:
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except FileNotFoundError:
            raise NotFound(f"{path} is not there.", path=str(path)) from None
        except OSError as error:
            if error.errno in _files.UNREADABLE:
                raise Corrupt(f"{path} cannot be read: {error.strerror}.", path=str(path)) from None
            raise

    return read
