# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the image datastore does: find an image by name, compare its source, import it, describe it, remove it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..._errors import Conflict, InvalidInput, NotFound, Refused, about_option
from ..._plan import Plan
from ..._secrets import public_url
from .. import names
from ..format.foreign_image import Rules
from ..format.qemu_img import QemuImg
from ..format.source_file import held, named, opened
from ..store import catalogue
from ..store.image_plan import Change, DescribeImage, ImportImage, PinImage, RemoveImage, Stored
from ..store.inventory import shown
from ..store.manifest import timestamp
from ..store.references import Headers
from ..store.store import Store
from ..transfer.http_client import Trust, parts_of
from . import import_
from .download import downloaded
from .import_ import ImageDescription


@dataclass(frozen=True)
class Datastore:
    """One image of the datastore in ``store``; ``origin`` is the option that named its source."""

    store: Store
    qemu: QemuImg
    wanted: ImageDescription
    rules: Rules = field(default_factory=Rules)
    trust: Trust = field(default_factory=Trust)
    directories: Sequence[Path] = ()
    unverified: bool = False
    signed: Callable[[Path], str] | None = None
    origin: str = "source"
    headers: Headers = field(default_factory=Headers, compare=False)

    def observe(self) -> Stored:
        """Return the image with the requested name and version, with its path."""
        wanted = (names.image_name(self.wanted.name), names.image_version(self.wanted.version))
        images = self.store.images()
        found = next((one for one in images if (one.name, one.version) == wanted), None)
        current = catalogue.current(self.store, images)
        return Stored(shown(self.store, found), bool(found and self.store.pinned(found.digest)), current)

    def require_same_source(self, found: Stored) -> None:
        """Raise Conflict if the source has other bytes now than when the image was imported: an image never changes."""
        if found.image is None:
            self._require_source()
            return
        recorded = str(found.image["source_digest"])
        with about_option(self.origin):
            now = self._source_digest_now(recorded.partition(":")[0])
        if now is not None and recorded and now != recorded:
            raise Conflict(
                f"{self.origin}: the image {self.wanted.name} {self.wanted.version} was imported from other bytes ({recorded}) "
                f"than {self.wanted.source} has now ({now}); give them a new version, or remove the old image first.",
                option=self.origin,
                recorded=recorded,
                found=now,
            )

    def _require_source(self) -> None:
        if not self.wanted.source:
            raise InvalidInput(
                f"source: {self.wanted.name} {self.wanted.version} is not in {self.store.root}; give source or appliance.",
                option="source",
            )
        if not self._remote:
            with about_option(self.origin):
                import_.judge_source(self.qemu, names.absolute_path(self.wanted.source, "source"), self.rules)
            return
        with about_option(self.origin):
            parts_of(self.wanted.source)
        if not (self.rules.checksum or self.signed or self.unverified):
            raise Refused(
                f"{self.origin}: {self.wanted.source} comes over a network; give the checksum (sha256 or sha512) or the signature "
                "that proves it, or allow_unverified.",
                option=self.origin,
            )

    @property
    def _remote(self) -> bool:
        return "://" in self.wanted.source and not self.wanted.source.startswith("/")

    def _source_digest_now(self, algorithm: str) -> str | None:
        """Return the source's checksum by the algorithm on record, or None if only a download would show it."""
        if not self.wanted.source:
            return None
        if not self._remote:
            try:
                return import_.source_checksum(names.absolute_path(self.wanted.source, "source"), self.rules, algorithm)
            except (NotFound, NotADirectoryError):  # the image is there, so its source is not needed any more
                pass
        expected = names.checksum(self.rules.checksum) if self.rules.checksum else ""
        return expected if expected.startswith(f"{algorithm}:") else None

    def require_unused(self, plan: Plan[Stored]) -> None:
        """Raise Refused, before any change, if the image that a plan removes is in use."""
        for step in plan.steps:
            if isinstance(step, RemoveImage):
                self.store.require_unused(step.digest, self.directories, self.headers)

    def predicted(self) -> dict[str, Any]:
        """Return the image that an import will make, as modules show it; fields that only the import determines are None."""
        wanted = self.wanted
        unknown = dict.fromkeys(("digest", "size", "virtual_size", "created", "path", "source_digest", "piece_size"))
        words = {key: getattr(wanted, key) for key in ("name", "version", "os", "arch", "min_disk", "template")}
        return {**unknown, **words, "source": public_url(wanted.source), "format": "qcow2"}

    def apply(self, step: Change, now: float) -> None:
        """Carry out one step; ``now`` is seconds since the epoch."""
        if isinstance(step, ImportImage):
            with about_option(self.origin):
                self._import(now)
        elif isinstance(step, DescribeImage):
            self._describe(step)
        elif isinstance(step, PinImage):
            self._pin(step.wanted)
        elif isinstance(step, RemoveImage):
            self.store.remove(step.digest, self.directories, headers=self.headers)
        else:
            self.store.prepare()
            catalogue.write(self.store)

    def _pin(self, wanted: bool) -> None:
        found = self.store.named(self.wanted.name, self.wanted.version)
        if found is None:
            raise NotFound(f"The image {self.wanted.name} {self.wanted.version} is not in {self.store.root} any more.")
        self.store.pin(found.digest, wanted)

    def _import(self, now: float) -> None:
        self.store.prepare()
        wanted = replace(self.wanted, created=timestamp(now))
        if not self._remote:
            self._import_file(names.absolute_path(wanted.source, "source"), wanted, now)
            return
        with downloaded(self.store, wanted.source, self.rules.checksum, self.trust) as path, named(path, public_url(wanted.source)):
            self._import_file(path, wanted, now)

    def _import_file(self, path: Path, wanted: ImageDescription, now: float) -> None:
        """Import a file, after its signature was verified if one is given; exactly the verified bytes are imported."""
        with opened(path) as source:
            rules = self.rules
            if self.signed:
                with held(source) as unchanged:
                    rules = replace(rules, checksum=import_.source_checksum(unchanged, rules))
                    self.signed(unchanged)
            import_.import_file(self.store, self.qemu, source, wanted=wanted, rules=rules, now=now)

    def _describe(self, step: DescribeImage) -> None:
        found = self.store.named(self.wanted.name, self.wanted.version)
        if found is not None:
            with self.store.lock(found.digest):
                self.store.change_description(found.described(**step.changes))
