# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one configuration of a domain changes in another, in words, and what of it a run may bring to a guest that runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from .spec import Disk, DomainSpec, Nic, Record
from .state import VmState

DEVICES = ("disks", "nics")


def changes(state: VmState, after: DomainSpec) -> tuple[str, ...]:
    """Return the paths of what ``after`` changes in the configuration, such as ``memory`` or ``disks.root.cache``."""
    before = state.config
    if before is None:
        return ()
    names = [field.name for field in fields(DomainSpec) if field.name not in DEVICES]
    found = [name for name in names if getattr(before, name) != getattr(after, name)]
    foreign: dict[str, Sequence[Disk] | Sequence[Nic]] = {"disks": state.foreign.disks, "nics": state.foreign.nics}
    for name in DEVICES:
        found += _device_changes(name, getattr(before, name), getattr(after, name), foreign[name])
    return tuple(found)


def record_changes(state: VmState, after: Record) -> tuple[str, ...]:
    """Return the options that ``after`` changes and of which libvirt's configuration has nothing."""
    before = state.record.recovery if state.record else None
    return ("recovery",) if state.config is not None and before != after.recovery else ()


def _device_changes(kind: str, before: Sequence[Any], after: Sequence[Any], foreign: Sequence[Disk] | Sequence[Nic]) -> list[str]:
    had = {one.name: one for one in before}
    theirs = {one.foreign: one for one in foreign}
    wanted = {one.name for one in after}
    found = [f"{kind}.{name} (removed)" for name in had if name not in wanted]
    for one in after:
        where = f"{kind}.{one.name}"
        old = had.get(one.name)
        if old is None and one.foreign in theirs:
            old = replace(theirs[one.foreign], name=one.name)
            found.append(f"{where} (taken over)")
        if old is None:
            found.append(f"{where} (new)")
        else:
            names = [field.name for field in fields(one) if getattr(old, field.name) != getattr(one, field.name)]
            found += [f"{where}.{name}" for name in names]
    if sorted(had) == sorted(wanted) and [one.name for one in before] != [one.name for one in after]:
        found.append(f"{kind} (another order)")
    return found


def asked_only(state: VmState, before: VmState) -> VmState:
    """Return the state with a configuration that differs from what runs only where it differs from what it was before.

    A guest that others started may run otherwise than its configuration says, and what was not asked for stays so.
    """
    live, config, was = state.live, state.config, before.config
    if live is None or config is None or was is None:
        return state
    names = [field.name for field in fields(DomainSpec) if field.name not in DEVICES]
    kept: dict[str, Any] = {name: getattr(live, name) for name in names if getattr(config, name) == getattr(was, name)}
    for name in DEVICES:
        kept[name] = _asked_devices(getattr(live, name), getattr(config, name), getattr(was, name))
    return replace(state, config=replace(config, **kept))


def _asked_devices(live: Sequence[Any], config: Sequence[Any], was: Sequence[Any]) -> tuple[Any, ...]:
    running, had = {one.name: one for one in live}, {one.name: one for one in was}
    asked = [one if had.get(one.name) != one else running.get(one.name) for one in config]
    known = {one.name for one in (*config, *was)}
    return tuple([one for one in asked if one is not None] + [one for one in live if one.name not in known])
