# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses, before anything is changed, a policy of recovery points that no point of the VM could meet."""

from __future__ import annotations

from collections.abc import Collection

from ...._errors import Refused
from ...._plan import Plan
from ...._shown import counted
from ...model.host_facts import Folders, VolumeFile
from ...model.overlays import chain
from ...model.recovery_policy import RecoveryPolicy
from ...model.spec import Disk
from ...model.state import VmState
from ...recovery.choose import DiskFiles, check_whole


def check_recovery(plan: Plan[VmState], folders: Folders, shared: Collection[str], *, asked: bool) -> None:
    """Raise Refused where the VM is to have recovery points, and one of its disks cannot be in them.

    ``shared`` are targets that other VMs may write too. A VM whose disks stay as they are is looked at where the option is
    ``asked``.
    """
    before, after = plan.before.config, plan.after
    policy = after.record.recovery if after.record else None
    if after.config is None or policy is None:
        return
    if asked or before is None or before.disks != after.config.disks:
        disks = [DiskFiles(disk, _files(disk, after)) for disk in after.config.disks]
        disks += [DiskFiles(disk, foreign=True) for disk in after.foreign.disks]
        check_whole(after.name, disks, folders, shared)


def check_replicas(policy: RecoveryPolicy | None, others: int | None) -> None:
    """Raise Refused where the cluster has fewer other replica hosts than the policy wants; None is not known."""
    if policy and others is not None and others < policy.replicas:
        has = f"{counted(others, 'replica host')} besides this host" if others else "no replica host besides this host"
        raise Refused(
            f"recovery.replicas: {policy.replicas} was asked, and the cluster has {has}; a point on the VM's own host alone would "
            "be lost with it. Ask for fewer, or add a host to the group replica and run the role host again.",
            option="recovery.replicas",
            value=policy.replicas,
            found=others,
        )


def _files(disk: Disk, state: VmState) -> tuple[VolumeFile, ...]:
    """Return the files that a disk will stand on, the active one first; empty where no file of this host backs it."""
    if found := chain(disk.active, state.volumes):
        return found
    return (VolumeFile(disk.active, disk.active_format, 0, block=disk.active_block),) if disk.path else ()
