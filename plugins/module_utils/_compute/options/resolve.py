# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the request to a DomainSpec without open questions: rules of each value, and an expert's defaults.

What the user left out keeps its value in a domain that exists, and has the default in a new one. Errors begin with the path of
the bad item, such as ``disks[1].size``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, product
from string import ascii_lowercase

from ..._errors import InvalidInput
from ..._sizes import disk_size
from ..model.host_facts import HostFacts
from ..model.overlays import made_format
from ..model.remote_image import on_server
from ..model.request import DiskOptions, DomainOptions
from ..model.spec import CONTEXT, NOTHING_FOREIGN, SEED, Disk, DomainSpec, Foreign, Nic, Volume
from .about import about_fields
from .cpu_features import cpu_features
from .disk import check_disks_together, has_own_source, with_bus, with_details
from .display import display_fields, vnc_fields
from .interface import boot_order, chosen_order, nics_of
from .machine import (
    check_together,
    cpu_of,
    device_fields,
    firmware_fields,
    kernel_fields,
    machine_of,
    size_fields,
    tuning_fields,
    uuid_of,
)
from .made import own_path
from .preallocation import check_preallocation, preallocates
from .startable import check_startable
from .takeover import booted_ones, check_taken_disk, claimed_disks, ordered_ones, with_booted, with_claimed, with_kept
from .values import DEVICE_NAME, DEVICE_NAME_SAYS, PCI, check_name, choose, match, unique

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TARGET = re.compile(r"(vd|sd|hd)[a-z]{1,2}")
PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}
SEED_TARGET = "vdz"
CONTEXT_TARGET = "vdy"
KEPT = ("format", "bus", "discard", "serial", "read_only")


@dataclass(frozen=True)
class ResolvedDomain:
    """What a domain is to be: its spec, the files behind its disks, and what only the boot order took over (see ``Record``)."""

    spec: DomainSpec
    volumes: tuple[Volume, ...] = ()
    ordered: tuple[str, ...] = ()


def asked_images(options: DomainOptions) -> tuple[str, ...]:
    """Return the digests that the options name, each checked."""
    return tuple(
        match(DIGEST, disk.image, f"{disk.where}.image", "sha256: and 64 hexadecimal digits")
        for disk in options.disks or ()
        if disk.image
    )


def asked_servers(options: DomainOptions) -> tuple[str, ...]:
    """Return the NBD servers of replicas that images may be read from until they are here, each checked."""
    for place, server in enumerate(options.image_servers):
        on_server(server, "", f"image_servers[{place}]")
    return options.image_servers


def asked_paths(options: DomainOptions) -> tuple[str, ...]:
    """Return the paths of files that must be there already, those by which the kernel shows PCI devices too."""
    paths = [options.kernel, options.initrd, *(disk.path for disk in options.disks or ())]
    paths += [one.path for one in options.filesystems or ()]
    paths += map(pci_path, asked_functions(options))
    return tuple(path for path in paths if path)


def asked_functions(options: DomainOptions) -> tuple[str, ...]:
    """Return the addresses of PCI functions that the options name and that can be some."""
    functions = [*(options.pci_devices or ()), *(nic.hostdev for nic in options.nics or ())]
    return tuple(address.lower() for address in functions if address and PCI.fullmatch(address.lower()))


def pci_path(address: str) -> str:
    """Return where the kernel shows a PCI device."""
    return f"/sys/bus/pci/devices/{address.lower()}"


def resolve(
    options: DomainOptions,
    before: DomainSpec | None,
    volumes: Sequence[Volume],
    host: HostFacts,
    foreign: Foreign = NOTHING_FOREIGN,
) -> ResolvedDomain:
    """Merge the request over what the domain is (``before``, ``volumes``), on this host; what was not asked is not checked.

    Devices of others (``foreign``) that the options name become ours. Raises InvalidInput.
    """
    name = check_name(options.name)
    virt_type = choose(options.virt_type, before and before.virt_type, host.virt_types[0] if host.virt_types else "qemu")
    arch = choose(options.arch, before and before.arch, host.arch)
    machine = machine_of(options.machine, before, arch, host)
    disks, nics = _devices(options, before, host, name, foreign)
    devices = device_fields(options, before)
    spec = DomainSpec(
        name=name,
        uuid=uuid_of(options, before, name),
        virt_type=virt_type,
        arch=arch,
        machine=machine,
        cpu=cpu_of(options.cpu, before, virt_type, arch),
        **kernel_fields(options, before),
        disks=disks,
        nics=nics,
        console_log=_console_log(options.console_log, before, host.folders.vm(name)),
        **size_fields(options, before),
        **tuning_fields(options, before),
        **firmware_fields(options, before, host.folders.vm(name), arch),
        **devices,
        **about_fields(options, before),
        cpu_features=cpu_features(options.cpu, before),
        **display_fields(options, before, arch, bool(devices["vnc"] or devices["spice"])),
        **vnc_fields(options, before, devices),
    )
    if before is None or replace(spec, disks=(), nics=()) != replace(before, disks=(), nics=()):
        check_together(spec, before)
    check_disks_together(spec, before, options)
    check_startable(spec, with_claimed(before, spec, foreign), options)
    kept = tuple(volumes)
    if options.disks is not None:
        kept = (*_volumes(options.disks, spec, volumes, host), *_unnamed(options.disks, spec, volumes, foreign))
    return ResolvedDomain(spec, kept, ordered_ones(options, spec, foreign))


def _devices(
    options: DomainOptions, before: DomainSpec | None, host: HostFacts, name: str, foreign: Foreign
) -> tuple[tuple[Disk, ...], tuple[Nic, ...]]:
    """Return disks and interfaces with their place in the boot order: the first disk is booted, unless boot_order names others.

    A domain that others made is booted as it was until boot_order says otherwise.
    """
    disks = _disks(options, before, host, name, foreign)
    nics = nics_of(options, before, foreign, uuid_of(options, before, name), host.virtual_networks)
    if options.nics is not None and before is not None:
        nics = with_kept(nics, booted_ones(options, options.nics, before.nics, foreign), before.nics)
    disks, nics = with_booted(options.boot_order, disks, nics, foreign)
    if options.boot_order is None and (foreign.taken_over or (options.disks is None and options.nics is None)):
        return disks, nics
    names = [disk.name for disk in disks if disk.boot] if options.disks is None else [item.name for item in options.disks]
    first = next(iter(names), None)
    return boot_order(options.boot_order, chosen_order(before, foreign.ordered), disks, nics, first)


def _console_log(asked: bool | None, before: DomainSpec | None, folder: str) -> str | None:
    if asked is None and before:
        return before.console_log
    return f"{folder}/console.log" if asked in (None, True) else None


def _disks(options: DomainOptions, before: DomainSpec | None, host: HostFacts, name: str, foreign: Foreign) -> tuple[Disk, ...]:
    had = {disk.name: disk for disk in before.disks} if before else {}
    arch = choose(options.arch, before and before.arch, host.arch)
    asked = [with_bus(item, had.get(item.name), arch) for item in options.disks or ()]
    had.update(claimed_disks(asked, had, foreign))
    others = foreign.targets - {disk.target for disk in had.values()}
    booted = booted_ones(options, asked, had.values(), foreign) if options.disks is not None else ()
    named = {item.name for item in asked} | {disk.name for disk in booted}
    taken = _check_disks(asked, had, others) | others
    kept = {disk.target for disk in had.values() if options.disks is None or disk.name in named}
    seed = _seed_disks(options, had, host, name, taken | kept)
    if options.disks is None:
        return tuple(sorted({**had, **{disk.name: disk for disk in seed}}.values(), key=lambda disk: disk.target))
    taken |= {disk.target for disk in seed}
    disks: list[Disk] = []
    for item in asked:
        old = had.get(item.name)
        target = item.target or _target(item, old, taken, kept)
        taken.add(target)
        disks.append(with_details(_disk(item, old, target, host, name), item, old))
    return tuple(sorted((*disks, *booted, *seed), key=lambda disk: disk.target))


def _check_disks(asked: Sequence[DiskOptions], had: Mapping[str, Disk], others: Collection[str]) -> set[str]:
    """Raise where what is asked of the disks cannot be, whatever the domain is; return the targets that they name."""
    for item in asked:
        _check_disk(item, had.get(item.name))
        check_taken_disk(item, had.get(item.name))
    unique((f"{item.where}.name", item.name) for item in asked)
    unique((f"{item.where}.target", item.target) for item in asked if item.target)
    given = {item.target: f"{item.where}.target" for item in asked if item.target}
    for target in sorted(set(others) & set(given)):
        raise InvalidInput(f"{given[target]}: {target} is used by a disk that is not ours.", option=given[target], value=target)
    return set(given)


def _check_disk(item: DiskOptions, had: Disk | None) -> None:
    where, drive = item.where, "cdrom" in (item.device, had.device if had else None)
    match(DEVICE_NAME, item.name, f"{where}.name", DEVICE_NAME_SAYS)
    if item.name in (SEED, CONTEXT):
        kind, name = "cloud-init" if item.name == SEED else "context", f"{where}.name"
        raise InvalidInput(f"{name}: {item.name} is the name of the {kind} disk; choose another.", option=name, value=item.name)
    if item.target:
        match(TARGET, item.target, f"{where}.target", "a device name such as vda or sdb")
    if item.image == "" or (item.path == "" and not drive):
        name = f"{where}.{'image' if item.image == '' else 'path'}"
        raise InvalidInput(f"{name}: it is empty, as a variable without a value is; name it, or leave it out (omit).", option=name)
    if item.path and (item.image or item.size):
        raise InvalidInput(f"{where}.path: an existing file takes neither image nor size.", option=f"{where}.path", value=item.path)
    if item.path and not item.path.startswith("/"):
        raise InvalidInput(f"{where}.path: {item.path} is not absolute.", option=f"{where}.path", value=item.path)
    if item.format == "raw" and item.image:
        raise InvalidInput(
            f"{where}.format: raw was asked of a disk of an image, which is a qcow2 overlay on it, so that nothing is "
            "copied; leave it out, or make an empty disk with size.",
            option=f"{where}.format",
            value=item.format,
        )
    check_preallocation(item)
    if item.io == "native" and item.cache not in (None, "none", "directsync"):
        raise InvalidInput(
            f"{where}.io: native needs cache none or directsync, not {item.cache}.", option=f"{where}.io", value="native"
        )
    if item.device == "cdrom" and (item.image or item.size):
        option = f"{where}.device"
        raise InvalidInput(f"{option}: a CD drive takes the path of an ISO file, neither image nor size.", option=option)
    if item.size is not None and disk_size(item.size, f"{where}.size") == 0:
        raise InvalidInput(f"{where}.size: it must be more than 0.", option=f"{where}.size", value=item.size)


def _target(item: DiskOptions, old: Disk | None, taken: Collection[str], kept: Collection[str]) -> str:
    """Return the device name that a disk keeps, or the first that is free on its bus."""
    if old and item.bus in (None, old.bus) and old.target not in taken:
        return old.target
    prefix = PREFIX.get(choose(item.bus, old and old.bus, "virtio"), "vd")
    return next(name for name in _names(prefix) if name not in taken and name not in kept)


def _names(prefix: str) -> Iterator[str]:
    """Yield device names as the kernel counts them: vda to vdz, then vdaa to vdzz, and so on."""
    for length in count(1):
        yield from (prefix + "".join(letters) for letters in product(ascii_lowercase, repeat=length))


def _disk(item: DiskOptions, old: Disk | None, target: str, host: HostFacts, name: str) -> Disk:
    path = item.path or own_path(item, old, host.folders.vm(name), host.kept)
    direct = path not in host.no_direct if path in host.kinds else host.direct_io
    cache = choose(item.cache, old and old.cache, "none" if direct else "writeback")
    found = host.files.get(path) if item.path else None
    new = old or Disk(
        name=item.name,
        path="",
        format=made_format(path),
        target=target,
        bus="virtio",
        discard="unmap",
        serial=item.name,
    )
    asked = {field: getattr(item, field) for field in KEPT if getattr(item, field) is not None}
    io = new.io if old and old.cache == cache else ("native" if cache in ("none", "directsync") else "threads")
    if new.path != path:
        new = replace(new.own, path=path, format=found.format if found else made_format(path), block=False)
        new = replace(new, discard="ignore") if preallocates(item) else new
    if item.path:
        new = replace(new, block=found.block if found else path.startswith("/dev/"))
    return replace(new, target=target, cache=cache, io=item.io or io, **asked)


def _seed_disks(
    options: DomainOptions, had: Mapping[str, Disk], host: HostFacts, name: str, taken: Collection[str]
) -> tuple[Disk, ...]:
    """Return the cloud-init disk and OpenNebula's: read-only virtio, since cloud kernels have no driver for a SATA CD."""
    taken = {*taken, *(had[one].target for one in (SEED, CONTEXT) if one in had)}
    kinds = (
        (SEED, options.cloud_init, host.folders.seed(name), SEED_TARGET),
        (CONTEXT, options.context, host.folders.context(name), CONTEXT_TARGET),
    )
    disks = []
    for disk, asked, path, target in kinds:
        if disk in had:
            disks.append(had[disk])
        elif asked is not None:
            free = next(one for one in (target, *_names("vd")) if one not in taken) if target in taken else target
            taken.add(free)
            disks.append(Disk(disk, path, "raw", free, "virtio", serial=disk, read_only=True))
    return tuple(disks)


def _volumes(asked: Sequence[DiskOptions], spec: DomainSpec, before: Sequence[Volume], host: HostFacts) -> tuple[Volume, ...]:
    """Return the files that we keep for disks; a disk with ``path`` brings its own file, which we do not keep."""
    had = {volume.disk: volume for volume in before}
    paths = {disk.name: disk.path for disk in spec.disks}
    volumes = []
    for item in asked:
        old, image, size = had.get(item.name), item.image, item.size
        if image or size:
            path, where = paths[item.name], f"{item.where}.size"
            new = Volume(item.name, path, disk_size(size, where, raw=made_format(path) == "raw") if size else None)
            new = replace(new, image=image, backing=host.folders.image(image)) if image else new
            new = replace(new, image=old.image, backing=old.backing) if old and not image else new
            check_preallocation(item, new.image)
            volumes.append(new)
        elif old and not item.path:
            volumes.append(old)
        elif not item.path and not has_own_source(item) and not _has_source(spec, item.name):
            raise InvalidInput(
                f"{item.where}: disk {item.name} is new; give its image, its size or the path of a file.", option=item.where
            )
    return tuple(volumes)


def _unnamed(asked: Sequence[DiskOptions], spec: DomainSpec, before: Sequence[Volume], foreign: Foreign) -> Iterator[Volume]:
    """Yield the files that we keep for disks that stay although the list does not name them: those of others in a clone."""
    names, there = {item.name for item in asked}, {disk.path for disk in (*spec.disks, *foreign.disks)}
    yield from (volume for volume in before if volume.disk not in names and volume.path in there)


def _has_source(spec: DomainSpec, name: str) -> bool:
    return any(disk.name == name and (disk.source or disk.foreign or disk.device == "cdrom") for disk in spec.disks)
