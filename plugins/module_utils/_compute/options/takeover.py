# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices of others the options name, so that they become ours as they are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ..._errors import InvalidInput
from ..model.request import DiskOptions, DomainOptions, NicOptions
from ..model.spec import Disk, DomainSpec, Foreign, Nic

Device = TypeVar("Device", Disk, Nic)


def claimed_disks(asked: Sequence[DiskOptions], had: Mapping[str, Disk], foreign: Foreign) -> dict[str, Disk]:
    """Return disks of others by the names that they get: one is meant by its file, or by its target as the name."""
    claimed: dict[str, Disk] = {}
    for item in asked:
        found = None if item.name in had else _meant(item, foreign)
        made = item.image or item.size
        if found is None or found in claimed.values() or (made and not foreign.taken_over):
            continue
        claimed[item.name] = found
    return {name: replace(disk, name=name) for name, disk in claimed.items()}


def _meant(item: DiskOptions, foreign: Foreign) -> Disk | None:
    by_path = {disk.path: disk for disk in foreign.disks if disk.path}
    by_target = {disk.target: disk for disk in foreign.disks}
    return by_path.get(item.path or "") or by_target.get(item.name)


def check_taken_disk(item: DiskOptions, old: Disk | None) -> None:
    """Raise where a disk of others would get another file, or another target, by an option that does not say so."""
    if old is None or old.foreign is None:
        return
    for option in ("image", "size"):
        if getattr(item, option):
            where = f"{item.where}.{option}"
            raise InvalidInput(
                f"{where}: disk {item.name} is {old.path or old.other or 'a disk'} ({old.target}), which others made and which was "
                f"taken over as it is; leave {option} out, or choose another name for a new disk.",
                option=where,
                value=getattr(item, option),
            )
    if item.target and item.target != old.target:
        where = f"{item.where}.target"
        raise InvalidInput(
            f"{where}: the disk that was taken over as {item.name} is {old.target}, {item.target} was asked; its target stays.",
            option=where,
            value=item.target,
        )


def claimed_nics(asked: Sequence[NicOptions], had: Collection[str], foreign: Foreign) -> dict[str, Nic]:
    """Return interfaces of others by the names that they get: one is meant by its MAC address, or by its place as the name."""
    by_mac = {nic.mac: nic for nic in foreign.nics}
    by_name = {nic.name: nic for nic in foreign.nics} if foreign.taken_over else {}
    found = {item.name: by_mac.get((item.mac or "").lower()) or by_name.get(item.name) for item in asked if item.name not in had}
    where = {item.name: item.where for item in asked}
    claimed: dict[str, Nic] = {}
    for name, nic in found.items():
        if nic is not None and nic not in claimed.values():
            _check_told_apart(nic, foreign, where[name])
            claimed[name] = nic
    return {name: replace(nic, name=name) for name, nic in claimed.items()}


def _check_told_apart(nic: Nic, foreign: Foreign, option: str) -> None:
    """Raise where another interface has the same MAC address, as the two of a failover pair have: it is what we know one by."""
    if sum(one.mac == nic.mac for one in foreign.nics) > 1:
        twins = ", ".join(one.name for one in foreign.nics if one.mac == nic.mac)
        raise InvalidInput(
            f"{option}: the interfaces {twins}, which others made, have one MAC address ({nic.mac}), so none can be meant; "
            "leave them out, they stay as they are.",
            option=option,
            value=nic.mac,
        )


def with_booted(
    order: Sequence[str] | None, disks: tuple[Disk, ...], nics: tuple[Nic, ...], foreign: Foreign
) -> tuple[tuple[Disk, ...], tuple[Nic, ...]]:
    """Return the devices with those of others that the boot order names."""
    there = {disk.name for disk in disks} | {nic.name for nic in nics}
    named = set(order or ()) - there
    claimed = {disk.foreign for disk in disks} | {nic.foreign for nic in nics}
    more = tuple(disk for disk in foreign.disks if disk.name in named and disk.foreign not in claimed)
    others = tuple(nic for nic in foreign.nics if nic.name in named and nic.foreign not in claimed)
    for nic in others:
        _check_told_apart(nic, foreign, "boot_order")
    return tuple(sorted((*disks, *more), key=lambda disk: disk.target)), (*nics, *others)


def booted_ones(
    options: DomainOptions, asked: Sequence[DiskOptions] | Sequence[NicOptions], had: Iterable[Device], foreign: Foreign
) -> tuple[Device, ...]:
    """Return devices of others that the boot order alone names, or named and took over: a list without them keeps them."""
    order, named = options.boot_order or (), {item.name for item in asked}
    kept = tuple(one for one in had if one.foreign and (one.name in order or one.foreign in foreign.ordered))
    kept = tuple(one for one in kept if one.name not in named)
    for item in asked:
        for one in kept:
            _check_other_name(item, one)
    return kept


def with_kept(nics: Sequence[Nic], kept: Iterable[Nic], before: Sequence[Nic]) -> tuple[Nic, ...]:
    """Return interfaces with those that stay at the places that they have: a guest may number its interfaces by them."""
    found = list(nics)
    for nic in kept:
        found.insert(before.index(nic), nic)
    return tuple(found)


def _check_other_name(item: DiskOptions | NicOptions, kept: Disk | Nic) -> None:
    """Raise where a device that stays would be there a second time, by another name."""
    fields = ("path", "target") if isinstance(item, DiskOptions) else ("mac",)
    for option in fields:
        value = getattr(item, option)
        if value and value.lower() == getattr(kept, option).lower():
            where = f"{item.where}.{option}"
            raise InvalidInput(
                f"{where}: {value} is that of {kept.name}, which others made and which boot_order took over by this name; give "
                f"{kept.name} as the name here.",
                option=where,
                value=value,
            )


def ordered_ones(options: DomainOptions, spec: DomainSpec, foreign: Foreign) -> tuple[str, ...]:
    """Return what names the devices of ``spec`` that others made and that no list, only the boot order, has named."""
    there: set[str | None] = {*foreign.ordered, *(disk.foreign for disk in foreign.disks), *(nic.foreign for nic in foreign.nics)}
    disks, nics = ({item.name for item in asked or ()} for asked in (options.disks, options.nics))
    found = [disk.foreign for disk in spec.disks if disk.name not in disks] + [
        nic.foreign for nic in spec.nics if nic.name not in nics
    ]
    return tuple(sorted(one for one in found if one and one in there))


def with_claimed(before: DomainSpec | None, spec: DomainSpec, foreign: Foreign) -> DomainSpec | None:
    """Return what the domain is with the devices of others that ``spec`` has, as they are."""
    if before is None:
        return None
    disks = {disk.foreign: disk.name for disk in spec.disks if disk.foreign}
    nics = {nic.foreign: nic.name for nic in spec.nics if nic.foreign}
    more = tuple(replace(disk, name=disks[disk.foreign]) for disk in foreign.disks if disk.foreign in disks)
    others = tuple(replace(nic, name=nics[nic.foreign]) for nic in foreign.nics if nic.foreign in nics)
    return replace(before, disks=(*before.disks, *more), nics=(*before.nics, *others))
