# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a user wrote to network interfaces, and the order in which devices are booted."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from ..._errors import InvalidInput
from ..model.request import NicOptions
from ..model.spec import Disk, DomainSpec, Foreign, Nic, stable_mac
from .takeover import claimed_nics
from .values import DEVICE_NAME, DEVICE_NAME_SAYS, PCI, PCI_SAYS, choose, in_range, match, parse_rate, unique

MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}")
MAC_SAYS = "a unicast MAC address such as 52:54:00:12:34:56"
LAST = 10**6
LARGEST_MTU = 65521  # the kernel's, of a TAP device


def nics_of(asked: Sequence[NicOptions] | None, before: DomainSpec | None, domain: str, foreign: Foreign) -> tuple[Nic, ...]:
    """Return the interfaces in the order that was asked for."""
    had = {nic.name: nic for nic in before.nics} if before else {}
    if asked is None:
        return tuple(had.values())
    had.update(claimed_nics(asked, had, foreign))
    nics = tuple(_nic(item, had.get(item.name), domain) for item in asked)
    unique((f"{item.where}.name", nic.name) for item, nic in zip(asked, nics, strict=True))
    unique((f"{item.where}.mac", nic.mac) for item, nic in zip(asked, nics, strict=True))
    return nics


def _nic(item: NicOptions, old: Nic | None, domain: str) -> Nic:
    where = item.where
    name = match(DEVICE_NAME, item.name, f"{where}.name", DEVICE_NAME_SAYS)
    network, bridge, hostdev = item.network, item.bridge, item.hostdev
    given = sum(map(bool, (network, bridge, hostdev)))
    if old is not None and not given:
        network, bridge, hostdev = old.network, old.bridge, old.hostdev
    elif given != 1:
        found = f"network: {network}, bridge: {bridge}, hostdev: {hostdev}"
        raise InvalidInput(f"{where}: give one of network, bridge and hostdev ({found}).", option=where)
    mac = None if item.mac is None else match(MAC, item.mac.lower(), f"{where}.mac", MAC_SAYS)
    return Nic(
        name=name,
        mac=choose(mac, old and old.mac, stable_mac(domain, name)),
        network=network,
        bridge=bridge,
        hostdev=match(PCI, hostdev.lower(), f"{where}.hostdev", PCI_SAYS) if hostdev else None,
        model=choose(item.model, old and old.model, "virtio"),
        mtu=choose(in_range(item.mtu, 68, LARGEST_MTU, f"{where}.mtu"), old and old.mtu, None),
        queues=choose(in_range(item.queues, 1, 256, f"{where}.queues"), old and old.queues, None),
        link=choose(item.link, old and old.link, True),
        inbound=_rate(item.inbound, old.inbound if old else None, f"{where}.inbound"),
        outbound=_rate(item.outbound, old.outbound if old else None, f"{where}.outbound"),
        boot=old.boot if old else None,
        vlan=choose(in_range(item.vlan, 0, 4094, f"{where}.vlan"), old and old.vlan, None) or None,
        foreign=old.foreign if old else None,
        other=old.other if old and not given else None,
    )


def _rate(asked: str | None, before: int | None, where: str) -> int | None:
    return before if asked is None else parse_rate(asked, where)


def boot_order(
    asked: Sequence[str] | None, earlier: Sequence[str], disks: tuple[Disk, ...], nics: tuple[Nic, ...], first: str | None
) -> tuple[tuple[Disk, ...], tuple[Nic, ...]]:
    """Return the devices with their place in the boot order: what was asked, else the order chosen ``earlier``, else ``first``."""
    there = [disk.name for disk in disks] + [nic.name for nic in nics]
    if asked is None:
        chosen = [name for name in earlier if name in there]
        wanted = chosen or ([first] if first else [])
    else:
        wanted = list(asked)
        unique((f"boot_order[{place}]", name) for place, name in enumerate(wanted))
        for place, name in enumerate(wanted):
            if name not in there:
                where = f"boot_order[{place}]"
                raise InvalidInput(f"{where}: the domain has neither a disk nor an interface {name}.", option=where, value=name)
    order = {name: place for place, name in enumerate(wanted, start=1)}
    booted = tuple(replace(disk, boot=order.pop(disk.name, None)) for disk in disks)
    return booted, tuple(replace(nic, boot=order.pop(nic.name, None)) for nic in nics)


def chosen_order(before: DomainSpec | None, taken: Collection[str]) -> list[str]:
    """Return the boot order that a user chose earlier; one disk alone is the default, not a choice, unless it is ``taken``."""
    devices: list[Disk | Nic] = [*before.disks, *before.nics] if before else []
    order = [device for device in sorted(devices, key=lambda device: device.boot or LAST) if device.boot]
    chosen = len(order) > 1 or any(isinstance(device, Nic) or device.foreign in taken for device in order)
    return [device.name for device in order] if chosen else []
