# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a marketplace offers for an import: the URL or path, and the checksum that proves the bytes."""

from __future__ import annotations

from dataclasses import dataclass

from ...._errors import InvalidInput, Refused
from .choice import Query, choose, meant
from .market import Marketplace


@dataclass(frozen=True)
class Offer:
    """One disk of an appliance; ``checksum`` is None if nothing proves it and the user allowed that.

    ``lost`` has the entries that may be meant too, perhaps newer ones, and cannot be used, with the reasons.
    """

    source: str
    checksum: str | None
    os: str
    arch: str
    lost: tuple[str, ...] = ()


def offer_of(market: Marketplace, query: Query, number: int, *, unproven: bool, image_format: str | None = None) -> Offer:
    """Return disk ``number`` of the one appliance that is meant; raise Refused if nothing proves it, unless ``unproven``."""
    catalogue = market.read()
    one = choose(catalogue.appliances, query, market.where, catalogue.skipped, image_format)
    if not 0 <= number < len(one.files):
        raise InvalidInput(
            f"appliance.disk: {number} does not exist; {one.name} {one.version} has {len(one.files)} disks, counted from 0.",
            option="appliance.disk",
        )
    file = one.files[number]
    if file.proof is None and not unproven:
        has = ", ".join(algorithm for algorithm, _value in file.checksums) or "none"
        raise Refused(
            f"appliance: the marketplace {market.where} has no sha256 or sha512 of {one.name} {one.version} (it has: {has}); "
            "give a checksum or a signature, or allow_unverified.",
            option="appliance",
            checksums=dict(file.checksums),
        )
    if not market.proven and not unproven:
        raise Refused(
            f"marketplace: {market.where} is read over plain http and is not signed, so its checksums prove nothing; use https, "
            "signature_suffix and keyring, a checksum or signature of your own, or allow_unverified.",
            option="marketplace",
        )
    lost = tuple(f"{other.entry}: {other.reason}" for other in meant(catalogue.skipped, query) if not other.archive)
    return Offer(market.with_query(file.url), file.proof, one.os[:128], one.arch[:64], lost)
