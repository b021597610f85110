# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads of any bytes of an image at any time, whether it is here, is being pulled, or is only on another host.

A replica serves them to VMs that started before their image arrived. Fetched pieces are kept for the pull, so that each crosses the
WAN once.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock, RLock

from ... import _files
from ..._errors import Corrupt, EdgeError, NotFound, Unreachable
from ..format.pieces import Check, Pieces, reader_of
from ..store.manifest import Manifest
from ..store.store import Store
from . import pull_plan
from .prefetch import PieceFile
from .sources.protocol import Source, proven_manifest

KEPT = 16 * 1024 * 1024  # bytes of pieces in memory: the bytes after a read are usually read next
WINDOW = 1024 * 1024  # bytes fetched at once where a VM reads in order


class ReadThrough:
    """One image of ``store`` that may not have arrived yet; several threads may use it.

    Until the image is published, each piece is verified before a byte of it is returned, by a list of pieces that the digest
    proves, whatever a source says; only the pages of that list that a read needs are fetched. A piece of the published image that
    its disk cannot read comes from a source in the same way, until the image is repaired. Raises NotFound if neither the store nor
    a source has the image.
    """

    def __init__(self, store: Store, digest: str, sources: Sequence[Source]) -> None:
        self._store = store
        self._sources = list(sources)
        self._digest = digest
        self._fetching = RLock()
        self._lists: dict[str, Pieces] = {}
        offered = store.find(digest) or self._offered()
        self._manifest = replace(offered, pieces=offered.list_from(self._listed, digest))
        self._partial = PieceFile(store.partial_path(digest), self._manifest)
        self._ahead = PieceFile(store.ahead_path(digest), self._manifest)
        self._pieces: OrderedDict[int, bytes] = OrderedDict()
        self._held = ExitStack()
        self._whole: int | None = None
        self._damaged: dict[int, str] = {}
        self._lock = Lock()
        self._next = -1
        self._window = 1

    @property
    def size(self) -> int:
        """The image's length in bytes."""
        return self._manifest.size

    @property
    def manifest(self) -> Manifest:
        """The image's manifest."""
        return self._manifest

    def close(self) -> None:
        """Allow the image to be removed again."""
        with self._lock:
            self._held.close()
            self._whole = None

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly these bytes; raise Unreachable or Corrupt if no source gives them now."""
        found = self._published(offset, length)
        if isinstance(found, bytes):
            return found
        size, end = self._manifest.piece_size, offset + length
        wanted = range(offset // size, (end - 1) // size + 1)
        return b"".join(self._part(index, max(offset, index * size), min(end, (index + 1) * size)) for index in wanted)

    def _part(self, index: int, begin: int, end: int) -> bytes:
        """Return the bytes from ``begin`` to before ``end`` of the image, which are all in one piece."""
        found = self._published(begin, end - begin)
        if isinstance(found, bytes):
            return found
        if found:
            self._damaged.setdefault(index, found)
        start = index * self._manifest.piece_size
        return self._piece(index)[begin - start : end - start]

    def _published(self, offset: int, length: int) -> bytes | str:
        """Return these bytes of the published image, or why its disk does not give them; the empty string if it is not here yet."""
        size = self._manifest.piece_size
        try:
            with self._lock:
                whole = self._opened()
                for index in range(offset // size, (offset + length - 1) // size + 1) if self._damaged else ():
                    if index in self._damaged:  # a bad sector may take the disk seconds each time
                        return self._damaged[index]
                if whole is None:
                    return ""
                whole = os.dup(whole)  # it may be closed meanwhile
            try:
                found = os.pread(whole, length, offset)
            finally:
                os.close(whole)
        except OSError as error:
            return f"{self._store.image_path(self._digest)} cannot be read here: {error.strerror}."
        return found if len(found) == length else f"{self._store.image_path(self._digest)} is too short."

    def _offered(self) -> Manifest:
        errors: list[str] = []
        for source in self._sources:
            try:
                found = proven_manifest(source, self._digest)
            except EdgeError as error:
                errors.append(error.message)
            else:
                self._lists[source.name] = found.pieces
                return found
        raise NotFound(
            f"The image {self._digest} is not here and no source has it. {' '.join(errors)}".strip(), digest=self._digest
        )

    def _listed(self, offset: int, length: int, check: Check) -> bytes:
        """Return a part of the list of pieces: what is here of it, else from a source, the right one where a source lies."""
        for path in (self._store.pieces_path(self._digest), self._store.listing_path(self._digest)):
            with suppress(Corrupt, NotFound, OSError):
                found = reader_of(path)(offset, length, check)
                if check(found):
                    return found
        errors = []
        with self._fetching:  # a source does one thing at a time
            for source in tuple(self._sources):
                try:
                    if source.name not in self._lists:
                        self._lists[source.name] = proven_manifest(source, self._digest).pieces
                    found = self._lists[source.name].part(offset, length)
                except EdgeError as error:
                    errors.append(error.message)
                    continue
                if check(found):
                    return found
        raise Unreachable(
            f"No source gives the list of pieces of {self._digest} now. {' '.join(errors)}".strip(), digest=self._digest
        )

    def _opened(self) -> int | None:
        """Return the published image, kept from removal from the first read on, or None if it is not here yet.

        A damaged one is left when another file is in its place. The caller holds the lock of this object.
        """
        path = self._store.image_path(self._digest)
        if self._damaged and self._whole is not None and _replaced(self._whole, path):
            self._held.close()
            self._whole = None
            self._damaged.clear()
        if self._whole is None and path.exists() and self._store.find(self._digest):
            with ExitStack() as held:
                held.enter_context(_files.file_lock(path, shared=True))
                whole = os.open(path, os.O_RDONLY)
                held.callback(os.close, whole)
                self._held, self._whole = held.pop_all(), whole
            self._pieces.clear()
        return self._whole

    def _piece(self, index: int) -> bytes:
        found = self._here(index)
        if found is None:
            with self._fetching:  # another thread may have fetched it meanwhile
                found = self._here(index) or self._fetched(index)
        return found

    def _here(self, index: int) -> bytes | None:
        with self._lock:
            known = self._pieces.get(index)
            if known is not None:
                self._pieces.move_to_end(index)
                return known
        found = self._partial.get(index) or self._ahead.get(index)
        if found is not None:
            self._remember(index, found)
        return found

    def _remember(self, index: int, data: bytes) -> None:
        with self._lock:
            self._pieces[index] = data
            while len(self._pieces) * self._manifest.piece_size > KEPT and len(self._pieces) > 1:
                self._pieces.popitem(last=False)

    def _fetched(self, index: int) -> bytes:
        with _files.signalled(self._store.demand_path):
            return self._fetch(index)

    def _fetch(self, index: int) -> bytes:
        """Fetch a piece, and those after it if the last fetch ended here: twice as many each time."""
        self._window = self._window * 2 if index == self._next else 1
        limit = max(1, min(self._window, WINDOW // self._manifest.piece_size))
        end = min(index + limit, self._manifest.count)
        end = next((other for other in range(index + 1, end) if self._here(other) is not None), end)
        self._next, self._window = end, limit
        errors = [self._damaged[index]] if index in self._damaged else []
        for source in tuple(self._sources):
            try:
                found = self._from(source, pull_plan.run_of(self._manifest, index, end))
            except EdgeError as error:
                errors.append(error.message)
                continue
            self._sources.remove(source)
            self._sources.insert(0, source)  # the next read does not wait again for sources that failed
            return found
        raise Unreachable(f"No source gives piece {index} of {self._digest} now. {' '.join(errors)}".strip(), digest=self._digest)

    def _from(self, source: Source, run: pull_plan.Run) -> bytes:
        buffer = bytearray(run.length)
        view = memoryview(buffer)
        filled = 0
        with source.read(self._digest, run.offset, run.length) as reader:
            while filled < run.length:
                count = reader.readinto(view[filled:])
                if not count:
                    raise Unreachable(f"{source.name} ended in the middle of the image.", source=source.name)
                filled += count
        for index in range(run.first, run.end):
            begin = index * self._manifest.piece_size - run.offset
            data = bytes(view[begin : begin + self._manifest.piece_length(index)])
            if hashlib.sha256(data).digest() != self._manifest.pieces.value(index):
                wrong = f"{source.name} gave wrong bytes for piece {index} of {self._digest}; they were not used."
                raise Corrupt(wrong, source=source.name)
            self._ahead.put(index, data)
            self._remember(index, data)
        return bytes(view[: self._manifest.piece_length(run.first)])


def _replaced(whole: int, path: Path) -> bool:
    try:
        return not os.path.samestat(os.fstat(whole), path.stat())
    except FileNotFoundError:
        return True
