# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stopped domain kept from starting while its disks or its definition change, by any program (virsh, autostart)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ..._errors import Busy, NotFound, Refused
from ..._image_lock import all_unwritten
from ..._libvirt import intent
from ..model.state import BUSY, ENDING

LOOK_AGAIN = 0.1
PATIENCE = 60.0  # seconds that a start may take to fail for want of the locks


@contextmanager
def at_rest(domain: Any, files: Iterable[str], *, saved: bool = False) -> Iterator[None]:
    """Hold the files that a domain writes, so that it cannot start within; raise Busy where it runs, or is saved unless ``saved``.

    A start that libvirt began before what is done within was done knows it as it was before: it is waited for, and fails.
    """
    with all_unwritten(files):
        with intent(f"read domain {domain.name()}"):
            if domain.isActive() or (domain.hasManagedSaveImage() and not saved):
                raise _busy(domain)
        yield
        deadline = time.monotonic() + PATIENCE
        while _is_active(domain):
            if time.monotonic() >= deadline:
                raise _busy(domain)
            time.sleep(LOOK_AGAIN)


def _is_active(domain: Any) -> bool:
    try:
        with intent(f"read domain {domain.name()}"):
            return bool(domain.isActive())
    except NotFound:  # it was undefined within
        return False


def _busy(domain: Any) -> Busy:
    name = domain.name()
    return Busy(
        f"name: domain {name} was started or saved by another program meanwhile; run again.",
        option="name",
        value=name,
    )


def refuse_unsettled(name: str, condition: str) -> None:
    """Raise Busy where libvirt works on the domain, or it goes down by itself: what we begin now would meet its end."""
    if condition in (BUSY, ENDING):
        what = "is shutting down" if condition == ENDING else "is halted while libvirt works on it (see virsh domstate --reason)"
        raise Busy(f"name: domain {name} {what}; run again when that has ended.", option="name", value=name)


def refuse_saved(name: str, run: str) -> None:
    """Raise Refused for a saved domain: its memory has parts of its disks, and would spoil disks that have changed."""
    if run == "saved":
        raise Refused(
            f"name: domain {name} is saved, and its guest knows its disks as they were; start it with edge.cloud.domain first, or "
            f"give up its saved memory (virsh managedsave-remove {name}), which is to its guest as if its power had failed.",
            option="name",
            value=name,
        )
