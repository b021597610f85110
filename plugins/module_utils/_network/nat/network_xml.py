# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A NAT network's XML: our fields are read and written, and all else is kept. Pure."""

from __future__ import annotations

import io
from collections.abc import Iterable
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any
from xml.etree import ElementTree as ET

from ..._namespaces import remember
from .config import Config, Lease

NAMESPACE = "urn:edge-cloud:network:1"
MARK = f"{{{NAMESPACE}}}network"


def parse(text: str) -> ET.Element:
    """Return the root element of libvirt's XML; the prefixes of foreign namespaces are kept."""
    for _event, (prefix, uri) in ET.iterparse(io.StringIO(text), events=("start-ns",)):  # noqa: S314 libvirt wrote it
        if prefix:
            remember(prefix, uri)
    return ET.fromstring(text)  # noqa: S314 libvirt wrote it


def is_ours(root: ET.Element) -> bool:
    """Return whether the network carries our mark."""
    return root.find(f"metadata/{MARK}") is not None


def forward_mode(root: ET.Element) -> str:
    """Return the forward mode, ``isolated`` if the network has none."""
    forward = root.find("forward")
    return "isolated" if forward is None else forward.get("mode", "nat")


def bridge_name(root: ET.Element) -> str:
    """Return the name of the bridge, or an empty text."""
    return _attribute(root, "bridge", "name") or ""


def subnets(root: ET.Element) -> list[Any]:
    """Return all subnets of a network of any kind."""
    return [_network(item) for item in root.findall("ip") if item.get("address")]


def read(root: ET.Element) -> Config | None:
    """Return our fields of a network, or None if it has no IPv4 subnet, so that it is not a NAT network of our kind."""
    item = _ipv4(root)
    if item is None:
        return None
    spans = [(span.get("start", ""), span.get("end", "")) for span in item.findall("dhcp/range")]
    mtu = _attribute(root, "mtu", "size")
    return Config(
        bridge=bridge_name(root),
        subnet=str(_network(item)),
        address=item.get("address", ""),
        dhcp_range=spans[0] if spans else None,
        domain=_attribute(root, "domain", "name"),
        mtu=int(mtu) if mtu else None,
        hosts=tuple(sorted((lease_of(root, host) for host in item.findall("dhcp/host")), key=_by_address)),
        other_ranges=tuple(spans[1:]),
    )


def _by_address(lease: Lease) -> int:
    return int(ip_address(lease.address or "0.0.0.0"))  # noqa: S104 sorts a host without an address first


def lease_of(root: ET.Element, host: ET.Element) -> Lease:
    """Return a DHCP entry; upper case does not count in MAC addresses and names."""
    address, name = host.get("ip", ""), host.get("name", "").lower()
    return Lease(address, host.get("mac", "").lower(), name, bool(name) and name in names_of(root, address))


def names_of(root: ET.Element, address: str) -> set[str]:
    """Return the DNS names of an address, in lower case."""
    return {name.lower() for item in root.findall("dns/host") if item.get("ip") == address for name in dns_names(item)}


def _attribute(root: ET.Element, path: str, name: str) -> str | None:
    found = root.find(path)
    return None if found is None else found.get(name)


def _ipv4(root: ET.Element) -> ET.Element | None:
    return next((item for item in root.findall("ip") if item.get("family", "ipv4") == "ipv4" and item.get("address")), None)


def _network(item: ET.Element) -> Any:
    return ip_network(f"{item.get('address')}/{item.get('prefix') or item.get('netmask')}", strict=False)


def new(name: str) -> ET.Element:
    """Return an empty NAT network."""
    root = ET.Element("network")
    ET.SubElement(root, "name").text = name
    ET.SubElement(root, "forward", mode="nat")
    return root


def write(root: ET.Element, config: Config) -> str:
    """Return the XML with our mark and fields; of DHCP entries and DNS names, only those that change are touched."""
    before = read(root)
    if not is_ours(root):
        ET.SubElement(_child(root, "metadata"), MARK)
    bridge = _child(root, "bridge")
    # libvirt turns STP on by default, and then a VM loses its packets for the first four seconds; this bridge is in no loop.
    bridge.attrib.update({"name": config.bridge, "stp": bridge.get("stp", "off"), "delay": bridge.get("delay", "0")})
    _optional(root, "mtu", "size", None if config.mtu is None else str(config.mtu))
    _optional(root, "domain", "name", config.domain)
    if config.domain:
        _child(root, "domain").set("localOnly", _child(root, "domain").get("localOnly", "yes"))
    _write_subnet(root, config)
    held = before.hosts if before else ()
    if held != config.hosts:
        _write_names(root, held, config.hosts)
        _write_hosts(root, config.hosts)
    remember("edge", NAMESPACE)
    return ET.tostring(root, encoding="unicode")


def _child(parent: ET.Element, tag: str) -> ET.Element:
    found = parent.find(tag)
    return ET.SubElement(parent, tag) if found is None else found


def _optional(root: ET.Element, tag: str, attribute: str, value: str | None) -> None:
    found = root.find(tag)
    if value is not None:
        _child(root, tag).set(attribute, value)
    elif found is not None:
        root.remove(found)


def _write_names(root: ET.Element, held: tuple[Lease, ...], hosts: tuple[Lease, ...]) -> None:
    dns = _child(root, "dns")
    wanted = {(lease.address, lease.name) for lease in hosts if lease.dns}
    for address, name in {(lease.address, lease.name) for lease in held if lease.dns} - wanted:
        for item in [item for item in dns.findall("host") if item.get("ip") == address]:
            for found in [found for found in item.findall("hostname") if (found.text or "").lower() == name]:
                item.remove(found)
            if not dns_names(item):
                dns.remove(item)
    for address, name in sorted(wanted, key=lambda pair: ip_address(pair[0])):
        if name not in names_of(root, address):
            there = [item for item in dns.findall("host") if item.get("ip") == address]
            ET.SubElement(there[0] if there else ET.SubElement(dns, "host", ip=address), "hostname").text = name
    if len(dns) == 0 and not dns.attrib:
        root.remove(dns)


def _write_subnet(root: ET.Element, config: Config) -> None:
    subnet = IPv4Network(config.subnet)
    item = _ipv4(root)
    item = ET.SubElement(root, "ip") if item is None else item
    moved = not item.get("address") or _network(item) != subnet
    if moved:
        item.attrib.pop("netmask", None)
        item.attrib.update({"address": str(subnet.network_address + 1), "prefix": str(subnet.prefixlen)})
    if not config.dhcp_range:
        return
    dhcp = _child(item, "dhcp")
    spans = dhcp.findall("range")
    if not spans:
        dhcp.insert(0, dhcp_range(config.dhcp_range))
    else:  # in place: it can have a lease time
        spans[0].attrib.update({"start": config.dhcp_range[0], "end": config.dhcp_range[1]})
    for other in spans[1:] if moved else ():
        dhcp.remove(other)


def _write_hosts(root: ET.Element, hosts: tuple[Lease, ...]) -> None:
    """Let the DHCP entries be ``hosts``; one that stays is not touched, one whose address stays keeps what else it has."""
    item = _ipv4(root)
    dhcp = _child(root if item is None else item, "dhcp")
    keys, done = {lease.key for lease in hosts}, set()
    for old in dhcp.findall("host"):
        held = lease_of(root, old)
        new = held if held.key in keys else next((lease for lease in hosts if held.address and lease.address == held.address), None)
        if new is None:
            dhcp.remove(old)
            continue
        done.add(new.key)
        if new is not held:
            if held.mac and new.mac != held.mac:
                old.attrib.pop("id", None)  # it named the other client
            old.attrib.update({"mac": new.mac, "name": new.name})
    dhcp.extend(dhcp_host(lease) for lease in hosts if lease.key not in done)


def dhcp_range(span: tuple[str, str]) -> ET.Element:
    """Return the element of a DHCP range."""
    return ET.Element("range", start=span[0], end=span[1])


def dhcp_host(lease: Lease) -> ET.Element:
    """Return the DHCP element of a fixed address."""
    given = {"mac": lease.mac, "name": lease.name, "ip": lease.address}
    return ET.Element("host", {key: value for key, value in given.items() if value})


def dns_host(address: str, names: Iterable[str]) -> ET.Element:
    """Return the DNS element of an address."""
    host = ET.Element("host", ip=address)
    for name in sorted(names):
        ET.SubElement(host, "hostname").text = name
    return host


def dns_names(item: ET.Element) -> set[str]:
    """Return the names of a DNS host element."""
    return {name.text or "" for name in item.findall("hostname")}


def dhcp_hosts(root: ET.Element) -> dict[tuple[str, str, str], ET.Element]:
    """Return the DHCP entries of the IPv4 subnet by what DHCP knows of each."""
    item = _ipv4(root)
    return {} if item is None else {lease_of(root, host).key: host for host in item.findall("dhcp/host")}


def first_range(root: ET.Element) -> ET.Element | None:
    """Return the DHCP range that is ours."""
    item = _ipv4(root)
    return None if item is None else item.find("dhcp/range")


def text(element: ET.Element) -> str:
    """Return an element as text."""
    return ET.tostring(element, encoding="unicode")
