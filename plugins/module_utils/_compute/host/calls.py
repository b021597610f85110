# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that wait for ``edge-arrive`` of their host: a file for each in one folder, as systemd cannot watch the folder of each VM.

A VM waits while its own folder has one of ``REASONS``; the call without one is forgotten.
"""

from __future__ import annotations

from pathlib import Path

ARRIVING = "arriving.json"
SWITCHING = "switching.json"
REASONS = (ARRIVING, SWITCHING)


def calls_below(vms: Path) -> Path:
    """Return the folder that is not empty while VMs below ``vms`` wait: a file for each, by name."""
    return vms.with_name("arriving")


def call(folder: Path) -> None:
    """Wake ``edge-arrive.path`` for the VM with this folder."""
    calls = calls_below(folder.parent)
    calls.mkdir(mode=0o755, exist_ok=True)
    (calls / folder.name).touch()


def waits(folder: Path) -> bool:
    """Return whether the VM with this folder has a reason to wait."""
    return any((folder / reason).exists() for reason in REASONS)


def forget(folder: Path) -> None:
    """Take the call of a VM back, unless it has a reason still."""
    if not waits(folder):
        (calls_below(folder.parent) / folder.name).unlink(missing_ok=True)
