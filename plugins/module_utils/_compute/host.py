# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a hypervisor through one libvirt connection: its facts, and one VM as it is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._libvirt import intent, libvirt, lookup
from .domain_xml import Parsed, parse, parse_xml
from .facts import Folders, HostFacts
from .image_tool import ImageTool
from .layers import is_layer, is_ours
from .options import asked_images, asked_paths
from .seed import read_digest
from .spec import SEED, DomainSpec
from .state import VmState

KIB = 1024
RUN_STATES = {1: "running", 2: "running", 3: "paused", 4: "running", 5: "stopped", 6: "stopped", 7: "paused"}


def read_vm(
    connection: Any, name: str, tool: ImageTool, folders: Folders, *, adopt: bool = False, paths: Iterable[str] = ()
) -> VmState:
    """Return the VM of this name as it is; ``paths`` are further disk files to look at."""
    with intent(f"look up domain {name}"):
        domain = lookup(connection.lookupByName, name)
    state = VmState(name, folder=_files(folders.vm(name)), seed=read_digest(folders.seed(name)))
    if domain is not None:
        state = _with_domain(state, domain, adopt)
    formats = {disk.path: disk.format for disk in state.config.disks if disk.name != SEED} if state.config else {}
    layers = filter(is_layer, state.folder)
    here = sorted(path for path in {*formats, *paths, *layers} if Path(path).exists())
    return replace(state, volumes=tuple(tool.info(path, formats.get(path, "qcow2" if is_layer(path) else None)) for path in here))


def _with_domain(state: VmState, domain: Any, adopt: bool) -> VmState:
    with intent(f"read domain {state.name}"):
        run = RUN_STATES[domain.state()[0]]
        config = parse_xml(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
        live = parse_xml(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)) if run != "stopped" else None
        autostart = bool(domain.autostart()) if domain.isPersistent() else False
    ours = parse(config)
    parsed = parse(config, adopt=adopt and not ours.marked)
    return replace(
        state,
        run=run,
        config=parsed.spec,
        live=live_spec(parse(live, adopt=adopt and not ours.marked), parsed.spec) if live is not None else None,
        record=parsed.record,
        marked=parsed.marked,
        autostart=autostart,
        foreign_targets=parsed.foreign_targets,
    )


def live_spec(live: Parsed, config: DomainSpec) -> DomainSpec:
    """Return the live spec with the CPU that was asked for at the start: libvirt's live XML has the expanded one."""
    return replace(live.spec, cpu=live.record.spec.cpu if live.record else config.cpu)


def _files(where: str) -> tuple[str, ...]:
    folder = Path(where)
    if not folder.is_dir():
        return ()
    return tuple(sorted(str(path) for path in folder.iterdir() if path.is_file() and is_ours(path.name)))


def read_facts(connection: Any, options: Mapping[str, Any], tool: ImageTool, folders: Folders) -> HostFacts:
    """Return the facts that a plan for these options needs."""
    with intent("read the capabilities of this host"):
        capabilities = parse_xml(connection.getCapabilities())
        networks = {network.name(): bool(network.isActive()) for network in connection.listAllNetworks()}
        memory = connection.getInfo()[1] * KIB * KIB
    virt_types, machines = _guests(capabilities)
    images = {digest: tool.image_size(digest) for digest in asked_images(options)}
    paths = asked_paths(options)
    domains, macs = _domains(connection)
    return HostFacts(
        virt_types=virt_types,
        arch=os.uname().machine,
        memory=memory,
        machines=machines,
        cpu_models=_cpu_models(connection, options),
        networks=networks,
        bridges=_bridges(),
        domains=domains,
        macs=macs,
        files={disk["path"]: tool.info(disk["path"]) for disk in options.get("disks") or () if _exists(disk.get("path"))},
        images={digest: size for digest, size in images.items() if size is not None},
        missing=frozenset(path for path in paths if not Path(path).exists()),
        direct_io=_direct_io(folders.vms),
        folders=folders,
    )


def _exists(path: str | None) -> bool:
    return bool(path) and Path(str(path)).exists()


def _guests(capabilities: Any) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the offered virt types of this host's architecture, the best first, and its machine aliases."""
    arches = [arch for arch in capabilities.iterfind("guest/arch") if arch.get("name") == os.uname().machine]
    arches = arches or capabilities.findall("guest/arch")
    types = {found.get("type") for arch in arches for found in arch.iterfind("domain")}
    rows = [row for arch in arches for row in arch.iter("machine")]
    machines = {row.text: row.get("canonical") or row.text for row in rows}
    known = tuple(kind for kind in ("kvm", "qemu") if kind in types)
    return known or tuple(sorted(types)), machines


def _domains(connection: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Return name → UUID and MAC → name of every domain."""
    domains, macs = {}, {}
    with intent("list the domains of this host"):
        for domain in connection.listAllDomains():
            domains[domain.name()] = domain.UUIDString()
            for mac in parse_xml(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).iterfind("devices/interface/mac"):
                macs[(mac.get("address") or "").lower()] = domain.name()
    return domains, macs


def _cpu_models(connection: Any, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the named CPU models that the host can run; asked only where a name was given, since it takes a while."""
    if not (options.get("cpu") or {}).get("model"):
        return ()
    with intent("read the CPU models of this host"):
        text = connection.getDomainCapabilities(None, options.get("arch"), options.get("machine"), options.get("virt_type"), 0)
    rows = parse_xml(text).iterfind("cpu/mode[@name='custom']/model[@usable='yes']")
    return tuple(row.text or "" for row in rows)


def _bridges(sys: Path = Path("/sys/class/net")) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in sys.iterdir() if (path / "bridge").is_dir())) if sys.is_dir() else ()


def _direct_io(folder: str) -> bool:
    """Return whether the file system of ``folder`` (or its nearest existing parent) takes O_DIRECT; not every overlayfs does."""
    place = next(path for path in (Path(folder), *Path(folder).parents) if path.is_dir())
    try:
        with tempfile.NamedTemporaryFile(prefix=".edge-direct-", dir=place) as probe:
            os.close(os.open(probe.name, os.O_RDWR | os.O_DIRECT))
    except OSError:
        return False
    return True
