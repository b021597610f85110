# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe, plan, apply and report one VM: what ``domain``, ``domains`` and every other caller run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..._errors import Busy
from ..._libvirt import intent, lookup
from ..._plan import Plan, execute
from ..._runner import Runner
from ..host.addresses import addresses_of
from ..host.file_users import check_claims, new_disks
from ..host.lock import vm_lock
from ..host.migration_mark import refuse_while_migrating
from ..host.observe import read_vm, see_one, vm_of
from ..host.view import HostView, check_ownership
from ..lazy.plan import arriving_images, with_arrivals
from ..model.host_facts import Folders
from ..model.image_tools import ImageTool
from ..model.overlays import active_spec, kept_files, own_spec
from ..model.spec import DomainSpec, Record
from ..model.state import VmState, view
from ..options.resolve import check_name, resolve
from ..seed import Seed, make_context, make_seed
from .apply import Guest
from .check_change import check_change
from .check_hardware import check_hardware, check_memory
from .check_host import check_wanted
from .plan import Goal, plan_absent, plan_goal


@dataclass(frozen=True)
class Reconciler:
    """One VM, named by its options, on one connection; the options are those of the module ``domain``."""

    connection: Any
    tool: ImageTool
    runner: Runner
    folders: Folders
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The domain's name, checked."""
        return check_name(self.options["name"])

    @property
    def context(self) -> Seed | None:
        """The context disk that was asked for."""
        asked = self.options.get("context")
        return make_context(asked) if asked is not None else None

    def plan(self, host: HostView | None = None) -> tuple[Plan[VmState], Seed | None]:
        """Return the steps and the seed that one of them writes; raise before any change what cannot be done.

        ``host`` is a look at the hypervisor that several plans share.
        """
        host = host or HostView(self.connection, self.tool, self.folders)
        adopt, force = bool(self.options.get("adopt")), bool(self.options.get("force_stop"))
        home = self.folders.vm(self.name)
        state = host.vm(self.name, adopt=adopt)
        check_ownership(state, adopt)
        refuse_while_migrating(self.name, home, state.run)
        if self.options["state"] == "absent":
            state = host.with_files(state)
            delete = bool(self.options.get("delete_disks"))
            files = kept_files(state, home, self.folders) | (host.claims(self.name).keys() if delete else set())
            return plan_absent(state, force, delete, files), None
        facts = host.facts(self.options, arriving_images(state))
        volumes = state.record.volumes if state.record else ()
        before = own_spec(state.config, home, state.record) if state.config else None
        wanted = resolve(self.options, before, volumes, facts, state.foreign_targets)
        state = host.with_files(state, tuple(volume.path for volume in wanted.volumes))
        active = active_spec(wanted.spec, state, home)
        self._check_claims(active, state, host)
        check_wanted(replace(wanted, spec=active), state, facts, self.options.get("disks") or ())
        check_change(wanted, state, self.options)
        check_hardware(wanted.spec, state.config, facts)
        check_memory(wanted.spec, state, self.options["state"], facts)
        active = with_arrivals(active, wanted.volumes, state, facts)
        cloud_init = self.options.get("cloud_init")
        seed = make_seed(cloud_init, self.name, wanted.spec.uuid) if cloud_init is not None else None
        context = self.context
        kept = state.record or Record(wanted.spec)
        digests = (seed.digest if seed else kept.seed, context.digest if context else kept.context)
        goal = Goal(
            run=self.options["state"],
            record=Record(wanted.spec, wanted.volumes, *digests),
            context_path=self.folders.context(self.name) if context else None,
            seed_path=self.folders.seed(self.name) if seed else None,
            autostart=self.options.get("autostart"),
            allow_restart=bool(self.options.get("allow_restart")),
            force_stop=force,
            sizes=tuple(facts.image_sizes().items()),
            active=active,
        )
        return plan_goal(state, goal), seed

    def _check_claims(self, active: DomainSpec, state: VmState, host: HostView) -> None:
        found = [disk for disk in new_disks(active, state.config) if Path(disk.path).exists()]
        if found:
            check_claims(self.name, found, host.claims(self.name), self.options.get("disks") or ())

    def settle(self, plan: Plan[VmState], seed: Seed | None, check_mode: bool) -> dict[str, Any]:
        """Carry the plan out and return the VM after it: as read back, in check mode as predicted.

        Raise Busy where another task works on the VM, or did since it was planned.
        """
        if check_mode or not plan.changed:
            return self._settle(plan, seed, check_mode)
        with self._lock():
            seen = see_one(self.connection, self.name)
            now = vm_of(seen, adopt=bool(self.options.get("adopt"))) if seen else VmState(self.name)
            if any(getattr(now, field) != getattr(plan.before, field) for field in ("run", "config", "record")):
                raise Busy(f"Domain {self.name} was changed by another task meanwhile; run again.", domain={"name": self.name})
            return self._settle(plan, seed, check_mode)

    def _settle(self, plan: Plan[VmState], seed: Seed | None, check_mode: bool) -> dict[str, Any]:
        if check_mode:
            now = plan.before if plan.after.run == "running" else plan.after
            return {**view(plan.after), **self._addresses(now)}
        folder, timeout = self.folders.vm(self.name), self.options["timeout"]
        forget = bool(self.options.get("delete_disks"))
        guest = Guest(self.connection, self.name, self.tool, self.runner, folder, timeout, seed, self.context, forget)
        execute(plan, guest.apply)
        state = read_vm(self.connection, self.name, self.tool, self.folders) if plan.changed else plan.before
        if state.live is not None and self.options.get("wait_for_address"):
            guest.wait_for_address(state.live.nics)
        return {**view(state), **self._addresses(state)}

    def run(self, check_mode: bool) -> tuple[Plan[VmState], dict[str, Any]]:
        """Return the plan and the VM after it; no other task works on the VM meanwhile."""
        with nullcontext() if check_mode else self._lock():
            plan, seed = self.plan()
            return plan, self._settle(plan, seed, check_mode)

    def _lock(self) -> AbstractContextManager[None]:
        return vm_lock(self.folders.lock(self.name), self.name, self.options["timeout"])

    def _addresses(self, state: VmState) -> dict[str, Any]:
        if state.run != "running":
            return addresses_of(None, state)
        with intent(f"look up domain {self.name}"):
            return addresses_of(lookup(self.connection.lookupByName, self.name), state)
