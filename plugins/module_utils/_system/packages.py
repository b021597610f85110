# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages: one question to dpkg for all of them, and apt only for those that are missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._errors import CommandFailed
from .._plan import Plan
from .._runner import Runner

LISTS = Path("/var/lib/apt/lists")
FRESH = 3600.0
APT = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]
KEEP_FILES = ["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]
Installed = frozenset[str]


@dataclass(frozen=True)
class Install:
    """Install packages by one run of apt."""

    names: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Install {', '.join(self.names)}: not installed."

    def predict(self, state: Installed) -> Installed:
        """See Step."""
        return state | set(self.names)


def view(state: Installed) -> Mapping[str, Any]:
    """Return what a module shows and compares."""
    return {"installed": sorted(state)}


@dataclass(frozen=True)
class Packages:
    """The host's packages; ``now`` is its clock."""

    runner: Runner
    lists: Path = LISTS
    now: Callable[[], float] = time.time

    def plan(self, names: Sequence[str]) -> Plan[Installed]:
        """Return the step that installs what is missing of ``names``."""
        wanted = list(dict.fromkeys(names))
        found = self._installed(wanted)
        missing = tuple(name for name in wanted if name not in found)
        return Plan(found, (Install(missing),) if missing else ())

    def _installed(self, names: Sequence[str]) -> Installed:
        """Return those of ``names`` that are installed, or that an installed package provides."""
        if not names:
            return frozenset()
        found = {row[0] for row in self._query("${Package}", names)}
        if not found.issuperset(names):
            found |= {word.split()[0] for row in self._query("${Provides}") for word in row[0].split(",") if word.strip()}
        return frozenset(found.intersection(names))

    def _query(self, field: str, names: Sequence[str] = ()) -> Iterator[list[str]]:
        """Yield a field of each installed package of ``names``, or of all."""
        shown = self.runner.run(["dpkg-query", "-W", "-f", field + "\t${db:Status-Status}\n", "--", *names], check=False)
        rows = (line.rsplit("\t", 1) for line in shown.stdout.splitlines())
        return (row for row in rows if row[1:] == ["installed"])

    def apply(self, step: Install) -> None:
        """Install the missing packages; old lists are renewed first, and still used where the mirror is not reached."""
        unreached = self._renew()
        try:
            self.runner.run([*APT, *KEEP_FILES, "--no-install-recommends", "install", "--", *step.names])
        except CommandFailed as error:
            error.message += f"\nBefore, the lists of packages could not be renewed: {unreached}" if unreached else ""
            error.args = (error.message,)
            raise

    def _renew(self) -> str:
        """Renew lists that are older than an hour; return the error of apt, or nothing."""
        fresh = (0 <= self.now() - path.stat().st_mtime < FRESH for path in self.lists.glob("partial"))
        if any(self.lists.glob("*_Packages*")) and any(fresh):
            return ""
        done = self.runner.run([*APT, "-o", "APT::Update::Error-Mode=any", "update"], check=False)
        return "" if done.rc == 0 else done.stderr.strip()
