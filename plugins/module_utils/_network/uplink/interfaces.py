# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of ifupdown, interfaces(5), with a bridge over one of its interfaces. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..._errors import Conflict, NotFound, Refused
from .marks import block, edited, lines_of

HEADS = ("iface", "mapping", "auto", "source", "source-directory", "no-auto-down", "no-scripts", "rename", "template")
UP = ("auto", "allow-")
METHODS = ("static", "dhcp", "manual", "auto")
OF_PORT = (
    *("bond-", "bond_", "vlan-raw-device", "vlan_raw_device", "vlan-", "vlan_", "ethernet-", "hardware-", "driver-", "link-"),
    *("offload-", "gro-", "gso-", "tso-", "lro-"),
)
OF_BOTH = ("mtu", "hwaddress")
OF_WIRELESS = ("wpa-", "wireless-", "wireless_")


@dataclass(frozen=True)
class Line:
    """A logical line: its words, where it is (number from 0) and how many lines of the file it takes."""

    words: tuple[str, ...]
    start: int
    count: int = 1

    @property
    def numbers(self) -> range:
        """The lines of the file that it takes."""
        return range(self.start, self.start + self.count)


@dataclass(frozen=True)
class Stanza:
    """A line that begins a stanza and the options that follow."""

    head: Line
    options: tuple[Line, ...] = ()

    @property
    def interface(self) -> str:
        """The interface of an ``iface`` stanza, else empty."""
        return self.head.words[1] if self.head.words[0] == "iface" and len(self.head.words) > 1 else ""

    @property
    def method(self) -> str:
        """The method of an ``iface`` stanza."""
        return self.head.words[3] if len(self.head.words) > 3 else ""


def logical(text: str) -> Iterator[Line]:
    """Return the lines that count, joined where a backslash ends one."""
    held, start = "", -1
    for number, raw in enumerate(lines_of(text)):
        line = raw.rstrip("\r\n")
        if start < 0 and (not line.strip() or line.lstrip().startswith("#")):
            continue
        start = number if start < 0 else start
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        yield Line(tuple((held + line).split()), start, number - start + 1)
        held, start = "", -1
    if start >= 0:
        yield Line(tuple(held.split()), start, len(lines_of(text)) - start)


def stanzas(text: str) -> list[Stanza]:
    """Return the stanzas of a file, in order."""
    found: list[Stanza] = []
    for line in logical(text):
        if not line.words:
            continue
        if line.words[0] in HEADS or line.words[0].startswith("allow-"):
            found.append(Stanza(line))
        elif found:
            found[-1] = Stanza(found[-1].head, (*found[-1].options, line))
    return found


def dhcp(text: str, interface: str) -> bool:
    """Return whether an interface gets an address by DHCP."""
    return any(found.method == "dhcp" for found in stanzas(text) if found.interface == interface)


def with_bridge(text: str, bridge: str, port: str, mac: str, *, made: bool = False) -> str:
    """Return a file in which ``bridge``, with ``port``, has what ``port`` had.

    Options of the card, bond or VLAN stay with it; ``made`` says that ifupdown makes the port, so that the bridge waits for it.
    """
    every = stanzas(text)
    ours = [found for found in every if found.interface == port]
    _refuse(every, ours, bridge, port)
    aliases = [found for found in every if found.interface.startswith(f"{port}:")]
    raw = lines_of(text)
    commands = _commands(bridge, port, mac, mtu=_mtu(ours), made=made)
    why = f"the bridge over {port}; {bridge} has what the lines below gave {port}"
    put = {ours[0].head.start: block(bridge, _block(raw, ours, aliases, bridge=bridge, port=port, commands=commands), why=why)}
    replaced = [number for found in (*ours, *aliases) for line in (found.head, *found.options) for number in line.numbers]
    for found in every:
        if found.head.words[0].startswith(UP) and any(word.startswith(f"{port}:") for word in found.head.words):
            words = [bridge + word.removeprefix(port) if word.startswith(f"{port}:") else word for word in found.head.words]
            put[found.head.start] = block(bridge, [" ".join(words)]) + put.get(found.head.start, [])
            replaced += found.head.numbers
    return edited(text, bridge, put, replaced)


def _block(raw: list[str], ours: list[Stanza], aliases: list[Stanza], *, bridge: str, port: str, commands: list[str]) -> list[str]:
    lines, kept = [f"auto {bridge}"], list[str]()
    for place, found in enumerate(ours):
        lines.append(" ".join(("iface", bridge, *found.head.words[2:])))
        for option in found.options:
            name = option.words[0]
            text = _as_written(raw, option)
            if name.startswith(OF_PORT) or name in OF_BOTH:
                kept += text
            if not name.startswith(OF_PORT):
                lines += text
        if place == 0:
            lines += commands
    for found in aliases:
        lines.append(" ".join(("iface", bridge + found.interface.removeprefix(port), *found.head.words[2:])))
        lines += [text for option in found.options for text in _as_written(raw, option)]
    return [*lines, f"iface {port} inet manual", *kept]


def _as_written(raw: list[str], option: Line) -> list[str]:
    """Return the lines of an option; a backslash at the end of the file would take in what follows elsewhere."""
    text = [raw[number].rstrip("\r\n") for number in option.numbers]
    return [*text[:-1], text[-1].removesuffix("\\")]


def _commands(bridge: str, port: str, mac: str, *, mtu: str, made: bool) -> list[str]:
    there = "ip link show dev {} >/dev/null 2>&1 || "
    size = f" mtu {mtu}" if mtu else ""
    return [
        *([f"    pre-up {there.format(port)}ifup {port}"] if made else []),
        f"    pre-up {there.format(bridge)}ip link add name {bridge} address {mac} type bridge stp_state 0",
        f"    pre-up ip link set dev {port}{size} master {bridge} up",
        f"    post-down ip link del dev {bridge}",
    ]


def _mtu(ours: list[Stanza]) -> str:
    given = [line.words[1] for found in ours for line in found.options if line.words[0] == "mtu" and len(line.words) > 1]
    return given[-1] if given else ""


def _refuse(every: list[Stanza], ours: list[Stanza], bridge: str, port: str) -> None:
    """Raise an error that names the line of what cannot go over to the bridge as it is."""
    for found in every:
        words, where = found.head.words, f"line {found.head.start + 1}"
        if found.interface == bridge:
            raise Conflict(f"name: {where} configures {bridge} already; choose another name or remove it there.", option="name")
        if words[0] in ("mapping", "iface") and any("*" in word and fnmatchcase(port, word.strip("/")) for word in words[1:]):
            raise Refused(f"port: {where} configures {port} by a pattern; write a stanza for {port} itself.", option="port")
        if words[0] == "mapping" and port in words[1:]:
            raise Refused(f"port: {where} maps {port}; write a stanza for {port} itself.", option="port")
    if not ours:
        raise NotFound(f"port: there is no stanza for {port}.", option="port")
    _refuse_ours(ours, port)
    for found in every:
        if found.interface.startswith(f"{port}:"):
            for line in found.options:
                _refuse_option(line, port)


def _refuse_ours(ours: list[Stanza], port: str) -> None:
    for found in ours:
        if found.method not in METHODS:
            raise Refused(
                f"port: line {found.head.start + 1} configures {port} by the method {found.method or '(none)'}; a bridge can take"
                f" over {', '.join(METHODS)}.",
                option="port",
            )
        for line in found.options:
            _refuse_option(line, port)


def _refuse_option(line: Line, port: str) -> None:
    name, where = line.words[0], f"line {line.start + 1}"
    if name.startswith(OF_WIRELESS):
        raise Refused(f"port: {where} ({name}) says that {port} is wireless; a bridge cannot have it as a port.", option="port")
    if name.replace("_", "-").startswith("bridge-"):
        raise Conflict(f"port: {where} ({name}) says that {port} is a bridge itself.", option="port")
    if not name.startswith(OF_PORT) and mentions(line.words[1:], port):
        raise Refused(
            f"port: {where} ({' '.join(line.words)}) names {port}, which would be wrong on the bridge or without it; write $IFACE"
            " where the link with the address is meant, or have that in a stanza or script of its own.",
            option="port",
        )


def mentions(words: tuple[str, ...], link: str) -> bool:
    """Return whether one of ``words`` names ``link``, also as part of a longer word."""
    return any(re.search(rf"(?<![\w.-]){re.escape(link)}(?![\w.-])", word) for word in words)
