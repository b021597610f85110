# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter of ip(8) and bridge(8): it reads what a host has, and carries out all steps by one batch of each program."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..._errors import CommandFailed, NotFound, Unsupported
from ..._runner import Runner
from ..._vlans import of_port
from ..link.cloud import DMI, SAID, without_layer_2
from ..link.iproute import IpRoute, batch_text
from ..link.offload import checksums_in_software, set_checksums_in_software
from .state import Facts, Peer, Record
from .steps import ZERO, NetworkStep

TIMEOUT = 300.0
FAILED_LINE = re.compile(r"Command failed -:(\d+)")
MORE = (("port", "port"), ("vni", "vni"), ("viaIf", "via"))  # of bridge's JSON, and of its words


@dataclass(frozen=True)
class Places:
    """Files of a host: definitions, the lock of who changes networks, identity, settings of the kernel, FRR's socket, cloud."""

    record: Path = Path("/etc/edge/networks.json")
    lock: Path = Path("/run/edge/networks.lock")
    machine_id: Path = Path("/etc/machine-id")
    most_groups: Path = Path("/proc/sys/net/ipv4/igmp_max_memberships")
    bridge_sysctls: Path = Path("/proc/sys/net/bridge")
    ipv6: Path = Path("/proc/sys/net/ipv6")
    dmi: Path = DMI
    bgpd: Path = Path("/run/frr/bgpd.vty")
    cloud: Path = SAID


@dataclass(frozen=True)
class Networking:
    """Reads and changes the links of virtual networks."""

    runner: Runner
    places: Places = field(default_factory=Places)

    def facts(self, record: Record) -> Facts:
        """Return what the host has now."""
        links = IpRoute(self.runner).links()
        tunnels = [link.name for link in links.values() if link.kind == "vxlan"]
        peers, learned = self._forwarding() if tunnels else ({}, {})
        return Facts(
            links,
            peers,
            learned,
            record,
            self._machine_id(),
            self._most_groups(),
            ipv6=self.places.ipv6.exists(),
            in_software=frozenset(filter(checksums_in_software, tunnels)),
            vlans=self._vlans() if any(link.vlan_filtering for link in links.values()) else {},
            cloud=without_layer_2(self.places.dmi, self.places.cloud),
        )

    def _vlans(self) -> dict[str, tuple[str, ...]]:
        """Return the VLANs of each bridge and port."""
        done = self.runner.run(("bridge", "-json", "-compressvlans", "vlan", "show"), timeout=TIMEOUT)
        return {item["ifname"]: of_port(item.get("vlans", ())) for item in json.loads(done.stdout or "[]")}

    def _forwarding(self) -> tuple[dict[str, tuple[Peer, ...]], dict[str, tuple[tuple[str, str], ...]]]:
        """Return where each VXLAN link floods to, and what it learned."""
        peers: dict[str, list[Peer]] = {}
        learned: dict[str, list[tuple[str, str]]] = {}
        for item in json.loads(self.runner.run(("bridge", "-json", "fdb", "show"), timeout=TIMEOUT).stdout or "[]"):
            if "dst" not in item:
                continue
            if item["mac"] == ZERO:
                more = tuple(word for key, name in MORE if key in item for word in (name, str(item[key])))
                peers.setdefault(item["ifname"], []).append(Peer(item["dst"], more))
            else:
                learned.setdefault(item["ifname"], []).append((item["mac"], item["dst"]))
        return {name: tuple(found) for name, found in peers.items()}, {name: tuple(found) for name, found in learned.items()}

    def _machine_id(self) -> str:
        """Return what makes the MAC addresses of this host differ from those of others."""
        place = self.places.machine_id
        try:
            found = place.read_text().strip()
        except FileNotFoundError:
            found = ""
        if not re.fullmatch(r"[0-9a-f]{32}", found):
            raise NotFound(
                f"{place} does not hold the identity of this host ({found!r:.60}), which MAC addresses of its networks are made"
                " of; run systemd-machine-id-setup.",
                path=str(place),
            )
        return found

    def _most_groups(self) -> int:
        try:
            return int(self.places.most_groups.read_text())
        except FileNotFoundError:
            return Facts.most_groups

    def apply(self, steps: Sequence[NetworkStep]) -> None:
        """Carry out the commands of all steps; an error says which step it was and what is left. A rerun does what is left."""
        for program in ("ip", "fdb"):
            commands = [(words, place) for place, step in enumerate(steps) for words in getattr(step, program)]
            if commands:
                self._batch("ip" if program == "ip" else "bridge", commands, steps)
        for step in steps:
            _set_checksums(step)
        if stale := [words for step in steps for words in step.stale]:
            # The kernel may have forgotten some of them by itself meanwhile.
            self.runner.run(("bridge", "-force", "-batch", "-"), stdin=batch_text(stale), check=False, timeout=TIMEOUT)

    def _batch(self, program: str, commands: list[tuple[tuple[str, ...], int]], steps: Sequence[NetworkStep]) -> None:
        text = batch_text(words for words, _place in commands)
        try:
            self.runner.run((program, "-batch", "-"), stdin=text, timeout=TIMEOUT)
        except CommandFailed as error:
            line = FAILED_LINE.search(error.stderr)
            if line is None:
                raise
            words, place = commands[int(line[1]) - 1]
            before = [*range(place), *(other for other, step in enumerate(steps) if program == "bridge" and step.ip)]
            done = [step.sentence for other, step in enumerate(steps) if other in before and (step.ip or step.fdb)]
            raise CommandFailed(
                error.argv,
                error.rc,
                f"{error.stderr.strip()} ({program} {' '.join(words)})",
                network=steps[place].network,
                done=done,
                failed_action=steps[place].sentence,
                left=[step.sentence for other, step in enumerate(steps) if other not in (place, *before)],
            ) from None


def _set_checksums(step: NetworkStep) -> None:
    for link, on in step.checksums:
        try:
            set_checksums_in_software(link, on)
        except OSError as error:
            raise Unsupported(
                f"software_checksums: the kernel does not let the checksums of {link} be set ({error.strerror}); leave the option"
                " out.",
                option="software_checksums",
                network=step.network,
                failed_action=step.sentence,
            ) from None
