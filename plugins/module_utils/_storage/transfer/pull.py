# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pull: one at a time for each image on a host, from any source that has pieces, resumed after any interruption."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ... import _files
from ..._errors import Corrupt, DiskFailed, EdgeError, NoSpace, NotFound, Unreachable, Unsupported
from ..format import qcow2
from ..store import digest as digests
from ..store import usage
from ..store.manifest import Manifest
from ..store.store import Store
from . import delta, pull_plan
from .partial_file import Assembly
from .prefetch import PieceFile
from .progress import Progress, no_progress, scanned_of
from .rate_limit import Backoff, no_limit
from .source_choice import Speeds
from .sources.protocol import Reader, Source, proven_manifest

MOST_FAILURES = 3  # of a source in a row; then the pull goes on without it
SLICE = 65536  # bytes that are read at a time; less from a slow source
SMALLEST_SLICE = 4096
BATCH = 1024 * 1024  # bytes that are received, then written and hashed while the next arrive; an interruption loses two
REQUEST = 32 * 1024 * 1024  # bytes of one request; between two, pieces that were fetched ahead are taken
Limit = Callable[[int], None]


@dataclass(frozen=True)
class Pulled:
    """An image that is here now, the bytes that sources gave, which sources these were, and the bytes copied on this host."""

    manifest: Manifest
    path: Path
    bytes_fetched: int = 0
    sources: tuple[str, ...] = ()
    bytes_reused: int = 0


class _Slow(Exception):
    """A source is left for another one because it is too slow; the received bytes stay."""


@dataclass
class _Tally:
    """The sources of a pull: failures in a row, errors, which gave bytes and how fast."""

    speeds: Speeds = field(default_factory=Speeds)
    failures: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)
    fetched: int = 0

    def failed(self, source: Source, error: EdgeError) -> None:
        final = not isinstance(error, Unreachable)
        self.failures[source.name] = MOST_FAILURES if final else self.failures.get(source.name, 0) + 1
        self.errors[source.name] = error.message

    def gave(self, source: Source) -> None:
        self.failures[source.name] = 0
        if source.name not in self.used:
            self.used.append(source.name)

    def best(self, sources: Iterable[Source]) -> Source | None:
        return min(self.usable(sources), key=self._rank, default=None)

    def usable(self, sources: Iterable[Source]) -> list[Source]:
        return [source for source in sources if self.failures.get(source.name, 0) < MOST_FAILURES]

    def _rank(self, source: Source) -> tuple[tuple[bool, float], int]:
        return (self.speeds.rank(source.name), self.failures.get(source.name, 0))


def pull_image(
    store: Store, digest: str, sources: Sequence[Source], *, now: float, progress: Progress = no_progress, limit: Limit = no_limit
) -> Pulled:
    """Make the image visible in ``store`` and return it; a second caller waits for the first and fetches nothing.

    ``now`` is seconds since the epoch; ``limit`` is called with the bytes that came and may sleep. Raises NotFound, Unreachable or
    Corrupt with the error of every source, Unsupported if what is here is too new for this host, or NoSpace. Verified pieces stay
    in the partial folder for the next try, except after NoSpace.
    """
    there = store.claim(digest, usage.PULL)
    if there is not None:
        return Pulled(there, store.image_path(digest))
    store.prepare()
    store.sweep(now)
    with store.lock(digest):
        there = store.claim(digest, usage.PULL)
        if there is not None:
            return Pulled(there, store.image_path(digest))
        store.refuse_newer(digest)
        return _Pull(store, digest, sources, progress, limit=limit).run()


def refill_image(store: Store, digest: str, sources: Sequence[Source], *, progress: Progress = no_progress) -> Pulled:
    """Replace the file of a visible, damaged image, fetching only what its partial file lacks.

    The caller holds the image's lock. The damaged file is never written to: the new one takes its name when every piece is proven.
    """

    def replace(work: Path, manifest: Manifest) -> Path:
        store.replace(work, digest)
        store.write_list(manifest)
        return store.image_path(digest)

    return _Pull(store, digest, sources, progress, publish=replace).run()


class _Pull:
    """One pull under the image's lock."""

    def __init__(
        self,
        store: Store,
        digest: str,
        sources: Sequence[Source],
        progress: Progress,
        *,
        limit: Limit = no_limit,
        publish: Callable[[Path, Manifest], Path] | None = None,
    ) -> None:
        self._publish = publish or store.publish
        self._replaces = publish is not None  # a file whose good bytes may be in the page cache only
        self._store = store
        self._digest = digest
        self._sources = sources
        self._progress = progress
        self._limit = limit
        self._backoff = Backoff(store.in_demand, time.monotonic, time.sleep)
        self._tally = _Tally()
        self._reused = 0

    def run(self) -> Pulled:
        """Pull with the first manifest that the digest proves: it has the one list of pieces that there is for this image."""
        errors: list[EdgeError] = []
        for source in self._sources:
            try:
                manifest = self._kept(proven_manifest(source, self._digest))
            except (NotFound, Unreachable, Corrupt, Unsupported) as error:
                self._tally.errors[source.name] = error.message
                errors.append(error)
                continue
            try:
                return self._with_manifest(manifest)
            except (NotFound, Unreachable, Corrupt) as error:
                self._tally.errors.setdefault(source.name, error.message)
                raise self._failure([*errors, error]) from None
        raise self._failure(errors)

    def _kept(self, offered: Manifest) -> Manifest:
        """Keep the list of pieces here, where a source may offer a very long one; the reserve of the disk stays."""
        _files.require_space(self._store.partial, offered.pieces.length, f"The list of pieces of {self._digest}")
        return self._store.keep_list(offered)

    def _failure(self, errors: list[EdgeError]) -> EdgeError:
        reasons = self._tally.errors
        listed = "; ".join(f"{name}: {message}" for name, message in reasons.items()) or "there are no sources"
        kinds = {type(error) for error in errors}
        kind = next((kind for kind in (Corrupt, Unreachable, Unsupported) if kind in kinds), NotFound)
        return kind(f"The image {self._digest} could not be pulled from any source. {listed}", digest=self._digest, sources=reasons)

    def _with_manifest(self, manifest: Manifest) -> Pulled:
        work = self._store.partial_path(self._digest)
        if self._replaces or not self._adopt(manifest, work):
            try:
                self._collect(manifest, work)
                self._finish(manifest, work)
            except (NoSpace, DiskFailed, OSError):  # a full or failing disk: none of it is used later
                work.unlink(missing_ok=True)
                self._store.ahead_path(self._digest).unlink(missing_ok=True)
                self._store.listing_path(self._digest).unlink(missing_ok=True)
                raise
        path = self._store.image_path(self._digest)
        return Pulled(self._store.find(self._digest) or manifest, path, self._tally.fetched, tuple(self._tally.used), self._reused)

    def _finish(self, manifest: Manifest, work: Path) -> None:
        try:
            _judge(work, manifest)
        except EdgeError:  # a hostile image, from any source
            work.unlink(missing_ok=True)
            self._store.listing_path(self._digest).unlink(missing_ok=True)
            raise
        self._publish(work, manifest)

    def _adopt(self, manifest: Manifest, work: Path) -> bool:
        """Make an image visible that lacks only its manifest (after a kill between the two renames); its pieces are verified."""
        path = self._store.image_path(self._digest)
        if not path.exists() or path.stat().st_size != manifest.size:
            return False
        try:
            if digests.describe(path, manifest.piece_size, scanned_of(self._progress)).pieces != manifest.pieces:
                return False
        except OSError:  # a bad sector
            return False
        _judge(path, manifest)
        self._store.adopt(manifest)
        work.unlink(missing_ok=True)
        return True

    def _collect(self, manifest: Manifest, work: Path) -> None:
        with Assembly(work, manifest) as assembly, ThreadPoolExecutor(1) as pool:
            assembly.scan(scanned_of(self._progress))
            assembly.reserve()
            candidates = () if assembly.complete else self._candidates(manifest)
            assembly.copy(delta.extents(manifest, assembly.good, candidates), self._progress)
            self._progress(assembly.good_bytes, manifest.size)
            ahead = PieceFile(self._store.ahead_path(self._digest), manifest)
            while not assembly.complete:
                run = next(pull_plan.missing(manifest, assembly.good, assembly.first_missing))
                part = next(pull_plan.split(manifest, run, REQUEST))
                if not assembly.take_ahead(ahead, part):
                    self._fetch(assembly, part, pool)
            assembly.settle()
            self._reused = assembly.bytes_reused

    def _candidates(self, manifest: Manifest) -> list[delta.Candidate]:
        """Return the images here that may share pieces; one of the same name is hashed again if its piece size differs."""
        found = []
        for image in sorted(self._store.images(), key=lambda one: one.name != manifest.name):
            path = self._store.image_path(image.digest)
            if image.piece_size == manifest.piece_size:
                found.append(delta.Candidate(path, image.size, image.pieces))
            elif image.name == manifest.name:
                with contextlib.suppress(OSError):  # removed meanwhile, or a bad sector
                    described = digests.describe(path, manifest.piece_size, scanned_of(self._progress))
                    found.append(delta.Candidate(path, image.size, described.pieces))
        return found

    def _fetch(self, assembly: Assembly, run: pull_plan.Run, pool: ThreadPoolExecutor) -> None:
        """Fetch a run, or the part of it that the best source gives; the caller's loop fetches the rest."""
        source = self._tally.best(self._sources)
        if source is None:
            raise Corrupt(f"No source gave the pieces of {self._digest} that its manifest describes.", digest=self._digest)
        self._tally.speeds.begin(source.name)
        try:
            with contextlib.suppress(_Slow), source.read(self._digest, run.offset, run.length) as reader:
                self._receive(assembly, run, pool, source, reader)
        except (NotFound, Unreachable, Corrupt) as error:
            self._tally.failed(source, error)

    def _receive(self, assembly: Assembly, run: pull_plan.Run, pool: ThreadPoolExecutor, source: Source, reader: Reader) -> None:
        """Receive some pieces at a time; meanwhile the pieces before them are written and hashed."""
        parts = list(pull_plan.split(assembly.manifest, run, BATCH))
        buffers = [bytearray(parts[0].length) for _any in range(2)]
        behind: Future[None] | None = None
        try:
            for number, part in enumerate(parts):
                view = memoryview(buffers[number % 2])[: part.length]
                self._fill(view, source, reader)
                if behind:
                    self._settle(behind, assembly, source)
                behind = pool.submit(assembly.put, part.first, view, source.name)
        finally:
            if behind:
                self._settle(behind, assembly, source)

    def _fill(self, view: memoryview, source: Source, reader: Reader) -> None:
        filled, slice_ = 0, SMALLEST_SLICE
        while filled < len(view):
            began = time.monotonic()
            count = reader.readinto(view[filled : filled + slice_])
            waited = time.monotonic() - began
            if not count:
                raise Unreachable(f"{source.name} ended in the middle of the image.", source=source.name)
            filled += count
            slice_ = min(2 * slice_, SLICE) if waited < 1 else max(slice_ // 2, SMALLEST_SLICE)
            self._tally.fetched += count
            self._judge_speed(count, waited, last=filled == len(view))
            self._limit(count)
            self._backoff(count)

    def _judge_speed(self, count: int, waited: float, *, last: bool) -> None:
        """Change to another source if this one is too slow, unless the piece that is being received is complete."""
        if self._tally.speeds.gave(count, waited) and not last:
            others = [other.name for other in self._tally.usable(self._sources)]
            if self._tally.speeds.leave(others):
                raise _Slow

    def _settle(self, behind: Future[None], assembly: Assembly, source: Source) -> None:
        behind.result()
        self._tally.gave(source)
        self._progress(assembly.good_bytes, assembly.manifest.size)


def _judge(path: Path, manifest: Manifest) -> None:
    """Refuse a hostile image even if its digest is right, also one whose publisher lied about the disk."""
    try:
        header = qcow2.read_header(path)
    except EdgeError as error:
        raise type(error)(error.message.replace(str(path), f"The image {manifest.digest}"), digest=manifest.digest) from None
    qcow2.refuse_unless_standalone(header, f"The image {manifest.digest}")
    if header.virtual_size != manifest.virtual_size:
        sizes = f"{manifest.virtual_size} bytes virtual size, the image {header.virtual_size}"
        raise Corrupt(f"The manifest of {manifest.digest} says {sizes}.")
