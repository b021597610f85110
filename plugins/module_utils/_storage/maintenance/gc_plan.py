# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images garbage collection removes: a pure plan, with a reason for each image that stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..._errors import InvalidInput
from ..._plan import Plan, Step
from ..._shown import few

FITS = "it fits the quota"


@dataclass(frozen=True)
class Cached:
    """One image file of a store; sizes in bytes, times in seconds since the epoch.

    ``doubts`` say why it may have users that cannot be seen. ``orphan`` is a file without a manifest, which cannot be used;
    ``busy`` says that a process holds one of its locks.
    """

    digest: str
    size: int
    last_use: float
    label: str = ""
    pinned: bool = False
    users: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    busy: bool = False
    orphan: bool = False


@dataclass(frozen=True)
class Leftover:
    """A file in the partial folder that a killed process left."""

    name: str
    size: int


@dataclass(frozen=True)
class Cache:
    """All image files of a store, and the files that killed processes left."""

    images: tuple[Cached, ...] = ()
    leftovers: tuple[Leftover, ...] = ()

    @property
    def bytes(self) -> int:
        """The bytes of all image files."""
        return sum(image.size for image in self.images)


@dataclass(frozen=True)
class Limits:
    """At most ``quota`` bytes of images (None: no limit); an image used in the last ``minimum_age`` seconds stays."""

    quota: int | None = None
    minimum_age: float = 3600.0

    def __post_init__(self) -> None:
        for option, value in (("quota_bytes", self.quota), ("minimum_age", self.minimum_age)):
            if value is not None and value < 0:
                raise InvalidInput(f"{option}: {value:g} is negative; use 0 or more.", option=option)


@dataclass(frozen=True)
class RemoveCached:
    """Remove an image, or a file without a manifest, from the store."""

    image: Cached

    @property
    def sentence(self) -> str:
        """See Step."""
        image = self.image
        what = f"the file without a manifest of {image.digest}" if image.orphan else f"the image {image.label} ({image.digest})"
        return f"Remove {what}, {image.size} bytes."

    def predict(self, state: Cache) -> Cache:
        """See Step."""
        return replace(state, images=tuple(one for one in state.images if one.digest != self.image.digest))


@dataclass(frozen=True)
class RemoveLeftover:
    """Remove a file that a killed process left."""

    leftover: Leftover

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Remove {self.leftover.name}, {self.leftover.size} bytes that a killed process left."

    def predict(self, state: Cache) -> Cache:
        """See Step."""
        return replace(state, leftovers=tuple(one for one in state.leftovers if one.name != self.leftover.name))


@dataclass(frozen=True)
class Decision:
    """The plan, the reason why an image is kept, by digest, and the bytes by which the quota is exceeded all the same."""

    plan: Plan[Cache]
    kept: Mapping[str, str] = field(default_factory=dict)
    over: int = 0


def quota_of(in_bytes: int | None, percent: float | None, capacity: int) -> int | None:
    """Return the tighter of a limit in bytes and one in percent of the file system's ``capacity``; None for no limit."""
    if percent is not None and not 0 <= percent <= 100:
        raise InvalidInput(f"quota_percent: {percent:g} is not between 0 and 100.", option="quota_percent")
    given = [in_bytes, None if percent is None else int(capacity * percent / 100)]
    return min((limit for limit in given if limit is not None), default=None)


def held_by(image: Cached, minimum_age: float, now: float) -> str | None:
    """Return the reason why the image must be kept, or None."""
    if image.users:
        return f"it is used by {few(image.users)}"
    if image.doubts:
        return f"it may be used: {'; '.join(image.doubts)}"
    if image.pinned:
        return "it is pinned"
    if image.busy:
        return "a process uses it now"
    if now - image.last_use < minimum_age:
        return f"it was used in the last {minimum_age:.0f} seconds"
    return None


def decide(state: Cache, limits: Limits, now: float, failed: Mapping[str, str] | None = None) -> Decision:
    """Remove files without a manifest, then the least recently used images, no more than the quota needs.

    ``failed`` are the images and leftovers that could not be removed, with the reasons: they are not tried again.
    """
    failed = failed or {}
    kept: dict[str, str] = {}
    taken: list[Cached] = []
    left = state.bytes
    for image in _in_order(state.images):
        against = failed.get(image.digest) or held_by(image, limits.minimum_age, now)
        if against is None and not image.orphan and (limits.quota is None or left <= limits.quota):
            against = FITS
        if against is None:
            taken.append(image)
            left -= image.size
        else:
            kept[image.digest] = against
    steps: list[Step[Cache]] = [RemoveLeftover(one) for one in state.leftovers if one.name not in failed]
    steps += [RemoveCached(one) for one in taken]
    return Decision(Plan(state, tuple(steps)), kept, max(0, left - limits.quota) if limits.quota is not None else 0)


def _in_order(images: Sequence[Cached]) -> list[Cached]:
    return sorted(images, key=lambda image: (not image.orphan, image.last_use, image.digest))
