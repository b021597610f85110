# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a user wrote to a DomainSpec without open questions: rules of each value, and an expert's defaults.

What the user left out keeps its value in a domain that exists, and has the default in a new one. Errors begin with the path of
the bad item, such as ``disks[1].size``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..._errors import InvalidInput
from ..._sizes import parse_size
from ..model.host_facts import HostFacts
from ..model.remote_image import on_server
from ..model.spec import CONTEXT, SEED, Disk, DomainSpec, Nic, Volume
from .disk import check_disks_together, has_own_source, with_bus, with_details
from .interface import boot_order, nics_of
from .machine import check_together, cpu_of, device_fields, firmware_fields, machine_of, size_fields, tuning_fields, uuid_of
from .values import DEVICE_NAME, DEVICE_NAME_SAYS, PCI, Options, choose, kept_text, match, unique

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TARGET = re.compile(r"(vd|sd|hd)[a-z]{1,2}")
PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}
SEED_TARGET = "vdz"
CONTEXT_TARGET = "vdy"


@dataclass(frozen=True)
class DomainRequest:
    """What a domain shall be: its spec and the files behind its disks."""

    spec: DomainSpec
    volumes: tuple[Volume, ...] = ()


def check_name(name: str) -> str:
    """Return a domain's name if it is one."""
    return match(NAME, name, "name", "letters, digits, dots, dashes and underscores, at most 63, beginning with a letter or digit")


def asked_images(options: Options) -> tuple[str, ...]:
    """Return the digests that the options name, each checked."""
    return tuple(
        match(DIGEST, disk["image"], f"disks[{place}].image", "sha256: and 64 hexadecimal digits")
        for place, disk in enumerate(options.get("disks") or ())
        if disk.get("image")
    )


def asked_servers(options: Options) -> tuple[str, ...]:
    """Return the NBD servers of replicas that images may be read from until they are here, each checked."""
    servers = tuple(options.get("image_servers") or ())
    for place, server in enumerate(servers):
        on_server(server, "", f"image_servers[{place}]")
    return servers


def asked_paths(options: Options) -> tuple[str, ...]:
    """Return the paths of files that must be there already, those by which the kernel shows PCI devices too."""
    paths = [options.get("kernel"), options.get("initrd"), *(disk.get("path") for disk in options.get("disks") or ())]
    paths += [one.get("path") for one in options.get("filesystems") or ()]
    functions = [*(options.get("pci_devices") or ()), *(nic.get("hostdev") for nic in options.get("nics") or ())]
    paths += [pci_path(address) for address in functions if address and PCI.fullmatch(address.lower())]
    return tuple(path for path in paths if path)


def pci_path(address: str) -> str:
    """Return where the kernel shows a PCI device."""
    return f"/sys/bus/pci/devices/{address.lower()}"


def resolve(
    options: Options, before: DomainSpec | None, volumes: Sequence[Volume], host: HostFacts, foreign: Iterable[str]
) -> DomainRequest:
    """Return what the options want, over what the domain is (``before``, ``volumes``), on this host.

    ``foreign`` are disk targets that others use. Raises InvalidInput.
    """
    name = check_name(options["name"])
    virt_type = choose(options.get("virt_type"), before and before.virt_type, host.virt_types[0] if host.virt_types else "qemu")
    arch = choose(options.get("arch"), before and before.arch, host.arch)
    machine = machine_of(options.get("machine"), before, arch, host)
    disks, nics = _devices(options, before, host, name, frozenset(foreign))
    spec = DomainSpec(
        name=name,
        uuid=uuid_of(options, before, name),
        virt_type=virt_type,
        arch=arch,
        machine=machine,
        cpu=cpu_of(options.get("cpu"), before, virt_type),
        kernel=kept_text(options, "kernel", before),
        initrd=kept_text(options, "initrd", before),
        cmdline=kept_text(options, "cmdline", before),
        disks=disks,
        nics=nics,
        console_log=_console_log(options.get("console_log"), before, host.folders.vm(name)),
        **size_fields(options, before),
        **tuning_fields(options, before),
        **firmware_fields(options, before, host.folders.vm(name)),
        **device_fields(options, before),
    )
    asked = options.get("disks")
    if before is None or replace(spec, disks=(), nics=()) != replace(before, disks=(), nics=()):
        check_together(spec)
    check_disks_together(spec, before, asked or ())
    return DomainRequest(spec, tuple(volumes) if asked is None else _volumes(asked, spec, volumes, host))


def _devices(
    options: Options, before: DomainSpec | None, host: HostFacts, name: str, foreign: frozenset[str]
) -> tuple[tuple[Disk, ...], tuple[Nic, ...]]:
    """Return disks and interfaces with their place in the boot order: the first disk is booted, unless boot_order says more."""
    disks = _disks(options, before, host, name, foreign)
    nics = nics_of(options.get("nics"), before, name)
    asked = options.get("disks")
    if all(options.get(field) is None for field in ("disks", "nics", "boot_order")):
        return disks, nics
    names = [disk.name for disk in disks if disk.boot] if asked is None else [item["name"] for item in asked]
    first = next(iter(names), None)
    return boot_order(options.get("boot_order"), before, disks, nics, first)


def _console_log(asked: bool | None, before: DomainSpec | None, folder: str) -> str | None:
    if asked is None and before:
        return before.console_log
    return f"{folder}/console.log" if asked in (None, True) else None


def _disks(options: Options, before: DomainSpec | None, host: HostFacts, name: str, foreign: frozenset[str]) -> tuple[Disk, ...]:
    had = {disk.name: disk for disk in before.disks} if before else {}
    asked = options.get("disks")
    seed = _seed_disks(options, had, host, name)
    if asked is None:
        return tuple(sorted({**had, **{disk.name: disk for disk in seed}}.values(), key=lambda disk: disk.target))
    asked = [with_bus(item, had.get(item["name"])) for item in asked]
    for place, item in enumerate(asked):
        _check_disk(item, f"disks[{place}]")
    unique((f"disks[{place}].name", item["name"]) for place, item in enumerate(asked))
    unique((f"disks[{place}].target", item["target"]) for place, item in enumerate(asked) if item.get("target"))
    given = {item["target"]: place for place, item in enumerate(asked) if item.get("target")}
    for target in sorted(foreign & set(given)):
        raise InvalidInput(
            f"disks[{given[target]}].target: {target} is used by a disk that is not ours.",
            option=f"disks[{given[target]}].target",
            value=target,
        )
    taken = set(given) | foreign | {disk.target for disk in seed}
    disks: list[Disk] = []
    for place, item in enumerate(asked):
        old = had.get(item["name"])
        target = item.get("target") or _target(item, old, taken, {other["name"] for other in asked}, had)
        taken.add(target)
        disks.append(with_details(_disk(item, old, target, host, name), item, old, f"disks[{place}]"))
    return tuple(sorted((*disks, *seed), key=lambda disk: disk.target))


def _check_disk(item: Options, where: str) -> None:
    match(DEVICE_NAME, item["name"], f"{where}.name", DEVICE_NAME_SAYS)
    if item["name"] in (SEED, CONTEXT):
        kind, name = "cloud-init" if item["name"] == SEED else "context", f"{where}.name"
        raise InvalidInput(
            f"{name}: {item['name']} is the name of the {kind} disk; choose another.", option=name, value=item["name"]
        )
    if item.get("target"):
        match(TARGET, item["target"], f"{where}.target", "a device name such as vda or sdb")
    if item.get("path") and (item.get("image") or item.get("size")):
        raise InvalidInput(
            f"{where}.path: an existing file takes neither image nor size.", option=f"{where}.path", value=item["path"]
        )
    if item.get("path") and not item["path"].startswith("/"):
        raise InvalidInput(f"{where}.path: {item['path']} is not absolute.", option=f"{where}.path", value=item["path"])
    if item.get("io") == "native" and item.get("cache") not in (None, "none", "directsync"):
        raise InvalidInput(
            f"{where}.io: native needs cache none or directsync, not {item['cache']}.", option=f"{where}.io", value="native"
        )
    if item.get("size") is not None and parse_size(item["size"], f"{where}.size") == 0:
        raise InvalidInput(f"{where}.size: it must be more than 0.", option=f"{where}.size", value=item["size"])


def _target(item: Options, old: Disk | None, taken: set[str], names: set[str], had: Mapping[str, Disk]) -> str:
    """Return the device name that a disk keeps, or the first that is free on its bus."""
    prefix = PREFIX[choose(item.get("bus"), old and old.bus, "virtio")]
    if old and item.get("bus") in (None, old.bus) and old.target not in taken:
        return old.target
    kept = {disk.target for disk in had.values() if disk.name in names}
    letters = "abcdefghijklmnopqrstuvwxyz"
    return next(prefix + letter for letter in letters if prefix + letter not in taken | kept)


def _disk(item: Options, old: Disk | None, target: str, host: HostFacts, name: str) -> Disk:
    own = f"{host.folders.vm(name)}/{item['name']}.qcow2"
    path = item.get("path") or (old.path if old and not (item.get("image") or item.get("size")) else own)
    cache = choose(item.get("cache"), old and old.cache, "none" if host.direct_io else "writeback")
    found = host.files.get(path) if item.get("path") else None
    new = old or Disk(
        name=item["name"],
        path=path,
        format=found.format if found else "qcow2",
        target=target,
        bus="virtio",
        discard="unmap",
        serial=item["name"],
    )
    asked = {key: item[key] for key in ("format", "bus", "discard", "serial", "read_only") if item.get(key) is not None}
    io = new.io if old and old.cache == cache else ("native" if cache in ("none", "directsync") else "threads")
    return replace(new, path=path, target=target, cache=cache, io=item.get("io") or io, **asked)


def _seed_disks(options: Options, had: Mapping[str, Disk], host: HostFacts, name: str) -> tuple[Disk, ...]:
    """Return the cloud-init disk and OpenNebula's: read-only virtio, since cloud kernels have no driver for a SATA CD."""
    kinds = (
        (SEED, "cloud_init", host.folders.seed(name), SEED_TARGET),
        (CONTEXT, "context", host.folders.context(name), CONTEXT_TARGET),
    )
    disks = []
    for disk, option, path, target in kinds:
        if disk in had:
            disks.append(had[disk])
        elif options.get(option) is not None:
            disks.append(Disk(disk, path, "raw", target, "virtio", serial=disk, read_only=True))
    return tuple(disks)


def _volumes(asked: Sequence[Options], spec: DomainSpec, before: Sequence[Volume], host: HostFacts) -> tuple[Volume, ...]:
    """Return the files that we keep for disks; a disk with ``path`` brings its own file, which is none of ours."""
    had = {volume.disk: volume for volume in before}
    paths = {disk.name: disk.path for disk in spec.disks}
    volumes = []
    for place, item in enumerate(asked):
        old = had.get(item["name"])
        image, size = item.get("image"), item.get("size")
        if image or size:
            new = Volume(item["name"], paths[item["name"]], parse_size(size, f"disks[{place}].size") if size else None)
            new = replace(new, image=image, backing=host.folders.image(image)) if image else new
            kept = old and not image
            volumes.append(replace(new, image=old.image, backing=old.backing) if kept and old else new)
        elif old and not item.get("path"):
            volumes.append(old)
        elif not item.get("path") and not has_own_source(item) and not _has_source(spec, item["name"]):
            where = f"disks[{place}]"
            raise InvalidInput(f"{where}: disk {item['name']} is new; say its image, its size or the path of a file.", option=where)
    return tuple(volumes)


def _has_source(spec: DomainSpec, name: str) -> bool:
    return any(disk.name == name and (disk.source is not None or disk.device == "cdrom") for disk in spec.disks)
