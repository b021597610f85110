# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the VM that is to move, on the host where it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, tostring

from ..._errors import Refused
from ..._libvirt import intent, libvirt, lookup
from ..host.migration_mark import FILE
from ..host.observe import RUN_STATES, run_state
from ..model.host_facts import Folders
from ..model.image_tools import ReadTool
from ..model.overlays import is_overlay
from ..model.spec import Nic
from ..model.state import CRASHED, ENDING, SUSPENDED
from ..model.virtual_network import NetworkTool
from ..xml.domain import MARK, parse, parse_xml
from ..xml.properties import read_path, read_scaled
from .model import Joined, MovingDisk, MovingFile, SourceVm
from .ties import needed_files, secrets, strange_paths, ties

BLOCK = 512
DEEPEST = 64
SNAPSHOTS = "snapshots.json"
STAYING = (FILE, "console.log")
HALTED = {
    SUSPENDED: "its guest sleeps (S3), which does not come through a migration; wake it (state running) first",
    CRASHED: "its guest has crashed and is kept for a look; stop it (state stopped, force_stop) first",
    ENDING: "it is shutting down; wait for its end",
}


def read_source(connection: Any, name: str, tool: ReadTool, folders: Folders, known: NetworkTool) -> SourceVm | None:
    """Return the domain of this name with all its files, None where libvirt has none."""
    with intent(f"look up domain {name}"):
        domain = lookup(connection.lookupByName, name)
    if domain is None:
        return None
    with intent(f"read domain {name}"):
        at = domain.state()
        run = RUN_STATES[at[0]]
        secure = libvirt.VIR_DOMAIN_XML_SECURE
        config = parse_xml(domain.XMLDesc(secure | libvirt.VIR_DOMAIN_XML_INACTIVE))
        live = parse_xml(domain.XMLDesc(secure)) if run != "stopped" else config
        autostart = bool(domain.autostart()) if domain.isPersistent() else False
    disks = _Disks(tool, folders, name)
    moving = disks.read(live)
    nics = live.findall("devices/interface")
    return SourceVm(
        uuid=domain.UUIDString(),
        run=run,
        marked=parse(config).marked,
        autostart=autostart,
        memory=read_scaled(live, "memory"),
        xml=_text(domain, run),
        disks=moving,
        files=disks.files(live, run, moving),
        needed=(*disks.needed, *needed_files(live)),
        secrets=tuple(secrets(live)),
        networks=tuple(sorted({network for nic in nics if (network := read_path(nic, "source@network"))})),
        bridges=tuple(sorted({str(read_path(nic, "source@bridge")) for nic in nics if nic.get("type") == "bridge"})),
        joined=tuple(_joined(parse(live, parse(config).record).spec.nics, known)),
        macs=tuple(sorted((read_path(nic, "mac@address") or "").lower() for nic in nics)),
        checkpoints=_checkpoints(domain),
        obstacles=tuple(
            dict.fromkeys(
                [
                    *disks.obstacles,
                    *disks.unfinished(),
                    *_obstacles(domain, live, run),
                    *_ties(connection, live, config, disks.home),
                    *_public(parse(config).spec.nics),
                ]
            )
        ),
        host_cpu=_host_cpu(connection, live, run),
        migrating=_is_migrating(domain, run),
        mark=mark_text(config),
        post_copy=post_copy_of(*at),
    )


def _public(nics: Sequence[Nic]) -> Iterator[str]:
    """Yield the public addresses of interfaces: the destination's kernel is not told from here that it has them."""
    for nic in nics:
        if nic.public_address:
            addresses = ", ".join(one.address for one in nic.public_address)
            yield (
                f"its interface {nic.name} has the public address {addresses}, which this host passes on; take it away first with "
                "edge.cloud.domain (public_address: []), and give it again on the destination, which announces it"
            )


def _joined(nics: Sequence[Nic], known: NetworkTool) -> Iterator[Joined]:
    """Yield the virtual networks that interfaces are in; those of the host are read only if there is one."""
    found: dict[tuple[str, str], list[int]] = {}
    for nic in nics:
        if nic.virtual_network and nic.bridge:
            found.setdefault((nic.virtual_network, nic.bridge), []).extend([nic.mtu] if nic.mtu else [])
    here = known.here() if found else {}
    for (name, bridge), sizes in sorted(found.items()):
        yield Joined(name, bridge, max(sizes, default=None), here[name].definition if name in here else None)


def mark_text(root: Element) -> str | None:
    """Return our record in a domain's metadata, or None."""
    mark = root.find(f"metadata/{MARK}")
    return mark.text if mark is not None else None


def post_copy_of(state: int, reason: int) -> str | None:
    """Return ``active`` or ``failed`` where libvirt's state of a domain says that its memory is on two hosts, else None."""
    states = {
        (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY): "active",
        (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED): "failed",
        (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY): "active",
        (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY_FAILED): "failed",
    }
    return states.get((state, reason))


def _text(domain: Any, run: str) -> str:
    """Return the XML that another host can take: the live one without what only this host knows, else the configuration."""
    flags = libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_MIGRATABLE
    with intent(f"read domain {domain.name()}"):
        return str(domain.XMLDesc(flags | (libvirt.VIR_DOMAIN_XML_INACTIVE if run == "stopped" else 0)))


def _is_migrating(domain: Any, run: str) -> bool:
    if run == "stopped":
        return False
    with intent(f"read the job of domain {domain.name()}"):
        return job_operation(domain) == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT


def job_operation(domain: Any) -> int | None:
    """Return which operation the domain's job does, None where it has no job."""
    job = domain.jobStats()
    if job.get("type", libvirt.VIR_DOMAIN_JOB_NONE) == libvirt.VIR_DOMAIN_JOB_NONE:
        return None
    return int(job.get("operation", libvirt.VIR_DOMAIN_JOB_OPERATION_UNKNOWN))


def _checkpoints(domain: Any) -> tuple[str, ...]:
    """Return libvirt's checkpoints, each after its parent, in the form that defines them again."""
    with intent(f"list the checkpoints of domain {domain.name()}"):
        found = domain.listAllCheckpoints(libvirt.VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL)
        return tuple(one.getXMLDesc(libvirt.VIR_DOMAIN_CHECKPOINT_XML_SECURE) for one in found)


def _obstacles(domain: Any, live: Element, run: str) -> Iterator[str]:
    with intent(f"read domain {domain.name()}"):
        if domain.listAllSnapshots():
            yield "it has snapshots in libvirt's own list, which cannot move; delete them (virsh snapshot-delete)"
        if run == "stopped" and domain.hasManagedSaveImage():
            yield "its memory is saved on this host; start it, or drop the saved memory, first"
        if run != "stopped" and job_operation(domain) not in (None, libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT):
            yield "another job works on it (virsh domjobinfo); wait for its end"
        if run != "stopped" and (found := HALTED.get(run_state(*domain.state())[1])):
            yield found
        if post_copy_of(*domain.state()):
            yield "another program's post-copy migration of it has no end; finish that first (virsh migrate --postcopy-resume)"
        if run != "stopped" and domain.state() == [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR]:
            yield "it is paused by an I/O error; make room for its disks and resume it first"
    if live.find("devices/disk/backingStore[@type='network']") is not None:
        yield "the image of one of its disks has not arrived on this host yet; wait for edge-arrive.service"
    if run == "stopped" and live.find("devices/tpm/backend[@type='emulator']") is not None:
        yield "the state of its emulated TPM can move only while it runs; start it first"


def _ties(connection: Any, live: Element, config: Element, home: str) -> Iterator[str]:
    """Yield what ties the domain to this host, as it runs or at its next start."""
    yield from ties(live)
    yield from ties(config)
    yield from strange_paths(config, home)
    names = {read_path(nic, "source@network") for root in (live, config) for nic in root.iterfind("devices/interface")}
    for name in sorted(name for name in names if name):
        with intent(f"read the network {name}"):
            network = lookup(connection.networkLookupByName, name)
            found = parse_xml(network.XMLDesc()) if network is not None else None
        mode = read_path(found, "forward@mode") if found is not None else None
        if found is not None and mode not in (None, "nat", "route", "open") and found.find("bridge") is None:
            yield f"its network {name} gives it a device of this host (forward mode {mode}); take the interface out first"


def _host_cpu(connection: Any, live: Element, run: str) -> str | None:
    """Return the XML of this host's CPU where the running guest has it as it is, so that another one would break it."""
    if run == "stopped" or live.get("type") != "kvm" or read_path(live, "cpu@mode") not in ("host-passthrough", "maximum"):
        return None
    with intent("read the CPU of this host"):
        found = parse_xml(connection.getCapabilities()).find("host/cpu")
    return None if found is None else tostring(found, encoding="unicode")


class _Disks:
    """Reads disks, and gathers what keeps the VM from moving."""

    def __init__(self, tool: ReadTool, folders: Folders, name: str) -> None:
        self._tool = tool
        self._folders = folders
        self.home = folders.vm(name)
        self._own = self.home + "/"
        self.needed: list[str] = []
        self.obstacles: list[str] = []

    def read(self, root: Element) -> tuple[MovingDisk, ...]:
        found = (self._disk(element) for element in root.iterfind("devices/disk") if element.find("source") is not None)
        return tuple(disk for disk in found if disk is not None)

    def _disk(self, element: Element) -> MovingDisk | None:
        target, kind = read_path(element, "target@dev") or "?", element.get("type")
        read_only = element.find("readonly") is not None
        if kind == "network":  # every host reaches it
            return None
        path = read_path(element, "source@file") if kind == "file" else None
        if path is None:
            self.obstacles.append(f"its disk {target} is of type {kind}, which cannot move; detach it first")
        elif path.startswith(self._own):
            return self._moving(target, path, read_path(element, "driver@type") or "raw", read_only)
        elif read_only:
            self.needed.append(path)
        else:
            self.obstacles.append(f"its disk {target} is {path}, outside of the VM's folder {self._own}; detach it first")
        return None

    def _moving(self, target: str, path: str, form: str, read_only: bool) -> MovingDisk | None:
        overlays: list[MovingFile] = []
        at: str | None = path
        while at is not None and at.startswith(self._own) and len(overlays) < DEEPEST:
            if not Path(at).exists():
                self.obstacles.append(f"the file {at} of its disk {target} is missing")
                return None
            overlays.append(self._overlay(at, form))
            at, known = overlays[-1].backing, overlays[-1].backing_format
            if at is not None and known is None:
                self.obstacles.append(f"{overlays[-1].path} does not say which format {at} has; qemu-img rebase -u -F records it")
                return None
            form = known or "raw"
        if at is None:
            return MovingDisk(target, read_only, tuple(overlays))
        if Path(at).parent != Path(self._folders.images) or not at.endswith(".qcow2"):
            self.obstacles.append(
                f"its disk {target} is laid over {at}, not an image of the host cache; if it is still on its way, wait for it"
            )
            return None
        return MovingDisk(target, read_only, tuple(overlays), at)

    def _overlay(self, path: str, form: str) -> MovingFile:
        found = self._tool.info(path, form)
        at = Path(path).stat()
        return MovingFile(path, found.format, found.size, at.st_size, at.st_blocks * BLOCK, found.backing, found.backing_format)

    def files(self, root: Element, run: str, disks: Iterable[MovingDisk]) -> tuple[MovingFile, ...]:
        """Return what else is in the VM's folder, such as snapshots, and the variables of a stopped VM's UEFI firmware.

        Variables of a running one move with its memory, and the log of the console stays behind.
        """
        known = {overlay.path for disk in disks for overlay in disk.overlays} | {f"{self._own}{name}" for name in STAYING}
        folder = Path(self._own)
        found = (
            {str(path) for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}
            if folder.is_dir()
            else set()
        )
        nvram = read_path(root, "os/nvram")
        if nvram and run == "stopped" and Path(nvram).exists():
            found.add(nvram)
        elif nvram:
            known.add(nvram)
        return tuple(self._file(path) for path in sorted(found - known))

    def _file(self, path: str) -> MovingFile:
        at = Path(path).stat()
        form = "qcow2" if is_overlay(path) or (path.endswith(".qcow2") and self._is_qcow2(path)) else "raw"
        return MovingFile(path, form, at.st_size, at.st_size, at.st_blocks * BLOCK)

    def _is_qcow2(self, path: str) -> bool:
        try:
            return self._tool.detect(path) == "qcow2"
        except Refused:
            return False

    def unfinished(self) -> Iterator[str]:
        """Yield why the VM cannot move if a change of its snapshots has no end."""
        path = Path(self._own, SNAPSHOTS)
        if path.exists() and json.loads(path.read_text(encoding="utf-8")).get("journal"):
            yield f"a change of its snapshots has no end ({path}); run edge.cloud.domain_snapshot again, which finishes it"
