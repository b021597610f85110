# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenNebula's template of a VM: what is typed and safe is taken, and the rest listed with the reason."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from ipaddress import ip_address
from typing import Any

from ....._errors import InvalidInput
from ....._template import json_form
from ....._template.answers import RUN_BY_GUEST
from ....._template.model import (
    LARGEST_MEMORY,
    LARGEST_SIZE,
    MOST_VCPUS,
    NAME,
    NAME_SAYS,
    OF_SHELL,
    SMALLEST_MEMORY,
    Dropped,
    Reference,
    Template,
    TemplateDisk,
    TemplateNic,
    UserInput,
    Value,
    VmTemplate,
)
from .syntax import Attributes, Vector
from .user_inputs import user_input
from .variables import require_no_secret, value_of

MIB = 2**20
LARGEST_JSON = 48 * 1024  # a manifest keeps it, also where an older version only knows that it is a key
WORD = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,128}")
WHOLE = re.compile(r"[0-9]{1,15}")
SHARE = re.compile(r"[0-9]{1,4}(\.[0-9]{1,6})?")
MODELS = ("virtio", "e1000", "e1000e", "rtl8139")
PROGRAM = "it would have a program or a script run, which a catalogue may not"
HOST = "it names a file or a device of the host, which a catalogue may not"
RAW = "it is passed to the hypervisor as it is, which a catalogue may not"
ELSEWHERE = "it is a number of another cloud"
NO_USE = "edge.cloud takes no such thing from a template"
REASONS = {
    "RAW": RAW, "FEATURES": NO_USE, "HOOK": PROGRAM, "HOOKS": PROGRAM, "EMULATOR": HOST, "PCI": HOST, "CPU_MODEL": NO_USE,
    "OS/KERNEL": HOST, "OS/INITRD": HOST, "OS/BOOTLOADER": HOST, "OS/KERNEL_CMD": RAW, "OS/ROOT": HOST,
    "NIC/SCRIPT": PROGRAM, "NIC/BRIDGE": HOST, "NIC/TARGET": HOST, "NIC/FILTER": HOST, "NIC/MAC": ELSEWHERE,
    "DISK/SOURCE": HOST, "DISK/PATH": HOST, "DISK/IMAGE_ID": ELSEWHERE, **{f"CONTEXT/{name}": PROGRAM for name in RUN_BY_GUEST},
    "CONTEXT/FILES": HOST, "CONTEXT/FILES_DS": HOST, "CONTEXT/TARGET": HOST, "CONTEXT/DEV_PREFIX": HOST,
}  # fmt: skip
# What only OpenNebula's own pages, accounts and other hypervisors read; nothing here needs it.
SILENT = {
    "NAME", "DESCRIPTION", "LOGO", "INPUTS_ORDER", "USER_INPUTS_METADATA", "MEMORY_UNIT_COST", "MEMORYUNIT", "MEMORY_RESIZE_MODE",
    "HOT_RESIZE", "HYPERVISOR", "SUNSTONE", "LXD_SECURITY_PRIVILEGED", "LXC_UNPRIVILEGED", "INFO", "LABELS", "CPU_COST",
    "MEMORY_COST", "DISK_COST", "VROUTER", "NIC_DEFAULT", "OS/ARCH", "OS/BOOT", "OS/UUID", "GRAPHICS/LISTEN", "GRAPHICS/KEYMAP",
    "GRAPHICS/RANDOM_PASSWD", "DISK/DEV_PREFIX", "DISK/DRIVER", "DISK/IMAGE_UNAME", "DISK/IMAGE_UID", "NIC/NETWORK_UNAME",
    "NIC/NETWORK_UID", "NIC/SECURITY_GROUPS", "NIC/NETWORK_MODE",
}  # fmt: skip
OPENNEBULAS = re.compile(r"SCHED_\w+|USER_\w+|TOPOLOGY|NUMA_NODE|INPUT|GROUP|ERROR|AS_\w+|VCENTER_\w+|BACKUP_CONFIG|TM_MAD_SYSTEM")


@dataclass
class Reading:
    """A template while it is read; ``names`` are the roles of the service that it is in."""

    names: Collection[str] = ()
    found: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, list[Any]] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)
    model: str | None = None

    def drop(self, attribute: str, reason: str) -> None:
        """Note what was not taken."""
        shown = attribute if attribute.isascii() and attribute.isprintable() else ascii(attribute)[1:-1]
        self.dropped.append(Dropped(shown[:128], reason[:300]))

    def take(self, attribute: str, key: str, read: Callable[[], Any]) -> None:
        """Take what ``read`` returns under ``key``, or note why not."""
        try:
            self.found[key] = read()
        except InvalidInput as error:
            self.drop(attribute, error.message)

    def add(self, attribute: str, key: str, read: Callable[[], Any]) -> None:
        """Take what ``read`` returns into the list ``key``, or note why not."""
        try:
            self.lists.setdefault(key, []).append(read())
        except InvalidInput as error:
            self.drop(attribute, error.message)

    def untaken(self, attribute: str) -> None:
        """Note an attribute that has no place here; an item's number (``NIC[1]/SCRIPT``) does not change the reason."""
        key = re.sub(r"\[\d+\]", "", attribute)
        if key not in SILENT:
            self.drop(attribute, REASONS.get(key, NO_USE))


def vm_template(
    attributes: Attributes, *, disks: tuple[TemplateDisk, ...] = (), role: bool = False, names: Collection[str] = ()
) -> VmTemplate:
    """Return the template in these attributes; ``disks`` come before those that it has.

    The template of a service's role gives values to variables of its appliance's context.
    """
    reading = Reading(names)
    reading.model = _default_model(attributes)
    counts: dict[str, int] = {}
    for name, value in attributes:
        place = counts[name] = counts.get(name, -1) + 1
        label = f"{name}[{place}]" if name in ("NIC", "DISK") else name
        _attribute(reading, name, label, value)
    _values(reading, attributes, role)
    lists = {key: tuple(items) for key, items in reading.lists.items()}
    inputs = _ordered(lists.get("inputs", ()), attributes)
    return VmTemplate(
        **reading.found,
        disks=(*disks, *lists.get("disks", ())),
        nics=lists.get("nics", ()),
        context=_unique(reading, lists.get("context", ()), "CONTEXT"),
        values=_unique(reading, lists.get("values", ()), "values"),
        inputs=inputs,
        dropped=tuple(reading.dropped[:200]),
    )


def _attribute(reading: Reading, name: str, label: str, value: str | Vector) -> None:
    if name in SCALARS and isinstance(value, str):
        key, read = SCALARS[name]
        reading.take(label, key, lambda: read(value))
    elif name in VECTORS and isinstance(value, dict):
        VECTORS[name](reading, label, value)
    elif name in (*SCALARS, *VECTORS):
        if value not in ("", {}):
            reading.drop(label, "it has another form than OpenNebula gives it")
    elif _known(name):
        reading.untaken(label)


def _known(name: str) -> bool:
    """Return whether an attribute means something to OpenNebula; any other is a value for a variable of the context."""
    return name in REASONS or name in SILENT or bool(OPENNEBULAS.fullmatch(name)) or name == "NIC_ALIAS"


def _memory(text: str) -> int:
    size = int(text) * MIB if WHOLE.fullmatch(text.strip()) else 0
    if not SMALLEST_MEMORY <= size <= LARGEST_MEMORY:
        raise InvalidInput(f"{text!a:.40} is not a whole number of MB from 16")
    return size


def _vcpus(text: str) -> int:
    if not WHOLE.fullmatch(text.strip()) or not 1 <= int(text) <= MOST_VCPUS:
        raise InvalidInput(f"{text!a:.40} is not a whole number from 1 to {MOST_VCPUS}")
    return int(text)


def _share(text: str) -> float:
    share = Decimal(text.strip()) if SHARE.fullmatch(text.strip()) else Decimal(0)
    if not 0 < share <= MOST_VCPUS:
        raise InvalidInput(f"{text!a:.40} is not a number of CPUs up to {MOST_VCPUS}, such as 0.5")
    return float(share)


def _size(text: str) -> int:
    size = int(text) * MIB if WHOLE.fullmatch(text.strip()) else 0
    if not 0 < size <= LARGEST_SIZE:
        raise InvalidInput(f"its size is {text!a:.40}; a whole number of MB is expected")
    return size


def _word(text: str, what: str) -> str:
    if not WORD.fullmatch(text):
        raise InvalidInput(f"its {what} is {text!a:.40}; 1 to 128 printable characters are expected")
    return text


def _os(reading: Reading, label: str, parts: Vector) -> None:
    for name, text in parts.items():
        if name == "FIRMWARE" and text:
            reading.take(f"{label}/{name}", "firmware", partial(_firmware, text))
        elif text:
            reading.untaken(f"{label}/{name}")


def _firmware(text: str) -> str:
    word = text.strip().lower()
    if word not in ("bios", "uefi", "efi"):
        raise InvalidInput(HOST if "/" in word else f"{text!a:.40} is not known")
    return "bios" if word == "bios" else "uefi"


def _graphics(reading: Reading, label: str, parts: Vector) -> None:
    for name, text in parts.items():
        if name == "TYPE" and text.lower() in ("vnc", "spice"):
            reading.found["display"] = text.lower()
        elif text:
            reading.untaken(f"{label}/{name}")


def _disk(reading: Reading, label: str, parts: Vector) -> None:
    known = {"IMAGE", "SIZE", "NAME", "TYPE", "FORMAT"}
    for name in parts:
        if name not in known:
            reading.untaken(f"{label}/{name}")
    if {"IMAGE", "SIZE"} & set(parts) and not {"SOURCE", "PATH"} & set(parts):
        reading.add(label, "disks", lambda: _read_disk(parts, f"disk{len(reading.lists.get('disks', []))}"))


def _read_disk(parts: Vector, usual: str) -> TemplateDisk:
    image, size = parts.get("IMAGE"), parts.get("SIZE")
    appliance = Reference(_word(image, "image")) if image else None
    return TemplateDisk(_word(parts.get("NAME") or usual, "name"), appliance, _size(size) if size else None)


def _default_model(attributes: Attributes) -> str | None:
    vectors = [value for name, value in attributes if name == "NIC_DEFAULT" and isinstance(value, dict)]
    model = vectors[-1].get("MODEL", "").lower() if vectors else ""
    return model if model in MODELS else None


def _nic(reading: Reading, label: str, parts: Vector) -> None:
    for name in parts:
        if name not in ("NAME", "NETWORK", "NETWORK_ID", "MODEL", "IP"):
            reading.untaken(f"{label}/{name}")
    network = parts.get("NETWORK_ID", "")
    if network and not network.startswith("$"):
        reading.drop(f"{label}/NETWORK_ID", ELSEWHERE)
        network = ""
    usual = f"nic{len(reading.lists.get('nics', []))}"
    reading.add(label, "nics", lambda: _read_nic(parts, network, usual, reading))


def _read_nic(parts: Vector, network: str, usual: str, reading: Reading) -> TemplateNic:
    role = (parts.get("NETWORK") or network).strip()
    model = parts.get("MODEL", "").lower() or reading.model
    address = value_of(parts["IP"], reading.names) if parts.get("IP") else None
    if address and all(part.kind == "text" for part in address):
        _require_address(parts["IP"])
    return TemplateNic(
        name=_word(parts.get("NAME") or usual, "name"),
        role=_word(role.lstrip("$").strip("{}").upper() if role.startswith("$") else role, "network") if role else "",
        model=model if model in MODELS else None,
        address=address,
    )


def _require_address(text: str) -> None:
    try:
        ip_address(text.strip())
    except ValueError:
        raise InvalidInput(f"its address is {text!a:.40}, which is not an address") from None


def _context(reading: Reading, label: str, parts: Vector) -> None:
    for name, text in parts.items():
        if f"CONTEXT/{name}" in REASONS:
            if text:
                reading.untaken(f"{label}/{name}")
        else:
            reading.add(f"{label}/{name}", "context", partial(_named_value, name, text, reading.names))


def _named_value(name: str, text: str, roles: Collection[str]) -> tuple[str, Value]:
    if not NAME.fullmatch(name):
        raise InvalidInput(f"its name is not one of a variable ({NAME_SAYS})")
    if OF_SHELL.fullmatch(name):
        raise InvalidInput("the guest's shell uses this variable itself")
    value = value_of(text, roles)
    require_no_secret(name, value)
    return name, value


def _inputs(reading: Reading, label: str, parts: Vector) -> None:
    reading.lists.setdefault("inputs", []).extend(read_inputs(reading, label, parts))


SCALARS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "MEMORY": ("memory", _memory),
    "VCPU": ("vcpus", _vcpus),
    "CPU": ("cpu", _share),
}
VECTORS: Mapping[str, Callable[[Reading, str, Vector], None]] = {
    "OS": _os,
    "GRAPHICS": _graphics,
    "DISK": _disk,
    "NIC": _nic,
    "CONTEXT": _context,
    "USER_INPUTS": _inputs,
}


def read_inputs(reading: Reading, label: str, parts: Mapping[str, str]) -> Iterator[UserInput]:
    """Yield the user inputs among the parts of an attribute; what is not one, and a default that does not fit, is noted."""
    seen: set[str] = set()
    for name, text in parts.items():
        try:
            found, reason = user_input(name, text, reading.names)
        except InvalidInput as error:
            reading.drop(f"{label}/{name}", error.message)
            continue
        if found.name not in seen:
            yield found
        seen.add(found.name)
        if reason:
            reading.drop(f"{label}/{name}", f"its default was not taken: {reason}")


def _ordered(inputs: tuple[UserInput, ...], attributes: Attributes) -> tuple[UserInput, ...]:
    """Return the inputs in the order that INPUTS_ORDER gives, then the others."""
    named = [value for name, value in attributes if name == "INPUTS_ORDER" and isinstance(value, str)]
    words = [word.strip().upper() for word in (named[-1] if named else "").split(",")]
    order = {word: place for place, word in enumerate(words)}
    return tuple(sorted(inputs, key=lambda one: order.get(one.name, len(words))))


def _values(reading: Reading, attributes: Attributes, role: bool) -> None:
    """Take the attributes that are values of variables: in a role all that OpenNebula does not know, else those that are used."""
    used = {part.text for _name, value in reading.lists.get("context", []) for part in value if part.kind == "input"}
    asked = {one.name for one in reading.lists.get("inputs", [])}
    for name, value in attributes:
        if _known(name) or name in (*SCALARS, *VECTORS):
            continue
        if isinstance(value, dict) or (name not in used and not role):
            reading.untaken(name)
        elif name not in asked and value != f"${name}":
            reading.add(name, "values", partial(_named_value, name, value, reading.names))


def _unique(reading: Reading, values: tuple[tuple[str, Value], ...], label: str) -> tuple[tuple[str, Value], ...]:
    """Return the values by name; of two with one name the last counts, as in OpenNebula."""
    found = dict(values)
    if len(found) < len(values):
        reading.drop(label, "some of its names are there twice; the last ones were taken")
    return tuple(sorted(found.items()))


def bounded(template: Template) -> Template:
    """Return a template, or one that says that it is too large for a manifest."""
    length = json_length(json_form.to_json(template))
    return template if length <= LARGEST_JSON else untaken(f"it has {length} bytes as JSON; a manifest takes {LARGEST_JSON}")


def json_length(value: Any) -> int:
    """Return the bytes of a value as JSON."""
    return len(json.dumps(value))


def untaken(reason: str) -> VmTemplate:
    """Return the template that has nothing but the reason why."""
    return VmTemplate(dropped=(Dropped("opennebula_template", reason[:300]),))
