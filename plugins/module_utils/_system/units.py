# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd's units: what is declared, what systemctl says, and the commands between.

A unit that has to be restarted for a new file, or enabled again for a new [Install], is noted below /run before the file gets its
name, and forgotten afterwards: a run that broke off between the two is made up for by the next one. A boot, which starts the unit
again, forgets the note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .._errors import CommandFailed
from .._runner import Runner

NOTES = Path("/run/edge/restart")
KEPT_ENABLED = {"enabled", "static", "indirect", "generated", "alias"}
NOT_ENABLED = {"disabled", "static", "indirect", "generated", "masked", "transient", ""}
AGAIN = "+reenable"  # ends the note of a unit that is to be enabled again
RUNNING = {"active", "activating", "reloading"}


@dataclass(frozen=True)
class Unit:
    """A declared unit; None leaves enabled or state alone."""

    option: str
    name: str
    enabled: bool | None = None
    started: bool | None = None
    restart_on: tuple[str, ...] = ()
    reload_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoundUnit:
    """What systemd says of a unit; ``stale``: its file changed and was not read since.

    ``due``: a restart was not carried out, ``relink``: nor was what a new [Install] asks for.
    """

    known: bool = False
    enabled: str = ""
    running: bool = False
    stale: bool = False
    due: bool = False
    relink: bool = False


@dataclass(frozen=True)
class Systemd:
    """The host's systemd."""

    runner: Runner
    notes: Path = NOTES

    def look(self, names: Sequence[str]) -> dict[str, FoundUnit]:
        """Return what systemd says of units, by one command."""
        if not names:
            return {}
        wanted = "--property=LoadState,ActiveState,UnitFileState,NeedDaemonReload"
        blocks = self.runner.run(["systemctl", "show", wanted, "--", *names]).stdout.strip("\n").split("\n\n")
        return {name: self._found(name, block) for name, block in zip(names, blocks, strict=True)}

    def _found(self, name: str, block: str) -> FoundUnit:
        says = dict(line.split("=", 1) for line in block.splitlines())
        return FoundUnit(
            says["LoadState"] != "not-found",
            says["UnitFileState"],
            says["ActiveState"] in RUNNING,
            says["NeedDaemonReload"] == "yes",
            (self.notes / name).exists(),
            (self.notes / f"{name}{AGAIN}").exists(),
        )

    def note(self, names: Sequence[str]) -> None:
        """Note units that will have to be restarted, or with AGAIN enabled again."""
        for name in names:
            self.notes.mkdir(mode=0o755, parents=True, exist_ok=True)
            (self.notes / name).touch()

    def call(self, verb: str, name: str = "") -> None:
        """Run one verb of systemctl; enable and disable leave the reload to the caller."""
        quick = ["--no-reload"] if verb in ("enable", "disable", "reenable") else []
        try:
            self.runner.run(["systemctl", verb, *quick, *(["--", name] if name else [])])
        except CommandFailed as error:
            error.details["unit"] = name
            raise
        if verb in ("enable", "disable", "reenable"):
            (self.notes / f"{name}{AGAIN}").unlink(missing_ok=True)
        if verb in ("restart", "reload", "start", "stop"):
            (self.notes / name).unlink(missing_ok=True)
