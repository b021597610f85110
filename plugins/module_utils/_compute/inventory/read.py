# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the VMs of many hypervisors at a time, remotely: by libvirt connections only, without their files."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from ..._errors import EdgeError, TimedOut
from ..._libvirt import connection, intent
from ..host.addresses import first_addresses, main_address
from ..host.observe import ObservedDomain, see_all, vm_of
from ..model.host_facts import Folders
from ..model.state import pending

AT_A_TIME = 32


@dataclass(frozen=True)
class Hypervisor:
    """One hypervisor and its domains as JSON; with ``error`` the domains are not known."""

    uri: str
    name: str
    domains: tuple[dict[str, Any], ...] = ()
    error: EdgeError | None = None
    identity: tuple[str, frozenset[tuple[str, int]]] | None = None
    """Its own name, and UUID and number of each domain: the same by whatever URI it was reached."""


def read_hypervisors(uris: Sequence[str], seconds: float) -> list[Hypervisor]:
    """Return each hypervisor in the order asked; one that has not answered within ``seconds`` has TimedOut as its error.

    libvirt cannot be made to give up: a thread that waits for such a host is left alone, and does not delay the exit.
    """
    found: list[Hypervisor] = []
    for begin in range(0, len(uris), AT_A_TIME):
        found += _batch(uris[begin : begin + AT_A_TIME], seconds)
    return found


def _batch(uris: Sequence[str], seconds: float) -> Iterator[Hypervisor]:
    answers: dict[int, Hypervisor | BaseException] = {}

    def read(place: int) -> None:
        try:
            answers[place] = read_hypervisor(uris[place])
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            answers[place] = error

    threads = [threading.Thread(target=read, args=(place,), daemon=True) for place in range(len(uris))]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for place, thread in enumerate(threads):
        thread.join(max(0.0, deadline - time.monotonic()))
        answer = answers.get(place)
        if isinstance(answer, BaseException):
            raise answer
        yield answer or Hypervisor(uris[place], _host_of(uris[place]), error=_late(uris[place], seconds))


def _late(uri: str, seconds: float) -> TimedOut:
    return TimedOut(f"The hypervisor {uri} did not answer within {seconds:g} s.", uri=uri, seconds=seconds)


def _host_of(uri: str) -> str:
    try:
        return urlsplit(uri).hostname or uri
    except ValueError:  # no URI; libvirt says so
        return uri


def read_hypervisor(uri: str) -> Hypervisor:
    """Return one hypervisor; an error of the connection is kept in it."""
    try:
        with connection(uri) as opened:
            with intent(f"read the name of {uri}"):
                own = opened.getHostname()
            found = see_all(opened).values()
            identity = (own.lower(), frozenset((seen.uuid, seen.handle.ID()) for seen in found))
            domains = tuple(_domain(seen) for seen in found)
    except EdgeError as error:
        return Hypervisor(uri, _host_of(uri), error=error)
    name = _host_of(uri)
    return Hypervisor(uri, own if name == uri else name, domains, identity=identity)


def _domain(seen: ObservedDomain) -> dict[str, Any]:
    state = vm_of(seen, Folders())
    spec, record = state.config, state.record
    addresses = first_addresses(seen.handle, state.live_nics) if state.run == "running" else []
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
        "nics": [asdict(nic) for nic in state.nics],
        "disks": {disk.name: disk.active for disk in state.disks},
        "images": {volume.disk: volume.image for volume in record.volumes if volume.image} if record else {},
        "spec_hash": record.digest if record else None,
        "cloud_init": record.seed if record else None,
        "pending_restart": pending(state),
        "address": main_address(addresses),
        "addresses": addresses,
    }
