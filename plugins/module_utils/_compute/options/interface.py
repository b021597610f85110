# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a user wrote to network interfaces, and the order in which devices are booted."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from ..._errors import InvalidInput, NotFound
from ..._shown import few, nearest
from ..._taps import tap_link
from ..._vlans import tagged
from ..model.public_address import PublicAddress
from ..model.request import DomainOptions, NicOptions
from ..model.spec import Disk, DomainSpec, Foreign, Nic, stable_mac
from ..model.virtual_network import Networks, VirtualNetwork
from .takeover import claimed_nics
from .values import DEVICE_NAME, DEVICE_NAME_SAYS, PCI, PCI_SAYS, choose, in_range, match, parse_rate, unique

MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}")
MAC_SAYS = 'a unicast MAC address in quotes, such as "52:54:00:12:34:56"'
LAST = 10**6
PLACES = ("network", "bridge", "hostdev", "virtual_network")
MOST_ADDRESSES = 16
LARGEST_MTU = 65521  # the kernel's, of a TAP device


def asks_for_networks(options: DomainOptions, before: DomainSpec | None) -> bool:
    """Return whether an interface that the options name is to be in a virtual network, or may be in one."""
    had = before.nics if before else ()
    return any(item.virtual_network for item in options.nics or ()) or (bool(options.nics) and any(nic.tap for nic in had))


def nics_of(options: DomainOptions, before: DomainSpec | None, foreign: Foreign, uuid: str, networks: Networks) -> tuple[Nic, ...]:
    """Return the interfaces in the order that was asked for; ``uuid`` is the domain's, ``networks`` are the host's virtual ones."""
    asked, had = options.nics, {nic.name: nic for nic in before.nics} if before else {}
    if asked is None:
        return tuple(had.values())
    had.update(claimed_nics(asked, had, foreign))
    olds = [had.get(item.name) for item in asked]
    nics = tuple(
        _in_network(_nic(item, old, options.name), item, old, uuid, networks) for item, old in zip(asked, olds, strict=True)
    )
    unique((f"{item.where}.name", nic.name) for item, nic in zip(asked, nics, strict=True))
    unique((f"{item.where}.mac", nic.mac) for item, nic in zip(asked, nics, strict=True))
    _check_public(asked, nics)
    return nics


def _one_address(text: str) -> str:
    """Return an address in canonical form, also one that is written as a /32 or /128; raise ValueError for all else."""
    plain, _slash, width = text.strip().partition("/")
    found = ipaddress.ip_address(plain)
    if width not in ("", str(found.max_prefixlen)):
        raise ValueError(text)
    return str(found)


def _check_public(asked: Sequence[NicOptions], nics: Sequence[Nic]) -> None:
    """Raise where a public address is there twice, or its interface has no device of a name that is known before it starts."""
    pairs = list(zip(asked, nics, strict=True))
    unique((f"{item.where}.public_address", one.address) for item, nic in pairs for one in nic.public_address)
    for item, nic in pairs:
        if nic.public_address and not nic.virtual_network:
            where = f"{item.where}.public_address"
            raise InvalidInput(
                f"{where}: only an interface of a virtual network can have {nic.public_address[0].address}; give it a"
                " virtual_network, or public_address: [].",
                option=where,
                value=nic.public_address[0].address,
            )


def _nic(item: NicOptions, old: Nic | None, domain: str) -> Nic:
    where = item.where
    name = match(DEVICE_NAME, item.name, f"{where}.name", DEVICE_NAME_SAYS)
    asked = {option: getattr(item, option) for option in PLACES}
    given = sum(map(bool, asked.values()))
    if old is not None and not given:
        asked = {option: getattr(old, option) for option in PLACES}
    elif given != 1:
        found = ", ".join(f"{option}: {value}" for option, value in asked.items())
        raise InvalidInput(f"{where}: give one of network, bridge, hostdev and virtual_network ({found}).", option=where)
    hostdev = asked["hostdev"]
    mac = None if item.mac is None else match(MAC, item.mac.lower(), f"{where}.mac", MAC_SAYS)
    return Nic(
        name=name,
        mac=choose(mac, old and old.mac, stable_mac(domain, name)),
        network=asked["network"],
        bridge=asked["bridge"],
        virtual_network=asked["virtual_network"],
        hostdev=match(PCI, hostdev.lower(), f"{where}.hostdev", PCI_SAYS) if hostdev else None,
        model=choose(item.model, old and old.model, "virtio"),
        mtu=choose(in_range(item.mtu, 68, LARGEST_MTU, f"{where}.mtu"), old and old.mtu, None),
        queues=choose(in_range(item.queues, 1, 256, f"{where}.queues"), old and old.queues, None),
        link=choose(item.link, old and old.link, True),
        inbound=_rate(item.inbound, old.inbound if old else None, f"{where}.inbound"),
        outbound=_rate(item.outbound, old.outbound if old else None, f"{where}.outbound"),
        boot=old.boot if old else None,
        vlan=choose(in_range(item.vlan, 0, 4094, f"{where}.vlan"), old and old.vlan, None) or None,
        vlans=_vlans(item, old),
        foreign=old.foreign if old else None,
        other=old.other if old and not given else None,
        tap=old.tap if old else None,
        addresses=_addresses(item, old, stays=not given or (old is not None and _place(asked) == _place(asdict(old)))),
        isolated=old.isolated if old else False,
        mtu_of_network=bool(old and old.mtu_of_network and item.mtu is None),
        public_address=_public(item, old),
    )


def _vlans(item: NicOptions, old: Nic | None) -> tuple[str, ...]:
    if item.vlans is None:
        return old.vlans if old else ()
    return tagged(item.vlans, f"{item.where}.vlans")


def _place(places: Mapping[str, Any]) -> Any:
    """Return the network that an interface is in; the bridge of a virtual one is not a place of its own."""
    return places["virtual_network"] or tuple(places[one] for one in PLACES)


def _addresses(item: NicOptions, old: Nic | None, *, stays: bool) -> tuple[str, ...]:
    """Return the leased addresses; those of a network that the interface leaves do not go with it."""
    if item.addresses is None:
        return old.addresses if old and stays else ()
    where = f"{item.where}.addresses"
    if len(item.addresses) > MOST_ADDRESSES:
        text = f"{where}: {len(item.addresses)} addresses are more than the {MOST_ADDRESSES} that are kept."
        raise InvalidInput(text, option=where)
    found = [_address(text, f"{where}[{place}]") for place, text in enumerate(item.addresses)]
    unique((f"{where}[{place}]", text.partition("/")[0]) for place, text in enumerate(found))
    return tuple(found)


def _address(text: str, where: str) -> str:
    """Return an address that a guest can be reached by, in its usual form and with the prefix length that it was given with."""
    says = "an address as edge.cloud.address leases it, such as 192.0.2.20/24 or 2001:db8::20"
    try:
        found = ipaddress.ip_interface(text.strip())
    except ValueError:
        raise InvalidInput(f"{where}: {text!r} is not valid; it must be {says}.", option=where, value=text) from None
    ip = found.ip
    if "%" in text or ip.is_multicast or ip.is_unspecified or ip.is_loopback or ip.is_link_local:
        what = "has a zone, or is multicast, unspecified, loopback or link-local"
        raise InvalidInput(f"{where}: {text} {what}; give {says}.", option=where, value=text)
    return str(found) if "/" in text else str(ip)


def _public(item: NicOptions, old: Nic | None) -> tuple[PublicAddress, ...]:
    """Return the public addresses of an interface, as texts in canonical form; the host says later whether it can have them."""
    if item.public_address is None:
        return old.public_address if old else ()
    found = []
    for place, one in enumerate(item.public_address):
        where = f"{item.where}.public_address[{place}].address"
        try:
            found.append(replace(one, address=_one_address(one.address)))
        except ValueError:
            says = f"{where}: {one.address!r:.60} is not one address; write it as 203.0.113.10 or 2001:db8::10."
            raise InvalidInput(says, option=where, value=one.address) from None
    return tuple(found)


def _in_network(nic: Nic, item: NicOptions, old: Nic | None, uuid: str, networks: Networks) -> Nic:
    """Return the interface on the bridge of its virtual network, with what the network gives it, or without what one gave it."""
    tap = tap_link(uuid, nic.name)
    if nic.virtual_network:
        network = _network(nic.virtual_network, networks, f"{item.where}.virtual_network")
        if nic.vlan:
            where = f"{item.where}.vlan"
            says = "an interface of a virtual network has the VLAN of that; make a virtual network of type vlan for it."
            raise InvalidInput(f"{where}: {says}", option=where, value=nic.vlan)
        if nic.vlans and not network.definition.get("vlan_filtering"):
            where = f"{item.where}.vlans" if item.vlans else f"{item.where}.virtual_network"
            raise InvalidInput(
                f"{where}: the virtual network {network.name} does not tell VLANs apart, so that all tags pass; make it with "
                "vlan_filtering: true, or give vlans: [].",
                option=where,
                value=list(nic.vlans),
            )
        nic = replace(nic, bridge=network.bridge, tap=tap, isolated=network.peers_isolated)
        return _with_mtu(nic, network, f"{item.where}.mtu")
    if item.vlans:
        where = f"{item.where}.vlans"
        says = "they are for an interface of a virtual network with vlan_filtering: true; give it one, or vlans: []."
        raise InvalidInput(f"{where}: {says}", option=where, value=list(item.vlans))
    nic = replace(nic, vlans=())
    placed = any(getattr(item, option) for option in PLACES)
    if old is None or old.tap != tap or not placed:
        return nic
    return replace(nic, tap=None, isolated=False, mtu=None if nic.mtu_of_network else nic.mtu, mtu_of_network=False)


def _network(name: str, networks: Networks, where: str) -> VirtualNetwork:
    found = networks.get(name)
    if found is None:
        there = few(nearest(name, networks))
        raise NotFound(
            f"{where}: this host has no virtual network {name} (there: {there}); make it with edge.cloud.virtual_network.",
            option=where,
            value=name,
        )
    if found.bridge is None:
        raise NotFound(
            f"{where}: the bridge of the virtual network {name} is not there now; run edge.cloud.virtual_network again.",
            option=where,
            value=name,
        )
    return found


def _with_mtu(nic: Nic, network: VirtualNetwork, where: str) -> Nic:
    """Return the interface with the MTU that was given for it, if the network has room for that, else with the network's."""
    if nic.mtu is None or nic.mtu_of_network:
        return replace(nic, mtu=network.mtu, mtu_of_network=True)
    if network.mtu is not None and nic.mtu > network.mtu:
        raise InvalidInput(
            f"{where}: {nic.mtu} is more than the virtual network {network.name} carries, whose MTU is {network.mtu}; give that or "
            "less, or make the network's larger.",
            option=where,
            value=nic.mtu,
        )
    return nic


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
