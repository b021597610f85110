# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the paths from this host to the members of its VXLAN networks carry the packets of these. The module calls this.

Each host looks at its own paths, so all hosts together look at each pair from both sides.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..._errors import Conflict, EdgeError, InvalidInput, NotFound, Unreachable
from ..._shown import few, nearest
from ..virtual import record
from ..virtual.definition import Definition, Wanted, parsed
from ..virtual.iproute import Networking
from ..virtual.state import Facts, Record
from ..virtual.underlay import SMALLEST, VXLAN, meant
from .icmp import Outcome, Target, probe

SECONDS = 15.0


@dataclass
class Path:
    """The way from this host to a member, the networks that use it and the MTU of each."""

    link: str
    index: int
    source: str
    member: str
    mtus: dict[str, int] = field(default_factory=dict)

    @property
    def overhead(self) -> int:
        """The bytes of an outer packet before a VM's."""
        return VXLAN[6 if ":" in self.member else 4]

    @property
    def needed(self) -> int:
        """The bytes of the largest outer packet."""
        return max(self.mtus.values()) + self.overhead

    @property
    def target(self) -> Target:
        """What is sent there."""
        return Target(self.link, self.index, self.source, self.member, self.needed)


@dataclass(frozen=True)
class Names:
    """What hosts are called, by their addresses."""

    by_address: Mapping[str, str] = field(default_factory=dict)
    own: str = ""

    @classmethod
    def checked(cls, by_address: Mapping[str, Any], own: str | None) -> Names:
        """Return the names that a user gave; each way to write an address is as good."""
        found = {}
        for text, name in by_address.items():
            try:
                found[str(parsed(str(text)))] = str(name)
            except ValueError:
                raise InvalidInput(
                    f"hosts: {text!r:.60} is not an IP address; give names by addresses, as 192.0.2.12: host-b.", option="hosts"
                ) from None
        return cls(found, own or "")

    def shown(self, address: str) -> str:
        """Return a host with its address for a message."""
        name = self.by_address.get(address)
        return f"{name} ({address})" if name else address

    def source(self, address: str) -> str:
        """Return this host with its address for a message."""
        name = self.own or self.by_address.get(address, "") or socket.gethostname()
        return f"{name} ({address})"


def recorded(net: Networking, names: Sequence[str] | None) -> list[Wanted]:
    """Return the VXLAN networks that this host makes at boot, or those of ``names``."""
    known: Record = record.read(net.places.record)
    for place, name in enumerate(names or ()):
        path = f"names[{place}]"
        if name not in known:
            raise NotFound(f"{path}: there is no network {name} on this host; there is {few(nearest(name, known))}.", option=path)
        if known[name].get("type") != "vxlan":
            raise InvalidInput(
                f"{path}: {name} is of type {known[name].get('type')}, and only vxlan has paths to probe.", option=path
            )
    wanted = known if names is None else dict.fromkeys(names)
    return [
        Wanted(name, Definition.checked(known[name], f"{name}: "), where=f"{name}: ")
        for name in wanted
        if known[name].get("type") == "vxlan"
    ]


def paths(facts: Facts, asked: Sequence[Wanted]) -> list[Path]:
    """Return the paths to the members of networks, each once."""
    found: dict[tuple[str, str, str], Path] = {}
    for wanted in asked:
        if wanted.definition is None or not _has_paths(wanted):
            continue
        made = meant(facts, wanted, wanted.definition)
        link = next(one for one in made.links if one.kind == "vxlan")
        details = dict(link.details)
        underlay, local = str(details["underlay"]), str(details["local"])
        members = made.peers or _seen(facts, link.name, details["group"])
        for member in members:
            path = Path(underlay, facts.links[underlay].index, local, member)
            found.setdefault((underlay, local, member), path).mtus[wanted.name] = link.mtu
    return list(found.values())


def _has_paths(wanted: Wanted) -> bool:
    return wanted.definition is not None and wanted.definition.type == "vxlan"


def _seen(facts: Facts, link: str, group: str | None) -> Iterator[str]:
    """Yield the members that only the kernel knows: with multicast, those behind which something was seen."""
    flooded = (peer.dst for peer in facts.peers.get(link, ()))
    learned = (dst for _mac, dst in facts.learned.get(link, ()))
    yield from sorted({*flooded, *learned} - {group or ""})


def verify(net: Networking, asked: Sequence[Wanted], names: Names, seconds: float = SECONDS) -> dict[str, Any]:
    """Return what each path carries; raise an error that has all paths if one carries less than its networks need."""
    found = paths(net.facts(record.read(net.places.record)), asked)
    outcomes = probe([path.target for path in found], seconds)
    probed = list(zip(found, outcomes, strict=True))
    result = {
        "paths": [_row(path, outcome, names) for path, outcome in probed],
        "unverified": sorted(
            {wanted.name for wanted in asked if _has_paths(wanted)} - {name for path in found for name in path.mtus}
        ),
    }
    narrow = [_narrow(path, outcome, names) for path, outcome in probed if 0 < outcome.passed < path.needed]
    silent = [_silent(path, outcome, names) for path, outcome in probed if not outcome.passed]
    if narrow or silent:
        kind: type[EdgeError] = Conflict if narrow else Unreachable
        raise kind("\n".join((*narrow, *silent)), option="mtu" if narrow else "members", **result)
    return result


def _row(path: Path, outcome: Outcome, names: Names) -> dict[str, Any]:
    return {
        "networks": sorted(path.mtus),
        "underlay": path.link,
        "source": path.source,
        "member": path.member,
        "host": names.by_address.get(path.member),
        "needed": path.needed,
        "carried": outcome.passed or None,
        "exact": outcome.passed == 0 or outcome.lost - outcome.passed == 1,
    }


def _narrow(path: Path, outcome: Outcome, names: Names) -> str:
    cut = [name for name, mtu in sorted(path.mtus.items()) if mtu + path.overhead > outcome.passed]
    room = outcome.passed - path.overhead
    exact = outcome.lost - outcome.passed == 1
    carried = (
        f"only up to {outcome.passed}" if exact else f"{outcome.passed}, and not {outcome.lost}; time was too short to say more"
    )
    lower = f"set mtu to {room} or less on all its hosts, or " if room >= SMALLEST[4] else ""
    return (
        f"mtu: {_called(cut)} packets of {'up to ' if cut[1:] else ''}{path.needed} bytes ({path.needed - path.overhead} and"
        f" {path.overhead} of VXLAN) between {names.source(path.source)} and {names.shown(path.member)}, and this path carries"
        f" {carried}. Do one of these: {lower}raise the MTU of what is between the two hosts."
    )


def _silent(path: Path, outcome: Outcome, names: Names) -> str:
    why = f" (the kernel says: {outcome.error})" if outcome.error else ""
    return (
        f"members: {names.shown(path.member)} does not answer {names.source(path.source)} at any size{why}, and"
        f" {_called(sorted(path.mtus))} this path. See whether that host is up and has this address, and whether firewalls between"
        " them pass ICMP echo."
    )


def _called(networks: Sequence[str]) -> str:
    return f"the network {networks[0]} needs" if len(networks) == 1 else f"the networks {few(networks)} need"
