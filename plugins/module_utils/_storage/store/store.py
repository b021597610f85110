# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content-addressed store of immutable images: the image datastore, a replica and a host cache are all one of these.

``ROOT/HEX.qcow2``, ``ROOT/HEX.pieces`` and ``ROOT/HEX.json`` are an image; it exists exactly when its manifest does, and the
manifest is renamed last and removed first. ``ROOT/partial/`` has work in progress and locks; ``ROOT/HEX.pin`` keeps an image from
garbage collection, and ``ROOT/leases/`` those that disks use.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from ... import _files
from ..._errors import Busy, Corrupt, DiskFailed, NoSpace, NotFound, Refused, Unsupported
from ..._space import Space, give_back, unused
from .. import names
from ..format.pieces import reader_of
from . import lease, manifest, usage, uses
from .disk_read import DiskFile, is_good
from .manifest import Manifest
from .references import Headers
from .uses import Uses

STALE_SECONDS = 7 * 24 * 3600
PATIENCE = 60.0  # seconds for who makes a disk or reads an image, or pulls it, before a removal gives up


@dataclass(frozen=True)
class Store:
    """A store under ``root``; all its changes are safe against a kill at any instruction and against each other."""

    root: Path

    @property
    def partial(self) -> Path:
        """The folder of work in progress."""
        return self.root / "partial"

    def image_path(self, digest: str) -> Path:
        """Return the path of the image file, existing or not."""
        return self.root / f"{names.hex_of(digest)}.qcow2"

    def manifest_path(self, digest: str) -> Path:
        """Return the path of the manifest, existing or not."""
        return self.root / f"{names.hex_of(digest)}.json"

    def pieces_path(self, digest: str) -> Path:
        """Return the path of the list of pieces, existing or not."""
        return self.root / f"{names.hex_of(digest)}.pieces"

    def listing_path(self, digest: str) -> Path:
        """Return the file in which a pull keeps the list of pieces."""
        return self.partial / f"{names.hex_of(digest)}.pieces"

    def partial_path(self, digest: str) -> Path:
        """Return the file in which a pull collects its pieces."""
        return self.partial / f"{names.hex_of(digest)}.qcow2"

    def ahead_path(self, digest: str) -> Path:
        """Return the file of the pieces that were fetched ahead of the pull."""
        return self.partial / f"{names.hex_of(digest)}.ahead"

    def lock_path(self, digest: str) -> Path:
        """Return the file of the image's lock."""
        return self.partial / f"{names.hex_of(digest)}.lock"

    @property
    def demand_path(self) -> Path:
        """Return the lock that is held while a VM waits for bytes that are being fetched; a pull gives way to it."""
        return self.partial / "demand.lock"

    def in_demand(self) -> bool:
        """Return whether a VM waits for bytes that are being fetched."""
        return self.demand_path.exists() and _files.held(self.demand_path)

    def _pin_path(self, digest: str) -> Path:
        return self.root / f"{names.hex_of(digest)}.pin"

    def prepare(self) -> None:
        """Create the folders; only the owner can read the partial one."""
        self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.partial.mkdir(mode=0o700, exist_ok=True)

    def lock(self, digest: str, *, wait: _files.Wait = True) -> AbstractContextManager[None]:
        """Hold the lock of one image: it covers a check and the change that depends on it."""
        return self.named_lock(names.hex_of(digest), wait=wait)

    def named_lock(self, name: str, *, wait: _files.Wait = True) -> AbstractContextManager[None]:
        """Hold a lock of the store by name."""
        return _files.locked(self.partial / f"{name}.lock", wait=wait)

    def find(self, digest: str) -> Manifest | None:
        """Return the manifest of a visible image, else None. A damaged image is not visible, so a new pull replaces it.

        Nor is one whose manifest is too new for this host; a pull of it fails with the reason. The list of pieces is not read.
        """
        path, listed = self.manifest_path(digest), self.pieces_path(digest)
        try:
            found = manifest.parse(path.read_bytes(), str(path), digest, reader_of(listed))
            whole = self.image_path(digest).stat().st_size == found.size and listed.stat().st_size == found.pieces.length
        except (FileNotFoundError, Corrupt, Unsupported):
            return None
        except OSError as error:
            if error.errno in _files.UNREADABLE:
                return None
            raise
        return found if whole else None

    def proven(self, digest: str) -> bool:
        """Return whether an image is visible and its list of pieces is right, all of which is read."""
        found = self.find(digest)
        try:
            if found is not None:
                found.pieces.prove()
        except (Corrupt, NotFound):
            return False
        return found is not None

    def refuse_newer(self, digest: str) -> None:
        """Raise Unsupported where the manifest of an image is too new for this host, which must not replace it."""
        path = self.manifest_path(digest)
        with contextlib.suppress(OSError, Corrupt):
            manifest.parse(path.read_bytes(), str(path), digest)

    def images(self) -> list[Manifest]:
        """Return the visible images, by name, then version from the oldest."""
        found = [self.find(f"sha256:{hex_}") for hex_ in self._hexes()]
        return sorted((one for one in found if one), key=lambda one: (one.name, names.version_key(one.version), one.digest))

    def broken(self) -> list[str]:
        """Return the digests whose manifest is there but damaged, or whose image is missing or has the wrong length."""
        return [f"sha256:{hex_}" for hex_ in self._hexes() if self.find(f"sha256:{hex_}") is None]

    def _hexes(self) -> list[str]:
        try:
            return sorted(path.stem for path in self.root.glob("*.json") if manifest.HEX.fullmatch(path.stem))
        except FileNotFoundError:
            return []

    def named(self, name: str, version: str) -> Manifest | None:
        """Return the visible image with this name and version."""
        return next((one for one in self.images() if (one.name, one.version) == (name, version)), None)

    def publish(self, work: Path, description: Manifest) -> Path:
        """Make ``work`` (in the partial folder, verified) visible as its image. The caller holds the image's lock."""
        target = self.image_path(description.digest)
        self.refuse_newer(description.digest)
        self.ahead_path(description.digest).unlink(missing_ok=True)
        work.chmod(0o444)
        _files.fsync(work)
        self.manifest_path(description.digest).unlink(missing_ok=True)  # a damaged manifest must not apply to the new bytes
        replaced = target.exists()  # it may have users
        work.rename(target)
        try:
            _files.fsync(self.root)
            self._write(description)
        except (OSError, NoSpace, DiskFailed):  # a full disk: what cannot be seen is kept for nothing
            if not replaced:
                target.unlink(missing_ok=True)
            raise
        return target

    def adopt(self, description: Manifest) -> None:
        """Make an image file visible that is in its place already; the caller verified it and holds the image's lock."""
        path = self.image_path(description.digest)
        path.chmod(0o444)
        _files.fsync(path)
        self._write(description)

    def change_description(self, description: Manifest) -> None:
        """Replace the description of a visible image; its bytes stay. The caller holds the image's lock."""
        if self.find(description.digest) is None:
            raise NotFound(f"The image {description.digest} is not in {self.root}.", digest=description.digest)
        self._write_manifest(description)

    def keep_list(self, description: Manifest) -> Manifest:
        """Keep a manifest's list of pieces for a pull, all of it proven, and return the manifest with it."""
        path = self.listing_path(description.digest)
        kept = replace(description, pieces=description.list_from(reader_of(path), str(path)))
        try:
            kept.pieces.prove()
        except (Corrupt, NotFound):
            path.unlink(missing_ok=True)
            try:
                with Space(self.partial, f"The image {description.name} {description.version}").writing(), path.open("xb") as file:
                    file.writelines(description.pieces.file())
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return kept

    def write_list(self, description: Manifest) -> None:
        """Put a list of pieces beside its image, durable. The caller holds the image's lock."""
        self.keep_list(description)
        work = self.listing_path(description.digest)
        work.chmod(0o444)
        _files.fsync(work)
        work.rename(self.pieces_path(description.digest))
        _files.fsync(self.root)

    def _write(self, description: Manifest) -> None:
        self.write_list(description)
        self._write_manifest(description)

    def _write_manifest(self, description: Manifest) -> None:
        work = self.partial / f"{description.hex}.json"
        _files.write_atomically(self.manifest_path(description.digest), description.to_json(), work)

    def uses_of(self, digest: str, directories: Sequence[Path], headers: Headers | None = None) -> Uses:
        """Return the uses of an image, by its leases and the disks under ``directories``."""
        return uses.uses_of(self.image_path(digest), directories, headers)

    def claim(self, digest: str, use: bytes) -> Manifest | None:
        """Return a visible image and note its use, under one lock against removal; None if it is not here.

        The caller keeps the image for the minimum age of garbage collection, long enough to create a disk over it.
        """
        with contextlib.suppress(NotFound), _files.file_lock(self.image_path(digest), shared=True):
            found = self.find(digest)
            if found is not None:
                usage.note(self.image_path(digest), use)
            return found
        return None

    def remove(
        self,
        digest: str,
        directories: Sequence[Path],
        *,
        wait: _files.Wait = PATIENCE,
        unless: Callable[[], None] = lambda: None,
        headers: Headers | None = None,
    ) -> None:
        """Remove an image that no file under ``directories`` uses; raise Refused with its users otherwise.

        A process that makes an overlay holds a shared lock on the image file; the removal holds an exclusive one. ``unless`` checks
        again under the locks and raises the reason to keep it. A lock that is held for longer than ``wait`` raises Busy. With the
        ``headers`` of an earlier look only the disks that changed since are read.
        """
        with self.lock(digest, wait=wait), contextlib.ExitStack() as stack:
            if self.image_path(digest).exists():
                stack.enter_context(_files.file_lock(self.image_path(digest), shared=False, wait=wait))
            unless()
            self._remove_unused(digest, directories, headers)

    def require_unused(self, digest: str, directories: Sequence[Path], headers: Headers | None = None) -> Uses:
        """Raise Refused with the image's uses if it has any; return those that ended."""
        found = self.uses_of(digest, directories, headers)
        found.require_none(f"The image {digest} in {self.root}", digest=digest)
        if _files.open_in_qemu(self.image_path(digest)):
            raise Refused(
                f"The image {digest} in {self.root} is open in a QEMU program whose disk is not in a disk directory; "
                "stop it or name its folder.",
                digest=digest,
                used_by=[],
            )
        return found

    def _remove_unused(self, digest: str, directories: Sequence[Path], headers: Headers | None) -> None:
        ended = self.require_unused(digest, directories, headers).ended
        found, pinned = self.find(digest), self.pinned(digest)
        self.manifest_path(digest).unlink(missing_ok=True)
        _files.fsync(self.root)
        try:
            for path in (self._pin_path(digest), usage.path_of(self.image_path(digest)), self.image_path(digest)):
                path.unlink(missing_ok=True)
            self.pieces_path(digest).unlink(missing_ok=True)
        except OSError:  # an immutable file: the image stays, only its counts are lost
            if found:
                self._write_manifest(found)
            self.pin(digest, pinned)
            raise
        for path in (self.partial_path(digest), self.ahead_path(digest), self.listing_path(digest)):
            path.unlink(missing_ok=True)
        _files.fsync(self.root)
        for one in ended:
            lease.drop(one)

    def pinned(self, digest: str) -> bool:
        """Return whether the image is pinned: kept from garbage collection."""
        return self._pin_path(digest).exists()

    def pin(self, digest: str, wanted: bool) -> None:
        """Pin the image, so that garbage collection keeps it, or unpin it."""
        if wanted:
            self._pin_path(digest).touch(mode=0o444)
        else:
            self._pin_path(digest).unlink(missing_ok=True)
        _files.fsync(self.root)

    def verify(self, digest: str) -> list[int]:
        """Return the indexes of the damaged pieces of a visible image, read from its disk; raise NotFound if it is not there.

        Without a sound list of pieces none can be proven, so that all count as damaged.
        """
        found = self.find(digest)
        if found is None:
            raise NotFound(f"The image {digest} is not in {self.root}.", digest=digest)
        with DiskFile(self.image_path(digest)) as file:
            try:
                return [index for index in range(found.count) if not is_good(file, found, index)]
            except Corrupt:
                return list(range(found.count))

    def replace(self, work: Path, digest: str) -> None:
        """Replace the file of a visible, damaged image by ``work`` (in the partial folder, verified), by a rename.

        A process that has the old file open keeps it, and is not waited for; one that makes an overlay looks whether its lock is
        still that of the file. The caller holds the image's lock.
        """
        work.chmod(0o444)
        _files.fsync(work)
        self.ahead_path(digest).unlink(missing_ok=True)
        work.rename(self.image_path(digest))
        _files.fsync(self.root)

    def leftovers(self, now: float, stale: float = STALE_SECONDS) -> list[Path]:
        """Return the files that killed processes left: locks and imports at once, unfinished pulls after ``stale`` seconds."""
        try:
            found = sorted(self.partial.iterdir())
        except FileNotFoundError:
            return []
        return [path for path in found if _abandoned(path, now, stale) and not _files.held(self._lock_of(path))]

    def _lock_of(self, path: Path) -> Path:
        return self.partial / f"{path.name.split('.')[0]}.lock"

    def sweep_one(self, path: Path, now: float, stale: float = STALE_SECONDS) -> bool:
        """Remove a leftover if it still is one, and return whether it was; the lock's file is removed with the lock's release."""
        with contextlib.suppress(Busy), self.named_lock(path.name.split(".")[0], wait=False):
            if not _abandoned(path, now, stale):
                return False
            if path.suffix != ".lock":
                path.unlink(missing_ok=True)
            return True
        return False

    def sweep(self, now: float, stale: float = STALE_SECONDS) -> None:
        """Remove the files that killed processes left. A live process holds the lock of its files, so those stay."""
        for path in self.leftovers(now, stale):
            self.sweep_one(path, now, stale)
        for path in (*self.partial.glob("*.qcow2"), *self.partial.glob("*.part")):
            self._trim(path)
        for path in self.root.glob("*.pieces"):
            self._drop_alone(path)

    def _drop_alone(self, path: Path) -> None:
        """Remove the list of pieces of an image that is not here any more, which a killed removal left."""
        with contextlib.suppress(Busy):
            if manifest.HEX.fullmatch(path.stem) and not path.with_suffix(".qcow2").exists():
                with self.named_lock(path.stem, wait=False):
                    if not path.with_suffix(".qcow2").exists():
                        path.unlink(missing_ok=True)

    def _trim(self, path: Path) -> None:
        """Free the space that a killed pull or download had taken and not used; its partial file keeps its bytes and its age."""
        with contextlib.suppress(Busy, FileNotFoundError):
            if not unused(path):
                return
            with self.named_lock(path.name.split(".")[0], wait=False), path.open("r+b") as file:
                found = os.fstat(file.fileno())
                give_back(file.fileno(), unused(path))
                os.utime(file.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))


def _abandoned(path: Path, now: float, stale: float) -> bool:
    return path.name.startswith("import-") or path.suffix == ".lock" or now - _changed(path) > stale


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
