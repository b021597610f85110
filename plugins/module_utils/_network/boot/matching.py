# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a file of systemd-networkd matches a link, as systemd.network(5) has it. Pure.

An answer is True, False, or None where it cannot be known: then the file has to count as one that matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

Pair = tuple[str, str, str]  # section, key, value
Answer = bool | None
Condition = Callable[[str, str], Answer]
CONDITIONS = ("Host", "Virtualization", "KernelCommandLine", "KernelVersion", "Version", "Credential", "Architecture", "Firmware")
OF_WLAN = ("WLANInterfaceType", "SSID", "BSSID")
NOT_UTF8 = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Facts:
    """What conditions ask of a link; None is unknown, an empty text is a link that has no such thing."""

    names: tuple[str, ...]
    mac: str | None = None
    permanent_mac: str | None = None
    kind: str | None = None
    types: tuple[str, ...] | None = None
    properties: Mapping[str, str] | None = None


def pairs(text: str) -> tuple[Pair, ...]:
    """Return all assignments of a file of systemd, in order; lines that end with a backslash go on."""
    found, section, held = [], "", ""
    for line in (*text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"), ""):
        if line.lstrip().startswith(("#", ";")):
            continue
        held += line
        if held.endswith("\\"):
            held = held[:-1] + " "
            continue
        whole, held = held.strip(), ""
        if whole.startswith("[") and whole.endswith("]"):
            section = whole[1:-1]
        elif "=" in whole:
            key, _equals, value = whole.partition("=")
            found.append((section, key.strip(), value.strip()))
    return tuple(found)


def words(value: str) -> list[str]:
    """Return the words of a value; quotes hold a word with blanks together."""
    return [re.sub(r"""(["'])(.*?)\1""", r"\2", word) for word in re.findall(r"""(?:"[^"]*"|'[^']*'|\S)+""", value)]


def _patterns(values: Iterable[str], split: Callable[[str], list[str]] = words) -> list[str]:
    """Return the patterns of a key: lists are merged, an empty one resets, and ``!`` before a list negates each of its words."""
    found: list[str] = []
    for value in values:
        negate = value.startswith("!")
        listed = split(value.removeprefix("!"))
        found = [*found, *(f"!{word}" if negate else word for word in listed)] if value else []
    return found


def _glob(text: str, pattern: str) -> bool:
    return fnmatchcase(text, pattern.replace("[^", "[!"))


def _test(patterns: list[str], text: str) -> bool:
    """Return whether ``text`` (empty: the link has none) is one of the patterns and none that is negated."""
    match, positive = False, False
    for pattern in patterns:
        negated = pattern.startswith("!")
        positive = positive or not negated
        if text and _glob(text, pattern.removeprefix("!")):
            if negated:
                return False
            match = True
    return match if positive else True


def _among(patterns: list[str], texts: tuple[str, ...] | None) -> Answer:
    """Return the answer that all ``texts`` give, None where they differ or nothing is known."""
    if texts is None:
        return None
    answers = {_test(patterns, text) for text in texts}
    return answers.pop() if len(answers) == 1 else None


def _mac(macs: list[str], mac: str | None) -> Answer:
    if mac is None:
        return None
    return _digits(mac) in {_digits(found) for found in macs} if mac else False


def _digits(mac: str) -> str:
    return re.sub(r"[^0-9a-f]", "", mac.lower())


def _property(patterns: list[str], properties: Mapping[str, str] | None) -> Answer:
    if properties is None:
        return None
    texts = [f"{key}={value}" for key, value in properties.items()]
    return all(any(_glob(text, pattern.removeprefix("!")) for text in texts) is not pattern.startswith("!") for pattern in patterns)


def _asked(key: str, patterns: list[str], facts: Facts) -> Answer:
    udev = facts.properties
    if key == "Name":
        return any(_test(patterns, name) for name in facts.names)
    if key == "MACAddress":
        return _mac(patterns, facts.mac)
    if key == "PermanentMACAddress":
        return _mac(patterns, facts.permanent_mac)
    if key == "Property":
        return _property(patterns, udev)
    texts = {
        "Path": None if udev is None else (udev.get("ID_PATH", ""),),
        "Driver": None if udev is None or "ID_NET_DRIVER" not in udev else (udev["ID_NET_DRIVER"],),
        "Kind": None if facts.kind is None else (facts.kind,),
        "Type": facts.types,
        **dict.fromkeys(OF_WLAN, None if facts.types is None or "wlan" in facts.types else ("",)),
    }
    return _among(patterns, texts.get(key))


def matches(found: Iterable[Pair], facts: Facts, condition: Condition) -> Answer:
    """Return whether the [Match] section among ``found`` holds for a link; ``condition`` answers what asks for the host.

    What an empty section means depends on the version of systemd, so it cannot be known.
    """
    asked: dict[str, list[str]] = {}
    for section, key, value in found:
        if section == "Match":
            asked.setdefault(key, []).append(value)
    answers: list[Answer] = [_of_host(key, values[-1], condition) for key, values in asked.items() if key in CONDITIONS]
    for key, values in asked.items():
        patterns = _patterns(values)
        if key not in CONDITIONS and patterns:
            doubtful = any(NOT_UTF8.search(value) for value in values)
            asked_of = (patterns, _patterns(values, str.split)) if key == "Name" else (patterns,)  # some versions keep its quotes
            found_out = {_asked(key, listed, facts) for listed in asked_of}
            answers.append(None if doubtful or len(found_out) > 1 else found_out.pop())
    if False in answers:
        return False
    return None if None in answers or not answers else True


def _of_host(key: str, value: str, condition: Condition) -> Answer:
    return True if value == "" else condition(key, value)
