# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bridge should be, what prevents it, and the smallest steps to it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface
from typing import Any

from ..._errors import Conflict, InvalidInput, NotFound, Refused
from ..._plan import Plan, Step
from ..._shown import few, nearest
from ..link.addressing import interface_address, link_name, mac_address, mtu_bytes
from ..link.model import Host, Link
from ..link.routes import Address, Route
from .boot_files import boot_files
from .movable import in_order, refuse_held, refuse_tied, to_drop
from .steps import (
    AddBridge,
    AttachPort,
    Bridge,
    BridgeState,
    DetachPort,
    RemoveBootFile,
    RemoveBridge,
    SetAddresses,
    SetField,
    WriteBootFile,
    bridge_of,
)

Steps = Iterator[Step[BridgeState]]
SCALARS = ("mtu", "mac", "stp", "forward_delay")
FORWARD_DELAY_WITH_STP = (2.0, 30.0)


@dataclass(frozen=True)
class BridgeRequest:
    """What a user asked of a bridge; None leaves a field as it is. ``boot`` is ``networkd``, ``none`` or None."""

    name: str
    present: bool = True
    ports: tuple[str, ...] | None = None
    addresses: tuple[str, ...] | None = None
    mtu: int | None = None
    mac: str | None = None
    stp: bool | None = None
    forward_delay: float | None = None
    boot: str | None = None
    allow_disruption: bool = False

    @classmethod
    def checked(cls, options: Mapping[str, Any]) -> BridgeRequest:
        """Return the canonical form of a user's options, or raise InvalidInput that names the bad one."""
        name = link_name(options["name"])
        ports, addresses, delay = options.get("ports"), options.get("addresses"), options.get("forward_delay")
        if ports is not None and name in ports:
            raise InvalidInput(f"ports: the bridge {name} cannot be its own port.", option="ports")
        if delay is not None and not 0 <= delay <= FORWARD_DELAY_WITH_STP[1]:
            raise InvalidInput(f"forward_delay: {delay} is out of range; use 0 to 30 seconds.", option="forward_delay")
        return cls(
            name=name,
            present=options.get("state", "present") == "present",
            ports=None if ports is None else tuple(sorted({link_name(port, "ports") for port in ports})),
            addresses=None if addresses is None else tuple(sorted({interface_address(text) for text in addresses})),
            mtu=None if options.get("mtu") is None else mtu_bytes(options["mtu"]),
            mac=None if options.get("mac") is None else mac_address(options["mac"]),
            stp=options.get("stp"),
            forward_delay=delay,
            boot=options.get("boot"),
            allow_disruption=bool(options.get("allow_disruption")),
        )

    @property
    def owned(self) -> tuple[str, ...]:
        """Return the names of the fields that the user gave, which the diff shows."""
        given = tuple(name for name in ("ports", "addresses", *SCALARS) if getattr(self, name) is not None)
        return ("state", "name", "up", *given, "boot_files")


def boot_mac(host: Host, wanted: BridgeRequest) -> str | None:
    """Return the MAC address that the bridge has now and at boot, or None for the kernel's choice.

    Without one in its file networkd would make one up. A bridge that has ports keeps its own, also when ports come and go, unless
    it is that of a port that goes; a new one takes the lowest of its ports.
    """
    link = host.links.get(wanted.name)
    if wanted.mac is not None or wanted.boot != "networkd":
        return wanted.mac
    held = [port for port in host.ports(wanted.name) if not host.links[port].of_vm]
    ports = held if wanted.ports is None else wanted.ports
    going = {host.links[port].mac for port in held if port not in ports}
    if link is not None and link.kind == "bridge" and held and ports and link.mac not in going:
        return link.mac or None
    return min((host.links[port].mac for port in ports if port in host.links and host.links[port].mac), default=None)


def plan(host: Host, boot: Mapping[str, str], wanted: BridgeRequest) -> Plan[BridgeState]:
    """Return the steps from ``host`` and its boot files to ``wanted``.

    Raises Conflict where the name or a port is something else, NotFound for a missing port, Refused for a disruption
    without allow_disruption.
    """
    before = BridgeState(bridge_of(host, wanted.name), tuple(sorted(boot.items())))
    _check_kind(host, wanted.name)
    if not wanted.present:
        return Plan(before, tuple(_removal(host, before, wanted)))
    _check_ports(host, wanted)
    wanted = replace(wanted, mac=boot_mac(host, wanted))
    steps = (*_creation(before, wanted), *_ports(host, before, wanted))
    steps += tuple(_fields(Plan(before, steps), wanted))
    steps += tuple(_addresses(host, Plan(before, steps).after, wanted))
    live = Plan(before, steps)
    return Plan(before, (*steps, *_boot(host, live.after, wanted)))


def _check_kind(host: Host, name: str) -> None:
    link = host.links.get(name)
    if link is not None and link.kind != "bridge":
        kind = f"a link of kind {link.kind}" if link.kind else "a physical link"
        raise Conflict(
            f"name: {name} exists and is {kind}, not a bridge; choose another name or remove it.", option="name", kind=link.kind
        )


def _removal(host: Host, before: BridgeState, wanted: BridgeRequest) -> Steps:
    if before.bridge is not None:
        vms = before.bridge.vm_ports
        if vms and not wanted.allow_disruption:
            carried = ", ".join(vms)
            raise Refused(
                f"state: the bridge {wanted.name} carries VMs ({carried}); stop or move them, or set allow_disruption.",
                option="state",
                ports=list(vms),
            )
        _keep_default(host.routes_of(wanted.name), wanted, "state: removing")
        yield _give_back(host, before.bridge)
    yield from (RemoveBootFile(file) for file, _text in before.boot)


def _give_back(host: Host, bridge: Bridge) -> RemoveBridge:
    """Return the removal by which the only port of a bridge gets what the bridge carried."""
    link, routes = host.links[bridge.name], host.routes_of(bridge.name)
    if len(bridge.ports) != 1 or not (link.addresses or routes):
        return RemoveBridge(bridge.name)
    refuse_held(host, link, "state", bridge.ports[0])
    return RemoveBridge(bridge.name, bridge.ports[0], in_order(link.addresses), routes)


def _keep_default(routes: tuple[Route, ...], wanted: BridgeRequest, doing: str) -> None:
    lost = [route for route in routes if route.is_default]
    if lost and not wanted.allow_disruption:
        raise Refused(
            f"{doing} the bridge {wanted.name} would cut the host's default route via {lost[0].gateway or lost[0].dev};"
            " set allow_disruption if another way to the host is open.",
            option=doing.partition(":")[0],
            gateway=lost[0].gateway,
        )


def _check_ports(host: Host, wanted: BridgeRequest) -> None:
    for name in wanted.ports or ():
        link = host.links.get(name)
        if link is None:
            found = few(nearest(name, set(host.links) - {"lo", wanted.name}))
            raise NotFound(f"ports: the link {name} does not exist on this host (found: {found}).", option="ports", port=name)
        if link.kind == "bridge":
            raise Conflict(f"ports: {name} is a bridge itself; a bridge cannot be a port.", option="ports", port=name)
        if link.master not in (None, wanted.name):
            raise Conflict(
                f"ports: {name} is a port of {link.master}; detach it there first.", option="ports", port=name, master=link.master
            )
        if not link.ethernet:
            raise Conflict(f"ports: {name} is not an Ethernet link; a bridge cannot have it as a port.", option="ports", port=name)
        carried = _carries(host, link)
        if carried and not wanted.allow_disruption:
            raise Refused(
                f"ports: {name} carries {', '.join(carried)}; set allow_disruption to move that to the bridge {wanted.name}.",
                option="ports",
                port=name,
                carries=carried,
            )
        _check_lease(link, wanted)
        refuse_held(host, link, "ports", wanted.name)
        if link.master != wanted.name:
            refuse_tied(host, link, wanted.name)


def _carries(host: Host, link: Link) -> list[str]:
    routes = {"the host's default route" if route.is_default else f"a route to {route.dst}" for route in host.routes_of(link.name)}
    return sorted({*routes, *(address.cidr for address in link.addresses)})


def _check_lease(link: Link, wanted: BridgeRequest) -> None:
    for address in link.addresses:
        if address.leased and address.cidr not in (wanted.addresses or ()):
            raise Refused(
                f"ports: {link.name} has the leased address {address.cidr}, and its lease cannot move to a bridge;"
                f" give {wanted.name} that address or another by addresses.",
                option="ports",
                port=link.name,
                address=address.cidr,
            )


def _creation(before: BridgeState, wanted: BridgeRequest) -> tuple[Step[BridgeState], ...]:
    if before.bridge is not None:
        return ()
    given = {name: getattr(wanted, name) for name in ("mac", "stp", "forward_delay") if getattr(wanted, name) is not None}
    _check_delay(bool(given.get("stp")), given.get("forward_delay", 15.0))
    return (AddBridge(Bridge(wanted.name, **given)), SetField(wanted.name, "up", True))


def _ports(host: Host, before: BridgeState, wanted: BridgeRequest) -> Steps:
    has = before.bridge.ports + before.bridge.vm_ports if before.bridge else ()
    for port in wanted.ports or ():
        link, routes = host.links[port], host.routes_of(port)
        if port not in has or link.addresses or routes:
            yield AttachPort(wanted.name, port, in_order(link.addresses), to_drop(link.addresses), routes)
    if wanted.ports is not None and before.bridge is not None:
        yield from (DetachPort(wanted.name, port) for port in before.bridge.ports if port not in wanted.ports)


def _fields(made: Plan[BridgeState], wanted: BridgeRequest) -> Steps:
    bridge = made.after.bridge
    if bridge is None:
        return
    stp = bridge.stp if wanted.stp is None else wanted.stp
    _check_delay(stp, bridge.forward_delay if wanted.forward_delay is None else wanted.forward_delay)
    # The kernel accepts a short delay only while STP is off, so the delay is set before STP is turned on.
    order = ("mtu", "mac", "forward_delay", "stp") if stp else ("mtu", "mac", "stp", "forward_delay")
    for name in order:
        value = getattr(wanted, name)
        # A new port can change the MTU and MAC address of a bridge, unless they were set; that of a new bridge is.
        unsure = name in ("mtu", "mac")[: 2 if made.before.bridge else 1] and any(
            isinstance(step, AttachPort) for step in made.steps
        )
        if value is not None and (unsure or value != getattr(bridge, name)):
            yield SetField(wanted.name, name, value)
    if not bridge.up:
        yield SetField(wanted.name, "up", True)


def _check_delay(stp: bool, delay: float) -> None:
    low, high = FORWARD_DELAY_WITH_STP
    if stp and not low <= delay <= high:
        raise InvalidInput(f"forward_delay: {delay} s is out of range; STP needs {low:g} to {high:g} s.", option="forward_delay")


def _addresses(host: Host, state: BridgeState, wanted: BridgeRequest) -> Steps:
    if wanted.addresses is None or state.bridge is None:
        return
    has, want = set(state.bridge.addresses), set(wanted.addresses)
    if has == want:
        return
    moved = tuple(route for port in wanted.ports or () for route in host.routes_of(port))
    routes = (*host.routes_of(wanted.name), *moved)
    stay = tuple(route for route in routes if _reachable(route, want))
    _keep_default(tuple(route for route in routes if route not in stay), wanted, "addresses: changing the addresses of")
    held = _addresses_of(host, wanted)
    if has - want and wanted.name in host.links:
        refuse_held(host, host.links[wanted.name], "addresses", wanted.name)
    remove = tuple(held[cidr] for cidr in reversed(held) if cidr in has - want)
    keep = tuple(held.get(cidr, Address(cidr)) for cidr in sorted(has & want))
    yield SetAddresses(wanted.name, tuple(Address(cidr) for cidr in sorted(want - has)), remove, keep, stay)


def _addresses_of(host: Host, wanted: BridgeRequest) -> dict[str, Address]:
    """Return what the bridge and its ports have, in the kernel's order."""
    links = [host.links[name] for name in (wanted.name, *(wanted.ports or ())) if name in host.links]
    return {address.cidr: replace(address, lifetime=()) for link in links for address in link.addresses}


def _reachable(route: Route, addresses: set[str]) -> bool:
    if route.gateway is None or "onlink" in route.words:
        return True
    gateway = ip_address(route.gateway)
    return gateway.is_link_local or any(gateway in ip_interface(address).network for address in addresses)


def _boot(host: Host, after: BridgeState, wanted: BridgeRequest) -> Steps:
    if wanted.boot is None or after.bridge is None:
        return
    links = {wanted.name, *(wanted.ports or ())}
    stay = [route for route in host.routes if route.dev in links and _reachable(route, set(after.bridge.addresses))]
    routes = sorted(stay, key=lambda route: (route.version, route.words))
    held = _addresses_of(host, wanted)
    files = boot_files(after.bridge, routes, mac=wanted.mac, mtu=wanted.mtu, held=held) if wanted.boot == "networkd" else {}
    has = dict(after.boot)
    yield from (WriteBootFile(file, text) for file, text in sorted(files.items()) if has.get(file) != text)
    yield from (RemoveBootFile(file) for file in sorted(has) if file not in files)
