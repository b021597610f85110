# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of the files that create a bridge at boot. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from .links import Bridge, Route

MARK = "# Written by edge.cloud.bridge; changes here are lost."
Section: TypeAlias = "tuple[str, list[tuple[str, str | int | None]]]"
SUFFIXES = (".netdev", ".network", "-ports.network")


def file_names(bridge: str) -> tuple[str, ...]:
    """Return the names of all files that a bridge can have."""
    return tuple(f"50-edge-{bridge}{suffix}" for suffix in SUFFIXES)


def boot_files(bridge: Bridge, routes: Iterable[Route], *, mac: str | None, mtu: int | None) -> dict[str, str]:
    """Return name and text of the files that create ``bridge`` at boot; VM ports attach themselves.

    ``mtu`` is written only if the user asked for it; otherwise it follows the ports, at boot as now. Boot waits for the bridge only
    if the host's default route leads over it: one without carrier would hold it up for two minutes.
    """
    netdev, network, ports = file_names(bridge.name)
    routes = tuple(routes)
    online = None if any(route.is_default for route in routes) else "no"
    # Not in the netdev: the first port would change an MTU that is set there.
    settings: list[tuple[str, str | int | None]] = [("MTUBytes", mtu), ("RequiredForOnline", online)]
    link: list[Section] = [("Link", settings)] if mtu or online else []
    files = {
        netdev: _text(
            ("NetDev", [("Name", bridge.name), ("Kind", "bridge"), ("MACAddress", mac)]),
            ("Bridge", [("STP", "yes" if bridge.stp else "no"), ("ForwardDelaySec", f"{bridge.forward_delay:g}")]),
        ),
        network: _text(
            ("Match", [("Name", bridge.name)]),
            *link,
            ("Network", [("ConfigureWithoutCarrier", "yes"), *(("Address", address) for address in bridge.addresses)]),
            *(("Route", _route(route)) for route in routes),
        ),
    }
    if bridge.ports:
        files[ports] = _text(
            ("Match", [("Name", " ".join(bridge.ports))]),
            ("Link", [("RequiredForOnline", "no")]),
            ("Network", [("Bridge", bridge.name)]),
        )
    return files


def _route(route: Route) -> list[tuple[str, str | int | None]]:
    destination = None if route.dst == "default" else route.dst
    words = dict(zip(route.words[1::2], route.words[2::2], strict=False))
    return [
        ("Gateway", route.gateway),
        ("Destination", destination),
        ("Metric", words.get("metric")),
        ("Table", words.get("table")),
        ("PreferredSource", words.get("src")),
    ]


def _text(*sections: Section) -> str:
    lines = [MARK]
    for name, pairs in sections:
        lines += ["", f"[{name}]", *(f"{key}={value}" for key, value in pairs if value is not None)]
    return "\n".join(lines) + "\n"
