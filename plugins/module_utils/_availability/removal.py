# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides whether a cluster may be taken off its hosts: off all of them at once, and only if it runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._errors import EdgeError, Refused
from .membership import foreign, require_answers
from .model import Seen, read_seen


def decide(cluster: str, names: Mapping[str, str], seen: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """Return the inventory names of the hosts that have something of the cluster, or why it stays.

    ``clean`` are those that have nothing of any cluster after it is taken off them: the packages may go there.
    ``names`` has the name in the cluster of each host that is asked for.
    """
    try:
        ours, clean = _decided(cluster, names, seen)
    except EdgeError as error:
        return {"hosts": [], "clean": [], "refused": error.message}
    return {"hosts": ours, "clean": clean, "refused": ""}


def _decided(cluster: str, names: Mapping[str, str], seen: Mapping[str, Mapping[str, Any] | None]) -> tuple[list[str], list[str]]:
    require_answers(cluster, list(names), seen)
    found = {host: read_seen(seen[host] or {}) for host in names}
    # What this role did not form is no business of it: the host has nothing of the cluster.
    ours = {host: one for host, one in found.items() if one.managed}
    for host, one in ours.items():
        _require_ours(cluster, host, one, list(names.values()))
    clean = [host for host, one in found.items() if host in ours or not (one.ran or one.cib or (one.conf and not one.of_package))]
    return list(ours), clean


def _require_ours(cluster: str, host: str, seen: Seen, names: Sequence[str]) -> None:
    if other := foreign(cluster, seen):
        raise Refused(f"{host} {other} Nothing was removed. Set cluster_group and cluster_name to the cluster that it is in.")
    confs = [
        *([seen.running.conf] if seen.running else []),
        *([seen.conf] if seen.conf and seen.ran and not seen.of_package else []),
    ]
    left = sorted({node.name for conf in confs for node in conf.nodes} - set(names))
    if left:
        raise Refused(
            f"{host} is in the cluster {cluster} with {', '.join(left)}, which this play does not have. Single hosts are not "
            "removed yet. Run this on all hosts of the cluster."
        )
    if seen.resources is None:
        raise Refused(
            f"{host}: Pacemaker's configuration (CIB) cannot be read, so it may have resources. Look at cibadmin --query; run "
            "this again."
        )
    if seen.resources > 0:
        raise Refused(
            f"Pacemaker on {host} has {seen.resources} resource{'s' if seen.resources > 1 else ''} configured, which may be "
            "VMs. Nothing was removed. Look at crm_resource --list, and remove them first."
        )
