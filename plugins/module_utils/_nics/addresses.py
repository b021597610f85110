# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The public addresses of interfaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from .._compute.model.public_address import GivenAddress, Lacking, PublicAddress
from .._errors import EdgeError
from .._network.public.announce import announce
from .._network.public.definition import Definition
from .._network.public.host import Addresses, Places
from .._network.public.reconcile import of_taps, reconcile
from .._runner import Runner

PLACES = Places()
ANNOUNCER = announce


@dataclass(frozen=True)
class HostAddresses:
    """See PublicTool; nothing is read before it is asked for."""

    runner: Runner

    @property
    def _host(self) -> Addresses:
        return Addresses(self.runner, PLACES, ANNOUNCER)

    def lacking(self, wanted: Sequence[GivenAddress], gone: Mapping[str, str]) -> Lacking:
        """See PublicTool."""
        there = of_taps(self._host, frozenset(gone.values()))
        found = [one for one in wanted if self._changes(one)]
        return tuple(found), tuple(address for address, tap in gone.items() if address in there and there[address].tap == tap)

    def _changes(self, wanted: GivenAddress) -> bool:
        definition = _public(wanted)
        try:
            return reconcile(self._host, definition.address, definition, check=True)[0].changed
        except EdgeError as error:
            option = error.details.get("option")
            if option in PublicAddress.__dataclass_fields__:  # the others are not what a user gave here
                error.message = f"{wanted.where}{error.message}"
                error.details["option"] = f"{wanted.where}{option}"
            else:
                error.message = f"{wanted.where}address: {wanted.public.address} cannot be given. {error.message}"
                error.details["option"] = f"{wanted.where}address"
            error.args = (error.message,)
            raise

    def give(self, wanted: GivenAddress) -> None:
        """See PublicTool."""
        definition = _public(wanted)
        reconcile(self._host, definition.address, definition, check=False)

    def take(self, address: str) -> None:
        """See PublicTool."""
        reconcile(self._host, address, None, check=False)


def _public(wanted: GivenAddress) -> Definition:
    nic = {"bridge": wanted.bridge, "tap": wanted.tap, "mac": wanted.mac, "vm": wanted.vm}
    given = {key: value for key, value in asdict(wanted.public).items() if value is not None}
    return Definition.checked({**nic, **given}, wanted.where)
