# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VLANs that pass a port of a VLAN-aware bridge, as texts such as ``10``, ``20-29`` and ``1 pvid untagged``. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ._errors import InvalidInput

UNTAGGED = 1  # the VLAN of frames without a tag, as the kernel has it for each new port
DEFAULT = (f"{UNTAGGED} pvid untagged",)
LARGEST = 4094
FLAGS = {"PVID": "pvid", "Egress Untagged": "untagged"}  # of bridge's JSON, and its words


def tagged(texts: Sequence[str], option: str) -> tuple[str, ...]:
    """Return the VLANs of a user's list in canonical form: sorted, each once, neighbours as one range."""
    found: dict[int, str] = {}
    for place, text in enumerate(texts):
        parts = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", text.strip(), re.ASCII)
        first, last = (int(parts[1]), int(parts[2] or parts[1])) if parts else (0, 0)
        if not UNTAGGED < first <= last <= LARGEST:
            raise InvalidInput(
                f"{option}[{place}]: {text!r:.40} is not a VLAN or range of them; write it as 10 or 20-29, within {UNTAGGED + 1} to"
                f" {LARGEST}: frames without a tag are in VLAN {UNTAGGED}.",
                option=f"{option}[{place}]",
                value=text,
            )
        found |= dict.fromkeys(range(first, last + 1), "")
    return collapsed(found)


def collapsed(words: Mapping[int, str]) -> tuple[str, ...]:
    """Return VLANs with the words of each as texts, neighbours with the same words as one; only a range has no ``pvid``."""
    ranges: list[list[int]] = []
    for vlan in sorted(words):
        if ranges and vlan == ranges[-1][1] + 1 and words[vlan] == words[ranges[-1][0]] and "pvid" not in words[vlan]:
            ranges[-1][1] = vlan
        else:
            ranges.append([vlan, vlan])
    return tuple(" ".join(filter(None, (_range(first, last), words[first]))) for first, last in ranges)


def expanded(texts: Iterable[str]) -> dict[int, str]:
    """Return what ``collapsed`` was given."""
    found: dict[int, str] = {}
    for text in texts:
        numbers, _space, words = text.partition(" ")
        first, _dash, last = numbers.partition("-")
        found |= dict.fromkeys(range(int(first), int(last or first) + 1), words)
    return found


def of_port(listed: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the VLANs of a port as bridge(8) lists them."""
    found: dict[int, str] = {}
    for one in listed:
        words = " ".join(word for flag, word in FLAGS.items() if flag in one.get("flags", ()))
        found |= dict.fromkeys(range(one["vlan"], one.get("vlanEnd", one["vlan"]) + 1), words)
    return collapsed(found)


def changes(before: Sequence[str], after: Sequence[str], link: str) -> tuple[tuple[str, ...], ...]:
    """Return the argument lists of bridge(8) from some VLANs of a port to others; none at all stands for those of a new port."""
    old, new = expanded(before or DEFAULT), expanded(after or DEFAULT)
    gone = collapsed({vlan: "" for vlan, words in old.items() if new.get(vlan) != words})
    come = collapsed({vlan: words for vlan, words in new.items() if old.get(vlan) != words})
    return (
        *(("vlan", "del", "dev", link, "vid", text) for text in gone),
        *(("vlan", "add", "dev", link, "vid", *text.split(" ")) for text in come),
    )


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
