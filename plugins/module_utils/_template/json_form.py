# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON of templates, as manifests keep it and modules show it, read strictly because a manifest may come from any host.

A key that a newer version added is ignored here; a manifest keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from .._errors import InvalidInput
from . import model
from .model import (
    DEPLOYMENTS,
    DISPLAYS,
    FIRMWARES,
    LARGEST_MEMORY,
    LARGEST_SIZE,
    LONGEST_TEXT,
    MOST_ITEMS,
    MOST_VCPUS,
    SMALLEST_MEMORY,
    Dropped,
    Part,
    Reference,
    Role,
    ServiceTemplate,
    Template,
    TemplateDisk,
    TemplateNic,
    UserInput,
    Value,
    Values,
    VmTemplate,
)

T = TypeVar("T")
Json = Mapping[str, Any]


def to_json(template: Template) -> dict[str, Any]:
    """Return a template as JSON values."""
    if isinstance(template, ServiceTemplate):
        return {
            "kind": "service",
            "deployment": template.deployment,
            "roles": [_role_json(role) for role in template.roles],
            "networks": [_input_json(one) for one in template.networks],
            "inputs": [_input_json(one) for one in template.inputs],
            "dropped": [asdict(one) for one in template.dropped],
        }
    return {
        "kind": "vm",
        **{key: getattr(template, key) for key in ("memory", "vcpus", "cpu", "firmware", "display")},
        "disks": [asdict(disk) for disk in template.disks],
        "nics": [{**asdict(nic), "address": value_json(nic.address)} for nic in template.nics],
        "context": _values_json(template.context),
        "values": _values_json(template.values),
        "inputs": [_input_json(one) for one in template.inputs],
        "dropped": [asdict(one) for one in template.dropped],
    }


def value_json(value: Value | None) -> Any:
    """Return a value: a text is a string, else it is a list of parts, such as ``{"input": "PORT"}``."""
    if value is None:
        return None
    if all(part.kind == "text" for part in value):
        return "".join(part.text for part in value)
    return [{part.kind: part.text, **({"nic": part.nic} if part.kind == "role" else {})} for part in value]


def _values_json(values: Values) -> dict[str, Any]:
    return {name: value_json(value) for name, value in values}


def _input_json(one: UserInput) -> dict[str, Any]:
    return {**asdict(one), "default": value_json(one.default), "choices": list(one.choices)}


def _role_json(role: Role) -> dict[str, Any]:
    appliance = asdict(role.appliance) if role.appliance else None
    known = {key: getattr(role, key) for key in ("name", "cardinality", "minimum", "maximum")}
    return {**known, "parents": list(role.parents), "appliance": appliance, "template": to_json(role.template)}


def vm_of(data: Any, where: str) -> VmTemplate:
    """Return the VM template in JSON values, or raise InvalidInput that names ``where``."""
    found = _object(data, where)
    if found.get("kind") != "vm":
        raise InvalidInput(f"{where} is of the kind {found.get('kind')!a:.40}, not the template of one VM.")
    return VmTemplate(
        memory=_whole(found, "memory", where, SMALLEST_MEMORY, LARGEST_MEMORY),
        vcpus=_whole(found, "vcpus", where, 1, MOST_VCPUS),
        cpu=_share(found, where),
        firmware=_one_of(found, "firmware", where, FIRMWARES),
        display=_one_of(found, "display", where, DISPLAYS),
        disks=_list(found, "disks", where, _disk),
        nics=_list(found, "nics", where, _nic),
        context=_values(found, "context", where),
        values=_values(found, "values", where),
        inputs=_list(found, "inputs", where, _input),
        dropped=_list(found, "dropped", where, _dropped),
    )


def service_of(data: Any, where: str) -> ServiceTemplate:
    """Return the service in JSON values, or raise InvalidInput that names ``where``."""
    found = _object(data, where)
    if found.get("kind") != "service":
        raise InvalidInput(f"{where} is of the kind {found.get('kind')!a:.40}, not a service.")
    return ServiceTemplate(
        deployment=_one_of(found, "deployment", where, DEPLOYMENTS) or "none",
        roles=_list(found, "roles", where, _role),
        networks=_list(found, "networks", where, _input),
        inputs=_list(found, "inputs", where, _input),
        dropped=_list(found, "dropped", where, _dropped),
    )


def _object(data: Any, where: str) -> Json:
    if not isinstance(data, dict):
        raise InvalidInput(f"{where} is not a JSON object.")
    return data


def _list(found: Json, key: str, where: str, read: Callable[[Any, str], T]) -> tuple[T, ...]:
    items = found.get(key)
    if items is None:
        return ()
    if not isinstance(items, list) or len(items) > MOST_ITEMS:
        raise InvalidInput(f"{where}.{key} is not a list of up to {MOST_ITEMS}.")
    return tuple(read(item, f"{where}.{key}[{place}]") for place, item in enumerate(items))


def _whole(found: Json, key: str, where: str, low: int, high: int) -> int | None:
    value = found.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high):
        raise InvalidInput(f"{where}.{key} is {value!a:.40}, not a whole number from {low} to {high}.")
    return value


def _share(found: Json, where: str) -> float | None:
    value = found.get("cpu")
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= MOST_VCPUS:
        raise InvalidInput(f"{where}.cpu is {value!a:.40}, not a number up to {MOST_VCPUS}.")
    return float(value)


def _one_of(found: Json, key: str, where: str, known: tuple[str, ...]) -> str | None:
    """Return one of the known words; a word of a newer version counts as none."""
    value = found.get(key)
    if value is not None and not isinstance(value, str):
        raise InvalidInput(f"{where}.{key} is {value!a:.40}, not a text.")
    return value if value in known else None


def _text(found: Json, key: str, where: str, longest: int = 2048) -> str:
    return _string(found.get(key, ""), f"{where}.{key}", longest)


def _string(value: Any, where: str, longest: int = 2048) -> str:
    if not isinstance(value, str) or len(value) > longest or not model.TEXT.fullmatch(value):
        raise InvalidInput(f"{where} is not a text of up to {longest} printable characters.")
    return value


def _optional(found: Json, key: str, where: str) -> str | None:
    return None if found.get(key) is None else _text(found, key, where)


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not model.NAME.fullmatch(value):
        raise InvalidInput(f"{where}: {value!a:.80} is not a name ({model.NAME_SAYS}).")
    return value


def _values(found: Json, key: str, where: str) -> Values:
    items = _object({} if found.get(key) is None else found[key], f"{where}.{key}")
    if len(items) > MOST_ITEMS:
        raise InvalidInput(f"{where}.{key} has more than {MOST_ITEMS} entries.")
    return tuple((_name(name, f"{where}.{key}"), _value(value, f"{where}.{key}.{name}")) for name, value in items.items())


def _value(value: Any, where: str) -> Value:
    if isinstance(value, str):
        return model.literal(_string(value, where, LONGEST_TEXT))
    if not isinstance(value, list) or len(value) > MOST_ITEMS:
        raise InvalidInput(f"{where} is neither a text nor a list of up to {MOST_ITEMS} parts.")
    return tuple(_part(item, where) for item in value)


def _part(item: Any, where: str) -> Part:
    found = _object(item, where)
    kind = next((kind for kind in model.PART_KINDS if kind in found), None)
    if kind is None:
        raise InvalidInput(f"{where} has a part of a kind that this version does not know ({', '.join(sorted(found))!a:.80}).")
    text = _text(found, kind, where, LONGEST_TEXT)
    if kind == "input":
        _name(text, where)
    return Part(kind, text, _whole(found, "nic", where, 0, 1000) or 0)


def _reference(data: Any, where: str) -> Reference | None:
    if data is None:
        return None
    found = _object(data, where)
    return Reference(_text(found, "name", where), _optional(found, "id", where), _optional(found, "marketplace", where))


def _input(item: Any, where: str) -> UserInput:
    found = _object(item, where)
    choices = _list(found, "choices", where, _string)
    default = None if found.get("default") is None else _value(found["default"], f"{where}.default")
    return UserInput(
        name=_name(found.get("name"), where),
        type=_text(found, "type", where, 40) or "text",
        mandatory=found.get("mandatory") is True,
        text=_text(found, "text", where),
        default=default,
        choices=choices,
        minimum=_optional(found, "minimum", where),
        maximum=_optional(found, "maximum", where),
    )


def _disk(item: Any, where: str) -> TemplateDisk:
    found = _object(item, where)
    size = _whole(found, "size", where, 1, LARGEST_SIZE)
    return TemplateDisk(_text(found, "name", where), _reference(found.get("appliance"), where), size)


def _nic(item: Any, where: str) -> TemplateNic:
    found = _object(item, where)
    address = None if found.get("address") is None else _value(found["address"], f"{where}.address")
    return TemplateNic(_text(found, "name", where), _text(found, "role", where), _optional(found, "model", where), address)


def _dropped(item: Any, where: str) -> Dropped:
    found = _object(item, where)
    return Dropped(_text(found, "attribute", where), _text(found, "reason", where))


def _role(item: Any, where: str) -> Role:
    found = _object(item, where)
    cardinality = _whole(found, "cardinality", where, 0, MOST_ITEMS)
    return Role(
        name=_text(found, "name", where),
        cardinality=1 if cardinality is None else cardinality,
        minimum=_whole(found, "minimum", where, 0, MOST_ITEMS),
        maximum=_whole(found, "maximum", where, 0, MOST_ITEMS),
        parents=_list(found, "parents", where, _string),
        appliance=_reference(found.get("appliance"), where),
        template=vm_of(found.get("template"), f"{where}.template"),
    )
