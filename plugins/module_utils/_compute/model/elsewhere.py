# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where VMs came from and went to, as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Arrival:
    """The mark of a VM that came to this host by migration: the host that it came from, and when (UTC, ISO 8601)."""

    source: str
    when: str


@dataclass(frozen=True)
class Moved:
    """The mark of a VM that a migration took away from this host: to which host, and when (UTC, ISO 8601)."""

    name: str
    uuid: str
    destination: str
    when: str


@dataclass(frozen=True)
class Sighting:
    """A domain that another hypervisor has."""

    host: str
    name: str
    uuid: str
