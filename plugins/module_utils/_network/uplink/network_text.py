# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of systemd-networkd for a bridge over a link: they stand before the user's file, which is left alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..._errors import Refused
from ..boot.matching import pairs
from .interfaces import mentions
from .marks import OURS

FIRST = "00-edge-uplink-"
TRIAL = "00-edge-trial-"  # before ours: while a bridge goes, its port is tried with what the user's file says
OF_ADDRESSES = (
    *("Network", "Address", "Route", "NextHop", "RoutingPolicyRule", "Neighbor", "IPv6AddressLabel", "DHCP", "DHCPv4", "DHCPv6"),
    *("IPv6AcceptRA", "IPv6SendRA", "IPv6Prefix", "IPv6RoutePrefix", "DHCPPrefixDelegation", "IPv6PrefixDelegation"),
    *("DHCPServer", "DHCPServerStaticLease"),
)
UPON = ("VLAN", "MACVLAN", "MACVTAP", "IPVLAN", "IPVTAP", "Tunnel", "L2TP", "Xfrm")  # [Network] of what stands upon the card
LINK_OF_BOTH = ("MTUBytes",)
LINK_OF_BRIDGE = ("RequiredForOnline", "RequiredFamilyForOnline")
MASTERS = ("Bridge", "Bond", "VRF", "BatmanAdvanced")


@dataclass(frozen=True)
class Section:
    """One section of a file: its name and its assignments as (key, text of its lines)."""

    name: str
    lines: tuple[tuple[str, str], ...] = ()


def names(bridge: str) -> tuple[str, str, str]:
    """Return the names of our files in the order in which they are written: the last one makes the others count."""
    return tuple(f"{FIRST}{bridge}{end}" for end in (".netdev", ".network", "-port.network"))  # type: ignore[return-value]


def sections(text: str) -> Iterator[Section]:
    """Return the sections of a file of systemd as text, in order and without comments; one that is there twice comes twice."""
    name, lines, held = "", list[tuple[str, str]](), ""
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.lstrip().startswith(("#", ";")):
            continue
        held += line
        if held.endswith("\\"):
            held += "\n"
            continue
        whole, held = held.strip(), ""
        if whole.startswith("[") and whole.endswith("]"):
            yield Section(name, tuple(lines))
            name, lines = whole[1:-1], []
        elif "=" in whole:
            lines.append((whole.partition("=")[0].strip(), whole))
    yield Section(name, tuple(lines))


def files(bridge: str, port: str, mac: str, *, source: str, texts: Iterable[str], iaid: int | None = None) -> dict[str, str]:
    """Return name and text of our files. ``texts`` are those of the user's file ``source`` and its drop-ins.

    ``iaid`` is what identifies the card to its DHCP server: networkd would make another one of the bridge's name.
    """
    texts = list(texts)
    given = [section for text in texts for section in sections(text) if section.name not in ("", "Match") and section.lines]
    _refuse(given, port, source)
    netdev, network, of_port = names(bridge)
    head = f"{OURS} {bridge}: the bridge over {port}"
    return {
        netdev: f"{head}\n\n[NetDev]\nName={bridge}\nKind=bridge\nMACAddress={mac}\n\n[Bridge]\nSTP=no\nForwardDelaySec=0\n",
        network: f"{head}; made of {source}\n\n[Match]\nName={bridge}\n{_text(_of_bridge(given))}{_identity(texts, iaid)}",
        of_port: f"{head}; made of {source}\n\n[Match]\nName={port}\n{_text(_of_port(given, bridge))}",
    }


def trial_without(port: str, texts: Iterable[str]) -> str:
    """Return a file by which ``port`` has again what the user's file says."""
    given = [section for text in texts for section in sections(text) if section.name not in ("", "Match")]
    return f"{OURS}: {port} on trial without its bridge\n\n[Match]\nName={port}\n{_text(given)}"


def _of_bridge(given: list[Section]) -> Iterator[Section]:
    for section in given:
        if section.name == "Link":
            yield _only(section, (*LINK_OF_BOTH, *LINK_OF_BRIDGE))
        elif section.name == "Network":
            yield _without(section, UPON)
        elif section.name in OF_ADDRESSES:
            yield section


def _of_port(given: list[Section], bridge: str) -> Iterator[Section]:
    yield Section("Link", (("RequiredForOnline", "RequiredForOnline=no"),))
    yield Section("Network", (("Bridge", f"Bridge={bridge}"),))
    for section in given:
        if section.name == "Link":
            yield _without(section, LINK_OF_BRIDGE)
        elif section.name == "Network":
            yield _only(section, UPON)
        elif section.name not in OF_ADDRESSES:
            yield section


def _only(section: Section, keys: tuple[str, ...]) -> Section:
    return Section(section.name, tuple(line for line in section.lines if line[0] in keys))


def _without(section: Section, keys: tuple[str, ...]) -> Section:
    return Section(section.name, tuple(line for line in section.lines if line[0] not in keys))


def _text(given: Iterable[Section]) -> str:
    return "".join(
        f"\n[{section.name}]\n" + "".join(f"{text}\n" for _key, text in section.lines) for section in given if section.lines
    )


def _identity(texts: list[str], iaid: int | None) -> str:
    found = {(section, key): value for text in texts for section, key, value in pairs(text)}
    if iaid is None:
        return ""
    four = any((section, key) in found for section in ("DHCPv4", "DHCP") for key in ("IAID", "ClientIdentifier"))
    six = ("DHCPv6", "IAID") in found
    return ("" if four else f"\n[DHCPv4]\nIAID={iaid}\n") + ("" if six else f"\n[DHCPv6]\nIAID={iaid}\n")


def _refuse(given: list[Section], port: str, source: str) -> None:
    for section in given:
        for key, text in section.lines:
            if section.name == "Network" and key in MASTERS:
                raise Refused(f"port: {source} has {text}: {port} has a master already; name that by port.", option="port")
            moves = section.name in OF_ADDRESSES and key not in UPON
            if moves and mentions((text.partition("=")[2],), port):
                raise Refused(
                    f"port: {source} has {text} in [{section.name}], which names {port} and would be wrong on the bridge; remove it"
                    " or have the bridge there by hand.",
                    option="port",
                )
