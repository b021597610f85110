# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pull requests of a replica: ``asked/HEX`` is a request that came in, ``state/HEX.json`` is its state.

To take a request, its state is written first and the request is removed then, so a kill in between loses none: unfinished states
are requests too. Only the name of a request is ever read.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ... import _files
from ..._errors import Corrupt, Unsupported
from ..._json import load_object, require_schema
from ..store.manifest import HEX

SCHEMA = 1
LARGEST_JSON = 65536
KEPT_SECONDS = 24 * 3600
LARGEST_QUEUE = 1000
MOST_ENDED = 4096  # states: a host that asks for images that do not exist must not fill the file system with them
STATES = ("queued", "pulling", "done", "failed")


@dataclass(frozen=True)
class RequestState:
    """The state of a request, in bytes; ``run`` differs for each try, ``code`` and ``error`` say why one failed.

    ``scanned`` is what was looked at of what the replica has already, and 0 while bytes come.
    """

    run: str
    state: str
    done: int = 0
    total: int = 0
    error: str = ""
    code: str = ""
    updated: float = 0.0
    scanned: int = 0

    @property
    def final(self) -> bool:
        """Whether this try has ended."""
        return self.state in ("done", "failed")

    @property
    def measured(self) -> bool:
        """Whether bytes show that it moves; else it waits for its turn or for another pull, or its last bytes are written out."""
        return self.state == "pulling" and (self.scanned > 0 or self.done < self.total)


def parse(data: bytes, where: str) -> RequestState:
    """Return the state in ``data``, which came from another host, or raise Corrupt, or Unsupported if it is too new."""
    found = load_object(data, where, LARGEST_JSON)
    require_schema(found, SCHEMA, where)
    known = {one.name for one in fields(RequestState)}
    try:
        state = RequestState(**{key: value for key, value in found.items() if key in known})
    except TypeError:
        raise Corrupt(f"{where} is not the state of a request.", where=where) from None
    texts = (state.run, state.state, state.error, state.code)
    numbers = (state.done, state.total, state.updated, state.scanned)
    right = all(isinstance(text, str) for text in texts) and all(isinstance(number, int | float) for number in numbers)
    if not right or state.state not in STATES:
        raise Corrupt(f"{where} is not the state of a request.", where=where)
    return state


@dataclass(frozen=True)
class PullRequests:
    """The requests of one replica, under ``folder``."""

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

    @property
    def asked(self) -> Path:
        """The folder where the web server puts requests."""
        return self.folder / "asked"

    @property
    def states(self) -> Path:
        """The folder of states, which the web server serves."""
        return self.folder / "state"

    def _path(self, hex_: str) -> Path:
        return self.states / f"{hex_}.json"

    def prepare(self) -> None:
        """Create the folder of the states."""
        self.states.mkdir(mode=0o755, parents=True, exist_ok=True)

    def waiting(self) -> list[str]:
        """Return the digests that were asked for and not taken yet.

        Files that are not a request, and requests beyond a limit, are removed: who sent them sees that nothing begins.
        """
        found: list[str] = []
        for path in sorted(self.asked.iterdir()) if self.asked.is_dir() else []:
            if HEX.fullmatch(path.name) and len(found) < LARGEST_QUEUE:
                found.append(f"sha256:{path.name}")
            else:
                path.unlink(missing_ok=True)
        return found

    def take(self, digest: str, state: RequestState | None) -> None:
        """Take a request: its state is written before the request is removed; None for one that is being served already."""
        if state is not None:
            self.write(digest, state)
        (self.asked / digest.removeprefix("sha256:")).unlink(missing_ok=True)

    def unfinished(self) -> list[str]:
        """Return the digests whose pull a killed process left unfinished."""
        found = {path.stem: self.read(f"sha256:{path.stem}") for path in sorted(self.states.glob("*.json"))}
        return [f"sha256:{hex_}" for hex_, state in found.items() if HEX.fullmatch(hex_) and (state is None or not state.final)]

    def read(self, digest: str) -> RequestState | None:
        """Return the state of a request, or None if there is none that can be read."""
        path = self._path(digest.removeprefix("sha256:"))
        try:
            return parse(path.read_bytes(), str(path))
        except (FileNotFoundError, Corrupt, Unsupported):
            return None

    def write(self, digest: str, state: RequestState) -> None:
        """Write the state of a request; a reader sees the old or the new state whole."""
        hex_ = digest.removeprefix("sha256:")
        data = json.dumps({**asdict(state), "schema": SCHEMA}, sort_keys=True).encode() + b"\n"
        with self._lock:
            _files.write_atomically(self._path(hex_), data, self.states / f".{hex_}.new")

    def sweep(self, now: float) -> None:
        """Remove the states of requests that ended long ago, and of so many the oldest."""
        read = ((path, self.read(f"sha256:{path.stem}")) for path in self.states.glob("*.json"))
        ended = sorted((state.updated, path) for path, state in read if state is not None and state.final)
        for place, (updated, path) in enumerate(reversed(ended)):
            if place >= MOST_ENDED or now - updated > KEPT_SECONDS:
                path.unlink(missing_ok=True)


def failed(state: RequestState, message: str, code: str, now: float) -> RequestState:
    """Return the final state of a try that failed."""
    return replace(state, state="failed", error=message[:4000], code=code, updated=now)


def shown(state: RequestState) -> dict[str, Any]:
    """Return the state of a request as a report shows it."""
    return {key: value for key, value in asdict(state).items() if key != "run"}
