# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large a packet of a virtual network may be, from the MTU of what carries it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..link.model import Link

VXLAN = {4: 50, 6: 70}  # inner Ethernet 14, VXLAN 8, UDP 8, IPv4 20 or IPv6 40
TAG = 4
# A card sends frames that are 4 bytes longer for one tag. A tunnel does not, nor does a card for a second tag.
WITHOUT_ROOM_FOR_A_TAG = ("vlan", "vxlan", "geneve", "gretap", "ip6gretap", "macvlan", "macsec")
SMALLEST = {4: 576, 6: 1280}  # what each host must be able to receive


def vxlan_overhead(version: int) -> int:
    """Return the bytes that VXLAN takes of the underlay's MTU; ``version`` is the IP version of the underlay."""
    return VXLAN[version]


def vlan_overhead(links: Mapping[str, Link], underlay: str) -> int:
    """Return the bytes that an 802.1Q tag takes of the underlay's MTU: none on a card, 4 where a tunnel or a tag is below."""
    return TAG if any(link.kind in WITHOUT_ROOM_FOR_A_TAG for link in below(links, underlay)) else 0


def below(links: Mapping[str, Link], name: str) -> list[Link]:
    """Return a link and all that frames of it leave by: its lower links and, of a bridge or bond, its ports except VMs'."""
    found: dict[str, Link] = {}
    left = [name]
    while left:
        one = left.pop()
        if one in found or one not in links:
            continue
        found[one] = links[one]
        left += [links[one].lower, *(link.name for link in links.values() if link.master == one and not link.of_vm)]
    return list(found.values())
