# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps that which a link carries from moving to a bridge, or back, whole. Pure."""

from __future__ import annotations

from ..._errors import Refused
from ..link.model import Host, Link
from ..link.routes import Address

UPON = ("macvlan", "macvtap", "ipvlan", "ipvtap")


def in_order(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    """Return addresses in the order in which they were added: the kernel lists those of IPv6 newest first."""
    older = [address for address in addresses if address.version == 4]
    return (*older, *(address for address in addresses[::-1] if address.version == 6))


def to_drop(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    """Return addresses in the order in which the kernel lets go of each alone.

    With the first of an IPv4 subnet it removes the others, and with one of IPv6 the temporary ones that it made of it.
    """
    newest_first = addresses[::-1]
    return tuple(sorted(newest_first, key=lambda address: not address.temporary))


def refuse_held(host: Host, link: Link, option: str, to: str) -> None:
    """Raise Refused that names all that ``link`` has and that cannot be put on ``to``."""
    held = [f"the address {address.cidr} {address.held}" for address in link.addresses if address.held]
    held += [f"the route to {route.dst} in table {route.table} {route.held}" for route in host.routes_of(link.name) if route.held]
    if held:
        raise Refused(
            f"{option}: what {link.name} carries cannot move to {to} whole: {'; '.join(held)}. Remove that first and add it over"
            f" {to} afterwards, or use another card.",
            option=option,
            port=link.name,
            held=held,
        )


def refuse_tied(host: Host, link: Link, bridge: str) -> None:
    """Raise Refused that names all that ties itself to ``link`` by its name, and would lose it when it becomes a port."""
    tied = [rule.text for rule in host.rules if rule.dev == link.name]
    tied += [
        f"the {upon.kind} {upon.name} upon it" for upon in host.links.values() if upon.kind in UPON and upon.lower == link.name
    ]
    tied += [f"the IPv6 token {link.token} (ip token)"] if link.token else []
    if tied:
        raise Refused(
            f"ports: {link.name} cannot become a port of {bridge}, since it would break {'; '.join(tied)}. Remove that first and"
            f" make it for {bridge} afterwards, or use another card.",
            option="ports",
            port=link.name,
            held=tied,
        )
