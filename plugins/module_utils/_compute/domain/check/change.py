# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds, before anything is changed, what a domain that exists cannot become: what needs another one, and states out of reach."""

from __future__ import annotations

from ...._errors import Busy, Refused
from ...model.overlays import active_path
from ...model.spec import DomainSpec, Record
from ...model.state import BUSY, CRASHED, ENDING, VmState
from ...options.machine import machine_family
from ...options.resolve import ResolvedDomain

RECREATE = "only a new domain can have it: remove this one (state absent keeps its disks), then create it with the new value."


def check_change(wanted: ResolvedDomain, state: VmState, asked: str) -> None:
    """Raise Refused where the domain can never take the change, or not reach the state that is asked."""
    check_state(state, asked)
    if state.config is not None:
        _check_recreation(wanted.spec, state.config)
    if state.run == "saved" and asked == "saved":
        _check_saved(wanted, state)


def check_state(state: VmState, asked: str) -> None:
    """Raise Refused where only a domain that runs can be brought into the state."""
    found = "absent" if state.config is None else state.run
    if asked == "reset" and found not in ("running", "paused"):
        raise Refused(
            f"state: domain {state.name} is {found}, and only a guest that runs can be reset; start it with state running.",
            option="state", value=asked, found=found,
        )  # fmt: skip
    if asked in ("paused", "saved") and found in ("absent", "stopped"):
        raise Refused(
            f"state: domain {state.name} is {found} and cannot become {asked}, which keeps what runs; start it first with "
            "state running.",
            option="state", value=asked, found=found,
        )  # fmt: skip


def check_condition(state: VmState, asked: str, force_stop: bool) -> None:
    """Raise Busy or Refused where what libvirt does with a guest, or what became of it, bars the way to the state."""
    if state.condition == BUSY and asked != "paused" and not (force_stop and asked in ("stopped", "absent")):
        raise Busy(
            f"name: libvirt works on domain {state.name} now and has halted it (a migration, save, dump, snapshot or start; see "
            "virsh domstate --reason and domjobinfo); run again when that has ended.",
            option="name", value=state.name,
        )  # fmt: skip
    if state.condition == CRASHED and (asked == "saved" or not force_stop):
        raise Refused(
            f"state: the guest of domain {state.name} has crashed and is kept for a look (on_crash: preserve; virsh dump); set "
            f"force_stop to power it off, which loses its memory{', and state running' if asked == 'saved' else ''}.",
            option="state", value=asked, found=state.condition,
        )  # fmt: skip
    if state.condition == ENDING and asked == "saved":
        raise Refused(
            f"state: domain {state.name} is shutting down and cannot become saved; start it first with state running.",
            option="state", value=asked, found=state.condition,
        )  # fmt: skip


def _check_recreation(spec: DomainSpec, before: DomainSpec) -> None:
    pairs = (
        ("arch", before.arch, spec.arch),
        ("machine", machine_family(before.machine), machine_family(spec.machine)),
        ("firmware", before.firmware, spec.firmware),
    )
    for option, found, asked in pairs:
        if found != asked:
            raise Refused(
                f"{option}: domain {spec.name} has {found}, {asked} was asked; {RECREATE}", option=option, value=asked, found=found
            )


def check_saved_seeds(state: VmState, asked: str, record: Record) -> None:
    """Raise Refused where the seed or the context disk of a guest that stays saved would be made again under it."""
    if state.run != "saved" or asked != "saved":
        return
    for option, new, now in (("cloud_init", record.seed, state.seed), ("context", record.context, state.context)):
        if new and new != now:
            raise Refused(
                f"{option}: domain {state.name} is saved, and its guest knows this disk as it was; start it with state running.",
                option=option,
            )


def _check_saved(wanted: ResolvedDomain, state: VmState) -> None:
    for volume in wanted.volumes:
        found = state.volume(active_path(volume, wanted.spec))
        if found is not None and volume.size is not None and volume.size > found.size:
            raise Refused(
                f"disks: disk {volume.disk} of saved domain {state.name} cannot grow; its guest knows the disk as it was. "
                "Start it with state running.",
                option="disks", value=volume.size,
            )  # fmt: skip
