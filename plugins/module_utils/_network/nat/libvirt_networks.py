# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter of libvirt's networks: it reads them and carries out the steps of a plan."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from ..._errors import Conflict
from ..._libvirt import error_name, intent, lookup
from ..link.addressing import Taken
from . import network_xml
from .config import Config
from .plan import ChangeLive, Define, Network, NetworkState, SetAutostart, Start, Stop, Undefine

try:
    import libvirt
except ImportError:
    libvirt = None

DELETE, ADD_LAST, ADD_FIRST = 2, 3, 4
DHCP_HOST, DHCP_RANGE, DNS_HOST = 4, 5, 10
UNKNOWN = Config("", "0.0.0.0/32", "")


class LibvirtNetworks:
    """Reads and changes the networks of one libvirt connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def _find(self, name: str) -> Any | None:
        with intent(f"look for the network {name}"):
            return lookup(self._connection.networkLookupByName, name)

    def observe(self, name: str) -> NetworkState:
        """Return the network, or None if it does not exist."""
        found = self._find(name)
        return None if found is None else self._state(found)

    def _state(self, found: Any) -> Network:
        name = found.name()
        with intent(f"read the network {name}"):
            root = network_xml.parse(_persistent_xml(found))
            active, persistent = bool(found.isActive()), bool(found.isPersistent())
            live = network_xml.read(network_xml.parse(found.XMLDesc(0))) if active else None
            autostart = bool(found.autostart()) if persistent else False
        config = network_xml.read(root)
        return Network(
            name=name,
            config=config or UNKNOWN,
            live=live,
            autostart=autostart,
            persistent=persistent,
            ours=network_xml.is_ours(root),
            forward=network_xml.forward_mode(root) if config else "without IPv4",
            vms=self._vms(name, network_xml.bridge_name(root)) if active else (),
        )

    def _vms(self, network: str, bridge: str) -> tuple[str, ...]:
        with intent("list the running domains"):
            active = self._connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        return tuple(sorted(domain.name() for domain in active if _uses(domain, network, bridge)))

    def listing(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return all NAT networks, or only ``name``, as JSON sorted by name, each with its leases."""
        with intent("list the networks"):
            networks = sorted(self._connection.listAllNetworks(0), key=lambda network: str(network.name()))
        states = [(found, self._state(found)) for found in networks if name in (None, found.name())]
        return [
            {**state.view(), "vms": list(state.vms), "leases": _leases(found) if state.live else []}
            for found, state in states
            if state.forward == "nat"
        ]

    def taken(self, without: str) -> list[Taken]:
        """Return the subnets of all other networks, active or not."""
        with intent("list the networks"):
            others = [network for network in self._connection.listAllNetworks(0) if network.name() != without]
            roots = [(network.name(), network_xml.parse(_persistent_xml(network))) for network in others]
        return [Taken(subnet, f"libvirt network {name}") for name, root in roots for subnet in network_xml.subnets(root)]

    def refuse_bridge(self, bridge: str, without: str) -> None:
        """Raise Conflict where another network has ``bridge`` already."""
        with intent("list the networks"):
            others = [network for network in self._connection.listAllNetworks(0) if network.name() != without]
            users = [
                network.name() for network in others if network_xml.bridge_name(network_xml.parse(network.XMLDesc(0))) == bridge
            ]
        if users:
            raise Conflict(f"bridge: {bridge} belongs to the libvirt network {users[0]}; choose another name.", option="bridge")

    def apply(self, step: Any) -> None:
        """Carry out one step."""
        if isinstance(step, Define):
            self._define(step)
            return
        with intent(step.sentence[0].lower() + step.sentence[1:]):
            network = self._connection.networkLookupByName(step.name)
            if isinstance(step, Start):
                network.create()
            elif isinstance(step, Stop):
                network.destroy()
            elif isinstance(step, Undefine):
                network.undefine()
            elif isinstance(step, SetAutostart):
                network.setAutostart(int(step.autostart))
            elif isinstance(step, ChangeLive):
                _change_live(network, step)

    def _define(self, step: Define) -> None:
        found = self._find(step.name)
        with intent(f"define the network {step.name}"):
            root = network_xml.new(step.name) if found is None else network_xml.parse(_persistent_xml(found))
            root.attrib.pop("connections", None)
            self._connection.networkDefineXML(network_xml.write(root, step.config))


def _persistent_xml(network: Any) -> str:
    """Return the persistent configuration; a transient network, or a driver with a single configuration, has only the live one."""
    try:
        return str(network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE))
    except libvirt.libvirtError as error:
        if error_name(error) not in ("VIR_ERR_INVALID_ARG", "VIR_ERR_OPERATION_INVALID"):
            raise
        return str(network.XMLDesc(0))


def _uses(domain: Any, network: str, bridge: str) -> bool:
    with intent(f"read the domain {domain.name()}"):
        text = lookup(lambda _name: domain.XMLDesc(0), domain.name())
    if text is None:  # it stopped after it was listed
        return False
    root = ET.fromstring(text)  # noqa: S314 libvirt wrote it
    sources = root.findall("devices/interface/source")
    return any(source.get("network") == network or source.get("bridge") == bridge for source in sources)


def _leases(network: Any) -> list[dict[str, Any]]:
    with intent(f"read the leases of the network {network.name()}"):
        try:
            found = network.DHCPLeases()
        except libvirt.libvirtError as error:
            if error_name(error) != "VIR_ERR_NO_SUPPORT":
                raise
            found = []
    leases = [{"address": lease["ipaddr"], "mac": lease["mac"], "name": lease["hostname"]} for lease in found]
    return sorted(leases, key=lambda lease: str(lease["address"]))


def _change_live(network: Any, step: ChangeLive) -> None:
    """Delete before adding, since libvirt refuses two entries with one address, name or MAC address.

    A DHCP entry comes from the definition, with all that it has there. It comes and goes after its DNS name.
    """
    live, defined = network_xml.parse(network.XMLDesc(0)), network_xml.dhcp_hosts(network_xml.parse(_persistent_xml(network)))
    names, there = _new_names(live, step), network_xml.dhcp_hosts(live)
    keys = {lease.key for lease in step.after.hosts}
    gone = [(DNS_HOST, network_xml.dns_host(address, old)) for address, (old, _new) in names.items() if old]
    gone += [(DHCP_HOST, host) for key, host in there.items() if key not in keys]
    come = [(DNS_HOST, network_xml.dns_host(address, new)) for address, (_old, new) in names.items() if new]
    come += [
        (DHCP_HOST, defined.get(lease.key, network_xml.dhcp_host(lease))) for lease in step.after.hosts if lease.key not in there
    ]
    for section, element in gone:
        _update(network, DELETE, section, element)
    if step.before.dhcp_range != step.after.dhcp_range:
        _change_range(network, network_xml.first_range(live), step.after.dhcp_range)
    for section, element in come:
        _update(network, ADD_LAST, section, element)


def _change_range(network: Any, old: ET.Element | None, span: tuple[str, str] | None) -> None:
    """Exchange the first range; its lease time stays."""
    if old is not None:
        _update(network, DELETE, DHCP_RANGE, old)
    if span is not None:
        new = network_xml.dhcp_range(span)
        new.extend(old if old is not None else ())
        _update(network, ADD_FIRST, DHCP_RANGE, new)


def _new_names(live: ET.Element, step: ChangeLive) -> dict[str, tuple[set[str], set[str]]]:
    """Return the DNS names of each address whose names change, before and after; names of others stay."""
    gone = {(lease.address, lease.name) for lease in step.before.hosts if lease.dns}
    come = {(lease.address, lease.name) for lease in step.after.hosts if lease.dns}
    found = {}
    for address in sorted({address for address, _name in gone ^ come}):
        old = network_xml.names_of(live, address)
        new = (old - {name for at, name in gone - come if at == address}) | {name for at, name in come if at == address}
        if old != new:
            found[address] = (old, new)
    return found


def _update(network: Any, command: int, section: int, element: ET.Element) -> None:
    network.update(command, section, -1, network_xml.text(element), libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE)
