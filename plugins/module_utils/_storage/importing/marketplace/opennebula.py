# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON of an OpenNebula marketplace: ``GET /appliance``. Entries omit many fields, and no server checks them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ...._errors import InvalidInput
from ...._template.model import Template, TemplateDisk
from .appliance import (
    KINDS,
    Appliance,
    Catalogue,
    File,
    arch_of,
    checksums,
    gather,
    listing,
    load_catalogue,
    mapping,
    number,
    text,
    version_of,
    web_url,
)
from .template.references import reference_of, resolved
from .template.service import service_template
from .template.syntax import attributes_of
from .template.vm import untaken, vm_template

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
MOST_FILES = 64
FORMATS = ("qcow2", "raw", "vmdk", "vdi", "vhdx")


def parse(data: bytes, where: str, base: str) -> Catalogue:
    """Return the appliances in ``data``; ``base`` is the marketplace's URL, for files that are fetched through it."""
    found = load_catalogue(data, where)
    if not isinstance(found.get("appliances"), list):
        raise InvalidInput(f"The catalogue {where} has no list of appliances; is it an OpenNebula marketplace?", catalogue=where)
    entries = ((_label(entry, number), entry) for number, entry in enumerate(found["appliances"]))
    catalogue = gather(entries, lambda entry, label: _read(entry, label, base), where)
    return replace(catalogue, appliances=resolved(catalogue.appliances, base))


def _label(entry: Any, number: int) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    return f"{number} ({name})" if isinstance(name, str) else str(number)


def _read(entry: Any, where: str, base: str) -> Iterable[Appliance]:
    fields = mapping(entry, where)
    wrapped = fields.get("_id")
    identity = text(wrapped, "$oid", where, needed=True) if isinstance(wrapped, dict) else text(fields, "_id", where, needed=True)
    if not ID.fullmatch(identity):
        raise InvalidInput(f"{where}: its id is {identity!a:.80}; letters, digits, - and _ are expected.")
    kind = text(fields, "type", where).upper() or "IMAGE"
    if kind not in KINDS:
        raise InvalidInput(f"{where}: its type is {kind!a:.80}; {', '.join(KINDS)} are known.")
    disks = [mapping(disk, where) for disk in _disks(fields, where)]
    described = {**(disks[0] if disks else {}), **{key: value for key, value in fields.items() if value is not None}}
    yield Appliance(
        identity,
        text(fields, "name", where, needed=True),
        version_of(text(fields, "version", where), where),
        os=f"{text(described, 'os-id', where)} {text(described, 'os-release', where)}".strip().lower(),
        arch=arch_of(text(described, "os-arch", where)),
        kind=kind,
        tags=tuple(tag for tag in listing(fields.get("tags"), f"{where}, tags", 256) if isinstance(tag, str) and tag.isprintable()),
        files=tuple(_file(disk, fields, where, f"{base}/appliance/{identity}/download/{at}") for at, disk in enumerate(disks)),
        template=_template(kind, fields, where),
    )


def _template(kind: str, fields: Mapping[str, Any], where: str) -> Template | None:
    """Return the entry's template; one that cannot be read has only the reason why, and the entry stays."""
    data = fields.get("opennebula_template")
    try:
        if kind == "SERVICE_TEMPLATE":
            named = mapping(fields.get("roles") or {}, f"{where}, roles")
            appliances = {str(name): reference_of(entry, f"{where}, roles") for name, entry in named.items()}
            return service_template(data or {}, appliances, "it")
        listed = listing(fields.get("disks"), f"{where}, disks", MOST_FILES) if kind == "VMTEMPLATE" else []
        disks = [TemplateDisk(f"disk{at}", reference_of(entry, f"{where}, disks")) for at, entry in enumerate(listed)]
        return vm_template(attributes_of(data or {}, "it"), disks=tuple(disks)) if data or disks else None
    except InvalidInput as error:
        return untaken(error.message)


def _disks(fields: Mapping[str, Any], where: str) -> list[Any]:
    """Return the disks: ``files`` in the server's JSON, ``images`` in the entries that it is made of."""
    key = "files" if fields.get("files") else "images"
    return listing(fields.get(key), f"{where}, {key}", MOST_FILES)


def _file(disk: Mapping[str, Any], fields: Mapping[str, Any], where: str, download: str) -> File:
    """Return a disk; OpenNebula's ``size`` is the virtual size. A disk without a URL is fetched through the marketplace."""
    proven = disk.get("checksum")
    given = text(disk, "url", where, longest=2048)
    image_format = (text(disk, "driver", where) or text(disk, "format", where) or text(fields, "format", where)).lower()
    return File(
        web_url(given or download, where),
        virtual_size=number(disk, "size", where),
        checksums=checksums(proven if isinstance(proven, dict) else disk, where),
        format=image_format if image_format in FORMATS else None,
    )
