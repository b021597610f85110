# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring one bridge of this host to the requested state: observe, plan, apply. Modules and host programs call this."""

from __future__ import annotations

from typing import Any

from ..._errors import Conflict
from ..._plan import Plan, execute
from ..link.iproute import IpRoute
from ..link.model import Host
from .networkd import Networkd
from .plan import BridgeRequest, boot_mac, plan
from .steps import BridgeState, RemoveBootFile, WriteBootFile, bridge_of


def observe(ip: IpRoute, networkd: Networkd, name: str) -> BridgeState:
    """Return the live bridge ``name`` and its boot files."""
    return BridgeState(bridge_of(Host(ip.links()), name), tuple(sorted(networkd.read(name).items())))


def reconcile(
    ip: IpRoute, networkd: Networkd, wanted: BridgeRequest, *, check: bool
) -> tuple[Plan[BridgeState], BridgeState | None]:
    """Return the plan and, unless ``check``, the state after it was carried out."""
    host = ip.observe()
    if wanted.boot == "networkd" and wanted.present:
        ports = wanted.ports if wanted.ports is not None else host.ports(wanted.name)
        networkd.require(wanted.name, ports, host.links, boot_mac(host, wanted))
    made = plan(host, networkd.read(wanted.name), wanted)
    if check:
        return made, None

    def apply(step: Any) -> None:
        if isinstance(step, WriteBootFile | RemoveBootFile):
            networkd.apply(step)
        else:
            ip.apply(step)

    execute(made, apply)
    return made, observe(ip, networkd, wanted.name)


def listing(ip: IpRoute, networkd: Networkd, name: str | None = None) -> list[dict[str, Any]]:
    """Return all bridges of this host, or only ``name``, as JSON sorted by name; only files that we wrote are read."""
    host = Host(ip.links())
    names = sorted(link.name for link in host.links.values() if link.kind == "bridge" and name in (None, link.name))
    return [BridgeState(bridge_of(host, found), _boot(networkd, found)).view() for found in names]


def _boot(networkd: Networkd, name: str) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(sorted(networkd.read(name).items()))
    except Conflict:
        return ()
