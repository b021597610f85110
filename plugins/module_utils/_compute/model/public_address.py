# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Public addresses as far as a domain needs them: what an interface is given, and what gives it to the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class PublicAddress:
    """A public address of an interface; see the module public_address for what each is."""

    address: str
    mode: str | None = None
    private_address: str | None = None
    uplink: str | None = None


@dataclass(frozen=True)
class GivenAddress:
    """A public address and the interface that is to have it; ``where`` is the path of the option."""

    where: str
    vm: str
    bridge: str
    tap: str
    mac: str
    public: PublicAddress


Lacking = tuple[tuple[GivenAddress, ...], tuple[str, ...]]


class PublicTool(Protocol):
    """Gives public addresses to interfaces of VMs of this host, and takes them away."""

    def lacking(self, wanted: Sequence[GivenAddress], gone: Mapping[str, str]) -> Lacking:
        """Return those of ``wanted`` that the host does not have as they should be, and those of ``gone`` that it has.

        ``gone`` has the tap device that each address was for; one that another interface got since is not among them.

        Raise before any change what the host cannot have.
        """

    def give(self, wanted: GivenAddress) -> None:
        """Have the host pass an address on to an interface, and tell its neighbours."""

    def take(self, address: str) -> None:
        """Take an address away."""


class NoPublicAddresses:
    """The addresses of who gives none."""

    def lacking(self, wanted: Sequence[GivenAddress], gone: Mapping[str, str]) -> Lacking:  # noqa: ARG002 - the interface's
        """See PublicTool."""
        return (), ()

    def give(self, wanted: GivenAddress) -> None:
        """See PublicTool."""

    def take(self, address: str) -> None:
        """See PublicTool."""
