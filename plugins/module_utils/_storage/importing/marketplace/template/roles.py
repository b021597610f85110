# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role of a service as an appliance: the disks of the one that the role begins as, and its template with the role's over it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from ....._errors import InvalidInput, NotFound
from ....._template import json_form
from ....._template.model import Role, ServiceTemplate, VmTemplate
from ..appliance import Appliance, Catalogue
from ..choice import Query, select, why
from .vm import LARGEST_JSON, json_length

T = TypeVar("T")


def appliance_of_role(catalogue: Catalogue, query: Query, role: str, where: str) -> tuple[Appliance, dict[str, Any]]:
    """Return the appliance of a role of the newest service that fits, with the template of such a VM, and the service as JSON."""
    appliances = catalogue.appliances
    services = [(one, one.template) for one in select(appliances, query) if isinstance(one.template, ServiceTemplate)]
    names = sorted({one.name for one, _template in services})
    if len(names) != 1:
        listed = f" ({', '.join(names[:20])})" if names else ""
        raise NotFound(
            f"appliance: the marketplace {where} has {len(names)} services for {query}{listed}; role needs the id or name of one."
            f"{why(catalogue.skipped, query)}",
            option="appliance",
        )
    service, template = services[-1]
    found = next((one for one in template.roles if one.name == role), None)
    if found is None:
        has = ", ".join(one.name for one in template.roles) or "none"
        raise InvalidInput(f"appliance.role: {service.name} has no role {role!a:.80} (it has: {has}).", option="appliance.role")
    identity = found.appliance.id if found.appliance else None
    one = next((one for one in appliances if one.id == identity), None)
    if one is None:
        named = found.appliance.name if found.appliance else "none"
        reason = why(catalogue.skipped, Query(id=identity or ""), Query(name=named))
        raise NotFound(
            f"appliance.role: the marketplace {where} has no appliance of the role {role} ({named}).{reason}",
            option="appliance.role",
        )
    own = one.template if isinstance(one.template, VmTemplate) else VmTemplate()
    shown = {"name": service.name, "version": service.version, "role": role, **json_form.to_json(template)}
    return replace(one, template=over(own, found, template)), shown


def over(own: VmTemplate, role: Role, service: ServiceTemplate) -> VmTemplate:
    """Return the template of a role's VM: what the role says goes over its appliance's; the service asks before it."""
    said = role.template
    sizes = {key: getattr(said, key) or getattr(own, key) for key in ("memory", "vcpus", "cpu", "firmware", "display")}
    asked = {one.name: one for one in (*service.inputs, *own.inputs, *said.inputs)}
    values = {**dict(own.values), **dict(said.values)}
    return VmTemplate(
        **sizes,
        disks=(*own.disks, *said.disks),
        nics=said.nics or own.nics,
        context=tuple(sorted({**dict(own.context), **dict(said.context)}.items())),
        values=tuple(sorted(values.items())),
        inputs=tuple({**asked, **{one.name: one for one in service.inputs}}.values()),
        dropped=(*own.dropped, *said.dropped),
    )


def in_manifest(template: VmTemplate, service: dict[str, Any] | None) -> dict[str, Any]:
    """Return the JSON that a manifest keeps: the template, and the service that it is of as far as there is room."""
    found = json_form.to_json(template)
    whole = {**found, "service": service}
    return whole if service and json_length(whole) <= LARGEST_JSON else found
