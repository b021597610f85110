# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The public addresses of this host, which ``edge-host networks`` makes after the virtual networks that they lead to."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._errors import EdgeError, from_os_error
from .._network.public.filtering import Filter
from .._network.public.host import Addresses, Places
from .._network.public.reconcile import make_recorded
from .._runner import Runner

PLACES = Places()


@dataclass
class PublicAddresses:
    """Makes the recorded addresses.

    ``links`` are those that matter to them and ``filter`` is what nftables had, as of the last run.
    """

    runner: Runner
    places: Places = field(default_factory=lambda: PLACES)
    links: frozenset[str] = frozenset()
    filter: Filter | None = None
    _read: tuple[int, int] | None = None  # which version of the record the last run read

    def make(self, *, check: bool) -> tuple[list[str], dict[str, EdgeError]]:
        """Return what was done, and the errors of addresses that cannot be made now."""
        self.filter, self._read = None, self._version()
        try:
            made = make_recorded(Addresses(self.runner, self.places), check=check)
        except (EdgeError, OSError) as caught:
            return [], {"public addresses": from_os_error(caught) if isinstance(caught, OSError) else caught}
        self.links, self.filter = made.links, made.filter
        return made.actions, made.failed

    def changed(self) -> bool:
        """Return whether the record or our filter in nftables is another than in the last run, as after ``nft flush ruleset``."""
        if self._version() != self._read:
            return True
        return self.filter is not None and Addresses(self.runner, self.places).filter() != self.filter

    def _version(self) -> tuple[int, int] | None:
        try:
            found = self.places.record.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino
