# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a VNC display listens. Pure.

It is an IP address, or for a display of others a host name, ``socket``, ``none`` (a file descriptor), ``network NAME`` (that of a
libvirt network) or ``host``: what ``vnc_listen`` in libvirt's ``qemu.conf`` says.
"""

from __future__ import annotations

from ipaddress import ip_address

LOOPBACK = "127.0.0.1"
OF_HOST = "host"
OF_NOBODY_ELSE = ("socket", "none")  # reached through files of the host only


def canonical_address(text: str) -> str:
    """Return an IP address in its usual form, anything else as it is."""
    try:
        return str(ip_address(text))
    except ValueError:
        return text


def stays_on_host(listen: str) -> bool:
    """Return whether only programs of the host reach the display; what cannot be known counts as open."""
    try:
        return listen in OF_NOBODY_ELSE or ip_address(listen).is_loopback
    except ValueError:
        return False
