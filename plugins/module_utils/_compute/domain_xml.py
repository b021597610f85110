# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domain spec ↔ libvirt domain XML, in both directions from the same tables.

Devices of ours carry an alias that begins with ``ua-edge-``: it is stable, libvirt keeps it, and a device without it belongs to
somebody else. What others put into the XML stays when a spec is emitted over it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from typing import Any
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from .namespaces import remember
from .remote_xml import read_remote, write_remote
from .spec import Cpu, Disk, DomainSpec, Nic, Record, record_from_json
from .xml_properties import Property, read_all, read_path, read_scaled, write_all, write_kib, write_path

NAMESPACE = "https://edge.cloud/xmlns/domain/1"
MARK = f"{{{NAMESPACE}}}spec"
ALIAS = "ua-edge-"

DOMAIN = (
    Property("virt_type", "@type"),
    Property("name", "name"),
    Property("uuid", "uuid"),
    Property("vcpus", "vcpu", int),
    Property("arch", "os/type@arch"),
    Property("machine", "os/type@machine", absent=""),
    Property("kernel", "os/kernel"),
    Property("initrd", "os/initrd"),
    Property("cmdline", "os/cmdline"),
)
CPU = (Property("mode", "@mode", absent="none"), Property("model", "model"))
DISK = (
    Property("format", "driver@type", absent="raw"),
    Property("cache", "driver@cache", absent="default"),
    Property("io", "driver@io"),
    Property("discard", "driver@discard"),
    Property("path", "source@file", absent=""),
    Property("target", "target@dev"),
    Property("bus", "target@bus", absent="virtio"),
    Property("serial", "serial"),
    Property("read_only", "readonly?"),
    Property("boot", "boot@order", int),
)
NIC = (
    Property("mac", "mac@address", str.lower),
    Property("network", "source@network"),
    Property("bridge", "source@bridge"),
    Property("model", "model@type", absent=""),
    Property("mtu", "mtu@size", int),
)


@dataclass(frozen=True)
class Kind:
    """A device: its tag, our alias for it, what tells it from others of its tag, and the attributes that a new one begins with."""

    tag: str
    alias: str
    key: str
    value: str
    begin: tuple[tuple[str, str], ...] = ()
    has_alias: bool = True


SERIAL = Kind("serial", "serial", "@type", "pty")
AGENT = Kind("channel", "agent", "target@name", "org.qemu.guest_agent.0", (("type", "unix"),))
RNG = Kind("rng", "rng", "@model", "virtio")
VNC = Kind("graphics", "vnc", "@type", "vnc", (("autoport", "yes"),), has_alias=False)
VIDEO = Kind("video", "video", "model@type", "vga")


@dataclass(frozen=True)
class Parsed:
    """What an XML says: our part of it, our mark if it is there, and the targets of disks that are not ours."""

    spec: DomainSpec
    record: Record | None
    marked: bool
    foreign_targets: frozenset[str] = frozenset()


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


def _alias(element: Element) -> str:
    return read_path(element, "alias@name") or ""


def _devices(root: Element, tag: str, kind: str, all_of_them: bool) -> Iterator[tuple[str | None, Element]]:
    """Yield (our name of it or None, device) for our devices of a kind, and with ``all_of_them`` for every other too."""
    for element in root.iterfind(f"devices/{tag}"):
        prefix = f"{ALIAS}{kind}-"
        if _alias(element).startswith(prefix):
            yield _alias(element).removeprefix(prefix), element
        elif all_of_them:
            yield None, element


def parse(root: Element, adopt: bool = False) -> Parsed:
    """Read a domain's XML; ``adopt`` takes devices without our alias as ours, named by their target."""
    mark = root.find(f"metadata/{MARK}")
    found = (_disk(name, element) for name, element in _devices(root, "disk", "disk", adopt) if _is_file(element))
    disks = tuple(sorted(found, key=lambda disk: disk.target))
    nics = tuple(
        _nic(name or f"nic{place}", element) for place, (name, element) in enumerate(_devices(root, "interface", "nic", adopt))
    )
    cpu = root.find("cpu")
    spec = DomainSpec(
        **read_all(root, DOMAIN),
        memory=read_scaled(root, "memory"),
        cpu=Cpu(**read_all(cpu, CPU)) if cpu is not None else Cpu("none"),
        disks=disks,
        nics=nics,
        console_log=_console_log(root),
        vnc=_has(root, VNC, adopt),
        agent=_has(root, AGENT, adopt),
        rng=_has(root, RNG, adopt),
    )
    ours = {disk.target for disk in disks}
    targets = {read_path(disk, "target@dev") or "" for disk in root.iterfind("devices/disk")}
    record = record_from_json(mark.text or "") if mark is not None else None
    return Parsed(spec, record, mark is not None, frozenset(targets - ours))


def _is_file(element: Element) -> bool:
    return element.get("type") == "file" and element.find("source") is not None


def _disk(name: str | None, element: Element) -> Disk:
    values = read_all(element, DISK)
    return Disk(name=name or values["target"], remote=read_remote(element), **values)


def _nic(name: str, element: Element) -> Nic:
    nic = Nic(name=name, **read_all(element, NIC))
    return replace(nic, bridge=None) if element.get("type") == "network" else nic


def _has(root: Element, kind: Kind, adopt: bool) -> bool:
    elements = root.findall(f"devices/{kind.tag}")
    by_key = adopt or not kind.has_alias
    return any(_alias(one) == ALIAS + kind.alias or (by_key and read_path(one, kind.key) == kind.value) for one in elements)


def _console_log(root: Element) -> str | None:
    serial = root.find("devices/serial")
    return None if serial is None else read_path(serial, "log@file")


def emit(spec: DomainSpec, record: Record | None = None, base: Element | None = None) -> Element:
    """Return the XML of ``spec``, over a copy of ``base`` where there is one, keeping all that others added to it."""
    root = parse_xml(ET.tostring(base, encoding="unicode")) if base is not None else _scaffold(spec)
    values: dict[str, Any] = asdict(spec)
    write_all(root, DOMAIN, values)
    write_path(root, "os/type", "hvm")
    write_kib(root, "memory", spec.memory)
    write_kib(root, "currentMemory", spec.memory)
    _emit_cpu(root, spec.cpu)
    devices = root.find("devices")
    if devices is None:
        devices = SubElement(root, "devices")
    _emit_disks(devices, spec)
    if any(disk.boot for disk in spec.disks):  # libvirt takes either an order of devices or one of kinds
        for boot in root.findall("os/boot"):
            root.find("os").remove(boot)  # type: ignore[union-attr]
    _emit_nics(devices, spec)
    _emit_singles(devices, spec)
    if record is not None:
        _emit_mark(root, record)
    return root


def _emit_mark(root: Element, record: Record) -> None:
    metadata = root.find("metadata")
    if metadata is None:
        metadata = SubElement(root, "metadata")
    for old in metadata.findall(MARK):
        metadata.remove(old)
    SubElement(metadata, MARK, {"hash": record.digest}).text = record.to_json()


def _emit_cpu(root: Element, cpu: Cpu) -> None:
    element = root.find("cpu")
    if element is not None and read_all(element, CPU) == asdict(cpu):
        return
    if element is not None:  # match, check and features belonged to the CPU that was
        root.remove(element)
    if cpu.mode != "none":
        write_all(SubElement(root, "cpu"), CPU, asdict(cpu))


def _emit_disks(devices: Element, spec: DomainSpec) -> None:
    wanted = {disk.name: disk for disk in spec.disks}
    _drop_strangers(devices, "disk", "disk", set(wanted))
    for disk in sorted(spec.disks, key=lambda disk: disk.boot or 99):
        kind = Kind("disk", f"disk-{disk.name}", "target@dev", disk.target, (("type", "file"), ("device", "disk")))
        element = _owned(devices, kind)
        write_path(element, "driver@name", "qemu")
        write_all(element, DISK, asdict(disk))
        write_remote(element, disk.remote)
    if any(disk.bus == "scsi" for disk in spec.disks) and devices.find("controller[@type='scsi']") is None:
        SubElement(devices, "controller", {"type": "scsi", "index": "0", "model": "virtio-scsi"})


def _emit_nics(devices: Element, spec: DomainSpec) -> None:
    _drop_strangers(devices, "interface", "nic", {nic.name for nic in spec.nics})
    for nic in spec.nics:
        kind = "network" if nic.network else "bridge"
        element = _owned(devices, Kind("interface", f"nic-{nic.name}", "mac@address", nic.mac, (("type", kind),)))
        if element.get("type") != kind or _nic(nic.name, element).network != nic.network:
            source = element.find("source")
            if source is not None:
                element.remove(source)
        element.set("type", kind)
        write_all(element, NIC, asdict(nic))

    _order_nics(devices, [f"{ALIAS}nic-{nic.name}" for nic in spec.nics])


def _order_nics(devices: Element, wanted: list[str]) -> None:
    """Bring our interfaces into the order of the spec, which libvirt keeps."""
    found = {_alias(one): one for one in devices.findall("interface") if _alias(one) in wanted}
    if list(found) != wanted:
        for alias in wanted:
            devices.remove(found[alias])
            devices.append(found[alias])


def _drop_strangers(devices: Element, tag: str, kind: str, names: set[str]) -> None:
    """Remove those of our devices of a kind that the spec does not name any more."""
    prefix = f"{ALIAS}{kind}-"
    for element in devices.findall(tag):
        if _alias(element).startswith(prefix) and _alias(element).removeprefix(prefix) not in names:
            devices.remove(element)


def _owned(devices: Element, kind: Kind) -> Element:
    """Return our device, found by its alias, else by its natural key (an adopted one), else a new one."""
    elements = devices.findall(kind.tag)
    found = next((one for one in elements if _alias(one) == ALIAS + kind.alias), None)
    if found is None:
        strangers = [one for one in elements if not _alias(one).startswith(ALIAS)]
        found = next((one for one in strangers if (read_path(one, kind.key) or "").lower() == kind.value.lower()), None)
    if found is None:
        found = SubElement(devices, kind.tag, dict(kind.begin))
        write_path(found, kind.key, kind.value)
    if kind.has_alias:
        write_path(found, "alias@name", ALIAS + kind.alias)
    return found


def _emit_singles(devices: Element, spec: DomainSpec) -> None:
    serial = _owned(devices, SERIAL)
    write_path(serial, "log@file", spec.console_log)
    write_path(serial, "log@append", "on" if spec.console_log else None)
    for console in devices.findall("console"):  # libvirt copies the serial port here; a stale copy would win
        if read_path(console, "target@type") == "serial":
            devices.remove(console)
    for wanted, kind, details in (
        (spec.agent, AGENT, {"target@type": "virtio"}),
        (spec.rng, RNG, {"backend": "/dev/urandom", "backend@model": "random"}),
        (spec.vnc, VNC, {"@listen": "127.0.0.1"}),
        (spec.vnc, VIDEO, {}),
    ):
        if wanted:
            element = _owned(devices, kind)
            for path, text in details.items():
                write_path(element, path, text)
        else:
            _drop(devices, kind)


def _drop(devices: Element, kind: Kind) -> None:
    for element in devices.findall(kind.tag):
        if _alias(element) == ALIAS + kind.alias or (not kind.has_alias and read_path(element, kind.key) == kind.value):
            devices.remove(element)


def _scaffold(spec: DomainSpec) -> Element:
    """Return what every new domain of ours begins with and what nobody asks about later."""
    root = Element("domain")
    x86 = spec.arch in ("x86_64", "i686")
    features = SubElement(root, "features")
    for feature in ("acpi", "apic") if x86 else ("acpi",):
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
    return root
