# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a host from having a public address, found before any change. Pure."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network

from ..._errors import Conflict, EdgeError, NotFound, Refused
from ..._shown import few
from ..link.model import Link
from .definition import Definition
from .needs import proxy_ndp, uplink_of
from .state import Facts


def check(given: Definition, facts: Facts) -> None:
    """Raise an error that begins with the option's path where the host cannot have the address."""
    _check_owner(given, facts)
    bridge = _bridge(given, facts)
    _check_free(facts, given.address, "address")
    _check_subnets(given, facts, bridge)
    if given.private_address:
        _check_free(facts, given.private_address, "private_address")
    uplink = _uplink(given, facts)
    _check_forwarding(given, facts, uplink)
    _check_policy(given, facts, uplink)


def _fail(kind: type[EdgeError], option: str, text: str) -> EdgeError:
    return kind(f"{option}: {text}", option=option)


def _check_owner(given: Definition, facts: Facts) -> None:
    """Raise where another NIC has one of the addresses, as public one or behind NAT."""
    had = facts.record.get(given.address)
    if had and (had.tap, had.mac) != (given.tap, given.mac):
        raise _fail(
            Conflict,
            "address",
            f"{given.address} belongs to {_owner(had)} on this host; take it from there first (state: absent).",
        )
    for other in facts.record.values():
        if other.address != given.address and given.of_guest in (other.address, other.of_guest):
            option = "private_address" if given.private_address else "address"
            raise _fail(
                Conflict,
                option,
                f"{given.of_guest} has the public address {other.address} already ({_owner(other)}); a host routes it to one only.",
            )
        if given.address == other.private_address:
            raise _fail(Conflict, "address", f"{given.address} is the private address of {_owner(other)}; use another.")


def _owner(found: Definition) -> str:
    return f"the NIC {found.tap} ({found.mac})" + (f" of the VM {found.vm}" if found.vm else "")


def _bridge(given: Definition, facts: Facts) -> Link:
    found = facts.links.get(given.bridge)
    if found is None:
        bridges = sorted(link.name for link in facts.links.values() if link.kind == "bridge")
        raise _fail(NotFound, "bridge", f"there is no {given.bridge} on this host; its bridges are {few(bridges)}.")
    if found.kind != "bridge":
        raise _fail(Conflict, "bridge", f"{given.bridge} is not a bridge; name that of the NIC.")
    tap = facts.links.get(given.tap)
    if tap is not None and tap.master != given.bridge:
        raise _fail(Conflict, "tap", f"{given.tap} is {_port(tap)}, not of {given.bridge}; name the bridge of the NIC.")
    return found


def _port(tap: Link) -> str:
    return f"a port of {tap.master}" if tap.master else "a port of no bridge"


def _check_free(facts: Facts, address: str, option: str) -> None:
    """Raise where the host itself, or somebody else by a route or proxy, has an address."""
    for link in facts.links.values():
        if any(ip_interface(one.cidr).ip == ip_address(address) for one in link.addresses):
            raise _fail(
                Conflict,
                option,
                f"{address} is this host's own, on {link.name}; take it off there (also where it is configured at boot), or give"
                " another.",
            )
    found = facts.foreign.get(address)
    if found:
        raise _fail(Conflict, option, f"{address} has {found} on this host, which is not ours; remove that first.")


def _check_subnets(given: Definition, facts: Facts, bridge: Link) -> None:
    """Raise where the public address is one of the network's own, or the private one is not."""
    own = {str(ip_interface(one.cidr).network) for one in bridge.addresses if not one.cidr.endswith(("/32", "/128"))}
    subnets = [ip_network(one) for one in {*own, *facts.subnets.get(bridge.name, ())}]
    subnets = sorted((one for one in subnets if one.version == given.version), key=str)
    within = next((one for one in subnets if ip_address(given.address) in one), None)
    if within:
        raise _fail(
            Conflict,
            "address",
            f"{given.address} is in {within}, a subnet of the network on {bridge.name}, where it needs no route; a public address"
            " is from outside of the network.",
        )
    if given.private_address and subnets and not any(ip_address(given.private_address) in one for one in subnets):
        raise _fail(
            Conflict,
            "private_address",
            f"{given.private_address} is in none of the subnets on {bridge.name}: {few(map(str, subnets))}; give the guest's.",
        )


def _uplink(given: Definition, facts: Facts) -> Link:
    name = uplink_of(given, facts)
    if name is None:
        raise _fail(
            NotFound,
            "uplink",
            f"this host has no default route of IPv{given.version}, and which link leads to others is not clear; name it.",
        )
    found = facts.links.get(name)
    if found is None:
        raise _fail(NotFound, "uplink", f"there is no link {name} on this host; there is {few(sorted(set(facts.links) - {'lo'}))}.")
    if not any(route.version == given.version and route.dev == name and not route.ours for route in facts.routes):
        raise _fail(
            NotFound, "uplink", f"{name} has no route of IPv{given.version}, so that no answer of the VM could leave by it."
        )
    if given.bridge in (name, found.lower) or found.master == given.bridge:
        raise _fail(
            Conflict,
            "bridge",
            f"{given.bridge} is the uplink itself, or {name} is a port of it; a VM there has its public address without a route.",
        )
    return found


def _check_forwarding(given: Definition, facts: Facts, uplink: Link) -> None:
    if given.version == 4:
        paths = [f"net/ipv4/conf/{name}/forwarding" for name in (uplink.name, given.bridge)]
        cure = "set net.ipv4.ip_forward = 1, now and in /etc/sysctl.d"
    else:
        paths = ["net/ipv6/conf/all/forwarding"]
        cure = (
            "set net.ipv6.conf.all.forwarding = 1, now and in /etc/sysctl.d; where the host's own routes come from router"
            f" advertisements, set net.ipv6.conf.{uplink.name}.accept_ra = 2 first"
        )
    for path in paths:
        if facts.settings.get(path) != "1":
            shown = facts.settings.get(path, "not there")
            raise _fail(Refused, "address", f"this host does not forward IPv{given.version} ({path} is {shown}); {cure}.")


def _check_policy(given: Definition, facts: Facts, uplink: Link) -> None:
    """Raise where a file of the host's administrator forbids answers for others."""
    for scope in ("all", uplink.name) if uplink.ethernet else ():
        path = f"net/ipv4/conf/{scope}/proxy_arp" if given.version == 4 else proxy_ndp(scope)
        if path in facts.policy:
            raise _fail(
                Refused,
                "address",
                f"{facts.policy[path]} sets {path} to 0, so that this host is not to answer for addresses of others, as it would"
                f" on {uplink.name} for {given.address}; take that line out if it may.",
            )
