# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The domains of a hypervisor through one libvirt connection, each read once, whatever the number of plans that ask."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..._errors import Conflict
from ..model.host_facts import Folders
from ..model.image_tools import ReadTool
from ..model.state import VmState
from .observe import ObservedDomain, see_all, vm_of, with_files


@dataclass(frozen=True)
class HostDomains:
    """The domains as they were when they were looked at first; make a new one to look again."""

    connection: Any
    tool: ReadTool
    folders: Folders

    @cached_property
    def domains(self) -> dict[str, ObservedDomain]:
        """Every domain by name."""
        return see_all(self.connection)

    @cached_property
    def uuids(self) -> dict[str, str]:
        """The UUIDs by the names of the domains."""
        return {name: seen.uuid for name, seen in self.domains.items()}

    @cached_property
    def macs(self) -> dict[str, str]:
        """The names of the domains by their MAC addresses, in lower case."""
        return {mac: name for name, seen in self.domains.items() for mac in seen.macs}

    def vm(self, name: str) -> VmState:
        """Return the VM of this name without its files, which with_files() adds."""
        seen = self.domains.get(name)
        return vm_of(seen, self.folders) if seen else VmState(name)

    def with_files(self, state: VmState, paths: tuple[str, ...] = ()) -> VmState:
        """Return the VM with its files; ``paths`` are further disk files to look at."""
        return with_files(state, self.tool, self.folders, paths)


def check_ownership(state: VmState, adopt: bool) -> None:
    """Raise Conflict where a domain of this name exists that we did not make."""
    if state.config is not None and not state.marked and not adopt:
        raise Conflict(
            f"name: domain {state.name} exists on this host and was not made by edge.cloud; "
            "choose another name, or set adopt to take it over.",
            option="name",
            value=state.name,
        )
