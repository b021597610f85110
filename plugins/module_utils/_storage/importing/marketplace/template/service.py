# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenNebula's service templates: roles with their cardinality, order and what they have over the template of their appliance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ....._errors import InvalidInput
from ....._json import load_json
from ....._template.model import DEPLOYMENTS, MOST_ITEMS, Reference, Role, ServiceTemplate, UserInput, VmTemplate, in_order
from .syntax import LARGEST, attributes_of
from .vm import Reading, read_inputs, vm_template

ROLE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
MOST_ROLES = 64
KNOWN = {"name", "description", "deployment", "roles", "networks", "custom_attrs", "user_inputs"}
KNOWN_ROLE = {"name", "cardinality", "min_vms", "max_vms", "parents", "vm_template_contents", "template_contents"}
SILENT = {
    "ready_status_gate",
    "registration_time",
    "description",
    "cooldown",
    "vm_template",
    "template_id",
    "type",
    "user_inputs_metadata",
}
NO_USE = "edge.cloud takes no such thing from a service"


def service_template(data: Any, appliances: Mapping[str, Reference], where: str) -> ServiceTemplate:
    """Return the service in ``data``; ``appliances`` are those of its roles, by the role's name. Raises InvalidInput."""
    found = load_json(data, where, LARGEST, InvalidInput) if isinstance(data, str) else data
    if not isinstance(found, Mapping):
        raise InvalidInput(f"{where} is {data!a:.80}; a service's JSON is expected.")
    reading = Reading()
    raw = _roles_in(found, where)
    reading.names = [name for name, _role in raw]
    parents = {name: _parents(reading, name, role) for name, role in raw}
    order = in_order(parents)
    if order is None:
        raise InvalidInput(f"{where}: its roles wait for each other, so that none can be the first.")
    roles = {name: _role(reading, name, role, parents[name], appliances.get(name)) for name, role in raw}
    for key, value in found.items():
        if key not in KNOWN | SILENT and value not in (None, "", [], {}):
            reading.drop(str(key), NO_USE)
    deployment = str(found.get("deployment") or "none").lower()
    if deployment not in DEPLOYMENTS:
        reading.drop("deployment", f"{deployment!a:.40} is not known")
    return ServiceTemplate(
        deployment if deployment in DEPLOYMENTS else "none",
        tuple(roles[name] for name in order),
        _inputs(reading, found, "networks"),
        (*_inputs(reading, found, "custom_attrs"), *_inputs(reading, found, "user_inputs")),
        tuple(reading.dropped[:200]),
    )


def _roles_in(found: Mapping[str, Any], where: str) -> list[tuple[str, Mapping[str, Any]]]:
    items = found.get("roles") or []
    if not isinstance(items, list) or len(items) > MOST_ROLES or not all(isinstance(item, Mapping) for item in items):
        raise InvalidInput(f"{where}: its roles are not a list of up to {MOST_ROLES}.")
    roles = [(str(item.get("name")), item) for item in items]
    if len(dict(roles)) < len(roles) or not all(ROLE_NAME.fullmatch(name) for name, _item in roles):
        raise InvalidInput(f"{where}: its roles have no names of their own (letters, digits, - and _).")
    return roles


def _parents(reading: Reading, name: str, role: Mapping[str, Any]) -> tuple[str, ...]:
    asked = role.get("parents") or []
    known = [one for one in asked if one in reading.names and one != name] if isinstance(asked, list) else []
    if not isinstance(asked, list) or len(known) < len(asked):
        reading.drop(f"roles/{name}/parents", f"{asked!a:.80} are not other roles of the service")
    return tuple(dict.fromkeys(known))


def _role(reading: Reading, name: str, role: Mapping[str, Any], parents: tuple[str, ...], appliance: Reference | None) -> Role:
    label = f"roles/{name}"
    for key, value in role.items():
        if key not in KNOWN_ROLE | SILENT and value not in (None, "", [], {}):
            reading.drop(f"{label}/{key}", NO_USE)
    if appliance is None:
        reading.drop(f"{label}/appliance", "the catalogue names none for this role")
    cardinality = _count(reading, role, "cardinality", label)
    return Role(
        name,
        1 if cardinality is None else cardinality,
        _count(reading, role, "min_vms", label),
        _count(reading, role, "max_vms", label),
        parents,
        appliance,
        _contents(reading, role, label),
    )


def _count(reading: Reading, role: Mapping[str, Any], key: str, label: str) -> int | None:
    value = role.get(key)
    if value in (None, ""):
        return None
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > 4 or int(text) > MOST_ITEMS:
        reading.drop(f"{label}/{key}", f"{value!a:.40} is not a number of VMs up to {MOST_ITEMS}")
        return None
    return int(text)


def _contents(reading: Reading, role: Mapping[str, Any], label: str) -> VmTemplate:
    key = "template_contents" if role.get("template_contents") else "vm_template_contents"
    try:
        return vm_template(attributes_of(role.get(key) or {}, "it"), role=True, names=reading.names)
    except InvalidInput as error:
        reading.drop(f"{label}/{key}", error.message)
        return VmTemplate()


def _inputs(reading: Reading, found: Mapping[str, Any], key: str) -> tuple[UserInput, ...]:
    asked = found.get(key) or {}
    if not isinstance(asked, Mapping) or len(asked) > MOST_ITEMS:
        reading.drop(key, "it has another form than OpenNebula gives it")
        return ()
    texts = {str(name): text for name, text in asked.items() if isinstance(text, str)}
    for name in sorted(set(map(str, asked)) - set(texts)):
        reading.drop(f"{key}/{name}", "it has another form than OpenNebula gives it")
    return tuple(read_inputs(reading, key, texts))
