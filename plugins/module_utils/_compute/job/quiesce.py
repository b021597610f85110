# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's file systems, frozen by its agent for an instant and thawed after it, even if this process is killed in between."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..._errors import EdgeError
from ..._libvirt import error_name, intent, libvirt
from ..host.agent import is_connected, limited_agent
from ..xml.domain import parse_xml

# Reads the end of its input, without a byte, when its parent was killed or could not thaw. It goes on until the agent answers, as
# one that still flushes what the guest wrote does in the end. If it gives up or is killed, the marker stays for the next run.
GUARD = """
import os, sys, time
uri, domain, marker, seconds = sys.argv[1:]
end = time.monotonic() + float(seconds)
def thawed(libvirt):
    try:
        found = libvirt.open(uri).lookupByUUIDString(domain)
        if found.isActive():
            found.fsThaw()
    except libvirt.libvirtError as error:
        return error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_SUPPORT)
    return True
if not sys.stdin.buffer.read(1):
    import libvirt
    while os.path.exists(marker):
        if thawed(libvirt):
            os.unlink(marker)
        elif time.monotonic() > end:
            break
        else:
            time.sleep(1)
"""
GUARD_SECONDS = 900


@contextmanager
def frozen(domain: Any, marker: Path, quiesce: str) -> Iterator[bool]:
    """Keep the file systems frozen within, and give whether they are; ``quiesce`` is never, auto or required.

    The file ``marker`` exists while they are. A process of its own thaws them if this one is killed or the agent is silent: it
    may still flush what the guest wrote, long after a freeze was given up. If that process is killed too, ``thaw`` does at the
    next run. Raises EdgeError where it is required and cannot be done.
    """
    if quiesce == "never":
        yield False
        return
    marker.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker.touch(mode=0o600)
    guard = _guard(domain, marker)
    try:
        yield _freeze(domain, required=quiesce == "required")
    finally:
        _dismiss(guard, done=thaw(domain, marker))


def thaw(domain: Any, marker: Path) -> bool:
    """Thaw the guest's file systems where the marker exists, and return whether none can be frozen any more.

    False is for an agent that does not answer now; the marker stays. A guest that is not frozen is left as it is.
    """
    if not marker.exists():
        return True
    try:
        with limited_agent(domain):
            domain.fsThaw()
    except libvirt.libvirtError:
        if _has_agent(domain):
            return False
    marker.unlink(missing_ok=True)
    return True


def thaw_marked(connection: Any, name: str, marker: Path) -> None:
    """Thaw the guest of a run that was killed, if its marker exists."""
    if marker.exists():
        with intent(f"look up domain {name}"):
            thaw(connection.lookupByName(name), marker)


def _has_agent(domain: Any) -> bool:
    """Return whether an agent of a running guest is there, though it may be silent: only that could have frozen file systems."""
    try:
        return bool(domain.isActive()) and is_connected(parse_xml(domain.XMLDesc()))
    except libvirt.libvirtError as error:
        return error_name(error) != "VIR_ERR_NO_DOMAIN"


def _freeze(domain: Any, *, required: bool) -> bool:
    try:
        with limited_agent(domain), intent(f"freeze the file systems of domain {domain.name()}"):
            domain.fsFreeze()
    except EdgeError:
        if required:
            raise
        return False
    return True


def _guard(domain: Any, marker: Path) -> subprocess.Popen[bytes]:
    """Begin a process that thaws the guest if this one ends."""
    with intent(f"read domain {domain.name()}"):
        arguments = [domain.connect().getURI(), domain.UUIDString(), str(marker), str(GUARD_SECONDS)]
    return subprocess.Popen(
        [sys.executable, "-c", GUARD, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # who ends this one's group does not end it
    )


def _dismiss(guard: subprocess.Popen[bytes], *, done: bool) -> None:
    """End the guard, or leave the guest to it."""
    if done:
        guard.communicate(b"x")
    elif guard.stdin:
        guard.stdin.close()
