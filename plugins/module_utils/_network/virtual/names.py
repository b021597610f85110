# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, marks and MAC addresses of the links of virtual networks: the same at every run, and ours by their prefix. Pure.

A name of up to 11 characters is part of the link's name; a longer one is replaced by a hash. systemd-networkd knows ours by these
prefixes to leave the links alone.
"""

from __future__ import annotations

from hashlib import sha256

from ..._taps import PREFIX as TAP
from ..._taps import short
from ..._taps import tap_link as tap_link  # noqa: PLC0414 - one of the names of this room, which domains use too

BRIDGE, VXLAN, VLAN = "evb-", "evx-", "evl-"
PREFIXES = (BRIDGE, VXLAN, VLAN, TAP)
LONGEST_LINK = 15
LONGEST = LONGEST_LINK - len(BRIDGE)
MARK = "edge.cloud network "
MAKING = "4077"  # group of a link that was made and has no mark yet: the kernel takes no mark at creation


def bridge_link(network: str) -> str:
    """Return the name of the bridge of a network."""
    return _link(BRIDGE, network)


def vxlan_link(network: str) -> str:
    """Return the name of the VXLAN link of a network."""
    return _link(VXLAN, network)


def vlan_link(network: str) -> str:
    """Return the name of the 802.1Q link of a network."""
    return _link(VLAN, network)


def links_of(network: str) -> tuple[str, ...]:
    """Return the names of all links that a network can have, of whichever type."""
    return bridge_link(network), vxlan_link(network), vlan_link(network)


def mark(network: str) -> str:
    """Return the alias that says which network a link belongs to; a link without it is never changed."""
    return MARK + network


def marked_for(alias: str) -> str | None:
    """Return the network that an alias names, or None if it is not ours."""
    return alias.removeprefix(MARK) if alias.startswith(MARK) else None


def bare(link: str, alias: str) -> bool:
    """Return whether a link is one alone, of the modules vlan and vxlan: it bears the mark of its own name."""
    return marked_for(alias) == link


def mac_of(machine_id: str, link: str) -> str:
    """Return the MAC address of a link: the same at every run, another on each host, locally administered, unicast."""
    first, *others = sha256(f"{machine_id.strip()} {link}".encode()).digest()[:6]
    return ":".join(f"{byte:02x}" for byte in (first & 0xFC | 0x02, *others))


def _link(prefix: str, network: str) -> str:
    return prefix + (network if len(network) <= LONGEST else short(network, LONGEST))
