# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksum lists as publishers write them: the forms of GNU, BSD and OpenSSL, single digests, clear-signed lists. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..._errors import InvalidInput

LARGEST = 32 * 1024 * 1024
MOST_LINES = 500_000
MOST_UNREAD = 100
DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
ALGORITHMS = {digits: algorithm for algorithm, digits in DIGITS.items()}
HEX = r"[0-9A-Fa-f]{32,128}"
# Each form looks at a run of blanks once: a line of a hostile list may have a million.
GNU = re.compile(rf"(?P<escaped>\\?)(?:(?P<tag>[A-Za-z0-9-]+):)?(?P<hex>{HEX})(?:[ \t]+\*?|\*)(?P<name>.+)")
TAGGED = re.compile(rf"(?P<escaped>\\?)(?P<tag>[A-Za-z0-9/-]+)[ \t]*\((?P<name>.+)\)[ \t]*=[ \t]*(?P<hex>{HEX})")
TABLE = re.compile(rf"(?P<escaped>)(?P<tag>[A-Za-z][A-Za-z0-9-]+)[ \t]+(?P<hex>{HEX})[ \t]+(?P<name>.+)")
NAME_FIRST = re.compile(rf"(?P<escaped>)(?P<tag>)(?P<name>.+?)(?<![ \t])(?:[ \t]*[:=][ \t]*|[ \t]+)(?P<hex>{HEX})")
ALONE = re.compile(rf"(?P<escaped>)(?:(?P<tag>[A-Za-z0-9-]+):)?(?P<hex>{HEX})(?P<name>(?:[ \t]+\*?-)?)")
SECTION = re.compile(r"#+[ \t]*([A-Za-z0-9/-]+) HASH")  # Gentoo and Flatcar write one before the lines of each algorithm
SIZE = re.compile(r"^(?:\d{6,}[ \t]+|\d+(?: {2,}|(?= *\t)[ \t]+))(?=\S)")  # some lists have one before the name
COMMENT = re.compile(r"$|[#;]")
OTHER_LISTS = re.compile(r"b2sum|b3sum|blake|sha3|sha-3|shake|sm3|rmd160|ripemd|whirlpool|tiger", re.IGNORECASE)
OWN_SUFFIX = re.compile(r"\.(?:md5|sha-?1|sha-?256|sha-?512)(?:sums?)?(?:\.(?:txt|asc))?|\.checksums?", re.IGNORECASE)
BEGIN_TEXT, BEGIN_SIGNATURE = "-----BEGIN PGP SIGNED MESSAGE-----", "-----BEGIN PGP SIGNATURE-----"
END_SIGNATURE = "-----END PGP SIGNATURE-----"


@dataclass
class Sums:
    """Name to algorithm to lower-case hexadecimal digits, and what was not understood: (line or name, reason).

    ``described`` is the file that the list is named after, if it is for one file.
    """

    described: str = ""
    contradicted: set[str] = field(default_factory=set)
    known: dict[str, dict[str, str]] = field(default_factory=dict)
    unread: list[tuple[str, str]] = field(default_factory=list)

    def refuse(self, label: str, reason: str) -> None:
        """Note what is not understood, up to a hundred times."""
        if len(self.unread) < MOST_UNREAD:
            self.unread.append((label, reason))


def parse(data: bytes, what: str, own_name: str = "") -> Sums:
    """Return the checksums that a list names; ``own_name`` is that of the list's file, for a digest that stands alone.

    A line that is not understood hides no other. Raises InvalidInput, with ``what``, if nothing is.
    """
    if len(data) > LARGEST:
        raise InvalidInput(f"{what} is larger than {LARGEST} bytes; it was not read.", catalogue=what)
    found = Sums(_described_by(own_name))
    section = "another algorithm" if OTHER_LISTS.search(own_name) else ""
    for label, line in _signed(_lines(data, what, found), found):
        if heading := SECTION.match(line):
            section = heading[1]
        elif not COMMENT.match(line):
            _read(line, label, section, found)
    for name in found.contradicted:
        del found.known[name]
        found.refuse(name, f"{what} has two checksums of {name!a:.120} by one algorithm.")
    if not found.known and not found.contradicted:
        raise InvalidInput(f"{what} {_none(data, found)}", catalogue=what)
    return found


def _none(data: bytes, found: Sums) -> str:
    if not data.strip():
        return "is empty; it has no line with a checksum and a name."
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "has no line with a checksum and a name: it is a web page. Is a sign-in page in between?"
    reason = f" ({found.unread[0][0]}: {found.unread[0][1]})" if found.unread else ""
    return f"has no line with a checksum and a name{reason}."


def _lines(data: bytes, what: str, found: Sums) -> Iterator[tuple[str, str]]:
    """Yield (label, line), whatever the byte order mark and the ends of lines."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) and len(data) > 2:
        data = data.decode("utf-16", "replace").encode()
    if b"\0" in data:
        raise InvalidInput(f"{what} is not text; is it a checksum file?", catalogue=what)
    if data.count(b"\n") + data.count(b"\r") > 2 * MOST_LINES:
        raise InvalidInput(f"{what} has more than {MOST_LINES} lines; it was not read.", catalogue=what)
    for number, raw in enumerate(re.split(rb"\r\n|\r|\n", data), 1):
        try:
            line = raw.decode().lstrip("\ufeff").strip()
        except UnicodeDecodeError:
            found.refuse(f"line {number}", f"{raw!a:.120} is not UTF-8.")
            continue
        yield f"line {number}", line


def _signed(lines: Iterator[tuple[str, str]], found: Sums) -> Iterator[tuple[str, str]]:
    """Yield the lines of a plain list, or those within the signed text of a clear-signed one."""
    before: list[tuple[str, str]] = []
    for label, line in lines:
        if line == BEGIN_TEXT:
            for outside, other in before:
                if not COMMENT.match(other):
                    found.refuse(outside, f"{other!a:.120} is outside of the signed text.")
            yield from _within(lines, found)
            return
        if line == BEGIN_SIGNATURE:
            break
        before.append((label, line))
    yield from before


def _within(lines: Iterator[tuple[str, str]], found: Sums) -> Iterator[tuple[str, str]]:
    state = "headers"
    for label, line in lines:
        if line == BEGIN_TEXT:
            state = "headers"
        elif state == "headers":
            state = "text" if not line else state
        elif state == "text" and line == BEGIN_SIGNATURE:
            state = "signature"
        elif state == "text":
            yield label, line.removeprefix("- ")
        elif state == "signature":
            state = "outside" if line == END_SIGNATURE else state
        elif line:
            found.refuse(label, f"{line!a:.120} is outside of the signed text.")


def _read(line: str, label: str, section: str, found: Sums) -> None:
    match = next((match for form in (ALONE, GNU, TAGGED, TABLE, NAME_FIRST) if (match := form.fullmatch(line))), None)
    if match is None:
        found.refuse(label, f"{line!a:.120} is not a checksum and a name.")
        return
    algorithm = _algorithm(match["tag"] or section, len(match["hex"]))
    if algorithm is None:
        named = match["tag"] or section or f"{4 * len(match['hex'])} bits"
        found.refuse(label, f"{line!a:.80}: its checksum is of {named}; sha512 or sha256 are expected.")
        return
    name = _name(match["name"], bool(match["escaped"])) if match.re is not ALONE else found.described
    if not name:
        found.refuse(label, f"{line!a:.80} is a checksum without a name.")
        return
    if name.rsplit("/", 1)[-1] == found.described:
        name = found.described  # it lies beside its own list, wherever it lay when the list was made
    if found.known.setdefault(name, {}).setdefault(algorithm, match["hex"].lower()) != match["hex"].lower():
        found.contradicted.add(name)


def _algorithm(tag: str | None, digits: int) -> str | None:
    """Return the algorithm if we know it and its digests have so many digits."""
    if not tag:
        return ALGORITHMS.get(digits)
    name = re.sub(r"^sha2?-?(?=\d{3}$)|^sha-?(?=1$)", "sha", tag.lower())
    return name if DIGITS.get(name) == digits else None


def _described_by(own_name: str) -> str:
    """Return the file that a list for one file is named after: ``a.qcow2`` for ``a.qcow2.sha256``."""
    shorter = own_name.rsplit("/", 1)[-1]
    found = OWN_SUFFIX.search(shorter)
    return shorter[: found.start()] if found and found.end() == len(shorter) else ""


def _name(text: str, escaped: bool) -> str:
    if escaped:
        text = re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), text)
    text = SIZE.sub("", text.strip(" \t"))
    if "://" in text:
        return text
    first, *rest = text.split("/")
    parts = [first, *(part for part in rest if part not in ("", "."))]
    return "/".join(parts[1:] if parts[0] == "." and len(parts) > 1 else parts)
