# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses a link of a network, and would be cut off if it went. Pure."""

from __future__ import annotations

from ..._errors import Refused
from ..._shown import few
from .definition import Wanted
from .state import Facts, NetworkState, VirtualLink


def may_go(facts: Facts, wanted: Wanted, state: NetworkState, link: VirtualLink, instead: VirtualLink | None) -> None:
    """Raise Refused if anything uses a bridge, or a link alone, that is to be removed, or replaced by ``instead``."""
    uses = _uses(facts, state, link)
    if wanted.allow_disruption or not uses:
        return
    path = f"{wanted.where}{_option(wanted, link, instead)}"
    what = f"{link.kind} {link.name} of the network {wanted.name}" if link.kind == "bridge" else f"{link.kind} {link.name}"
    how = "stop or move the VMs" if link.kind == "bridge" else "take them off first"
    raise Refused(
        f"{path}: the {what} has {' and '.join(uses)}, which would be cut off; {how}, or set allow_disruption.",
        option=path,
        network=wanted.name,
        ports=list(state.ports),
        addresses=[address.cidr for address in facts.links[link.name].addresses],
    )


def may_filter(facts: Facts, wanted: Wanted, state: NetworkState, bridge: VirtualLink, on: bool) -> None:
    """Raise Refused if a bridge that is in use is to tell VLANs apart from now on, or no longer; ``on`` is what is wanted.

    A bridge that somebody else changed is set back without consent: what it does now is not what was asked for.
    """
    ports = [*state.ports, *_over(facts, bridge)]
    if wanted.allow_disruption or not ports or (state.boot or {}).get("vlan_filtering", False) == on:
        return
    path = f"{wanted.where}vlan_filtering"
    cut = "frames with a tag would be dropped until bridge vlan lets them pass" if on else "what VLANs keep apart would be together"
    raise Refused(
        f"{path}: {bridge.name} of the network {wanted.name} has {few(ports)}, for which {cut}; stop or move the VMs, or set"
        " allow_disruption.",
        option=path,
        network=wanted.name,
        ports=ports,
    )


def _over(facts: Facts, link: VirtualLink) -> list[str]:
    return [one.name for one in facts.links.values() if link.name in (one.lower, one.data.get("link"))]


def _uses(facts: Facts, state: NetworkState, link: VirtualLink) -> list[str]:
    """Return what is there because of a link, in words."""
    over = _over(facts, link)
    addresses = [address.cidr for address in facts.links[link.name].addresses]
    return [
        *([f"the ports {few(state.ports)}"] if state.ports else ()),
        *([f"the addresses {few(addresses)} of this host"] if addresses else ()),
        *([f"the master {link.master}"] if link.master else ()),
        *([f"upon it {few(over)}"] if over else ()),
    ]


def _option(wanted: Wanted, link: VirtualLink, instead: VirtualLink | None) -> str:
    """Return the option that has the link go."""
    if wanted.definition is None:
        return "state"
    before, after = dict(link.details), dict(instead.details) if instead else {}
    return next((key for key, value in after.items() if before.get(key) != value), "type")
