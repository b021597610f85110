# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe, plan, apply and report one VM: what ``domain``, ``domains`` and every other caller run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..._errors import Busy, EdgeError, from_os_error
from ..._libvirt import intent, lookup
from ..._plan import Plan, execute
from ..._runner import Runner
from ..content.schema import check_schema
from ..elsewhere.check import check_elsewhere, check_kept
from ..elsewhere.moved import forget_moved, read_moved
from ..elsewhere.peers import Peers
from ..host.addresses import addresses_of
from ..host.calls import SWITCHING
from ..host.domains import check_ownership
from ..host.file_users import check_below, check_claims, check_doubles, new_disks
from ..host.lock import vm_lock
from ..host.migration_mark import refuse_while_migrating
from ..host.observe import read_vm, see_one, vm_of
from ..host.view import HostView
from ..job.pivot import settle
from ..lazy.plan import arriving_images, with_arrivals
from ..model.host_facts import Folders
from ..model.image_tools import DomainTool
from ..model.overlays import kept_files, with_kept_overlays
from ..model.public_address import NoPublicAddresses, PublicTool
from ..model.recovery_policy import policy_of
from ..model.request import AGAIN, DomainOptions
from ..model.spec import DomainSpec, Record, stable_uuid
from ..model.state import VmState, view
from ..model.virtual_network import NetworkTool, NoNetworks
from ..options.image_defaults import with_image_defaults
from ..options.preallocation import asked_preallocation
from ..options.resolve import ResolvedDomain, resolve
from ..options.values import check_name
from ..recovery.observe import shared_targets
from ..recovery.point import Points
from ..seed.content import make_context, make_seed
from ..seed.file import Seeds
from .apply import Guest
from .check.change import check_change, check_condition, check_saved_seeds
from .check.definition import check_definition
from .check.hardware import check_hardware, check_memory
from .check.host import check_wanted
from .check.recovery import check_recovery, check_replicas
from .check.room import check_room
from .check.startable import check_start
from .plan import Goal, Start, plan_absent, plan_goal
from .public import apply_address, with_addresses


@dataclass(frozen=True)
class Reconciler:
    """One VM, named by its options, on one connection."""

    connection: Any
    tool: DomainTool
    runner: Runner
    folders: Folders
    options: DomainOptions
    peers: Peers = field(default_factory=Peers)
    networks: NetworkTool = field(default_factory=NoNetworks)
    public: PublicTool = field(default_factory=NoPublicAddresses)
    warnings: list[str] = field(default_factory=list, compare=False)

    @property
    def name(self) -> str:
        """The domain's name, checked."""
        return check_name(self.options.name)

    @property
    def _new_uuid(self) -> str:
        """The UUID that a new domain gets."""
        return (self.options.uuid or stable_uuid(self.name)).lower()

    def plan(self, host: HostView | None = None) -> tuple[Plan[VmState], Seeds]:
        """Return the steps and the seeds that some of them write; raise before any change what cannot be done.

        ``host`` is a look at the hypervisor that several plans share.
        """
        host = host or HostView(self.connection, self.tool, self.folders, self.networks)
        options, home = self.options, self.folders.vm(self.name)
        state = host.vm(self.name)
        check_ownership(state, options.adopt)
        self._refuse_while_migrating(state)
        check_condition(state, options.run, options.force_stop)
        if options.state == "absent":
            state = host.with_files(state)
            files = kept_files(state, home, self.folders) | (host.claims(self.name).keys() if options.delete_disks else set())
            return with_addresses(plan_absent(state, options.force_stop, options.delete_disks, files), None, self.public), Seeds()
        if state.config is None:
            self._check_elsewhere(host, state)
        options = with_image_defaults(host.images.with_digests(options, state), state, host.images.template)
        facts = host.facts(options, arriving_images(state), state.config)
        wanted = resolve(options, state.config, state.record.volumes if state.record else (), facts, state.foreign)
        state = host.with_files(state, tuple(volume.path for volume in wanted.volumes))
        wanted = replace(wanted, spec=with_kept_overlays(wanted.spec, state, home))
        self._check_claims(wanted.spec, state, host)
        check_wanted(wanted, state, facts, options)
        check_start(wanted.spec, state.config, facts, options)
        check_change(wanted, state, options.state)
        check_hardware(wanted.spec, state.config, facts)
        check_memory(wanted.spec, state, options.run, facts, restart=options.may_restart)
        seeds = self._seeds(options, wanted.spec.uuid, state, host)
        record = self._record(wanted, state, seeds)
        check_saved_seeds(state, options.run, record)
        goal = Goal(
            run=options.run,
            again=options.state if options.state in AGAIN else None,
            record=record,
            spec=with_arrivals(wanted.spec, wanted.volumes, state, facts),
            context_path=self.folders.context(self.name) if seeds.context else None,
            seed_path=self.folders.seed(self.name) if seeds.cloud_init else None,
            autostart=options.autostart,
            allow_restart=options.allow_restart,
            force_stop=options.force_stop,
            sizes=tuple(facts.image_sizes().items()),
            offers=tuple(facts.offers.items()),
            preallocation=asked_preallocation(options),
        )
        plan = with_addresses(plan_goal(state, goal), wanted.spec, self.public)
        self._check_plan(plan, host)
        return plan, seeds

    def _refuse_while_migrating(self, state: VmState) -> None:
        removal = self.options.state == "absent" and state.config is not None
        refuse_while_migrating(self.name, self.folders.vm(self.name), state.run, removal=removal)

    def _seeds(self, options: DomainOptions, uuid: str, state: VmState, host: HostView) -> Seeds:
        """Return the seeds that were asked for; what the VM does not have yet is validated by the host's cloud-init."""
        seed = make_seed(options.cloud_init, self.name, uuid) if options.cloud_init is not None else None
        if seed and (state.record is None or state.record.seed != seed.digest):
            check_schema(dict(seed.files), self.runner, host.schema_errors)
        return Seeds(seed, make_context(options.context) if options.context is not None else None)

    def _check_elsewhere(self, host: HostView, state: VmState) -> None:
        marks = read_moved(self.folders.vms)
        check_elsewhere(self.name, self._new_uuid, marks, self.peers.answers.sightings, self.options.allow_recreate)
        if marks:
            check_kept(self.name, self._new_uuid, marks, host.with_files(state).folder)

    def _check_claims(self, wanted: DomainSpec, state: VmState, host: HostView) -> None:
        found = [disk for disk in new_disks(wanted, state.config) if Path(disk.active).exists()]
        check_doubles(self.options, wanted.disks, found)
        if found:
            claims = host.claims(self.name)
            check_claims(self.options, found, claims)
            check_below(self.options, wanted.disks, found, claims, self.tool)

    def _check_plan(self, plan: Plan[VmState], host: HostView) -> None:
        check_definition(self.connection, plan)
        check_room(plan, self.folders.vm(self.name))
        asked, after, seen = self.options.recovery is not None, plan.after, host.domains.get(self.name)
        check_recovery(plan, self.folders, shared_targets(seen.config) if seen else (), asked=asked)
        if asked and after.record:
            check_replicas(after.record.recovery, self.peers.replicas)

    def _record(self, wanted: ResolvedDomain, state: VmState, seeds: Seeds) -> Record:
        kept, seed, context = state.record or Record(wanted.spec), seeds.cloud_init, seeds.context
        digests = (seed.digest if seed else kept.seed, context.digest if context else kept.context)
        taken_over = state.config is not None and state.foreign.taken_over
        return replace(
            Record(wanted.spec, wanted.volumes, *digests, taken_over=taken_over, ordered=wanted.ordered),
            cloned_from=kept.cloned_from,
            restored_from=kept.restored_from,
            recovery=policy_of(self.options.recovery, kept.recovery),
            kept=kept.kept,
        )

    def settle(self, plan: Plan[VmState], seeds: Seeds, check_mode: bool) -> dict[str, Any]:
        """Carry the plan out and return the VM after it: as read back, in check mode as predicted.

        Raise Busy where another task works on the VM, or did since it was planned.
        """
        if check_mode or not plan.changed:
            return self._settle(plan, seeds, check_mode)
        with self._lock():
            seen = see_one(self.connection, self.name)
            now = vm_of(seen, self.folders) if seen else VmState(self.name)
            self._refuse_while_migrating(now)
            if any(getattr(now, field) != getattr(plan.before, field) for field in ("run", "config", "record")):
                raise Busy(
                    f"name: domain {self.name} was changed by another task since it was planned; run again.",
                    option="name",
                    value=self.name,
                )
            return self._settle(plan, seeds, check_mode)

    def _settle(self, plan: Plan[VmState], seeds: Seeds, check_mode: bool) -> dict[str, Any]:
        if check_mode:
            now = plan.before if plan.after.run == "running" else plan.after
            return {**view(plan.after), **self._addresses(now)}
        self._note_formats(plan.after.config)
        folder, options = self.folders.vm(self.name), self.options
        if options.allow_recreate and plan.before.config is None:
            self._forget_moves()
        guest = Guest(self.connection, self.name, self.tool, self.runner, folder, options.timeout, seeds, options.delete_disks)

        def apply(step: Any) -> None:
            if isinstance(step, Start):
                self._begin_points(plan.after.record)
            if not apply_address(step, self.public):
                guest.apply(step)

        execute(plan, apply)
        state = read_vm(self.connection, self.name, self.tool, self.folders) if plan.changed else plan.before
        if state.live is not None and options.wait_for_address:
            guest.wait_for_address(state.live_nics)
        return {**view(state), **self._addresses(state)}

    def _begin_points(self, record: Record | None) -> None:
        """Have the disks of a VM that is to have recovery points note what its guest writes from its first start on."""
        if record is None or record.recovery is None:
            return
        try:
            Points(self.connection, self.tool, self.folders, Path(self.folders.recovery)).born(self.name)
        except (EdgeError, OSError) as error:
            why = (from_os_error(error) if isinstance(error, OSError) else error).message
            self.warnings.append(
                f"recovery: the first recovery point of {self.name} will have all that is above its images, since its disks could "
                f"not note before its start what is written to them: {why}"
            )

    def _forget_moves(self) -> None:
        """Forget that the VM moved, before the first file of the new one: what a run that breaks off leaves is not the old VM's."""
        for mark in read_moved(self.folders.vms):
            if self.name == mark.name or self._new_uuid == mark.uuid:
                forget_moved(self.folders.vms, mark.uuid)

    def _note_formats(self, config: DomainSpec | None) -> None:
        """Record what the files are, before the guest can write anything else into them; a disk that moved here has no record."""
        for disk in config.disks if config else ():
            if disk.path and not disk.read_only:
                self.tool.note_format(disk.path, disk.format)
            if disk.overlay:
                self.tool.note_format(disk.overlay, disk.active_format)

    def end_switch(self) -> None:
        """End a switch of a disk that an earlier task was killed in."""
        if Path(self.folders.vm(self.name), SWITCHING).exists():
            with self._lock():
                pass

    def run(self, check_mode: bool) -> tuple[Plan[VmState], dict[str, Any]]:
        """Return the plan and the VM after it; no other task works on the VM at the same time."""
        with nullcontext() if check_mode else self._lock():
            host = HostView(self.connection, self.tool, self.folders, self.networks)
            plan, seeds = self.plan(host)
            self.warnings.extend(host.images.warnings())
            return plan, self._settle(plan, seeds, check_mode)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the lock of the VM, with a switch of a disk ended that an earlier task was killed in."""
        with vm_lock(self.folders.lock(self.name), self.name, self.options.timeout):
            settle(self.connection, self.name, self.folders.vm(self.name))
            yield

    def _addresses(self, state: VmState) -> dict[str, Any]:
        told = self.networks.told() if state.nics else {}
        if state.run != "running":
            return addresses_of(None, state, told)
        with intent(f"look up domain {self.name}"):
            return addresses_of(lookup(self.connection.lookupByName, self.name), state, told)
