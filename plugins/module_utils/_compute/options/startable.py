# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what libvirt or QEMU refuses only when a domain is defined or started, so that nothing is made before it is reported.

Only what a run changes is looked at: a domain that exists with such a value is left as it is. Sources: libvirt's qemu_validate.c
and domain_validate.c, QEMU's devices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..._errors import InvalidInput
from ..._sizes import show_size
from ..model.request import DiskOptions, DomainOptions, FilesystemOptions, NicOptions
from ..model.spec import Disk, DomainSpec, Nic
from .values import in_range

SERIAL = re.compile(r"[A-Za-z0-9_.+-]([A-Za-z0-9_.+ -]*[A-Za-z0-9_.+-])?")
SERIAL_LENGTH = {"scsi": 36}
LONGEST_SERIAL = 20
PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}
HIGHEST_LIMIT = 10**15
MOST_VCPUS_WITHOUT_IOMMU = 255
LONGEST_WAIT = 7 * 24 * 3600
CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
HOSTNAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)*")


def check_startable(spec: DomainSpec, before: DomainSpec | None, options: DomainOptions) -> None:
    """Raise InvalidInput where what is new in the spec cannot be started, whatever the host."""
    _check_texts(options)
    in_range(int(options.timeout), 0, LONGEST_WAIT, "timeout")
    disks = {one.name: replace(one, boot=None) for one in before.disks} if before else {}
    for disk in spec.disks:
        if replace(disk, boot=None) != disks.get(disk.name):
            _check_disk(disk, options.disk_path(disk.name))
    asked = {item.name: item for item in options.nics or ()}
    nics = {one.name: replace(one, boot=None) for one in before.nics} if before else {}
    for place, nic in enumerate(spec.nics):
        if replace(nic, boot=None) != nics.get(nic.name):
            _check_nic(nic, asked.get(nic.name), f"nics[{place}]", nics.get(nic.name))
    _check_boot(spec, options)
    _check_machine(spec, before)


def _refuse(option: str, says: str, value: Any = None) -> None:
    raise InvalidInput(f"{option}: {says}", option=option, value=value)


def _check_texts(options: DomainOptions) -> None:
    for option, text in _texts(options):
        found = CONTROL.search(text)
        if found:
            _refuse(option, f"{text!r} has a control character, which libvirt's XML cannot keep.", text)
    hostname = options.cloud_init.hostname if options.cloud_init else None
    if hostname is not None and HOSTNAME.fullmatch(hostname) is None:
        _refuse("cloud_init.hostname", f"{hostname!r} is not a host name; use letters, digits, dashes and dots.", hostname)


def _texts(options: DomainOptions) -> Iterator[tuple[str, str]]:
    for option in ("kernel", "initrd", "cmdline", "machine", "arch"):
        if getattr(options, option):
            yield option, getattr(options, option).strip() if option == "cmdline" else getattr(options, option)
    items: tuple[DiskOptions | NicOptions | FilesystemOptions, ...] = (
        *(options.disks or ()),
        *(options.nics or ()),
        *(options.filesystems or ()),
    )
    for item in items:
        for field, value in vars(item).items():
            if isinstance(value, str) and field != "where":
                yield f"{item.where}.{field}", value
    for disk in options.disks or ():
        for field, value in vars(disk.source).items() if disk.source else ():
            if isinstance(value, str):
                yield f"{disk.where}.source.{field}", value
    if options.cpu and options.cpu.model:
        yield "cpu.model", options.cpu.model


def _check_disk(disk: Disk, where: str) -> None:
    bus, cdrom = disk.bus, disk.device == "cdrom"
    if disk.serial:
        longest = SERIAL_LENGTH.get(bus, LONGEST_SERIAL)
        if len(disk.serial) > longest:
            says = f"{disk.serial} has {len(disk.serial)} characters; a guest sees {longest} at most on bus {bus}."
            _refuse(f"{where}.serial", says, disk.serial)
        if SERIAL.fullmatch(disk.serial) is None:
            says = f"{disk.serial!r} is not valid; it must be letters, digits, '_', '-', '.', '+' and inner spaces."
            _refuse(f"{where}.serial", says, disk.serial)
    if bus in PREFIX and not disk.target.startswith(PREFIX[bus]):
        _refuse(f"{where}.target", f"{disk.target} is not a name of bus {bus}, such as {PREFIX[bus]}a.", disk.target)
    if cdrom and bus == "virtio":
        _refuse(f"{where}.bus", "a CD drive is on scsi or sata, not on virtio.", bus)
    if disk.read_only and not cdrom and bus in ("sata", "ide"):
        _refuse(f"{where}.read_only", f"no disk of bus {bus} can be read-only; use virtio or scsi, or device cdrom.", True)
    if disk.io == "native" and disk.cache not in ("none", "directsync"):
        _refuse(f"{where}.io", f"native needs cache none or directsync, not {disk.cache}.", "native")
    for field, value in vars(disk.limits).items():
        if value > HIGHEST_LIMIT:
            _refuse(f"{where}.limits.{field}", f"{value} is more than QEMU can limit to ({HIGHEST_LIMIT}).", value)


def _check_nic(nic: Nic, asked: NicOptions | None, where: str, old: Nic | None) -> None:
    if nic.mac != (old.mac if old else None):
        if nic.mac == "00:00:00:00:00:00":
            _refuse(f"{where}.mac", f"{nic.mac} is not an address of an interface.", nic.mac)
        if nic.mac.startswith("fe:"):
            _refuse(f"{where}.mac", f"{nic.mac}: libvirt keeps fe:… for the host's end of an interface; begin with 52:54.", nic.mac)
    if nic.hostdev and asked:
        for field in ("model", "mtu", "queues", "link", "inbound", "outbound"):
            if getattr(asked, field) is not None:
                _refuse(f"{where}.{field}", "the host does not carry a PCI function, so that it takes none.", getattr(asked, field))
    if nic.queues and nic.model != "virtio":
        _refuse(f"{where}.queues", f"it needs model virtio, not {nic.model}.", nic.queues)


def _check_boot(spec: DomainSpec, options: DomainOptions) -> None:
    for option in ("initrd", "cmdline"):
        value = getattr(options, option)
        if value and not spec.kernel:
            _refuse(option, "it needs a kernel; give kernel, or the empty text here.", value)


def _check_machine(spec: DomainSpec, before: DomainSpec | None) -> None:
    grown = before is None or spec.max_vcpus != before.max_vcpus
    if grown and spec.max_vcpus > MOST_VCPUS_WITHOUT_IOMMU and spec.arch == "x86_64" and "<iommu" not in (spec.xml_override or ""):
        says = (
            f"more than {MOST_VCPUS_WITHOUT_IOMMU} CPUs of x86_64 need an IOMMU with extended interrupt mode; add it by "
            "xml_override (<iommu model='intel'> with intremap and eim on)."
        )
        _refuse("max_vcpus", says, spec.max_vcpus)
    for place, cell in enumerate(spec.numa):
        if spec.hugepages and cell.memory % spec.hugepages and (before is None or spec.numa != before.numa):
            says = f"{show_size(cell.memory)} is not whole pages of {show_size(spec.hugepages)} (hugepages)."
            _refuse(f"numa[{place}].memory", says, cell.memory)
