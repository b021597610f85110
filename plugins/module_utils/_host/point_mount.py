# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host point mount``, ``copy`` and ``umount``: single files out of the recovery points that this host keeps as a replica."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._cluster import Cluster
from .._errors import InvalidInput, Refused
from .._runner import SubprocessRunner
from .._storage.format.qemu_img import QemuImg
from .._storage.mounting.copy_out import copy_out
from .._storage.mounting.mount import DIRECT, FILES, Mounts, Wanted
from .._storage.names import absolute_path
from .._storage.recovery.depot import Depot
from .._storage.recovery.restore import Restore, disk_of
from .._storage.store.store import Store
from .points import found_point, required

Options = Mapping[str, Any]
LOCKS = Path("/run/edge/mounts")


def _mounts(cluster: Cluster) -> Mounts:
    runner = SubprocessRunner(DIRECT)
    return Mounts(Restore(Depot(cluster.recovery.root), QemuImg(runner), Store(cluster.images.root)), LOCKS, runner)


def _path(options: Options) -> Path:
    """Return the folder as the kernel names it."""
    path = absolute_path(required(options, "path"), "path")
    return path.parent.resolve() / path.name


def mount(cluster: Cluster, options: Options) -> dict[str, Any]:
    """Show the disks of a generation, by default the newest, as read-only files at ``path``, and the files of ``partition``."""
    depot, path = Depot(cluster.recovery.root), _path(options)
    for root in (cluster.recovery.root, cluster.images.root):
        if path == root or root in path.parents:
            raise Refused(f"path: {path} is among the host's own files in {root}; give another one.", option="path")
    generation = found_point(depot, options)
    targets = tuple(disk.target for disk in generation.disks)
    if options.get("disk"):
        targets = (disk_of(generation, str(options["disk"])).target,)
    if not targets:
        raise InvalidInput(f"generation: {generation.name} of {generation.vm.name} has no disks.", option="generation")
    wanted, mounts = Wanted(generation, targets, options.get("partition") or None), _mounts(cluster)
    changed = mounts.mount(wanted, path)
    return {
        "changed": changed,
        "vm": generation.vm.uuid,
        "generation": generation.name,
        "instant": generation.instant,
        "path": str(path),
        "disks": mounts.content(wanted, path),
        "files": str(path / FILES) if wanted.partition else None,
    }


def copy(_cluster: Cluster, options: Options) -> dict[str, Any]:
    """Copy one of the files shown at ``path`` to the new file ``to``; a link of the guest leads to no file of this host."""
    to = absolute_path(required(options, "to"), "to")
    size = copy_out(_path(options), required(options, "file"), to)
    return {"changed": True, "to": str(to), "size": size}


def umount(cluster: Cluster, options: Options) -> dict[str, Any]:
    """Take away what ``mount`` showed at ``path``, also what one left that was killed."""
    path = _path(options)
    return {"changed": _mounts(cluster).unmount(path), "path": str(path)}
