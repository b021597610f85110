# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describes what runs on a hypervisor, a hundred domains as quickly as a few."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from ..model.host_facts import Folders
from ..model.image_tools import ReadTool
from ..model.spec import SEED
from ..model.state import view
from ..model.virtual_network import DhcpTool, NoNetworks
from .addresses import addresses_of
from .observe import ObservedDomain, see_all, see_one, vm_of, with_files
from .statistics import read_statistics

READERS = 8


def read_seen(connection: Any, name: str | None = None) -> list[ObservedDomain]:
    """Return every domain of the connection by name, or the one of this name."""
    if name is None:
        return list(see_all(connection).values())
    one = see_one(connection, name)
    return [one] if one else []


def describe_all(
    connection: Any, tool: ReadTool, folders: Folders, name: str | None = None, dhcp: DhcpTool | None = None
) -> list[dict[str, Any]]:
    """Return every domain of the host (or the one of this name) by name, ours or not, with its chains and statistics.

    Reads several domains at a time: a guest agent that does not answer holds up its own domain only.
    """
    found = read_seen(connection, name)
    told = (dhcp or NoNetworks()).told() if found else {}
    statistics = read_statistics(connection, [seen.handle for seen in found] if name else None) if found else {}

    def describe(seen: ObservedDomain) -> dict[str, Any] | None:
        state = with_files(vm_of(seen, folders), tool, folders)
        if state.config is None:
            return None
        shown = {**view(state), **addresses_of(seen.handle, state, told), "statistics": statistics.get(state.name)}
        return {**shown, "disks": [{**disk, "chain": _chain(disk, tool)} for disk in shown["disks"]]}

    with ThreadPoolExecutor(READERS) as pool:
        return [one for one in pool.map(describe, found) if one]


def _chain(disk: dict[str, Any], tool: ReadTool) -> list[dict[str, Any]]:
    if disk["name"] == SEED or not disk.get("path"):
        return []
    return [asdict(overlay) for overlay in tool.chain(disk["path"], disk["format"])]
