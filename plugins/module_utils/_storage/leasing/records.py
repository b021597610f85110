# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases of exported recovery points on a replica: ``asked/…`` is what hosts want, ``state/HOST.ID.json`` what became of it.

The web server puts the requests there, with the name of the certificate; only their names are ever read. A request is removed after
its state is written, so a kill in between loses none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ... import _files
from ..._errors import Corrupt
from ..._json import load_object, require_schema

SCHEMA = 1
LARGEST_JSON = 65536
LARGEST_PASS = 1000
SECONDS = 3600.0  # of a lease that is not renewed
KEEP, END = "keep", "end"
SERVED, BOOT = "served", "boot"
WAITING, GRANTED, REFUSED = "waiting", "granted", "refused"
LEASE = re.compile(r"[0-9a-f]{32}")
ASKED = re.compile(
    r"(?P<host>[A-Za-z0-9][A-Za-z0-9._-]{0,63})\.(?P<lease>[0-9a-f]{32})\.(?P<vm>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"\.(?P<generation>[0-9]{1,16}\.[0-9]{1,16})\.(?P<word>keep|end)"
)


@dataclass(frozen=True)
class Lease:
    """One lease: the host that has it, of what, until when by the replica's clock, and the exports, or why there are none.

    Each of ``disks`` has the ``target``, the ``name`` of its export and its ``size`` in bytes.
    """

    host: str
    lease: str
    vm: str
    generation: str
    state: str = WAITING
    until: float = 0.0
    port: int = 0
    disks: tuple[dict[str, Any], ...] = ()
    error: str = ""
    code: str = ""

    @property
    def point(self) -> tuple[str, str]:
        """The VM and the generation."""
        return (self.vm, self.generation)

    @property
    def file(self) -> str:
        """The name of its state."""
        return f"{self.host}.{self.lease}.json"


@dataclass(frozen=True)
class Asked:
    """A request as the web server put it."""

    path: Path
    lease: Lease
    end: bool


def parse(data: bytes, where: str) -> Lease:
    """Return the state of a lease, which may come from another host; Corrupt if it is not one, Unsupported if it is too new."""
    found = load_object(data, where, LARGEST_JSON)
    require_schema(found, SCHEMA, where)
    known = {one.name for one in fields(Lease)}
    wrong = Corrupt(f"{where} is not the state of a lease.", where=where)
    try:
        state = Lease(**{key: value for key, value in found.items() if key in known})
        disks = tuple({"target": str(one["target"]), "name": str(one["name"]), "size": int(one["size"])} for one in state.disks)
    except (TypeError, KeyError, ValueError):
        raise wrong from None
    texts = (state.host, state.lease, state.vm, state.generation, state.state, state.error, state.code)
    sound = all(isinstance(text, str) for text in texts) and state.state in (WAITING, GRANTED, REFUSED)
    numbers = isinstance(state.until, int | float) and isinstance(state.port, int) and 0 <= state.port < 65536
    if not (sound and numbers):
        raise wrong
    return Lease(**{**asdict(state), "disks": disks})


@dataclass(frozen=True)
class LeaseFolder:
    """The requests and the states of one replica."""

    folder: Path

    @property
    def asked(self) -> Path:
        """The folder where the web server puts requests."""
        return self.folder / "asked"

    @property
    def states(self) -> Path:
        """The folder of states, which the web server gives, each to its host."""
        return self.folder / "state"

    def prepare(self) -> None:
        """Create the folder of the states; what a killed run left there goes. The caller holds the lock of the folder."""
        self.states.mkdir(mode=0o755, parents=True, exist_ok=True)
        for path in self.states.glob(".*.new"):
            path.unlink(missing_ok=True)

    def requests(self) -> list[Asked]:
        """Return what hosts asked for; files that are not a request are removed."""
        found = []
        for path in sorted(self.asked.iterdir())[:LARGEST_PASS] if self.asked.is_dir() else []:
            if match := ASKED.fullmatch(path.name):
                words: dict[str, Any] = match.groupdict()
                end = words.pop("word") == END
                found.append(Asked(path, Lease(**words), end))
            else:
                path.unlink(missing_ok=True)
        return found

    def leases(self) -> Iterator[Lease]:
        """Yield the leases; a state that is damaged is removed, as the host's next request makes it again."""
        for path in sorted(self.states.glob("*.json")):
            try:
                lease = parse(path.read_bytes(), str(path))
            except Corrupt:
                path.unlink(missing_ok=True)
                continue
            if lease.file == path.name:
                yield lease
            else:
                path.unlink(missing_ok=True)

    def write(self, lease: Lease) -> None:
        """Write a state, durably; a reader sees the old or the new one whole."""
        data = json.dumps({**asdict(lease), "schema": SCHEMA}, sort_keys=True).encode() + b"\n"
        _files.write_atomically(self.states / lease.file, data, self.states / f".{lease.file}.new")

    def forget(self, lease: Lease) -> None:
        """Remove the state of a lease that has ended."""
        (self.states / lease.file).unlink(missing_ok=True)

    def noted(self, what: str) -> str:
        """Return what ``note`` noted last, an empty text for nothing."""
        try:
            return (self.folder / what).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def note(self, what: str, text: str) -> None:
        """Note with what the NBD server was started (``SERVED``), or the boot of the host that a pass was in (``BOOT``)."""
        _files.write_atomically(self.folder / what, text.encode(), self.folder / f".{what}.new")
