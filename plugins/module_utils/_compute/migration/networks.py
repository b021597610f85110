# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual networks of a VM that is to move: what the destination has of them, and whether it is the same network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._errors import Conflict, EdgeError, NotFound, Refused
from ..._libvirt import intent, lookup
from ..._shown import few, nearest
from ..model.virtual_network import Networks, NetworkTool
from ..xml.domain import parse_xml
from ..xml.properties import read_path
from .model import Destination, Joined, SourceVm
from .remote_files import Volumes

LARGEST = 16 * 1024 * 1024
SAME = ("type", "vni", "vlan_id", "port", "group")  # in a definition: what one host calls by this name is what the other does


def read_networks_there(connection: Any, volumes: Volumes, known: NetworkTool, source: SourceVm) -> Networks:
    """Return what the destination makes of virtual networks, those of the VM with the MTU that their bridges have now."""
    folder, name = os.path.split(known.record)
    found: Networks = {}
    if volumes.exists(folder) and name in volumes.names(folder):
        found = known.recorded(volumes.read(known.record, LARGEST), f"{known.record} of {volumes.host}")
    volumes.close(folder)
    mtus = {one.name: _mtu(connection, one.bridge) for one in source.joined}
    return {name: replace(one, mtu=min(filter(None, (mtus.get(name), one.mtu)), default=None)) for name, one in found.items()}


def _mtu(connection: Any, bridge: str) -> int | None:
    """Return the MTU of a bridge of the destination, None where there is none, or its libvirt does not tell."""
    try:
        with intent(f"read the bridge {bridge} of the destination"):
            found = lookup(connection.interfaceLookupByName, bridge)
            size = read_path(parse_xml(found.XMLDesc()), "mtu@size") if found is not None else None
    except EdgeError as error:
        if error.details.get("libvirt") == "VIR_ERR_NO_SUPPORT":
            return None
        raise
    return int(size) if size else None


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
        here, other = (one.definition or {}).get(key), found.get(key)
        if here != other:
            raise _fail(
                Conflict,
                there,
                one,
                f"the virtual network {one.name} has {key} {_shown(here)} here and {_shown(other)} on {there.host}, so that they "
                "are two networks; correct the one that is wrong with edge.cloud.virtual_network.",
            )


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


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
