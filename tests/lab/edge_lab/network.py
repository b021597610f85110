# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's bridge, its way out, cuts between hosts, and routes to what is behind a host."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable

from . import machine
from .command import LabError, run, say
from .files import read_json, write_json
from .hosts import Host, every
from .settings import Settings

Cut = tuple[str, str | None]
"""A host that is cut off: from everything, or from one other host."""


def ensure(settings: Settings) -> None:
    """Make the bridge and the way out, as far as they are not there. The caller holds the lab's lock."""
    machine.acquire(settings.name)
    if run(["ip", "link", "show", settings.bridge], check=False).returncode != 0:
        _refuse_overlap(settings)
        say("network", f"bridge {settings.bridge}, {settings.subnet}")
        # A fixed address of its own; otherwise it takes that of whichever host was plugged in last.
        mac = "02:ed:" + ":".join(f"{byte:02x}" for byte in settings.gateway.packed)
        run(["ip", "link", "add", settings.bridge, "address", mac, "type", "bridge"])
    run(["ip", "address", "replace", f"{settings.gateway}/{settings.subnet.prefixlen}", "dev", settings.bridge])
    run(["ip", "link", "set", settings.bridge, "up"])
    if run(["nft", "list", "table", "bridge", settings.table], check=False).returncode != 0:
        apply_rules(settings)


def _refuse_overlap(settings: Settings) -> None:
    for route in json.loads(run(["ip", "-json", "-4", "route", "show", "table", "main"]).stdout):
        if route["dst"] == "default":
            continue
        if ipaddress.IPv4Network(route["dst"], strict=False).overlaps(settings.subnet):
            raise LabError(
                f"{settings.subnet} is asked for as the lab's network, and {route['dst']} is in use on {route.get('dev', '?')}. "
                "Set EDGE_LAB_SUBNET to a free network."
            )


def remove(settings: Settings) -> None:
    """Remove bridge, tables and routes and put the machine's settings back. The caller holds the lab's lock."""
    for family in ("ip", "bridge"):
        run(["nft", f"add table {family} {settings.table}; delete table {family} {settings.table}"], check=False)
    run(["ip", "link", "delete", settings.bridge], check=False)
    machine.release(settings.name)


def apply_rules(settings: Settings) -> None:
    """Load the lab's nftables tables as its hosts and cuts now ask for, in one transaction."""
    run(["nft", "-f", "-"], stdin=rules(settings, every(settings), cuts(settings)))


def rules(settings: Settings, hosts: Iterable[Host], broken: Iterable[Cut]) -> str:
    """Return the whole nftables input: NAT to the outside, and a drop for every cut, both ways."""
    ports = {host.name: (host.link("vb"), host.link("vr")) for host in hosts}
    alone = sorted(port for name, other in broken if other is None for port in ports.get(name, ()))
    pairs = sorted(
        f"{a} . {b}"
        for name, other in broken
        if other is not None
        for one, two in ((name, other), (other, name))
        for a in ports.get(one, ())
        for b in ports.get(two, ())
    )
    lines = [f"table {family} {settings.table}\ndelete table {family} {settings.table}" for family in ("ip", "bridge")]
    lines += [
        f"table ip {settings.table} {{",
        " chain out { type nat hook postrouting priority srcnat;",
        # Where bridged frames pass through the IP tables too (br_netfilter), a slow cable's bridge must not count as outside.
        f'  ip saddr {settings.subnet} oifname != "{settings.bridge}" oifname != "vm-{settings.name}-*" masquerade; }}',
        " chain forward { type filter hook forward priority mangle;",
        f'  iifname "{settings.bridge}" tcp flags syn tcp option maxseg size set rt mtu; }}',
        "}",
        f"table bridge {settings.table} {{",
        " chain pre { type filter hook prerouting priority -300;",
        *(f'  iifname "{port}" drop;' for port in alone),
        " }",
        " chain post { type filter hook postrouting priority 300;",
        *(f'  oifname "{port}" drop;' for port in alone),
        " }",
        " chain between { type filter hook forward priority 0;",
        *('  iifname "{}" oifname "{}" drop;'.format(*pair.split(" . ")) for pair in pairs),
        " }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def cuts(settings: Settings) -> list[Cut]:
    """Return the cuts in force."""
    return [(cut[0], cut[1]) for cut in read_json(settings.run / "cuts.json", [])]


def set_cuts(settings: Settings, wanted: Iterable[Cut]) -> None:
    """Put cuts in force, and end all others. The caller holds the lab's lock."""
    write_json(settings.run / "cuts.json", sorted(set(wanted), key=lambda cut: (cut[0], cut[1] or "")))
    apply_rules(settings)


def routes(settings: Settings) -> dict[str, str]:
    """Return the routed networks behind hosts: network to host name."""
    return dict(read_json(settings.run / "routes.json", {}))


def add_route(host: Host, subnet: str) -> None:
    """Route a network to a host, from the machine and so from every host. The caller holds the lab's lock."""
    try:
        network = ipaddress.IPv4Network(subnet)
    except ValueError as error:
        raise LabError(f"route {subnet!r}: {error}. Give an IPv4 network like 192.0.2.0/24.") from error
    settings = host.settings
    found = json.loads(run(["ip", "-json", "-4", "route", "show", "exact", str(network)]).stdout)
    for route in found:
        if route.get("dev") != settings.bridge:
            raise LabError(f"route {network}: this machine already has it on {route.get('dev')}. Choose another network.")
    write_json(settings.run / "routes.json", {**routes(settings), str(network): host.name})
    run(["ip", "route", "replace", str(network), "via", str(host.address), "dev", settings.bridge])


def forget(host: Host) -> None:
    """End the cuts and routes of a host. The caller holds the lab's lock."""
    settings = host.settings
    kept = {}
    for subnet, name in routes(settings).items():
        if name == host.name:
            run(["ip", "route", "delete", subnet, "via", str(host.address), "dev", settings.bridge], check=False)
        else:
            kept[subnet] = name
    if kept != routes(settings):
        write_json(settings.run / "routes.json", kept)
    left = [cut for cut in cuts(settings) if host.name not in cut]
    if left != cuts(settings):
        set_cuts(settings, left)
