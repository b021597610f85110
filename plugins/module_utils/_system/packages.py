# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages: one question to dpkg for all of them, and apt only for those that are missing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._errors import CommandFailed
from .._plan import Plan
from .._runner import Runner
from .package_record import RecordFile

LISTS = Path("/var/lib/apt/lists")
FRESH = 3600.0
APT = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]
KEEP_FILES = ["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]
GONE = frozenset({"not-installed", "config-files"})
NEW = re.compile(r"^The following NEW packages will be installed:\n((?:  .*\n)*)", re.MULTILINE)


@dataclass(frozen=True)
class Seen:
    """The installed ones of the packages, and what the record says that one of ours needs of them, if anything."""

    installed: frozenset[str]
    needed: frozenset[str] | None = None


@dataclass(frozen=True)
class Note:
    """Record which packages one of ours needs."""

    names: tuple[str, ...]
    needed_by: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Note that {self.needed_by} needs {', '.join(self.names) or 'no packages'}."

    def predict(self, state: Seen) -> Seen:
        """See Step."""
        return Seen(state.installed, frozenset(self.names))


@dataclass(frozen=True)
class Install:
    """Install packages by one run of apt."""

    names: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Install {', '.join(self.names)}: not installed."

    def predict(self, state: Seen) -> Seen:
        """See Step."""
        return Seen(state.installed | set(self.names), state.needed)


def view(state: Seen) -> Mapping[str, Any]:
    """Return what a module shows and compares."""
    return {"installed": sorted(state.installed)} | ({} if state.needed is None else {"needed": sorted(state.needed)})


def there(runner: Runner) -> frozenset[str]:
    """Return the packages of which more than configuration files is there, also of an installation that broke off."""
    native = runner.run(["dpkg", "--print-architecture"]).stdout.strip()
    shown = runner.run(["dpkg-query", "-W", "-f", "${Package} ${Architecture} ${db:Status-Status}\n"]).stdout
    rows = (line.split() for line in shown.splitlines())
    return frozenset(row[0] for row in rows if len(row) == 3 and row[1] in (native, "all") and row[2] not in GONE)


@dataclass(frozen=True)
class Packages:
    """The host's packages; ``now`` is its clock, and ``needed_by`` the one of ours for which they are installed, if recorded."""

    runner: Runner
    needed_by: str = ""
    record: RecordFile = field(default_factory=RecordFile)
    lists: Path = LISTS
    now: Callable[[], float] = time.time

    def plan(self, names: Sequence[str]) -> Plan[Seen]:
        """Return the steps that record who needs ``names``, and install what is missing of them."""
        wanted = tuple(dict.fromkeys(names))
        found = self._installed(wanted)
        missing = tuple(name for name in wanted if name not in found)
        noted = self._noted(wanted, found)
        return Plan(noted.before, (*noted.steps, Install(missing)) if missing else noted.steps)

    def plan_note(self, names: Sequence[str]) -> Plan[Seen]:
        """Return the step that records which of ``names`` are there and needed; nothing is installed."""
        found = self._installed(names)
        return self._noted(tuple(name for name in dict.fromkeys(names) if name in found), found)

    def _noted(self, names: tuple[str, ...], found: frozenset[str]) -> Plan[Seen]:
        needed = self.record.read().needs.get(self.needed_by) if self.needed_by else None
        steps = (Note(names, self.needed_by),) if self.needed_by and needed != frozenset(names) else ()
        return Plan(Seen(found, needed), steps)

    def _installed(self, names: Sequence[str]) -> frozenset[str]:
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

    def apply(self, step: Note | Install) -> None:
        """Do a step. Old lists are renewed before an installation, and still used where the mirror is not reached."""
        if isinstance(step, Note):
            self.record.update(lambda record: record.noted(step.needed_by, step.names))
            return
        unreached = self._renew()
        try:
            self._install(step.names)
        except CommandFailed as error:
            error.message += f"\nBefore, the lists of packages could not be renewed: {unreached}" if unreached else ""
            error.args = (error.message,)
            raise

    def _install(self, names: Sequence[str]) -> None:
        """Install packages, and record which are new with them, also where apt broke off: what is not recorded stays for ever."""
        argv = [*APT, *KEEP_FILES, "--no-install-recommends", "install", "--", *names]
        before = there(self.runner) if self.needed_by else frozenset()
        done = self.runner.run(argv, check=False)
        if self.needed_by and (new := NEW.search(done.stdout)):
            # Another apt may have run while this one waited for it: only what this one says is new is ours.
            after = there(self.runner)
            brought = (after - before).intersection(new[1].split())
            self.record.update(lambda record: record.still(before).with_brought(brought))
        if done.rc:
            raise CommandFailed(argv, done.rc, done.stderr)

    def _renew(self) -> str:
        """Renew lists that are older than an hour; return the error of apt, or nothing."""
        fresh = (0 <= self.now() - path.stat().st_mtime < FRESH for path in self.lists.glob("partial"))
        if any(self.lists.glob("*_Packages*")) and any(fresh):
            return ""
        done = self.runner.run([*APT, "-o", "APT::Update::Error-Mode=any", "update"], check=False)
        return "" if done.rc == 0 else done.stderr.strip()
