# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a user wrote to network interfaces, and the order in which devices are booted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ..._errors import InvalidInput
from ..model.spec import Disk, DomainSpec, Nic, stable_mac
from .values import DEVICE_NAME, DEVICE_NAME_SAYS, PCI, PCI_SAYS, Options, choose, in_range, match, parse_rate, unique

MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}")
LAST = 10**6


def nics_of(asked: Sequence[Options] | None, before: DomainSpec | None, domain: str) -> tuple[Nic, ...]:
    """Return the interfaces in the order that was asked for."""
    had = {nic.name: nic for nic in before.nics} if before else {}
    if asked is None:
        return tuple(had.values())
    named = [{**item, "name": item.get("name") or f"nic{place}"} for place, item in enumerate(asked)]
    nics = tuple(_nic(item, had.get(item["name"]), f"nics[{place}]", domain) for place, item in enumerate(named))
    unique((f"nics[{place}].name", nic.name) for place, nic in enumerate(nics))
    unique((f"nics[{place}].mac", nic.mac) for place, nic in enumerate(nics))
    return nics


def _nic(item: Options, old: Nic | None, where: str, domain: str) -> Nic:
    name = match(DEVICE_NAME, item["name"], f"{where}.name", DEVICE_NAME_SAYS)
    network, bridge, hostdev = item.get("network"), item.get("bridge"), item.get("hostdev")
    if sum(map(bool, (network, bridge, hostdev))) != 1:
        found = f"network: {network}, bridge: {bridge}, hostdev: {hostdev}"
        raise InvalidInput(f"{where}: give one of network, bridge and hostdev ({found}).", option=where)
    mac = choose(item.get("mac"), old and old.mac, stable_mac(domain, name)).lower()
    return Nic(
        name=name,
        mac=match(MAC, mac, f"{where}.mac", "a unicast MAC address such as 52:54:00:12:34:56"),
        network=network,
        bridge=bridge,
        hostdev=match(PCI, hostdev.lower(), f"{where}.hostdev", PCI_SAYS) if hostdev else None,
        model=choose(item.get("model"), old and old.model, "virtio"),
        mtu=in_range(choose(item.get("mtu"), old and old.mtu, None), 68, 65535, f"{where}.mtu"),
        queues=in_range(choose(item.get("queues"), old and old.queues, None), 1, 256, f"{where}.queues"),
        link=choose(item.get("link"), old and old.link, True),
        inbound=_rate(item, old, "inbound", where),
        outbound=_rate(item, old, "outbound", where),
        boot=old.boot if old else None,
    )


def _rate(item: Options, old: Nic | None, field: str, where: str) -> int | None:
    if item.get(field) is None:
        return getattr(old, field) if old else None
    return parse_rate(item[field], f"{where}.{field}")


def boot_order(
    asked: Sequence[str] | None, before: DomainSpec | None, disks: tuple[Disk, ...], nics: tuple[Nic, ...], first: str | None
) -> tuple[tuple[Disk, ...], tuple[Nic, ...]]:
    """Return the devices with their place in the boot order: what was asked, else what was chosen before, else ``first``."""
    there = [disk.name for disk in disks] + [nic.name for nic in nics]
    if asked is None:
        chosen = [name for name in _chosen_order(before) if name in there]
        wanted = chosen or ([first] if first else [])
    else:
        wanted = list(asked)
        unique((f"boot_order[{place}]", name) for place, name in enumerate(wanted))
        for place, name in enumerate(wanted):
            if name not in there:
                where = f"boot_order[{place}]"
                raise InvalidInput(f"{where}: there is no disk and no interface {name}.", option=where, value=name)
    order = {name: place for place, name in enumerate(wanted, start=1)}
    booted = tuple(replace(disk, boot=order.pop(disk.name, None)) for disk in disks)
    return booted, tuple(replace(nic, boot=order.pop(nic.name, None)) for nic in nics)


def _chosen_order(before: DomainSpec | None) -> list[str]:
    """Return the boot order that a user chose once; that one disk is booted is nobody's choice."""
    devices: list[Disk | Nic] = [*before.disks, *before.nics] if before else []
    order = [device for device in sorted(devices, key=lambda device: device.boot or LAST) if device.boot]
    return [device.name for device in order] if len(order) > 1 or any(isinstance(device, Nic) for device in order) else []
