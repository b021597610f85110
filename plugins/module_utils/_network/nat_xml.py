# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A NAT network's XML: our fields are read and written, and all else is kept. Pure."""

from __future__ import annotations

import io
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any
from xml.etree import ElementTree as ET

from .._namespaces import remember
from .nat import Config, Lease

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
    span = item.find("dhcp/range")
    mtu = _attribute(root, "mtu", "size")
    return Config(
        bridge=bridge_name(root),
        subnet=str(_network(item)),
        address=item.get("address", ""),
        dhcp_range=None if span is None else (span.get("start", ""), span.get("end", "")),
        domain=_attribute(root, "domain", "name"),
        mtu=int(mtu) if mtu else None,
        hosts=tuple(sorted((_lease(host) for host in item.findall("dhcp/host")), key=_by_address)),
    )


def _by_address(lease: Lease) -> int:
    return int(ip_address(lease.address or "0.0.0.0"))  # noqa: S104 sorts a host without an address first


def _lease(host: ET.Element) -> Lease:
    return Lease(host.get("ip", ""), host.get("mac", "").lower(), host.get("name", ""))


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
    """Return the XML with our mark and fields; of DNS names, only those of removed hosts are removed."""
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
    _write_names(root, before.hosts if before else (), config.hosts)
    _write_subnet(root, config)
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


def _write_names(root: ET.Element, gone: tuple[Lease, ...], hosts: tuple[Lease, ...]) -> None:
    dns = root.find("dns")
    if dns is None and not hosts:
        return
    dns = _child(root, "dns")
    ours = {(lease.address, lease.name) for lease in (*gone, *hosts)}
    for item in dns.findall("host"):
        if dns_names(item) <= {name for address, name in ours if address == item.get("ip")}:
            dns.remove(item)
    dns.extend(dns_host(lease) for lease in hosts)
    if len(dns) == 0 and not dns.attrib:
        root.remove(dns)


def _write_subnet(root: ET.Element, config: Config) -> None:
    subnet = IPv4Network(config.subnet)
    item = _ipv4(root)
    item = ET.SubElement(root, "ip") if item is None else item
    if not item.get("address") or _network(item) != subnet:
        item.attrib.pop("netmask", None)
        item.attrib.update({"address": str(subnet.network_address + 1), "prefix": str(subnet.prefixlen)})
    if not config.dhcp_range and not config.hosts:
        return
    dhcp = _child(item, "dhcp")
    span = dhcp.find("range")
    if config.dhcp_range and (span is None or (span.get("start"), span.get("end")) != config.dhcp_range):
        if span is not None:
            dhcp.remove(span)
        dhcp.insert(0, dhcp_range(config.dhcp_range))
    for old in dhcp.findall("host"):
        if _lease(old) not in config.hosts:
            dhcp.remove(old)
    there = {_lease(old) for old in dhcp.findall("host")}
    dhcp.extend(dhcp_host(lease) for lease in config.hosts if lease not in there)


def dhcp_range(span: tuple[str, str]) -> ET.Element:
    """Return the element of a DHCP range."""
    return ET.Element("range", start=span[0], end=span[1])


def dhcp_host(lease: Lease) -> ET.Element:
    """Return the DHCP element of a fixed address."""
    return ET.Element("host", mac=lease.mac, name=lease.name, ip=lease.address)


def dns_host(lease: Lease) -> ET.Element:
    """Return the DNS element of a fixed address."""
    host = ET.Element("host", ip=lease.address)
    ET.SubElement(host, "hostname").text = lease.name
    return host


def dns_names(item: ET.Element) -> set[str]:
    """Return the names of a DNS host element."""
    return {name.text or "" for name in item.findall("hostname")}


def text(element: ET.Element) -> str:
    """Return an element as text."""
    return ET.tostring(element, encoding="unicode")
