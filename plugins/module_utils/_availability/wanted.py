# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster that the inventory asks for, checked for what no cluster can have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from .._errors import InvalidInput, Refused
from .model import Conf, Node, token_of

MOST_HOSTS = 16
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
TOKEN = (1000, 60000)


@dataclass(frozen=True)
class Host:
    """A host of the inventory: its name there, its name in the cluster and its address on each link."""

    host: str
    name: str
    links: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """The cluster of the inventory; ``token`` is the ms for two hosts, and grows with them."""

    cluster: str
    hosts: tuple[Host, ...]
    token: int = 3000

    @classmethod
    def checked(cls, given: Mapping[str, Any]) -> Wanted:
        """Return what is asked for, or raise InvalidInput or Refused that names the option, the host and what to do."""
        cluster, token = str(given["cluster"]), given["token_ms"]
        if not NAME.fullmatch(cluster) or cluster == "debian":
            raise InvalidInput(
                f"cluster_name: {cluster!r:.100} is not a name of 1 to 63 letters, digits, - _ and . other than debian, which "
                "is that of the package's example."
            )
        if not TOKEN[0] <= token <= TOKEN[1]:
            raise InvalidInput(f"cluster_token_ms: {token} is not from {TOKEN[0]} to {TOKEN[1]} ms.")
        hosts = tuple(Host(str(one["host"]), str(one["name"]), _links(one)) for one in given["hosts"])
        _require_possible(hosts)
        _require_consent(hosts, given)
        return cls(cluster, hosts, token)

    def conf(self, version: int, nodes: Sequence[Node]) -> Conf:
        """Return the configuration with these members."""
        return Conf(self.cluster, version, tuple(nodes), token_of(self.token, len(nodes)))


def same_address(address: str) -> str:
    """Return an address in the one way of writing it, or the text itself."""
    try:
        return ip_address(address).compressed
    except ValueError:
        return address


def _links(given: Mapping[str, Any]) -> tuple[str, ...]:
    links = [str(one) for one in given["links"]]
    while links and not links[-1]:
        links.pop()
    return tuple(_address(one, f"cluster_link{number} of {given['host']}") for number, one in enumerate(links))


def _address(text: str, where: str) -> str:
    try:
        found: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        raise InvalidInput(
            f"{where}: {text!r:.100} is not an IP address. Set it to the host's own one in the network of that link."
        ) from None
    if found.is_loopback or found.is_unspecified or found.is_multicast or found.is_link_local:
        raise InvalidInput(
            f"{where}: {text} is not an address that other hosts reach. Set it to the host's own one in the network of that link."
        )
    return found.compressed


def _require_possible(hosts: Sequence[Host]) -> None:
    if not 1 <= len(hosts) <= MOST_HOSTS:
        raise InvalidInput(
            f"cluster_group: a cluster has 1 to {MOST_HOSTS} hosts, and this group has {len(hosts)}. Make several clusters of them."
        )
    for host in hosts:
        if not NAME.fullmatch(host.name):
            raise InvalidInput(f"host_name of {host.host}: {host.name!r:.100} is not a name of 1 to 63 letters, digits, - _ and .")
        if len(host.links) not in (1, 2):
            raise InvalidInput(
                f"cluster_link0 of {host.host}: it has {len(host.links)} addresses; a host has one, or two with cluster_link1."
            )
    _require_unique(
        [host.name.lower() for host in hosts], "host_name: the name {} is given to two hosts. Each needs one of its own."
    )
    _require_unique(
        [address for host in hosts for address in host.links],
        "cluster_link0, cluster_link1: the address {} is given twice. Each host needs its own one on each link.",
    )
    first = hosts[0]
    for host in hosts[1:]:
        if _families(host) != _families(first):
            raise InvalidInput(
                f"cluster_link0, cluster_link1: {first.host} has {', '.join(first.links)} and {host.host} has "
                f"{', '.join(host.links)}. All hosts need the same links, each link of IPv4 or of IPv6 only."
            )


def _families(host: Host) -> list[int]:
    return [ip_address(address).version for address in host.links]


def _require_unique(found: Sequence[str], sentence: str) -> None:
    twice = sorted({one for one in found if found.count(one) > 1})
    if twice:
        raise InvalidInput(sentence.format(twice[0]))


def _require_consent(hosts: Sequence[Host], given: Mapping[str, Any]) -> None:
    if len(hosts) > 1 and not given["allow_unfenced"]:
        raise Refused(
            f"cluster_allow_unfenced: {len(hosts)} hosts without fencing could run a VM twice, so Pacemaker starts nothing on "
            "them. This role does not set up fencing yet. Set cluster_allow_unfenced to true to have the cluster without it."
        )
    if len(hosts) % 2 == 0 and not given["allow_without_witness"]:
        raise Refused(
            f"cluster_allow_without_witness: if {len(hosts)} hosts are split in halves, neither half has quorum, and all that "
            f"they run stops{'; with two hosts, already if one of them dies' if len(hosts) == 2 else ''}. This role does not "
            "set up a witness yet. Have an odd number of hosts, or set cluster_allow_without_witness to true."
        )
