# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe, plan, apply and report one VM: what the module ``domain`` and every other caller runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._plan import Plan, execute
from .._runner import Runner
from .addresses import main_address, read_addresses
from .check import check_ownership, check_wanted
from .facts import Folders
from .guest import Guest
from .host import read_facts, read_vm
from .image_tool import ImageTool
from .options import check_name, resolve
from .plan import Goal, plan_absent, plan_goal
from .seed import Seed, make_seed
from .spec import Record
from .state import VmState, view


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
        cloud_init = self.options.get("cloud_init")
        seed = make_seed(cloud_init, self.name, wanted.spec.uuid) if cloud_init is not None else None
        kept = state.record.seed if state.record else None
        goal = Goal(
            run=self.options["state"],
            record=Record(wanted.spec, wanted.volumes, seed.digest if seed else kept),
            seed_path=self.folders.seed(self.name) if seed else None,
            autostart=self.options.get("autostart"),
            allow_restart=bool(self.options.get("allow_restart")),
            force_stop=force,
            sizes=tuple(host.images.items()),
        )
        return plan_goal(state, goal), seed

    def run(self, check_mode: bool) -> tuple[Plan[VmState], dict[str, Any]]:
        """Return the plan and the VM after it: as predicted in check mode, as read back else."""
        plan, seed = self.plan()
        if check_mode:
            return plan, {**view(plan.after), "addresses": [], "address": None}
        guest = Guest(self.connection, self.name, self.tool, self.runner, self.folders.vm(self.name), self.options["timeout"], seed)
        execute(plan, guest.apply)
        state = self._read(adopt=False) if plan.changed else plan.before
        return plan, {**view(state), **self._addresses(guest, state)}

    def _addresses(self, guest: Guest, state: VmState) -> dict[str, Any]:
        if state.run != "running" or state.live is None:
            return {"addresses": [], "address": None}
        if self.options.get("wait_address"):
            found = guest.wait_address(state.live.nics)
        else:
            found = read_addresses(self.connection.lookupByName(self.name), state.live.nics)
        return {"addresses": found, "address": main_address(found)}
