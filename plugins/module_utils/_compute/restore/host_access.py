# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of this host a VM would reach because its recovery point says so: folders, devices, disks of others, and XML of any kind.

A point may come from another host, and that may be in hostile hands: such a VM must not become a way into this one. What the VM has
on this host already is believed, as an administrator of this host gave it; all else takes a user's word.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from ..._errors import Refused
from ..._generation import Generation
from ..._shown import few
from ..model.override_text import concealed
from ..model.spec import CONTEXT, SEED, Disk, DomainSpec
from ..xml.domain import parse
from .host_files import is_public
from .model import ACCESS, OPTION


def check_host_access(spec: DomainSpec, generation: Generation, own: Element | None, allowed: bool) -> None:
    """Raise Refused where a VM that is not ``allowed`` would reach more of this host than ``own``, the XML of the VM here, does."""
    kept, had = {disk.target for disk in generation.disks}, None if own is None else parse(own).spec
    found = [] if allowed else list(_reached(spec, kept, had))
    if found:
        raise Refused(
            f"{OPTION}: {generation.name} of the VM {generation.vm.name} says that the VM is to reach this of this host: "
            f"{few(found)}. It does not have that here yet, and the point may be forged. If it is right, set {ACCESS} to true; see "
            "docs/recovery.md.",
            option=OPTION,
            value=generation.name,
            reached=found,
        )


def _reached(spec: DomainSpec, kept: set[str], had: DomainSpec | None) -> Iterator[str]:
    override = had.xml_override if had else None
    if spec.xml_override and concealed(spec.xml_override) != concealed(override or ""):
        yield "whatever its xml_override names"
    folders = {one.path for one in had.filesystems} if had else set()
    yield from (f"the folder {one.path}" for one in spec.filesystems if one.path not in folders)
    devices = set(_devices(had)) if had else set()
    yield from (f"the PCI device {one}" for one in _devices(spec) if one not in devices)
    disks = {_backing(one) for one in had.disks} if had else set()
    for disk in spec.disks:
        backing = _backing(disk)
        if disk.target not in kept and disk.name not in (SEED, CONTEXT) and backing not in disks and _is_secret(disk):
            yield f"the disk {disk.name}, which is {backing}"


def _devices(spec: DomainSpec) -> Iterator[str]:
    yield from spec.pci_devices
    yield from (nic.hostdev for nic in spec.nics if nic.hostdev)


def _backing(disk: Disk) -> str:
    source = disk.source
    return disk.path or disk.other or (f"{source.protocol}:{source.name} at {few(source.hosts)}" if source else "")


def _is_secret(disk: Disk) -> bool:
    """Return whether it may be another's: not so an empty drive, a file that is not there, and one that every user may read."""
    if not disk.path:
        return bool(_backing(disk))
    return os.path.lexists(disk.path) and not (disk.read_only and is_public(disk.path))
