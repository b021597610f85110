# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter of sysctl.d: what files of the host switch off, and the file in which we switch something on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..._files import write_atomically

HEAD = "# Written by edge.cloud.public_address, for IPv6 addresses that this host answers for.\n"


def assigned(folders: Iterable[Path], last: Path) -> dict[str, tuple[str, Path]]:
    """Return the value of each setting and the file that has the last word on it, by path (net/ipv4/...).

    A file hides those of its name in later folders, and files are read by the order of their names, as sysctl.d(5) says.
    """
    files: dict[str, Path] = {}
    for folder in folders:
        for file in folder.glob("*.conf") if folder.is_dir() else ():
            files.setdefault(file.name, file)
    found: dict[str, tuple[str, Path]] = {}
    for file in (*(files[name] for name in sorted(files)), last):
        found |= {key: (value, file) for key, value in _read(file)}
    return found


def _read(file: Path) -> list[tuple[str, str]]:
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:  # a link to nowhere, which is how an administrator masks a file
        return []
    pairs = [line.strip().removeprefix("-").partition("=") for line in lines if "=" in line and line.strip()[0] not in "#;"]
    return [(as_path(key.strip()), value.strip()) for key, _sign, value in pairs]


def as_path(key: str) -> str:
    """Return the name of a setting with slashes; where the first separator is a dot, a slash stands for a dot of a link's name."""
    separator = next((letter for letter in key if letter in "./"), "/")
    return key.translate(str.maketrans("./", "/.")) if separator == "." else key


def ours(file: Path) -> frozenset[str]:
    """Return the settings that we switched on."""
    return frozenset(key for key, value in _read(file) if value == "1")


def write(file: Path, paths: Iterable[str]) -> None:
    """Have exactly these settings on at each boot; the file goes with the last."""
    lines = [f"{path} = 1\n" for path in sorted(paths)]
    if not lines:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_atomically(file, (HEAD + "".join(lines)).encode(), file.with_name(f".{file.name}.new"), mode=0o644)
