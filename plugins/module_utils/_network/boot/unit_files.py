# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the files of systemd-networkd as it does: over all its folders, with masks and drop-ins."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from .matching import Pair, pairs

BELOW = ("etc", "run", "usr/local/lib", "usr/lib", "lib")  # a file of the same name in an earlier one replaces a later


@dataclass(frozen=True)
class UnitFile:
    """A file and what it assigns, with its drop-ins, and their texts; ``problem`` says why it could not be read whole."""

    path: Path
    pairs: tuple[Pair, ...] = ()
    problem: str = ""
    texts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name by which files are put in order."""
        return self.path.name


def folders(directory: Path) -> tuple[Path, ...]:
    """Return the folders that networkd reads beside ``directory``; for one that is not a system's own, itself alone."""
    if directory.parts[-3:] != ("etc", "systemd", "network"):
        return (directory,)
    return tuple(directory.parents[2] / below / "systemd/network" for below in BELOW)


def unit_files(directory: Path, suffix: str) -> list[UnitFile]:
    """Return the files with ``suffix`` in the order in which networkd takes them, without those that are masked."""
    every = folders(directory)
    return [_read(path, every) for _name, path in sorted(_first(every, suffix).items())]


def _first(every: tuple[Path, ...], suffix: str) -> dict[str, Path]:
    """Return the files by name, each from the first folder that has it; one that is empty or /dev/null masks its name."""
    found: dict[str, Path] = {}
    for folder in every:
        try:
            paths = list(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            continue
        for path in paths:
            if path.name.endswith(suffix) and not path.name.startswith(".") and (path.is_symlink() or not path.is_dir()):
                found.setdefault(path.name, path)
    return {name: path for name, path in found.items() if not _masks(path)}


def _masks(path: Path) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    return path.resolve() == Path("/dev/null") or (stat.S_ISREG(found.st_mode) and found.st_size == 0)


def _read(path: Path, every: tuple[Path, ...]) -> UnitFile:
    drop_ins = _first(tuple(folder / f"{path.name}.d" for folder in every), ".conf")
    found: list[Pair] = []
    texts: list[str] = []
    for part in (path, *(drop_ins[name] for name in sorted(drop_ins))):
        try:
            texts.append(read_text(part))
            found += pairs(texts[-1])
        except OSError as error:
            return UnitFile(path, tuple(found), _problem(part, error))
    return UnitFile(path, tuple(found), texts=tuple(texts))


def read_text(path: Path) -> str:
    """Return the text of a file; bytes that are not UTF-8 stay as surrogates. Raise OSError for all that is not a file."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "it is not a file")
        return file.read().decode("utf-8", "surrogateescape")


def _problem(path: Path, error: OSError) -> str:
    if path.is_symlink() and not path.exists():
        return f"{path} is a link to {path.readlink()}, which does not exist; remove the link or restore its target"
    return f"{path} cannot be read ({error.strerror}); repair or remove it"
