# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the VMs of many hypervisors at a time, remotely: by libvirt connections only, without their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from ..._errors import EdgeError, TimedOut
from ..._libvirt import connection, intent
from ..host.addresses import main_address
from ..host.leases import with_leases
from ..host.observe import ObservedDomain, see_all, vm_of
from ..model.host_facts import Folders
from ..model.state import VmState, nics_view, pending
from .addresses import Guest, addresses_of_all
from .side_by_side import side_by_side


@dataclass(frozen=True)
class Hypervisor:
    """One hypervisor and its domains as JSON; with ``error`` the domains are not known, if ``partial`` some addresses are not."""

    uri: str
    name: str
    domains: tuple[dict[str, Any], ...] = ()
    error: EdgeError | None = None
    partial: bool = False
    identity: tuple[str, frozenset[tuple[str, int]]] | None = None
    """Its own name, and UUID and number of each domain: the same by whatever URI it was reached."""


def read_hypervisors(uris: Sequence[str], seconds: float) -> list[Hypervisor]:
    """Return each hypervisor in the order asked; one that has not answered within ``seconds`` has TimedOut as its error.

    One whose guests' agents have not all answered by then is ``partial``. libvirt cannot be made to give up: a thread that waits
    for such a host is left alone, and does not delay the exit.
    """
    works = [partial(read_hypervisor, uri) for uri in uris]
    return side_by_side(
        works, seconds, lambda place: Hypervisor(uris[place], _host_of(uris[place]), error=_late(uris[place], seconds))
    )


def _late(uri: str, seconds: float) -> TimedOut:
    return TimedOut(f"The hypervisor {uri} did not answer within {seconds:g} s.", uri=uri, seconds=seconds)


def _host_of(uri: str) -> str:
    try:
        return urlsplit(uri).hostname or uri
    except ValueError:  # no URI; libvirt says so
        return uri


def read_hypervisor(uri: str, tell: Callable[[Hypervisor], None] = lambda _partial: None) -> Hypervisor:
    """Return one hypervisor; an error of the connection is kept in it. What is known before all agents answered is kept."""
    try:
        with connection(uri) as opened:
            with intent(f"read the name of {uri}"):
                own = opened.getHostname()
            seen = see_all(opened).values()
            identity = (own.lower(), frozenset((one.uuid, one.handle.ID()) for one in seen))
            name = _host_of(uri) if _host_of(uri) != uri else own
            states = [(one, vm_of(one, Folders())) for one in seen]
            known = Hypervisor(uri, name, tuple(_domain(*state) for state in states), identity=identity, partial=True)
            domains = _with_addresses(states, known, tell)
    except EdgeError as error:
        return Hypervisor(uri, _host_of(uri), error=error)
    return replace(known, domains=domains, partial=False)


def _with_addresses(
    states: Sequence[tuple[ObservedDomain, VmState]], known: Hypervisor, tell: Callable[[Hypervisor], None]
) -> tuple[dict[str, Any], ...]:
    domains = list(known.domains)
    running = [place for place, (_seen, state) in enumerate(states) if state.run == "running"]
    tell(known)

    def found(number: int, addresses: list[dict[str, Any]]) -> None:
        place = running[number]
        shown = with_leases(addresses, states[place][1].live_nics, {})
        domains[place] = {**domains[place], "address": main_address(shown), "addresses": shown}
        tell(replace(known, domains=tuple(domains)))

    addresses_of_all([Guest(states[place][0].handle, states[place][1].live_nics) for place in running], found)
    return tuple(domains)


def _domain(seen: ObservedDomain, state: VmState) -> dict[str, Any]:
    spec, record = state.config, state.record
    leased = with_leases([], state.live_nics or state.nics, {})
    return {
        "name": seen.name,
        "uuid": seen.uuid,
        "state": state.run,
        "managed": state.marked,
        "autostart": state.autostart,
        "memory": spec.memory if spec else None,
        "vcpus": spec.vcpus if spec else None,
        "arch": spec.arch if spec else None,
        "virt_type": spec.virt_type if spec else None,
        "nics": nics_view(state),
        "disks": {disk.name: disk.active for disk in state.disks},
        "images": {volume.disk: volume.image for volume in record.volumes if volume.image} if record else {},
        "spec_hash": record.digest if record else None,
        "cloud_init": record.seed if record else None,
        "pending_restart": pending(state),
        "address": main_address(leased),
        "addresses": leased,
    }
