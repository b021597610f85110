# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of an image in a store: import, pull, description, pin, catalogue, removal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from ..._errors import InvalidInput
from ..._plan import Plan, Step

Summary = Mapping[str, Any]


@dataclass(frozen=True)
class Stored:
    """What a store has of one image: its manifest's summary, whether it is pinned, and whether the catalogue is up to date."""

    image: Summary | None = None
    pinned: bool = False
    catalogue: bool = True


@dataclass(frozen=True)
class ImportImage:
    """Bring a source into the image datastore; its digest is known only afterwards."""

    summary: Summary

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Import {self.summary['name']} {self.summary['version']} from {self.summary['source']}."

    def predict(self, state: Stored) -> Stored:
        """See Step."""
        return replace(state, image=self.summary)


@dataclass(frozen=True)
class PullImage:
    """Bring an image from its sources into a replica or host cache."""

    summary: Summary

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Pull {self.summary['name']} {self.summary['version']} ({self.summary['size']} bytes, {self.summary['digest']})."

    def predict(self, state: Stored) -> Stored:
        """See Step."""
        return replace(state, image=self.summary)


@dataclass(frozen=True)
class DescribeImage:
    """Change the description of an image, never its bytes."""

    changes: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Change the description of the image: {', '.join(f'{key}={value}' for key, value in self.changes.items())}."

    def predict(self, state: Stored) -> Stored:
        """See Step."""
        return replace(state, image={**(state.image or {}), **self.changes})


@dataclass(frozen=True)
class PinImage:
    """Pin an image, so that garbage collection keeps it, or unpin it."""

    wanted: bool

    @property
    def sentence(self) -> str:
        """See Step."""
        return "Pin the image." if self.wanted else "Unpin the image."

    def predict(self, state: Stored) -> Stored:
        """See Step."""
        return replace(state, pinned=self.wanted)


@dataclass(frozen=True)
class RemoveImage:
    """Remove an image that nothing uses."""

    digest: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Remove the image {self.digest}."

    def predict(self, state: Stored) -> Stored:
        """See Step."""
        return replace(state, image=None, pinned=False)


@dataclass(frozen=True)
class WriteCatalogue:
    """Write what the image datastore has to index.json."""

    @property
    def sentence(self) -> str:
        """See Step."""
        return "Write the catalogue."

    def predict(self, state: Stored) -> Stored:
        """See Step."""
        return replace(state, catalogue=True)


def view(state: Stored) -> Mapping[str, Any]:
    """Return the fields that we own; an empty mapping if the image is not there."""
    return {**state.image, "pinned": state.pinned} if state.image else {}


def diff_view(state: Stored) -> Mapping[str, Any]:
    """Return what a diff shows: all but the timestamp."""
    return {key: value for key, value in view(state).items() if key != "created"}


def plan_import(state: Stored, summary: Summary, changes: Mapping[str, Any], pinned: bool | None = None) -> Plan[Stored]:
    """Return the steps to an image of the datastore with this description; None leaves a field, or the pin, alone."""
    if state.image is None:
        return Plan(state, (ImportImage(summary), *_pin(state, pinned), *_catalogue(True)))
    differing = {key: value for key, value in changes.items() if value is not None and state.image.get(key) != value}
    steps: tuple[Step[Stored], ...] = (DescribeImage(differing),) if differing else ()
    return Plan(state, (*steps, *_pin(state, pinned), *_catalogue(bool(differing) or not state.catalogue)))


def _pin(state: Stored, wanted: bool | None) -> tuple[Step[Stored], ...]:
    return (PinImage(wanted),) if wanted is not None and state.pinned != wanted else ()


def _catalogue(stale: bool) -> tuple[Step[Stored], ...]:
    return (WriteCatalogue(),) if stale else ()


def plan_replica(state: Stored, summary: Summary | None, pinned: bool | None) -> Plan[Stored]:
    """Return the steps to an image on this host, pinned, not pinned, or (None) as it is.

    ``summary`` is the offer of the sources if it is not here yet.
    """
    if state.image is None and summary is None:
        raise InvalidInput("sources: the image is not on this host; give sources to pull it from.", option="sources")
    pull: tuple[Step[Stored], ...] = (PullImage(summary),) if state.image is None and summary else ()
    return Plan(state, (*pull, *_pin(state, pinned)))


def plan_absent(state: Stored, *, with_catalogue: bool) -> Plan[Stored]:
    """Return the steps that remove the image."""
    removal: tuple[Step[Stored], ...] = (RemoveImage(state.image["digest"]),) if state.image else ()
    return Plan(state, (*removal, *_catalogue(with_catalogue and (bool(removal) or not state.catalogue))))


Change: TypeAlias = "ImportImage | DescribeImage | PinImage | RemoveImage | WriteCatalogue"
