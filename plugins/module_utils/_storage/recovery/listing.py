# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generations of a depot as users see them, and VMs by the name that users give."""

from __future__ import annotations

from typing import Any

from ..._errors import Conflict, NotFound
from ..._generation import UUID, Generation
from .depot import Depot, Listed


def vm_of(depot: Depot, vm: str) -> str:
    """Return the UUID of a VM by that or by its name; raise NotFound, or Conflict where several VMs have the name."""
    if UUID.fullmatch(vm):
        return vm
    names = {uuid: name_in(depot.listed(uuid)) for uuid in depot.vms()}
    found = [uuid for uuid, name in names.items() if name == vm]
    if len(found) > 1:
        raise Conflict(f"vm: {vm} is the name of several VMs: {', '.join(found)}; give the UUID.", option="vm", found=found)
    if not found:
        have = ", ".join(sorted(set(filter(None, names.values()))))
        others = f"there are some of {have}" if have else "there are none of any VM"
        raise NotFound(
            f"vm: there is no recovery point of {vm!r:.100} in {depot.root}; {others}. A replica keeps points of the VMs of "
            "other hosts: look on another replica, too.",
            option="vm",
        )
    return found[0]


def name_in(listed: Listed) -> str:
    """Return the name that a VM had at its newest generation, empty where none can be read."""
    return listed.generations[-1].vm.name if listed.generations else ""


def shown(depot: Depot, vm: str | None = None) -> dict[str, Any]:
    """Return the VMs with their generations, the oldest first, and what cannot be read."""
    uuids = [vm_of(depot, vm)] if vm else depot.vms()
    return {"vms": [_vm(depot, uuid) for uuid in uuids], "bytes": sum(depot.bytes_of(uuid) for uuid in uuids)}


def _vm(depot: Depot, uuid: str) -> dict[str, Any]:
    listed = depot.listed(uuid)
    return {
        "uuid": uuid,
        "name": name_in(listed),
        "generations": [_generation(one, listed) for one in listed.generations],
        "unreadable": [{"file": one.name, "why": one.why} for one in listed.unreadable],
        "bytes": depot.bytes_of(uuid),
    }


def _generation(found: Generation, listed: Listed) -> dict[str, Any]:
    disks = [
        {"target": disk.target, "image": disk.image, "virtual_size": disk.virtual_size, "deltas": len(disk.chain)}
        for disk in found.disks
    ]
    return {
        "generation": found.name,
        "epoch": found.epoch,
        "number": found.number,
        "instant": found.instant,
        "quiesced": found.quiesced,
        "final": found.final,
        "whole": found.name not in listed.damaged,
        "pinned": found.name in listed.pinned,
        "bytes": sum(file.size for file in found.needs),
        "disks": disks,
    }
