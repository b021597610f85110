# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domain spec ↔ libvirt domain XML, in both directions from the same tables.

What is ours has an alias of ours (``device``); what others put into the XML stays when a spec is emitted over it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from io import BytesIO
from typing import Any
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from ..._namespaces import remember
from ..model.architecture import architecture
from ..model.elsewhere import Arrival
from ..model.spec import DomainSpec, Record, record_from_json
from .about import emit_about, parse_about
from .arrival import read_arrival
from .cpu_features import emit_features, parse_features
from .device import ALIAS, free_ports
from .disk import emit_disks, parse_disks
from .display import emit_display, parse_display
from .fixed_devices import emit_singles, parse_singles
from .interface import emit_nics, parse_nics
from .machine import emit_machine, emit_shared_memory, parse_machine
from .override import merge, note_replaced, parse_override, replaced_of, revealed, unmerge, without_override
from .properties import Property, read_all, read_path, write_all, write_path

__all__ = ["ALIAS", "MARK", "NAMESPACE", "Parsed", "emit", "mark_element", "mark_of", "parse", "parse_xml", "to_text"]

NAMESPACE = "https://edge.cloud/xmlns/domain/1"
MARK = f"{{{NAMESPACE}}}spec"
PORTS = 14  # what virt-install gives; libvirt adds more where the devices of the start need them

DOMAIN = (
    Property("virt_type", "@type"),
    Property("name", "name"),
    Property("uuid", "uuid"),
    Property("arch", "os/type@arch"),
    Property("machine", "os/type@machine", absent=""),
    Property("kernel", "os/kernel"),
    Property("initrd", "os/initrd"),
    Property("cmdline", "os/cmdline"),
)


@dataclass(frozen=True)
class Parsed:
    """What an XML has: our part of it, our mark if it is there, and the targets of disks that are not ours.

    ``free_ports`` is how many devices can be plugged in while it runs, None where that is not limited.
    """

    spec: DomainSpec
    record: Record | None
    marked: bool
    foreign_targets: frozenset[str] = frozenset()
    free_ports: int | None = None
    arrival: Arrival | None = None


def parse_xml(text: str) -> Element:
    """Return the tree; prefixes of foreign namespaces are remembered, so that writing it again keeps them."""
    for _event, (prefix, uri) in ET.iterparse(BytesIO(text.encode()), events=("start-ns",)):  # noqa: S314 - libvirt's own answer
        if prefix:
            remember(prefix, uri)
    return ET.fromstring(text)  # noqa: S314 - libvirt's own answer


def to_text(root: Element) -> str:
    """Return the tree as indented text; text and attributes keep their bytes."""
    remember("edge", NAMESPACE)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def mark_of(root: Element) -> Record | None:
    """Return the record in the metadata with the passwords of the domain, None where there is none that can be read."""
    mark = root.find(f"metadata/{MARK}")
    record = record_from_json(mark.text or "") if mark is not None else None
    if record is None or not record.spec.xml_override:
        return record
    return replace(record, spec=replace(record.spec, xml_override=revealed(record.spec.xml_override, root)))


def parse(root: Element, adopt: bool = False) -> Parsed:
    """Read a domain's XML; ``adopt`` takes devices without our alias as ours, named by their target.

    The override is that of the record: in the XML it looks like what others wrote. The rest is as it would be without it.
    """
    record = mark_of(root)
    root = without_override(root, record.spec.xml_override if record else None)
    disks = parse_disks(root, adopt)
    spec = DomainSpec(
        **read_all(root, DOMAIN),
        **parse_machine(root),
        **parse_singles(root, adopt),
        **parse_display(root),
        **parse_about(root),
        cpu_features=parse_features(root),
        disks=disks,
        nics=parse_nics(root, adopt),
        xml_override=record.spec.xml_override if record else None,
    )
    ours = {disk.target for disk in disks}
    targets = {read_path(disk, "target@dev") or "" for disk in root.iterfind("devices/disk")}
    marked = root.find(f"metadata/{MARK}") is not None
    return Parsed(spec, record, marked, frozenset(targets - ours), free_ports(root), read_arrival(root))


def emit(spec: DomainSpec, record: Record | None = None, base: Element | None = None) -> Element:
    """Return the XML of ``spec``, over a copy of ``base`` where there is one, keeping all that others added to it."""
    root = parse_xml(ET.tostring(base, encoding="unicode")) if base is not None else _scaffold(spec)
    override = spec.xml_override
    new = _take_old_override(root, override)
    values: dict[str, Any] = asdict(spec)
    write_all(root, DOMAIN, values)
    write_path(root, "os/type", "hvm")
    emit_machine(root, spec)
    emit_features(root, spec.cpu_features)
    devices = root.find("devices")
    if devices is None:
        devices = SubElement(root, "devices")
    emit_disks(devices, spec)
    emit_nics(devices, spec)
    if any(
        [*(disk.boot for disk in spec.disks), *(nic.boot for nic in spec.nics)]
    ):  # libvirt takes either an order of devices or one of kinds
        for boot in root.findall("os/boot"):
            root.find("os").remove(boot)  # type: ignore[union-attr]
    emit_shared_memory(root, bool(spec.filesystems), devices.find("filesystem") is not None)
    emit_singles(devices, spec)
    emit_display(root, devices, spec)
    emit_about(root, spec)
    if record is not None:
        _emit_mark(root, record)
    if override:
        was = merge(root, parse_override(override))
        if new and record is not None:
            note_replaced(root, was)
    return root


def _take_old_override(root: Element, wanted: str | None) -> bool:
    """Take out an override that is not wanted any more, and return whether the wanted one is not there yet."""
    old = mark_of(root)
    had = old.spec.xml_override if old else None
    if had and had != wanted:
        unmerge(root, parse_override(had), replaced_of(root))
        note_replaced(root, None)
    return had != wanted


def _emit_mark(root: Element, record: Record) -> None:
    metadata = root.find("metadata")
    if metadata is None:
        metadata = SubElement(root, "metadata")
    for old in metadata.findall(MARK):
        metadata.remove(old)
    metadata.append(mark_element(record))


def mark_element(record: Record) -> Element:
    """Return our mark: what was asked for and its SHA-256."""
    element = Element(MARK, {"hash": record.digest})
    element.text = record.to_json()
    return element


def _scaffold(spec: DomainSpec) -> Element:
    """Return what every new domain of ours begins with and no option changes."""
    root = Element("domain")
    x86 = spec.arch in ("x86_64", "i686")
    features = SubElement(root, "features")
    acpi = architecture(spec.arch).acpi
    for feature, wanted in (("acpi", acpi in ("always", spec.firmware)), ("apic", x86)):
        if wanted:
            SubElement(features, feature)
    clock = SubElement(root, "clock", {"offset": "utc"})
    if x86:
        SubElement(clock, "timer", {"name": "rtc", "tickpolicy": "catchup"})
        SubElement(clock, "timer", {"name": "pit", "tickpolicy": "delay"})
        SubElement(clock, "timer", {"name": "hpet", "present": "no"})
    for event, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "restart")):
        SubElement(root, event).text = action
    devices = SubElement(root, "devices")
    SubElement(devices, "controller", {"type": "usb", "model": "none"})
    SubElement(devices, "memballoon", {"model": "virtio"})
    if "q35" in spec.machine or spec.machine.startswith("virt"):
        for port in range(1, PORTS + 1):  # PCI Express takes a device into a port, and ports cannot be added to a running guest
            SubElement(devices, "controller", {"type": "pci", "index": str(port), "model": "pcie-root-port"})
    return root
