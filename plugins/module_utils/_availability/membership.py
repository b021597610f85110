# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides how the hosts of an inventory become one cluster, or why not.

Only a running cluster with quorum says who its members are; files do not. What no rule here allows is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .._errors import EdgeError, Refused
from .model import Conf, Node, Running, Seen, digest, read_seen
from .wanted import Host, Wanted, same_address

RELEASES = ("bookworm", "trixie")


@dataclass(frozen=True)
class Membership:
    """What is to be done, by inventory names of hosts.

    ``conf`` is the text of corosync.conf, written first on those of ``new``; empty to leave the files alone. ``key_to`` are the
    hosts that get the key of ``key_from``, or a new one. ``reload_on``: the host that has all others load the file again, or none.
    """

    actions: tuple[str, ...] = ()
    conf: str = ""
    version: int = 0
    members: tuple[int, ...] = ()
    new: tuple[str, ...] = ()
    key_from: str = ""
    key_to: tuple[str, ...] = ()
    reload_on: str = ""
    start: tuple[str, ...] = ()
    refused: str = ""


Found = Mapping[str, Seen]


def decide(given: Mapping[str, Any], seen: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """Return the Membership for the options and what each host has, as JSON; ``refused`` says why nothing is to be done."""
    try:
        require_answers(str(given["cluster"]), given["group"], seen)
        wanted = Wanted.checked(given)
        found = {host.host: read_seen(seen[host.host] or {}) for host in wanted.hosts}
        _require_able(wanted, found)
        return asdict(_plan(wanted, found))
    except EdgeError as error:
        return asdict(Membership(refused=error.message))


def require_answers(cluster: str, group: Sequence[str], seen: Mapping[str, Mapping[str, Any] | None]) -> None:
    """Refuse a change while not all hosts of the cluster have answered."""
    silent = [host for host in group if not seen.get(host)]
    if silent:
        raise Refused(
            f"{', '.join(silent)}: no answer, or not in this play. The cluster {cluster} is changed only while all of its "
            "hosts are in the play, at once (no serial), and answer; the others would go on without them. Run it on all of "
            "them. A member that is lost is installed anew first, under its name and addresses."
        )


def _require_able(wanted: Wanted, found: Found) -> None:
    """Refuse hosts that are of another cluster, or that cannot be of this one."""
    releases = {seen.release for seen in found.values()}
    if len(releases) != 1 or not releases <= set(RELEASES):
        raise Refused(
            f"The hosts of the cluster {wanted.cluster} have the releases {', '.join(sorted(releases))}. All need the same one "
            f"of Debian {' or '.join(RELEASES)}: Pacemaker's versions of both do not form a new cluster with each other "
            "reliably."
        )
    for host in wanted.hosts:
        seen = found[host.host]
        other = foreign(wanted.cluster, seen)
        if other:
            raise Refused(
                f"{host.host} {other} It was left alone. Take it out of the group of this cluster, or take that cluster off it "
                "first."
            )
        own = {same_address(address) for address in seen.addresses}
        missing = [address for address in host.links if address not in own]
        if missing:
            raise Refused(
                f"cluster_link0, cluster_link1: {host.host} does not have the address {missing[0]}. It has "
                f"{', '.join(sorted(own))}."
            )
        if seen.running and seen.started_key != seen.key:
            raise Refused(
                f"{host.host}: /etc/corosync/authkey is not the key with which Corosync started. It would be cut off the "
                "cluster when it loads that. Put back the right key, that of the other hosts, or restart pacemaker and "
                "corosync there."
            )


def foreign(cluster: str, seen: Seen) -> str:
    """Return what a host has of a cluster that is not this one, or nothing."""
    running = seen.running.conf.cluster if seen.running else ""
    written = seen.conf.cluster if seen.conf and not seen.of_package else ""
    asked = cluster or "one of the inventory"
    if running and running != cluster:
        return f"runs Corosync in the cluster {running}, not in {asked}."
    if written and written != cluster:
        return f"has /etc/corosync/corosync.conf of the cluster {written}, not of {asked}."
    if (seen.ran or written) and not seen.managed:
        return f"has a cluster {running or written or 'without a name'} that this role did not form."
    return ""


def _plan(wanted: Wanted, found: Found) -> Membership:
    running = {name: seen.running for name, seen in found.items() if seen.running}
    quorate = {name: one for name, one in running.items() if one.quorate}
    if quorate:
        return _join(wanted, found, running, quorate)
    if not any(seen.ran for seen in found.values()):
        return _form(wanted, found)
    return _start(wanted, found)


def _form(wanted: Wanted, found: Found) -> Membership:
    """A new cluster of hosts none of which has ever run one; files that an interrupted run left are written again."""
    nodes = [Node(number, host.name, host.links) for number, host in enumerate(wanted.hosts, 1)]
    conf = wanted.conf(1, nodes)
    names = tuple(found)
    for name, seen in found.items():
        _require_no_cib(wanted, name, seen)
    text = (
        f"Form the cluster {wanted.cluster} of {', '.join(names)}: token {conf.token} ms, quorum with {len(names) // 2 + 1} hosts."
    )
    return Membership((text,), conf.text(), 1, _ids(conf), names, "", names, "", names)


def _start(wanted: Wanted, found: Found) -> Membership:
    """A cluster that was formed and has no quorum now: it is only started, as its newest configuration has it.

    Every host has the key, and all members of that configuration are here, so that no other host can be a member. Where files
    differ, an interrupted run wrote the new one on hosts that join, and then on some of the members.
    """
    confs = [seen.conf for seen in found.values() if seen.conf and seen.key]
    newest = max(confs, key=lambda conf: conf.version, default=None)
    same_key = len({seen.key for seen in found.values()}) == 1
    if newest is None or not same_key or len(confs) < len(found) or not _is_wanted(newest, wanted, confs):
        raise _without_quorum(wanted, found)
    text = wanted.conf(newest.version, newest.nodes).text()
    latest = {seen.conf_digest for seen in found.values() if seen.conf and seen.conf.version == newest.version}
    everywhere = len({seen.conf_digest for seen in found.values()}) == 1
    if not everywhere and latest != {digest(text.encode())}:
        raise _without_quorum(wanted, found)
    start = tuple(name for name, seen in found.items() if seen.running is None)
    stale = [name for name, seen in found.items() if seen.running and seen.running.conf.version != newest.version]
    actions = _sentences(wanted, newest, [], start, stale)
    if latest != {digest(text.encode())}:
        actions.append("Leave other settings to the next run, when there is quorum.")
    return Membership(
        actions=tuple(actions),
        conf="" if everywhere else text,
        version=newest.version,
        members=_ids(newest),
        new=start,
        reload_on=stale[0] if stale else "",
        start=start,
    )


def _is_wanted(newest: Conf, wanted: Wanted, confs: Sequence[Conf]) -> bool:
    """Return whether a configuration has the hosts of the inventory, and all others are of fewer of its members."""
    members = {host.name: host.links for host in wanted.hosts}
    return _members(newest) == members and all(set(conf.nodes) <= set(newest.nodes) for conf in confs)


def _without_quorum(wanted: Wanted, found: Found) -> Refused:
    return Refused(
        f"The cluster {wanted.cluster} has no quorum, so that nobody can tell who its members are: {_states(found)}. Their "
        "keys or files differ, or name other hosts than the inventory. Have the cluster run with quorum first: start pacemaker "
        "on its hosts and look at corosync-quorumtool. If nothing of it is needed, take it off all hosts with cluster_state: "
        "absent, and form it again."
    )


def _join(wanted: Wanted, found: Found, running: Mapping[str, Running], quorate: Mapping[str, Running]) -> Membership:
    """A running cluster with quorum: its members stay as they are, and new hosts join it."""
    reference = max(quorate, key=lambda name: quorate[name].conf.version)
    one = quorate[reference]
    _require_one_partition(wanted, found, running, quorate, reference)
    members = _members(one.conf)
    by_name = {host.name: host for host in wanted.hosts}
    _require_members(wanted, members, by_name)
    joining = [host for host in wanted.hosts if host.name not in members]
    _require_new(wanted, found, joining)
    _require_majority(wanted, [found[name] for name in running], one, joining)
    last = max(node.id for node in one.conf.nodes)
    nodes = [*one.conf.nodes, *(Node(last + number, host.name, host.links) for number, host in enumerate(joining, 1))]
    conf = _versioned(wanted, found, one, nodes)
    _require_together(wanted, running, one, conf)
    stopped = tuple(name for name, seen in found.items() if seen.running is None)
    key = found[reference].key
    stale = [name for name, seen in running.items() if seen.conf.version != conf.version]
    return Membership(
        actions=tuple(_sentences(wanted, conf, joining, stopped, stale)),
        conf=conf.text(),
        version=conf.version,
        members=_ids(conf),
        new=stopped,
        key_from=reference,
        key_to=tuple(name for name in stopped if found[name].key != key),
        reload_on=reference if stale else "",
        start=stopped,
    )


def _sentences(wanted: Wanted, conf: Conf, joining: list[Host], stopped: tuple[str, ...], stale: list[str]) -> list[str]:
    found = []
    if joining:
        found.append(f"Join {', '.join(host.host for host in joining)} to the cluster {wanted.cluster}: token {conf.token} ms.")
    if stale:
        found.append(f"Have {', '.join(stale)} load version {conf.version} of the configuration.")
    if stopped:
        found.append(f"Start Corosync on {', '.join(stopped)}.")
    return found


def _require_one_partition(
    wanted: Wanted, found: Found, running: Mapping[str, Running], quorate: Mapping[str, Running], reference: str
) -> None:
    """Refuse hosts that run in clusters of their own, which have the same name: they cannot be merged."""
    one = running[reference]
    known = {(node.id, node.name): node for node in one.conf.nodes}
    names = {host.host: host.name for host in wanted.hosts}
    for name, other in running.items():
        strangers = [node for node in other.conf.nodes if known.get((node.id, node.name)) != node]
        apart = (
            other.joined != one.joined
            if name in quorate
            else other.conf.version != one.conf.version or found[name].key != found[reference].key
        )
        if strangers or apart or names[name] not in {node.name for node in one.conf.nodes}:
            raise Refused(
                f"{name} and {reference} both run Corosync in a cluster {wanted.cluster}, and are not of one membership: "
                f"{reference} sees {_shown(one)}, and {name} sees {_shown(other)}. Clusters are not merged. If the membership "
                f"changes just now, run this again; if the network between them is broken, repair it; if {name} has a cluster "
                "of its own, take that off it first."
            )
        if found[name].key != found[reference].key:
            raise Refused(
                f"{name} has another /etc/corosync/authkey than {reference}, and both run. Put back the right one on the one "
                "that has it wrong."
            )


def _require_members(wanted: Wanted, members: Mapping[str, tuple[str, ...]], by_name: Mapping[str, Host]) -> None:
    gone = sorted(name for name in members if name not in by_name)
    if gone:
        raise Refused(
            f"{', '.join(gone)} of the running cluster {wanted.cluster} is not in the inventory. This role does not remove, "
            "rename or replace single hosts yet. Put it back into the group, under the name that it has in the cluster "
            "(host_name)."
        )
    for name, links in members.items():
        if by_name[name].links != links:
            raise Refused(
                f"cluster_link0, cluster_link1: {name} has {', '.join(links)} in the running cluster {wanted.cluster}, and "
                f"{', '.join(by_name[name].links)} in the inventory. This role does not change addresses of members yet. Set "
                "it as it was."
            )


def _require_new(wanted: Wanted, found: Found, joining: list[Host]) -> None:
    for host in joining:
        if found[host.host].ran:
            raise Refused(
                f"{host.host} was in a cluster {wanted.cluster} of which the running one knows nothing; it may have been "
                f"another one. If nothing of it is needed, stop pacemaker and corosync on {host.host}, and move "
                "/etc/corosync/authkey, /etc/corosync/corosync.conf, /var/lib/corosync/ringid_* and /var/lib/pacemaker/cib "
                "elsewhere. Then run this again."
            )
        _require_no_cib(wanted, host.host, found[host.host])


def _require_no_cib(wanted: Wanted, name: str, seen: Seen) -> None:
    """Refuse a new host with a CIB: if it was changed more often than that of the cluster, Pacemaker takes it for all hosts."""
    if seen.cib:
        raise Refused(
            f"{name} has a configuration of Pacemaker from another cluster, /var/lib/pacemaker/cib, which could replace that "
            f"of {wanted.cluster}. Move that folder elsewhere on {name}, and run this again."
        )


def _require_together(wanted: Wanted, running: Mapping[str, Running], one: Running, conf: Conf) -> None:
    """Refuse a change while a running member is cut off: the others would count it for quorum without having it."""
    here = {node.name for node in one.conf.nodes if node.id in one.joined}
    names = {host.host: host.name for host in wanted.hosts}
    apart = [name for name in running if names[name] not in here]
    if apart and conf.version != one.conf.version:
        raise Refused(
            f"{', '.join(apart)} runs Corosync and does not reach the other members of {wanted.cluster}, which would not have "
            "it load the new configuration. Repair the network between them first (UDP 5405, 5406), and run this again."
        )


def _require_majority(wanted: Wanted, members: Sequence[Seen], one: Running, joining: list[Host]) -> None:
    """Refuse to have the running members lose quorum while new hosts start, unless nothing runs there that would stop.

    Any of them may know of resources: one whose Pacemaker has not started yet knows of none.
    """
    live = len(one.joined)
    if joining and live * 2 <= len(wanted.hosts) and any(seen.resources != 0 for seen in members):
        raise Refused(
            f"{live} hosts of the cluster {wanted.cluster} run, which is no majority of {len(wanted.hosts)}. They would be "
            "without quorum until the new hosts have joined, and Pacemaker would stop what runs there. Join fewer hosts at "
            "once, or take away its resources before."
        )


def _versioned(wanted: Wanted, found: Found, one: Running, nodes: list[Node]) -> Conf:
    """Return the configuration under the version that an interrupted run has begun to write, or under a new one."""
    versions = [seen.conf.version for seen in found.values() if seen.conf and not seen.of_package]
    last = max(one.conf.version, *versions) if versions else one.conf.version
    conf = wanted.conf(last, nodes)
    written = digest(conf.text().encode())
    return conf if any(seen.conf_digest == written for seen in found.values()) else wanted.conf(last + 1, nodes)


def _members(conf: Conf) -> dict[str, tuple[str, ...]]:
    return {node.name: tuple(map(same_address, node.links)) for node in conf.nodes}


def _ids(conf: Conf) -> tuple[int, ...]:
    return tuple(node.id for node in conf.nodes)


def _shown(one: Running) -> str:
    names = {node.id: node.name for node in one.conf.nodes}
    members = ", ".join(names.get(number, str(number)) for number in sorted(one.joined)) or "nobody"
    return f"{members} {'with' if one.quorate else 'without'} quorum"


def _states(found: Found) -> str:
    """Say of each host how it is."""
    words = []
    for name, seen in found.items():
        if seen.running:
            words.append(f"{name} runs and sees {_shown(seen.running)}")
        else:
            words.append(f"{name} {'was a member and is stopped' if seen.has_run else 'was never a member'}")
    return "; ".join(words)
