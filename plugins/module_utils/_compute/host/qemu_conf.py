# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt's qemu.conf must set before a display may listen on the network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

CONF = Path("/etc/libvirt/qemu.conf")
NAMES = ("spice_tls", "spice_password", "vnc_tls", "vnc_tls_x509_verify", "default_tls_x509_verify", "vnc_password", "vnc_sasl")
SETTING = re.compile(rf"""^\s*({"|".join(NAMES)})\s*=\s*(?:(["'])(.*?)\2|(\S+))""", re.MULTILINE)


def unset(spice: str | None, conf: Path = CONF) -> tuple[str, ...]:
    """Return the settings that a domain with this SPICE display needs and that this host does not have, by name.

    ``spice: tls`` needs ``spice_tls``, without which QEMU has no certificate, and ``spice_password``, without which everyone who
    reaches the port has the guest's screen and keyboard: SPICE asks clients for no certificate. Source: libvirt's qemu.conf.
    """
    if spice != "tls":
        return ()
    found = _settings(conf)
    missing = {"spice_tls": found.get("spice_tls") != "1", "spice_password": not found.get("spice_password")}
    return tuple(name for name, lacks in missing.items() if lacks)


def guards_vnc(conf: Path = CONF) -> bool:
    """Return whether this host lets only those use a VNC display without a password of its own who prove who they are.

    They do by a client certificate, by the host's own password or by SASL. TLS that asks clients for no certificate encrypts, and
    lets everyone in; libvirt's default is not to ask. Source: libvirt's qemu.conf.
    """
    found = _settings(conf)
    verify = found.get("vnc_tls_x509_verify", found.get("default_tls_x509_verify"))
    certificates = found.get("vnc_tls") == "1" and verify == "1"
    return certificates or found.get("vnc_sasl") == "1" or bool(found.get("vnc_password"))


def _settings(conf: Path) -> Mapping[str, str]:
    try:
        text = conf.read_text(errors="replace")
    except OSError:
        text = ""
    found: dict[str, str] = {}
    for name, _quote, quoted, bare in SETTING.findall(text):
        found.setdefault(name, quoted or bare)  # libvirt takes the first, too
    return found
