# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces ↔ libvirt XML. One that is there keeps all that its spec does not change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from ..._sizes import KIB
from ..._taps import PREFIX as TAP
from ..._vlans import UNTAGGED, collapsed, expanded
from ..model.spec import DomainSpec, Nic
from .device import ALIAS, NICS, find_devices, place_devices, read_pci, write_pci
from .properties import Property, from_yes, read_all, to_yes, write_all, write_path


def _from_kib(text: str) -> int:
    return int(text) * KIB


def _to_kib(size: int | None) -> str | None:
    return None if size is None else str(size // KIB)


def _our_tap(text: str) -> str | None:
    return text if text.startswith(TAP) else None


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
    Property("tap", "target@dev", _our_tap),
    Property("isolated", "port@isolated", from_yes, False, to_yes),
)


PLACE = ("network", "bridge", "hostdev", "other")
OTHER = ("dev", "mode", "path", "address", "port", "wwpn", "switchid")
OF_A_NETWORK = ("source", "virtualport")
OF_A_PLACE = (*OF_A_NETWORK, "target", "backend", "local", "ip", "route", "portForward")
PLACES = tuple(row for row in NIC if row.field in PLACE)


def parse_nics(devices: Element, known: Mapping[str, tuple[str, str]]) -> tuple[tuple[Nic, ...], tuple[Nic, ...]]:
    """Return the interfaces that are ours and those of others, in their order; ``known`` were taken over."""
    found = list(find_devices(devices, NICS, known))
    ours = [parse_nic(one.name, one.element, one.foreign) for one in found if one.name]
    taken = {nic.name for nic in ours}
    others: list[Nic] = []
    for place, one in enumerate(found):
        if one.name is None:
            name = next(name for name in (f"nic{number}" for number in range(place, place + len(found) + 1)) if name not in taken)
            taken.add(name)
            others.append(parse_nic(name, one.element, one.foreign))
    return tuple(ours), tuple(others)


def parse_nic(name: str, element: Element, foreign: str | None = None) -> Nic:
    """Return the interface that an element is; a running one on a network has its bridge too, which we do not set."""
    nic = Nic(name=name, **{**(values := read_all(element, NIC)), "mac": values["mac"] or ""}, foreign=foreign)
    kind = element.get("type", "")
    if vlans := _read_trunk(element):
        nic = replace(nic, vlan=None, vlans=vlans)
    address = read_pci(element.find("source/address")) if kind == "hostdev" else None
    if address:
        return replace(nic, model=nic.model or "virtio", hostdev=address)
    if nic.network:
        return replace(nic, bridge=None)
    return nic if kind == "bridge" and nic.bridge else replace(nic, bridge=None, other=_other(kind, element))


def in_networks(nics: Iterable[Nic], records: Iterable[Sequence[Nic]]) -> tuple[Nic, ...]:
    """Return the interfaces with their virtual networks and leased addresses, which libvirt's XML does not name.

    The first record that has the interface on the bridge that it is on decides: on another one it is not where we put it. With
    another MAC address than that record says it has no lease.
    """
    known: dict[tuple[str, str | None, str | None], Nic] = {}
    for nic in (nic for one in records for nic in one):
        known.setdefault((nic.name, nic.bridge, nic.network), nic)

    def of(nic: Nic) -> Nic:
        found = known.get((nic.name, nic.bridge, nic.network), nic)
        return replace(
            nic,
            virtual_network=found.virtual_network,
            mtu_of_network=found.mtu_of_network,
            addresses=found.addresses if found.mac == nic.mac else (),
            public_address=found.public_address,
        )

    return tuple(map(of, nics))


def _other(kind: str, element: Element) -> str:
    source = element.find("source")
    places = [] if source is None else [source.get(name) or "" for name in OTHER]
    return " ".join([kind, *filter(None, places)])


def emit_nics(devices: Element, spec: DomainSpec, known: Mapping[str, tuple[str, str]]) -> bool:
    """Write the interfaces of ``spec``; of the others only those that were ours go. Return whether the boot order changed."""
    placed = place_devices(devices, NICS, known, spec.nics)
    reordered = [emit_nic(devices, nic, placed) for nic in spec.nics]
    _order_nics(devices, [placed[nic.name] for nic in spec.nics])
    return any(reordered)


def emit_nic(devices: Element, nic: Nic, placed: dict[str, Element]) -> bool:
    """Write one interface, into the element that it has (in ``placed``) or a new one; return whether it is booted elsewhere."""
    had = None
    if nic.name in placed:
        element = placed[nic.name]
        had = parse_nic(nic.name, element, nic.foreign)
    else:
        element = placed[nic.name] = SubElement(devices, "interface", {"type": _kind(nic)})
        write_path(element, "mac@address", nic.mac)
        write_path(element, "alias@name", f"{ALIAS}nic-{nic.name}")
    if had is not None and any(getattr(had, field) != getattr(nic, field) for field in PLACE):
        _clear_place(element, nic)
    if had is not None and (had.vlan, had.vlans) != (nic.vlan, nic.vlans):
        _remove_all(element, ("vlan",))  # a trunk of others, and its other tags, would be left
        had = replace(had, vlan=None, vlans=())
    write_all(element, NIC, _values(nic), _values(had) if had else None)
    if nic.vlans and element.find("vlan") is None:
        _write_trunk(element, nic.vlans)
    if nic.hostdev and element.find("source") is None:
        element.set("managed", "yes")
        write_pci(SubElement(SubElement(element, "source"), "address", {"type": "pci"}), nic.hostdev)
    return nic.boot != (had.boot if had else None)


def _read_trunk(element: Element) -> tuple[str, ...]:
    """Return the VLANs of a trunk as we write one; of others' only the first tag is known, as their VLAN."""
    trunk = element.find("vlan[@trunk='yes']")
    tags = [] if trunk is None else trunk.findall("tag")
    if not tags or (tags[0].get("id"), tags[0].get("nativeMode")) != (str(UNTAGGED), "untagged"):
        return ()
    return collapsed(dict.fromkeys((int(tag.get("id", "0")) for tag in tags[1:]), ""))


def _write_trunk(element: Element, vlans: tuple[str, ...]) -> None:
    """Write what the guest may tag. Frames without a tag pass, too: libvirt takes their VLAN from a trunk that does not name it."""
    trunk = SubElement(element, "vlan", {"trunk": "yes"})
    SubElement(trunk, "tag", {"id": str(UNTAGGED), "nativeMode": "untagged"})
    for number in expanded(vlans):
        SubElement(trunk, "tag", {"id": str(number)})


def _kind(nic: Nic) -> str:
    return "hostdev" if nic.hostdev else "network" if nic.network else "bridge"


def _values(nic: Nic) -> dict[str, Any]:
    return {**asdict(nic), "model": None if nic.hostdev else nic.model}


def _clear_place(element: Element, nic: Nic) -> None:
    """Take out what belonged to the place where the interface was, and write the new one; a bridge stays a bridge of its kind."""
    was, kind = element.get("type"), _kind(nic)
    tags = OF_A_PLACE if was != kind else {"network": OF_A_NETWORK, "bridge": ()}.get(kind, OF_A_PLACE)
    _remove_all(element, (*tags, "filterref") if kind == "hostdev" else tags)
    element.set("type", kind)
    write_all(element, PLACES, asdict(nic))


def _remove_all(element: Element, tags: Iterable[str]) -> None:
    for tag in tags:
        for old in element.findall(tag):
            element.remove(old)


def _order_nics(devices: Element, wanted: list[Element]) -> None:
    """Bring our interfaces into the order of the spec, which libvirt keeps."""
    ours = [element for element in devices.findall("interface") if any(element is one for one in wanted)]
    if any(one is not other for one, other in zip(ours, wanted, strict=True)):
        for element in wanted:
            devices.remove(element)
            devices.append(element)
