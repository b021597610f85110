# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of Corosync: its members, its configuration as text, and what a host says of both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

HEAD = "# Managed by edge.cloud (role cluster), the same on all hosts. What is changed here is lost with its next run.\n"
TOKEN_PER_HOST = 650  # ms for each host above two, as Corosync's own token_coefficient
DIGITS = 16  # of a digest that only has to differ
CONF = """totem {{
    version: 2
    cluster_name: {cluster}
    config_version: {version}
    transport: knet
    crypto_cipher: aes256
    crypto_hash: sha256
    token: {token}
    token_coefficient: 0
    consensus: {consensus}
}}
nodelist {{
{nodes}}}
quorum {{
    provider: corosync_votequorum
    two_node: 0
    wait_for_all: 0
}}
logging {{
    to_logfile: no
    to_stderr: no
    to_syslog: yes
}}
resources {{
    watchdog_device: off
}}
"""
SECTION = re.compile(r"(\w+)\s*\{")
SETTING = re.compile(r"(\w+)\s*:\s*(.*)")


@dataclass(frozen=True)
class Node:
    """A member: its number, which no other host ever has, its name and its address on each link."""

    id: int
    name: str
    links: tuple[str, ...]


@dataclass(frozen=True)
class Conf:
    """What a file or a running Corosync has of a cluster. ``token`` is in milliseconds."""

    cluster: str
    version: int
    nodes: tuple[Node, ...]
    token: int

    def text(self) -> str:
        """Return the file, which is the same on all hosts."""
        nodes = "".join(
            f"    node {{\n        nodeid: {node.id}\n        name: {node.name}\n"
            + "".join(f"        ring{number}_addr: {address}\n" for number, address in enumerate(node.links))
            + "    }\n"
            for node in self.nodes
        )
        # Consensus is 1.2 times the token, the least that Corosync takes.
        numbers = {"version": self.version, "token": self.token, "consensus": self.token * 6 // 5}
        return HEAD + CONF.format(cluster=self.cluster, nodes=nodes, **numbers)


def token_of(token: int, hosts: int) -> int:
    """Return the token of a cluster of so many hosts, in ms: it goes from one to the next."""
    return token + TOKEN_PER_HOST * max(0, hosts - 2)


def digest(data: bytes) -> str:
    """Return a short digest of a file."""
    return sha256(data).hexdigest()[:DIGITS]


@dataclass(frozen=True)
class Running:
    """A Corosync that runs: what it loaded, whether its partition has quorum, and the numbers of the members in that."""

    conf: Conf
    quorate: bool
    joined: frozenset[int]


@dataclass(frozen=True)
class Seen:
    """What a host has of any cluster.

    ``managed``: this role was here. ``key`` is the digest of the key's file and ``started_key`` that of the key with which Corosync
    started. ``has_run``: Corosync left its notes, so this host has been in a running cluster. ``resources`` is how many
    resources the CIB of this host has, None if that is not known. ``cib``: Pacemaker has left one, of whatever cluster.
    """

    release: str
    installed: bool = False
    managed: bool = False
    addresses: tuple[str, ...] = ()
    running: Running | None = None
    conf: Conf | None = None
    conf_digest: str = ""
    key: str = ""
    started_key: str = ""
    has_run: bool = False
    resources: int | None = 0
    cib: bool = False

    @property
    def ran(self) -> bool:
        """Whether it is or was a member of a running cluster."""
        return self.has_run or self.running is not None

    @property
    def of_package(self) -> bool:
        """Whether its file is the one of Debian's package, which is nobody's cluster."""
        conf = self.conf
        return conf is not None and conf.cluster == "debian" and [node.links for node in conf.nodes] == [("127.0.0.1",)]


def parse(text: str) -> Conf | None:
    """Return what a corosync.conf says, or None where it says of no cluster."""
    found: dict[str, str] = {}
    nodes: list[dict[str, str]] = []
    for path, name, value in _settings(text):
        if path == ("totem",):
            found[name] = value
        elif path == ("nodelist", "node"):
            nodes[-1][name] = value
        elif path == ("nodelist",) and name == "":
            nodes.append({})
    return _conf(found, nodes) if found.get("cluster_name") else None


def _settings(text: str) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield section, name and value of each setting; the begin of a section in another has no name."""
    path: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if opened := SECTION.match(line):
            yield tuple(path), "", opened[1]
            path.append(opened[1])
        elif line.startswith("}"):
            path = path[:-1]
        elif not line.startswith("#") and (setting := SETTING.match(line)):
            yield tuple(path), setting[1], setting[2].strip()


def parse_map(shown: str) -> Conf | None:
    """Return what the maps totem and nodelist of a running Corosync have, as corosync-cmapctl shows them."""
    totem: dict[str, str] = {}
    nodes: dict[int, dict[str, str]] = {}
    for line in shown.splitlines():
        key, _, value = line.partition(" = ")
        words = key.split(" (")[0].split(".")
        if words[0] == "totem" and len(words) == 2:
            totem[words[1]] = value.strip()
        elif words[:2] == ["nodelist", "node"] and len(words) == 4:
            nodes.setdefault(int(words[2]), {})[words[3]] = value.strip()
    return _conf(totem, [nodes[place] for place in sorted(nodes)]) if totem.get("cluster_name") else None


def _conf(totem: Mapping[str, str], nodes: list[dict[str, str]]) -> Conf:
    found = [
        Node(
            _number(node.get("nodeid")),
            node.get("name", ""),
            tuple(node[f"ring{n}_addr"] for n in range(8) if f"ring{n}_addr" in node),
        )
        for node in nodes
    ]
    return Conf(totem["cluster_name"], _number(totem.get("config_version")), tuple(found), _number(totem.get("token")))


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def parse_quorum(shown: str) -> tuple[bool, frozenset[int]]:
    """Return whether there is quorum and the numbers of the members, as corosync-quorumtool -s shows them."""
    rows = re.findall(r"^\s+(\d+)\s+\d+\s", shown.partition("Membership information")[2], re.MULTILINE)
    return bool(re.search(r"^Quorate:\s+Yes$", shown, re.MULTILINE)), frozenset(map(int, rows))


def view(conf: Conf | None) -> dict[str, Any] | None:
    """Return a configuration as JSON."""
    if conf is None:
        return None
    nodes = [{"id": node.id, "name": node.name, "links": list(node.links)} for node in conf.nodes]
    return {"cluster": conf.cluster, "version": conf.version, "nodes": nodes, "token": conf.token}


def read(given: Mapping[str, Any] | None) -> Conf | None:
    """Return the configuration of ``view``."""
    if given is None:
        return None
    nodes = tuple(Node(int(one["id"]), str(one["name"]), tuple(map(str, one["links"]))) for one in given["nodes"])
    return Conf(str(given["cluster"]), int(given["version"]), nodes, int(given["token"]))


def view_seen(seen: Seen) -> dict[str, Any]:
    """Return what a host has as JSON."""
    running = seen.running
    shown = (
        None if running is None else {**(view(running.conf) or {}), "quorate": running.quorate, "joined": sorted(running.joined)}
    )
    return {**vars(seen), "addresses": list(seen.addresses), "running": shown, "conf": view(seen.conf)}


def read_seen(given: Mapping[str, Any]) -> Seen:
    """Return what ``view_seen`` has of a host."""
    running = given["running"]
    conf = read(running)
    found = None if conf is None else Running(conf, bool(running["quorate"]), frozenset(map(int, running["joined"])))
    return Seen(**{**given, "addresses": tuple(given["addresses"]), "running": found, "conf": read(given["conf"])})
