# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others want of a replica: ``asked/HEX`` is a request that came in, ``state/HEX.json`` is what became of it.

A request is taken by writing its state first and removing it then, so that a kill in between loses none: unfinished states are
requests too. Nothing of a request but its name is ever read.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ... import _files
from ..._errors import Corrupt
from ..store.manifest import HEX, load_object

LARGEST_JSON = 65536
KEPT_SECONDS = 24 * 3600
LARGEST_QUEUE = 1000
STATES = ("queued", "pulling", "done", "failed")


@dataclass(frozen=True)
class RequestState:
    """How far a request is: bytes done of total; ``run`` tells one try from the next, ``code`` and ``error`` why it failed."""

    run: str
    state: str
    done: int = 0
    total: int = 0
    error: str = ""
    code: str = ""
    updated: float = 0.0

    @property
    def final(self) -> bool:
        """Whether nothing more comes of this try."""
        return self.state in ("done", "failed")


def parse(data: bytes, where: str) -> RequestState:
    """Return the state in ``data``, which came from another host, or raise Corrupt."""
    found = load_object(data, where, LARGEST_JSON)
    try:
        state = RequestState(**found)
    except TypeError:
        raise Corrupt(f"{where} is not the state of a request.", where=where) from None
    texts = (state.run, state.state, state.error, state.code)
    numbers = (state.done, state.total, state.updated)
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
        """Where the web server puts what others ask."""
        return self.folder / "asked"

    @property
    def states(self) -> Path:
        """What the web server tells others."""
        return self.folder / "state"

    def _path(self, hex_: str) -> Path:
        return self.states / f"{hex_}.json"

    def prepare(self) -> None:
        """Make the folder of the states."""
        self.states.mkdir(mode=0o755, parents=True, exist_ok=True)

    def waiting(self) -> list[str]:
        """Return the digests that were asked for and not taken yet; files that are not a request are removed."""
        found = []
        for path in sorted(self.asked.iterdir()) if self.asked.is_dir() else []:
            if HEX.fullmatch(path.name):
                found.append(f"sha256:{path.name}")
            else:
                path.unlink(missing_ok=True)
        return found[:LARGEST_QUEUE]

    def take(self, digest: str, state: RequestState | None) -> None:
        """Take a request: its state is told before the request is removed; None for one that is worked on already."""
        if state is not None:
            self.tell(digest, state)
        (self.asked / digest.removeprefix("sha256:")).unlink(missing_ok=True)

    def unfinished(self) -> list[str]:
        """Return the digests whose work a dead process left."""
        found = {path.stem: self.read(f"sha256:{path.stem}") for path in sorted(self.states.glob("*.json"))}
        return [f"sha256:{hex_}" for hex_, state in found.items() if HEX.fullmatch(hex_) and (state is None or not state.final)]

    def read(self, digest: str) -> RequestState | None:
        """Return what is told of a request."""
        path = self._path(digest.removeprefix("sha256:"))
        try:
            return parse(path.read_bytes(), str(path))
        except (FileNotFoundError, Corrupt):
            return None

    def tell(self, digest: str, state: RequestState) -> None:
        """Tell how far a request is; a reader sees the old or the new state whole."""
        hex_ = digest.removeprefix("sha256:")
        data = json.dumps(asdict(state), sort_keys=True).encode() + b"\n"
        with self._lock:
            _files.write_atomically(self._path(hex_), data, self.states / f".{hex_}.new")

    def sweep(self, now: float) -> None:
        """Forget what was told long ago."""
        for path in self.states.glob("*.json"):
            state = self.read(f"sha256:{path.stem}")
            if state is not None and state.final and now - state.updated > KEPT_SECONDS:
                path.unlink(missing_ok=True)


def failed(state: RequestState, message: str, code: str, now: float) -> RequestState:
    """Return the end of a try that failed."""
    return replace(state, state="failed", error=message[:4000], code=code, updated=now)


def shown(state: RequestState) -> dict[str, Any]:
    """Return what a report tells of a request."""
    return {key: value for key, value in asdict(state).items() if key != "run"}
