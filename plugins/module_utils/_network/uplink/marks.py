# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes in a user's file that can be taken back to the byte: what is replaced stays as comments, the new is marked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..._errors import Conflict

OURS = "# edge.cloud.uplink"
KEPT = "#edge-uplink"


def lines_of(text: str) -> list[str]:
    r"""Return the lines of a text with their ends, split at ``\n`` only, as the programs that read it do."""
    found = text.split("\n")
    return [line + "\n" for line in found[:-1]] + ([found[-1]] if found[-1] else [])


def block(bridge: str, lines: Iterable[str], *, indent: str = "", why: str = "") -> list[str]:
    """Return ``lines`` (without ends) as a marked block."""
    about = f" ({why})" if why else ""
    return [f"{indent}{OURS} {bridge}: begin{about}\n", *(f"{line}\n" for line in lines), f"{indent}{OURS} {bridge}: end\n"]


def edited(text: str, bridge: str, put: Mapping[int, list[str]], replaced: Iterable[int]) -> str:
    """Return a text with blocks put before lines, by their number from 0, and the lines ``replaced`` kept as comments."""
    kept, found = set(replaced), []
    for number, line in enumerate(lines_of(text)):
        found += put.get(number, [])
        found.append(f"{KEPT} {bridge}# {line}" if number in kept else line)
    return "".join(found)


def marked(text: str, bridge: str) -> bool:
    """Return whether a text has our marks for ``bridge``."""
    return any(_is_begin(line, bridge) for line in lines_of(text))


def over(text: str, bridge: str) -> str | None:
    """Return the link that the first marked block names, or None."""
    for line in lines_of(text):
        if _is_begin(line, bridge) and " over " in line:
            return line.split(" over ", 1)[1].split(";")[0].strip(" )\n")
    return None


def restored(text: str, bridge: str) -> str:
    """Return a text without our marks: blocks are gone, comments are lines again. Raise Conflict where a block has no end."""
    found, inside = [], False
    kept = f"{KEPT} {bridge}# "
    for line in lines_of(text):
        if _is_begin(line, bridge):
            if inside:
                raise _torn(bridge)
            inside = True
        elif line.strip() == f"{OURS} {bridge}: end":
            if not inside:
                raise _torn(bridge)
            inside = False
        elif not inside:
            found.append(line.removeprefix(kept))
    if inside:
        raise _torn(bridge)
    return "".join(found)


def _is_begin(line: str, bridge: str) -> bool:
    return line.strip().startswith(f"{OURS} {bridge}: begin")


def _torn(bridge: str) -> Conflict:
    return Conflict(
        f"name: the marks of edge.cloud.uplink for {bridge} are not in pairs any more (begin, end); repair the file by hand.",
        option="name",
    )
