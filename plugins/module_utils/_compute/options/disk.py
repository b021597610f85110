# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the request to all of a disk that is not its file: device, remote source, I/O thread, queues, limits."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from ipaddress import IPv6Address
from typing import Any

from ..._errors import InvalidInput
from ..._sizes import parse_size
from ..model.architecture import architecture
from ..model.request import DiskOptions, DomainOptions, LimitOptions, SourceOptions
from ..model.spec import Disk, DiskLimits, DomainSpec, NetworkSource
from .values import choose, in_range, match

HOST = re.compile(r"(\[(?P<ipv6>[0-9a-fA-F:.]+)\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")
HOST_SAYS = "HOST:PORT, an IPv6 address in brackets, such as [2001:db8::7]:6789"
RBD_NAME = re.compile(r"[^\x00-\x20/]+(/[^\x00-\x20/]+){1,2}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def with_bus(item: DiskOptions, old: Disk | None, arch: str) -> DiskOptions:
    """Return the item with the bus of a new CD drive, which guests expect on SATA or, of other architectures, on SCSI."""
    return replace(item, bus=architecture(arch).cdrom) if old is None and item.device == "cdrom" and not item.bus else item


def has_own_source(item: DiskOptions) -> bool:
    """Return whether a new disk needs no file of ours: its data is elsewhere, or it is a drive that may be empty."""
    return item.source is not None or item.device == "cdrom"


def with_details(disk: Disk, item: DiskOptions, old: Disk | None) -> Disk:
    """Return the disk with what is asked of it beyond its file."""
    where = item.where
    device = choose(item.device, old and old.device, "disk")
    if old and old.device != device:
        name = f"{where}.device"
        raise InvalidInput(f"{name}: {disk.name} is a {old.device}; name another disk.", option=name, value=device)
    disk = replace(
        disk,
        device=device,
        iothread=choose(in_range(item.iothread, 1, 64, f"{where}.iothread"), old and old.iothread, None),
        queues=choose(in_range(item.queues, 1, 256, f"{where}.queues"), old and old.queues, None),
        limits=_limits(item.limits, old, f"{where}.limits"),
    )
    if device == "cdrom":
        disk = _drive(disk, item, old)
    if item.source:
        return replace(disk.own, path="", format="raw", block=False, source=_source(item, item.source), other=None)
    if item.path is not None or item.image or item.size:
        return replace(disk, source=None, other=None)
    form = disk.format if old and old.foreign else "raw"
    return replace(disk.own, path="", format=form, block=False) if disk.source else disk


def _drive(disk: Disk, item: DiskOptions, old: Disk | None) -> Disk:
    """Return a CD drive: read-only, with what was put in; the empty path takes it out."""
    if old is None:
        disk = replace(disk, read_only=True, discard=None)
    path = choose(item.path, old and old.path, "")
    return disk if path else replace(disk.own, path="", format="raw", block=False)


def _source(item: DiskOptions, source: SourceOptions) -> NetworkSource:
    where, hosts = item.where, source.hosts
    for other in ("image", "size", "path"):
        if getattr(item, other):
            raise InvalidInput(f"{where}.source: it takes no {other}.", option=f"{where}.source")
    if source.protocol == "rbd":
        match(RBD_NAME, source.name, f"{where}.source.name", "a pool and an image, such as vms/web")
        if source.tls:
            raise InvalidInput(
                f"{where}.source.tls: rbd has none; Ceph encrypts by its own settings.", option=f"{where}.source.tls"
            )
    elif source.user or source.secret:
        raise InvalidInput(f"{where}.source.user: nbd has no users; use tls.", option=f"{where}.source.user")
    for place, host in enumerate(hosts):
        _check_host(host, f"{where}.source.hosts[{place}]")
    if source.protocol == "nbd" and len(hosts) != 1:
        raise InvalidInput(f"{where}.source.hosts: nbd needs one HOST:PORT, found {len(hosts)}.", option=f"{where}.source.hosts")
    if bool(source.user) != bool(source.secret):
        raise InvalidInput(f"{where}.source.secret: user and secret go together.", option=f"{where}.source.secret")
    if source.secret:
        match(UUID, source.secret.lower(), f"{where}.source.secret", "the UUID of a libvirt secret")
    return NetworkSource(source.protocol, source.name, hosts, source.user, source.secret, source.tls)


def _check_host(host: str, where: str) -> None:
    """Raise where it is not HOST:PORT, with a host and a port that can be."""
    parts = HOST.fullmatch(host)
    try:
        if parts and parts["ipv6"]:
            IPv6Address(parts["ipv6"])
    except ValueError:
        parts = None
    if parts is None or not 0 < int(parts["port"]) < 65536:
        raise InvalidInput(f"{where}: {host!r} is not valid; it must be {HOST_SAYS}.", option=where, value=host)


def _limits(asked: LimitOptions | None, old: Disk | None, where: str) -> DiskLimits:
    if asked is None:
        return old.limits if old else DiskLimits()
    values: dict[str, int] = {}
    for field in fields(DiskLimits):
        value: Any = getattr(asked, field.name) or 0
        values[field.name] = parse_size(value, f"{where}.{field.name}") if field.name.endswith("bytes") and value else int(value)
        in_range(values[field.name], 0, 2**62, f"{where}.{field.name}")
    for unit in ("bytes", "iops"):
        for way in ("read", "write"):
            if values[f"total_{unit}"] and values[f"{way}_{unit}"]:
                name = f"{where}.total_{unit}"
                raise InvalidInput(f"{name}: it goes without {way}_{unit}.", option=name, value=values[f"total_{unit}"])
    return DiskLimits(**values)


def check_disks_together(spec: DomainSpec, before: DomainSpec | None, options: DomainOptions) -> None:
    """Raise where a disk does not fit its domain; what is there already and was not asked for stays as it is."""
    asked = {item.name for item in options.disks or () if item.iothread or item.queues}
    fewer = before is not None and spec.iothreads < before.iothreads
    for disk in spec.disks:
        if disk.name not in asked and not fewer:
            continue
        where = options.disk_path(disk.name)
        if disk.iothread and disk.iothread > spec.iothreads:
            raise InvalidInput(
                f"{where}.iothread: {disk.iothread} is more than iothreads ({spec.iothreads}).",
                option=f"{where}.iothread",
                value=disk.iothread,
            )
        for field in ("iothread", "queues"):
            if getattr(disk, field) and disk.bus != "virtio":
                name = f"{where}.{field}"
                raise InvalidInput(f"{name}: it needs bus virtio, not {disk.bus}.", option=name, value=getattr(disk, field))
