# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conflicts between the VMs of one task: compares the states that their plans predict, and asks which paths are one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..._errors import Conflict, EdgeError
from ..._sizes import show_size
from ..host.kinds import identity
from ..model.spec import DomainSpec
from ..model.state import VmState


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


def memory_warning(running: Iterable[int], memory: int) -> str | None:
    """Return a warning where the running VMs want more memory (bytes) than the host has; a balloon may compensate it."""
    total = sum(running)
    if total <= memory:
        return None
    return f"The running domains of this host have {show_size(total)} of memory together, the host has {show_size(memory)}."
