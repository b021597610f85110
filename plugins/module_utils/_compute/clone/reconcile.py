# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe, plan, apply and report a clone: what the module ``domain_clone`` runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from ..._errors import Busy, Conflict, InvalidInput, NotFound, Refused
from ..._files import nearest_folder
from ..._libvirt import intent
from ..._plan import Plan, execute
from ..._runner import Runner
from ..._taps import tap_link
from ..domain.check.definition import refusal
from ..domain.plan import BuildSeed
from ..elsewhere.check import check_elsewhere
from ..elsewhere.moved import read_moved
from ..elsewhere.peers import Peers
from ..host.at_rest import at_rest, refuse_saved, refuse_unsettled
from ..host.domains import HostDomains
from ..host.lock import vm_lock
from ..host.migration_mark import refuse_incoming, refuse_while_migrating
from ..host.observe import read_vm
from ..model.host_facts import Folders
from ..model.spec import CONTEXT, SEED, Record, stable_mac, stable_uuid
from ..model.state import VmState, view
from ..options.values import check_name
from ..seed.file import CONTEXT_VOLUME, VOLUME, Seeds
from ..snapshot.files import read_index
from ..xml.domain import Parsed, parse, parse_xml, to_text
from .apply import Builder, Note, read_note, tidy
from .model import DiskCopy, Names
from .plan import CopyDisk, CopyVariables, DefineClone, Step
from .record import cloned_record, cloned_volumes
from .seeds import cloned_context, cloned_seed, read_seed
from .source import Disks, files_in
from .tool import CloneTool
from .xml import cloned_xml, mark, nvram_of, obstacles, override_obstacles, shareable


@dataclass(frozen=True)
class Draft:
    """What a clone is to be: its plan, its XML, its seeds, and the files of the source that must not be written meanwhile.

    ``copied``: an earlier run made all files, and only the definition is left.
    """

    plan: Plan[VmState]
    note: Note
    seeds: Seeds = field(default_factory=Seeds)
    copies: tuple[DiskCopy, ...] = ()
    files: tuple[str, ...] = ()
    copied: bool = False


@dataclass(frozen=True)
class Cloner:
    """The domain ``name``, a clone of ``source``, on one connection; ``timeout`` is in seconds, for the locks of both."""

    connection: Any
    tool: CloneTool
    runner: Runner
    folders: Folders
    name: str
    source: str
    timeout: float
    peers: Peers = field(default_factory=Peers)

    def run(self, check_mode: bool) -> tuple[Plan[VmState], dict[str, Any]]:
        """Return the plan and the VM after it; no other task works on the two VMs at the same time."""
        check_name(self.name)
        if "/" in self.source or not self.source:
            raise InvalidInput(f"source: {self.source!r} is not the name of a domain.", option="source", value=self.source)
        if self.name == self.source:
            raise InvalidInput("name: it is that of the source; the clone needs another one.", option="name", value=self.name)
        with self._locks(check_mode):
            draft = self._draft()
            if check_mode or not draft.plan.changed:
                if not check_mode:
                    self._builder(draft).forget()
                return draft.plan, view(draft.plan.after)
            self._make(draft)
            return draft.plan, view(read_vm(self.connection, self.name, self.tool, self.folders))

    @contextmanager
    def _locks(self, check_mode: bool) -> Iterator[None]:
        with ExitStack() as stack:
            for name in () if check_mode else sorted((self.name, self.source)):
                stack.enter_context(vm_lock(self.folders.lock(name), name, self.timeout))
            yield

    def _builder(self, draft: Draft) -> Builder:
        parts = (self.connection, self.tool, self.runner, self.folders, self.name)
        return Builder(*parts, draft.note, draft.seeds, draft.copies)

    def _make(self, draft: Draft) -> None:
        builder = self._builder(draft)
        if draft.copied:
            execute(draft.plan, builder.apply)
            return
        with intent(f"look up domain {self.source}"):
            domain = self.connection.lookupByName(self.source)
        with at_rest(domain, draft.files):
            try:
                builder.begin()
                execute(draft.plan, builder.apply)
            finally:
                tidy(builder)

    def _draft(self) -> Draft:
        host = HostDomains(self.connection, self.tool, self.folders)
        state, home = host.vm(self.name), self.folders.vm(self.name)
        if state.config is not None:
            return self._there(host.with_files(state))
        refuse_incoming(self.name, home)
        uuid = stable_uuid(self.name)
        check_elsewhere(self.name, uuid, read_moved(self.folders.vms), self.peers.answers.sightings, allow_recreate=False)
        if files := files_in(home):
            return self._begun(host, state, files)
        root, source = self._source(host)
        return self._new(host, root, source, uuid)

    def _there(self, state: VmState) -> Draft:
        found = state.record.cloned_from if state.record else None
        if found != self.source:
            raise Conflict(
                f"name: domain {self.name} exists on this host and is {f'a clone of {found}' if found else 'not a clone'}; it was "
                "left as it is. Choose another name.",
                option="name",
                value=self.name,
            )
        return Draft(Plan(state), Note(self.source, ""))

    def _begun(self, host: HostDomains, state: VmState, files: list[str]) -> Draft:
        """Return what is left of a run that was killed once all was copied."""
        note = read_note(self.folders.vm(self.name))
        if note is None or note.source != self.source or note.others(files):
            raise Conflict(
                f"name: there is no domain {self.name}, but files of one ({', '.join(files)}); they were left as they are. Choose "
                "another name, or move them away.",
                option="name",
                value=self.name,
                files=files,
            )
        parsed = parse(parse_xml(note.xml))
        self._check_free(host, parsed.spec.uuid, (nic.mac for nic in (*parsed.spec.nics, *parsed.foreign.nics)))
        volumes = parsed.record.volumes if parsed.record else ()
        state = host.with_files(state, tuple(volume.path for volume in volumes))
        return Draft(Plan(state, (self._define(parsed),)), note, copied=True)

    def _define(self, parsed: Parsed) -> DefineClone:
        return DefineClone(self.source, parsed.spec, parsed.foreign, parsed.record)

    def _source(self, host: HostDomains) -> tuple[Element, VmState]:
        """Return the source and its XML; raise where it does not stand still."""
        state, name = host.vm(self.source), self.source
        if state.config is None:
            raise NotFound(f"source: this host has no domain {name}.", option="source", value=name)
        refuse_while_migrating(name, self.folders.vm(name), state.run)
        refuse_saved(name, state.run)
        refuse_unsettled(name, state.condition)
        if state.run != "stopped":
            raise Refused(
                f"source: domain {name} is {state.run}, and copies of its disks would not be of one instant; shut it down first "
                "(edge.cloud.domain, state: stopped), or make an image of a disk while it runs (edge.cloud.domain_disk, state: "
                "exported).",
                option="source",
                value=name,
                found=state.run,
            )
        journal = read_index(self.folders.vm(name)).journal
        if journal is not None:
            raise Busy(
                f"source: a change of the snapshots of domain {name} has no end ({journal.what}); run edge.cloud.domain_snapshot "
                "again, which finishes it.",
                option="source",
                value=name,
            )
        return host.domains[name].config, state

    def _new(self, host: HostDomains, root: Element, source: VmState, uuid: str) -> Draft:
        disks = Disks(self.tool, self.folders, source, self.name, shareable(root))
        copies = tuple(disks.read())
        names = self._names(root, source, uuid, copies)
        clone = cloned_xml(root, names)
        override = source.record.spec.xml_override if source.record else None
        why = [*disks.obstacles, *obstacles(root, clone, names), *override_obstacles(override, root, names)]
        if why:
            raise Refused(
                f"source: domain {self.source} cannot be cloned: {'; '.join(dict.fromkeys(why))}.",
                option="source",
                value=self.source,
            )
        self._check_free(host, names.uuid, names.macs.values())
        self._check_room(copies)
        seeds = self._seeds(source, names)
        record = self._record(source, clone, names, seeds)
        mark(clone, record)
        text = to_text(clone)
        if says := refusal(self.connection, text):
            raise Refused(f"source: libvirt refuses the clone of domain {self.source}: {says}.", option="source", value=self.source)
        steps = (*self._copy_steps(root, names, copies, seeds), self._define(parse(parse_xml(text))))
        images = {copy.path: copy.image for copy in copies if copy.image}
        files = tuple(dict.fromkeys(path for copy in copies for path in copy.files))
        note = Note(self.source, text, images)
        return Draft(Plan(VmState(self.name), steps), note, seeds, copies, files)

    def _names(self, root: Element, source: VmState, uuid: str, copies: tuple[DiskCopy, ...]) -> Names:
        macs: dict[str, str] = {}
        for nic in filter(lambda nic: nic.mac, source.nics):  # a failover pair has one address
            macs.setdefault(nic.mac.lower(), stable_mac(self.name, nic.name))
        taps = {nic.tap: tap_link(uuid, nic.name) for nic in source.nics if nic.tap}
        homes = self.folders.vm(self.source), self.folders.vm(self.name)
        nvram = f"{homes[1]}/nvram.fd" if nvram_of(root) else None
        return Names(self.source, self.name, uuid, *homes, {copy.target: copy for copy in copies}, macs, nvram, taps)

    def _check_free(self, host: HostDomains, own: str, macs: Iterable[str]) -> None:
        for name, uuid in host.uuids.items():
            if uuid == own:
                raise Conflict(f"name: its UUID {uuid} belongs to domain {name}; choose another.", option="name", value=self.name)
        for mac in macs:
            if owner := host.macs.get(mac):
                raise Conflict(
                    f"name: its MAC address {mac} is used by domain {owner}; choose another.", option="name", value=self.name
                )

    def _check_room(self, copies: tuple[DiskCopy, ...]) -> None:
        needed = [copy for copy in copies if copy.flat or not self.tool.shares_blocks(copy.source, self.folders.vms)]
        if needed:
            there = nearest_folder(Path(self.folders.vms))
            self.tool.require_room(str(there), sum(copy.allocated for copy in needed), f"A clone of domain {self.source}")

    def _seeds(self, source: VmState, names: Names) -> Seeds:
        """Return the seed and the context disk of the clone."""
        paths = {disk.active for disk in source.config.disks if disk.name in (SEED, CONTEXT)} if source.config else set()
        seed, context = self.folders.seed(self.source), self.folders.context(self.source)
        return Seeds(
            cloned_seed(read_seed(seed, VOLUME, self.runner), names) if seed in paths else None,
            cloned_context(read_seed(context, CONTEXT_VOLUME, self.runner), names) if context in paths else None,
        )

    def _record(self, source: VmState, clone: Element, names: Names, seeds: Seeds) -> Record:
        seed, context = seeds.cloud_init, seeds.context
        if source.record is not None:
            return cloned_record(source.record, names, (seed.digest if seed else None, context.digest if context else None))
        return Record(parse(clone).spec, cloned_volumes((), names), taken_over=True, cloned_from=names.old)

    def _copy_steps(self, root: Element, names: Names, copies: tuple[DiskCopy, ...], seeds: Seeds) -> Iterator[Step]:
        yield from map(CopyDisk, copies)
        nvram = nvram_of(root)
        if nvram and names.nvram and Path(nvram).exists():
            yield CopyVariables(nvram, names.nvram)
        if seeds.cloud_init:
            yield BuildSeed(self.folders.seed(self.name), seeds.cloud_init.digest)
        if seeds.context:
            yield BuildSeed(self.folders.context(self.name), seeds.context.digest, context=True)
