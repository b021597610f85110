# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""dnsmasq's files from a definition. Pure.

Leases are in memory only: all addresses are static, so that a service which never saw a VM gives it the very address it has. It
says so at once because it is the authoritative one; otherwise it would refuse to renew what another host's service gave. The names
of VMs are in a file, not taken from leases, or the name of a VM that is gone would be answered until its lease ends; for the same
reason DHCP tells no host names. Hosts have no tags: dnsmasq 2.90 crashes when it reads the file again after a tag was used.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Network

from .definition import Definition, Host, Subnet
from .names import INNER, server_id
from .places import CONFIG, DEFINITION, HOSTS, NAMES

RELOADED = (HOSTS, NAMES)  # dnsmasq reads these again on SIGHUP
LEASES = 1_000_000  # more than a network has hosts
ADVERTISE_SECONDS = 60


def texts(wanted: Definition, mtu: int, run: str) -> dict[str, str]:
    """Return the files of a network by name; ``run`` is the folder where the service has its copies."""
    return {
        CONFIG: "".join(f"{line}\n" for line in _config(wanted, mtu, run)),
        HOSTS: "".join(map(_host_line, wanted.hosts)),
        NAMES: "".join(_name_lines(wanted)),
        DEFINITION: json.dumps(wanted.as_json(), indent=1, sort_keys=True) + "\n",
    }


def _config(wanted: Definition, mtu: int, run: str) -> list[str]:
    return [
        f"# Of the virtual network {wanted.name}, by edge.cloud: changes are lost.",
        f"interface={INNER}",
        "except-interface=lo",
        "pid-file=",
        "log-facility=-",
        "no-hosts",
        "no-resolv",
        "no-poll",
        "no-ping",
        "leasefile-ro",
        f"dhcp-lease-max={LEASES}",
        "dhcp-authoritative",
        "dhcp-ignore=tag:!known",
        "dhcp-ignore-names",
        f"dhcp-hostsfile={run}/{HOSTS}",
        f"addn-hosts={run}/{NAMES}",
        "domain-needed",
        "bogus-priv",
        *(f"server={address}" for address in wanted.forwarders),
        *((f"local=/{wanted.domain}/",) if wanted.domain else ()),
        *_options(wanted, mtu),
        *(line for place, subnet in enumerate(wanted.subnets) for line in _subnet(f"s{place}", subnet, wanted)),
        *_advertised(wanted, mtu),
    ]


def _options(wanted: Definition, mtu: int) -> list[str]:
    found = [f"dhcp-option=option:mtu,{mtu}"]
    if wanted.domain:
        found += [f"dhcp-option=option:domain-name,{wanted.domain}", f"dhcp-option=option6:domain-search,{wanted.domain}"]
    return found


def _subnet(tag: str, subnet: Subnet, wanted: Definition) -> list[str]:
    network = subnet.network
    if not isinstance(network, IPv4Network):
        servers = [f"[{address}]" for address in wanted.dns if ":" in address] or [f"[{subnet.address}]"]
        return [
            f"dhcp-range=set:{tag},{network.network_address},static,{network.prefixlen},{wanted.lease_seconds}",
            f"dhcp-option=tag:{tag},option6:dns-server,{','.join(servers)}",
        ]
    servers = [address for address in wanted.dns if ":" not in address] or [subnet.address]
    found = [
        f"dhcp-range=set:{tag},{network.network_address},static,{network.netmask},{wanted.lease_seconds}",
        f"dhcp-option=tag:{tag},option:dns-server,{','.join(servers)}",
        f"dhcp-option=tag:{tag},option:router{',' + subnet.gateway if subnet.gateway else ''}",
    ]
    if subnet.routes:  # a client that gets routes ignores the option for the router (RFC 3442)
        pairs = [(route.to, route.via) for route in subnet.routes]
        if subnet.gateway and "0.0.0.0/0" not in dict(pairs):
            pairs.append(("0.0.0.0/0", subnet.gateway))
        found.append(f"dhcp-option=tag:{tag},option:classless-static-route,{','.join(f'{to},{via}' for to, via in pairs)}")
    return found


def _advertised(wanted: Definition, mtu: int) -> list[str]:
    """Return what makes VMs ask for addresses by DHCPv6; the service is not a router, which the lifetime 0 says."""
    if all(subnet.network.version == 4 for subnet in wanted.subnets):
        return []
    return ["enable-ra", f"ra-param={INNER},mtu:{mtu},{ADVERTISE_SECONDS},0", f"dhcp-duid={server_id(wanted.name)}"]


def _host_line(host: Host) -> str:
    shown = (f"[{address}]" if ":" in address else address for address in host.addresses)
    return f"{host.mac},{','.join(shown)}\n"


def _name_lines(wanted: Definition) -> list[str]:
    if not wanted.domain:
        return []
    return [f"{address} {host.hostname}.{wanted.domain} {host.hostname}\n" for host in wanted.hosts for address in host.addresses]
