# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the module backup over the real restic: killed while it makes a backup and while it restores one."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._generation import DOCUMENT
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.intake import Intake
from recovery.replica import Scene, Try, scene
from recovery.running import MOST_STEPS, Running, said
from support.images import QEMU
from support.outcomes import MISSED, Outcome, RandomMoment, Row, repeated, table_row
from support.recovery import Replica

NAMES = ("0.8", "0.9")


@dataclass
class Vault:
    """A repository of restic that has the older backup, and with ``both`` the newer one too; each try gets a copy."""

    scene: Scene
    folder: Path
    both: bool

    @property
    def name(self) -> str:
        """What is killed."""
        return "backup restored" if self.both else "backup"

    def __post_init__(self) -> None:
        one = self.fresh()
        for name in NAMES if self.both else NAMES[:1]:
            one.programs.good(**self.asked(one, init=True, generation=name))
        (one.folder / "repository").rename(self.folder)
        one.done()

    def fresh(self) -> Try:
        """Return a replica with the repository."""
        one = self.scene.fresh()
        if self.folder.exists():
            shutil.copytree(self.folder, one.folder / "repository")
        return one

    def asked(self, one: Try, **options: Any) -> dict[str, Any]:
        """Return a run of the module."""
        roots = {"root": str(one.replica.depot.root), "images_root": str(one.scene.machine.images.root)}
        access = {"repository": str(one.folder / "repository"), "password": "correct horse battery"}
        work = {"work_dir": str(one.folder / "work"), "remove_stale_locks": True, "vm": "web"}
        return {"module": "backup", "options": {**roots, **access, **work, **options}}

    def victim(self, one: Try) -> dict[str, Any]:
        """Return the run that is killed."""
        return self.restoring(one) if self.both else self.asked(one, generation=NAMES[1])

    def restoring(self, one: Try) -> dict[str, Any]:
        return self.asked(one, state="restored", generation=NAMES[1], path=str(one.folder / "back"))

    def judge(self, one: Try, what: str) -> Outcome:
        """Look at what is there, run again, and again, which has nothing to do; then another replica takes what is restored."""
        back, wrong = one.folder / "back", one.harm(set())
        if (back / DOCUMENT).exists():
            wrong += self.taken(one, "early")
        done = one.programs.run(**self.victim(one))
        again = one.programs.run(**self.victim(one))
        wrong += [f"the next run failed: {done}"] if done["rc"] else []
        wrong += [f"the run after it changed something: {again}"] if again.get("changed") is not False else []
        if not back.exists():
            one.programs.run(**self.restoring(one))
        wrong += self.taken(one, "late")
        info = {"repository": str(one.folder / "repository"), "password": "correct horse battery"}
        found = one.programs.run(module="backup_info", options=info)
        names = [one["generation"] for one in found.get("backups", [])]
        wrong += [f"the repository has {names}"] if names != list(NAMES) else []
        left = [path.name for path in (*one.folder.glob(".back.restore"), *one.folder.glob("work/*"))]
        one.done()
        return said(what, (wrong != [], left != []), wrong, left)

    def taken(self, one: Try, name: str) -> list[str]:
        """Return what is wrong with the restored folder, as another replica sees it that takes it in."""
        other = Replica(one.scene.machine, one.folder / name)
        try:
            Intake(other.depot, QEMU).take(one.folder / "back")
            other.require_content(NAMES[1])
        except Exception as error:  # noqa: BLE001 - whatever it is, the backup is not right
            return [f"what is restored is not right: {error}"]
        return []


def finished(running: Running) -> bool:
    """Return whether a program was killed before it had told its result."""
    done = running.result()
    return done == {"rc": -signal.SIGKILL}


def killed_at_each_step(vault: Vault, every: int) -> Iterator[Outcome]:
    """Kill the module before each of its steps, alone or with restic, until it comes through."""
    dice = vault.scene.dice
    for step in range(dice.randrange(every) + 1, MOST_STEPS, every):
        one = vault.fresh()
        running = one.programs.start(stop=step, **vault.victim(one)).until_hit()
        if not running.hit:
            done = running.result()
            assert done["rc"] == 0, f"{vault.name} failed by itself after step {step}: {done}"
            one.done()
            return
        running.kill(alone=dice.random() < 0.5)
        assert finished(running)
        yield vault.judge(one, f"{vault.name} killed at step {step}, {running.hit}")
    raise AssertionError("the steps have no end")


def killed_sometime(vault: Vault, moments: list[RandomMoment]) -> Outcome:
    """Kill the module and restic at a random moment."""
    one = vault.fresh()
    if not moments:
        begun, measured = time.monotonic(), vault.fresh()
        measured.programs.good(**vault.victim(measured))
        measured.done()
        moments.append(RandomMoment(vault.scene.dice, time.monotonic() - begun))
    running = one.programs.start(**vault.victim(one))
    seconds = moments[0].draw()
    time.sleep(seconds)  # the moment is what is random
    running.kill(alone=vault.scene.dice.random() < 0.5)
    if not finished(running):
        moments[0].too_late(seconds)
        one.done()
        return MISSED
    return vault.judge(one, f"{vault.name} killed after {seconds:.3f} s")


def rows(folder: Path, dice: random.Random, *, tries: int, every: int, only: str) -> Iterator[Row]:
    """Yield a row for each kind of fault whose name has ``only`` in it."""
    with scene(folder, dice) as place:
        for both in (False, True):
            vault = Vault(place, folder / f"repository-{both}", both)
            cases = [
                (f"{vault.name} killed at each step", killed_at_each_step(vault, every)),
                (f"{vault.name} killed at a random moment", repeated(partial(killed_sometime, vault, []), tries)),
            ]
            yield from (table_row(name, outcomes) for name, outcomes in cases if only in name)
