# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a clone, from that of its source: what was asked of the source holds for the clone, under its own names. Pure."""

from __future__ import annotations

from dataclasses import replace

from ..model.spec import Disk, DomainSpec, Nic, Record, Volume
from .model import DiskCopy, Names


def cloned_record(record: Record, names: Names, seeds: tuple[str | None, str | None]) -> Record:
    """Return the record of the clone; ``seeds`` are the digests of its seed and of its context disk."""
    return replace(
        record,
        spec=_spec(record.spec, names),
        volumes=cloned_volumes(record.volumes, names),
        seed=seeds[0],
        context=seeds[1],
        ordered=tuple(names.mac(one) for one in record.ordered),
        cloned_from=names.old,
        restored_from=None,
    )


def cloned_volumes(volumes: tuple[Volume, ...], names: Names) -> tuple[Volume, ...]:
    """Return the files that we keep for the clone: all that were copied, also those that others kept for the source."""
    copies = {copy.name: copy.path for copy in names.disks.values()}
    had = [volume for volume in volumes if volume.disk in copies]
    new = [Volume(name, "") for name in copies if name not in {volume.disk for volume in had}]
    return tuple(replace(volume, path=copies[volume.disk]) for volume in (*had, *new))


def _spec(spec: DomainSpec, names: Names) -> DomainSpec:
    return replace(
        spec,
        name=names.new,
        uuid=names.uuid,
        disks=tuple(_disk(disk, names) for disk in spec.disks),
        nics=tuple(_nic(nic, names) for nic in spec.nics),
        console_log=names.moved(spec.console_log),
        nvram=names.nvram if spec.nvram else None,
    )


def _disk(disk: Disk, names: Names) -> Disk:
    copy: DiskCopy | None = names.disks.get(disk.target)
    if copy is None:
        return replace(disk, path=names.moved(disk.path) or "")
    return replace(disk.own, path=copy.path, format=copy.made_format, block=False, source=None, other=None)


def _nic(nic: Nic, names: Names) -> Nic:
    foreign = names.mac(nic.foreign) if nic.foreign else None
    # Addresses are one VM's.
    tap = names.taps.get(nic.tap or "")
    return replace(nic, mac=names.mac(nic.mac), foreign=foreign, tap=tap, addresses=(), public_address=())
