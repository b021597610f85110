# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clouds whose networks take IP packets of known addresses only, as the firmware of a host names them, or its administrator.

They have no layer 2: a frame with a VLAN's tag, or from the MAC address of a VM, is lost without a word. Clouds where that depends
on what was ordered are left out: there, and where firmware does not say what is so, the file SAID does.
"""

from __future__ import annotations

from pathlib import Path

DMI = Path("/sys/class/dmi/id")
SAID = Path("/etc/edge/cloud")
NONE = "none"
LONGEST = 64
OTHERWISE = f"; if it does pass them, write {NONE} to {SAID}"
AZURE = "7783-7084-3265-9085-8269-3286-77"  # of all its virtual machines, and of no other host
BY_VENDOR = {"Amazon EC2": "Amazon EC2", "DigitalOcean": "DigitalOcean", "Hetzner": "Hetzner Cloud"}


def without_layer_2(dmi: Path = DMI, said: Path = SAID) -> str | None:
    """Return the name of the cloud if this host is in one without layer 2, else None.

    The first line of the file ``said``, which is ``none`` or such a name, has the last word.
    """
    if name := next(iter(_read(said).splitlines()), "").strip():
        return None if name == NONE else name[:LONGEST]
    if _read(dmi / "chassis_asset_tag") == AZURE:
        return "Microsoft Azure"
    return BY_VENDOR.get(_read(dmi / "sys_vendor"))


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""  # a machine without such firmware, or a container
