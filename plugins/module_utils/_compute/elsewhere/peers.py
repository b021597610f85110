# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the other hypervisors of the cluster which domains they have: side by side, read-only, each within seconds."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ... import _cluster
from ..._errors import EdgeError, NotFound, from_os_error
from ..._libvirt import intent, libvirt
from ..model.elsewhere import Sighting

TLS_PORT = 16514
SECONDS = 10.0
CONNECT_SECONDS = 5.0
CERTIFICATE = Path("/etc/pki/libvirt/clientcert.pem")
Ask = Callable[[str], Iterable[Sighting]]


def tls_uri(host: str) -> str:
    """Return the URI of another hypervisor's libvirt, over TLS with this host's certificate."""
    return f"qemu+tls://{f'[{host}]' if ':' in host else host}/system"


def ask_over_tls(host: str) -> list[Sighting]:
    """Return the domains of another hypervisor; raise where it does not answer."""
    try:
        socket.create_connection((host, TLS_PORT), CONNECT_SECONDS).close()  # libvirt itself would wait for minutes
    except OSError as error:
        raise from_os_error(error) from None
    with intent(f"read the domains of {host}"):
        connection = libvirt.openReadOnly(tls_uri(host))
        try:
            return [Sighting(host, one.name(), one.UUIDString()) for one in connection.listAllDomains()]
        finally:
            connection.close()


@dataclass(frozen=True)
class Answers:
    """What the hypervisors answered: the domains that they have, and why others did not answer."""

    sightings: tuple[Sighting, ...] = ()
    silent: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Peers:
    """The other hypervisors, asked once, when the first plan needs it. ``unknown`` is why they are not known, if they are not.

    ``replicas`` is how many other hosts are replicas that keep recovery points, None where that is not known.
    """

    hosts: tuple[str, ...] = ()
    ask: Ask = ask_over_tls
    seconds: float = SECONDS
    unknown: str | None = None
    replicas: int | None = None

    @cached_property
    def answers(self) -> Answers:
        """Ask all of them at once, and wait no longer than ``seconds`` for all answers together."""
        found: dict[str, tuple[Sighting, ...] | str] = {}

        def work(host: str) -> None:
            try:
                found[host] = tuple(self.ask(host))
            except EdgeError as error:
                found[host] = error.message

        threads = [threading.Thread(target=work, args=(host,), daemon=True) for host in self.hosts]
        deadline = time.monotonic() + self.seconds
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        said = {host: found.get(host, f"no answer within {self.seconds:g} s") for host in self.hosts}
        sightings = tuple(one for answer in said.values() if not isinstance(answer, str) for one in answer)
        return Answers(sightings, {host: answer for host, answer in said.items() if isinstance(answer, str)})

    def warnings(self) -> list[str]:
        """Return one sentence if a host was asked and did not answer; nothing if none was asked."""
        if "answers" not in self.__dict__:
            return []
        if self.unknown:
            return [f"The other hypervisors of the cluster were not asked whether they have the new VMs: {self.unknown}"]
        silent = [f"{host} ({reason.rstrip('.')})" for host, reason in self.answers.silent.items()]
        return [f"Whether these hypervisors have the new VMs is not known: {', '.join(silent)}."] if silent else []


def peers_of_cluster() -> Peers:
    """Return the other hypervisors that ``/etc/edge/cluster.json`` names, and the number of other replicas; nothing without it.

    VMs of a host without libvirt's certificate do not migrate: there is no hypervisor to ask.
    """
    try:
        cluster = _cluster.load()
    except NotFound:
        return Peers()
    except EdgeError as error:
        return Peers(unknown=error.message if CERTIFICATE.exists() else None)
    replicas = len(cluster.others(cluster.keepers if cluster.points else cluster.replicas))
    migrates = CERTIFICATE.exists()
    return Peers(cluster.other_hypervisors if migrates else (), replicas=replicas)
