# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is declared of a path, what is found there, and in which words they differ. Pure."""

from __future__ import annotations

from dataclasses import dataclass

NAMES = {"folder": "a folder", "file": "a file", "link": "a symbolic link", "other": "neither a file, a folder nor a link"}


@dataclass(frozen=True)
class Entry:
    """A declared path; ``option`` is where it was declared, ``data`` a file's bytes, ``target`` what a link names.

    ``copy_of`` is the file of the host whose bytes are meant, until ``data`` has them.
    """

    option: str
    path: str
    kind: str
    present: bool
    owner: str = "root"
    group: str = "root"
    mode: int = 0o755
    data: bytes = b""
    target: str = ""
    copy_of: str = ""
    validate: str = ""
    secret: bool = False
    remove_contents: bool = False


@dataclass(frozen=True)
class Found:
    """What is at a path; ``names``: a folder's entries, ``followed``: it is reached by a link, ``mounted``: it is a mount point."""

    kind: str
    owner: str = ""
    group: str = ""
    mode: int = 0
    data: bytes = b""
    target: str = ""
    followed: bool = False
    names: frozenset[str] = frozenset()
    mounted: bool = False


def reasons(entry: Entry, found: Found) -> list[str]:
    """Return in words each difference between a path that is there and its declaration."""
    if entry.kind == "link":
        return [] if found.target == entry.target else [f"it names {found.target}"]
    words = ["its content differs"] if entry.kind == "file" and found.data != entry.data else []
    words += [f"its owner is {found.owner}"] if found.owner != entry.owner else []
    words += [f"its group is {found.group}"] if found.group != entry.group else []
    return words + ([f"its mode is {found.mode:04o}"] if found.mode != entry.mode else [])
