# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backups of a timer, over the real restic, of recovery points made by the real qemu-img."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError, InvalidInput, NotFound, Refused
from ansible_collections.edge.cloud.plugins.module_utils._files import locked
from ansible_collections.edge.cloud.plugins.module_utils._host import backup as verbs
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.notes import NOTES, Notes, Report
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.request import Request, request_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.restic import Restic
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.settings import read_settings
from support.recovery import UUID, Replica

OTHER = UUID.replace("6", "7")
START = datetime(2026, 11, 28, 2, tzinfo=UTC)


class Site:
    """A replica with points of the VM web, files, and the settings of its timer."""

    def __init__(self, replica: Replica, folder: Path) -> None:
        self.replica, self.folder, self.file = replica, folder, folder / "backup.json"
        (folder / "etc").mkdir()
        (folder / "etc/cluster").write_text("settings")
        (folder / "password").write_text("c4n4ry")
        self.found: dict[str, Any] = {
            "repository": str(folder / "repository"),
            "password_file": str(folder / "password"),
            "environment": {"RESTIC_CACHE_DIR": str(folder / "cache")},
            "vms": None,
            "name": "frontend",
            "paths": [str(folder / "etc")],
            "databases": [str(folder / "never-written.sqlite3")],
            "retention": None,
            "prune_days": 7,
            "verify_days": 2,
            "late_days": 0,
            "read_data_subset": None,
            "root": str(replica.depot.root),
            "images_root": str(replica.machine.images.root),
            "work_dir": str(folder / "work"),
        }
        self.lines: list[str] = []

    def write(self, **changes: Any) -> Path:
        self.found |= changes
        self.file.write_text(json.dumps(self.found))
        return self.file

    def run(self, after: timedelta = timedelta(), patience: float = 0, look_again: float = 0.1) -> Report:
        run = verbs.scheduled(read_settings(self.write()))
        run.log, run.now, run.patience, run.look_again = self.lines.append, lambda: START + after, patience, look_again
        return run.run()

    def restic(self, *argv: str) -> str:
        environment = {**os.environ, "RESTIC_PASSWORD": "c4n4ry", "RESTIC_REPOSITORY": self.found["repository"]}
        return subprocess.run(["restic", *argv], env=environment, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def site(prepared: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(prepared.copied(tmp_path / "points"), tmp_path)
    monkeypatch.setattr(verbs, "FILE", made.write())
    return made


@pytest.fixture
def repository(site: Site) -> Site:
    assert verbs.check(None, {"init": True})["changed"]
    return site


def test_no_repository_is_made_unasked(site: Site) -> None:
    with pytest.raises(NotFound, match="there is no repository of restic"):
        verbs.check(None, {})
    with pytest.raises(NotFound, match="there is no repository of restic"):
        site.run()
    assert not (site.folder / "repository").exists()
    assert verbs.check(None, {"init": True}) == {"changed": True, "repository": site.found["repository"], "backups": 0}
    assert verbs.check(None, {"init": True})["changed"] is False


def test_runs_back_up_what_is_new_and_try_and_prune_in_their_time(repository: Site) -> None:
    first = repository.run()
    assert (first.made, first.unchanged, first.failed) == (["VM web", "files frontend"], [], {})
    assert first.pruned and first.verified == ["VM web"], "one of two, since each is tried within two days"
    second = repository.run(timedelta(days=1))
    assert (second.made, second.unchanged) == (["files frontend"], ["VM web"])
    assert not second.pruned and second.verified == ["files frontend"]
    assert repository.run(timedelta(days=2)).verified == ["VM web"]
    assert repository.run(timedelta(days=7)).pruned
    known = verbs.status(None, {})
    assert known["last"]["begun"] == "2026-12-05T02:00:00Z" and known["pruned"] == "2026-12-05T02:00:00Z"
    assert set(known["verified"]) == {UUID, "files frontend"}
    assert [one["tags"][0] for one in json.loads(repository.restic("snapshots", "--json"))] == ["edge"] * 5


def test_what_fails_costs_only_itself(repository: Site) -> None:
    repository.write(paths=[str(repository.folder / "gone")])
    report = repository.run()
    gone = f"files frontend: {repository.folder / 'gone'}"
    assert report.made == ["VM web"] and list(report.failed) == [gone]
    assert "gone does not exist" in report.failed[gone]
    with pytest.raises(EdgeError, match=r"^1 of this host's backups failed. files frontend: ") as raised:
        verbs.run(None, {})
    assert raised.value.details["unchanged"] == ["VM web"]


def test_a_path_or_database_that_fails_costs_only_itself_and_nothing_is_removed(repository: Site) -> None:
    repository.write(vms=[], retention={"last": 1}, verify_days=0, prune_days=0)
    repository.run()
    whole = snapshots(repository)
    (repository.folder / "bad.sqlite3").write_text("This is not a database, but a text that is longer than the head of one. " * 9)
    paths = [str(repository.folder / "gone"), str(repository.folder / "etc")]
    repository.write(paths=paths, databases=[str(repository.folder / "bad.sqlite3")])
    report = repository.run(timedelta(days=1))
    assert report.made == ["files frontend"]
    assert list(report.failed) == [f"files frontend: {repository.folder / name}" for name in ("gone", "bad.sqlite3")]
    both = snapshots(repository)
    assert both[0] == whole[0] and len(both) == 2, "the last whole one stays"
    assert str(repository.folder / "etc/cluster") in repository.restic("ls", both[1])


def test_a_folder_that_is_not_mounted_and_a_database_that_is_gone_are_failures(repository: Site) -> None:
    (data := repository.folder / "srv/data").mkdir(parents=True)
    (data / "file").write_text("data")
    sqlite3.connect(repository.folder / "leases.sqlite3").execute("CREATE TABLE leases (address)").connection.close()
    paths, databases = [str(repository.folder / "etc"), str(data)], [str(repository.folder / "leases.sqlite3")]
    repository.write(vms=[], retention={"last": 1}, verify_days=0, prune_days=0, paths=paths, databases=databases)
    assert repository.run().failed == {}
    whole = snapshots(repository)
    (data / "file").unlink()
    (repository.folder / "leases.sqlite3").unlink()
    for night in range(1, 3):
        report = repository.run(timedelta(days=night))
        assert report.made == ["files frontend"]
        assert set(report.failed) == {f"files frontend: {databases[0]}", f"files frontend: {data}"}
        assert "has no file any more, and had some at 2026-11-" in report.failed[f"files frontend: {data}"]
    assert snapshots(repository)[0] == whole[0]
    (data / ".empty").touch()
    repository.write(databases=[])
    assert repository.run(timedelta(days=3)).failed == {}


def test_files_of_another_host_with_the_same_name_are_left_alone(repository: Site, tmp_path: Path) -> None:
    """As of the Front-end of another site."""
    repository.write(vms=[], retention={"last": 1}, verify_days=1, prune_days=0)
    tags = ["--tag", "edge", "--tag", "edge-files=frontend"]
    repository.restic("backup", str(repository.file), "--host", "another", "--time", "2026-01-01 00:00:00", *tags)
    other = snapshots(repository)
    for night in range(2):
        assert repository.run(timedelta(days=night)).made == ["files frontend"]
    assert len(snapshots(repository)) == 2 and snapshots(repository)[0] == other[0]
    settings = read_settings(repository.file)
    asked = {**settings.options, "state": "restored", "name": "frontend", "path": str(tmp_path / "back")}
    run = verbs.scheduled(settings)
    with pytest.raises(EdgeError, match=r"^name: several hosts have backups of files named frontend: ") as raised:
        run.backups(run.restic, request_of(asked)).run(False)
    assert f"{other[0][:8]} of another, 2026-01-01T00:00:00Z" in raised.value.message
    run.backups(run.restic, request_of({**asked, "snapshot": other[0]})).run(False)
    assert (tmp_path / "back" / str(repository.file).lstrip("/")).is_file()


def test_what_a_killed_trial_left_goes_with_the_next_run(repository: Site) -> None:
    """Each is as large as a VM, on the file system of the recovery points."""
    repository.write(vms=[], verify_days=0, prune_days=0)
    (left := repository.folder / "work/trial").mkdir(parents=True)
    (left / "vda").write_text("a guest's data")
    with locked(repository.folder / "work/trial.lock"):
        repository.run()
    assert left.exists(), "a trial goes on"
    repository.run(timedelta(days=1))
    assert not left.exists()


def test_an_old_backup_is_warned_of_though_all_ended_well(repository: Site) -> None:
    """The hypervisor makes no recovery points any more; those here are of May."""
    repository.write(paths=[], databases=[], verify_days=0, prune_days=0)
    assert repository.run().warnings == []
    repository.write(late_days=7)
    (warning,) = repository.run().warnings
    assert warning.startswith("VM web: its newest backup is of 2026-05-01T10:00:03Z.") and warning in repository.lines
    known = verbs.status(None, {})
    assert known["newest"] == {"VM web": "2026-05-01T10:00:03Z"} and known["last"]["warnings"] == [warning]


def test_vms_by_name_and_those_that_are_not_here(repository: Site) -> None:
    repository.write(vms=["web", "other"], paths=[], databases=[], verify_days=0, prune_days=0)
    tags = [word for tag in ("edge", f"edge-vm={OTHER}", "edge-name=other", "edge-generation=0.1") for word in ("--tag", tag)]
    repository.restic("backup", str(repository.file), *tags)
    report = repository.run()
    assert (report.made, report.not_here, report.failed) == (["VM web"], ["other"], {}), "another replica has backed it up"
    repository.write(vms=[UUID, OTHER, "wbe"])
    report = repository.run()
    assert (report.unchanged, report.not_here) == (["VM web"], [OTHER, "wbe"])
    assert list(report.failed) == ["VM wbe"]
    assert report.failed["VM wbe"].startswith("backup_vms: neither this host nor the repository has a recovery point of 'wbe'.")
    repository.write(vms=[])
    assert repository.run(timedelta(days=1)).made == []


def test_a_wrong_password_is_one_error(repository: Site) -> None:
    (repository.folder / "password").write_text("another")
    with pytest.raises(Refused, match="password_file: it does not open the repository"):
        repository.run()
    last = verbs.status(None, {})["last"]
    assert last["error"].startswith("password_file: it does not open the repository") and last["ended"]


def test_the_status_is_of_a_run_that_failed_or_never_ended(repository: Site) -> None:
    repository.write(vms=[], verify_days=0, prune_days=0)
    repository.run()
    assert verbs.status(None, {})["succeeded"] == "2026-11-28T02:00:00Z"
    (repository.folder / "repository").rename(repository.folder / "away")
    with pytest.raises(NotFound):
        repository.run(timedelta(days=1))
    known = verbs.status(None, {})
    assert known["succeeded"] == "2026-11-28T02:00:00Z"
    assert known["last"]["begun"] == "2026-11-29T02:00:00Z" and "is no repository of restic" in known["last"]["error"]
    (repository.folder / "away").rename(repository.folder / "repository")
    end = hangs(repository)
    try:
        last = verbs.status(None, {})["last"]
    finally:
        end()
    assert (last["begun"], last["ended"], last["error"]) == ("2026-11-30T02:00:00Z", "", "")
    (repository.folder / "password").unlink()
    assert verbs.status(None, {})["last"] == last, "it needs no password"


def hangs(site: Site) -> Callable[[], None]:
    """Have a run that is in the middle of its work; return what lets it go on and waits for its end."""
    run = verbs.scheduled(read_settings(site.file))
    reached, goes_on = threading.Event(), threading.Event()

    def backups(_restic: Restic, _request: Request) -> Any:
        reached.set()
        goes_on.wait()
        raise NotFound("the end")

    run.now, run.log, run.backups = lambda: START + timedelta(days=2), site.lines.append, backups
    thread = threading.Thread(target=run.run)
    thread.start()
    reached.wait()
    noted = Path(site.found["work_dir"], NOTES).read_bytes()

    def end() -> None:
        goes_on.set()
        thread.join()
        Path(site.found["work_dir"], NOTES).write_bytes(noted)  # as it is where the run was killed

    return end


def locked_by_another(repository: Site) -> Callable[[], None]:
    """Have a backup that goes on, whose lock is of a process that lives; return what kills it, so that the lock stays."""
    fifo = repository.folder / "fifo"
    os.mkfifo(fifo)
    environment = {**os.environ, "RESTIC_PASSWORD": "c4n4ry", "RESTIC_REPOSITORY": repository.found["repository"]}
    pipe = os.open(fifo, os.O_RDWR)
    holder = subprocess.Popen(["restic", "backup", "--stdin"], stdin=pipe, env=environment)
    os.close(pipe)
    locks = Path(repository.found["repository"], "locks")
    while not any(locks.iterdir()):
        assert holder.poll() is None

    def end() -> None:
        holder.kill()
        holder.wait()

    return end


@pytest.mark.slow  # many runs of restic
def test_a_run_waits_while_another_has_the_repository_for_itself(repository: Site) -> None:
    repository.write(verify_days=0)
    repository.run()
    end = locked_by_another(repository)  # a shared lock, which a prune has to wait for
    try:
        late = repository.run(timedelta(days=8))
        assert list(late.failed) == ["prune"] and "is locked by another run of restic" in late.failed["prune"]
        assert "web" in str(late.unchanged), "what needs no lock for itself goes on"
        run = verbs.scheduled(read_settings(repository.file))
        run.now, run.patience, run.look_again, run.dead_after = lambda: START + timedelta(days=9), 600, 0.1, 0.5

        def log(line: str) -> None:
            if line.startswith("waits: "):
                end()

        run.log = log
        assert run.run().pruned, "it went on when the other was gone; the lock of one that was killed is removed"
    finally:
        end()


def test_a_wait_for_the_repository_makes_no_second_backup_of_files(repository: Site) -> None:
    """What waits is the removal of the oldest; a second backup would have retention take one of another night."""
    repository.write(vms=[], verify_days=0, prune_days=0, retention={"last": 2})
    for day in range(2):
        repository.run(timedelta(days=day))
    second = snapshots(repository)[-1]
    end, waits = locked_by_another(repository), []
    run = verbs.scheduled(read_settings(repository.file))
    run.patience, run.look_again, run.dead_after = 600, 0.1, 0.5

    def log(line: str) -> None:
        waits.append(line)
        if len([one for one in waits if one.startswith("waits: ")]) == 2:
            end()

    run.log = log
    try:
        assert run.run().made == ["files frontend"]
    finally:
        end()
    assert any(one.startswith("waits: ") for one in waits)
    left = snapshots(repository)
    assert len(left) == 2 and left[0] == second


def snapshots(site: Site) -> list[str]:
    return [one["id"] for one in json.loads(site.restic("snapshots", "--json", "--tag", "edge"))]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repository": ""}, "repository: it is empty"),
        ({"password_file": "/no/such/file"}, "password_file: /no/such/file is not a file of this host"),
        ({"retention": {"daily": "7"}}, ": retention: daily: '7' is not an integer of at least 0."),
        ({"retention": {"dayly": 7}}, ": retention: unknown key 'dayly'; it may have last, hourly"),
        ({"retention": {"daily": 0}}, "retention: it keeps nothing"),
        ({"prune_days": -1}, ": prune_days: -1 is not an integer from 0 to 3650."),
        ({"verify_days": True}, ": verify_days: True is not an integer"),
        ({"vms": "web"}, ": vms: 'web' is not a list."),
        ({"paths": ["etc"]}, "paths[0]: "),
        ({"name": "a b"}, "name: 'a b' is not valid"),
        ({"vm": "web"}, ": unknown key 'vm'; it may have repository"),
        ({"environment": {"RESTIC_PASSWORD": "x"}}, "environment.RESTIC_PASSWORD: this module sets it"),
        ({"environment": {"AWS_SECRET_ACCESS_KEY": ["c4n4ry"]}}, ": environment: AWS_SECRET_ACCESS_KEY: its value is neither"),
        ({"root": None}, ": root is missing."),
    ],
)
def test_wrong_settings_are_named(site: Site, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(EdgeError) as raised:
        read_settings(site.write(**changes))
    begin = str(site.file) if message.startswith(":") else ""
    assert raised.value.message.startswith(begin + message)
    assert raised.value.message.endswith(f" The role edge.cloud.backup writes {site.file}.")
    assert "c4n4ry" not in raised.value.message


def test_no_settings_and_no_notes(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"the role edge.cloud.backup has not been run on this host"):
        read_settings(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(InvalidInput, match="is not a JSON object"):
        read_settings(tmp_path / "bad.json")
    assert Notes.read(tmp_path) == Notes(tmp_path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"verified": []}', "is not what a run of backups notes"),
        ("{", "JSON"),
        ('{"schema": 99}', "upgrade edge.cloud"),
        (" " * (17 << 20), "is larger than"),
    ],
)
def test_notes_that_cannot_be_read_stop_no_run(site: Site, text: str, why: str) -> None:
    (site.folder / "work").mkdir()
    (site.folder / "work" / NOTES).write_text(text)
    assert verbs.check(None, {"init": True})["changed"]
    site.write(vms=[], verify_days=0, prune_days=0)
    assert site.run().made == ["files frontend"]
    assert why in site.lines[0]
    assert Notes.read(site.folder / "work").last["made"] == ["files frontend"]


def test_notes_stay_small_and_forget_what_is_gone(repository: Site) -> None:
    repository.write(paths=[str(repository.folder / ("long/" * 100))], prune_days=0)
    notes = Notes(repository.folder / "work", verified={"gone": "2026-11-27T02:00:00Z"})
    notes.write()
    report = repository.run()
    assert len(next(iter(report.failed.values()))) > 500
    noted = Notes.read(repository.folder / "work")
    assert len(next(iter(noted.last["failed"].values()))) == 300
    assert set(noted.verified) == {UUID}


def test_an_answer_that_is_cut_costs_only_its_target(repository: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection went in the middle of the list of files; restic ended well."""
    (repository.folder / "bin").mkdir()
    program = repository.folder / "bin/restic"
    real = shutil.which("restic")
    program.write_text(f'#!/bin/sh\ncase "$*" in ls*) echo \'{{"struct\'; exit 0;; esac\nexec {real} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    report = repository.run()
    assert set(report.failed) == {"VM web", "files frontend"}
    assert all("its answer is cut" in one for one in report.failed.values())
    assert Notes.read(repository.folder / "work").last["ended"]


def test_a_vm_of_which_no_point_can_be_read_is_a_failure(repository: Site) -> None:
    """As where the hypervisors are upgraded and the replica is not yet."""
    repository.write(paths=[], databases=[], verify_days=0, prune_days=0)
    repository.run()
    for document in (repository.replica.depot.root / UUID).glob("*.json"):
        document.write_text('{"schema": 99}')
    for vms in (None, ["web"]):
        repository.write(vms=vms)
        report = repository.run()
        assert (report.made, report.unchanged, list(report.failed)) == ([], [], ["VM web"])
        assert report.failed["VM web"].startswith("None of its 3 recovery points can be read; 0.1.json: ")
        assert "upgrade edge.cloud on this host" in report.failed["VM web"]


def test_a_folder_that_cannot_be_read_costs_only_its_vm(repository: Site) -> None:
    """As by a bad sector of the disk with the recovery points."""
    folder = repository.replica.depot.root / OTHER
    folder.symlink_to(folder)
    repository.write(verify_days=0, prune_days=0)
    report = repository.run()
    assert report.made == ["VM web", "files frontend"], report
    assert list(report.failed) == [f"VM {folder.name}"], report
