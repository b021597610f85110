# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reaches the destination of a migration and reads what a plan needs of it."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any
from xml.etree import ElementTree as ET

from ..._errors import InvalidInput, Unreachable
from ..._libvirt import intent, libvirt, lookup
from ..._sizes import KIB
from ..elsewhere.moved import moved_path
from ..elsewhere.peers import TLS_PORT, tls_uri
from ..host.migration_mark import NOTE, noted_files
from ..host.observe import RUN_STATES
from ..model.host_facts import Folders
from ..model.virtual_network import NetworkTool
from ..xml.domain import parse, parse_xml
from ..xml.properties import read_path
from .model import Destination, DestinationVm, SourceVm
from .networks import read_links_there, read_networks_there
from .remote_files import Volumes
from .source import post_copy_of

HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?|[0-9A-Fa-f:]{2,39}")
PATIENCE = 10.0
LARGEST_NOTE = 1024 * 1024
USAGES = {"volume": 1, "ceph": 2, "iscsi": 3, "tls": 4, "vtpm": 5}  # VIR_SECRET_USAGE_TYPE_…
RUNS = (1, 2)  # VIR_CPU_COMPARE_IDENTICAL and _SUPERSET


@dataclass(frozen=True)
class Address:
    """How a destination is reached: its name, libvirt's URI and the URI of QEMU's own connections."""

    host: str

    @property
    def bracketed(self) -> str:
        """The name as it stands in a URI."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def uri(self) -> str:
        """libvirt's URI."""
        return tls_uri(self.host)

    @property
    def migration_uri(self) -> str:
        """The URI that memory is sent to; the destination chooses the port."""
        return f"tcp:{self.bracketed}"


def check_destination(text: str) -> Address:
    """Return the address of a destination, or raise InvalidInput where it cannot be a host's name or address."""
    if not HOST.fullmatch(text):
        raise InvalidInput(f"destination: {text!r} is neither a host name nor an IP address.", option="destination", value=text)
    return Address(text)


def probe(address: Address) -> None:
    """Raise Unreachable unless the destination's libvirt listens, in seconds where libvirt itself would wait for minutes."""
    try:
        socket.create_connection((address.host, TLS_PORT), PATIENCE).close()
    except OSError as error:
        raise Unreachable(
            f"destination: libvirt of {address.host} does not answer on TCP port {TLS_PORT} ({error}); is the host up, does its "
            "name resolve here, and did the role edge.cloud.hypervisor run there with hypervisor_migration?",
            option="destination",
            value=address.host,
        ) from None


def read_destination(
    connection: Any, address: Address, name: str, source: SourceVm | None, folders: Folders, *, known: NetworkTool
) -> Destination:
    """Return the destination's side; nothing there is changed, except views of folders that libvirt needs to look into them."""
    with intent(f"read the domains and networks of {address.host}"):
        domains = {one.name(): one.UUIDString() for one in connection.listAllDomains()}
        networks = {one.name(): bool(one.isActive()) for one in connection.listAllNetworks()}
        memory = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS, 0)
    volumes = Volumes(connection, address.host)
    there = volumes.exists(folders.vms)
    folder = folders.vm(name)
    files = volumes.names(folder) if there and volumes.exists(folder) else {}
    stale = _stale(volumes, folder, source.uuid) if source and NOTE in files else ()
    volumes.close(folder)
    mtus = read_links_there(volumes, source.bridges) if source else {}
    return Destination(
        host=address.host,
        vm=read_vm_there(connection, name),
        domains=domains,
        macs=_macs(connection),
        networks=networks,
        bridges=tuple(sorted(mtus)),
        virtual_networks=read_networks_there(volumes, known, source, mtus) if source and source.joined else {},
        memory=sum(memory.get(key, 0) for key in ("free", "buffers", "cached")) * KIB,
        folder=there,
        free=volumes.free(folders.vms) if there else 0,
        files=frozenset(f"{folder}/{file}" for file in files),
        stale=stale,
        images=_images(volumes, source.images) if source else {},
        missing=(*_missing(volumes, source.needed), *_missing_secrets(connection, source)) if source else (),
        cpu=_cpu(connection, address.host, source) if source else None,
        home=source is not None and _was_here(volumes, moved_path(folders.vms, source.uuid)),
    )


def read_vm_there(connection: Any, name: str) -> DestinationVm | None:
    """Return the domain of this name as libvirt of the destination has it."""
    with intent(f"look up domain {name} on the destination"):
        domain = lookup(connection.lookupByName, name)
        if domain is None:
            return None
        state, reason = domain.state()
        config = parse(parse_xml(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)))
        persistent = bool(domain.isPersistent())
        return DestinationVm(
            uuid=domain.UUIDString(),
            run=RUN_STATES[state],
            persistent=persistent,
            marked=config.marked,
            arrival=config.arrival.source if config.arrival else None,
            autostart=bool(domain.autostart()) if persistent else False,
            post_copy=post_copy_of(state, reason),
            incoming=state == libvirt.VIR_DOMAIN_PAUSED and reason == libvirt.VIR_DOMAIN_PAUSED_MIGRATION,
        )


def _macs(connection: Any) -> dict[str, str]:
    found = {}
    with intent("read the domains of the destination"):
        for domain in connection.listAllDomains():
            for mac in parse_xml(domain.XMLDesc(0)).iterfind("devices/interface/mac"):
                found[(mac.get("address") or "").lower()] = domain.name()
    return found


def _stale(volumes: Volumes, folder: str, uuid: str) -> tuple[str, ...]:
    """Return what the note there says that a migration of this VM made, the note first; all of it is below the VM's folder."""
    made = noted_files(volumes.read(f"{folder}/{NOTE}", LARGEST_NOTE), uuid)
    return (f"{folder}/{NOTE}", *(path for path in made if os.path.split(path)[0] == folder)) if made else ()


def _was_here(volumes: Volumes, mark: str) -> bool:
    folder, name = os.path.split(mark)
    found = volumes.exists(folder) and name in volumes.names(folder)
    volumes.close(folder)
    return found


def _images(volumes: Volumes, paths: Iterable[str]) -> dict[str, int]:
    """Return the images that are there whole: the image itself and its manifest, with the length of the file."""
    found: dict[str, int] = {}
    for path in paths:
        folder, name = os.path.split(path)
        names = volumes.names(folder) if volumes.exists(folder) else {}
        if name in names and name.removesuffix(".qcow2") + ".json" in names:
            found[path] = names[name]
    return found


def _missing(volumes: Volumes, paths: Iterable[str]) -> Iterable[str]:
    for path in paths:
        folder, name = os.path.split(path)
        if not volumes.exists(folder) or name not in volumes.names(folder):
            yield path


def _missing_secrets(connection: Any, source: SourceVm) -> Iterable[str]:
    """Yield the secrets of libvirt that the destination does not have; their values stay where they are."""
    for kind, text in source.secrets:
        with intent(f"look up the secret {text} on the destination"):
            if kind == "uuid":
                found = lookup(connection.secretLookupByUUIDString, text)
            else:
                found = lookup(partial(connection.secretLookupByUsage, USAGES.get(kind, 0)), text)
        if found is None:
            yield f"libvirt's secret {text}"


def _cpu(connection: Any, host: str, source: SourceVm) -> str | None:
    """Return why the guest's CPU does not run there, None where it does; one that is all of the emulator's is not compared."""
    root = parse_xml(source.xml)
    cpu = root.find("cpu")
    if source.host_cpu is not None:
        with intent(f"compare the CPU of this host with that of {host}"):
            found = connection.compareCPU(source.host_cpu, 0)
        return None if found in RUNS else f"{read_path(root, 'cpu@mode')}, that of this host"
    if cpu is None or cpu.get("mode", "custom") not in ("custom", "host-model"):
        return None
    with intent(f"compare the CPU of the domain with that of {host}"):
        arch, machine = read_path(root, "os/type@arch"), read_path(root, "os/type@machine")
        virt_type, text = root.get("type"), ET.tostring(cpu, encoding="unicode")
        result = connection.compareHypervisorCPU(None, arch, machine, virt_type, text, 0)
    if result in RUNS:
        return None
    return f"{cpu.get('mode', 'custom')} {read_path(cpu, 'model') or ''}".strip()
