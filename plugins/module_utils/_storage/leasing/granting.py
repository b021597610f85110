# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has recovery points exported for the hosts that asked for it, each until it asks no more.

Each pass makes true what the folder of leases says, so one after a kill at any point does the rest. A mark in the depot keeps a
generation as it is. It is there before the host sees that its lease is granted, and goes before the state of the last lease does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..._errors import Busy, EdgeError
from ..._generation import Generation, export_name
from ..recovery.exports import Exports
from .records import BOOT, GRANTED, REFUSED, SECONDS, SERVED, WAITING, Asked, Lease, LeaseFolder

LOCK_SECONDS = 5.0
REFUSED_SECONDS = 120.0  # a refusal can be read
MOST_POINTS = 128
MOST_LEASES = 64  # of one host


@dataclass(frozen=True)
class Pass:
    """What a pass did: the leases that are waiting, granted and refused now, and whether the server was started again."""

    waiting: tuple[Lease, ...]
    granted: tuple[Lease, ...]
    refused: tuple[Lease, ...]
    restarted: bool


@dataclass(frozen=True)
class Granting:
    """The leases of one replica; ``restart`` starts the NBD server again, which listens on ``port``.

    ``boot`` is another text after each boot of the host.
    """

    exports: Exports
    folder: LeaseFolder
    port: int
    restart: Callable[[], object]
    boot: str = ""

    def run(self, now: float) -> Pass:
        """Do what was asked, and end what is over. The caller holds the lock of the folder."""
        self.folder.prepare()
        asked = self.folder.requests()
        known = {one.file: one for one in self.folder.leases()}
        was_off = self.folder.noted(BOOT) != self.boot
        leases = self._alive(known, asked, now, was_off)
        for file, lease in leases.items():
            if lease != known.get(file):
                self.folder.write(lease)
        if was_off:
            self.folder.note(BOOT, self.boot)
        settled = self._settled(leases, now)
        busy, restarted = self._serve({one.point for one in settled if one.state != REFUSED})
        for lease in settled:
            if lease != leases[lease.file]:
                self.folder.write(lease)
        for file, lease in known.items():
            if file not in leases and lease.point not in busy:
                self.folder.forget(lease)
        for request in asked:
            if not (request.end and request.lease.point in busy):
                request.path.unlink(missing_ok=True)
        by = {state: tuple(one for one in settled if one.state == state) for state in (WAITING, GRANTED, REFUSED)}
        return Pass(by[WAITING], by[GRANTED], by[REFUSED], restarted)

    def _alive(self, known: Mapping[str, Lease], asked: list[Asked], now: float, was_off: bool) -> dict[str, Lease]:
        """Return the leases that go on and those that are asked for, by the names of their states."""
        ended = {one.lease.file for one in asked if one.end}
        kept = [_since_boot(one, now) if was_off else _bounded(one, now) for one in known.values()]
        leases = {one.file: one for one in kept if one.file not in ended and one.until > now}
        for one in (one.lease for one in asked if not one.end and one.lease.file not in ended):
            leases[one.file] = self._kept(leases.get(one.file), one, now)
        return leases

    def _kept(self, known: Lease | None, asked: Lease, now: float) -> Lease:
        """Return a lease that is asked for, again or not; what was refused is looked at again."""
        granted = known is not None and known.point == asked.point and known.state == GRANTED
        return replace(known if known and granted else asked, until=now + SECONDS)

    def _settled(self, leases: dict[str, Lease], now: float) -> list[Lease]:
        """Return the leases with those that waited granted or refused; one stays waiting while its VM's points are changed."""
        settled = [one for one in leases.values() if one.state != WAITING]
        for lease in leases.values():
            if lease.state == WAITING:
                settled.append(self._decided(lease, [one for one in settled if one.state == GRANTED], now))
        return settled

    def _decided(self, lease: Lease, granted: list[Lease], now: float) -> Lease:
        try:
            _require_room(lease, granted)
            found = self.exports.lend(lease.vm, lease.generation, LOCK_SECONDS)
        except Busy as error:
            if error.details.get("limit"):
                return _refused(lease, error, now)
            return replace(lease, error=error.message[:4000])
        except EdgeError as error:
            return _refused(lease, error, now)
        return replace(lease, state=GRANTED, port=self.port, disks=disks_of(found), error="", code="")

    def _serve(self, wanted: set[tuple[str, str]]) -> tuple[set[tuple[str, str]], bool]:
        """Have these exported and no others; the server is started again only where it serves others.

        Returns those whose marks stay, since their VM's generations are being changed, and whether the server was started again.
        """
        depot, busy = self.exports.depot, set()
        for uuid, name in sorted(depot.leased() - wanted):
            try:
                depot.lease(uuid, name, False, LOCK_SECONDS)
            except Busy:
                busy.add((uuid, name))
        now = "".join(f"{uuid} {name}\n" for uuid, name in sorted(depot.leased()))
        if now == self.folder.noted(SERVED):
            return busy, False
        self.restart()  # clients connect again by themselves
        self.folder.note(SERVED, now)
        return busy, True


def _bounded(lease: Lease, now: float) -> Lease:
    """Return a lease that ends in time, whatever the clock was when it began."""
    return replace(lease, until=min(lease.until, now + SECONDS))


def _since_boot(lease: Lease, now: float) -> Lease:
    """Return a lease that its host can renew now: while this one was off, it could not."""
    return replace(lease, until=now + SECONDS) if lease.state != REFUSED else lease


def _refused(lease: Lease, error: EdgeError, now: float) -> Lease:
    return replace(lease, state=REFUSED, until=now + REFUSED_SECONDS, error=error.message[:4000], code=error.code)


def _require_room(lease: Lease, granted: list[Lease]) -> None:
    """Raise Busy, with the limit, where the host or all hosts have too many."""
    of_host = Counter(one.host for one in granted)[lease.host]
    if of_host >= MOST_LEASES:
        raise Busy(
            f"{lease.host} has {of_host} exports already, and a host may have {MOST_LEASES} at once; wait until VMs have moved.",
            limit=MOST_LEASES,
        )
    points = {one.point for one in granted}
    if lease.point not in points and len(points) >= MOST_POINTS:
        raise Busy(f"{len(points)} recovery points are exported, and {MOST_POINTS} are possible at once.", limit=MOST_POINTS)


def disks_of(found: Generation) -> tuple[dict[str, Any], ...]:
    """Return the disks of a generation with the names of their exports."""
    return tuple(
        {"target": disk.target, "name": export_name(found.vm.uuid, found.name, disk.target), "size": disk.virtual_size}
        for disk in found.disks
    )
