# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conflicts between the VMs of one task: compares the states that their plans predict, and asks which paths are one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...._errors import Conflict, EdgeError, NoSpace
from ...._sizes import show_size
from ...host.kinds import identity
from ...model.spec import DomainSpec
from ...model.state import VmState


def clashes(after: Mapping[str, VmState]) -> dict[str, EdgeError]:
    """Return, by the place in the task, what two of its VMs both want: a UUID, a MAC address, a disk that one of them writes."""
    specs = {where: state.config for where, state in after.items() if state.config is not None}
    found: dict[str, EdgeError] = {}
    for where, other, option, value in [*_twice(specs, _identities), *_shared_disks(specs)]:
        found.setdefault(where, Conflict(f"{option}: {value} is already wanted by {other}.", option=option, value=value))
    return found


def _identities(spec: DomainSpec) -> Iterator[tuple[str, str]]:
    yield "uuid", spec.uuid
    for place, nic in enumerate(spec.nics):
        yield f"nics[{place}].mac", nic.mac


def _twice(specs: Mapping[str, DomainSpec], values: Any) -> Iterator[tuple[str, str, str, str]]:
    """Yield (place, the place that had it first, option, value) for each value that comes a second time."""
    first: dict[str, str] = {}
    for where, spec in specs.items():
        for option, value in values(spec):
            if first.setdefault(value, where) != where:
                yield where, first[value], option, value


def _shared_disks(specs: Mapping[str, DomainSpec]) -> Iterator[tuple[str, str, str, str]]:
    """A file may be a read-only disk of many VMs; one that a VM writes belongs to that VM alone."""
    users: dict[Any, list[tuple[str, bool, str]]] = {}
    for where, spec in specs.items():
        for disk in spec.disks:
            if disk.active:
                users.setdefault(identity(disk.active), []).append((where, disk.read_only, disk.active))
    for of_it in users.values():
        if len({where for where, *_any in of_it}) > 1 and not all(read_only for _where, read_only, _path in of_it):
            yield of_it[1][0], of_it[0][0], "disks", of_it[1][2]


@dataclass(frozen=True)
class Need:
    """What one VM of a task will take from the host's memory, in bytes; of pages of the size ``hugepages`` if that is not 0."""

    memory: int
    hugepages: int = 0


def memory_short(needs: Mapping[str, Need], free: int | None, free_pages: Mapping[int, int]) -> dict[str, EdgeError]:
    """Return, by the place in the task, the VMs for which the host has nothing left when those before them have started.

    What VMs leave that the task stops does not count: the others may start before it. ``free`` None is not known.
    """
    found: dict[str, EdgeError] = {}
    rooms = {0: free, **{size: count * size for size, count in free_pages.items()}}
    for kind, room in rooms.items():
        wanted = 0
        for where, need in needs.items():
            if need.hugepages != kind or not need.memory or room is None:
                continue
            whole = -(-need.memory // kind) * kind if kind else need.memory
            wanted += whole
            if wanted > room:
                option, what = ("hugepages", f"in pages of {show_size(kind)} ") if kind else ("memory", "")
                found[where] = NoSpace(
                    f"{option}: with the VMs before it in this task it would take {show_size(wanted)} of memory {what}together, "
                    f"and this host has {show_size(room)} left; start fewer, or give them less.",
                    option=option, value=need.memory, needed=wanted, free=room,
                )  # fmt: skip
    return found


def memory_warning(running: Iterable[int], memory: int) -> str | None:
    """Return a warning where the running VMs want more memory (bytes) than the host has; a balloon may compensate it."""
    total = sum(running)
    if total <= memory:
        return None
    return f"The running domains of this host have {show_size(total)} of memory together, the host has {show_size(memory)}."
