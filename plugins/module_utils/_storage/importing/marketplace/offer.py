# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a marketplace offers for an import: where the bytes are, and the checksum that proves them."""

from __future__ import annotations

from dataclasses import dataclass

from ...._errors import InvalidInput, Refused
from .choice import Query, choose
from .market import Marketplace


@dataclass(frozen=True)
class Offer:
    """One disk of an appliance; ``checksum`` None means that nothing proves it and the user said that this is fine."""

    source: str
    checksum: str | None
    os: str
    arch: str


def offer_of(market: Marketplace, query: Query, number: int, *, unproven: bool) -> Offer:
    """Return disk ``number`` of the one appliance that is meant; raise Refused if nothing proves it, unless ``unproven`` may be."""
    one = choose(market.read().appliances, query, market.where)
    if not 0 <= number < len(one.files):
        raise InvalidInput(f"The appliance {one.name} {one.version} has {len(one.files)} disks; there is no disk {number}.")
    file = one.files[number]
    if file.proof is None and not unproven:
        has = ", ".join(algorithm for algorithm, _value in file.checksums) or "none"
        raise Refused(
            f"The marketplace {market.where} has no sha256 or sha512 of {one.name} {one.version} (it has: {has}); give a checksum "
            "or a signature, or allow_unverified.",
            checksums=dict(file.checksums),
        )
    if not market.proven and not unproven:
        raise Refused(
            f"The marketplace {market.where} came over plain http and is not signed, so its checksums prove nothing; use https, "
            "signature_suffix and keyring, a checksum or signature of your own, or allow_unverified."
        )
    return Offer(file.url, file.proof, one.os[:128], one.arch[:64])
