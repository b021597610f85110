# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a VM for a task that begins jobs: what a killed one left is ended first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..._files import held
from ..host.lock import vm_lock
from ..model.host_facts import Folders
from .pivot import require_settled
from .point_job import end_point
from .quiesce import thaw_marked

POINT_SECONDS = 30.0  # that a recovery point may take until its copy has begun, and can be ended


@contextmanager
def ended_lock(connection: Any, folders: Folders, name: str, seconds: float) -> Iterator[None]:
    """Hold the lock of a VM as ``settled_lock`` does; a recovery point that is just begun is waited for, and then ended."""
    patience = max(seconds, POINT_SECONDS) if held(Path(folders.point(name))) else seconds
    with settled_lock(connection, folders, name, patience):
        yield


@contextmanager
def settled_lock(connection: Any, folders: Folders, name: str, seconds: float) -> Iterator[None]:
    """Hold the lock of a VM, its guest thawed, an interrupted switch of a disk ended, and the copy of a recovery point too.

    Raises Busy when another task holds it for longer than ``seconds``, and Conflict where libvirt has forgotten the switch.
    """
    with vm_lock(folders.lock(name), name, seconds):
        thaw_marked(connection, name, Path(folders.frozen(name)))
        require_settled(connection, name, folders.vm(name))
        end_point(connection, name)
        yield
