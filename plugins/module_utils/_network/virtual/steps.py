# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that change virtual networks. Pure: a step names its commands of ``ip`` and ``bridge``, which run in one batch each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..._vlans import DEFAULT, changes
from ..link.routes import Words
from .names import MAKING, mark
from .state import Networks, NetworkState, Peer, VirtualLink

ZERO = "00:00:00:00:00:00"
LEAST_FOR_IPV6 = 1280  # a link with less has no IPv6, nor settings of it
WITHOUT_ADDRESS = ("addrgenmode", "none")


@dataclass(frozen=True)
class NetworkStep:
    """One change of one network; ``phase`` is its place among the steps of all networks."""

    network: str
    phase: ClassVar[int] = 0

    @property
    def sentence(self) -> str:
        """See Step."""
        raise NotImplementedError

    @property
    def ip(self) -> tuple[Words, ...]:
        """Return the argument lists of ``ip``."""
        return ()

    @property
    def fdb(self) -> tuple[Words, ...]:
        """Return the argument lists of ``bridge``."""
        return ()

    @property
    def checksums(self) -> tuple[tuple[str, bool], ...]:
        """Return the links of which the kernel is to compute the checksums (True), or what carries them (False)."""
        return ()

    @property
    def stale(self) -> tuple[Words, ...]:
        """Return the argument lists of ``bridge`` that remove what is of no use any more; each may fail."""
        return ()

    def changed(self, state: NetworkState, /) -> NetworkState:
        """Return the network after this step."""
        raise NotImplementedError

    def predict(self, networks: Networks) -> Networks:
        """See Step."""
        return {**networks, self.network: self.changed(networks[self.network])}


@dataclass(frozen=True)
class Forget(NetworkStep):
    """No longer make the network at boot; ``bare`` says that it is a link alone."""

    bare: bool = False
    phase = 0

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Do not make {'' if self.bare else 'the network '}{self.network} at boot"

    def changed(self, state: NetworkState) -> NetworkState:
        """See NetworkStep."""
        own = any(link.name == state.bridge for link in state.links)
        return replace(state, boot=None) if own else replace(state, boot=None, bridge=None, mtu=None, ports=())


@dataclass(frozen=True)
class RemoveLink(NetworkStep):
    """Delete a link; ports of a bridge that is deleted stay as links."""

    link: VirtualLink
    phase = 1

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Remove the {self.link.kind} {self.link.name}{_of(self.network, self.link)}"

    @property
    def ip(self) -> tuple[Words, ...]:
        """See NetworkStep."""
        return (("link", "del", "dev", self.link.name),)

    def changed(self, state: NetworkState) -> NetworkState:
        """See NetworkStep."""
        left = state.without_link(self.link.name)
        return replace(left, peers=()) if self.link.kind == "vxlan" else left


@dataclass(frozen=True)
class AddLink(NetworkStep):
    """Add a link. Between its creation and its mark, it is known by its group and MAC address."""

    link: VirtualLink
    phase = 2

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Add the {self.link.kind} {self.link.name}{_of(self.network, self.link, 'for')}"

    @property
    def ip(self) -> tuple[Words, ...]:
        """See NetworkStep."""
        made, details = self.link, dict(self.link.details)
        lower = ("link", str(details["underlay"])) if made.kind == "vlan" else ()
        # Only an MTU that was changed keeps a bridge from taking the smallest one of its ports.
        held = ("mtu", str(made.mtu)) if made.kind == "bridge" else ()
        first = str(made.mtu + (1 if made.mtu == LEAST_FOR_IPV6 else -1) if held else made.mtu)
        head = ("link", "add", *lower, "name", made.name, "address", made.mac, "mtu", first, "group", MAKING)
        return (
            (*head, "type", made.kind, *_details(made, details)),
            _finish(made, self.network),
            ("link", "set", "dev", made.name, *held, *(("master", made.master) if made.master else ()), "up"),
            *(() if made.learns else (_learning(made),)),
        )

    @property
    def fdb(self) -> tuple[Words, ...]:
        """See NetworkStep."""
        return changes((), self.link.vlans, self.link.name)

    @property
    def checksums(self) -> tuple[tuple[str, bool], ...]:
        """See NetworkStep."""
        return ((self.link.name, True),) if self.link.software_checksums else ()

    def changed(self, state: NetworkState) -> NetworkState:
        """See NetworkStep."""
        return state.with_link(self.link)


@dataclass(frozen=True)
class SetLink(NetworkStep):
    """Change one field of a link in place; ``link`` is as it is after that, ``before`` the field's value before."""

    link: VirtualLink
    field: str
    before: Any
    phase = 2

    @property
    def sentence(self) -> str:
        """See Step."""
        value, name = getattr(self.link, self.field), self.link.name
        match self.field:
            case "marked":
                text = f"Finish {name}{_of(self.network, self.link)}"
            case "up":
                text = f"Set {name} up"
            case "master":
                text = f"Attach {name} to the bridge {value}" if value else f"Detach {name} from {self.before}"
            case "software_checksums":
                text = f"Compute the checksums of {name} in software" if value else f"Leave the checksums of {name} to the card"
            case "learns":
                text = f"Let the bridge learn {'' if value else 'no '}addresses behind {name}"
            case "vlan_filtering":
                text = f"Have {name} tell VLANs apart" if value else f"Have {name} pass VLANs as they come"
            case "vlans":
                text = f"Let the VLANs {', '.join(value or DEFAULT)} pass {name}"
            case _:
                text = f"Set the {self.field.upper()} of {name} from {self.before} to {value}"
        return text

    @property
    def ip(self) -> tuple[Words, ...]:
        """See NetworkStep."""
        value = getattr(self.link, self.field)
        if self.field in ("software_checksums", "vlans"):
            return ()
        if self.field == "marked":
            return (_finish(self.link, self.network),)
        words: Mapping[str, Words] = {
            "mac": ("address", str(value)),
            "mtu": ("mtu", str(value)),
            "master": ("master", value) if value else ("nomaster",),
            "up": ("up",),
            "vlan_filtering": ("type", "bridge", "vlan_filtering", "1" if value else "0"),
            "learns": _learning(self.link)[4:],
        }
        change = ("link", "set", "dev", self.link.name, *words[self.field])
        if self.field == "mtu" and self.link.quiet and self.before < LEAST_FOR_IPV6 <= value:
            return (change, ("link", "set", "dev", self.link.name, *WITHOUT_ADDRESS), *_flush(self.link.name))
        return (change,)

    @property
    def fdb(self) -> tuple[Words, ...]:
        """See NetworkStep."""
        return changes(self.before, self.link.vlans, self.link.name) if self.field == "vlans" else ()

    @property
    def checksums(self) -> tuple[tuple[str, bool], ...]:
        """See NetworkStep."""
        return ((self.link.name, self.link.software_checksums),) if self.field == "software_checksums" else ()

    def changed(self, state: NetworkState) -> NetworkState:
        """See NetworkStep."""
        return state.with_link(self.link)


@dataclass(frozen=True)
class AttachTap(NetworkStep):
    """Make the port of a VM one of the bridge again, ``isolated`` if it was; it stays down if libvirt set it down.

    ``vlans`` are what passed it, if the bridge tells VLANs apart.
    """

    tap: str
    bridge: str
    isolated: bool = False
    vlans: tuple[str, ...] = ()
    phase = 2

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Attach {self.tap} of a VM to the bridge {self.bridge} again"

    @property
    def ip(self) -> tuple[Words, ...]:
        """See NetworkStep."""
        attach = ("link", "set", "dev", self.tap, "master", self.bridge)
        # The kernel takes this of a port only, hence not in one message.
        isolate = ("link", "set", "dev", self.tap, "type", "bridge_slave", "isolated", "on")
        return (attach, isolate) if self.isolated else (attach,)

    @property
    def fdb(self) -> tuple[Words, ...]:
        """See NetworkStep."""
        return changes((), self.vlans, self.tap)

    def changed(self, state: NetworkState) -> NetworkState:
        """See NetworkStep."""
        return replace(state, ports=tuple(sorted({*state.ports, self.tap})))


@dataclass(frozen=True)
class FloodTo(NetworkStep):
    """Add and remove hosts to which a VXLAN link floods; what is there already would be added twice.

    ``learned`` are MAC addresses that were seen behind hosts that are removed: frames to them would go there until they age.
    """

    link: str
    add: tuple[str, ...]
    remove: tuple[Peer, ...] = ()
    learned: tuple[tuple[str, str], ...] = ()
    phase = 3

    @property
    def sentence(self) -> str:
        """See Step."""
        removed = sorted({peer.dst for peer in self.remove})
        parts = [f"{word} {', '.join(held)}" for word, held in (("add", self.add), ("remove", removed)) if held]
        of = self.link if self.link == self.network else f"the network {self.network}"
        return f"Change the hosts of {of}: {'; '.join(parts)}"

    @property
    def fdb(self) -> tuple[Words, ...]:
        """See NetworkStep."""
        gone = (("fdb", "del", ZERO, "dev", self.link, "dst", one.dst, *one.more, "self") for one in self.remove)
        come = (("fdb", "append", ZERO, "dev", self.link, "dst", dst, "self", "permanent") for dst in self.add)
        return (*gone, *come)

    @property
    def stale(self) -> tuple[Words, ...]:
        """See NetworkStep."""
        return tuple(("fdb", "del", mac, "dev", self.link, "dst", dst, "self") for mac, dst in self.learned)

    def changed(self, state: NetworkState) -> NetworkState:
        """See NetworkStep."""
        left = list(state.peers)
        for peer in self.remove:
            left.remove(peer.dst)
        return replace(state, peers=tuple(sorted((*left, *self.add))))


@dataclass(frozen=True)
class Remember(NetworkStep):
    """Make the network at boot too, by this definition; ``bridge``, ``mtu`` and ``ports`` are what VMs have there."""

    definition: Mapping[str, Any]
    bridge: str | None
    mtu: int | None
    ports: tuple[str, ...] = ()
    phase = 4

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Make {'' if self.definition.get('bare') else 'the network '}{self.network} at boot"

    def changed(self, state: NetworkState) -> NetworkState:
        """See NetworkStep."""
        return replace(state, boot=self.definition, bridge=self.bridge, mtu=self.mtu, ports=self.ports)


def _of(network: str, link: VirtualLink, word: str = "of") -> str:
    """Return which network a link belongs to, for a sentence; nothing for a link alone."""
    return "" if link.name == network else f" {word} the network {network}"


def _finish(link: VirtualLink, network: str) -> Words:
    # The mark and the end of the group of unfinished links are one message to the kernel.
    quiet = WITHOUT_ADDRESS if link.quiet and link.mtu >= LEAST_FOR_IPV6 else ()
    return ("link", "set", "dev", link.name, *quiet, "alias", mark(network), "group", "default")


def _flush(link: str) -> tuple[Words, ...]:
    """Return what removes the address that the kernel gave a link when it got IPv6, and had none of before."""
    return (("addr", "flush", "dev", link, "to", "fe80::/64"),)


def _learning(link: VirtualLink) -> Words:
    return ("link", "set", "dev", link.name, "type", "bridge_slave", "learning", "on" if link.learns else "off")


def _details(link: VirtualLink, details: Mapping[str, Any]) -> Words:
    if link.kind == "bridge":
        return ("stp_state", "0", "forward_delay", "0", *(("vlan_filtering", "1") if link.vlan_filtering else ()))
    if link.kind == "vlan":
        return ("protocol", str(details["vlan_protocol"]), "id", str(details["vlan_id"]))
    group = ("group", str(details["group"])) if details["group"] else ()
    return (
        *("id", str(details["vni"]), "dev", str(details["underlay"]), "local", str(details["local"]), *group),
        *("dstport", str(details["port"])),
        *(() if details["learning"] else ("nolearning",)),
    )
