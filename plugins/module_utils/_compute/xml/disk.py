# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks ↔ libvirt XML. A disk that is there keeps all that its spec does not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from ..model.spec import Disk, DiskLimits, DomainSpec, NetworkSource
from .device import ALIAS, DISKS, find_devices, place_devices
from .properties import Property, from_yes, or_nothing, read_all, read_path, to_yes, write_all, write_path
from .remote_backing import read_remote, write_remote

SOURCES = {"file": "file", "block": "dev"}
DISK = (
    Property("device", "@device", absent="disk"),
    Property("format", "driver@type", absent="raw"),
    Property("cache", "driver@cache", absent="default"),
    Property("io", "driver@io"),
    Property("discard", "driver@discard"),
    Property("iothread", "driver@iothread", int),
    Property("queues", "driver@queues", int),
)
PLACE = (
    Property("target", "target@dev"),
    Property("bus", "target@bus", absent="virtio"),
    Property("serial", "serial"),
    Property("read_only", "readonly?"),
    Property("boot", "boot@order", int),
)
SOURCE = (
    Property("protocol", "source@protocol"),
    Property("name", "source@name", absent=""),
    Property("user", "source/auth@username"),
    Property("secret", "source/auth/secret@uuid"),
    Property("tls", "source@tls", from_yes, False, to_yes),
)
LIMITS = tuple(
    Property(f"{what}_{unit}", f"iotune/{what}_{unit}_sec", int, 0, or_nothing)
    for unit in ("bytes", "iops")
    for what in ("total", "read", "write")
)
OTHER = ("pool", "volume", "dir", "path", "dev", "type", "managed", "namespace")


def parse_disks(devices: Element, known: Mapping[str, tuple[str, str]]) -> tuple[tuple[Disk, ...], tuple[Disk, ...]]:
    """Return the disks that are ours and those of others, each in the order of their targets; ``known`` were taken over."""
    found = [(one.name, parse_disk(one.name, one.element, one.foreign)) for one in find_devices(devices, DISKS, known)]
    ours = [disk for name, disk in found if name]
    others = [disk for name, disk in found if not name]
    return tuple(sorted(ours, key=_target)), tuple(sorted(others, key=_target))


def read_file(element: Element) -> str | None:
    """Return the file or block device of a disk, or of a file below it; None where it has none of this host."""
    return read_path(element, "source@file") or read_path(element, "source@dev")


def write_file(element: Element, path: str, block: bool) -> None:
    """Give a disk a file, or with ``block`` a block device; the empty path takes it away."""
    kind = "block" if block else "file"
    element.set("type", kind)
    for other, attribute in SOURCES.items():
        write_path(element, f"source@{attribute}", (path or None) if other == kind else None)


def replace_file(element: Element, path: str, block: bool, image_format: str) -> None:
    """Have a ``disk`` element name another file of a format; the files below it are left out, for libvirt to find."""
    write_file(element, path, block)
    write_path(element, "driver@type", image_format)
    drop_backing(element)


def drop_backing(element: Element) -> None:
    """Leave the files below a disk's out of its ``disk`` element, for libvirt to find."""
    for below in element.findall("backingStore"):
        element.remove(below)


def _target(disk: Disk) -> str:
    return disk.target or ""


def parse_disk(name: str | None, element: Element, foreign: str | None = None) -> Disk:
    """Return the disk that an element is; its own file is not known here (see overlays.py)."""
    values = read_all(element, (*DISK, *PLACE))
    kind = element.get("type", "file")
    return Disk(
        name=name or values["target"] or "",
        **values,
        path=read_file(element) or "" if kind in SOURCES else "",
        block=kind == "block",
        source=_source(element),
        remote=read_remote(element),
        limits=DiskLimits(**read_all(element, LIMITS)),
        foreign=foreign,
        other=None if kind in ("file", "block", "network") else _other(kind, element),
    )


def _other(kind: str, element: Element) -> str:
    source = element.find("source")
    places = [] if source is None else [source.get(name) or "" for name in OTHER] + [_pci(source)]
    return " ".join([kind, *filter(None, places)])


def _pci(source: Element) -> str:
    address = source.find("address")
    return "" if address is None else " ".join(f"{name}={value}" for name, value in sorted(address.attrib.items()))


def _source(element: Element) -> NetworkSource | None:
    if element.get("type") != "network":
        return None
    hosts = tuple(_host_text(host) for host in element.iterfind("source/host"))
    values = read_all(element, SOURCE)
    usage = read_path(element, "source/auth/secret@usage")
    return NetworkSource(**{**values, "secret": values["secret"] or usage}, hosts=hosts)


def as_written(disk: Disk) -> Disk:
    """Return the disk as its XML has it: with the active file alone."""
    return replace(disk, path=disk.active, format=disk.active_format, block=disk.active_block, overlay=None)


def emit_disks(devices: Element, spec: DomainSpec, known: Mapping[str, tuple[str, str]]) -> bool:
    """Write the disks of ``spec``; of the others only those that were ours go. Return whether a place in the boot order changed."""
    placed = place_devices(devices, DISKS, known, spec.disks)
    reordered = [emit_disk(devices, disk, placed.get(disk.name)) for disk in sorted(spec.disks, key=lambda disk: disk.boot or 99)]
    if any(disk.bus == "scsi" for disk in spec.disks) and devices.find("controller[@type='scsi']") is None:
        SubElement(devices, "controller", {"type": "scsi", "index": "0", "model": "virtio-scsi"})
    return any(reordered)


def emit_disk(devices: Element, disk: Disk, element: Element | None) -> bool:
    """Write one disk, into the element that it has or a new one; return whether its place in the boot order changed."""
    disk, had = as_written(disk), None
    if element is None:
        element = SubElement(devices, "disk", {"type": "file", "device": disk.device})
        write_path(element, "target@dev", disk.target)
        write_path(element, "alias@name", f"{ALIAS}disk-{disk.name}")
        write_path(element, "driver@name", "qemu")
    else:
        had = parse_disk(disk.name, element, disk.foreign)
    then = asdict(had) if had else None
    write_all(element, DISK, asdict(disk), then)
    _emit_backing(element, disk, had)
    write_all(element, PLACE, asdict(disk), then)
    write_all(element, LIMITS, asdict(disk.limits), asdict(had.limits) if had else None)
    _end_bursts(element, disk, had)
    if had is None or had.remote != disk.remote or (had.path, had.source) != (disk.path, disk.source):
        write_remote(element, disk.remote)
    return disk.boot != (had.boot if had else None)


def _end_bursts(element: Element, disk: Disk, had: Disk | None) -> None:
    """Take out the burst that others allowed above a limit that goes, or is higher now: QEMU does not start with it."""
    for row in LIMITS if had else ():
        limit, burst_to = getattr(disk.limits, row.field), int(read_path(element, f"{row.path}_max") or 0)
        if limit != getattr(had and had.limits, row.field) and not 0 < limit <= burst_to:
            for burst in ("max", "max_length"):
                write_path(element, f"{row.path}_{burst}", None)


def _emit_backing(element: Element, disk: Disk, had: Disk | None) -> None:
    """Write what backs the disk, where that is not what backs it now."""
    if had is not None and (had.path, had.block, had.source, had.other) == (disk.path, disk.block, disk.source, disk.other):
        return
    kind = "network" if disk.source else "block" if disk.block else "file"
    if element.get("type") != kind or disk.source:
        for old in element.findall("auth"):
            element.remove(old)
        for old in element.findall("source"):
            old.clear()
    write_file(element, disk.path, disk.block)
    if disk.source:
        element.set("type", "network")
    elif not disk.path:
        write_path(element, "source", None)
    if disk.source:
        _emit_source(element, asdict(disk.source))


def _emit_source(element: Element, wanted: dict[str, Any]) -> None:
    write_all(element, SOURCE, wanted)
    write_path(element, "source/auth/secret@type", "ceph" if wanted["secret"] else None)
    source = element.find("source")
    for host in wanted["hosts"] if source is not None else ():
        SubElement(source, "host", _host_attributes(host))  # type: ignore[arg-type]


def _host_text(host: Element) -> str:
    """Return HOST:PORT, or HOST where the XML has no port; libvirt writes an IPv6 address without brackets."""
    if host.get("transport") == "unix":
        return f"unix:{host.get('socket')}"
    name, port = host.get("name", ""), host.get("port")
    name = f"[{name}]" if ":" in name else name
    return f"{name}:{port}" if port else name


def _host_attributes(text: str) -> dict[str, str]:
    name, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return {"name": text.strip("[]")}
    return {"name": name.strip("[]"), "port": port}
