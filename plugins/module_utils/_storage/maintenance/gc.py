# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Garbage collection of a store: what gc_plan decides, carried out under the store's locks, with every reason checked again.

A kill at any moment loses nothing: the manifest is removed first, so that a file without a manifest is left, which the next
collection removes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ... import _files
from ..._errors import Busy, Corrupt, DiskFailed, EdgeError, NotFound, Refused, from_os_error
from ..._json import load_object
from ..._plan import Plan, Step, execute
from ..._sizes import MIB
from ..store import lease, manifest, usage, uses
from ..store.manifest import timestamp
from ..store.references import Headers
from ..store.store import STALE_SECONDS, Store
from ..store.uses import Uses
from .gc_plan import Cache, Cached, Decision, Leftover, Limits, RemoveCached, RemoveLeftover, decide, held_by, quota_of

LOCK = "gc"
STATE_FILE = "gc.json"
LARGEST_STATE = 64 * MIB
ROUNDS = 3


@dataclass(frozen=True)
class Collected:
    """What a collection did: the steps taken, from the state before, and the decision about what is there now."""

    done: Plan[Cache]
    decision: Decision

    @property
    def bytes_freed(self) -> int:
        """The bytes that the steps freed."""
        return sum(_size(step) for step in self.done.steps)


def _size(step: object) -> int:
    if isinstance(step, RemoveCached):
        return step.image.size
    return step.leftover.size if isinstance(step, RemoveLeftover) else 0


@dataclass(frozen=True)
class Collector:
    """Garbage collection of ``store``; users of its images are searched for under ``directories``."""

    store: Store
    directories: Sequence[Path]
    limits: Limits
    stale: float = STALE_SECONDS
    headers: Headers = field(default_factory=Headers, compare=False)

    def decide(self, now: float, failed: Mapping[str, str] | None = None) -> Decision:
        """Return what a collection would do; nothing is changed. What ``failed`` names stays for its reason."""
        return decide(observe(self.store, self.directories, now, self.stale, self.headers), self.limits, now, failed)

    def collect(self, now: Callable[[], float] = time.time) -> Collected:
        """Collect until the quota is met or no more may be removed; an image that came into use stays, and another one goes.

        A file that cannot be removed spoils only its own removal; when the rest is done, it raises DiskFailed with the report.
        """
        if not self.store.root.is_dir():
            return Collected(Plan(Cache()), Decision(Plan(Cache())))
        self.store.prepare()
        with self.store.named_lock(LOCK):
            begun = now()
            self._settle()
            decision = self.decide(begun)
            before = decision.plan.before
            done: list[Step[Cache]] = []
            failed: dict[str, str] = {}
            for _round in range(ROUNDS):
                if not decision.plan.changed:
                    break
                execute(decision.plan, lambda step: done.append(step) if self._tried(step, now, failed) else None)
                decision = self.decide(now(), failed)
            collected = Collected(Plan(before, tuple(done)), decision)
            self._record(begun, collected)
        if failed:
            reasons = " ".join(f"{name}: {reason}." for name, reason in failed.items())
            raise DiskFailed(
                f"Files in {self.store.root} could not be removed; the others were collected. {reasons}",
                unremovable=failed,
                **report(collected.done, collected.decision),
            )
        return collected

    def _settle(self) -> None:
        """Bring the leases up to date with what is seen now, for the day when a folder is not there."""
        seen = uses.look(self.directories, self.headers)
        for digest in _digests(self.store):
            image = self.store.image_path(digest)
            uses.settle(image, seen.uses_of(image), seen=seen)
        uses.sweep(self.store.root)
        lease.sweep(self.store.root, self.stale)

    def _tried(self, step: RemoveCached | RemoveLeftover, now: Callable[[], float], failed: dict[str, str]) -> bool:
        """Carry out one step; a file that cannot be removed is noted in ``failed`` and does not stop the other removals."""
        try:
            return self._apply(step, now)
        except (OSError, EdgeError) as error:
            message = from_os_error(error).message if isinstance(error, OSError) else error.message
            name = step.image.digest if isinstance(step, RemoveCached) else step.leftover.name
            failed[name] = f"it could not be removed: {message.rstrip('.')}"
        return False

    def _apply(self, step: RemoveCached | RemoveLeftover, now: Callable[[], float]) -> bool:
        """Carry out one step and return whether it was still right; an image that another process uses by now is left alone."""
        if isinstance(step, RemoveLeftover):
            return self.store.sweep_one(self.store.partial / step.leftover.name, now(), self.stale)
        try:
            self.store.remove(
                step.image.digest,
                self.directories,
                wait=False,
                unless=lambda: self._require_same(step.image, now()),
                headers=self.headers,
            )
        except (Busy, NotFound, Refused):
            return False
        return True

    def _require_same(self, planned: Cached, now: float) -> None:
        """Check the plan's reasons again under the image's locks; the removal itself checks its users."""
        image = _cached(self.store, planned.digest, Uses(), locked=True)
        against = held_by(image, self.limits.minimum_age, now)
        if against is not None or image.orphan != planned.orphan:
            raise Refused(f"The image {planned.digest} stays: {against or 'it has a manifest now'}.", digest=planned.digest)

    def _record(self, begun: float, collected: Collected) -> None:
        removed = [step.image.digest for step in collected.done.steps if isinstance(step, RemoveCached)]
        record = {
            "time": timestamp(begun),
            "removed": removed,
            "bytes_freed": collected.bytes_freed,
            "over": collected.decision.over,
        }
        data = json.dumps(record, sort_keys=True).encode() + b"\n"
        _files.write_atomically(self.store.root / STATE_FILE, data, self.store.partial / STATE_FILE, mode=0o600)


def view(state: Cache) -> dict[str, Any]:
    """Return the files of a store as modules show them."""
    images = [image.digest for image in state.images]
    return {"bytes": state.bytes, "images": images, "leftovers": [one.name for one in state.leftovers]}


def report(done: Plan[Cache], decision: Decision) -> dict[str, Any]:
    """Return the images that were or would be removed, and why the others are kept."""
    removed = [step.image for step in done.steps if isinstance(step, RemoveCached)]
    return {
        "removed": [{"digest": one.digest, "image": "" if one.orphan else one.label, "size": one.size} for one in removed],
        "kept": [{"digest": digest, "reason": reason} for digest, reason in decision.kept.items()],
        "bytes_freed": sum(map(_size, done.steps)),
        "over": decision.over,
    }


def account(store: Store, directories: Sequence[Path], now: float) -> dict[str, Any]:
    """Return the files of a store, with the uses of each image and the bytes that these saved."""
    cache = observe(store, directories, now)
    images = [_usage_of(store, image) for image in cache.images if not image.orphan]
    folder = next(path for path in (store.root, *store.root.parents) if path.exists())
    return {
        "images": images,
        "bytes": cache.bytes,
        "bytes_saved": sum(image["bytes_saved"] for image in images),
        "free_bytes": _files.free_bytes(folder),
        "orphans": [{"digest": image.digest, "size": image.size} for image in cache.images if image.orphan],
        "leftovers": [{"name": one.name, "size": one.size} for one in cache.leftovers],
        "last_collection": last_collection(store),
    }


def _usage_of(store: Store, image: Cached) -> dict[str, Any]:
    found = store.find(image.digest)
    used = usage.read(store.image_path(image.digest))
    return {
        "digest": image.digest,
        "name": found.name if found else "",
        "version": found.version if found else "",
        "size": image.size,
        "last_use": timestamp(image.last_use),
        "hits": used.hits,
        "disks_made": used.disks,
        "bytes_saved": used.disks * image.size,
        "used_by": list(image.users),
        "doubts": list(image.doubts),
        "pinned": image.pinned,
        "busy": image.busy,
    }


def last_collection(store: Store) -> dict[str, Any]:
    """Return what the last collection recorded, or an empty dictionary if that is not there or cannot be read."""
    try:
        return load_object((store.root / STATE_FILE).read_bytes(), STATE_FILE, LARGEST_STATE)
    except (OSError, Corrupt):
        return {}


def observe(
    store: Store, directories: Sequence[Path], now: float, stale: float = STALE_SECONDS, headers: Headers | None = None
) -> Cache:
    """Return all image files with the reasons to keep each, by one scan of all disks, and the leftovers; nothing is changed."""
    seen = uses.look(directories, headers)
    images = [_cached(store, digest, seen.uses_of(store.image_path(digest))) for digest in _digests(store)]
    left = [Leftover(path.name, _length(path)) for path in store.leftovers(now, stale) if path.stem != LOCK]
    return Cache(tuple(images), tuple(left))


def _digests(store: Store) -> list[str]:
    return sorted(f"sha256:{path.stem}" for path in store.root.glob("*.qcow2") if manifest.HEX.fullmatch(path.stem))


def _cached(store: Store, digest: str, found_uses: Uses, *, locked: bool = False) -> Cached:
    """Return one image; ``locked`` means that the caller holds the image's locks, so that they show no other user."""
    path = store.image_path(digest)
    found = store.find(digest)
    in_qemu = _files.open_in_qemu(path)
    return Cached(
        digest=digest,
        size=_length(path),
        last_use=usage.read(path).last_use,
        label=f"{found.name} {found.version}" if found else "with a damaged manifest",
        pinned=store.pinned(digest),
        users=found_uses.users or (("a QEMU program that has it open",) if in_qemu else ()),
        doubts=found_uses.doubts,
        busy=not locked and (_files.held(store.lock_path(digest)) or _files.held(path)),
        orphan=not store.manifest_path(digest).exists(),
    )


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def limits_of(store: Store, in_bytes: int | None, percent: float | None, minimum_age: float) -> Limits:
    """Return the limits for a store; a percentage is of its file system."""
    folder = next(path for path in (store.root, *store.root.parents) if path.exists())
    found = os.statvfs(folder)
    return Limits(quota_of(in_bytes, percent, found.f_blocks * found.f_frsize), minimum_age)
