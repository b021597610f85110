# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a replica or a host cache does: find the image that is meant, pull it, pin it, remove it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..._errors import EdgeError, InvalidInput, NotFound, Unreachable, about_option
from ..._plan import Plan
from .. import names
from ..store import catalogue, usage
from ..store.image_plan import PinImage, PullImage, RemoveImage, Stored, plan_absent, plan_replica
from ..store.inventory import shown
from ..store.manifest import Manifest
from ..store.references import Headers
from ..store.store import Store
from ..transfer.http_client import Trust
from ..transfer.progress import Progress, ProgressFile, no_progress
from ..transfer.pull import Limit, Pulled, pull_image
from ..transfer.rate_limit import RateLimit, no_limit
from ..transfer.sources.directory import DirectorySource
from ..transfer.sources.https import HttpsSource
from ..transfer.sources.protocol import Source

Answer = TypeVar("Answer")
NO_SOURCES = "There are no sources to ask: give sources, or make this host a member of a cluster (role edge.cloud.host)."


def sources_of(texts: Sequence[str], trust: Trust) -> list[Source]:
    """Return the sources that the option ``sources`` lists."""
    return [_source(text, trust, f"sources[{number}]") for number, text in enumerate(texts)]


def _source(text: str, trust: Trust, option: str) -> Source:
    if text.startswith("https://"):
        with about_option(option):
            return HttpsSource(text, trust)
    if text.startswith("/"):
        return DirectorySource(names.absolute_path(text, option))
    raise InvalidInput(f"{option}: {text!r} is not an https:// URL or the absolute path of a store on this host.", option=option)


@dataclass(frozen=True)
class Choice:
    """Which image is meant: a digest, or a name with a version, or a name alone for its highest version."""

    digest: str | None = None
    name: str | None = None
    version: str | None = None

    def __post_init__(self) -> None:
        if self.digest is not None:
            names.digest(self.digest)
        if self.name is not None:
            names.image_name(self.name)
        if self.version is not None:
            names.image_version(self.version)
        if self.digest is None and self.name is None:
            raise InvalidInput("digest: no image is named; give digest, or name and version.", option="digest")

    def require_exact(self) -> None:
        """Raise InvalidInput unless exactly one image can be meant: nothing is removed by a guess."""
        if self.digest is None and self.version is None:
            raise InvalidInput(
                f"version: {self.name} can have several versions; give the one to remove, or its digest.", option="version"
            )

    @property
    def text(self) -> str:
        """The image as messages name it."""
        return self.digest or f"{self.name} {self.version or '(highest version)'}"


@dataclass(frozen=True)
class Replica:
    """The images of one store that are filled from ``sources``, asked in order."""

    store: Store
    sources: Sequence[Source] = ()

    def local(self, choice: Choice) -> Manifest | None:
        """Return the image if it is here; for a name without a version the sources decide, if there are any."""
        if choice.digest:
            return self.store.find(choice.digest)
        if choice.version:
            return self.store.named(str(choice.name), choice.version)
        of_name = [one for one in self.store.images() if one.name == choice.name]
        return of_name[-1] if of_name and not self.sources else None

    def resolve(self, choice: Choice) -> str:
        """Return the digest that a choice means: what is here under name and version, else the answer of the first source."""
        if choice.digest:
            return choice.digest
        here = self.local(choice)
        if here is not None:
            return here.digest
        return self._ask(choice.text, lambda source: _resolved(source, choice))

    def offered(self, digest: str) -> Mapping[str, Any]:
        """Return the summary of the image from the first source that has it."""
        return self._ask(digest, lambda source: source.manifest(digest)).summary()

    def pull(self, digest: str, *, now: float, progress: Progress = no_progress, limit: Limit = no_limit) -> Pulled:
        """Make the image visible here; see ``pull_image``."""
        return pull_image(self.store, digest, self.sources, now=now, progress=progress, limit=limit)

    def _ask(self, what: str, question: Callable[[Source], Answer]) -> Answer:
        errors: dict[str, str] = {}
        missing = True
        for source in self.sources:
            try:
                return question(source)
            except EdgeError as error:
                errors[source.name] = error.message
                missing = missing and isinstance(error, NotFound)
        listed = " ".join(errors.values()) or NO_SOURCES
        kind = NotFound if missing else Unreachable
        raise kind(f"The image {what} is not in {self.store.root} and no source has it. {listed}", sources=errors)

    def observe(self, digest: str | None) -> Stored:
        """Return what is here of an image."""
        found = self.store.find(digest) if digest else None
        return Stored(shown(self.store, found), bool(digest and self.store.pinned(digest)))


def _resolved(source: Source, choice: Choice) -> str:
    return catalogue.resolve(source.catalogue(), str(choice.name), choice.version, source.name).digest


class Work:
    """The work of one task for one image: planned once, applied, observed again."""

    def __init__(
        self,
        replica: Replica,
        choice: Choice,
        directories: Sequence[Path],
        progress_file: Path | None = None,
        *,
        rate_limit: int | None = None,
    ) -> None:
        self._replica = replica
        self._choice = choice
        self._directories = directories
        self._headers = Headers()
        self._progress_file = progress_file
        if rate_limit is not None and rate_limit < 1:
            raise InvalidInput(f"rate_limit: {rate_limit} is less than 1 byte a second.", option="rate_limit")
        self._limit = RateLimit(rate_limit, time.monotonic, time.sleep) if rate_limit else no_limit
        self._digest: str | None = None
        self.bytes_fetched = 0
        self.bytes_reused = 0
        self.used: tuple[str, ...] = ()

    def plan(self, wanted: str, pinned: bool | None = None) -> Plan[Stored]:
        """Return the steps to ``present`` or ``absent``; a removal asks no source, and refuses an image in use.

        Without ``pinned`` a pin stays as it is.
        """
        store = self._replica.store
        if wanted == "absent":
            self._choice.require_exact()
            here = Replica(store).local(self._choice)
            self._digest = self._choice.digest or (here.digest if here else None)
            if here:
                store.require_unused(here.digest, self._directories, self._headers)
            return plan_absent(self.observe(), with_catalogue=False)
        self._digest = self._replica.resolve(self._choice)
        state = self.observe()
        offer = self._offer(self._digest) if state.image is None else None
        return plan_replica(state, offer, pinned)

    def _offer(self, digest: str) -> dict[str, Any]:
        return {**self._replica.offered(digest), "path": str(self._replica.store.image_path(digest))}

    def observe(self) -> Stored:
        """Return what is here now."""
        return self._replica.observe(self._digest)

    def apply(self, step: PullImage | PinImage | RemoveImage, now: float) -> None:
        """Carry out one step; ``now`` is seconds since the epoch."""
        store = self._replica.store
        if isinstance(step, PullImage):
            self._pull(step, now)
        elif isinstance(step, PinImage):
            store.pin(str(self._digest), step.wanted)
        else:
            store.remove(step.digest, self._directories, headers=self._headers)

    def keep(self, plan: Plan[Stored], now: float) -> None:
        """Note the use of an image that was here already; one that was removed since it was observed is pulled after all."""
        pulled = any(isinstance(step, PullImage) for step in plan.steps)
        if plan.after.image and not pulled and self._replica.store.claim(str(self._digest), usage.PULL) is None:
            self._pull(PullImage(plan.after.image), now)

    def _pull(self, step: PullImage, now: float) -> None:
        title = f"Pulling {step.summary['name']} {step.summary['version']}"
        progress = ProgressFile(self._progress_file, title, time.monotonic) if self._progress_file else no_progress
        done = self._replica.pull(str(self._digest), now=now, progress=progress, limit=self._limit)
        self.bytes_fetched, self.bytes_reused, self.used = done.bytes_fetched, done.bytes_reused, done.sources
