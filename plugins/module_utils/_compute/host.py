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

from .._libvirt import error_name, intent, libvirt, lookup
from .domain_xml import Parsed, parse, parse_xml
from .facts import Folders, HostFacts
from .image_tool import ImageTool
from .options import asked_images, asked_paths
from .seed import read_digest
from .spec import CONTEXT, SEED, DomainSpec
from .state import VmState

KIB = 1024
OURS = (".qcow2", "seed.iso", "context.iso", "console.log", "nvram.fd")
RUN_STATES = {1: "running", 2: "running", 3: "paused", 4: "running", 5: "stopped", 6: "stopped", 7: "paused"}


def read_vm(
    connection: Any, name: str, tool: ImageTool, folders: Folders, *, adopt: bool = False, paths: Iterable[str] = ()
) -> VmState:
    """Return the VM of this name as it is; ``paths`` are further disk files to look at."""
    with intent(f"look up domain {name}"):
        domain = lookup(connection.lookupByName, name)
    state = VmState(name, folder=_files(folders.vm(name)), seed=read_digest(folders.seed(name)))
    state = replace(state, context=read_digest(folders.context(name)))
    if domain is not None:
        state = _with_domain(state, domain, adopt)
    formats = (
        {disk.path: disk.format for disk in state.config.disks if disk.path and disk.name not in (SEED, CONTEXT)}
        if state.config
        else {}
    )
    here = sorted(path for path in {*formats, *paths} if Path(path).exists())
    return replace(state, volumes=tuple(tool.info(path, formats.get(path)) for path in here))


def _with_domain(state: VmState, domain: Any, adopt: bool) -> VmState:
    with intent(f"read domain {state.name}"):
        run = RUN_STATES[domain.state()[0]]
        config = parse_xml(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
        if run == "stopped" and domain.isPersistent() and domain.hasManagedSaveImage():
            run = "saved"
        live = _live_tree(domain, run)
        autostart = bool(domain.autostart()) if domain.isPersistent() else False
    ours = parse(config)
    parsed = parse(config, adopt=adopt and not ours.marked)
    running = parse(live, adopt=adopt and not ours.marked) if live is not None else None
    return replace(
        state,
        run=run,
        config=parsed.spec,
        live=live_spec(running, parsed.spec) if running else None,
        record=parsed.record,
        marked=parsed.marked,
        autostart=autostart,
        foreign_targets=parsed.foreign_targets,
        free_ports=running.free_ports if running else None,
    )


def _live_tree(domain: Any, run: str) -> Any:
    """Return the XML that runs, or that a saved guest will run; None where there is none, or the driver cannot say."""
    if run == "stopped":
        return None
    if run != "saved":
        return parse_xml(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE))
    try:
        return parse_xml(domain.managedSaveGetXMLDesc(libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE))
    except libvirt.libvirtError as error:
        if error_name(error) != "VIR_ERR_NO_SUPPORT":
            raise
        return None


def live_spec(live: Parsed, config: DomainSpec) -> DomainSpec:
    """Return the live spec with what libvirt's live XML says otherwise than it was asked for.

    The CPU is there as expanded, the memory as the balloon has it at this instant, an MTU as the network gave it.
    """
    asked = live.record.spec if live.record else config
    mtus = {nic.name: nic.mtu for nic in config.nics}
    nics = tuple(replace(nic, mtu=None) if nic.name in mtus and mtus[nic.name] is None else nic for nic in live.spec.nics)
    memory = asked.memory if live.record else live.spec.memory
    return replace(live.spec, cpu=asked.cpu, memory=memory, nics=nics)


def _files(where: str) -> tuple[str, ...]:
    folder = Path(where)
    if not folder.is_dir():
        return ()
    return tuple(sorted(str(path) for path in folder.iterdir() if path.is_file() and path.name.endswith(OURS)))


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
