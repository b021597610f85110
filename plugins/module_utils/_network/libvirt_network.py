# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter of libvirt's networks: it reads them and carries out the steps of a plan."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from .._errors import Conflict
from .._libvirt import error_name, intent, lookup
from . import nat_xml
from .addressing import Taken
from .nat import ChangeLive, Config, Define, Network, NetworkState, SetAutostart, Start, Stop, Undefine

try:
    import libvirt
except ImportError:
    libvirt = None

ADD_LAST, DELETE = 3, 2
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
            root = nat_xml.parse(_persistent_xml(found))
            active, persistent = bool(found.isActive()), bool(found.isPersistent())
            live = nat_xml.read(nat_xml.parse(found.XMLDesc(0))) if active else None
            autostart = bool(found.autostart()) if persistent else False
        config = nat_xml.read(root)
        return Network(
            name=name,
            config=config or UNKNOWN,
            live=live,
            autostart=autostart,
            persistent=persistent,
            ours=nat_xml.is_ours(root),
            forward=nat_xml.forward_mode(root) if config else "without IPv4",
            vms=self._vms(name, nat_xml.bridge_name(root)) if active else (),
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
            roots = [(network.name(), nat_xml.parse(_persistent_xml(network))) for network in others]
        return [Taken(subnet, f"libvirt network {name}") for name, root in roots for subnet in nat_xml.subnets(root)]

    def refuse_bridge(self, bridge: str, without: str) -> None:
        """Raise Conflict where another network has ``bridge`` already."""
        with intent("list the networks"):
            others = [network for network in self._connection.listAllNetworks(0) if network.name() != without]
            users = [network.name() for network in others if nat_xml.bridge_name(nat_xml.parse(network.XMLDesc(0))) == bridge]
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
            root = nat_xml.new(step.name) if found is None else nat_xml.parse(_persistent_xml(found))
            root.attrib.pop("connections", None)
            self._connection.networkDefineXML(nat_xml.write(root, step.config))


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

    A host's DHCP entry comes and goes after its DNS name, so that this entry alone shows a rerun what is left to do.
    """
    gone = [lease for lease in step.before.hosts if lease not in step.after.hosts]
    come = [lease for lease in step.after.hosts if lease not in step.before.hosts]
    root = nat_xml.parse(network.XMLDesc(0))
    named = {(item.get("ip"), frozenset(nat_xml.dns_names(item))) for item in root.findall("dns/host")}
    for lease in gone:
        if (lease.address, frozenset({lease.name})) in named:
            _update(network, DELETE, DNS_HOST, nat_xml.dns_host(lease))
            named.remove((lease.address, frozenset({lease.name})))
        _update(network, DELETE, DHCP_HOST, nat_xml.dhcp_host(lease))
    if step.before.dhcp_range != step.after.dhcp_range:
        if step.before.dhcp_range:
            _update(network, DELETE, DHCP_RANGE, nat_xml.dhcp_range(step.before.dhcp_range))
        if step.after.dhcp_range:
            _update(network, ADD_LAST, DHCP_RANGE, nat_xml.dhcp_range(step.after.dhcp_range))
    for lease in come:
        if (lease.address, frozenset({lease.name})) not in named:
            _update(network, ADD_LAST, DNS_HOST, nat_xml.dns_host(lease))
        _update(network, ADD_LAST, DHCP_HOST, nat_xml.dhcp_host(lease))


def _update(network: Any, command: int, section: int, element: ET.Element) -> None:
    network.update(command, section, -1, nat_xml.text(element), libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE)
