# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of a domain's XML: which are ours, finding or making one, and PCI addresses.

Devices of ours carry an alias that begins with ``ua-edge-``: it is stable, libvirt keeps it, and a device without it was
attached by others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from .properties import read_path, write_path

ALIAS = "ua-edge-"
PARTS = ("domain", "bus", "slot", "function")


@dataclass(frozen=True)
class Kind:
    """A device: its tag, our alias for it, what identifies it among others of its tag, and the attributes of a new one."""

    tag: str
    alias: str
    key: str
    value: str
    begin: tuple[tuple[str, str], ...] = ()
    has_alias: bool = True


def alias_of(element: Element) -> str:
    """Return a device's alias, the empty text without one."""
    return read_path(element, "alias@name") or ""


def our_devices(root: Element, tag: str, kind: str, all_of_them: bool) -> Iterator[tuple[str | None, Element]]:
    """Yield (our name of it or None, device) for our devices of a kind, and with ``all_of_them`` for every other too."""
    for element in root.iterfind(f"devices/{tag}"):
        prefix = f"{ALIAS}{kind}-"
        if alias_of(element).startswith(prefix):
            yield alias_of(element).removeprefix(prefix), element
        elif all_of_them:
            yield None, element


def drop_stale(devices: Element, tag: str, kind: str, names: Collection[str]) -> None:
    """Remove those of our devices of a kind that the spec does not name any more."""
    prefix = f"{ALIAS}{kind}-"
    for element in devices.findall(tag):
        if alias_of(element).startswith(prefix) and alias_of(element).removeprefix(prefix) not in names:
            devices.remove(element)


def owned(devices: Element, kind: Kind) -> Element:
    """Return our device, found by its alias, else by its natural key (an adopted one), else a new one."""
    elements = devices.findall(kind.tag)
    found = next((one for one in elements if alias_of(one) == ALIAS + kind.alias), None)
    if found is None:
        stale = [one for one in elements if not alias_of(one).startswith(ALIAS)]
        found = next((one for one in stale if (read_path(one, kind.key) or "").lower() == kind.value.lower()), None)
    if found is None:
        found = SubElement(devices, kind.tag, dict(kind.begin))
        write_path(found, kind.key, kind.value)
    if kind.has_alias:
        write_path(found, "alias@name", ALIAS + kind.alias)
    return found


def find_single(root: Element, kind: Kind, adopt: bool) -> Element | None:
    """Return our device of which a domain has at most one; ``adopt`` takes one of others by its natural key."""
    by_key = adopt or not kind.has_alias
    for one in root.iterfind(f"devices/{kind.tag}"):
        if alias_of(one) == ALIAS + kind.alias or (by_key and read_path(one, kind.key) == kind.value):
            return one
    return None


def drop(devices: Element, kind: Kind) -> None:
    """Remove a device of ours, if it is there."""
    for element in devices.findall(kind.tag):
        if alias_of(element) == ALIAS + kind.alias or (not kind.has_alias and read_path(element, kind.key) == kind.value):
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
