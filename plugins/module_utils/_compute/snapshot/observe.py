# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a VM's disks as trees of files, through libvirt and the tool for disk files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..._errors import Conflict, InvalidInput, NotFound
from ..._libvirt import intent, libvirt
from ..host.agent import AGENT_SECONDS, is_connected, limited_agent
from ..host.domains import check_ownership
from ..host.observe import read_vm
from ..model.host_facts import Folders, VolumeFile
from ..model.image_tools import OverlayTool
from ..model.overlays import is_overlay
from ..model.spec import SEED, DomainSpec
from ..model.state import VmState
from ..options.values import check_name
from ..xml.domain import parse_xml
from .files import read_index
from .index import SnapshotIndex
from .state import DiskNow, SnapshotState
from .steps import MEMORY


def read_snapshots(connection: Any, name: str, tool: OverlayTool, folders: Folders) -> SnapshotState:
    """Return the VM's disks, files and snapshots; raise NotFound without such a domain, Conflict for one that is not ours."""
    vm = read_vm(connection, check_name(name), tool, folders)
    if vm.config is None:
        raise NotFound(f"name: this host has no domain {name}.", option="name", value=name)
    check_ownership(vm, adopt=False)
    home = folders.vm(name)
    index = read_index(home)
    written = [disk for disk in vm.config.disks if disk.name != SEED and not disk.read_only and disk.device == "disk"]
    mine = [disk for disk in written if disk.path]
    state = SnapshotState(
        name=name,
        home=home,
        run=vm.run,
        disks=tuple(DiskNow(disk.name, disk.target, disk.active, disk.path) for disk in mine),
        files=_files(vm, vm.config, index, tool),
        index=index,
        condition=vm.condition,
        others=tuple(sorted({*vm.foreign.targets, *(disk.target for disk in vm.config.disks if disk not in mine)})),
        remote=tuple(disk.name for disk in written if disk not in mine),
    )
    return replace(state, written=_written(state, tool), disks=_really_active(state, vm))


def _files(vm: VmState, config: DomainSpec, index: SnapshotIndex, tool: OverlayTool) -> tuple[VolumeFile, ...]:
    known = {one.path: one for one in vm.volumes}
    formats = {disk.path: disk.format for disk in config.disks if disk.name != SEED and disk.path}
    journal = dict(index.journal.overlays).values() if index.journal else ()
    for path in sorted((*formats, *index.referenced, *journal), key=is_overlay, reverse=True):
        if path not in known and Path(path).exists():
            named = next((one.backing_format for one in known.values() if one.backing == path), None)
            known[path] = tool.info(path, "qcow2" if is_overlay(path) else formats.get(path) or named or tool.detect(path))
    memories = [path for path in index.made if path.endswith(f".{MEMORY}") and Path(path).exists()]
    return tuple(sorted((*known.values(), *(VolumeFile(path, MEMORY, 0) for path in memories)), key=lambda one: one.path))


def _written(state: SnapshotState, tool: OverlayTool) -> frozenset[str]:
    """Return which of the overlays that a journal or a disk names hold data, or are open."""
    journal = dict(state.index.journal.overlays).values() if state.index.journal else ()
    overlays = {path for path in (*journal, *state.active.values()) if path in state.index.made and state.file(path)}
    return frozenset(path for path in overlays if tool.has_data(path))


def _really_active(state: SnapshotState, vm: VmState) -> tuple[DiskNow, ...]:
    """Return the disks; raise Conflict where the running guest writes another file than its next start would."""
    live = {disk.name: disk.active for disk in vm.live.disks} if vm.live else {}
    moving = {disk for disk, _path in state.index.journal.overlays} if state.index.journal else set()
    for disk in state.disks:
        if disk.name in live and live[disk.name] != disk.active and disk.name not in moving:
            raise Conflict(
                f"name: {state.name} runs on {live[disk.name]}, and its next start would take {disk.active} for disk "
                f"{disk.name}; restart it first.",
                option="name",
                value=state.name,
            )
    return state.disks


def agent_answers(domain: Any, seconds: int = AGENT_SECONDS) -> bool:
    """Return whether the guest agent answers within some seconds."""
    if not is_connected(parse_xml(domain.XMLDesc())):
        return False
    with limited_agent(domain, seconds):
        try:
            return bool(domain.guestInfo(libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME, 0))  # empty where it greets and answers nothing
        except libvirt.libvirtError:
            return False


def quiesce_of(connection: Any, state: SnapshotState, asked: str, *, memory: bool = False) -> str:
    """Return what was asked where the agent answers, ``never`` where none is needed; raise where a required one is silent."""
    if memory and asked == "required":
        raise InvalidInput("quiesce: a snapshot with memory is whole by itself; leave quiesce out.", option="quiesce", value=asked)
    if asked == "never" or memory or state.run == "stopped":
        return "never"
    with intent(f"look up domain {state.name}"):
        domain = connection.lookupByName(state.name)
    if state.run == "running" and agent_answers(domain):
        return asked
    if asked == "required":
        raise NotFound(
            f"quiesce: the guest agent of domain {state.name} does not answer; start it in the guest, or give quiesce: auto.",
            option="quiesce",
            value=asked,
        )
    return "never"
