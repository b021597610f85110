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
from typing import Any

from .._errors import InvalidInput
from .._sizes import UNITS, parse_size
from .facts import HostFacts
from .remote_image import on_server
from .spec import SEED, Cpu, Disk, DomainSpec, Nic, Volume, stable_mac, stable_uuid

MIN_MEMORY = 16 * UNITS["MiB"]
DEFAULT_MEMORY = UNITS["GiB"]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
DEVICE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,19}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}")
TARGET = re.compile(r"(vd|sd|hd)[a-z]{1,2}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}
SEED_TARGET = "vdz"
MACHINES = {"x86_64": "q35", "i686": "pc", "aarch64": "virt", "riscv64": "virt", "ppc64le": "pseries", "s390x": "s390-ccw-virtio"}
FAMILIES = {"q35": "pc-q35", "pc": "pc-i440fx"}
VERSION = re.compile(r"-[0-9][0-9.]*$")

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What a domain shall be: its spec and the files behind its disks."""

    spec: DomainSpec
    volumes: tuple[Volume, ...] = ()


def check_name(name: str) -> str:
    """Return a domain's name if it is one."""
    return _match(NAME, name, "name", "letters, digits, dots, dashes and underscores, at most 63, beginning with a letter or digit")


def asked_images(options: Options) -> tuple[str, ...]:
    """Return the digests that the options name, each checked."""
    return tuple(
        _match(DIGEST, disk["image"], f"disks[{place}].image", "sha256: and 64 hexadecimal digits")
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
    """Return the paths of files that must be there already."""
    paths = [options.get("kernel"), options.get("initrd"), *(disk.get("path") for disk in options.get("disks") or ())]
    return tuple(path for path in paths if path)


def resolve(
    options: Options, before: DomainSpec | None, volumes: Sequence[Volume], host: HostFacts, foreign: Iterable[str]
) -> Wanted:
    """Return what the options want, over what the domain is (``before``, ``volumes``), on this host.

    ``foreign`` are disk targets that others use. Raises InvalidInput.
    """
    name = check_name(options["name"])
    virt_type = _choose(options.get("virt_type"), before and before.virt_type, host.virt_types[0] if host.virt_types else "qemu")
    arch = _choose(options.get("arch"), before and before.arch, host.arch)
    spec = DomainSpec(
        name=name,
        uuid=_uuid(options, before, name),
        virt_type=virt_type,
        arch=arch,
        machine=_machine(options.get("machine"), before, arch, host),
        memory=_memory(options.get("memory"), before),
        vcpus=_vcpus(options.get("vcpus"), before),
        cpu=_cpu(options.get("cpu"), before, virt_type),
        kernel=_kept(options, "kernel", before),
        initrd=_kept(options, "initrd", before),
        cmdline=_kept(options, "cmdline", before),
        disks=_disks(options, before, host, name, frozenset(foreign)),
        nics=_nics(options.get("nics"), before, name),
        console_log=_console_log(options.get("console_log"), before, host.folders.vm(name)),
        vnc=_choose(options.get("vnc"), before and before.vnc, False),
        agent=_choose(options.get("guest_agent"), before and before.agent, True),
        rng=_choose(options.get("rng"), before and before.rng, True),
    )
    if options.get("disks") is None:
        return Wanted(spec, tuple(volumes))
    return Wanted(spec, _volumes(options["disks"], spec, volumes, host))


def _choose(asked: Any, before: Any, default: Any) -> Any:
    if asked is not None:
        return asked
    return default if before is None else before


def _match(rule: re.Pattern[str], value: Any, where: str, says: str) -> str:
    if not isinstance(value, str) or rule.fullmatch(value) is None:
        raise InvalidInput(f"{where}: {value!r} is not valid; it must be {says}.", option=where, value=value)
    return value


def _kept(options: Options, field: str, before: DomainSpec | None) -> str | None:
    """Return an optional text; the empty text removes it."""
    asked = options.get(field)
    if asked is None:
        return getattr(before, field) if before else None
    return str(asked) or None


def _uuid(options: Options, before: DomainSpec | None, name: str) -> str:
    asked = options.get("uuid")
    if asked is None:
        return before.uuid if before else stable_uuid(name)
    found = _match(UUID, str(asked).lower(), "uuid", "a UUID in its usual form")
    if before and before.uuid != found:
        raise InvalidInput(f"uuid: domain {name} has UUID {before.uuid}; a UUID never changes, asked was {found}.", option="uuid")
    return found


def _machine(asked: str | None, before: DomainSpec | None, arch: str, host: HostFacts) -> str:
    """Return the exact machine version: an alias of what the domain has keeps it, so that an upgrade of QEMU changes nothing."""
    if before and not asked:
        return before.machine
    wanted = asked or MACHINES.get(arch, "virt")
    if before and FAMILIES.get(wanted, wanted) == VERSION.sub("", before.machine):
        return before.machine
    return host.machines.get(wanted, wanted)


def _memory(asked: str | None, before: DomainSpec | None) -> int:
    if asked is None:
        return before.memory if before else DEFAULT_MEMORY
    size = parse_size(asked, "memory")
    if size < MIN_MEMORY:
        raise InvalidInput(
            f"memory: {asked} is {size} bytes, less than 16MiB; write the unit, such as 512MiB.", option="memory", value=asked
        )
    return size // 1024 * 1024


def _vcpus(asked: int | None, before: DomainSpec | None) -> int:
    count = int(_choose(asked, before and before.vcpus, 1))
    if not 1 <= count <= 1024:
        raise InvalidInput(f"vcpus: {count} is not between 1 and 1024.", option="vcpus", value=count)
    return count


def _cpu(asked: Options | None, before: DomainSpec | None, virt_type: str) -> Cpu:
    if asked is None:
        return before.cpu if before else Cpu({"kvm": "host-model", "qemu": "maximum"}.get(virt_type, "none"))
    mode, model = asked["mode"], asked.get("model")
    if (mode == "custom") != bool(model):
        raise InvalidInput(
            f"cpu.model: it is needed with mode custom, and only there (asked: mode {mode}, model {model or 'none'}).",
            option="cpu.model",
            value=model,
        )
    if virt_type == "qemu" and mode.startswith("host-"):
        raise InvalidInput(f"cpu.mode: {mode} needs virt_type kvm; with qemu use maximum or custom.", option="cpu.mode", value=mode)
    return Cpu(mode, model)


def _console_log(asked: bool | None, before: DomainSpec | None, folder: str) -> str | None:
    if asked is None and before:
        return before.console_log
    return f"{folder}/console.log" if asked in (None, True) else None


def _unique(items: Iterable[tuple[str, str]]) -> None:
    """Raise where two items have the same value; ``items`` are (path of the item, value)."""
    seen: dict[str, str] = {}
    for where, value in items:
        if value in seen:
            raise InvalidInput(f"{where}: {value} is already used by {seen[value]}.", option=where, value=value)
        seen[value] = where


def _disks(options: Options, before: DomainSpec | None, host: HostFacts, name: str, foreign: frozenset[str]) -> tuple[Disk, ...]:
    had = {disk.name: disk for disk in before.disks} if before else {}
    asked = options.get("disks")
    seed = _seed_disk(options, had.get(SEED), host.folders.seed(name))
    if asked is None:
        return tuple(sorted({**had, **{disk.name: disk for disk in seed}}.values(), key=lambda disk: disk.target))
    for place, item in enumerate(asked):
        _check_disk(item, f"disks[{place}]")
    _unique((f"disks[{place}].name", item["name"]) for place, item in enumerate(asked))
    _unique((f"disks[{place}].target", item["target"]) for place, item in enumerate(asked) if item.get("target"))
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
        disks.append(replace(_disk(item, old, target, host, name), boot=1 if place == 0 else None))
    return tuple(sorted((*disks, *seed), key=lambda disk: disk.target))


def _check_disk(item: Options, where: str) -> None:
    _match(DEVICE_NAME, item["name"], f"{where}.name", "lower-case letters, digits and dashes, at most 20")
    if item["name"] == SEED:
        raise InvalidInput(
            f"{where}.name: {SEED} is the name of the cloud-init disk; choose another.", option=f"{where}.name", value=SEED
        )
    if item.get("target"):
        _match(TARGET, item["target"], f"{where}.target", "a device name such as vda or sdb")
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
    prefix = PREFIX[_choose(item.get("bus"), old and old.bus, "virtio")]
    if old and item.get("bus") in (None, old.bus) and old.target not in taken:
        return old.target
    kept = {disk.target for disk in had.values() if disk.name in names}
    letters = "abcdefghijklmnopqrstuvwxyz"
    return next(prefix + letter for letter in letters if prefix + letter not in taken | kept)


def _disk(item: Options, old: Disk | None, target: str, host: HostFacts, name: str) -> Disk:
    own = f"{host.folders.vm(name)}/{item['name']}.qcow2"
    path = item.get("path") or (old.path if old and not (item.get("image") or item.get("size")) else own)
    cache = _choose(item.get("cache"), old and old.cache, "none" if host.direct_io else "writeback")
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


def _seed_disk(options: Options, old: Disk | None, path: str) -> tuple[Disk, ...]:
    """Return the cloud-init disk: read-only virtio, since cloud kernels have no driver for a SATA CD."""
    if old:
        return (old,)
    if options.get("cloud_init") is None:
        return ()
    return (Disk(SEED, path, "raw", SEED_TARGET, "virtio", serial=SEED, read_only=True),)


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
        elif not item.get("path"):
            where = f"disks[{place}]"
            raise InvalidInput(f"{where}: disk {item['name']} is new; say its image, its size or the path of a file.", option=where)
    return tuple(volumes)


def _nics(asked: Sequence[Options] | None, before: DomainSpec | None, domain: str) -> tuple[Nic, ...]:
    had = {nic.name: nic for nic in before.nics} if before else {}
    if asked is None:
        return tuple(had.values())
    named = [{**item, "name": item.get("name") or f"nic{place}"} for place, item in enumerate(asked)]
    nics = tuple(_nic(item, had.get(item["name"]), f"nics[{place}]", domain) for place, item in enumerate(named))
    _unique((f"nics[{place}].name", nic.name) for place, nic in enumerate(nics))
    _unique((f"nics[{place}].mac", nic.mac) for place, nic in enumerate(nics))
    return nics


def _nic(item: Options, old: Nic | None, where: str, domain: str) -> Nic:
    name = _match(DEVICE_NAME, item["name"], f"{where}.name", "lower-case letters, digits and dashes, at most 20")
    network, bridge = item.get("network"), item.get("bridge")
    if bool(network) == bool(bridge):
        raise InvalidInput(f"{where}: say either network or bridge (network: {network}, bridge: {bridge}).", option=where)
    mac = _choose(item.get("mac"), old and old.mac, stable_mac(domain, name)).lower()
    mtu = _choose(item.get("mtu"), old and old.mtu, None)
    if mtu is not None and not 68 <= mtu <= 65535:
        raise InvalidInput(f"{where}.mtu: {mtu} is not between 68 and 65535.", option=f"{where}.mtu", value=mtu)
    return Nic(
        name=name,
        mac=_match(MAC, mac, f"{where}.mac", "a unicast MAC address such as 52:54:00:12:34:56"),
        network=network,
        bridge=bridge,
        model=_choose(item.get("model"), old and old.model, "virtio"),
        mtu=mtu,
    )
