# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simplestreams: an index names documents, a document has products, a product versions, a version items. Only disks are used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...._errors import InvalidInput
from .appliance import (
    Appliance,
    Catalogue,
    File,
    Skipped,
    arch_of,
    below,
    checksums,
    gather,
    load_catalogue,
    mapping,
    number,
    printable,
    text,
    version_of,
)

INDEX = "streams/v1/index.json"
MOST_DOCUMENTS = 16
FTYPES = ("disk1.img", "disk-kvm.img", "disk.img", "uefi1.img")
DATATYPE = "image-downloads"


def parse_index(data: bytes, where: str) -> tuple[list[str], list[Skipped]]:
    """Return the paths, below the marketplace, of the documents that have images to download, and what cannot be read."""
    found = load_catalogue(data, where)
    documents = mapping(found.get("index"), f"The catalogue {where}: its index")
    paths: list[str] = []
    skipped: list[Skipped] = []
    for name, document in documents.items():
        label = f"The catalogue {where}, entry {name!a:.120}"
        if isinstance(document, dict) and document.get("datatype") == DATATYPE:
            try:
                path = text(document, "path", label, needed=True, longest=1024)
                below("/", path, label)
            except InvalidInput as error:
                skipped.append(Skipped(printable(name), error.message))
            else:
                paths.append(path)
    over = [Skipped(printable(path), f"At most {MOST_DOCUMENTS} documents are read.") for path in paths[MOST_DOCUMENTS:]]
    return paths[:MOST_DOCUMENTS], skipped + over


def parse_products(data: bytes, where: str, base: str) -> Catalogue:
    """Return an appliance for each version of each product that has the disk of a VM; products for containers only have none."""
    found = load_catalogue(data, where)
    products = mapping(found.get("products"), f"The catalogue {where}: its products")
    return gather(_versions(products), lambda entry, label: _read(entry, label, base), where)


def _versions(products: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Yield (label, (product's name, product, version's name, version)); the reader reports what is not an object."""
    for name, product in products.items():
        versions = product.get("versions") if isinstance(product, dict) else None
        if not isinstance(versions, dict):
            yield name, (name, product, "", None)
            continue
        for version, content in versions.items():
            yield f"{name}/{version}", (name, product, version, content)


def _read(entry: tuple[str, Any, str, Any], where: str, base: str) -> Iterable[Appliance]:
    product_name, product, version, content = entry
    fields = mapping(product, where)
    items = mapping(mapping(content, where).get("items"), f"{where}: its items")
    disk = _disk(items, where)
    if disk is None:
        return
    system, release = text(fields, "os", where).lower(), text(fields, "release", where)
    variant = text(fields, "variant", where)
    words = [system, release, variant if variant not in ("", "default") else ""]
    identity = text({"id": f"{product_name}/{version}"}, "id", where, needed=True)
    path = text(disk, "path", where, needed=True, longest=1024)
    yield Appliance(
        identity,
        "-".join(word for word in words if word) or product_name,
        version_of(version, where),
        os=f"{system} {text(fields, 'version', where) or release}".strip(),
        arch=arch_of(text(fields, "arch", where)),
        tags=tuple(tag.strip() for tag in text(fields, "aliases", where, longest=4096).split(",") if tag.strip()),
        files=(File(below(base, path, where), number(disk, "size", where), None, checksums(disk, where), None),),
    )


def _disk(items: Mapping[str, Any], where: str) -> Mapping[str, Any] | None:
    """Return the item that is the disk of a VM, the best one first."""
    found: dict[int, Mapping[str, Any]] = {}
    for name, item in items.items():
        fields = mapping(item, f"{where}, item {name!a:.80}")
        ftype, path = fields.get("ftype"), fields.get("path")
        rank = FTYPES.index(ftype) if ftype in FTYPES else len(FTYPES)
        if rank < len(FTYPES) or (isinstance(path, str) and path.endswith(".qcow2")):
            found.setdefault(rank, fields)
    return found[min(found)] if found else None
