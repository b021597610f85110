# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of a restore, found before the first byte is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..._errors import Busy, Conflict, EdgeError, Refused
from ..._files import nearest_folder
from ..._generation import Generation
from ..clone.source import files_in
from ..elsewhere.check import check_elsewhere, check_kept
from ..elsewhere.moved import read_moved
from ..elsewhere.peers import Peers
from ..host.at_rest import refuse_saved, refuse_unsettled
from ..host.domains import HostDomains, check_ownership
from ..host.migration_mark import refuse_incoming, refuse_while_migrating
from ..model.host_facts import Folders
from ..model.state import VmState
from ..snapshot.files import read_index
from .model import RestoreRequest
from .tool import PointSource, RestoreTool

SLACK = 64 * 2**20  # tables of the new files, and the small ones


def refuse_other_vm(request: RestoreRequest, generation: Generation, uuid: str | None) -> None:
    """Raise Conflict where a point is to be restored in place of another VM than its own; ``uuid`` is that of the VM there."""
    own = generation.vm
    if uuid == own.uuid or (uuid is None and request.name == own.name):
        return
    found = f"domain {request.name} of this host has the UUID {uuid}" if uuid else f"its name is {own.name}"
    raise Conflict(
        f"name: {generation.name} is a recovery point of the VM {own.uuid} ({own.name}), and {found}; nothing was changed. With "
        "in_place a VM has its own points and its own name: name that VM, or leave out in_place, which makes a new one.",
        option="name",
        value=request.name,
        found=uuid,
    )


def require_images(point: PointSource, tool: RestoreTool) -> dict[str, EdgeError]:
    """Return why images that the point stands on, and that are not here, cannot be brought, by their digests."""
    found = {}
    for digest in point.missing_images():
        try:
            tool.offer(digest)
        except EdgeError as error:
            found[digest] = error
    return found


@dataclass(frozen=True)
class Checks:
    """Refusals about the VM that is to be there, of the UUID ``uuid``."""

    host: HostDomains
    folders: Folders
    peers: Peers
    request: RestoreRequest
    uuid: str

    @property
    def name(self) -> str:
        """The name of the VM."""
        return self.request.name

    def files(self) -> list[str]:
        """Return what is in the folder of the VM."""
        return files_in(self.folders.vm(self.name))

    def refuse_elsewhere(self) -> None:
        """Raise where another host has the VM, or it moved to one or comes from one."""
        refuse_incoming(self.name, self.folders.vm(self.name))
        marks, allow = read_moved(self.folders.vms), self.request.allow_recreate
        check_elsewhere(self.name, self.uuid, marks, self.peers.answers.sightings, allow)
        check_kept(self.name, self.uuid, marks, self.files())

    def refuse_twin(self) -> None:
        """Raise Conflict where another host has the VM that is here, too: the points of the two would replace each other's."""
        check_elsewhere(self.name, self.uuid, (), self.peers.answers.sightings, allow_recreate=True)

    def refuse_taken(self) -> None:
        """Raise Conflict where another domain of this host has the UUID."""
        for name, uuid in self.host.uuids.items():
            if uuid == self.uuid and name != self.name:
                raise Conflict(
                    f"name: its UUID {uuid} belongs to domain {name} of this host; name that one, or choose another.",
                    option="name",
                    value=self.name,
                )

    def refuse_macs(self, macs: Iterable[str]) -> None:
        """Raise Conflict where another domain of this host has one of the MAC addresses."""
        for mac in macs:
            if (owner := self.host.macs.get(mac.lower())) not in (None, self.name):
                raise Conflict(
                    f"name: its MAC address {mac} is used by domain {owner}; choose another.", option="name", value=self.name
                )

    def refuse_running(self, state: VmState) -> None:
        """Raise Refused for a VM that is not stopped."""
        refuse_saved(self.name, state.run)
        refuse_unsettled(self.name, state.condition)
        if state.run != "stopped":
            raise Refused(
                f"in_place: domain {self.name} is {state.run}, and what its guest writes would be lost; stop it first "
                "(edge.cloud.domain, state: stopped), or restore the point as a new VM under another name.",
                option="in_place",
                value=True,
                found=state.run,
            )

    def refuse_unsafe(self, state: VmState) -> None:
        """Raise where the VM that is there cannot be replaced: of others, running, or amid another task."""
        check_ownership(state, adopt=False)
        home = self.folders.vm(self.name)
        refuse_while_migrating(self.name, home, state.run, restoring=True)
        self.refuse_running(state)
        journal = read_index(home).journal
        if journal is not None:
            raise Busy(
                f"name: a change of the snapshots of domain {self.name} has no end ({journal.what}); run "
                "edge.cloud.domain_snapshot again, which finishes it.",
                option="name",
                value=self.name,
            )

    def require_room(self, point: PointSource, tool: RestoreTool) -> None:
        """Raise NoSpace where the files of the point do not fit; the VM that is there keeps its own."""
        generation = point.generation
        deltas = sum(delta.size for disk in generation.disks for delta in disk.chain)
        needed = deltas * point.room_factor() + sum(file.size for file in generation.files.values()) + SLACK
        there = nearest_folder(Path(self.folders.vms))
        tool.require_room(str(there), needed, f"The restore of {generation.vm.name} from {generation.name}")
