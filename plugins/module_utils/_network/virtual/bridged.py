# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the host's IP rules also see frames that only pass a bridge, which cuts off VMs where a rule drops what is forwarded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..._errors import EdgeError
from ..._runner import Runner
from ..._shown import few

FAMILIES = {"iptables": ("ip", "inet"), "ip6tables": ("ip6", "inet")}


def warnings(runner: Runner, sysctls: Path) -> list[str]:
    """Return a warning for each kind of rules that sees bridged frames and drops them, from the folder ``sysctls`` of settings."""
    found = []
    for program, families in FAMILIES.items():
        try:
            on = (sysctls / f"bridge-nf-call-{program}").read_text().strip() != "0"
        except FileNotFoundError:
            continue  # br_netfilter is not loaded
        if on and (dropping := _dropping(runner, families)):
            name = f"net.bridge.bridge-nf-call-{program}"
            found.append(
                f"Frames between VMs of a bridge pass the {program} rules of this host ({name} is 1), and these drop what is"
                f" forwarded: {few(dropping)}. Docker does both. Set {name} to 0, or accept bridged frames there"
                f" ({program} -I FORWARD -m physdev --physdev-is-bridged -j ACCEPT)."
            )
    return found


def _dropping(runner: Runner, families: tuple[str, ...]) -> list[str]:
    """Return the chains that drop forwarded packets unless a rule accepts them; none if nft(8) cannot tell."""
    try:
        listed: list[dict[str, Any]] = json.loads(runner.run(("nft", "-j", "list", "chains"), timeout=60).stdout)["nftables"]
    except (EdgeError, ValueError, KeyError):
        return []
    chains = [item["chain"] for item in listed if "chain" in item]
    return [
        f"table {one['family']} {one['table']}, chain {one['name']}"
        for one in chains
        if one.get("hook") == "forward" and one.get("policy") == "drop" and one["family"] in families
    ]
