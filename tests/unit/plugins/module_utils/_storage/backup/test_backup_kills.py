# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kill in the middle of a backup and of a restore: nothing half is believed, restic ends too, and a rerun works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.intake import Intake
from support.images import QEMU
from support.processes import LIBRARY, TREE
from support.recovery import Replica
from support.waiting import until

CODE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from LIBRARY._runner import SubprocessRunner
from LIBRARY._storage.backup.reconcile import Backups
from LIBRARY._storage.backup.request import Access, Request
from LIBRARY._storage.backup.restic import Restic
from LIBRARY._storage.format.qemu_img import QemuImg

state, root, images, folder = sys.argv[1:]
access = Access(f"{folder}/repository", "secret")
asked = Request(state, Path(root), Path(images), Path(folder, "work"), "web", init=True, path=Path(folder, "back"))
restic = Restic(SubprocessRunner(access.variables), access)
print(Backups(restic, QemuImg(SubprocessRunner()), asked, datetime.now(UTC), "edge1").run(False)["changed"])
"""
SLOW = """#!/bin/sh
for word in "$@"; do
    case "$word" in
        backup|restore) echo $$ >"FOLDER/pid"; exec REAL --limit-upload 128 --limit-download 128 "$@" ;;
    esac
done
exec REAL "$@"
"""


class Trial:
    """A replica of a VM, and a restic that takes many seconds for what a test would otherwise not hit."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.replica = folder, Replica.with_points(folder, 2)
        real = shutil.which("restic")
        assert real, "restic is not installed"
        (folder / "bin").mkdir()
        (folder / "bin/restic").write_text(SLOW.replace("FOLDER", str(folder)).replace("REAL", real))
        (folder / "bin/restic").chmod(0o755)

    def start(self, state: str, *, slow: bool) -> subprocess.Popen[str]:
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}" if slow else os.environ["PATH"]
        environment = {"PYTHONPATH": str(TREE / "collections"), "PATH": path, "RESTIC_CACHE_DIR": str(self.folder / "cache")}
        replica = self.replica
        words = [state, str(replica.depot.root), str(replica.machine.images.root), str(self.folder)]
        argv = [sys.executable, "-c", CODE.replace("LIBRARY", LIBRARY), *words]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment)

    def run(self, state: str) -> str:
        with self.start(state, slow=False) as process:
            out = process.communicate()[0].strip()
        assert process.returncode == 0
        return out

    def kill(self, state: str, when: Callable[[], bool]) -> None:
        """Kill a run in its middle, and wait until its restic has ended by itself."""
        with self.start(state, slow=True) as process:
            until(lambda: process.poll() is not None or when(), "the run is in its middle")
            assert process.poll() is None, "it ended before the kill"
            process.kill()
        child = Path("/proc", (self.folder / "pid").read_text().strip())
        until(lambda: not child.exists() or "State:\tZ" in (child / "status").read_text(), "restic ended")

    @property
    def snapshots(self) -> list[Path]:
        return list((self.folder / "repository/snapshots").iterdir())


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


@pytest.mark.slow
def test_kills(trial: Trial) -> None:
    data = trial.folder / "repository/data"
    trial.kill("present", lambda: any(path.is_file() for path in data.rglob("*")) if data.exists() else False)
    assert trial.snapshots == []
    assert not list(trial.replica.depot.folder(trial.replica.machine.vm.uuid).glob("*.pin"))
    assert trial.replica.tidy(keep=2).doubts == []  # no lock of a file outlives the process
    assert trial.run("present") == "True"
    assert trial.run("present") == "False"
    assert len(trial.snapshots) == 1

    back, work = trial.folder / "back", trial.folder / ".back.restore"
    shutil.rmtree(trial.folder / "cache")
    trial.kill("restored", lambda: any(path.is_file() for path in work.rglob("*")))
    assert not back.exists()
    assert trial.run("restored") == "True"
    assert trial.run("restored") == "False"
    assert not work.exists()
    other = Replica(trial.replica.machine, trial.folder / "other")
    assert Intake(other.depot, QEMU, trial.replica.machine.images).take(back).generation.name == "0.2"
    other.require_content("0.2")
