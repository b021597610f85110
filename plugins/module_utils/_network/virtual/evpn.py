# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the host has the BGP that fills the forwarding tables of networks with ``flood: evpn``. It is never changed from here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..._shown import few
from .definition import Wanted


def warnings(asked: Sequence[Wanted], bgpd: Path) -> list[str]:
    """Return a warning if networks were asked that need BGP, and the socket of FRR's ``bgpd`` is not there."""
    networks = [one.name for one in asked if one.definition is not None and one.definition.flood == "evpn"]
    if not networks or bgpd.exists():
        return []
    return [
        f"flood: evpn was asked for {few(networks)}, and FRR's BGP does not run on this host ({bgpd} is not there). Until it"
        " does, other hosts are not reached. Apply the role edge.cloud.evpn."
    ]
