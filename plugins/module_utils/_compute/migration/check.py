# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold before a VM begins to move; each failure has what was asked, what was found and what to do. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath

from ..._errors import Busy, Conflict, EdgeError, InvalidInput, NoSpace, NotFound, Refused, Unsupported
from ..._shown import few, nearest
from ..._sizes import MIB, show_size
from ..host.migration_mark import NOTE
from .model import Destination, MigrationState, SourceVm
from .networks import check_joined

RESERVE = 64 * MIB


def check_migration(state: MigrationState) -> SourceVm:
    """Return the VM if it can move to the destination, else raise."""
    source = state.source
    if source is None:
        raise NotFound(
            f"name: neither {state.here} nor {state.there.host} has a domain {state.name}.", option="name", value=state.name
        )
    if not source.marked:
        raise Conflict(
            f"name: domain {state.name} was not made by edge.cloud; take it over with edge.cloud.domain and adopt first.",
            option="name",
            value=state.name,
        )
    if source.obstacles:
        raise Refused(f"name: domain {state.name} cannot move: {'; '.join(source.obstacles)}.", option="name", value=state.name)
    _check_names(state, source)
    _check_networks(state.there, source)
    _check_files(state, source)
    _check_room(state.there, source)
    _check_cpu(state.there)
    return source


def _fail(kind: type[EdgeError], there: Destination, text: str) -> EdgeError:
    return kind(f"destination: {text}", option="destination", value=there.host)


def _check_names(state: MigrationState, source: SourceVm) -> None:
    there = state.there
    if there.vm is not None:
        raise _fail(
            Conflict,
            there,
            f"{there.host} has a domain {state.name} already (UUID {there.vm.uuid}, {there.vm.run}); "
            "remove the one that is not wanted.",
        )
    for name, uuid in there.domains.items():
        if uuid == source.uuid:
            raise _fail(Conflict, there, f"the UUID {uuid} of domain {state.name} belongs to domain {name} on {there.host}.")
    for mac in source.macs:
        if mac in there.macs:
            raise _fail(
                Conflict, there, f"the MAC address {mac} of domain {state.name} belongs to {there.macs[mac]} on {there.host}."
            )


def _check_networks(there: Destination, source: SourceVm) -> None:
    for name in source.networks:
        if name not in there.networks:
            known = few(nearest(name, there.networks))
            raise _fail(NotFound, there, f"libvirt of {there.host} has no network {name} (there: {known}); create it there first.")
        if not there.networks[name]:
            raise _fail(Refused, there, f"the network {name} is not active on {there.host}; start it there first.")
    check_joined(there, source)
    for name in source.bridges:
        if name not in there.bridges:
            raise _fail(NotFound, there, f"{there.host} has no bridge {name}; create it there first (edge.cloud.bridge).")


def _check_files(state: MigrationState, source: SourceVm) -> None:
    there = state.there
    if not there.folder:
        raise _fail(NotFound, there, f"{there.host} has no folder for VMs; run the role edge.cloud.hypervisor there first.")
    for path in source.images:
        if path not in there.images:
            digest = "sha256:" + PurePosixPath(path).stem
            raise _fail(
                NotFound,
                there,
                f"the image {digest} of domain {state.name} is not in the host cache of {there.host} (looked for {path} and its "
                "manifest); run edge.cloud.replica_image there first.",
            )
    if there.missing:
        raise _fail(
            NotFound, there, f"{there.host} lacks {', '.join(there.missing)}, which domain {state.name} uses; put it there first."
        )
    ours = (*(state.journal.made if state.journal else ()), *there.stale)
    if any(PurePosixPath(path).name == NOTE and path not in ours for path in there.files):
        raise _fail(
            Busy,
            there,
            f"another migration of domain {state.name} to {there.host} began and did not end; run it again first, on the host that "
            f"it began on (see {NOTE} in the VM's folder on {there.host}).",
        )
    strange = sorted(path for path in source.paths if path in there.files and path not in ours)
    if strange:
        raise _fail(
            Conflict,
            there,
            f"{there.host} has {', '.join(strange)} already, which this migration did not make; move it away or delete it first.",
        )


def _check_room(there: Destination, source: SourceVm) -> None:
    needed = source.allocated + RESERVE
    if there.free < needed:
        raise _fail(
            NoSpace,
            there,
            f"the disks take {show_size(source.allocated)} and {show_size(RESERVE)} are kept in reserve, but {there.host} has "
            f"{show_size(there.free)} free for VMs; free some there.",
        )
    if source.live and there.memory < source.memory:
        raise _fail(
            NoSpace,
            there,
            f"the domain has {show_size(source.memory)} of memory, and {there.host} has {show_size(there.memory)} free.",
        )


def _check_cpu(there: Destination) -> None:
    if there.cpu:
        raise _fail(
            Unsupported,
            there,
            f"the CPU of the domain ({there.cpu}) does not run on {there.host}; give the domain a CPU model that both hosts have, "
            "with mode custom.",
        )


def check_same(here: str, there: str, destination: str) -> None:
    """Raise InvalidInput where the destination is the host itself."""
    if here == there:
        raise InvalidInput(
            f"destination: {destination} is this host itself; run the task on the host that the VM is on.",
            option="destination",
            value=destination,
        )
