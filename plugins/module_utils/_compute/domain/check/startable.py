# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds, before anything is changed, what this host's kernel would refuse when the guest starts."""

from __future__ import annotations

from ...._errors import InvalidInput, NotFound, Unsupported
from ...model.host_facts import HostFacts
from ...model.request import DomainOptions
from ...model.spec import Disk, DomainSpec
from ...options.values import cpu_numbers

DIRECT = ("none", "directsync")


def check_start(spec: DomainSpec, before: DomainSpec | None, host: HostFacts, options: DomainOptions) -> None:
    """Raise where a path is of another kind, or a CPU, a kind of I/O or a secret is not there."""
    _check_kinds(options, host)
    _check_cpus(spec, before, host)
    _check_vlans(options, host)
    _check_kernels(spec, before, host, options)
    had = {disk.name: disk for disk in before.disks} if before else {}
    for disk in spec.disks:
        if disk == had.get(disk.name):
            continue
        where = options.disk_path(disk.name)
        _check_file(disk, where, host)
        direct = disk.path not in host.no_direct if disk.path in host.kinds else host.direct_io
        if disk.active and disk.cache in DIRECT and not direct:
            raise Unsupported(
                f"{where}.cache: the file system of {disk.active} takes no direct I/O, which cache {disk.cache} needs, or not to "
                "the end of this file, which is not a whole number of blocks; use writeback.",
                option=f"{where}.cache",
                value=disk.cache,
            )
        if disk.io == "io_uring" and not host.io_uring:
            raise Unsupported(
                f"{where}.io: this host does not let QEMU use io_uring (sysctl kernel.io_uring_disabled); use threads or native.",
                option=f"{where}.io",
                value=disk.io,
            )
        if disk.source and disk.source.secret in host.missing_secrets:
            option = f"{where}.source.secret"
            raise NotFound(
                f"{option}: libvirt on this host has no secret {disk.source.secret}; define it first (virsh secret-define).",
                option=option,
                value=disk.source.secret,
            )


def _check_kernels(spec: DomainSpec, before: DomainSpec | None, host: HostFacts, options: DomainOptions) -> None:
    if host.no_kernel and not (before and before.kernel == spec.kernel):
        raise InvalidInput(
            f"kernel: {spec.kernel} is not a kernel that QEMU can boot; give an uncompressed bzImage, such as /boot/vmlinuz-….",
            option="kernel",
            value=spec.kernel,
        )
    for item in options.nics or () if options.run in ("running", "paused") else ():
        for way, modules in host.cannot_limit.items():
            if getattr(item, way) and any(nic.name == item.name and getattr(nic, way) for nic in spec.nics):
                raise Unsupported(
                    f"{item.where}.{way}: the kernel of this host cannot limit it, it has no {' and no '.join(modules)}; use one "
                    "that has them, or leave the limit out.",
                    option=f"{item.where}.{way}",
                    value=getattr(item, way),
                )


def _check_file(disk: Disk, where: str, host: HostFacts) -> None:
    file = host.files.get(disk.active)
    if file and (file.encrypted or (file.corrupt and not disk.read_only)):
        found, cure = ("is encrypted", "qemu-img convert") if file.encrypted else ("is marked corrupt", "qemu-img check -r all")
        raise Unsupported(
            f"{where}.path: {disk.active} {found}, so that QEMU would not open it; mend it first ({cure}).",
            option=f"{where}.path",
            value=disk.active,
        )
    if disk.active in host.read_only and not disk.read_only:
        raise Unsupported(
            f"{where}.path: {disk.active} cannot be written on this host (its file system, device or attributes are read-only); "
            "set read_only, or mend that.",
            option=f"{where}.path",
            value=disk.active,
        )


def _check_vlans(options: DomainOptions, host: HostFacts) -> None:
    for item in options.nics or ():
        switch = item.network or item.bridge
        if item.vlan and switch and switch not in host.tagging:
            raise Unsupported(
                f"{item.where}.vlan: {switch} is neither on Open vSwitch nor a bridge that filters VLANs (ip link set BRIDGE type "
                "bridge vlan_filtering 1) with libvirt 11.0 or newer; mend that, or use a bridge of the VLAN "
                "(module edge.cloud.bridge).",
                option=f"{item.where}.vlan",
                value=item.vlan,
            )
        if item.vlans and not host.tags_bridges:
            raise Unsupported(
                f"{item.where}.vlans: libvirt of this host is older than 11.0, which first gives interfaces of a bridge VLANs; use "
                "a host that has it, such as Debian 13, or one interface in a virtual network of each VLAN.",
                option=f"{item.where}.vlans",
                value=list(item.vlans),
            )


def _check_kinds(options: DomainOptions, host: HostFacts) -> None:
    paths: list[tuple[str, str | None, tuple[str, ...]]] = [
        (option, getattr(options, option), ("file",)) for option in ("kernel", "initrd")
    ]
    paths += [(f"{item.where}.path", item.path, ("file", "block")) for item in options.disks or ()]
    paths += [(f"{item.where}.path", item.path, ("folder",)) for item in options.filesystems or ()]
    words = {"file": "file", "block": "block device", "folder": "folder"}
    for option, path, kinds in paths:
        found = host.kinds.get(path or "")
        if found and found not in kinds:
            wanted = " or ".join(words[kind] for kind in kinds)
            raise InvalidInput(
                f"{option}: {path} is not a {wanted} ({words.get(found, 'a special file')} found).",
                option=option,
                value=path,
            )


def _check_cpus(spec: DomainSpec, before: DomainSpec | None, host: HostFacts) -> None:
    pins = {f"vcpu_pinning[{place}]": cpus for place, cpus in enumerate(spec.vcpu_pinning) if cpus}
    had: set[str | None] = {*before.vcpu_pinning, before.emulator_pinning} if before else set()
    if spec.emulator_pinning:
        pins["emulator_pinning"] = spec.emulator_pinning
    for option, cpus in pins.items():
        if cpus in had or not host.cpus:
            continue
        wanted = cpu_numbers(cpus, option)
        beyond = sorted(wanted - set(range(len(host.cpus))))
        if beyond:
            raise InvalidInput(
                f"{option}: this host has no CPU {beyond[0]} (there: 0-{len(host.cpus) - 1}).", option=option, value=cpus
            )
        if not any(host.cpus[number] for number in wanted):
            raise InvalidInput(f"{option}: all of {cpus} are offline on this host.", option=option, value=cpus)
