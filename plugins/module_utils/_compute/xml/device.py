# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of a domain's XML: which are ours, finding or making one, and PCI addresses.

Devices that we made carry an alias that begins with ``ua-edge-``: it is stable, and libvirt keeps it. Devices that others made and
options took over keep the alias that they have; the record knows them by what names them in the XML. All others are foreign.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from ..model.spec import Disk, Nic
from .properties import read_path, write_path

ALIAS = "ua-edge-"
PARTS = ("domain", "bus", "slot", "function")


@dataclass(frozen=True)
class Group:
    """Devices of which a domain has any number: their tag, our alias for them, and the path of what names one in the XML."""

    tag: str
    alias: str
    key: str


@dataclass(frozen=True)
class Kind:
    """A device of which a domain has one: its tag, our alias for it, what tells it from others of its tag, and how one begins.

    ``any_of``: a device of others too: a device of this tag is one; without ``has_alias`` libvirt takes no alias for it.
    """

    tag: str
    alias: str
    key: str
    value: str
    begin: tuple[tuple[str, str], ...] = ()
    has_alias: bool = True
    any_of: bool = False


DISKS = Group("disk", "disk", "target@dev")
NICS = Group("interface", "nic", "mac@address")
FILESYSTEMS = Group("filesystem", "fs", "target@dir")


def alias_of(element: Element) -> str:
    """Return a device's alias, the empty text without one."""
    return read_path(element, "alias@name") or ""


def key_of(element: Element, group: Group) -> str:
    """Return what names a device in the XML, in lower case."""
    return (read_path(element, group.key) or "").lower()


def recorded(devices: Sequence[Disk] | Sequence[Nic]) -> dict[str, tuple[str, str]]:
    """Return the name and the first key of devices that were taken over, by the keys that they had and have."""
    taken = [(one.target if isinstance(one, Disk) else one.mac, one.name, one.foreign) for one in devices if one.foreign]
    then = {foreign: (name, foreign) for _key, name, foreign in taken if foreign}
    return {**then, **{key: (name, foreign) for key, name, foreign in taken if foreign}}


@dataclass(frozen=True)
class Found:
    """A device as it was found: ``name`` None is a foreign one; ``foreign`` is None where we made it, else its first key."""

    element: Element
    name: str | None
    foreign: str | None


def find_devices(devices: Element, group: Group, known: Mapping[str, tuple[str, str]]) -> Iterator[Found]:
    """Yield the devices of a group; ``known`` are those that were taken over."""
    prefix = f"{ALIAS}{group.alias}-"
    for element in devices.findall(group.tag):
        key = key_of(element, group)
        if alias_of(element).startswith(prefix):
            yield Found(element, alias_of(element).removeprefix(prefix), None)
        elif key in known:
            yield Found(element, *known[key])
        else:
            yield Found(element, None, key)


def place_devices(
    devices: Element, group: Group, known: Mapping[str, tuple[str, str]], wanted: Sequence[Disk] | Sequence[Nic]
) -> dict[str, Element]:
    """Return the elements of the devices that are wanted, by name; remove those of ours that are not."""
    found = list(find_devices(devices, group, known))
    foreign = {one.foreign: one.element for one in found if one.name is None}
    named = {one.name: one.element for one in found if one.name}
    names = {one.name for one in wanted}
    for name, element in named.items():
        if name not in names:
            devices.remove(element)
    claimed = {one.name: foreign[one.foreign] for one in wanted if one.foreign in foreign}
    return {**claimed, **{name: element for name, element in named.items() if name in names}}


def drop_stale(devices: Element, tag: str, kind: str, names: Collection[str]) -> None:
    """Remove those of the devices that we made of a kind that the spec does not name any more."""
    prefix = f"{ALIAS}{kind}-"
    for element in devices.findall(tag):
        if alias_of(element).startswith(prefix) and alias_of(element).removeprefix(prefix) not in names:
            devices.remove(element)


def make(devices: Element, kind: Kind) -> Element:
    """Return a new device with our alias."""
    made = SubElement(devices, kind.tag, dict(kind.begin))
    write_path(made, kind.key, kind.value)
    if kind.has_alias:
        write_path(made, "alias@name", ALIAS + kind.alias)
    return made


def find_single(devices: Element, kind: Kind) -> Element | None:
    """Return the device of a kind of which a domain has one, ours before one of others."""
    found = [one for one in devices.findall(kind.tag) if _is(one, kind)]
    return next((one for one in found if alias_of(one) == ALIAS + kind.alias), found[0] if found else None)


def _is(element: Element, kind: Kind) -> bool:
    return kind.any_of or alias_of(element) == ALIAS + kind.alias or read_path(element, kind.key) == kind.value


def drop(devices: Element, kind: Kind, *, ours_only: bool = False) -> None:
    """Remove the devices of a kind, if they are there; with ``ours_only`` only the one that we made."""
    for element in devices.findall(kind.tag):
        if alias_of(element) == ALIAS + kind.alias or (not ours_only and _is(element, kind)):
            devices.remove(element)


def read_pci(element: Element | None) -> str | None:
    """Return a PCI address such as ``0000:65:00.1`` from the attributes that libvirt splits it into."""
    if element is None or element.get("bus") is None or element.get("slot") is None:
        return None
    domain, bus, slot, function = (int(element.get(part, "0"), 16) for part in PARTS)
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


def write_pci(element: Element, address: str) -> None:
    """Write a PCI address as libvirt splits it."""
    domain, bus, rest = address.split(":")
    slot, function = rest.split(".")
    for part, digits in zip(PARTS, (domain, bus, slot, function), strict=True):
        element.set(part, "0x" + digits)


def pci_addresses(root: Element) -> set[str]:
    """Return the guest's PCI addresses that its devices have."""
    found = (read_pci(one.find("address[@type='pci']")) for one in root.iterfind("devices/*"))
    return {address for address in found if address}


def root_ports(root: Element) -> set[int]:
    """Return the bus numbers behind PCI Express root ports, each with room for one device."""
    ports = root.findall("devices/controller[@type='pci'][@model='pcie-root-port']")
    return {int(port.get("index", "0")) for port in ports}


def free_ports(root: Element) -> int | None:
    """Return how many devices can be plugged in while the guest runs; None where the machine is not made of root ports."""
    ports = root_ports(root)
    taken = {int(address.split(":")[1], 16) for address in pci_addresses(root)}
    return len(ports - taken) if ports else None
