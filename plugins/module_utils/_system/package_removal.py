# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that came with us go with what needed them, and only those: apt says, before anything is removed, what needs them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .._errors import Conflict
from .._plan import Plan, Step
from .._runner import Runner
from .package_record import Record, RecordFile
from .packages import APT, Seen, there

# Whatever apt is configured to do by itself: nothing else goes, and configuration files stay.
ONLY = ["-o", "APT::Get::AutomaticRemove=false", "-o", "APT::Get::Purge=false"]
UNIT = re.compile(r"(?:/usr)?/lib/systemd/system/([^/]+\.(?:service|socket|timer|path|target|mount|slice))")
INSTANCE = re.compile(r"@.*(?=\.)")  # of a unit's name
NEEDS = ["-o", "APT::AutoRemove::RecommendsImportant=true", "-o", "APT::AutoRemove::SuggestsImportant=false"]


@dataclass(frozen=True)
class Remove:
    """Remove packages by one run of apt, and keep their configuration files."""

    names: tuple[str, ...]
    needed_by: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Remove {', '.join(self.names)}: installed for {self.needed_by} or with it, and nothing else needs them."

    def predict(self, state: Seen) -> Seen:
        """See Step."""
        return Seen(state.installed - set(self.names), state.needed)


@dataclass(frozen=True)
class Forget:
    """Strike one of ours from the record."""

    needed_by: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Note that {self.needed_by} needs no packages any more."

    def predict(self, state: Seen) -> Seen:
        """See Step."""
        return Seen(state.installed)


@dataclass(frozen=True)
class Held:
    """Packages that came with us and stay; ``by`` are the others that would go with them."""

    names: tuple[str, ...] = ()
    by: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What to tell the user."""
        needing = f"since {', '.join(self.by)} would go with them" if self.by else "since an installed package recommends them"
        return f"{', '.join(self.names)} came with edge.cloud and stay, {needing}."


@dataclass(frozen=True)
class Removal:
    """What goes from this host with one of ours, and what stays."""

    runner: Runner
    file: RecordFile = field(default_factory=RecordFile)

    def plan(self, needed_by: str) -> tuple[Plan[Seen], Held]:
        """Return the steps that take away what only ``needed_by`` needs, and what others hold."""
        record = self.file.read()
        left = record.without(needed_by)
        ours = record.brought & there(self.runner) if record.brought else frozenset()
        gone = self._unneeded(ours - left.needed)
        steps: tuple[Step[Seen], ...] = (Remove(tuple(sorted(gone)), needed_by),) if gone else ()
        steps += (Forget(needed_by),) if needed_by in record.needs else ()
        return Plan(Seen(ours, record.needs.get(needed_by)), steps), self._held(ours - left.needed - gone, ours, left)

    def apply(self, step: Remove | Forget) -> None:
        """Do a step; raise Conflict if apt would by now remove or install anything else."""
        if isinstance(step, Forget):
            self._update(lambda record: record.without(step.needed_by))
            return
        gone, added = self._simulated("remove", step.names)
        if gone != set(step.names) or added:
            others = sorted((gone ^ set(step.names)) | added)
            raise Conflict(
                f"Other packages would change now: {', '.join(others)}. Nothing was removed; run again.", packages=others
            )
        units = self._units(step.names)
        self.runner.run([*APT, *ONLY, "remove", "--", *step.names])
        self._end(units)
        self._update(lambda record: record)

    def _units(self, names: Sequence[str]) -> set[str]:
        """Return the units of packages."""
        shown = self.runner.run(["dpkg-query", "--listfiles", "--", *names], check=False).stdout
        return {found[1] for line in shown.splitlines() if (found := UNIT.fullmatch(line))}

    def _end(self, units: set[str]) -> None:
        """Stop units that are gone and still run, and have systemd forget those that failed.

        Packages stop what they started, and no service that D-Bus starts: systemd-machined runs on without its unit. systemd then
        takes no sign of life of it, and its watchdog kills it minutes later. What failed would be listed until the next boot.
        """
        if not units:
            return
        if running := [name for name, state in self._gone(units) if state not in ("inactive", "failed")]:
            self.runner.run(["systemctl", "stop", "--", *running], check=False)
        if failed := [name for name, state in self._gone(units) if state == "failed"]:
            self.runner.run(["systemctl", "reset-failed", "--", *failed], check=False)

    def _gone(self, units: set[str]) -> list[tuple[str, str]]:
        """Return which of these units, or instances of them, systemd knows although no file describes them, and their state."""
        shown = self.runner.run(["systemctl", "list-units", "--all", "--plain", "--no-legend"], check=False).stdout
        rows = [line.split() for line in shown.splitlines()]
        found = [(row[0], row[2]) for row in rows if row[1:2] == ["not-found"]]
        return [(name, state) for name, state in found if {name, INSTANCE.sub("@", name)} & units]

    def _update(self, change: Callable[[Record], Record]) -> None:
        """Change the record, and strike from it what is gone."""
        here = there(self.runner)
        self.file.update(lambda record: change(record).still(here))

    def _unneeded(self, loose: frozenset[str]) -> frozenset[str]:
        """Return those that no package but themselves needs, directly or not; none if apt would change anything else with them."""
        gone = self._loose(loose)
        removed, added = self._simulated("remove", sorted(gone)) if gone else (set(), set())
        return gone if removed == gone and not added else frozenset()

    def _loose(self, names: frozenset[str]) -> frozenset[str]:
        """Return which of these apt calls unneeded, if all others had been asked for by name."""
        if not names:
            return frozenset()
        native = self.runner.run(["dpkg", "--print-architecture"]).stdout.strip()
        with tempfile.TemporaryDirectory(prefix="edge-packages-") as folder:
            marks = Path(folder, "extended_states")
            marks.write_text("".join(f"Package: {name}\nArchitecture: {native}\nAuto-Installed: 1\n\n" for name in sorted(names)))
            gone = self._simulated("autoremove", (), [*NEEDS, "-o", f"Dir::State::extended_states={marks}"])[0]
        return names & gone

    def _held(self, kept: frozenset[str], ours: frozenset[str], left: Record) -> Held:
        """Return which of the kept packages others hold; what the rest of ours needs is not worth a word."""
        if kept and left.needs:
            kept -= self._loose(ours)
        by = self._simulated("remove", sorted(kept))[0] - ours if kept else set()
        return Held(tuple(sorted(kept)), tuple(sorted(by)))

    def _simulated(self, verb: str, names: Sequence[str], options: Sequence[str] = ()) -> tuple[set[str], set[str]]:
        """Return the packages that apt would remove and install."""
        shown = self.runner.run([*APT, *ONLY, *options, "-s", verb, *(["--", *names] if names else [])], check=False)
        rows = [line.split() for line in shown.stdout.splitlines()]
        return {row[1] for row in rows if row[:1] == ["Remv"]}, {row[1] for row in rows if row[:1] == ["Inst"]}
