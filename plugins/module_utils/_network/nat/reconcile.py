# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring one NAT network of this host to the requested state: observe, plan, apply. Modules and host programs call this."""

from __future__ import annotations

from ipaddress import IPv4Network

from ..._errors import Conflict
from ..._plan import Plan, execute
from ..link.addressing import refuse_overlap
from ..link.iproute import IpRoute
from .libvirt_networks import LibvirtNetworks
from .plan import NatRequest, NetworkState, plan


def reconcile(
    networks: LibvirtNetworks, ip: IpRoute, wanted: NatRequest, *, check: bool
) -> tuple[Plan[NetworkState], NetworkState | None]:
    """Return the plan and the state after it; with ``check`` nothing is changed and the state is the prediction.

    Raises Conflict before any change where the subnet overlaps one that the host uses or the bridge's name is in use.
    """
    made = plan(networks.observe(wanted.name), wanted)
    _refuse_conflicts(networks, ip, made)
    if check:
        return made, made.after
    execute(made, networks.apply)
    return made, networks.observe(wanted.name)


def _refuse_conflicts(networks: LibvirtNetworks, ip: IpRoute, made: Plan[NetworkState]) -> None:
    before, after = made.before, made.after
    if after is None or not made.changed:
        return
    running = before is not None and before.live is not None
    old_bridge = before.live.bridge if before is not None and before.live is not None else None
    bridge, subnet = after.config.bridge, after.config.subnet
    networks.refuse_bridge(bridge, after.name)
    if bridge != old_bridge and bridge in ip.links():
        raise Conflict(f"bridge: a link {bridge} exists on this host already; choose another name.", option="bridge")
    if not running or before is None or before.config.subnet != subnet:
        refuse_overlap(IPv4Network(subnet), [*ip.taken(without=old_bridge), *networks.taken(after.name)])
