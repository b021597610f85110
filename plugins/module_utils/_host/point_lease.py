# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host point lease``: have a replica export a recovery point for this host, and go on with it or end it.

``ROOT/leases/ID.json`` notes each lease before it is asked for. One for a VM is renewed and ended by ``edge-host arrive``.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import _files
from .._cluster import Cluster, Member
from .._compute.model.spec import stable_uuid
from .._compute.options.values import check_name
from .._errors import Corrupt, EdgeError, InvalidInput, NotFound, Unreachable, Unsupported
from .._generation import UUID
from .._json import load_object, require_schema
from .._kept_points import KeptPoints
from .._runner import SubprocessRunner
from .._storage.cluster.cluster_replica import trust_in
from .._storage.leasing.asking import Asking, Wanted
from .._storage.leasing.records import LARGEST_JSON, SECONDS, Lease
from .._threads import meanwhile
from .journal import log
from .points import required, whole_number

ROOT = Path("/var/lib/edge/recovery")
SCHEMA = 1
WAIT_SECONDS, MOST_SECONDS = 120, 86400
RENEW_SECONDS = SECONDS / 6
RENEW_WAIT_SECONDS = 30.0
ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Held:
    """A lease of this host: what it is of, at which replica, and the VM that it is for, empty for none."""

    lease: str
    vm: str
    generation: str
    replica: str
    user: str = ""

    @property
    def wanted(self) -> Wanted:
        """What is asked for."""
        return Wanted(self.lease, self.vm, self.generation)


@dataclass(frozen=True)
class Leases:
    """The leases of this host; ``root`` is the folder of what is of recovery points."""

    cluster: Cluster
    root: Path = ROOT

    @property
    def _folder(self) -> Path:
        return self.root / "leases"

    def held(self) -> Iterator[Held]:
        """Yield the leases of this host; a note that is damaged is removed, as its lease ends by itself, and a newer one stays."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                yield self._read(path)
            except Corrupt:
                path.unlink(missing_ok=True)
            except (Unsupported, FileNotFoundError):
                continue

    def _read(self, path: Path) -> Held:
        found = load_object(path.read_bytes(), str(path), LARGEST_JSON)
        require_schema(found, SCHEMA, str(path))
        texts = {key: found.get(key) for key in ("lease", "vm", "generation", "replica", "user")}
        if not all(isinstance(value, str) for value in texts.values()) or f"{texts['lease']}.json" != path.name:
            raise Corrupt(f"{path} is not the note of a lease.", path=str(path))
        return Held(**{key: str(value) for key, value in texts.items()})

    def find(self, lease: str) -> Held:
        """Return a lease of this host, or raise NotFound with those that there are."""
        known = list(self.held())
        for one in known:
            if one.lease == lease:
                return one
        have = ", ".join(one.lease for one in known) or "none"
        raise NotFound(f"lease: this host has no lease {lease!r:.100}; it has {have}.", option="lease")

    def take(self, vm: str, generation: str, user: str, seconds: float) -> tuple[Held, Lease, str]:
        """Have the first replica that can do it export a point; return the lease and the host of its NBD server."""
        refused: list[EdgeError] = []
        end = time.monotonic() + seconds
        for member in self._replicas():
            held = Held(secrets.token_hex(16), vm, generation, member.name, user)
            self._note(held)
            try:
                with closing(Asking(member, trust_in(self.cluster))) as asking:
                    return held, asking.keep(held.wanted, max(1.0, end - time.monotonic())), asking.host
            except EdgeError as error:
                refused.append(error)
                self.end(held)
        raise _one_of(refused, vm, generation)

    def keep(self, held: Held, seconds: float) -> tuple[Lease, str]:
        """Renew a lease."""
        with closing(Asking(self._member(held), trust_in(self.cluster))) as asking:
            lease = asking.keep(held.wanted, seconds)
        self._note(held)
        return lease, asking.host

    @contextmanager
    def renewed(self, waits: Callable[[str], bool]) -> Iterator[None]:
        """Renew the leases of VMs that wait, now and regularly until the end of the block; what fails is in the journal."""

        def renew(done: threading.Event) -> None:
            while True:
                for held in self.held():
                    if held.user and waits(held.user) and not done.is_set():
                        self._renew(held)
                if done.wait(RENEW_SECONDS):
                    return

        with meanwhile(renew, WAIT_SECONDS):
            yield

    def _renew(self, held: Held) -> None:
        try:
            self.keep(held, RENEW_WAIT_SECONDS)
        except EdgeError as error:
            log(f"The lease of {held.generation} for the VM {held.user} was not renewed: {error.message}")

    def end_for(self, users: Collection[str]) -> list[str]:
        """End the leases of these VMs, which need them no more, and return what was done."""
        ended = [held for held in self.held() if held.user in users]
        for held in ended:
            self.end(held)
        return [f"End the lease of the recovery point {held.generation} at {held.replica} for domain {held.user}" for held in ended]

    def forget_over(self, waits: Callable[[str], bool], now: float) -> None:
        """Remove the notes of leases that ended by themselves, without those of VMs that wait: their leases begin again."""
        for held in self.held():
            path = self._folder / f"{held.lease}.json"
            if not (held.user and waits(held.user)) and path.stat().st_mtime + SECONDS < now:
                path.unlink(missing_ok=True)

    def end(self, held: Held) -> None:
        """End a lease, at once where its replica answers, else when its time is over."""
        with suppress(EdgeError), closing(Asking(self._member(held), trust_in(self.cluster))) as asking:
            asking.end(held.wanted)
        (self._folder / f"{held.lease}.json").unlink(missing_ok=True)

    def _note(self, held: Held) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = json.dumps({**asdict(held), "schema": SCHEMA}, sort_keys=True).encode() + b"\n"
        _files.write_atomically(self._folder / f"{held.lease}.json", data, self._folder / f".{held.lease}.new", mode=0o600)

    def _replicas(self) -> list[Member]:
        """Return the other replicas that keep recovery points, with the URLs of their images, where they take requests."""
        keepers = {member.name for member in self.cluster.keepers}
        found = [member for member in self.cluster.others(self.cluster.replicas) if member.name in keepers]
        if not found:
            raise NotFound("No other host of the cluster keeps recovery points, so none can export one (/etc/edge/cluster.json).")
        return found

    def _member(self, held: Held) -> Member:
        for member in self.cluster.replicas:
            if member.name == held.replica:
                return member
        raise NotFound(f"The replica {held.replica}, which exports {held.generation}, is not in the cluster any more.")


def _one_of(refused: list[EdgeError], vm: str, generation: str) -> EdgeError:
    """Return the error of all replicas: of the kind of the first that was reached."""
    first = next((one for one in refused if not isinstance(one, Unreachable)), refused[0])
    why = " ".join(one.message for one in refused)
    return type(first)(f"generation: no replica exports {generation} of the VM {vm}: {why}", option="generation")


def lease(cluster: Cluster, options: Mapping[str, Any]) -> dict[str, Any]:
    """Have a point exported by a replica, by default the newest; with ``lease`` for longer, or with ``end`` no longer."""
    leases, seconds = Leases(cluster, ROOT), whole_number(options, "timeout", 1, MOST_SECONDS, WAIT_SECONDS)
    if options.get("lease"):
        for option in ("vm", "generation", "user"):
            if options.get(option):
                raise InvalidInput(f"{option}: leave it out; the lease says it.", option=option)
        held = leases.find(str(options["lease"]))
        if options.get("end"):
            leases.end(held)
            return {"changed": True, "lease": held.lease, "vm": held.vm, "generation": held.generation}
        return shown(held, *leases.keep(held, seconds))
    if options.get("end"):
        raise InvalidInput("lease: it is missing; name the one that is to end.", option="lease")
    vm, user = required(options, "vm"), str(options.get("user") or "")
    if user:
        check_name(user)
    uuid, runner = vm if UUID.fullmatch(vm) else stable_uuid(vm), SubprocessRunner()
    found = KeptPoints(cluster, ROOT / "fetched", cluster.images.root, runner).find(uuid, options.get("generation"))
    return shown(*leases.take(uuid, found.generation.name, user, seconds))


def shown(held: Held, granted: Lease, host: str) -> dict[str, Any]:
    """Return a lease with what QEMU needs of it."""
    server = f"nbds://{f'[{host}]' if ':' in host else host}:{granted.port}"
    about = {"lease": held.lease, "vm": held.vm, "generation": held.generation, "replica": held.replica, "user": held.user}
    return {"changed": True, **about, "server": server, "disks": list(granted.disks), "seconds": SECONDS}
