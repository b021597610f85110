# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter of the services, put back where another program took it away, as ``nft flush ruleset`` does.

Without it, hosts of a network see the one MAC address of their services behind each other's links. So it is looked at often, and no
more than it is read for that.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ..._errors import Busy, EdgeError
from ..._files import locked
from ..._json import load_object
from . import filtering
from .host import Services
from .places import DEFINITION, LIMIT
from .state import Filter
from .steps import Run

LOCK_SECONDS = 1.0


def restore_filter(services: Services) -> list[str]:
    """Put the filter of all services in force again in one transaction; return the networks that it lacked.

    Where another process changes services now, that is left to the next look, so that nothing else has to wait.
    """
    if not _lacking(services, Filter()) or not _lacking(services, services.filter()):
        return []
    try:
        with locked(services.places.lock, wait=LOCK_SECONDS, make_folder=True):
            return _restored(services)
    except Busy:
        return []


def _restored(services: Services) -> list[str]:
    found = services.filter()
    lacking = _lacking(services, found)
    text = ""
    for name, routed in lacking.items():
        text += filtering.added(name, routed, found)
        found = filtering.with_network(name, routed, found)
    if text:
        services.run(Run(("nft", "-f", "-"), text))
    return list(lacking)


def _lacking(services: Services, found: Filter) -> dict[str, bool]:
    """Return the networks that a filter does not hold, and whether their services may reach the host."""
    wanted = {name: routed for name in services.names() if (routed := _routed(services.places.files / name)) is not None}
    whole = found.version == filtering.VERSION
    return {name: routed for name, routed in wanted.items() if not (whole and found.covers(name, routed))}


def _routed(folder: Path) -> bool | None:
    path = folder / DEFINITION
    try:
        known = path.stat()
    except OSError:  # it was removed, or never made whole
        return None
    return _read(path, known.st_mtime_ns, known.st_ino)


@lru_cache(1024)
def _read(path: Path, _changed: int, _inode: int) -> bool | None:
    """Return whether a service has forwarders, None if its definition cannot be read, which its own run says."""
    try:
        return bool(load_object(path.read_bytes(), str(path), LIMIT).get("forwarders"))
    except (EdgeError, OSError):
        return None
