# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kind ``index``: the ``index.json`` of an image datastore, with its images beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...._errors import InvalidInput
from ...._json import require_schema
from ... import names
from ...store import catalogue
from .appliance import Appliance, Catalogue, File, arch_of, below, gather, load_catalogue


def parse(data: bytes, where: str, base: str) -> Catalogue:
    """Return the images of an image datastore as appliances; ``base`` is its URL or folder."""
    found = load_catalogue(data, where)
    require_schema(found, catalogue.SCHEMA, f"The catalogue {where}", InvalidInput)
    if not isinstance(found.get("images"), list):
        raise InvalidInput(
            f"The catalogue {where} has no list of images; is it the index.json of an image datastore?", catalogue=where
        )
    entries = ((str(number), entry) for number, entry in enumerate(found["images"]))
    return gather(entries, lambda entry, label: _read(entry, label, base), where)


def _read(entry: Any, where: str, base: str) -> Iterable[Appliance]:
    image = catalogue.entry(entry, where)
    hex_ = names.hex_of(image.digest)
    url = below(base, f"{hex_}.qcow2", where)
    file = File(url, image.size, image.virtual_size, (("image", hex_),), "qcow2")
    yield Appliance(image.digest, image.name, image.version, image.os, arch_of(image.arch), files=(file,))
