# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a VM for a task that begins jobs: what a killed one left is ended first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..host.lock import vm_lock
from ..model.host_facts import Folders
from .pivot import require_settled
from .quiesce import thaw_marked


@contextmanager
def ended_lock(connection: Any, folders: Folders, name: str, seconds: float) -> Iterator[None]:
    """Hold the lock of a VM, its guest thawed and an interrupted switch of a disk ended.

    Raises Busy when another task holds it for longer than ``seconds``, and Conflict where libvirt has forgotten the switch.
    """
    with vm_lock(folders.lock(name), name, seconds):
        thaw_marked(connection, name, Path(folders.frozen(name)))
        require_settled(connection, name, folders.vm(name))
        yield
