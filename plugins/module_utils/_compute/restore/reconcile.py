# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe, plan, apply and report the restore of a VM: what the module ``recovery_point`` runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..._errors import Conflict
from ..._libvirt import intent
from ..._plan import Plan, execute
from ..._runner import Runner
from ..elsewhere.moved import forget_moved, read_moved
from ..elsewhere.peers import Peers
from ..host.at_rest import at_rest
from ..host.domains import HostDomains
from ..host.observe import read_vm
from ..job.ended import ended_lock
from ..model.host_facts import Folders
from ..model.spec import stable_uuid
from ..model.state import VmState, view
from ..options.values import check_name
from ..xml.domain import parse, parse_xml
from .apply import Restoring, tidy
from .check import Checks, refuse_other_vm
from .draft import Draft, Drafting
from .model import Note, Places, RestoreRequest, origin_of, read_note
from .numbers import go_on_after
from .plan import DefineRestored, PutInPlace, SetAside
from .tool import PointContent, PointSource, RestoreTool


@dataclass(frozen=True)
class Restored:
    """The plan, the VM after it, and where the folder and the TPM state of the VM as it was are, None for none."""

    plan: Plan[VmState]
    domain: dict[str, Any]
    aside: str | None = None
    tpm_aside: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Restorer:
    """The restore of one VM on one connection; ``timeout`` is in seconds, for its lock. ``root`` has what is of recovery points."""

    connection: Any
    tool: RestoreTool
    runner: Runner
    folders: Folders
    point: PointSource
    request: RestoreRequest
    timeout: float = 120
    peers: Peers = field(default_factory=Peers)
    root: Path = Path("/var/lib/edge/recovery")
    tpms: Path = Path("/var/lib/libvirt/swtpm")

    @property
    def name(self) -> str:
        """The name of the VM, checked."""
        return check_name(self.request.name)

    @property
    def _places(self) -> Places:
        return Places(self.folders.vms, self.name)

    def run(self, check_mode: bool) -> Restored:
        """Return what was done, or in check mode would be; no other task works on the VM at the same time."""
        with self._lock(check_mode):
            draft = self._draft()
            asides = (draft.note.aside, draft.note.tpm_aside) if draft.plan.changed else (None, None)
            if check_mode:
                return Restored(draft.plan, view(draft.plan.after), *asides, warnings=draft.warnings)
            restoring = self._restoring(draft)
            if not draft.plan.changed:
                restoring.finish()
                restoring.clean()
            else:
                self._make(draft, restoring)
            domain = view(read_vm(self.connection, self.name, self.tool, self.folders))
            return Restored(draft.plan, domain, *asides, warnings=draft.warnings)

    @contextmanager
    def _lock(self, check_mode: bool) -> Iterator[None]:
        with ExitStack() as stack:
            if not check_mode:
                stack.enter_context(ended_lock(self.connection, self.folders, self.name, self.timeout))
            yield

    def _restoring(self, draft: Draft) -> Restoring:
        def before_definition() -> None:
            if self.request.in_place:
                go_on_after(self.folders, self.root, self.name, (self.point.generation, self.point.newest()))

        return Restoring(
            self.connection, self.tool, self.runner, self.folders, self.tpms, self._places, draft.note, self.point, draft.staged,
            draft.seeds, before_definition,
        )  # fmt: skip

    def _make(self, draft: Draft, restoring: Restoring) -> None:
        with restoring.held, restoring.old:
            if draft.begun:
                if draft.staged:
                    restoring.go_on()
                execute(draft.plan, restoring.apply)
                return
            if draft.staged:
                with intent(f"look up domain {self.name}"):
                    restoring.old.enter_context(at_rest(self.connection.lookupByName(self.name), draft.files))
            try:
                restoring.begin()
                with self._content() as restoring.content:
                    self._forget_moves()
                    execute(draft.plan, restoring.apply)
            finally:
                tidy(restoring)

    def _content(self) -> AbstractContextManager[PointContent | None]:
        """Return the disks of the point; none where they stay where they are."""
        return nullcontext() if self.request.servers else self.point.opened(self._places.scratch)

    def _forget_moves(self) -> None:
        for mark in read_moved(self.folders.vms) if self.request.allow_recreate else ():
            if self.name == mark.name or self._uuid == mark.uuid:
                forget_moved(self.folders.vms, mark.uuid)

    @property
    def _uuid(self) -> str:
        return self.point.generation.vm.uuid if self.request.in_place else stable_uuid(self.name)

    def _draft(self) -> Draft:
        host = HostDomains(self.connection, self.tool, self.folders)
        state, checks = host.vm(self.name), Checks(host, self.folders, self.peers, self.request, self._uuid)
        origin = origin_of(self.point.generation)
        if state.config is None:
            if self.request.in_place:
                refuse_other_vm(self.request, self.point.generation, None)
            checks.refuse_elsewhere()
            if files := checks.files():
                return self._begun_new(host, checks, state, files)
            checks.refuse_taken()
            return self._drafting(host, checks).new(state)
        if not self.request.in_place:
            return self._there(host, state)
        refuse_other_vm(self.request, self.point.generation, host.domains[self.name].uuid)
        begun = self._begun(host, checks, state)
        if begun is not None:
            return begun
        restored_from = state.record.restored_from if state.record else None
        if restored_from == origin and not self.request.again:
            return Draft(Plan(host.with_files(state)), Note(origin, "", self._uuid))
        checks.refuse_unsafe(state)
        checks.refuse_twin()
        return self._drafting(host, checks).in_place(host.with_files(state), host.domains[self.name].config)

    def _drafting(self, host: HostDomains, checks: Checks) -> Drafting:
        return Drafting(
            self.connection, self.tool, self.runner, self.folders, self.tpms, host, checks, self.point, self.request, self._places
        )

    def _there(self, host: HostDomains, state: VmState) -> Draft:
        """Return that nothing is to do for a new VM that was restored from this VM's points; raise Conflict for any other one."""
        generation, wanted = self.point.generation, self.request.generation
        found = state.record.restored_from if state.record else None
        uuid, _space, name = (found or "").partition(" ")
        if uuid != generation.vm.uuid or uuid == host.domains[self.name].uuid or (wanted and name != wanted):
            how = f"was restored from {name} of the VM {uuid}" if found else "was not restored from a recovery point"
            raise Conflict(
                f"name: domain {self.name} exists on this host and {how}; it was left as it is. Choose another name, or restore "
                "the VM itself with in_place.",
                option="name",
                value=self.name,
            )
        return Draft(Plan(host.with_files(state)), Note(str(found), "", self._uuid))

    def _begun_new(self, host: HostDomains, checks: Checks, state: VmState, files: list[str]) -> Draft:
        """Return what is left of a new VM whose files were all made when a run was killed."""
        note = read_note(Path(self.folders.vm(self.name)))
        if note is None or note.uuid != self._uuid or note.others(files):
            raise Conflict(
                f"name: there is no domain {self.name}, but files of one ({', '.join(files)}); they were left as they are. Choose "
                "another name, or move them away.",
                option="name",
                value=self.name,
                files=files,
            )
        self._require_same_point(note)
        checks.refuse_taken()
        parsed = parse(parse_xml(note.xml))
        state = host.with_files(state, tuple(note.images))
        define = DefineRestored(self._what(note), parsed.spec, parsed.foreign, parsed.record, (state.seed, state.context))
        return Draft(Plan(state, (define,)), note, begun=True)

    def _begun(self, host: HostDomains, checks: Checks, state: VmState) -> Draft | None:
        """Return what is left of a restore in place once the restored VM was defined; None where there is none."""
        note = read_note(self._places.made) or read_note(self._places.work)
        if note is None or not self._places.is_in_made(state.config):
            return None
        checks.refuse_running(state)
        self._require_same_point(note)
        parsed, home = parse(parse_xml(note.xml)), self.folders.vm(self.name)
        state = host.with_files(state, tuple(note.images))
        define = DefineRestored(self._what(note), parsed.spec, parsed.foreign, parsed.record, (state.seed, state.context))
        restored = tuple(f"{home}/{path.name}" for folder in (self._places.made, self._places.work) for path in folder.glob("*"))
        steps = (SetAside(home, str(note.aside), restored), PutInPlace(home))
        after = define.predict(state)
        return Draft(Plan(after, steps), note, begun=True, staged=note.xml)

    def _require_same_point(self, note: Note) -> None:
        """Raise Conflict where another point is asked for than the one that a killed run was restoring."""
        name = note.origin.partition(" ")[2]
        if self.request.generation not in (None, name):
            raise Conflict(
                f"generation: a restore of domain {self.name} from {name} began and did not end; finish it first, with generation "
                f"{name}.",
                option="generation",
                value=self.request.generation,
            )

    def _what(self, note: Note) -> str:
        uuid, _space, name = note.origin.partition(" ")
        return f"as the VM {uuid} was at {name}" if uuid == note.uuid else f"made of {name} of the VM {uuid}"
