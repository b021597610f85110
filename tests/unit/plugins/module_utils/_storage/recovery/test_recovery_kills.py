# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kill at any step of taking in, merging and collecting: what was listed is whole, and the next run ends the work."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.depot import Depot
from support.processes import changes, killed
from support.recovery import CLUSTER, UUID, Machine, Replica

SAMPLE = 6


class Trial:
    """Three points that are here, each with a longer chain, and a fourth that is to be taken in; then the first one goes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machine = Machine(folder / "machine")
        self.before = Replica(self.machine, folder / "before")
        for number in range(3):
            self._change(number)
            self.before.intake.take(self.machine.point())
        self._change(3)
        self.offered = self.machine.point()
        self.tries = 0

    def _change(self, number: int) -> None:
        self.machine.write(number * CLUSTER, 2 * CLUSTER, number + 1)
        self.machine.write((8 + number) * CLUSTER, CLUSTER, 0)

    def fresh(self) -> Replica:
        """Return a replica as it was before."""
        self.tries += 1
        root = self.folder / f"try-{self.tries}"
        shutil.copytree(self.before.depot.root, root)
        return Replica(self.machine, root)

    def work(self, replica: Replica) -> None:
        replica.intake.take(self.offered)
        replica.tidy(keep=3, longest=2)

    def opens(self, path: str) -> bool:
        return f"/try-{self.tries}/" in path

    def kill(self, call: int) -> None:
        """Kill the work at one step and require all that must hold then, and after the next run."""
        replica = self.fresh()
        assert killed(lambda: self.work(replica), call, self.opens)
        listed = Depot(replica.depot.root).listed(UUID)
        assert (listed.unreadable, listed.damaged) == ((), frozenset())
        assert {"0.2", "0.3"} <= set(replica.names)
        replica.require_all()
        self.work(replica)
        assert replica.names == ["0.2", "0.3", "0.4"]
        listed = replica.depot.listed(UUID)
        assert max(len(one.disks[0].chain) for one in listed.whole) == 2
        needed = {file.digest[7:] for one in listed.whole for file in one.needs}
        assert {path.name for path in replica.depot.files(UUID).iterdir()} == needed
        assert list(replica.depot.partial.iterdir()) == []
        replica.require_all()
        shutil.rmtree(replica.depot.root)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def steps(trial: Trial) -> int:
    replica = trial.fresh()
    found = changes(lambda: trial.work(replica), trial.opens)
    assert replica.names == ["0.2", "0.3", "0.4"]
    replica = trial.fresh()
    assert not killed(lambda: trial.work(replica), found + 1, trial.opens)
    return found


def test_a_sample_of_kills_loses_nothing(trial: Trial) -> None:
    found = steps(trial)
    assert found > 60
    for call in range(found // (2 * SAMPLE), found, found // SAMPLE):
        trial.kill(call)


@pytest.mark.slow
def test_a_kill_at_every_step_loses_nothing(trial: Trial) -> None:
    for call in range(1, steps(trial) + 1):
        trial.kill(call)
