# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of libvirt's configuration files by key: a marked block, and what it replaces, kept and given back.

libvirt takes the first setting of a key, so a block at the end is without effect where the key is set already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..._errors import InvalidInput, Refused

Value = int | str | tuple[str, ...]
LARGEST = 2**63 - 1
KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._-]*[A-Za-z0-9])?")
TOKEN = re.compile(
    r"""\"\"\"(?P<long>.*?)\"\"\"|"(?P<double>[^"\n]*)"|'(?P<single>[^'\n]*)'|\#[^\n]*|(?P<bare>[^\s,\[\]"'\#]+)""", re.DOTALL
)
# As libvirt reads a file: settings end with their line, which a carriage return ends too, or with a semicolon.
TEXT = r"""\"\"\".*?\"\"\"|"[^"\n\r]*"|'[^'\n\r]*'"""
STATEMENT = re.compile(
    rf"""[\s;]*(?:\#[^\n\r]*|(?P<key>[A-Za-z][A-Za-z0-9_]*)[ \t]*=[ \t]*
    (?P<value>{TEXT}|\[(?:{TEXT}|\#[^\n\r]*|[^\]"'\#])*\]|[^\n\r;\#]*)|[^\n\r;]+)""",
    re.DOTALL | re.VERBOSE,
)
UNQUOTABLE = re.compile(r'["\n\r\0]')


@dataclass(frozen=True)
class Entry:
    """A setting of a file: its key, its lines (from 0, the last one included) and its value; ``alone`` on these lines."""

    key: str
    first: int
    last: int
    value: Value
    alone: bool = True


@dataclass(frozen=True)
class Marks:
    """How lines of one block are distinguished from others."""

    name: str

    @property
    def begin(self) -> str:
        """The line before the block."""
        return f"# BEGIN edge.cloud {self.name}"

    @property
    def end(self) -> str:
        """The line after the block."""
        return f"# END edge.cloud {self.name}"

    @property
    def kept(self) -> str:
        """What begins a line that an administrator wrote and that the block replaces."""
        return f"#edge.cloud {self.name} replaces: "


def without_block(text: str, marks: Marks, path: str) -> tuple[list[str], int]:
    """Return the lines as they were without the block, and the place of the block; it is at the end where there is none."""
    lines = text.split("\n")
    begins = [number for number, line in enumerate(lines) if line.rstrip("\r") == marks.begin]
    ends = [number for number, line in enumerate(lines) if line.rstrip("\r") == marks.end]
    if len(begins) != len(ends) or len(begins) > 1 or any(end < begin for begin, end in zip(begins, ends, strict=True)):
        raise Refused(
            f"{path}: line {(begins + ends)[0] + 1} begins or ends a block that is not whole. Mend or remove it, then run again.",
            path=path,
        )
    place = begins[0] if begins else len(lines) - (lines[-1] == "")
    if begins:
        lines[begins[0] : ends[0] + 1] = []
    return [line.removeprefix(marks.kept) for line in lines], place


def with_block(text: str, marks: Marks, settings: Mapping[str, Value], *, replace: bool, path: str) -> str:
    """Return the text with these settings in effect; raise Refused where another setting is in their way, unless ``replace``.

    With ``replace`` such lines become comments that the absence of the block turns into settings again.
    """
    lines, place = without_block(text, marks, path)
    if not settings:
        return "\n".join(lines)
    foreign = [entry for entry in entries(lines) if entry.key in settings and entry.value != settings[entry.key]]
    if foreign and not replace:
        raise Refused(_in_the_way(foreign, settings, path), path=path, lines=[entry.first + 1 for entry in foreign])
    for entry in foreign:
        if not entry.alone:
            raise Refused(
                f"{path}:{entry.first + 1} sets {entry.key} beside something else. Give each setting a line of its own, then run "
                "again; nothing was written.",
                path=path,
                lines=[entry.first + 1],
            )
        for number in range(entry.first, entry.last + 1):
            lines[number] = marks.kept + lines[number]
    block = [marks.begin, *[f"{key} = {written(value, key)}" for key, value in settings.items()], marks.end]
    return "\n".join([*lines[:place], *block, *(lines[place:] or [""])])


def _in_the_way(foreign: Sequence[Entry], settings: Mapping[str, Value], path: str) -> str:
    def shown(key: str, value: Value) -> str:
        return "another one" if "password" in key else written(value, key)

    found = "; ".join(
        f"{path}:{entry.first + 1} sets {entry.key} to {shown(entry.key, entry.value)}"
        + ("" if "password" in entry.key else f", {written(settings[entry.key], entry.key)} is asked for")
        for entry in foreign
    )
    allow = "allow that they are replaced by replace (role hypervisor: hypervisor_replace_settings)"
    return f"{found}. Remove these lines, or {allow}; nothing was written."


def entries(lines: Sequence[str]) -> Iterator[Entry]:
    """Yield the settings, those that go over several lines or share one too; comments are none."""
    text = "\n".join(lines)
    found = [match for match in STATEMENT.finditer(text) if match["key"]]
    spans = [(text.count("\n", 0, one.start("key")), text.count("\n", 0, one.end("value"))) for one in found]
    for match, (first, last) in zip(found, spans, strict=True):
        alone = sum(begin <= last and first <= end for begin, end in spans) == 1
        yield Entry(match["key"], first, last, _value(match["value"].rstrip()), alone)


def check_key(where: str) -> None:
    """Raise InvalidInput for the path of an option that ends with no name of a setting."""
    key = where.rpartition(".settings.")[2]
    if not KEY.fullmatch(key):
        raise InvalidInput(f"{where!r:.200}: a key has letters, digits and underscores, and begins with a letter.", option=where)


def _value(raw: str) -> Value:
    found = [match for match in TOKEN.finditer(raw) if not match[0].startswith("#")]
    texts = tuple(next(part for part in match.groups() if part is not None) for match in found)
    if raw.startswith("["):
        return texts
    if not found:
        return ""
    bare = found[0]["bare"]
    return int(bare) if bare is not None and re.fullmatch(r"[+-]?[0-9]+", bare) else texts[0]


def written(value: Value, key: str) -> str:
    """Return a value as libvirt reads it."""
    if isinstance(value, int):
        return str(int(value))
    for text in [value] if isinstance(value, str) else value:
        if UNQUOTABLE.search(text):
            raise InvalidInput(
                f"settings.{key}: libvirt's files cannot hold a double quote or a line break.", option=f"settings.{key}"
            )
    return f'"{value}"' if isinstance(value, str) else "[" + ", ".join(f'"{text}"' for text in value) + "]"
