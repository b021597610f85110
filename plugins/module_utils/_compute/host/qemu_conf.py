# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt's qemu.conf must set before a display may listen on the network."""

from __future__ import annotations

import re
from pathlib import Path

CONF = Path("/etc/libvirt/qemu.conf")
SETTING = re.compile(r"""^\s*(spice_tls|spice_password)\s*=\s*(?:(["'])(.*?)\2|(\S+))""", re.MULTILINE)


def unset(spice: str | None, conf: Path = CONF) -> tuple[str, ...]:
    """Return the settings that a domain with this SPICE display needs and that this host does not have, by name.

    ``spice: tls`` needs ``spice_tls``, without which QEMU has no certificate, and ``spice_password``, without which everyone who
    reaches the port has the guest's screen and keyboard: SPICE asks clients for no certificate. Source: libvirt's qemu.conf.
    """
    if spice != "tls":
        return ()
    try:
        text = conf.read_text(errors="replace")
    except OSError:
        text = ""
    found: dict[str, str] = {}
    for name, _quote, quoted, bare in SETTING.findall(text):
        found.setdefault(name, quoted or bare)  # libvirt takes the first, too
    missing = {"spice_tls": found.get("spice_tls") != "1", "spice_password": not found.get("spice_password")}
    return tuple(name for name, lacks in missing.items() if lacks)
