# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The change from one CA to its successor: both trusted, the new one signs, the old one dropped. Each part can be interrupted."""

from __future__ import annotations

from datetime import datetime

from ..._errors import Refused
from ..._files import fsync, write_atomically
from . import x509
from .folder import PARTS, Folder
from .state import CURRENT, NEXT, PREVIOUS

SENTENCES = {
    "overlap": "Make the next CA, which hosts trust beside the current one.",
    "switched": "Let the next CA sign, and keep the previous one trusted.",
    "finished": "Retire the previous CA.",
}


def pending(folder: Folder, wanted: str | None) -> list[str]:
    """Return the sentence of what is to do to get there, or nothing."""
    there = {role: folder.file(role, "crt").exists() for role in (NEXT, PREVIOUS)}
    if wanted == "finished" and there[NEXT]:
        raise Refused("rotation: the next CA does not sign yet, so the current one cannot be retired. Ask for switched first.")
    needed = {
        None: False,
        "overlap": not there[NEXT] and not there[PREVIOUS],
        "switched": there[NEXT],
        "finished": there[PREVIOUS],
    }
    return [SENTENCES[wanted]] if wanted and needed[wanted] else []


def advance(folder: Folder, wanted: str, now: datetime, days: int) -> None:
    """Do what ``pending`` announced."""
    {"overlap": _begin, "switched": _switch, "finished": _finish}[wanted](folder, now, days)


def _begin(folder: Folder, now: datetime, days: int) -> None:
    key, certificate = x509.successor(folder.file(CURRENT, "crt").read_bytes(), now, days)
    _write(folder, NEXT, "key", key)
    _write(folder, NEXT, "crl", x509.sign_list(certificate, key, {}, now, days))
    _write(folder, NEXT, "crt", certificate)


def _switch(folder: Folder, _now: datetime, _days: int) -> None:
    if not folder.file(PREVIOUS, "crt").exists():  # else an earlier run has copied all of it, and may have renamed some
        for part in PARTS:
            _write(folder, PREVIOUS, part, folder.file(CURRENT, part).read_bytes())
    for part in PARTS:
        if folder.file(NEXT, part).exists():
            folder.file(NEXT, part).rename(folder.file(CURRENT, part))
            fsync(folder.path)


def _finish(folder: Folder, _now: datetime, _days: int) -> None:
    fingerprint = x509.certificate(folder.file(PREVIOUS, "crt").read_bytes(), PREVIOUS).fingerprint
    for part in PARTS:
        if folder.file(PREVIOUS, part).exists():
            folder.file(PREVIOUS, part).rename(folder.path / f"retired-{fingerprint}.{part}")
    fsync(folder.path)


def _write(folder: Folder, role: str, part: str, data: bytes) -> None:
    mode = 0o600 if part == "key" else 0o644
    write_atomically(folder.file(role, part), data, folder.path / f"{role}.{part}.new", mode)
