# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scrub: read every image of a store from its disk, and replace damaged pieces by those of another source.

An interrupted scrub goes on where it was. What cannot be read (a bad sector, a manifest) spoils only its own image.

A damaged file is never written to. A new file gets its good pieces and the others from sources, and is renamed to its place when
all its pieces are verified; a running VM keeps the old file until its next start.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ... import _sparse
from ..._errors import Corrupt, DiskFailed, EdgeError, InvalidInput, NoSpace, NotFound, from_os_error
from ..._plan import Plan, execute
from ..._shown import counted
from ..._space import Space
from ..store import uses
from ..store.disk_read import DiskFile, is_good, piece
from ..store.manifest import Manifest
from ..store.store import Store
from ..transfer.pull import Limit, pull_image, refill_image
from ..transfer.rate_limit import RateLimit, no_limit
from ..transfer.sources.protocol import Source, proven_manifest
from .manifest_from_bytes import manifest_from_bytes
from .scrub_pass import STATE_FILE, Pass

LOCK = "scrub"
PATIENCE = 60.0  # seconds for a pull of a damaged image to end


@dataclass(frozen=True)
class Damage:
    """A damaged image: the indexes of its damaged pieces; with none, it is its manifest, list of pieces or length."""

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
        what = counted(len(harm.pieces), "damaged piece") if harm.pieces else "its manifest or length"
        return f"Repair the image {f'{harm.label} ' if harm.label else ''}({harm.digest}): {what}."

    def predict(self, state: Health) -> Health:
        """See Step."""
        return replace(state, damaged=tuple(one for one in state.damaged if one.digest != self.damage.digest))


def view(state: Health) -> Mapping[str, Any]:
    """Return what a diff shows."""
    return {"damaged": [one.digest for one in state.damaged]}


@dataclass
class Scrub:
    """One scrub of ``store``; repairs fetch from ``sources``, asked in order.

    Users of damaged images are searched for under ``directories``. ``limit`` is called with the bytes that were read and may sleep.
    """

    store: Store
    sources: Sequence[Source] = ()
    directories: Sequence[Path] = ()
    limit: Limit = no_limit
    bytes_fetched: int = 0
    unrepairable: dict[str, str] = field(default_factory=dict)

    def look(self, going: Pass | None = None) -> Health:
        """Read all images from disk, or what ``going`` did not read yet; no image is changed."""
        images, broken = self.store.images(), self.store.broken()
        harmed = [Damage(one) for one in broken]
        harmed += [found for image in images if (found := inspect(self.store, image, going, self.limit))]
        return Health(len(images) + len(broken), tuple(sorted(harmed, key=lambda one: one.digest)))

    def plan(self, repair: bool, going: Pass | None = None) -> Plan[Health]:
        """Return the repairs that a store needs."""
        health = self.look(going)
        return Plan(health, tuple(RepairImage(one) for one in health.damaged) if repair else ())

    def apply(self, step: RepairImage, now: float) -> bool:
        """Repair one image and return whether it is whole now; a failure is noted and does not stop the other repairs."""
        try:
            self._repair(step.damage.digest, now)
        except EdgeError as error:
            self.unrepairable[step.damage.digest] = error.message
        except OSError as error:
            self.unrepairable[step.damage.digest] = from_os_error(error).message
        return step.damage.digest not in self.unrepairable

    def run(self, now: Callable[[], float], *, repair: bool = True, check: bool = False) -> tuple[Plan[Health], dict[str, Any]]:
        """Look, repair unless ``check``, and return the steps done and the report; raise Corrupt if an image stays damaged.

        Raise Busy if another scrub runs.
        """
        if check or not self.store.root.is_dir():
            plan = self.plan(repair)
            return plan, self._report(plan.before, plan.steps)
        self.store.prepare()
        with self.store.named_lock(LOCK, wait=False):
            going = Pass(self.store.root / STATE_FILE)
            plan = self.plan(repair, going)
            before = self._damaged(plan.before)
            done: list[Any] = []
            execute(plan, lambda step: done.append(step) if self.apply(step, now()) else None)
            going.end()
        report = {**self._report(plan.before, done), "damaged": before}
        if self.unrepairable:
            errors = " ".join(f"{digest}: {message}" for digest, message in self.unrepairable.items())
            raise Corrupt(
                f"Damaged images in {self.store.root} could not be repaired. {errors}", unrepairable=self.unrepairable, **report
            )
        return Plan(plan.before, tuple(done)), report

    def _report(self, health: Health, done: Sequence[Any]) -> dict[str, Any]:
        return {
            "checked": health.checked,
            "damaged": self._damaged(health),
            "repaired": [step.damage.digest for step in done],
            "bytes_fetched": self.bytes_fetched,
        }

    def _damaged(self, health: Health) -> list[dict[str, Any]]:
        """Return the damaged images with their users, who read damaged bytes."""
        seen = uses.look(self.directories) if health.damaged else None
        return [
            {
                "digest": one.digest,
                "image": one.label,
                "pieces": list(one.pieces),
                **(seen.uses_of(self.store.image_path(one.digest)).shown if seen else {}),
            }
            for one in health.damaged
        ]

    def _repair(self, digest: str, now: float) -> None:
        """Look again under the lock: another process may have repaired, replaced or removed the image."""
        store = self.store
        if not store.proven(digest) and store.manifest_path(digest).exists() and not manifest_from_bytes(store, digest):
            if store.find(digest) is None:
                self.bytes_fetched += pull_image(store, digest, self.sources, now=now).bytes_fetched
                return
            self._list_again(digest)
        store.prepare()
        with store.lock(digest, wait=PATIENCE):
            image = store.find(digest)
            if image is None or (damage := inspect(store, image)) is None:
                return
            self._refill(image, damage)
            if inspect(store, image):
                raise Corrupt(f"The image {digest} is damaged again right after its repair; check the disk.", digest=digest)

    def _list_again(self, digest: str) -> None:
        """Fetch the list of pieces of an image whose bytes are damaged too."""
        with self.store.lock(digest, wait=PATIENCE):
            for source in self.sources:
                with suppress(EdgeError):
                    self.store.write_list(proven_manifest(source, digest))
                    return
        raise Corrupt(f"The list of pieces of {digest} is damaged, its bytes are too, and no source has the list.", digest=digest)

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
            with DiskFile(self.store.image_path(image.digest)) as file:
                harmed = {*damage.pieces}
                for index in (one for one in range(image.count) if one not in harmed):
                    data = piece(file, image, index)
                    if data is not None:
                        with space.writing():
                            _sparse.write(descriptor, data, index * image.piece_size)
        except (NoSpace, DiskFailed, OSError):
            work.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)


def limit_of(rate: int) -> Limit:
    """Return the limit of a scrub in bytes a second; 0 for none."""
    if rate < 0:
        raise InvalidInput(f"rate_limit: {rate} is negative; give bytes a second, or 0 for no limit.", option="rate_limit")
    return RateLimit(rate, time.monotonic, time.sleep) if rate else no_limit


def inspect(store: Store, image: Manifest, going: Pass | None = None, limit: Limit = no_limit) -> Damage | None:
    """Return the damage of an image, or None. Its manifest is right: what the digest does not prove is not a manifest.

    ``going`` knows what was read of it already. A piece that the disk cannot read is damaged.
    """
    path = store.image_path(image.digest)
    going = going or Pass(None)
    try:
        position = going.position(image.digest, path)
        with DiskFile(path) as file:
            for index in range(position.pieces, image.count):
                if not is_good(file, image, index):
                    position.damaged.append(index)
                position.pieces = index + 1
                going.save()
                limit(image.piece_length(index))
        going.save(now=True)
        wrong = tuple(position.damaged)
    except (FileNotFoundError, NotFound):
        return None  # removed while the others were read
    except Corrupt:  # the list of pieces
        return Damage(image.digest, f"{image.name} {image.version}")
    except OSError:  # not one piece can be read
        wrong = tuple(range(image.count))
    return Damage(image.digest, f"{image.name} {image.version}", wrong) if wrong else None
