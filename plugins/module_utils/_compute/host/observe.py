# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the domains of one libvirt connection, each once: what a plan for one VM and a plan for a hundred begin with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from ..._errors import NotFound
from ..._libvirt import error_name, intent, libvirt, lookup
from ..model.host_facts import Folders
from ..model.image_tools import ReadTool
from ..model.overlays import is_ours, is_overlay, made_format, with_own_files
from ..model.spec import CONTEXT, SEED, DomainSpec, Nic
from ..model.state import BUSY, CRASHED, ENDING, SUSPENDED, VmState
from ..model.vnc import OF_HOST
from ..seed.file import read_digest
from ..xml.domain import Parsed, parse, parse_xml

# libvirt's virDomainState. A crashed guest that is kept (on_crash: preserve) still has its QEMU, and that its disks.
RUN_STATES = {0: "running", 1: "running", 2: "running", 3: "paused", 4: "running", 5: "stopped", 6: "paused", 7: "paused"}
CONDITIONS = {4: ENDING, 6: CRASHED, 7: SUSPENDED}
# virDomainPausedReason: migration, save, dump, shutting down, snapshot, crashed, starting up, post-copy, failed post-copy
PAUSED_CONDITIONS = {2: BUSY, 3: BUSY, 4: BUSY, 8: ENDING, 9: BUSY, 10: CRASHED, 11: BUSY, 12: BUSY, 13: BUSY}
POST_COPY = (12, 13)
PAUSED = 3
GIVEN = ("mtu", "vlan", "vlans", "inbound", "outbound")  # the first by a bridge, too


@dataclass(frozen=True)
class ObservedDomain:
    """A domain as libvirt showed it: ``config`` is the XML of its next start; ``handle`` stays good while it is defined."""

    name: str
    uuid: str
    handle: Any
    run: str
    config: Element
    autostart: bool
    condition: str = ""

    @property
    def macs(self) -> list[str]:
        """The MAC addresses of its interfaces, in lower case."""
        return [(mac.get("address") or "").lower() for mac in self.config.iterfind("devices/interface/mac")]


def see(domain: Any, autostart: bool | None = None) -> ObservedDomain | None:
    """Return one domain, or None where it has just gone; ``autostart`` is read where it is not given."""
    try:
        with intent(f"read domain {domain.name()}"):
            # The list has the ID, a state is a call each.
            run, condition = _observed_state(domain) if domain.ID() >= 0 else ("stopped", "")
            if run == "stopped" and domain.hasManagedSaveImage():
                run = "saved"
            config = parse_xml(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
            if autostart is None:
                autostart = bool(domain.autostart()) if domain.isPersistent() else False
    except NotFound:
        return None
    return ObservedDomain(domain.name(), domain.UUIDString(), domain, run, config, autostart, condition)


def _observed_state(domain: Any) -> tuple[str, str]:
    state, reason = domain.state()
    run, condition = run_state(state, reason)
    if condition == BUSY and reason not in POST_COPY and _has_no_job(domain):
        condition = ""  # the reason outlives its job: a guest that was restored paused keeps "migration"
    return run, condition


def _has_no_job(domain: Any) -> bool:
    try:
        return bool(domain.jobStats().get("type", libvirt.VIR_DOMAIN_JOB_NONE) == libvirt.VIR_DOMAIN_JOB_NONE)
    except libvirt.libvirtError:  # a migration that comes in shows its job on the host that it comes from
        return False


def run_state(state: int, reason: int) -> tuple[str, str]:
    """Return what libvirt's state of a domain is to us: running, paused or stopped, and the condition, empty for none."""
    return RUN_STATES[state], PAUSED_CONDITIONS.get(reason, "") if state == PAUSED else CONDITIONS.get(state, "")


def see_one(connection: Any, name: str) -> ObservedDomain | None:
    """Return the domain of this name, or None."""
    with intent(f"look up domain {name}"):
        domain = lookup(connection.lookupByName, name)
    return see(domain) if domain is not None else None


def see_all(connection: Any) -> dict[str, ObservedDomain]:
    """Return every domain by name: two calls for all of them, and two for each."""
    with intent("list the domains of this host"):
        domains = connection.listAllDomains()
        autostarted = {domain.name() for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)}
    found = (see(domain, domain.name() in autostarted) for domain in domains)
    return {one.name: one for one in sorted((one for one in found if one), key=lambda one: one.name)}


def vm_of(seen: ObservedDomain, folders: Folders) -> VmState:
    """Return the VM without its files."""
    parsed = parse(seen.config)
    config = with_own_files(parsed.spec, folders.vm(seen.name), parsed.record)
    state = VmState(
        seen.name,
        run=seen.run,
        config=config,
        record=parsed.record,
        marked=parsed.marked,
        autostart=seen.autostart,
        condition=seen.condition,
        arrival=parsed.arrival,
        foreign=parsed.foreign,
    )
    if seen.run == "stopped":
        return state
    try:
        with intent(f"read domain {seen.name}"):
            live = live_tree(seen)
    except NotFound:  # it was transient and ended: to a plan it is not there
        return VmState(seen.name)
    if live is None:
        return state
    running = parse(live, parsed.record)
    spec = with_own_files(live_spec(running, config), folders.vm(seen.name), parsed.record)
    return replace(
        state, live=spec, live_foreign=running.foreign, started_by_others=not running.marked, free_ports=running.free_ports
    )


def live_tree(seen: ObservedDomain) -> Element | None:
    """Return the XML that runs, or that a saved guest will run; None where the driver does not know it."""
    if seen.run != "saved":
        return parse_xml(seen.handle.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE))
    text = saved_text(seen.handle)
    return parse_xml(text) if text else None


def saved_text(domain: Any) -> str | None:
    """Return the XML that a saved domain will run with; None where it is not saved, or the driver does not know it."""
    if not domain.hasManagedSaveImage():
        return None
    try:
        return str(domain.managedSaveGetXMLDesc(libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE))
    except libvirt.libvirtError as error:
        if error_name(error) != "VIR_ERR_NO_SUPPORT":
            raise
        return None


def live_spec(live: Parsed, config: DomainSpec) -> DomainSpec:
    """Return the live spec without what libvirt's live XML has in another form than it was asked for.

    The CPU is there as expanded, the memory as the balloon has it at this instant, an interface with what its network gave it, a
    display with the address that the host's settings gave it.
    """
    asked = live.record.spec if live.record else config
    nics = tuple(_as_asked(nic, [one for one in (*config.nics, *asked.nics) if one.name == nic.name]) for nic in live.spec.nics)
    memory = asked.memory if live.record else live.spec.memory
    listen = config.vnc_listen if config.vnc_listen == OF_HOST else live.spec.vnc_listen
    return replace(live.spec, cpu=asked.cpu, cpu_features=asked.cpu_features, memory=memory, nics=nics, vnc_listen=listen)


def _as_asked(live: Nic, asked: Iterable[Nic]) -> Nic:
    """Return an interface without what was not asked for, neither at its start nor since: its network (a port group) gave it."""
    given = GIVEN if live.network else GIVEN[:1]
    without: dict[str, Any] = {field: None for field in given if all(getattr(one, field) is None for one in asked)}
    return replace(live, **without)


def with_files(state: VmState, tool: ReadTool, folders: Folders, paths: Iterable[str] = ()) -> VmState:
    """Return the VM with the files of its disks, its seed and its folder; ``paths`` are further disk files of ours to look at."""
    formats = {disk.active: disk.active_format for disk in state.disks if disk.active and disk.name not in (SEED, CONTEXT)}
    folder = _files(folders.vm(state.name))
    here = sorted(path for path in {*formats, *paths, *filter(is_overlay, folder)} if path and Path(path).exists())
    return replace(
        state,
        volumes=tuple(tool.info(path, formats.get(path) or made_format(path)) for path in here),
        folder=folder,
        seed=read_digest(folders.seed(state.name)),
        context=read_digest(folders.context(state.name)),
    )


def _files(where: str) -> tuple[str, ...]:
    folder = Path(where)
    if not folder.is_dir():
        return ()
    return tuple(sorted(str(path) for path in folder.iterdir() if path.is_file() and is_ours(path.name)))


def read_vm(connection: Any, name: str, tool: ReadTool, folders: Folders, *, paths: Iterable[str] = ()) -> VmState:
    """Return the VM of this name as it is; ``paths`` are further disk files to look at."""
    seen = see_one(connection, name)
    return with_files(vm_of(seen, folders) if seen else VmState(name), tool, folders, paths)
