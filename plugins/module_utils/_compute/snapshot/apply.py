# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applies the steps of a snapshot plan to one domain, the same way with every libvirt: no metadata of libvirt's own is kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from ..._errors import Busy, EdgeError
from ..._files import fsync
from ..._image_lock import all_unwritten, untouched
from ..._libvirt import intent, libvirt
from ..._shown import few
from ..host.at_rest import at_rest
from ..host.calls import SWITCHING
from ..host.observe import saved_text
from ..job.block_job import JobLimits
from ..job.commit import commit_live
from ..job.quiesce import frozen
from ..model.image_tools import OverlayTool
from ..xml.disk import drop_backing, replace_file
from ..xml.domain import parse_xml, to_text
from ..xml.properties import read_path
from . import steps
from .files import remove, write_index
from .index import Paths
from .state import SnapshotState


@dataclass
class SnapshotGuest:
    """One domain on one connection; ``state`` is what was observed, ``limits`` bounds each job, and ``marker``
    exists while the guest's file systems are frozen.
    """

    connection: Any
    state: SnapshotState
    tool: OverlayTool
    limits: JobLimits
    marker: Path
    frozen: bool = field(default=False, init=False)

    def apply(self, step: Any) -> None:
        """Do one step."""
        actions: dict[type[Any], Callable[[Any], None]] = {
            steps.Note: self._note,
            steps.MakeOverlay: self._make_overlay,
            steps.SwitchLive: self._switch_live,
            steps.Switch: self._switch,
            steps.PowerOff: self._power_off,
            steps.Boot: self._boot,
            steps.Commit: self._commit,
            steps.Drop: self._drop,
        }
        actions[type(step)](step)
        self.state = step.predict(self.state)

    def _domain(self) -> Any:
        with intent(f"look up domain {self.state.name}"):
            return self.connection.lookupByName(self.state.name)

    def _target(self, disk: str) -> str:
        found = self.state.disk(disk)
        if found is None:
            raise EdgeError(f"Domain {self.state.name} has no disk {disk}.", disk=disk)
        return found.target

    def _note(self, step: steps.Note) -> None:
        index = step.index
        if (
            index.snapshots
            and index.snapshots[-1].quiesced
            and not self.frozen
            and not self.state.index.snapshot(index.snapshots[-1].name)
        ):
            index = replace(index, snapshots=(*index.snapshots[:-1], replace(index.snapshots[-1], quiesced=False)))
        write_index(self.state.home, index)

    def _make_overlay(self, step: steps.MakeOverlay) -> None:
        self.tool.create_overlay_on(step.path, step.below.path, step.below.format, step.below.size)

    def _switch_live(self, step: steps.SwitchLive) -> None:
        flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_LIVE if step.memory else libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
        domain, text = self._domain(), self._snapshot_xml(step)
        quiesce = "never" if step.memory else step.quiesce
        with frozen(domain, self.marker, quiesce) as self.frozen, intent(f"take a snapshot of domain {step.domain}"):
            domain.snapshotCreateXML(text, flags)
        if step.memory:
            fsync(Path(step.memory))

    def _snapshot_xml(self, step: steps.SwitchLive) -> str:
        root = Element("domainsnapshot")
        memory = {"snapshot": "external", "file": step.memory} if step.memory else {"snapshot": "no"}
        SubElement(root, "memory", memory)
        disks = SubElement(root, "disks")
        for disk, path in step.overlays:
            element = SubElement(disks, "disk", {"name": self._target(disk), "snapshot": "external", "type": "file"})
            SubElement(element, "driver", {"type": "qcow2"})
            SubElement(element, "source", {"file": path})
        for target in self.state.others:
            SubElement(disks, "disk", {"name": target, "snapshot": "no"})
        return to_text(root)

    def _switch(self, step: steps.Switch) -> None:
        domain, active = self._domain(), self.state.active
        with intent(f"redefine domain {step.domain}"):
            old = [active[disk] for disk, _path in step.overlays if disk in active]
            with nullcontext() if domain.isActive() else at_rest(domain, old):
                flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
                self.connection.defineXML(self._with_files(domain.XMLDesc(flags), step.overlays))

    def _with_files(self, text: str, overlays: Paths) -> str:
        """Return a domain's XML with other files; the files below are left out of all, as each may have others now."""
        root = parse_xml(text)
        paths = {self._target(disk): path for disk, path in overlays}
        for disk in root.iterfind("devices/disk"):
            path = paths.get(read_path(disk, "target@dev") or "")
            drop_backing(disk)
            if path:
                found = self.state.file(path)
                replace_file(disk, path, found.block if found else False, found.format if found else "qcow2")
        return to_text(root)

    def _power_off(self, step: steps.PowerOff) -> None:
        with intent(f"power off domain {step.domain}"):
            self._domain().destroy()

    def _boot(self, step: steps.Boot) -> None:
        with intent(f"start domain {step.domain}"):
            if step.memory:
                saved = self.connection.saveImageGetXMLDesc(step.memory, libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE)
                now = self._with_files(saved, tuple(self.state.active.items()))
                how = libvirt.VIR_DOMAIN_SAVE_PAUSED if step.paused else libvirt.VIR_DOMAIN_SAVE_RUNNING
                self.connection.restoreFlags(step.memory, now, how)
            else:
                self._domain().createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED if step.paused else 0)

    def _commit(self, step: steps.Commit) -> None:
        others = set(self.tool.users(step.base)) - {one.path for one in self.state.files}
        if others:
            raise Busy(
                f"{step.base} is also below {few(sorted(others))}, which committing {step.top} into it would damage; "
                "remove or flatten those first.",
                path=step.base,
                used_by=sorted(others),
            )
        domain = self._domain()
        with intent(f"read domain {self.state.name}"):
            running = bool(domain.isActive())
            live = _sources(parse_xml(domain.XMLDesc())) if running else {}
        if step.top in live:
            files, note = (step.top, step.base), Path(self.state.home, SWITCHING)
            commit_live(self.connection, domain, self._target(step.disk), files, self.limits, note=note)
            fsync(Path(step.base))
        elif step.base not in live:  # a running guest that has the base and not the top has it committed already
            with all_unwritten([step.top]) if running else at_rest(domain, [step.top]):  # until nothing stands on it
                self.tool.commit(step.top, step.base)
                self._rebase_on(step)
            return
        self._rebase_on(step)

    def _rebase_on(self, step: steps.Commit) -> None:
        """Let what stands on the committed file, and is not moved yet, stand on the one below."""
        base = self.state.file(step.base)
        for path in self.state.children(step.top):
            if self.tool.info(path, "qcow2").backing == step.top:
                self.tool.rebase_on(path, step.base, base.format if base else "qcow2")
        with intent(f"read the state of domain {self.state.name}"):
            running = self._domain().isActive()
        if self.state.active.get(step.disk) == step.top and not running:
            self._switch(steps.Switch(self.state.name, ((step.disk, step.base),)))

    def _drop(self, step: steps.Drop) -> None:
        """Delete a file after a look at all that could use it, held so that no QEMU opens it: every domain, and the other files."""
        if not Path(step.path).exists():
            return
        with untouched(Path(step.path)):
            with intent("read the domains of this host"):
                texts = [(one.name(), xml) for one in self.connection.listAllDomains() for xml in _xmls(one)]
            users = [f"domain {name}" for name, xml in texts if step.path in _sources(parse_xml(xml))]
            if not step.path.endswith(steps.MEMORY):
                users += self.tool.users(step.path)
            if users:
                raise Busy(
                    f"{step.path} is still in use ({', '.join(sorted(set(users)))}); it was not deleted. Run again when that has "
                    "ended.",
                    path=step.path,
                )
            remove(step.path)
        self.tool.removed([step.path])


def _xmls(domain: Any) -> list[str]:
    inactive = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    other = domain.XMLDesc() if domain.isActive() else saved_text(domain)
    return [inactive, other] if other else [inactive]


def _sources(root: Element) -> dict[str, str]:
    """Return every file that the disks of a domain name, those below others too, with the disk's target."""
    rows = ((disk, source) for disk in root.iterfind("devices/disk") for source in disk.iter("source"))
    return {source.get("file") or source.get("dev") or "": read_path(disk, "target@dev") or "" for disk, source in rows}
