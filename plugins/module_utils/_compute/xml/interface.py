# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces ↔ libvirt XML."""

from __future__ import annotations

from dataclasses import asdict, replace
from xml.etree.ElementTree import Element, SubElement

from ..._sizes import KIB
from ..model.spec import DomainSpec, Nic
from .device import ALIAS, Kind, alias_of, drop_stale, our_devices, owned, read_pci, write_pci
from .properties import Property, read_all, write_all


def _from_kib(text: str) -> int:
    return int(text) * KIB


def _to_kib(size: int | None) -> str | None:
    return None if size is None else str(size // KIB)


NIC = (
    Property("mac", "mac@address", str.lower),
    Property("network", "source@network"),
    Property("bridge", "source@bridge"),
    Property("model", "model@type", absent=""),
    Property("queues", "driver@queues", int),
    Property("mtu", "mtu@size", int),
    Property("link", "link@state", lambda state: state != "down", True, lambda up: None if up else "down"),
    Property("inbound", "bandwidth/inbound@average", _from_kib, None, _to_kib),
    Property("outbound", "bandwidth/outbound@average", _from_kib, None, _to_kib),
    Property("boot", "boot@order", int),
    Property("vlan", "vlan/tag@id", int),
)


def parse_nics(root: Element, adopt: bool) -> tuple[Nic, ...]:
    """Return the interfaces that are ours, in their order; ``adopt`` takes all."""
    found = enumerate(our_devices(root, "interface", "nic", adopt))
    return tuple(parse_nic(name or f"nic{place}", element) for place, (name, element) in found)


def parse_nic(name: str, element: Element) -> Nic:
    """Return the interface that an element is; a running one on a network has its bridge too, which we do not set."""
    nic = Nic(name=name, **read_all(element, NIC))
    if element.get("type") == "hostdev":
        return replace(nic, model=nic.model or "virtio", hostdev=read_pci(element.find("source/address")))
    return replace(nic, bridge=None) if element.get("type") == "network" else nic


def emit_nics(devices: Element, spec: DomainSpec) -> None:
    """Write the interfaces of ``spec``; of the others only those that were ours go."""
    drop_stale(devices, "interface", "nic", {nic.name for nic in spec.nics})
    for nic in spec.nics:
        emit_nic(devices, nic)
    _order_nics(devices, [f"{ALIAS}nic-{nic.name}" for nic in spec.nics])


def emit_nic(devices: Element, nic: Nic) -> None:
    """Write one interface, over the element that it has."""
    kind = "hostdev" if nic.hostdev else "network" if nic.network else "bridge"
    element = owned(devices, Kind("interface", f"nic-{nic.name}", "mac@address", nic.mac, (("type", kind),)))
    had = parse_nic(nic.name, element)
    if element.get("type") != kind or had.network != nic.network or had.hostdev != nic.hostdev:
        source = element.find("source")
        if source is not None:
            element.remove(source)
    element.set("type", kind)
    write_all(element, NIC, asdict(nic) if not nic.hostdev else {**asdict(nic), "model": None})
    if nic.hostdev and element.find("source") is None:
        element.set("managed", "yes")
        write_pci(SubElement(SubElement(element, "source"), "address", {"type": "pci"}), nic.hostdev)


def _order_nics(devices: Element, wanted: list[str]) -> None:
    """Bring our interfaces into the order of the spec, which libvirt keeps."""
    found = {alias_of(one): one for one in devices.findall("interface") if alias_of(one) in wanted}
    if list(found) != wanted:
        for alias in wanted:
            devices.remove(found[alias])
            devices.append(found[alias])
