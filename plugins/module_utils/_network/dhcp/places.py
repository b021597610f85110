# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the files of services are on a host, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CONFIG, HOSTS, NAMES, DEFINITION = "dnsmasq.conf", "hosts", "names", "network.json"
LIMIT = 64 * 1024 * 1024  # bytes of a file that are read at most


@dataclass(frozen=True)
class Places:
    """Where services have their files, the copies that run, and the lock of who changes them."""

    files: Path = Path("/etc/edge/dhcp")
    run: Path = Path("/run/edge-dhcp")
    lock: Path = Path("/run/edge/dhcp.lock")
