# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domain spec ↔ libvirt domain XML, in both directions from the same tables.

What is ours has an alias of ours (``device``); what others put into the XML stays when a spec is emitted over it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from ..._namespaces import remember
from ..model.architecture import architecture
from ..model.elsewhere import Arrival
from ..model.spec import DomainSpec, Foreign, Record, record_from_json
from .about import emit_about, parse_about
from .arrival import read_arrival
from .cpu_features import emit_features, parse_features
from .device import ALIAS, free_ports, recorded
from .disk import as_written, emit_disks, parse_disks
from .display import emit_display, parse_display, read_vnc_password
from .fixed_devices import emit_singles, parse_singles
from .interface import emit_nics, in_networks, parse_nics
from .machine import emit_machine, emit_shared_memory, parse_machine
from .override import Was, copy_of, merge, note_replaced, parse_override, replaced_of, revealed, unmerge, without_override
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
    """What an XML has: our part of it, our mark if it is there, and devices that others made and no option has named.

    ``free_ports`` is how many devices can be plugged in while it runs, None where that is not limited.
    """

    spec: DomainSpec
    record: Record | None
    marked: bool
    foreign: Foreign
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
    if record is None:
        return None
    override = record.spec.xml_override and revealed(record.spec.xml_override, root)
    password = read_vnc_password(without_override(root, override)) if record.spec.vnc else None
    return replace(record, spec=replace(record.spec, xml_override=override, vnc_password=password))


def parse(root: Element, known: Record | None = None) -> Parsed:
    """Read a domain's XML. Devices are ours by our alias, or by the record: its own and ``known``, that of its configuration.

    The override is that of the record: in the XML it looks like what others wrote. The rest is as it would be without it.
    """
    record = mark_of(root)
    records = [one.spec for one in (record, known) if one]
    full, root = root, without_override(root, record.spec.xml_override if record else None)
    devices = _devices(root)
    disks, other_disks = parse_disks(devices, _merged(recorded(spec.disks) for spec in records))
    nics, other_nics = parse_nics(devices, _merged(recorded(spec.nics) for spec in records))
    nics = in_networks(nics, [spec.nics for spec in reversed(records)])
    if full is not root:  # what the override adds is not ours, and there
        _ours, other_disks = parse_disks(_devices(full), _merged(recorded(spec.disks) for spec in records))
    spec = DomainSpec(
        **read_all(root, DOMAIN),
        **parse_machine(root),
        **parse_singles(devices, records[-1] if records else None),
        **parse_display(root),
        **parse_about(root),
        cpu_features=parse_features(root),
        disks=disks,
        nics=nics,
        xml_override=record.spec.xml_override if record else None,
    )
    marked = root.find(f"metadata/{MARK}") is not None
    taken_over = record.taken_over if record else not marked
    foreign = Foreign(other_disks, other_nics, taken_over, record.ordered if record else ())
    return Parsed(spec, record, marked, foreign, free_ports(full), read_arrival(root))


def _devices(root: Element) -> Element:
    found = root.find("devices")
    return Element("devices") if found is None else found


def _merged(known: Iterable[dict[str, tuple[str, str]]]) -> dict[str, tuple[str, str]]:
    return {key: value for one in known for key, value in one.items()}


def emit(spec: DomainSpec, record: Record | None = None, base: Element | None = None) -> Element:
    """Return the XML of ``spec``. Over a copy of ``base``, where there is one, only what differs from what it has is written.

    So all that others wrote stays, and what ``spec`` only repeats is not touched.
    """
    root = parse_xml(ET.tostring(base, encoding="unicode")) if base is not None else _scaffold(spec)
    had = parse(root).spec if base is not None else None
    spec = replace(spec, disks=tuple(map(as_written, spec.disks)))
    was = replaced_of(root)
    if had != spec:
        was = _emit_over(root, spec, had, record)
    if record is not None:
        _emit_mark(root, record)
        note_replaced(root, was if spec.xml_override else None)
    if spec.xml_override:
        merge(root, parse_override(spec.xml_override))
    return root


def _emit_over(root: Element, spec: DomainSpec, had: DomainSpec | None, record: Record | None) -> Was | None:
    """Write what differs, and return what the override of ``spec`` replaces; one that stays keeps its devices where they are."""
    old = mark_of(root)
    text, wanted = old.spec.xml_override if old else None, spec.xml_override
    plain = without_override(root, text)
    if text and text != wanted:
        unmerge(root, parse_override(text), replaced_of(root))
        note_replaced(root, None)
        had = parse(root).spec
    elif plain is not root:
        _emit_changes(plain, spec, had, old, record or old)
    _emit_changes(root, spec, had, old, record or old)
    if not wanted or (text == wanted and plain is root):
        return None
    return merge(plain if text == wanted else copy_of(root), parse_override(wanted))


def _emit_changes(root: Element, spec: DomainSpec, had: DomainSpec | None, old: Record | None, record: Record | None) -> None:
    write_all(root, DOMAIN, asdict(spec), asdict(had) if had else None)
    if had is None:
        write_path(root, "os/type", "hvm")
    emit_machine(root, spec, had)
    emit_features(root, spec.cpu_features)
    devices = root.find("devices")
    if devices is None:
        devices = SubElement(root, "devices")
    reordered = emit_disks(devices, spec, recorded(old.spec.disks) if old else {})
    reordered |= emit_nics(devices, spec, recorded(old.spec.nics) if old else {})
    if reordered and any([*(disk.boot for disk in spec.disks), *(nic.boot for nic in spec.nics)]):
        _clear_boot(root, spec)
    emit_shared_memory(root, spec, had, keep=bool(record and record.taken_over))
    emit_singles(devices, spec, had)
    emit_display(root, devices, spec, had)
    emit_about(root, spec)


def _clear_boot(root: Element, spec: DomainSpec) -> None:
    """Take out the order of kinds, which libvirt does not have beside one of devices, and that of devices of others."""
    places = {disk.target: disk.boot for disk in spec.disks} | {nic.mac: nic.boot for nic in spec.nics}
    for parent in [*root.findall("os"), *root.findall("devices/*")]:
        name = read_path(parent, "target@dev") if parent.tag == "disk" else (read_path(parent, "mac@address") or "").lower()
        for boot in parent.findall("boot") if not places.get(name or "") else ():
            parent.remove(boot)


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
