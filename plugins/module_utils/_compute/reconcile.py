# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe, plan, apply and report one VM: what the module ``domain`` and every other caller runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._libvirt import intent, lookup
from .._plan import Plan, execute
from .._runner import Runner
from .addresses import main_address, read_addresses
from .check import check_ownership, check_wanted
from .check_change import check_change
from .facts import Folders
from .guest import Guest
from .host import read_facts, read_vm
from .image_tool import ImageTool
from .lock import vm_lock
from .options import check_name, resolve
from .plan import Goal, plan_absent, plan_goal
from .seed import Seed, make_context, make_seed
from .spec import Record
from .state import VmState, view
from .statistics import read_statistics


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

    def _read(self, adopt: bool, paths: Sequence[str] = ()) -> VmState:
        return read_vm(self.connection, self.name, self.tool, self.folders, adopt=adopt, paths=paths)

    def plan(self) -> tuple[Plan[VmState], Seed | None]:
        """Return the steps and the seed that one of them writes; raise before any change what cannot be done."""
        state = self._read(adopt=bool(self.options.get("adopt")))
        check_ownership(state, bool(self.options.get("adopt")))
        force = bool(self.options.get("force_stop"))
        if self.options["state"] == "absent":
            return plan_absent(state, force, bool(self.options.get("delete_disks"))), None
        host = read_facts(self.connection, self.options, self.tool, self.folders)
        volumes = state.record.volumes if state.record else ()
        wanted = resolve(self.options, state.config, volumes, host, state.foreign_targets)
        state = self._read(bool(self.options.get("adopt")), [volume.path for volume in wanted.volumes])
        check_wanted(wanted, state, host, self.options.get("disks") or ())
        check_change(wanted, state, self.options)
        cloud_init = self.options.get("cloud_init")
        seed = make_seed(cloud_init, self.name, wanted.spec.uuid) if cloud_init is not None else None
        context = self.context
        kept = state.record or Record(wanted.spec)
        goal = Goal(
            run=self.options["state"],
            record=Record(
                wanted.spec, wanted.volumes, seed.digest if seed else kept.seed, context.digest if context else kept.context
            ),
            context_path=self.folders.context(self.name) if context else None,
            seed_path=self.folders.seed(self.name) if seed else None,
            autostart=self.options.get("autostart"),
            allow_restart=bool(self.options.get("allow_restart")),
            force_stop=force,
            sizes=tuple(host.images.items()),
        )
        return plan_goal(state, goal), seed

    def run(self, check_mode: bool) -> tuple[Plan[VmState], dict[str, Any]]:
        """Return the plan and the VM after it: as predicted in check mode, as read back else."""
        if check_mode:
            plan, _seed = self.plan()
            now = plan.before if plan.after.run == "running" else plan.after
            return plan, {**view(plan.after), **addresses_of(self.connection, now)}
        with vm_lock(self.folders.lock(self.name), self.name, self.options["timeout"]):
            return self._change()

    def _change(self) -> tuple[Plan[VmState], dict[str, Any]]:
        plan, seed = self.plan()
        folder, timeout = self.folders.vm(self.name), self.options["timeout"]
        forget = bool(self.options.get("delete_disks"))
        guest = Guest(self.connection, self.name, self.tool, self.runner, folder, timeout, seed, self.context, forget)
        execute(plan, guest.apply)
        state = self._read(adopt=False) if plan.changed else plan.before
        if state.live is not None and self.options.get("wait_address"):
            guest.wait_address(state.live.nics)
        return plan, {**view(state), **addresses_of(self.connection, state)}


def addresses_of(connection: Any, state: VmState) -> dict[str, Any]:
    """Return the addresses of a running VM and the one to reach it by."""
    found: list[dict[str, Any]] = []
    if state.run == "running" and state.live is not None:
        with intent(f"look up domain {state.name}"):
            domain = lookup(connection.lookupByName, state.name)
        found = read_addresses(domain, state.live.nics) if domain is not None else []
    return {"addresses": found, "address": main_address(found)}


def describe_all(connection: Any, tool: ImageTool, folders: Folders, name: str | None = None) -> list[dict[str, Any]]:
    """Return every domain of the host (or the one of this name) by name, ours or not, with its statistics."""
    with intent("list the domains of this host"):
        names = sorted(domain.name() for domain in connection.listAllDomains() if name in (None, domain.name()))
    statistics = read_statistics(connection) if names else {}
    states = [read_vm(connection, one, tool, folders, adopt=True) for one in names]
    return [
        {**view(state), **addresses_of(connection, state), "statistics": statistics.get(state.name)}
        for state in states
        if state.config is not None
    ]
