# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many VMs of one host: observed together, planned together before any change, carried out several at a time.

Each VM is planned and settled by its Reconciler, as when it is alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar

from ..._errors import EdgeError, InvalidInput, Refused, from_os_error
from ..._libvirt import intent
from ..._plan import Plan, changes
from ..._runner import Runner
from ..elsewhere.peers import Peers
from ..host.migration_mark import is_incoming, is_leaving
from ..host.observe import read_vm
from ..host.view import HostView
from ..model.host_facts import Folders
from ..model.image_tools import DomainTool
from ..model.public_address import NoPublicAddresses, PublicTool
from ..model.request import DomainOptions
from ..model.state import VmState, view
from ..model.virtual_network import NetworkTool, NoNetworks
from ..seed.file import Seeds
from ..xml.properties import read_scaled
from .check.batch import Need, clashes, memory_short, memory_warning
from .check.hardware import memory_needed
from .plan import PullImage
from .reconcile import Reconciler

Errors = Mapping[str, tuple[str, EdgeError]]


class DomainsFailed(EdgeError):
    """Some VMs could not become what was asked; ``partial`` is what a module returns of all of them."""

    code: ClassVar[str] = "domains_failed"

    def __init__(self, head: str, errors: Errors, partial: Mapping[str, Any]) -> None:
        lines = [f"{where}: {error.message}" for where, (_name, error) in errors.items()]
        rows = [{"domain": name, **error.as_result()["error"], "msg": error.message} for name, error in errors.values()]
        super().__init__("\n".join([head, *lines]), errors=rows)
        self.partial = dict(partial)

    def as_result(self) -> dict[str, Any]:
        """Return the failure with what was done all the same."""
        return {**super().as_result(), **self.partial}


@dataclass(frozen=True)
class Draft:
    """One VM's plan; ``where`` is its place in the task, such as ``domains[3] (web)``."""

    where: str
    reconciler: Reconciler
    plan: Plan[VmState]
    seeds: Seeds

    @property
    def name(self) -> str:
        """The domain's name."""
        return self.plan.before.name

    @property
    def need(self) -> Need:
        """What the VM will take from the host's memory."""
        wanted, options = self.plan.after.config, self.reconciler.options
        if wanted is None:
            return Need(0)
        return Need(memory_needed(wanted, self.plan.before, options.run, restart=options.may_restart), wanted.hugepages or 0)


@dataclass(frozen=True)
class Outcome:
    """What became of a draft: the VM after it, what was done, and the error that stopped it."""

    draft: Draft
    domain: dict[str, Any]
    actions: list[str]
    diff: dict[str, dict[str, Any]]
    error: EdgeError | None = None


@dataclass(frozen=True)
class Batch:
    """VMs named by their options, on one connection, ``parallel`` of them worked on at a time.

    ``purge`` are the options for domains of ours that are not named: None keeps them. ``runner`` and ``tool`` are used by threads.
    """

    connection: Any
    tool: DomainTool
    runner: Runner
    folders: Folders
    wanted: Sequence[DomainOptions]
    parallel: int = 8
    purge: DomainOptions | None = None
    peers: Peers = field(default_factory=Peers)
    networks: NetworkTool = field(default_factory=NoNetworks)
    public: PublicTool = field(default_factory=NoPublicAddresses)

    def run(self, check_mode: bool) -> dict[str, Any]:
        """Return what a module reports: changed, actions, diff by domain, the domains in the order asked, warnings.

        Raises DomainsFailed: before any change where a VM cannot be planned, after all others are done where one failed on the way.
        """
        host = HostView(self.connection, self.tool, self.folders, self.networks)
        drafts = self.plan(host, {} if check_mode else dict(self._end_switches()))
        with ThreadPoolExecutor(max(1, min(self.parallel, len(drafts)))) as pool:
            outcomes = list(pool.map(lambda draft: _settle(draft, check_mode), drafts))
        warnings = [*_warnings(host, drafts), *self._kept(host), *host.images.warnings(), *self.peers.warnings()]
        warnings += [warning for draft in drafts for warning in draft.reconciler.warnings]
        result = {**_report(outcomes), "warnings": warnings}
        errors = {one.draft.where: (one.draft.name, one.error) for one in outcomes if one.error is not None}
        if errors:
            head = f"{len(errors)} of {len(drafts)} domains failed; the others are done. A second run goes on from here."
            raise DomainsFailed(head, errors, result)
        return result

    def _end_switches(self) -> Iterator[tuple[str, tuple[str, EdgeError]]]:
        """End switches of disks that earlier tasks were killed in; yield what failed."""
        for place, options in enumerate(self.wanted):
            try:
                self._reconciler(options).end_switch()
            except (EdgeError, OSError) as caught:
                yield place_of(place, options.name), (options.name, _ours(caught))

    def plan(self, host: HostView, failed: Errors = MappingProxyType({})) -> list[Draft]:
        """Return the plan of every VM, or raise DomainsFailed with all that is wrong in any of them; ``failed`` already."""
        drafts, errors = [], {**failed, **dict(self._repeated())}
        for where, options in self._asked(host):
            if where in errors:
                continue
            reconciler = self._reconciler(options)
            try:
                drafts.append(Draft(where, reconciler, *reconciler.plan(host)))
            except (EdgeError, OSError) as caught:
                errors[where] = (options.name, _ours(caught))
        names = {draft.where: draft.name for draft in drafts}
        needs = {draft.where: draft.need for draft in drafts}
        pages = host.free_pages if any(need.hugepages for need in needs.values()) else {}
        together = {**memory_short(needs, host.basics.free, pages), **clashes({one.where: one.plan.after for one in drafts})}
        errors |= {where: (names[where], error) for where, error in together.items()}
        if errors:
            head = f"{len(errors)} of {len(self.wanted)} domains cannot be what was asked; nothing was changed."
            raise DomainsFailed(head, errors, {"changed": False})
        return drafts

    def _repeated(self) -> Iterator[tuple[str, tuple[str, EdgeError]]]:
        first: dict[str, int] = {}
        for place, options in enumerate(self.wanted):
            name = options.name
            if first.setdefault(name, place) != place:
                repeated = f"name: {name} is already domains[{first[name]}]; name each domain once."
                yield place_of(place, name), (name, InvalidInput(repeated, option="name", value=name))

    def _reconciler(self, options: DomainOptions) -> Reconciler:
        return Reconciler(self.connection, self.tool, self.runner, self.folders, options, self.peers, self.networks, self.public)

    def _asked(self, host: HostView) -> Iterator[tuple[str, DomainOptions]]:
        """Yield every VM to plan: those that are named, then with ``purge`` every other domain that bears our mark."""
        for place, options in enumerate(self.wanted):
            yield place_of(place, options.name), options
        if self.purge is None:
            return
        if not self.wanted:
            raise Refused(
                "unlisted: absent with an empty list of domains would remove every domain that edge.cloud made on this host; "
                "name them with state: absent instead.",
                option="unlisted",
            )
        for state in self._unlisted(host):
            if self._reason_to_keep(state) is None:
                yield f"unlisted ({state.name})", replace(self.purge, name=state.name, state="absent", adopt=False)

    def _unlisted(self, host: HostView) -> Iterator[VmState]:
        named = {options.name for options in self.wanted}
        yield from (state for state in map(host.vm, host.domains) if state.name not in named and state.marked)

    def _kept(self, host: HostView) -> Iterator[str]:
        """Yield a warning for each unlisted VM that came from another host or goes to one, which is not a reason to remove it."""
        for state in self._unlisted(host) if self.purge else ():
            if reason := self._reason_to_keep(state):
                yield (
                    f"unlisted: domain {state.name} {reason} by migration and was kept; list it here, or remove it by its name "
                    "with state: absent."
                )

    def _reason_to_keep(self, state: VmState) -> str | None:
        """Return how a VM comes or came from another host, or goes to one, else None. The mark of arrival comes last, after all."""
        if state.arrival:
            return f"came from {state.arrival.source}"
        folder = self.folders.vm(state.name)
        return "is arriving" if is_incoming(folder) else "is leaving" if is_leaving(folder) else None


def place_of(place: int, name: str) -> str:
    """Return how an item of the task is called in errors."""
    return f"domains[{place}] ({name})"


def _settle(draft: Draft, check_mode: bool) -> Outcome:
    plan = draft.plan
    try:
        with intent(f"go on with domain {draft.name}"):
            domain = draft.reconciler.settle(plan, draft.seeds, check_mode)
    except (EdgeError, OSError) as caught:
        error, now = _ours(caught), _now(draft)
        actions = error.details.get("done", plan.actions)
        return Outcome(draft, {**now, "failed": True}, actions, changes(view(plan.before), now), error)
    return Outcome(draft, domain, plan.actions, plan.diff(view))


def _ours(error: EdgeError | OSError) -> EdgeError:
    return from_os_error(error) if isinstance(error, OSError) else error


def _now(draft: Draft) -> dict[str, Any]:
    """Return what is left of a VM whose plan failed on the way."""
    one = draft.reconciler
    try:
        with intent(f"read domain {draft.name}"):
            return view(read_vm(one.connection, draft.name, one.tool, one.folders))
    except (EdgeError, OSError):
        return view(draft.plan.before)


def _report(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    changed = {one.draft.name: one.diff for one in outcomes if one.diff["before"] or one.diff["after"]}
    return {
        "changed": any(one.actions for one in outcomes),
        "actions": list(_actions(outcomes)),
        "diff": {side: {name: diff[side] for name, diff in changed.items()} for side in ("before", "after")},
        "domains": [one.domain for one in outcomes],
    }


def _actions(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield what was done, in order; an image that several VMs asked for came once."""
    once = {step.sentence: True for one in outcomes for step in one.draft.plan.steps if isinstance(step, PullImage)}
    for action in (action for one in outcomes for action in one.actions):
        if once.get(action, True):
            yield action
        if action in once:
            once[action] = False


def _warnings(host: HostView, drafts: Sequence[Draft]) -> list[str]:
    """Warn that memory is short, where this task makes it so."""
    started = [one for one in drafts if one.plan.changed and one.plan.after.run == "running"]
    if not started:
        return []
    ours = {one.name: one.plan.after for one in drafts}
    running = [state.config.memory for state in ours.values() if state.run == "running" and state.config]
    awake = [seen for seen in host.domains.values() if seen.name not in ours and seen.run not in ("stopped", "saved")]
    others = [read_scaled(seen.config, "memory") for seen in awake]
    warning = memory_warning([*running, *others], host.basics.memory)
    return [warning] if warning else []
