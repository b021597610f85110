# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a hypervisor through one libvirt connection, each thing once, whatever the number of plans that ask."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from ..._errors import about_option
from ..._files import nearest_folder
from ..._libvirt import DEFAULT_URI, error_name, intent, libvirt
from ..._sizes import KIB, MIB
from ..model.host_facts import HostFacts, VolumeFile
from ..model.image_tools import ImageTool
from ..model.overlays import MADE_FORMATS, made_path
from ..model.request import DiskOptions, DomainOptions
from ..model.spec import DomainSpec
from ..model.virtual_network import Networks, NetworkTool, NoNetworks
from ..options.interface import asks_for_networks
from ..options.machine import usual_firmware
from ..options.resolve import asked_functions, asked_images, asked_paths, pci_path
from ..xml.about import X86
from ..xml.domain import parse_xml
from ..xml.properties import read_path
from .domains import HostDomains
from .file_users import Claim, claims_of, format_in_use
from .images import Images
from .kernel import SHAPING, cannot_limit, is_no_kernel
from .kinds import (
    coarse_files,
    has_address,
    io_uring_allowed,
    kind_of,
    missing_secrets,
    online_cpus,
    tagging,
    tags_bridges,
    without_direct_io,
    without_writing,
)
from .observe import ObservedDomain
from .qemu_conf import guards_vnc, unset

NEEDS: dict[str, tuple[tuple[Any, ...], tuple[str, str]]] = {
    "firmware": (("uefi",), ("os/enum[@name='firmware']", "efi")),
    "tpm": ((True,), ("devices/tpm/enum[@name='backendModel']", "emulator")),
    "spice": (("loopback", "tls"), ("devices/graphics/enum[@name='type']", "spice")),
}


@dataclass(frozen=True)
class HostView(HostDomains):
    """A hypervisor with all that plans ask of it, as it was when it was looked at first; make a new one to look again."""

    tool: ImageTool
    networks: NetworkTool = field(default_factory=NoNetworks)

    @cached_property
    def basics(self) -> HostFacts:
        """The facts that do not depend on what is asked."""
        with intent("read the capabilities of this host"):
            capabilities = self._all_capabilities
            networks = {network.name(): bool(network.isActive()) for network in self.connection.listAllNetworks()}
            memory = self.connection.getInfo()[1] * MIB
        virt_types, machines = _guests(capabilities, os.uname().machine)
        return HostFacts(
            virt_types=virt_types,
            arch=os.uname().machine,
            memory=memory,
            free=free_memory(self.connection),
            machines=machines,
            networks=networks,
            bridges=_bridges(),
            domains=self.uuids,
            macs=self.macs,
            direct_io=_direct_io(self.folders.vms),
            folders=self.folders,
        )

    @cached_property
    def _all_capabilities(self) -> Element:
        return parse_xml(self.connection.getCapabilities())

    def _arch(self, options: DomainOptions) -> str | None:
        """Return the architecture of a domain where it is not the host's own."""
        seen = self.domains.get(options.name)
        found = read_path(seen.config, "os/type@arch") if seen else options.arch
        return None if found == os.uname().machine else found

    def _for_arch(self, arch: str | None) -> HostFacts:
        if arch is None:
            return self.basics
        offered = tuple(sorted({str(one.get("name")) for one in self._all_capabilities.iterfind("guest/arch")}))
        virt_types, machines = _guests(self._all_capabilities, arch)
        return replace(self.basics, virt_types=virt_types, machines=machines, arches=offered)

    @cached_property
    def free_pages(self) -> dict[int, int]:
        """How many huge pages of each size, in bytes, are free."""
        with intent("read the free huge pages of this host"):
            return free_pages(self.connection)

    @cached_property
    def _virtual_networks(self) -> Networks:
        return self.networks.here()

    @cached_property
    def _cannot_limit(self) -> dict[str, tuple[str, ...]]:
        return cannot_limit(SHAPING)

    @cached_property
    def schema_errors(self) -> dict[str, list[str]]:
        """What this host's cloud-init finds wrong in cloud-config, by its text; VMs often have the same."""
        return {}

    @cached_property
    def images(self) -> Images:
        """The images that disks begin as."""
        return Images(self.tool, self.folders)

    @cached_property
    def _capabilities(self) -> dict[tuple[Any, ...], Element]:
        return {}

    def facts(self, options: DomainOptions, awaited: Iterable[str] = (), before: DomainSpec | None = None) -> HostFacts:
        """Return the facts that a plan for these options needs; ``awaited`` are images that disks wait for.

        ``before`` is what the domain is.
        """
        images = {digest: self.images.size(digest) for digest in (*asked_images(options), *awaited)}
        offers, unavailable = self.images.offers(options)
        kinds = {path: kind for path in asked_paths(options) if (kind := kind_of(path))}
        disks = [disk for disk in options.disks or () if disk.path and kinds.get(disk.path) in ("file", "block")]
        files = {str(disk.path): self._file(options.name, disk) for disk in disks}
        raw = {path: found.size for path, found in files.items() if found.format == "raw" and not found.block}
        return replace(
            self._for_arch(self._arch(options)),
            cpu_models=self._cpu_models(options),
            lacks=self._lacks(options),
            unset=unset(options.spice),
            vnc_is_guarded=options.asks_of_vnc and guards_vnc(),
            has_vnc_listen=_has_address(options.vnc_listen),
            free_pages=self.free_pages if options.hugepages else {},
            files=files,
            images={digest: size for digest, size in images.items() if size is not None},
            remote_images=self.images.remote(options),
            offers=offers,
            unavailable=unavailable,
            kinds=kinds,
            no_direct=without_direct_io(files) | coarse_files(raw),
            read_only=without_writing(files),
            no_kernel=self._no_kernel(options),
            cannot_limit=self._cannot_limit if any(nic.inbound or nic.outbound for nic in options.nics or ()) else {},
            ungrouped=frozenset(one for one in asked_functions(options) if not Path(pci_path(one), "iommu_group").exists()),
            cpus=online_cpus(self.connection) if options.vcpu_pinning or options.emulator_pinning else (),
            io_uring=io_uring_allowed(),
            tagging=tagging(self.connection, options),
            tags_bridges=tags_bridges(self.connection) if any(nic.vlans for nic in options.nics or ()) else True,
            kept=self._kept(options),
            virtual_networks=self._virtual_networks if asks_for_networks(options, before) else {},
            missing_secrets=missing_secrets(self.connection, options),
            missing=frozenset(path for path in asked_paths(options) if not Path(path).exists()),
        )

    def _kept(self, options: DomainOptions) -> dict[str, str | None]:
        """Return the files that are there of disks that are made here, with the formats that are on record."""
        home, disks = self.folders.vm(options.name), options.disks or ()
        names = [disk.name for disk in disks if disk.image or disk.size]
        paths = {made_path(home, name, one) for name in names for one in MADE_FORMATS} - {disk.path for disk in disks}
        return {path: self.tool.noted_format(path) for path in sorted(paths) if Path(path).exists()}

    def _no_kernel(self, options: DomainOptions) -> bool:
        """Return whether the kernel that is asked for is none; only where QEMU is to boot it, as a PC."""
        pc = (self._arch(options) or os.uname().machine) in X86
        return bool(options.kernel) and pc and self.connection.getType() == "QEMU" and is_no_kernel(str(options.kernel))

    def _file(self, name: str, disk: DiskOptions) -> VolumeFile:
        """Return the file that a disk is given; what it is called decides its format, else what uses it, and its bytes last."""
        path = str(disk.path)
        mine = [self._claims_of(self.domains[name])] if name in self.domains else []
        used = disk.format or format_in_use(path, mine) or format_in_use(path, self._claims.values())
        with about_option(f"{disk.where}.format" if disk.format else f"{disk.where}.path"):
            found = self.tool.info(path, used or self.tool.detect(path))
            if found.format == "qcow2" and format_in_use(path, mine) is None:
                self.tool.require_formats(path)
        return found

    def _cpu_models(self, options: DomainOptions) -> tuple[str, ...]:
        """Return the named CPU models that the host can run; asked only where a name was given, since it takes a while."""
        if options.cpu is None or not options.cpu.model:
            return ()
        rows = self._domain_capabilities(options).iterfind("cpu/mode[@name='custom']/model[@usable='yes']")
        return tuple(row.text or "" for row in rows)

    def _lacks(self, options: DomainOptions) -> frozenset[str]:
        """Return which of the options that need a program or firmware of their own this host cannot give."""
        values = {option: getattr(options, option) for option in NEEDS}
        if options.name not in self.domains:
            values["firmware"] = usual_firmware(options, options.arch or os.uname().machine)
        asked = [option for option, (value, _path) in NEEDS.items() if values[option] in value]
        if not asked:
            return frozenset()
        found = self._domain_capabilities(options)
        return frozenset(option for option in asked if not _offers(found, NEEDS[option][1]))

    def _domain_capabilities(self, options: DomainOptions) -> Element:
        key = (self._arch(options), options.machine, options.virt_type)
        if key not in self._capabilities:
            with intent("read what domains can have on this host"):
                self._capabilities[key] = parse_xml(self.connection.getDomainCapabilities(None, *key, 0))
        return self._capabilities[key]

    def claims(self, name: str) -> dict[str, Claim]:
        """Return the files that domains other than this one use."""
        found: dict[str, Claim] = {}
        for claim_path, claim in (pair for other, claims in self._claims.items() if other != name for pair in claims.items()):
            if claim.written or claim_path not in found:
                found[claim_path] = claim
        return found

    @cached_property
    def _claims(self) -> dict[str, dict[str, Claim]]:
        return {seen.name: self._claims_of(seen) for seen in self.domains.values()}

    def _claims_of(self, seen: ObservedDomain) -> dict[str, Claim]:
        if seen.name not in self._known_claims:
            self._known_claims[seen.name] = claims_of(seen, self.tool)
        return self._known_claims[seen.name]

    @cached_property
    def _known_claims(self) -> dict[str, dict[str, Claim]]:
        return {}


def free_memory(connection: Any, meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Return the bytes of memory that a new guest can have without another giving any, None where libvirt does not know it.

    On this host the kernel's own estimate counts. libvirt's numbers alone take shared memory (tmpfs, and the memory of guests with
    shared access) for cache that could be dropped.
    """
    try:
        found = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS, 0)
    except libvirt.libvirtError as error:
        if error_name(error) != "VIR_ERR_NO_SUPPORT":
            raise
        return None
    known = available_memory(meminfo.read_text(encoding="ascii")) if connection.getURI() == DEFAULT_URI else None
    return sum(found.get(key, 0) for key in ("free", "buffers", "cached")) * KIB if known is None else known


def available_memory(meminfo: str) -> int | None:
    """Return from the text of /proc/meminfo the bytes that can be had without swapping, None where the kernel does not say it."""
    row = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo, re.MULTILINE)
    return int(row[1]) * KIB if row else None


def free_pages(connection: Any) -> dict[int, int]:
    """Return how many pages of each size, in bytes, are free on all NUMA nodes together; nothing where libvirt does not know it."""
    cells = parse_xml(connection.getCapabilities()).findall("host/topology/cells/cell")
    sizes = sorted({int(page.get("size", 0)) for cell in cells for page in cell.iterfind("pages[@unit='KiB']")})
    free: dict[int, int] = {}
    for cell in cells if sizes else ():
        for found in connection.getFreePages(sizes, int(cell.get("id", 0)), 1).values():
            for size, count in found.items():
                free[size * KIB] = free.get(size * KIB, 0) + count
    return free


def _has_address(text: str | None) -> bool:
    """Return whether a display can listen on what was asked; what is not an address is refused elsewhere."""
    try:
        return text is None or has_address(str(ip_address(text)))
    except ValueError:
        return True


def _offers(capabilities: Element, needed: tuple[str, str]) -> bool:
    path, value = needed
    return value in {row.text for row in capabilities.iterfind(f"{path}/value")}


def _guests(capabilities: Any, asked: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the offered virt types of an architecture, the best first, and its machine aliases."""
    arches = [arch for arch in capabilities.iterfind("guest/arch") if arch.get("name") == asked]
    arches = arches or capabilities.findall("guest/arch")
    types = {found.get("type") for arch in arches for found in arch.iterfind("domain")}
    rows = [row for arch in arches for row in arch.iter("machine")]
    machines = {row.text: row.get("canonical") or row.text for row in rows}
    known = tuple(kind for kind in ("kvm", "qemu") if kind in types)
    return known or tuple(sorted(types)), machines


def _bridges(sys: Path = Path("/sys/class/net")) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in sys.iterdir() if (path / "bridge").is_dir())) if sys.is_dir() else ()


def _direct_io(folder: str) -> bool:
    """Return whether the file system of ``folder`` (or its nearest existing parent) takes O_DIRECT; not every overlayfs does."""
    place = nearest_folder(Path(folder))
    try:
        with tempfile.NamedTemporaryFile(prefix=".edge-direct-", dir=place) as probe:
            os.close(os.open(probe.name, os.O_RDWR | os.O_DIRECT))
    except OSError:
        return False
    return True
