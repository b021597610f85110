# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses a plan whose new disks are to have all their space at once, and together have more than there is."""

from __future__ import annotations

from pathlib import Path

from ...._files import nearest_folder, require_space
from ...._plan import Plan
from ...model.state import VmState
from ..plan import CreateVolume


def check_room(plan: Plan[VmState], folder: str) -> None:
    """Raise NoSpace unless the preallocated disks that a plan makes fit into ``folder``, or where it will be, with the reserve."""
    made = [step for step in plan.steps if isinstance(step, CreateVolume) and step.preallocation]
    if made:
        what = f"Preallocation for {', '.join(step.volume.path for step in made)}"
        require_space(nearest_folder(Path(folder)), sum(step.size for step in made), what)
