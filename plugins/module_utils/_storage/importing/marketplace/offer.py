# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a marketplace offers for an import: the URL or path, and the checksum that proves the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...._errors import InvalidInput, Refused
from ...._shown import counted
from ...._template.model import VmTemplate
from .appliance import Appliance, Catalogue
from .choice import Query, choose, meant, older_and_better
from .market import Marketplace
from .template.roles import appliance_of_role, in_manifest


@dataclass(frozen=True)
class Offer:
    """One disk of an appliance; ``checksum`` is None if nothing proves it and the user allowed that.

    ``notes`` say which entries may be meant too and cannot be used, perhaps newer ones, and if an older one has a better format.
    ``template`` is the JSON of what a VM of it begins with.
    """

    source: str
    checksum: str | None
    os: str
    arch: str
    notes: tuple[str, ...] = ()
    template: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Asked:
    """Which disk of an appliance is asked for: its number, of the appliance of a ``role`` of a service, in a format."""

    query: Query
    number: int = 0
    role: str | None = None
    image_format: str | None = None


def offer_of(market: Marketplace, asked: Asked, *, unproven: bool) -> Offer:
    """Return the disk of the one appliance that is meant; raise Refused if nothing proves it, unless ``unproven``."""
    catalogue, query, number = market.read(), asked.query, asked.number
    service = None
    if asked.role:
        one, service = appliance_of_role(catalogue, query, asked.role, market.where)
    else:
        one = choose(catalogue.appliances, query, market.where, catalogue.skipped, asked.image_format)
    if not 0 <= number < len(one.files):
        raise InvalidInput(
            f"appliance.disk: {number} does not exist; {one.name} {one.version} "
            f"has {counted(len(one.files), 'disk')}, counted from 0.",
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
    notes = _notes(catalogue, asked, one)
    template = in_manifest(one.template, service) if isinstance(one.template, VmTemplate) else market.template_of(one)
    return Offer(market.with_query(file.url), file.proof, one.os[:128], one.arch[:64], notes, template)


def _notes(catalogue: Catalogue, asked: Asked, taken: Appliance) -> tuple[str, ...]:
    lost = [other for other in meant(catalogue.skipped, asked.query) if not other.archive]
    notes = [f"An entry of the marketplace that may be meant cannot be used. {other.entry}: {other.reason}" for other in lost]
    if asked.image_format is None and asked.role is None:
        notes += older_and_better(catalogue.appliances, asked.query, taken)
    return tuple(notes)
