# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host dhcp``: have the DHCP services of this host's virtual networks run, as at boot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._cluster import Cluster
from .._errors import EdgeError
from .._network.dhcp.host import Services
from .._network.dhcp.places import Places
from .._network.dhcp.reconcile import make_recorded
from .._runner import SubprocessRunner

PLACES = Places()


def dhcp(_cluster: Cluster, _options: Mapping[str, Any]) -> dict[str, Any]:
    """Make all services that this host has definitions of; an error names each that cannot be made, after the others were."""
    made = make_recorded(Services(SubprocessRunner(), PLACES))
    failed = {name: error.message for name, error in made.items() if error}
    if failed:
        shown = " ".join(f"{name}: {message}" for name, message in failed.items())
        raise EdgeError(f"These services cannot run now. {shown}", failed=failed)
    return {"services": sorted(made)}
