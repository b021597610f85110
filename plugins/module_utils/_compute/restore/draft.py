# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drafts a restore: reads the record in the point, and plans the steps to the VM that it describes. Nothing is changed here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree.ElementTree import Element

from ..._errors import NotFound, Refused
from ..._generation import export_name
from ..._plan import Plan
from ..._runner import Runner
from ..clone.model import DiskCopy, Names
from ..clone.seeds import cloned_context, cloned_seed, read_seed
from ..clone.xml import obstacles, override_obstacles
from ..domain.check.definition import refusal
from ..domain.plan import BuildSeed, PullImage
from ..host.domains import HostDomains
from ..lazy.plan import arriving_path
from ..model.host_facts import Folders
from ..model.remote_image import RemoteImage
from ..model.spec import Record
from ..model.state import VmState
from ..seed.file import CONTEXT_VOLUME, VOLUME, Seed, Seeds, read_digest
from ..xml.domain import emit, parse, parse_xml, to_text
from ..xml.override import passwords_of
from .check import Checks, require_images
from .host_access import Reach, check_host_access
from .host_files import check_boot_files, with_own_log
from .model import OPTION, SERVERS, Note, Places, RestoreRequest, origin_of
from .plan import DefineRestored, LayOverPoint, PutInPlace, RestoreDisk, RestoreFile, SetAside, Step
from .record import Target, names_of, record_of, restored_record, shared_disks, with_secrets
from .tool import PointSource, RestoreTool
from .tpm_state import free_aside, owner_of_state

Remotes: TypeAlias = "dict[str, RemoteImage]"  # by target, none where the disks are restored at once


def _file_of(copy: DiskCopy, remotes: Remotes) -> str:
    return arriving_path(copy.path) if copy.target in remotes else copy.path


@dataclass(frozen=True)
class Draft:
    """What a restore is to do; ``begun``: all files were made by an earlier run. ``files`` must not be written meanwhile."""

    plan: Plan[VmState]
    note: Note
    staged: str | None = None
    seeds: Seeds = field(default_factory=Seeds)
    files: tuple[str, ...] = ()
    begun: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drafting:
    """Drafts the restore of one point."""

    connection: Any
    tool: RestoreTool
    runner: Runner
    folders: Folders
    tpms: Path
    host: HostDomains
    checks: Checks
    point: PointSource
    request: RestoreRequest
    places: Places

    @property
    def _home(self) -> str:
        return self.folders.vm(self.request.name)

    def new(self, state: VmState) -> Draft:
        """Return the draft of a VM that is not there: another one, or with ``in_place`` the point's own, of which nothing is."""
        self.checks.refuse_macs(nic.mac for nic in record_of(self.point.generation).spec.nics if nic.mac and self._is_same)
        return self._draft(state, None)

    def in_place(self, state: VmState, base: Element) -> Draft:
        """Return the draft of a restore over the VM that is there, whose XML is ``base``."""
        return self._draft(state, base)

    @property
    def _is_same(self) -> bool:
        return self.checks.uuid == self.point.generation.vm.uuid

    @property
    def _own(self) -> Element | None:
        """The XML of the point's VM on this host, None without one."""
        seen = (one.config for one in self.host.domains.values() if one.uuid == self.point.generation.vm.uuid)
        return next(seen, None)

    def _draft(self, state: VmState, base: Element | None) -> Draft:
        generation = self.point.generation
        record, warnings = self._record(state, base)
        pulls = tuple(self._pulls())
        names = self._names(record, self._home)
        seeds, digests = self._seeds(record, names)
        if not self._is_same:
            self._refuse_shared(record, names)
            self.checks.refuse_macs(names.macs.values())
        self.checks.require_room(self.point, self.tool)
        remotes = self._remotes()
        made = restored_record(record, names, generation, digests)
        text, staged = self._xml(made, base, remotes), None
        if base is not None:
            beside = self._names(record, str(self.places.made))
            staged = self._xml(restored_record(record, beside, generation, digests), base, remotes)
        if not self.request.allow_host_access:
            check_host_access(parse_xml(text), self._own, Reach(self._home, remotes), generation, record.spec.xml_override)
        if says := refusal(self.connection, text):
            raise Refused(f"{OPTION}: libvirt on this host refuses the VM of {generation.name}: {says}.", option=OPTION)
        parsed = parse(parse_xml(text))
        steps = [*pulls, *self._disk_steps(names, remotes), *self._file_steps(names, seeds, digests)]
        aside = str(self.places.free_aside(generation.name)) if base is not None else None
        steps.append(DefineRestored(self._what(), parsed.spec, parsed.foreign, parsed.record, digests))
        if base is not None:
            steps += [SetAside(self._home, str(aside), self._restored(names, remotes)), PutInPlace(self._home)]
        images = {_file_of(copy, remotes): "" if remotes else copy.image or "" for copy in names.disks.values()}
        note = Note(origin_of(generation), text, self.checks.uuid, images, aside, self._tpm_aside())
        files = tuple(one for disk in state.disks for one in (disk.path, disk.overlay) if one and Path(one).is_file())
        return Draft(Plan(state, tuple(steps)), note, staged, seeds, files, warnings=tuple(warnings))

    def _record(self, state: VmState, base: Element | None) -> tuple[Record, list[str]]:
        generation = self.point.generation
        record = record_of(generation)
        check_boot_files(record.spec, generation, self._own)
        spec, moved = with_own_log(record.spec, self.folders.vm(record.spec.name), self._own)
        record = replace(record, spec=spec)
        if base is not None and state.record is not None:  # what is asked of points is of today, not of the guest's data
            record = replace(record, recovery=state.record.recovery)
        override = record.spec.xml_override
        passwords = passwords_of(override, base) if override and base is not None else {}
        found, warnings = with_secrets(record, state.record, passwords.items())
        warnings += moved
        if record.taken_over and base is None:
            warnings.append(
                "The VM was made by others and taken over: what they wrote into its XML and no option of edge.cloud.domain names "
                "is not in its recovery points."
            )
        return found, warnings

    def _names(self, record: Record, home: str) -> Names:
        return names_of(self.point.generation, record, self.folders, Target(self.request.name, self.checks.uuid, home))

    def _what(self) -> str:
        generation = self.point.generation
        if self._is_same:
            return f"as the VM {generation.vm.uuid} was at {generation.name}"
        return f"made of {generation.name} of the VM {generation.vm.uuid}"

    def _pulls(self) -> Iterator[PullImage]:
        """Yield the images to bring first; raise NotFound for those that no replica has."""
        lost = require_images(self.point, self.tool)
        if lost:
            why = "; ".join(f"{digest}: {error.message}" for digest, error in lost.items())
            raise NotFound(
                f"{OPTION}: {self.point.generation.name} stands on images that are not in {self.folders.images} and cannot be "
                f"brought there ({why}). Import or pull them first, with the same digest.",
                option=OPTION,
                missing_images=sorted(lost),
            )
        for digest in self.point.missing_images():
            offer = self.tool.offer(digest)
            yield PullImage(digest, offer.name, offer.size, offer.virtual_size)

    def _refuse_shared(self, record: Record, names: Names) -> None:
        """Raise Refused where the new VM would have what only the other one can have."""
        was = emit(record.spec, record)
        made = emit(restored_record(record, names, self.point.generation, (None, None)).spec)
        why = [f"its disk {target} is not in the point, and both VMs would write it" for target in self._shared(record)]
        why += [*obstacles(was, made, names), *override_obstacles(record.spec.xml_override, was, names)]
        if why:
            generation = self.point.generation
            raise Refused(
                f"{OPTION}: no second VM can be made of {generation.name} of {generation.vm.name}: "
                f"{'; '.join(dict.fromkeys(why))}. It can be restored in place.",
                option=OPTION,
                value=generation.name,
            )

    def _shared(self, record: Record) -> list[str]:
        return shared_disks(record, self.point.generation)

    def _xml(self, record: Record, base: Element | None, remotes: Remotes) -> str:
        disks = tuple(
            replace(disk, overlay=arriving_path(disk.path), remote=remotes[disk.target].url) if disk.target in remotes else disk
            for disk in record.spec.disks
        )
        return to_text(emit(replace(record.spec, disks=disks), record, base))

    def _remotes(self) -> Remotes:
        """Return where each disk of the point is read until it is here; raise Unreachable where no server gives one."""
        found, servers = self.point.generation, self.request.servers
        if not servers:
            return {}
        names = {disk.target: export_name(found.vm.uuid, found.name, disk.target) for disk in found.disks}
        return {disk.target: self.tool.remote_disk(names[disk.target], disk.virtual_size, servers, SERVERS) for disk in found.disks}

    def _disk_steps(self, names: Names, remotes: Remotes) -> Iterator[Step]:
        for copy in names.disks.values():
            afar = remotes.get(copy.target)
            yield LayOverPoint(copy, arriving_path(copy.path), afar) if afar else RestoreDisk(copy)

    def _seeds(self, record: Record, names: Names) -> tuple[Seeds, tuple[str | None, str | None]]:
        """Return the seeds to build, and the digests of those that the VM then has; its own are restored as they were."""
        if self._is_same:
            return Seeds(), (self._digest("seed"), self._digest("context"))
        seed, context = self._read("seed", VOLUME), self._read("context", CONTEXT_VOLUME)
        found = Seeds(
            cloned_seed(seed, names, same_instance=not self.request.new_instance_id) if seed and record.seed else None,
            cloned_context(context, names) if context and record.context else None,
        )
        return found, tuple(one.digest if one else None for one in (found.cloud_init, found.context))  # type: ignore[return-value]

    def _digest(self, what: str) -> str | None:
        with tempfile.NamedTemporaryFile(prefix="edge-restore-") as file:
            if what not in self.point.generation.files:
                return None
            Path(file.name).write_bytes(self.point.content(what))
            return read_digest(file.name)

    def _read(self, what: str, volume: str) -> Seed | None:
        if what not in self.point.generation.files:
            return None
        with tempfile.NamedTemporaryFile(prefix="edge-restore-") as file:
            Path(file.name).write_bytes(self.point.content(what))
            return read_seed(file.name, volume, self.runner, OPTION)

    def _file_steps(self, names: Names, seeds: Seeds, digests: tuple[str | None, str | None]) -> Iterator[Step]:
        files = self.point.generation.files
        name = self.request.name
        if "nvram" in files and names.nvram:
            yield RestoreFile("nvram", names.nvram)
        for what, path, digest in zip(("seed", "context"), self._seed_paths(name), digests, strict=True):
            built = seeds.cloud_init if what == "seed" else seeds.context
            if built:
                yield BuildSeed(path, built.digest, what == "context")
            elif what in files and self._is_same:
                yield RestoreFile(what, path, digest)
        if self._has_tpm:
            owner_of_state(self.tpms, self.checks.uuid)
            yield RestoreFile("tpm", "")

    def _seed_paths(self, name: str) -> tuple[str, str]:
        return self.folders.seed(name), self.folders.context(name)

    def _restored(self, names: Names, remotes: Remotes) -> tuple[str, ...]:
        files = self.point.generation.files
        seeds = zip(("seed", "context"), self._seed_paths(self.request.name), strict=True)
        return (
            *(_file_of(copy, remotes) for copy in names.disks.values()),
            *filter(None, [names.nvram]),
            *(p for w, p in seeds if w in files),
        )

    @property
    def _has_tpm(self) -> bool:
        return "tpm" in self.point.generation.files

    def _tpm_aside(self) -> str | None:
        uuid = self.checks.uuid
        there = self._has_tpm and (self.tpms / uuid).exists()
        return str(free_aside(self.tpms, uuid, self.point.generation.name)) if there else None
