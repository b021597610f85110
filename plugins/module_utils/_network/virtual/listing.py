# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual networks that a host has, without what changes them."""

from __future__ import annotations

from typing import Any

from . import record
from .iproute import Networking
from .state import observed


def listing(net: Networking, name: str | None = None) -> list[dict[str, Any]]:
    """Return all networks of this host, or only ``name``, as JSON sorted by name."""
    facts = net.facts(record.read(net.places.record))
    return [observed(facts, found).view() for found in facts.networks() if name in (None, found)]
