# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds, before anything is changed, a VNC display that everyone who reaches the host could use, or that could not listen."""

from __future__ import annotations

from ...._errors import NotFound, Refused
from ...model.host_facts import HostFacts
from ...model.request import DomainOptions
from ...model.spec import DomainSpec
from ...model.vnc import LOOPBACK, stays_on_host


def check_vnc(spec: DomainSpec, host: HostFacts, options: DomainOptions) -> None:
    """Raise where what is asked opens a VNC display to the network without anything that keeps others out.

    One that no option names stays as it is, such as that of a domain of others.
    """
    if not spec.vnc or not options.asks_of_vnc:
        return
    if options.vnc_listen is not None and not host.has_vnc_listen:
        raise NotFound(
            f"vnc_listen: this host has no address {spec.vnc_listen}; give one that it has, or 0.0.0.0 or :: for all.",
            option="vnc_listen",
            value=spec.vnc_listen,
        )
    if stays_on_host(spec.vnc_listen) or spec.vnc_password or host.vnc_is_guarded:
        return
    option = "vnc_listen" if options.vnc_listen is not None else "vnc_password"
    raise Refused(
        f"{option}: the VNC display of {spec.name} would listen on {spec.vnc_listen} without asking for a password. Give "
        "vnc_password; or have this host ask clients for certificates (vnc_tls = 1 and vnc_tls_x509_verify = 1 in "
        f"/etc/libvirt/qemu.conf); or use vnc_listen: {LOOPBACK} and reach it by SSH.",
        option=option,
        value=spec.vnc_listen,
    )
