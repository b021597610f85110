# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The library on a host: ``ROOT/DIGEST/edge_cloud/`` is one state of it, and the link ``ROOT/current`` names the one in use.

A new state is written and compiled under another name and renamed, then the link is replaced by a rename: a program that starts at
any moment gets one whole state. The previous state stays for programs that still run; older ones are removed.
"""

from __future__ import annotations

import base64
import compileall
import contextlib
import hashlib
import json
import py_compile
import re
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from .._errors import InvalidInput, Refused
from .._files import fsync
from .._json import load_object
from .._plan import Plan
from .._sizes import MIB

PACKAGE = "edge_cloud"
LINK = "current"
OURS = re.compile(r"\.?[0-9a-f]{16}(\.new|\.old)?|\.?current(\.new)?")
LARGEST = 64 * MIB
BY_HASH = py_compile.PycInvalidationMode.UNCHECKED_HASH  # a state never changes, so its source need not be checked


def pack(folder: Path) -> str:
    """Return the Python files below ``folder`` as text that ``unpack`` reads; the same files give the same text."""
    return base64.b64encode(zlib.compress(json.dumps(read(folder), sort_keys=True).encode(), 9)).decode()


def read(folder: Path) -> dict[str, str]:
    """Return the Python files below ``folder``; bytes that are no text become other ones."""
    return {str(path.relative_to(folder)): path.read_bytes().decode(errors="replace") for path in sorted(folder.rglob("*.py"))}


def unpack(text: str) -> dict[str, str]:
    """Return the files of ``pack``, each below its folder; anything else raises InvalidInput."""
    try:
        opened = zlib.decompressobj()
        data = opened.decompress(base64.b64decode(text, validate=True), LARGEST)
    except (ValueError, zlib.error) as error:
        raise InvalidInput(f"The archive of the library cannot be read: {error}.") from None
    found = load_object(data, "The archive of the library", LARGEST, InvalidInput)
    if not found or not all(_is_file(name) and isinstance(found[name], str) for name in found):
        raise InvalidInput("The archive of the library does not hold Python files below a folder only.")
    return found


def _is_file(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix == ".py" and not path.is_absolute() and ".." not in path.parts and str(path) == name


def digest_of(files: Mapping[str, str]) -> str:
    """Return the name of a state of the library."""
    return hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Installed:
    """The state in use: its name, or None; ``whole`` if its files are those that were installed."""

    version: str | None = None
    whole: bool = True


@dataclass(frozen=True)
class Install:
    """Write a state of the library and use it."""

    version: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Install the library {self.version}."

    def predict(self, state: Installed) -> Installed:
        """See Step."""
        return replace(state, version=self.version, whole=True)


@dataclass(frozen=True)
class Remove:
    """Remove every state of the library."""

    @property
    def sentence(self) -> str:
        """See Step."""
        return "Remove the library."

    def predict(self, _state: Installed) -> Installed:
        """See Step."""
        return Installed()


def view(state: Installed) -> Mapping[str, Any]:
    """Return what a module shows and compares."""
    return {"version": state.version, "whole": state.whole} if state.version else {}


@dataclass(frozen=True)
class Library:
    """The library under ``root``."""

    root: Path

    def observe(self, wanted: str = "") -> Installed:
        """Return the state in use; if it is ``wanted``, it is whole only if its files have that name."""
        try:
            version = str((self.root / LINK).readlink())
        except OSError:
            return Installed()
        return Installed(version, version != wanted or digest_of(read(self.root / version / PACKAGE)) == wanted)

    def plan(self, version: str) -> Plan[Installed]:
        """Return the steps to exactly the files of that name."""
        state = self.observe(version)
        return Plan(state, () if (state.version, state.whole) == (version, True) else (Install(version),))

    def plan_absent(self) -> Plan[Installed]:
        """Return the steps that remove the library; Refused if the folder has other files."""
        foreign = sorted(path.name for path in self._entries() if not OURS.fullmatch(path.name))
        if foreign:
            raise Refused(f"{self.root} is not removed: {foreign[0]!r} in it does not belong to this library.", path=str(self.root))
        return Plan(self.observe(), (Remove(),) if self.root.exists() else ())

    def apply(self, step: Install | Remove, files: Mapping[str, str]) -> None:
        """Carry out one step; after a kill at any moment the old or the new state is in use, never a mixture."""
        if isinstance(step, Remove):
            with contextlib.suppress(FileNotFoundError):
                (self.root / LINK).unlink()
            shutil.rmtree(self.root)
            return
        before = self.observe().version
        self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._write(step.version, files)
        self._use(step.version)
        self._remove_except({step.version, before})

    def _write(self, version: str, files: Mapping[str, str]) -> None:
        work, target = self.root / f".{version}.new", self.root / version
        shutil.rmtree(work, ignore_errors=True)
        for name, text in files.items():
            path = work / PACKAGE / name
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        compileall.compile_dir(work / PACKAGE, quiet=2, stripdir=work, prependdir=target, invalidation_mode=BY_HASH)
        for path in (self.root, work, *sorted(work.rglob("*"))):
            path.chmod(0o755 if path.is_dir() else 0o644)
            fsync(path)
        if target.exists():  # this version with other files is moved away first; for that moment the link names nothing
            spoilt = self.root / f".{version}.old"
            shutil.rmtree(spoilt, ignore_errors=True)
            target.rename(spoilt)
        work.rename(target)
        fsync(self.root)

    def _use(self, version: str) -> None:
        link = self.root / f".{LINK}.new"
        link.unlink(missing_ok=True)
        link.symlink_to(version)
        link.rename(self.root / LINK)
        fsync(self.root)

    def _remove_except(self, kept: set[str | None]) -> None:
        for path in self._entries():
            if OURS.fullmatch(path.name) and path.name != LINK and path.name not in kept:
                shutil.rmtree(path)

    def _entries(self) -> list[Path]:
        return list(self.root.iterdir()) if self.root.is_dir() else []
