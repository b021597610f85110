# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that change the service of a network. Pure: a step only names its commands and files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from . import filtering
from .names import INNER, link_local, link_of, mark, port_mac, service_mac, space_of, unit_of
from .state import Files, Port, Space, State
from .texts import RELOADED

SPACES = "/run/netns"
LEAST_FOR_IPV6 = 1280  # a link with less has no IPv6, nor settings of it
CLOSED = {
    "net.ipv4.ip_forward": "0",
    "net.ipv4.conf.all.accept_redirects": "0",
    "net.ipv6.conf.all.forwarding": "0",
    "net.ipv6.conf.default.accept_ra": "0",
    "net.ipv6.conf.default.accept_redirects": "0",
    "net.ipv6.conf.default.accept_dad": "0",
    "net.ipv6.conf.default.disable_ipv6": "0",
}


@dataclass(frozen=True)
class Run:
    """A command, with what it reads. ``shows`` finds what the command removes: where it no longer does, all is well."""

    argv: tuple[str, ...]
    stdin: str | None = None
    shows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """One step: commands, or files that are written (None: all are removed), and the fields that differ afterwards."""

    sentence: str
    becomes: tuple[tuple[str, Any], ...]
    runs: tuple[Run, ...] = ()
    writes: Files | None = ()

    def predict(self, state: State) -> State:
        """See Step."""
        return replace(state, **dict(self.becomes))


def inside(network: str, *argv: str) -> tuple[str, ...]:
    """Return a command that runs in the service's name space."""
    return ("nsenter", f"--net={SPACES}/{space_of(network)}", *argv)


def _batch(program: tuple[str, ...], lines: Iterable[str]) -> Run:
    return Run((*program, "-batch", "-"), "".join(f"{line}\n" for line in lines))


def bar(state: State, routed: bool) -> Change:
    """Keep the service's frames from all but the taps of VMs, also the host, which is the gateway with ``routed``."""
    return Change(
        f"Bar {link_of(state.name)} from all ports but those of VMs",
        (("filter", filtering.with_network(state.name, routed, state.filter)),),
        (Run(("nft", "-f", "-"), filtering.added(state.name, routed, state.filter)),),
    )


def unbar(state: State) -> Change:
    """Remove the rules of a network that is gone."""
    return Change(
        f"Remove the filter of {link_of(state.name)}",
        (("filter", filtering.without_network(state.name, state.filter)),),
        (Run(("nft", "-f", "-"), filtering.removed(state.name, state.filter)),),
    )


def make_space(network: str, new: bool) -> Change:
    """Make the name space, or close one that is there."""
    close = Run(inside(network, "sysctl", "-q", "-e", "-w", *(f"{key}={value}" for key, value in CLOSED.items())))
    make = (Run(("ip", "netns", "add", space_of(network))),) if new else ()
    return Change(
        f"{'Make' if new else 'Close'} the name space {space_of(network)}", (("space", Space(closed=True)),), (*make, close)
    )


def remove_space(network: str) -> Change:
    """Remove the name space."""
    return Change(
        f"Remove the name space {space_of(network)}",
        (("space", None), ("broken", False)),
        (Run(("ip", "netns", "delete", space_of(network))),),
    )


def make_pair(network: str, mtu: int) -> Change:
    """Make the link between the bridge and the name space; the mark follows at once, since the kernel takes none at creation."""
    port = link_of(network)
    lines = (
        f"link add name {port} address {port_mac(network)} mtu {mtu} type veth"
        f" peer name {INNER} address {service_mac(network)} mtu {mtu} netns {space_of(network)}",
        f'link set dev {port} alias "{mark(network)}"',
        *_without_address(port, mtu),
    )
    space = Space(closed=True, linked=True, mac=service_mac(network), mtu=mtu)
    return Change(
        f"Make the link {port}",
        (("port", Port(True, True, mtu=mtu)), ("space", space)),
        (_batch(("ip",), lines),),
    )


def remove_pair(state: State) -> Change:
    """Remove the link, with its other end; the kernel may be first, if that end was in a name space that just ended."""
    port = link_of(state.name)
    return Change(
        f"Remove the link {port}",
        (("port", None), ("space", replace(state.space, linked=False) if state.space else None)),
        (Run(("ip", "link", "delete", "dev", port, "type", "veth"), shows=("ip", "link", "show", "dev", port)),),
    )


def set_inner(network: str, space: Space, wanted: Space) -> Change:
    """Give the service its MAC address, addresses and way to forwarders; duplicates on other hosts are meant, hence nodad."""
    lines = [f"addr del {address} dev {INNER}" for address in sorted(space.addresses - wanted.addresses)]
    lines += [f"link set dev {INNER} mtu {wanted.mtu}", *_without_address(INNER, wanted.mtu)[:1]]
    if space.mac != wanted.mac:
        lines.append(f"link set dev {INNER} address {wanted.mac}")
    lines += [_add(address) for address in sorted(wanted.addresses - space.addresses)]
    lines.append(f"link set dev {INNER} up")
    lines += [f"route del default via {one} dev {INNER}" for one in sorted(space.gateways - wanted.gateways)]
    lines += [f"route replace default via {one} dev {INNER}" for one in sorted(wanted.gateways)]
    return Change(
        f"Give the service the addresses {', '.join(sorted(wanted.addresses))}",
        (("space", wanted),),
        (_batch(("ip", "-n", space_of(network)), lines),),
    )


def _add(address: str) -> str:
    return f"addr {'replace' if ':' in address else 'add'} {address} dev {INNER}" + (" nodad" if ":" in address else "")


def _without_address(link: str, mtu: int) -> tuple[str, ...]:
    """Return what keeps the kernel from giving a link an address, and what removes one that it gave when the MTU rose."""
    if mtu < LEAST_FOR_IPV6:
        return ()
    return f"link set dev {link} addrgenmode none", f"addr flush dev {link} to fe80::/64"


def attach(network: str, bridge: str, mtu: int) -> Change:
    """Make the link a port of the bridge, which gets a permanent entry of where the service's MAC address is."""
    port = link_of(network)
    return Change(
        f"Attach {port} to the bridge {bridge}",
        (("port", Port(True, True, bridge, mtu, up=True, known=True)),),
        (
            _batch(
                ("ip",),
                (
                    f'link set dev {port} alias "{mark(network)}" mtu {mtu}',
                    *_without_address(port, mtu),
                    f"link set dev {port} master {bridge} up",
                ),
            ),
            Run(("bridge", "fdb", "replace", service_mac(network), "dev", port, "master", "static", "sticky")),
        ),
    )


def write(network: str, files: Files) -> Change:
    """Write the files of a network."""
    return Change(f"Write the files of {network}", (("files", files),), writes=files)


def forget(network: str) -> Change:
    """Remove the files of a network."""
    return Change(f"Remove the files of {network}", (("files", ()),), writes=None)


def start(network: str, files: Files, running: bool) -> Change:
    """Start the service, or start it again where a change needs that; its counter of failures starts over."""
    unit = unit_of(network)  # the first command fails for a unit that was never loaded
    again = (Run(("systemctl", "reset-failed", "--", unit), shows=("systemctl", "is-failed", "--quiet", "--", unit)),)
    return Change(
        f"{'Restart' if running else 'Start'} {unit}",
        (("running", True), ("loaded", files)),
        (*(() if running else again), Run(("systemctl", "restart" if running else "start", "--", unit))),
    )


def reload(network: str, files: Files) -> Change:
    """Let the service read its hosts again, while it goes on."""
    return Change(f"Reload {unit_of(network)}", (("loaded", files),), (Run(("systemctl", "reload", "--", unit_of(network))),))


def stop(network: str) -> Change:
    """Stop the service."""
    return Change(
        f"Stop {unit_of(network)}",
        (("running", False), ("loaded", ())),
        (Run(("systemctl", "stop", "--", unit_of(network))),),
    )


def only_reloaded(files: Files, loaded: Files) -> bool:
    """Return whether the running service needs no restart to get from ``loaded`` to ``files``."""
    return {item for item in files if item[0] not in RELOADED} == {item for item in loaded if item[0] not in RELOADED}


def inner(network: str, mtu: int, addresses: Iterable[str], gateways: Iterable[str]) -> Space:
    """Return what the name space must be."""
    return Space(
        True,
        True,
        service_mac(network),
        mtu,
        True,
        frozenset({*addresses, *([f"{link_local(network)}/64"] if mtu >= LEAST_FOR_IPV6 else [])}),
        frozenset(gateways),
    )
