# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks ↔ libvirt XML."""

from __future__ import annotations

from dataclasses import asdict
from xml.etree.ElementTree import Element, SubElement

from ..model.spec import Disk, DiskLimits, DomainSpec, NetworkSource
from .device import Kind, drop_stale, our_devices, owned
from .properties import Property, from_yes, or_nothing, read_all, read_path, to_yes, write_all, write_path
from .remote_backing import read_remote, write_remote

PROTOCOLS = ("rbd", "nbd")
SOURCES = {"file": "file", "block": "dev"}
DRIVER = (
    Property("device", "@device", absent="disk"),
    Property("format", "driver@type", absent="raw"),
    Property("cache", "driver@cache", absent="default"),
    Property("io", "driver@io"),
    Property("discard", "driver@discard"),
    Property("iothread", "driver@iothread", int),
    Property("queues", "driver@queues", int),
)
DISK = (
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


def parse_disks(root: Element, adopt: bool) -> tuple[Disk, ...]:
    """Return the disks that are ours, in the order of their targets; ``adopt`` takes every one of a kind that we know."""
    found = (parse_disk(name, element) for name, element in our_devices(root, "disk", "disk", adopt) if _is_known(name, element))
    return tuple(sorted(found, key=lambda disk: disk.target))


def _is_known(name: str | None, element: Element) -> bool:
    source = element.find("source")
    if element.get("device", "disk") not in ("disk", "cdrom"):
        return False
    if element.get("type") == "network":
        return source is not None and source.get("protocol") in PROTOCOLS
    local = element.get("type") in SOURCES
    return local and (source is not None or (name is not None and element.get("device") == "cdrom"))


def read_file(element: Element) -> str | None:
    """Return the file or block device of a disk, or of a file below it; None where it has none of this host."""
    return read_path(element, "source@file") or read_path(element, "source@dev")


def write_file(element: Element, path: str, block: bool) -> None:
    """Give a disk a file, or with ``block`` a block device; the empty path takes it away."""
    kind = "block" if block else "file"
    element.set("type", kind)
    for other, attribute in SOURCES.items():
        write_path(element, f"source@{attribute}", (path or None) if other == kind else None)


def parse_disk(name: str | None, element: Element) -> Disk:
    """Return the disk that an element is; its own file is not known here (see overlays.py)."""
    values = read_all(element, (*DRIVER, *DISK))
    return Disk(
        name=name or values["target"],
        **values,
        path=read_file(element) or "",
        block=element.get("type") == "block",
        source=_source(element),
        remote=read_remote(element),
        limits=DiskLimits(**read_all(element, LIMITS)),
    )


def _source(element: Element) -> NetworkSource | None:
    if element.get("type") != "network":
        return None
    hosts = tuple(_host_text(host) for host in element.iterfind("source/host"))
    return NetworkSource(**read_all(element, SOURCE), hosts=hosts)


def emit_disks(devices: Element, spec: DomainSpec) -> None:
    """Write the disks of ``spec``; of the others only those that were ours go."""
    drop_stale(devices, "disk", "disk", {disk.name for disk in spec.disks})
    for disk in sorted(spec.disks, key=lambda disk: disk.boot or 99):
        emit_disk(devices, disk)
    if any(disk.bus == "scsi" for disk in spec.disks) and devices.find("controller[@type='scsi']") is None:
        SubElement(devices, "controller", {"type": "scsi", "index": "0", "model": "virtio-scsi"})


def emit_disk(devices: Element, disk: Disk) -> None:
    """Write one disk, over the element that it has."""
    begin = (("type", "file"), ("device", disk.device))
    element = owned(devices, Kind("disk", f"disk-{disk.name}", "target@dev", disk.target, begin))
    if _source(element) != disk.source:
        old = element.find("source")
        if old is not None:
            element.remove(old)
    values = {**asdict(disk), "format": disk.active_format}
    write_path(element, "driver@name", "qemu")
    write_all(element, DRIVER, values)
    write_file(element, disk.active, disk.active_block)
    if disk.source:
        element.set("type", "network")
    write_all(element, DISK, values)
    write_all(element, LIMITS, asdict(disk.limits))
    write_remote(element, disk.remote)
    if disk.source:
        _emit_source(element, disk.source)


def _emit_source(element: Element, wanted: NetworkSource) -> None:
    had = _source(element)
    write_all(element, SOURCE, asdict(wanted))
    write_path(element, "source/auth/secret@type", "ceph" if wanted.secret else None)
    source = element.find("source")
    if source is not None and (had is None or had.hosts != wanted.hosts):
        for old in source.findall("host"):
            source.remove(old)
        for host in wanted.hosts:
            SubElement(source, "host", _host_attributes(host))


def _host_text(host: Element) -> str:
    """Return HOST:PORT, or HOST where the XML has no port; libvirt writes an IPv6 address without brackets."""
    name, port = host.get("name", ""), host.get("port")
    name = f"[{name}]" if ":" in name else name
    return f"{name}:{port}" if port else name


def _host_attributes(text: str) -> dict[str, str]:
    name, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return {"name": text.strip("[]")}
    return {"name": name.strip("[]"), "port": port}
