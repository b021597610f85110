# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the tap devices of interfaces in virtual networks, which _compute gives and _network knows as ours. Pure."""

from __future__ import annotations

from base64 import b32encode
from hashlib import sha256

PREFIX = "evt-"
LONGEST = 15  # the kernel's


def tap_link(vm: str, nic: int | str) -> str:
    """Return the name of the tap device of a VM's NIC; ``vm`` is its UUID or name, ``nic`` the name or number of the NIC.

    It is the same on every host and in every network; two VMs of a host, and two NICs of a VM, have different ones.
    """
    return PREFIX + short(f"{nic} {vm}", LONGEST - len(PREFIX))


def short(text: str, length: int) -> str:
    """Return a name of this length for any text: lower-case letters and digits of its SHA-256."""
    return b32encode(sha256(text.encode()).digest()).decode().lower()[:length]
