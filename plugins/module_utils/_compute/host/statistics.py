# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics of many domains by one call to libvirt, as JSON with units in bytes and nanoseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._errors import Unsupported
from ..._libvirt import intent, libvirt
from ..._sizes import KIB

BLOCK = {"rd.reqs": "reads", "rd.bytes": "read_bytes", "wr.reqs": "writes", "wr.bytes": "written_bytes", "allocation": "allocation"}
NET = {"rx.bytes": "received_bytes", "rx.pkts": "received_packets", "tx.bytes": "sent_bytes", "tx.pkts": "sent_packets"}


def read_statistics(connection: Any, domains: Sequence[Any] | None = None) -> dict[str, dict[str, Any]]:
    """Return name → statistics of every domain, or of these; one that is busy gives what it can without waiting.

    Empty where the driver has none.
    """
    try:
        with intent("read the statistics of the domains"):
            flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
            rows = connection.getAllDomainStats(0, flags) if domains is None else connection.domainListGetStats(domains, 0, flags)
    except Unsupported:
        return {}
    return {domain.name(): shape(values) for domain, values in rows}


def shape(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return libvirt's flat names as an object: processor time, memory, and disks by their device name."""
    memory = values.get("balloon.current")
    return {
        "cpu_time": values.get("cpu.time"),
        "memory": memory * KIB if memory is not None else None,
        "resident_memory": values["balloon.rss"] * KIB if "balloon.rss" in values else None,
        "disks": {name: row for name, row in _rows(values, "block", BLOCK) if name},
        "interfaces": {name: row for name, row in _rows(values, "net", NET) if name},
    }


def _rows(values: Mapping[str, Any], group: str, names: Mapping[str, str]) -> list[tuple[str | None, dict[str, Any]]]:
    found = []
    for number in range(values.get(f"{group}.count", 0)):
        prefix = f"{group}.{number}."
        found.append((values.get(prefix + "name"), {ours: values.get(prefix + theirs) for theirs, ours in names.items()}))
    return found
