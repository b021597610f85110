# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides which end of a migration has the VM with its newest data, and never guesses where both may. Pure."""

from __future__ import annotations

from ..._errors import Busy, Conflict, EdgeError, Refused
from .journal import HANDED_OVER, Journal
from .model import DestinationVm, MigrationState, SourceVm

HERE, THERE, MOVING, HALFWAY, LOST = "here", "there", "moving", "halfway", "lost"


def where(state: MigrationState) -> str:
    """Return where the VM is: ``here``, ``there``, or ``moving`` while libvirt migrates it.

    After a post-copy that failed it is ``halfway`` while its memory is on both hosts, ``lost`` where one half is gone. Its disks
    are the newest on the destination then. Raises Conflict where both ends may have data that the other has not.
    """
    source, vm, journal = state.source, state.there.vm, state.journal
    if source is None:
        return THERE
    if journal is None:
        return HERE
    same = vm if vm is not None and vm.uuid == journal.uuid else None  # the checks refuse another VM of that name
    if source.post_copy == "failed" or (same is not None and same.post_copy is not None and not source.migrating):
        return _after_post_copy(state, source, same)
    if source.migrating:
        return MOVING
    if same is None:
        return _without(state, journal)
    return _of_two(state, source, same, journal)


def _after_post_copy(state: MigrationState, source: SourceVm, vm: DestinationVm | None) -> str:
    if vm is None:
        raise _missing(state)
    if source.post_copy is None and source.live:
        raise _both(state)
    if source.post_copy is None or vm.run == "stopped":  # the other end may not have noticed yet, which changes nothing
        return LOST
    return THERE if vm.post_copy is None and not vm.incoming else HALFWAY


def _without(state: MigrationState, journal: Journal) -> str:
    """Return ``here`` where the destination never had the VM; one that vanished there may have been the newer one."""
    never_switched = journal.phase == "post-copy" and state.source is not None and state.source.live
    if journal.phase in HANDED_OVER and not never_switched:
        raise _missing(state)
    return HERE


def _of_two(state: MigrationState, source: SourceVm, vm: DestinationVm, journal: Journal) -> str:
    """Return which of two ends that know one domain has its newest data.

    libvirt makes the domain persistent on the destination at the switch-over, and we define a stopped one when all is there. Only
    where we saw a migration fail that never ran there does a domain there mean nothing, and then it does not run.
    """
    if not vm.may_have_run:
        return HERE
    if journal.phase == "failed":
        if vm.run != "stopped":
            raise _both(state)
        return HERE
    if source.live or not (vm.persistent or vm.run == "stopped"):
        raise _both(state)
    return THERE


def on_its_way(state: MigrationState) -> EdgeError:
    """Return the error of a VM that libvirt migrates just now."""
    return Busy(
        f"name: domain {state.name} is on its way to {state.there.host} now; run again when it is there.",
        option="name",
        value=state.name,
    )


def _both(state: MigrationState) -> EdgeError:
    source, vm, host = state.source, state.there.vm, state.there.host
    return Conflict(
        f"name: domain {state.name} is {source.run if source else 'absent'} on {state.here} and {vm.run if vm else 'absent'} on "
        f"{host}, where it ran or may have run, after a migration that {state.journal.phase if state.journal else 'began'}. "
        "Nothing was changed. Look which one has the newest data, destroy and undefine the other (virsh), and run this again.",
        option="name",
        value=state.name,
    )


def _missing(state: MigrationState) -> EdgeError:
    host = state.there.host
    halted = "destroy the domain here (virsh destroy), whose guest cannot go on, " if state.source and state.source.live else ""
    return Conflict(
        f"name: domain {state.name} was handed over to {host}, but libvirt there does not have it now. Its disks there may be "
        f"newer than those of {state.here}, so nothing was changed. Find out what removed it there; if the disks of {state.here} "
        f"are the ones to keep, {halted}delete migration.json in the VM's folder here and what is in its folder there.",
        option="name",
        value=state.name,
    )


def refuse_lost(state: MigrationState) -> EdgeError:
    """Return the error of a guest that cannot run on: it says what is lost, what is not, and which option goes on from there."""
    host, gone = state.there.host, state.here
    if state.source is not None and state.source.live:
        host, gone = state.here, state.there.host
    return Refused(
        f"allow_restart: the post-copy migration of domain {state.name} broke off and {gone} went down after it: the half of the "
        f"guest's memory that was there is lost, and the half on {host} is of no use. Its disks are whole on {state.there.host}, "
        f"with all that the guest wrote. With allow_restart it starts from them on {state.there.host}, as after a power cut.",
        option="allow_restart",
        value=False,
    )
