# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option ``disks[].preallocation``: which new disks take all their space when they are made."""

from __future__ import annotations

from ..._errors import InvalidInput
from ..model.request import DiskOptions, DomainOptions


def preallocates(item: DiskOptions) -> bool:
    """Return whether a disk is to have all its space when it is made."""
    return item.preallocation not in (None, "off")


def check_preallocation(item: DiskOptions, image: str | None = None) -> None:
    """Raise InvalidInput where a disk is asked for that cannot be preallocated; ``image`` is what it was made of before."""
    option, asked = f"{item.where}.preallocation", item.preallocation
    if asked is None:
        return
    found = image or item.image
    if found and preallocates(item):
        raise InvalidInput(
            f"{option}: {asked} was asked of a disk of the image {found}, an overlay that takes space as it is written; "
            "leave it out, or make an empty disk with size.",
            option=option,
            value=asked,
        )
    if not (found or item.size):
        raise InvalidInput(
            f"{option}: {asked} was asked of a disk that is not made here; it goes with size.", option=option, value=asked
        )


def asked_preallocation(options: DomainOptions) -> tuple[tuple[str, str], ...]:
    """Return the names of the disks that are to have all their space when they are made, and how."""
    return tuple((item.name, str(item.preallocation)) for item in options.disks or () if preallocates(item))
