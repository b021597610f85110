# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of edge-host for the recovery points that this host keeps as a replica."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .._cluster import Cluster
from .._errors import Corrupt, InvalidInput
from .._generation import Generation, point_of
from .._runner import SubprocessRunner
from .._shown import counted
from .._storage.format.qemu_img import QemuImg
from .._storage.names import absolute_path
from .._storage.recovery.depot import Depot
from .._storage.recovery.intake import Intake
from .._storage.recovery.listing import shown, vm_of
from .._storage.recovery.merge_plan import Limits
from .._storage.recovery.restore import Restore
from .._storage.recovery.tidy import Tidying
from .._storage.recovery.verify import Verification
from .._storage.store.store import Store

Options = Mapping[str, Any]
QEMU = QemuImg(SubprocessRunner())


def show(cluster: Cluster, options: Options) -> dict[str, Any]:
    """Return the recovery points, as the module recovery_point_info does."""
    return shown(Depot(cluster.recovery.root), options.get("vm"))


def take(cluster: Cluster, options: Options) -> dict[str, Any]:
    """Take in the generation in a folder; ``missing_images`` are to be pulled before it can be restored."""
    folder = absolute_path(required(options, "folder"), "folder")
    intake = Intake(Depot(cluster.recovery.root), QEMU, Store(cluster.images.root), cluster.recovery.quota_bytes)
    taken = intake.take(folder)
    about = {"vm": taken.generation.vm.uuid, "generation": taken.generation.name}
    missing = list(taken.missing_images)
    return {"changed": taken.changed, **about, "bytes_copied": taken.bytes_copied, "missing_images": missing}


def tidy(cluster: Cluster, _options: Options) -> dict[str, Any]:
    """Keep the recovery points within the limits of ``cluster.json``."""
    limits = Limits(keep=cluster.recovery.keep, quota=cluster.recovery.quota_bytes)
    return Tidying(Depot(cluster.recovery.root), QEMU, limits, Store(cluster.images.root)).run().shown()


def verify(cluster: Cluster, options: Options) -> dict[str, Any]:
    """Return what was read and is sound; raise Corrupt, with what is not, if anything is damaged or missing."""
    depot = Depot(cluster.recovery.root)
    uuids = [vm_of(depot, options["vm"])] if options.get("vm") else depot.vms()
    names = {found_point(depot, options).name} if options.get("generation") else None
    verification = Verification(depot, QEMU, Store(cluster.images.root))
    found = {uuid: verification.of(uuid, names) for uuid in uuids}
    bad = {uuid: {"damaged": one.damaged, "images": one.images} for uuid, one in found.items() if not one.sound}
    if bad:
        raise Corrupt(
            f"Recovery points of {counted(len(bad), 'VM')} in {depot.root} are damaged, or their images are not here "
            f"({', '.join(bad)}). Pull the images, and take the points in again from another replica or from the host that made "
            "them.",
            vms=bad,
        )
    return {"verified": {uuid: list(one.good) for uuid, one in found.items()}}


def restore(cluster: Cluster, options: Options) -> dict[str, Any]:
    """Write a disk of a generation, by default the newest, to a new file; without ``copy`` one that ``blockdev`` opens over it."""
    depot = Depot(cluster.recovery.root)
    path = absolute_path(required(options, "path"), "path")
    found = found_point(depot, options)
    disk = options.get("disk") or _only_disk(found)
    work = Restore(depot, QEMU, Store(cluster.images.root))
    about = {"vm": found.vm.uuid, "generation": found.name, "instant": found.instant, "disk": disk, "path": str(path)}
    if options.get("copy") is False:
        return {"changed": True, **about, "blockdev": work.over(found, disk, path)}
    work.write(found, disk, path, whole=bool(options.get("whole")))
    return {"changed": True, **about}


def found_point(depot: Depot, options: Options) -> Generation:
    """Return the generation that the options name, the newest one of the VM where they name none."""
    name = options.get("generation")
    if name:
        point_of(name)
    return depot.find(vm_of(depot, required(options, "vm")), name)


def _only_disk(found: Generation) -> str:
    if len(found.disks) != 1:
        have = ", ".join(disk.target for disk in found.disks) or "none"
        raise InvalidInput(f"disk: {found.vm.name} has several disks ({have}); name one.", option="disk")
    return found.disks[0].target


def required(options: Options, option: str) -> str:
    """Return an option; raise InvalidInput without it."""
    if not options.get(option):
        raise InvalidInput(f"{option}: it is missing; give --{option}.", option=option)
    return str(options[option])


def whole_number(options: Options, option: str, least: int, most: int, default: int | None = None) -> int:
    """Return an option that is a whole number, where it is missing ``default``; raise InvalidInput for any other text."""
    given = options.get(option)
    if given is None and default is not None:
        return default
    text = str(given or "")
    if not (re.fullmatch(r"[0-9]{1,18}", text) and least <= int(text) <= most):
        raise InvalidInput(f"{option}: {text!r:.80} is not a whole number from {least} to {most}.", option=option, value=given)
    return int(text)
