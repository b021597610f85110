# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which appliances the disks of templates and the roles of services mean: by identifier, by name, or of another marketplace."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ....._errors import InvalidInput
from ....._template.model import Dropped, Reference, Role, ServiceTemplate, Template, TemplateDisk, VmTemplate
from ....names import version_key
from ..appliance import Appliance, File, mapping, text, web_url
from .vm import bounded

LINK = re.compile(r"(https?://[^?#]+?)/+appliance/([A-Za-z0-9][A-Za-z0-9_-]{0,63})/?")
DISK_KINDS, ROLE_KINDS = ("IMAGE",), ("VMTEMPLATE", "IMAGE")


def reference_of(entry: Any, where: str) -> Reference:
    """Return what an entry names: a name, an identifier, the link of an appliance, or an object that has them."""
    if isinstance(entry, str):
        fields: Mapping[str, Any] = {"name": entry}
    else:
        fields = mapping(entry, where)
    name = text(fields, "app", where) or text(fields, "name", where)
    link = LINK.fullmatch(name)
    marketplace = text(fields, "marketplace", where, longest=2048) or (link[1] if link else "")
    identity = text(fields, "id", where) or (link[2] if link else "")
    if not (name or identity):
        raise InvalidInput(f"{where} names no appliance.")
    url = web_url(marketplace, where).rstrip("/") if marketplace else None
    return Reference("" if link else name, identity or None, url)


def resolved(appliances: Sequence[Appliance], base: str) -> tuple[Appliance, ...]:
    """Return the appliances with the references of their templates resolved; ``base`` is the marketplace's own URL.

    The disks of a template are those of the images that it refers to, up to the first that is not known.
    """
    index = _Index(appliances, base)
    return tuple(index.resolved(one, one.template) if one.template else one for one in appliances)


class _Index:
    """A catalogue by identifier, and by kind and name, architecture and version; of several the highest version."""

    def __init__(self, appliances: Sequence[Appliance], base: str) -> None:
        self._by_id = {one.id: one for one in appliances}
        self._by_name: dict[tuple[str, ...], Appliance] = {}
        self._base = base.rstrip("/")
        for one in sorted(appliances, key=lambda one: (version_key(one.version), one.id), reverse=True):
            for key in _keys(one.name, one.kind, one):
                self._by_name.setdefault(key, one)

    def resolved(self, one: Appliance, template: Template) -> Appliance:
        found = bounded(self._template(template, one))
        return replace(one, template=found, files=one.files or (self._files(found) if isinstance(found, VmTemplate) else ()))

    def _files(self, template: VmTemplate) -> tuple[File, ...]:
        files: list[File] = []
        for disk in template.disks:
            image = self._by_id.get(disk.appliance.id or "") if disk.appliance else None
            if image is None or not image.files:
                break
            files.append(image.files[0])
        return tuple(files)

    def _template(self, template: Template, owner: Appliance) -> Template:
        dropped: list[Dropped] = []
        if isinstance(template, ServiceTemplate):
            roles = tuple(self._role(role, owner, dropped) for role in template.roles)
            return replace(template, roles=roles, dropped=(*template.dropped, *dropped))
        disks = tuple(self._disk(disk, owner, dropped) for disk in template.disks)
        return replace(template, disks=disks, dropped=(*template.dropped, *dropped))

    def _role(self, role: Role, owner: Appliance, dropped: list[Dropped]) -> Role:
        label = f"roles/{role.name}/appliance"
        appliance = self._find(role.appliance, owner, ROLE_KINDS, label, dropped)
        template = self._template(role.template, owner)
        return replace(role, appliance=appliance, template=template if isinstance(template, VmTemplate) else role.template)

    def _disk(self, disk: TemplateDisk, owner: Appliance, dropped: list[Dropped]) -> TemplateDisk:
        return replace(disk, appliance=self._find(disk.appliance, owner, DISK_KINDS, f"disks/{disk.name}", dropped))

    def _find(
        self, asked: Reference | None, owner: Appliance, kinds: tuple[str, ...], label: str, dropped: list[Dropped]
    ) -> Reference | None:
        if asked is None or (asked.marketplace and asked.marketplace != self._base):
            return asked
        known = self._by_id.get(asked.id or asked.name)
        if known is None or known.kind not in kinds:
            wanted = (key for kind in kinds for key in _keys(asked.name, kind, owner))
            known = next((self._by_name[key] for key in wanted if key in self._by_name), None)
        if known is None:
            named = asked.id or asked.name
            dropped.append(Dropped(label, f"The marketplace has no {' or '.join(kinds)} of the name or identifier {named!a:.120}."))
            return replace(asked, id=None, marketplace=None)
        return Reference(known.name, known.id)


def _keys(name: str, kind: str, like: Appliance) -> tuple[tuple[str, ...], ...]:
    """Return the keys of an entry, or of one that is to be found for an entry, the best first."""
    return (kind, name, like.arch, like.version), (kind, name, like.arch), (kind, name, "", "", like.version), (kind, name)
