# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scrub: read every image of a store whole, and replace damaged pieces by those of another source.

A damaged file is never written to. A new file gets its good pieces and the others from sources, and is renamed to its place when
all its pieces are verified; a running VM keeps the old file until its next start.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from ... import _sparse
from ..._errors import Corrupt, DiskFailed, EdgeError, NoSpace
from ..._plan import Plan, execute
from ..._space import Space
from ..store import digest as digests
from ..store.manifest import Manifest
from ..store.store import Store
from ..transfer.pull import pull_image, refill_image
from ..transfer.sources.protocol import Source
from .manifest_from_bytes import manifest_from_bytes


@dataclass(frozen=True)
class Damage:
    """A damaged image: the indexes of its damaged pieces; with none, its manifest is damaged or its length is wrong."""

    digest: str
    label: str = ""
    pieces: tuple[int, ...] = ()


@dataclass(frozen=True)
class Health:
    """The result of a scrub."""

    checked: int = 0
    damaged: tuple[Damage, ...] = ()


@dataclass(frozen=True)
class RepairImage:
    """Replace the damaged pieces of an image."""

    damage: Damage

    @property
    def sentence(self) -> str:
        """See Step."""
        harm = self.damage
        what = f"{len(harm.pieces)} damaged pieces" if harm.pieces else "its manifest or length"
        return f"Repair the image {f'{harm.label} ' if harm.label else ''}({harm.digest}): {what}."

    def predict(self, state: Health) -> Health:
        """See Step."""
        return replace(state, damaged=tuple(one for one in state.damaged if one.digest != self.damage.digest))


def view(state: Health) -> Mapping[str, Any]:
    """Return what a diff shows."""
    return {"damaged": [one.digest for one in state.damaged]}


@dataclass
class Scrub:
    """One scrub of ``store``; repairs fetch from ``sources``, asked in order."""

    store: Store
    sources: Sequence[Source] = ()
    bytes_fetched: int = 0
    unrepairable: dict[str, str] = field(default_factory=dict)

    def look(self) -> Health:
        """Read all images whole; nothing is changed."""
        images = self.store.images()
        harmed = [Damage(one) for one in self.store.broken()]
        harmed += [found for image in images if (found := inspect(self.store, image))]
        return Health(len(images) + len(self.store.broken()), tuple(sorted(harmed, key=lambda one: one.digest)))

    def plan(self, repair: bool) -> Plan[Health]:
        """Return the repairs that a store needs."""
        health = self.look()
        return Plan(health, tuple(RepairImage(one) for one in health.damaged) if repair else ())

    def apply(self, step: RepairImage, now: float) -> bool:
        """Repair one image and return whether it is whole now; a failure is noted and does not stop the other repairs."""
        try:
            self._repair(step.damage.digest, now)
        except EdgeError as error:
            self.unrepairable[step.damage.digest] = error.message
            return False
        return True

    def run(self, now: Callable[[], float], *, repair: bool = True, check: bool = False) -> tuple[Plan[Health], dict[str, Any]]:
        """Look, repair unless ``check``, and return the steps done and the report; raise Corrupt if an image stays damaged."""
        plan = self.plan(repair)
        done: list[Any] = list(plan.steps) if check else []
        if not check:
            execute(plan, lambda step: done.append(step) if self.apply(step, now()) else None)
        report = {
            "checked": plan.before.checked,
            "damaged": [{"digest": one.digest, "image": one.label, "pieces": list(one.pieces)} for one in plan.before.damaged],
            "repaired": [step.damage.digest for step in done],
            "bytes_fetched": self.bytes_fetched,
        }
        if self.unrepairable:
            errors = " ".join(f"{digest}: {message}" for digest, message in self.unrepairable.items())
            raise Corrupt(
                f"Damaged images in {self.store.root} could not be repaired. {errors}", unrepairable=self.unrepairable, **report
            )
        return Plan(plan.before, tuple(done)), report

    def _repair(self, digest: str, now: float) -> None:
        """Look again under the lock: another process may have repaired, replaced or removed the image."""
        store = self.store
        if store.find(digest) is None:
            if store.manifest_path(digest).exists() and not manifest_from_bytes(store, digest):
                self.bytes_fetched += pull_image(store, digest, self.sources, now=now).bytes_fetched
            return
        store.prepare()
        with store.lock(digest):
            image = store.find(digest)
            if image is None or (damage := inspect(store, image)) is None:
                return
            self._refill(image, damage)
            if inspect(store, image):
                raise Corrupt(f"The image {digest} is damaged again right after its repair; check the disk.", digest=digest)

    def _refill(self, image: Manifest, damage: Damage) -> None:
        work = self.store.partial_path(image.digest)
        if not work.exists():
            self._keep_good(image, damage)
        self.bytes_fetched += refill_image(self.store, image.digest, self.sources).bytes_fetched

    def _keep_good(self, image: Manifest, damage: Damage) -> None:
        """Begin the new file with the good pieces; the pull of the rest hashes them again before it uses them."""
        work, space = (
            self.store.partial_path(image.digest),
            Space(self.store.partial, f"The repair of {image.name} {image.version}"),
        )
        descriptor = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with space.writing():
                space.take(descriptor, [(0, image.size)])
                os.ftruncate(descriptor, image.size)
            for index, data in _pieces(self.store, image):
                if data is not None and index not in damage.pieces:
                    with space.writing():
                        _sparse.write(descriptor, data, index * image.piece_size)
        except (NoSpace, DiskFailed, OSError):
            work.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)


def inspect(store: Store, image: Manifest) -> Damage | None:
    """Return the damage of an image, or None. Its manifest is right: what the digest does not prove is no manifest."""
    label = f"{image.name} {image.version}"
    try:
        hashed = [*digests.describe(store.image_path(image.digest), image.piece_size).pieces]
    except FileNotFoundError:
        return None  # removed while the others were read
    except OSError:  # the disk cannot read some of it any more
        hashed = [sha256(data).hexdigest() if data is not None else "" for _index, data in _pieces(store, image)]
    wrong = tuple(index for index, then in enumerate(image.pieces) if index >= len(hashed) or hashed[index] != then)
    return Damage(image.digest, label, wrong) if wrong else None


def _pieces(store: Store, image: Manifest) -> Iterator[tuple[int, bytes | None]]:
    """Yield the pieces of an image as they are on disk, None for one that the disk cannot read."""
    with store.image_path(image.digest).open("rb", buffering=0) as file:
        for index in range(len(image.pieces)):
            try:
                yield index, os.pread(file.fileno(), image.piece_length(index), index * image.piece_size)
            except OSError:
                yield index, None
