# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual networks and public addresses of interfaces of VMs (_compute), as the library of networks makes them (_network)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ._compute.model.public_address import GivenAddress, Lacking, PublicAddress
from ._compute.model.virtual_network import Networks, VirtualNetwork
from ._errors import EdgeError
from ._json import load_object
from ._network.dhcp.definition import Definition
from ._network.dhcp.host import LIMIT
from ._network.dhcp.host import Places as DhcpPlaces
from ._network.dhcp.texts import DEFINITION
from ._network.public.announce import announce
from ._network.public.definition import Definition as Public
from ._network.public.host import Addresses
from ._network.public.host import Places as PublicPlaces
from ._network.public.reconcile import of_taps, reconcile
from ._network.virtual import record
from ._network.virtual.iproute import Networking, Places
from ._network.virtual.names import bridge_link
from ._network.virtual.reconcile import listing
from ._runner import Runner

PLACES = Places()
DHCP_PLACES = DhcpPlaces()
PUBLIC = PublicPlaces()
ANNOUNCER = announce


@dataclass(frozen=True)
class HostNetworks:
    """See NetworkTool; nothing is read before it is asked for."""

    runner: Runner
    places: Places = field(default_factory=lambda: PLACES)
    dhcp: DhcpPlaces = field(default_factory=lambda: DHCP_PLACES)

    @property
    def record(self) -> str:
        """See NetworkTool."""
        return str(self.places.record)

    def here(self) -> Networks:
        """See NetworkTool."""
        found = listing(Networking(self.runner, self.places)) if self.places.record.exists() else ()
        return {one["name"]: _network(one["boot"], one["bridge"], one["mtu"]) for one in found if _of_vms(one["boot"])}

    def recorded(self, data: bytes, where: str) -> Networks:
        """See NetworkTool."""
        found = record.definitions(data, where)
        return {
            name: _network(one, one.get("bridge") or bridge_link(name), one.get("mtu"))
            for name, one in found.items()
            if _of_vms(one)
        }

    def told(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """See NetworkTool."""
        return {key: addresses for path in sorted(self.dhcp.files.glob(f"*/{DEFINITION}")) for key, addresses in _told(path)}


def _of_vms(definition: Mapping[str, Any] | None) -> bool:
    """Return whether VMs can be in a network; there is no bridge over a link alone."""
    return definition is not None and not definition.get("bare")


def _told(path: Path) -> Iterator[tuple[tuple[str, str], tuple[str, ...]]]:
    """Yield what the service of one file tells; of one that cannot be read nothing is known."""
    try:
        found = Definition.checked({**load_object(path.read_bytes(), str(path), LIMIT), "name": path.parent.name})
    except (EdgeError, OSError):
        return
    lengths = [subnet.network for subnet in found.subnets]
    for host in found.hosts:
        each = [(address, next(net for net in lengths if ip_address(address) in net)) for address in host.addresses]
        yield (found.bridge, host.mac), tuple(f"{address}/{net.prefixlen}" for address, net in each)


def _network(definition: Mapping[str, Any], bridge: str | None, mtu: int | None) -> VirtualNetwork:
    return VirtualNetwork(str(definition["name"]), bridge, mtu, bool(definition.get("peers_isolated")), definition)


@dataclass(frozen=True)
class HostAddresses:
    """See PublicTool; nothing is read before it is asked for."""

    runner: Runner

    @property
    def _host(self) -> Addresses:
        return Addresses(self.runner, PUBLIC, ANNOUNCER)

    def lacking(self, wanted: Sequence[GivenAddress], gone: Mapping[str, str]) -> Lacking:
        """See PublicTool."""
        there = of_taps(self._host, frozenset(gone.values()))
        found = [one for one in wanted if self._changes(one)]
        return tuple(found), tuple(address for address, tap in gone.items() if address in there and there[address].tap == tap)

    def _changes(self, wanted: GivenAddress) -> bool:
        definition = _public(wanted)
        try:
            return reconcile(self._host, definition.address, definition, check=True)[0].changed
        except EdgeError as error:
            option = error.details.get("option")
            if option in PublicAddress.__dataclass_fields__:  # the others are not what a user gave here
                error.message = f"{wanted.where}{error.message}"
                error.details["option"] = f"{wanted.where}{option}"
            else:
                error.message = f"{wanted.where}address: {wanted.public.address} cannot be given. {error.message}"
                error.details["option"] = f"{wanted.where}address"
            error.args = (error.message,)
            raise

    def give(self, wanted: GivenAddress) -> None:
        """See PublicTool."""
        definition = _public(wanted)
        reconcile(self._host, definition.address, definition, check=False)

    def take(self, address: str) -> None:
        """See PublicTool."""
        reconcile(self._host, address, None, check=False)


def _public(wanted: GivenAddress) -> Public:
    nic = {"bridge": wanted.bridge, "tap": wanted.tap, "mac": wanted.mac, "vm": wanted.vm}
    given = {key: value for key, value in asdict(wanted.public).items() if value is not None}
    return Public.checked({**nic, **given}, wanted.where)
