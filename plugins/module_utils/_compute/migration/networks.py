# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual networks of a VM that is to move: what the destination has of them, and whether it is the same network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..._errors import Conflict, EdgeError, NotFound, Refused
from ..._shown import few, nearest
from ..model.virtual_network import Networks, NetworkTool
from .model import Destination, Joined, SourceVm
from .remote_files import Volumes

LARGEST = 16 * 1024 * 1024
LINKS = "/sys/class/net"
# In a definition: what one host calls by this name is what the other does, and a guest's tags go no further there than here.
SAME = ("type", "vni", "vlan_id", "vlan_protocol", "port", "group", "vlan_filtering")


def read_links_there(volumes: Volumes, names: Iterable[str]) -> dict[str, int]:
    """Return the MTU of each network device of the destination that has one of these names.

    The kernel's files are asked, as folders that libvirt shows: its list of devices needs udev, which containers lack, and Debian
    packages its interface driver apart.
    """
    found = {}
    for name in names:
        if "/" in name:  # no device can be called so
            continue
        folder = f"{LINKS}/{name}"
        if volumes.exists(folder):
            found[name] = int(volumes.read(f"{folder}/mtu", LARGEST))
        volumes.close(folder)
    return found


def read_networks_there(volumes: Volumes, known: NetworkTool, source: SourceVm, mtus: Mapping[str, int]) -> Networks:
    """Return what the destination makes of virtual networks, those of the VM with the MTU (of ``mtus``) that their bridges have."""
    folder, name = os.path.split(known.record)
    found: Networks = {}
    if volumes.exists(folder) and name in volumes.names(folder):
        found = known.recorded(volumes.read(known.record, LARGEST), f"{known.record} of {volumes.host}")
    volumes.close(folder)
    here = {one.name: mtus.get(one.bridge) for one in source.joined}
    return {name: replace(one, mtu=min(filter(None, (here.get(name), one.mtu)), default=None)) for name, one in found.items()}


def check_joined(there: Destination, source: SourceVm) -> None:
    """Raise unless the destination has each virtual network of the VM: of the same number, as large, on the same bridge."""
    for one in source.joined:
        found = there.virtual_networks.get(one.name)
        if found is None:
            known = few(nearest(one.name, there.virtual_networks))
            raise _fail(NotFound, there, one, f"{there.host} has no virtual network {one.name} (there: {known}); {_how(one)}")
        _check_same(there, one, found.definition)
        if found.bridge != one.bridge:
            raise _fail(
                Conflict,
                there,
                one,
                f"the virtual network {one.name} is on the bridge {one.bridge} here and on {found.bridge} on {there.host}; have it "
                "on a bridge of the same name.",
            )
        if one.bridge not in there.bridges:
            text = (
                f"{there.host} has no bridge {one.bridge}, that of the virtual network {one.name}, although it has its definition"
            )
            raise _fail(NotFound, there, one, f"{text}; run edge.cloud.virtual_network there again.")
        if one.mtu and found.mtu and found.mtu < one.mtu:
            raise _fail(
                Refused,
                there,
                one,
                f"the domain sends packets of {one.mtu} bytes in the virtual network {one.name}, whose MTU on {there.host} is "
                f"{found.mtu}; make that larger there, or give the network that MTU here, too, and restart the domain first.",
            )


def _check_same(there: Destination, one: Joined, found: Mapping[str, Any]) -> None:
    for key in SAME if one.definition is not None else ():
        here, other = (one.definition or {}).get(key) or None, found.get(key) or None
        if here != other:
            raise _fail(
                Conflict,
                there,
                one,
                f"the virtual network {one.name} has {key} {_shown(here)} here and {_shown(other)} on {there.host}, so that they "
                "are two networks; correct the one that is wrong with edge.cloud.virtual_network.",
            )


def _shown(value: Any) -> str:
    return "none" if value is None else _yaml(value)


def _how(one: Joined) -> str:
    """Return how the network is made on another host: by the definition of this one."""
    if one.definition is None:
        return "make it there first with edge.cloud.virtual_network."
    said = ", ".join(f"{key}: {_yaml(value)}" for key, value in one.definition.items())
    return (
        f"make it there first with edge.cloud.virtual_network, as it is here ({said}), with the names and addresses of that host."
    )


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else str(value)


def _fail(kind: type[EdgeError], there: Destination, one: Joined, text: str) -> EdgeError:
    return kind(f"destination: {text}", option="destination", value=there.host, network=one.name)
