# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's file systems, frozen by its agent for an instant and thawed after it, even if this process is killed in between."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..._errors import EdgeError
from ..._libvirt import intent, libvirt
from ..host.agent import limited_agent

# Reads the end of its input, without a byte, when its parent was killed. If libvirtd was killed too, the marker stays.
GUARD = """
import os, sys
uri, domain, marker = sys.argv[1:]
if not sys.stdin.buffer.read(1) and os.path.exists(marker):
    import libvirt
    libvirt.open(uri).lookupByUUIDString(domain).fsThaw()
    os.unlink(marker)
"""


@contextmanager
def frozen(domain: Any, marker: Path, quiesce: str) -> Iterator[bool]:
    """Keep the file systems frozen within, and give whether they are; ``quiesce`` is never, auto or required.

    The file ``marker`` exists while they are. A process of its own thaws them if this one is killed; if libvirtd is killed too,
    ``thaw`` does at the next run. Raises EdgeError where it is required and cannot be done.
    """
    if quiesce == "never":
        yield False
        return
    marker.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker.touch(mode=0o600)
    with _guarded(domain, marker):
        try:
            yield _freeze(domain, required=quiesce == "required")
        finally:
            thaw(domain, marker)


def thaw(domain: Any, marker: Path) -> None:
    """Thaw the guest's file systems where the marker exists; a guest that is not frozen is left as it is."""
    if marker.exists():
        with suppress(libvirt.libvirtError), limited_agent(domain):  # it was not frozen, or it ended and took the freeze with it
            domain.fsThaw()
        marker.unlink(missing_ok=True)


def _freeze(domain: Any, *, required: bool) -> bool:
    try:
        with limited_agent(domain), intent(f"freeze the file systems of domain {domain.name()}"):
            domain.fsFreeze()
    except EdgeError:
        if required:
            raise
        return False
    return True


@contextmanager
def _guarded(domain: Any, marker: Path) -> Iterator[None]:
    """Have a process that thaws the guest if this one ends within."""
    with intent(f"read domain {domain.name()}"):
        arguments = [domain.connect().getURI(), domain.UUIDString(), str(marker)]
    with subprocess.Popen(
        [sys.executable, "-c", GUARD, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # who ends this one's group does not end it
    ) as guard:
        try:
            yield
        finally:
            guard.communicate(b"x")
