# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules backup and backup_info, over the real restic, of recovery points made by the real qemu-img."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._generation import DOCUMENT, file_name
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.depot import Depot
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.intake import Intake
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.images import QEMU
from support.modules import run_module
from support.reads import reads
from support.recovery import UUID, Replica, require_same

Capsys = pytest.CaptureFixture[str]
PASSWORD = "correct horse battery"


class Site:
    """A replica with points of a VM, and a repository that is not there yet."""

    def __init__(self, capsys: Capsys, replica: Replica, folder: Path) -> None:
        self.capsys, self.replica, self.folder = capsys, replica, folder
        self.repository = folder / "repository"

    @property
    def access(self) -> dict[str, Any]:
        return {"repository": str(self.repository), "password": PASSWORD}

    def run(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        machine = self.replica.machine
        roots = {
            "root": str(self.replica.depot.root),
            "images_root": str(machine.images.root),
            "work_dir": str(self.folder / "work"),
        }
        work = str(self.folder / "work")
        source = {} if "name" in options else {"vm": "web"}
        return run_module(self.capsys, "backup", check=check, **{**self.access, **roots, "work_dir": work, **source, **options})

    def good(self, **options: Any) -> dict[str, Any]:
        found = self.run(**options)
        assert not found["failed"], found
        return found

    def there(self, **options: Any) -> list[str]:
        found = run_module(self.capsys, "backup_info", **self.access, **options)
        assert not found["failed"], found
        return [one["generation"] for one in found["backups"]]

    def restic(self, *argv: str) -> str:
        environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": str(self.repository)}
        return subprocess.run(["restic", *argv], env=environment, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def site(capsys: Capsys, prepared: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("RESTIC_CACHE_DIR", str(tmp_path / "cache"))
    return Site(capsys, prepared.copied(tmp_path / "points"), tmp_path)


def test_make_again_and_restore(site: Site, tmp_path: Path) -> None:
    predicted = site.good(check=True, init=True)
    assert (predicted["changed"], site.repository.exists()) == (True, False)
    made = site.good(init=True)
    assert made["actions"] == predicted["actions"] == [
        f"Make the repository {site.repository}.",
        "Back up the recovery point 0.3 of the VM web.",
    ]  # fmt: skip
    assert made["diff"] == predicted["diff"]
    (backup,) = made["backups"]
    assert (backup["uuid"], backup["vm"], backup["generation"], backup["time"]) == (UUID, "web", "0.3", "2026-05-01T10:00:03Z")
    assert not site.good(init=True)["changed"]
    assert not site.good(check=True)["changed"]
    predicted = site.good(check=True, state="restored", path=str(tmp_path / "back"))
    assert (predicted["changed"], (tmp_path / "back").exists()) == (True, False)
    restored = site.good(state="restored", path=str(tmp_path / "back"))
    assert restored["actions"] == predicted["actions"]
    (tmp_path / ".back.restore/work").mkdir(parents=True)  # as a run that is killed at its end leaves it
    assert not site.good(state="restored", path=str(tmp_path / "back"))["changed"]
    assert not (tmp_path / ".back.restore").exists()
    assert sorted(path.name for path in tmp_path.iterdir() if "back" in path.name) == ["back"]


@pytest.mark.slow
def test_another_cloud_takes_in_what_is_restored(site: Site, tmp_path: Path) -> None:
    site.good(init=True)
    back, images = tmp_path / "back", Store(tmp_path / "other-images")
    nowhere = {"root": str(tmp_path / "none"), "images_root": str(images.root), "import_images": True}
    site.good(state="restored", path=str(back), **nowhere)
    assert stat.S_IMODE(back.stat().st_mode) == 0o700
    other = Depot(tmp_path / "other-points")
    taken = Intake(other, QEMU, images).take(back)
    assert (taken.generation.name, taken.missing_images) == ("0.3", ())
    digest = str(taken.generation.disks[0].image)
    assert images.verify(digest) == []
    there = Replica(site.replica.machine, other.root)
    there.require_content("0.3")


@pytest.mark.slow
def test_disks_of_a_restored_vm(site: Site, tmp_path: Path) -> None:
    site.good(init=True, generation="0.2")
    site.good()
    site.good(state="restored", generation="0.2", form="disks", path=str(tmp_path / "web"), images_root=str(tmp_path / "none"))
    require_same(tmp_path / "web/vda.qcow2", site.replica.machine.contents["0.2"])
    assert (tmp_path / "web/nvram").read_text() == "variables of 0.2"
    assert json.loads((tmp_path / "web" / DOCUMENT).read_text())["spec"] == {"cpus": 1}
    assert (
        b"backing" not in subprocess.run(["qemu-img", "info", tmp_path / "web/vda.qcow2"], capture_output=True, check=True).stdout
    )


def test_only_what_is_new_is_read(site: Site) -> None:
    """restic finds no last backup by itself, since each has other files: it has to be named."""
    site.good(init=True, generation="0.2")
    depot, generation = site.replica.depot, site.replica.depot.find(UUID)
    before = {file_name(one.digest) for one in depot.find(UUID, "0.2").needs}
    with reads(depot.files(UUID)) as read, reads(site.replica.machine.images.root) as read_images:
        made = site.good()
    new = {file_name(one.digest) for one in generation.needs} - before
    assert read == new
    image = file_name(str(generation.disks[0].image))
    assert f"{image}.qcow2" not in read_images
    assert (made["backup"]["files_read"], made["backup"]["files_known"]) == (len(new) + 1, 2 + 3)
    assert 0 < made["backup"]["bytes_added"] < sum(one.size for one in generation.needs)


@pytest.mark.slow
def test_retention(site: Site, tmp_path: Path) -> None:
    for name in ("0.1", "0.2"):
        site.good(init=True, generation=name)
    site.good(name="files", paths=[str(site.replica.machine.folder / "0.1.raw")])
    predicted = site.good(check=True, retention={"hourly": 1}, prune=True)
    assert site.there(vm="web") == ["0.1", "0.2"]
    made = site.good(retention={"hourly": 1}, prune=True)
    assert made["actions"] == predicted["actions"]
    assert made["actions"][1:] == [
        "Remove the backup of the recovery point 0.1 of the VM web of 2026-05-01T10:00:01Z.",
        "Remove the backup of the recovery point 0.2 of the VM web of 2026-05-01T10:00:02Z.",
        "Remove the data that no backup needs from the repository.",
    ]
    assert made["diff"] == predicted["diff"]
    assert site.there(vm="web") == ["0.3"]
    assert len(site.there(name="files")) == 1  # of another group
    assert not site.good(retention={"hourly": 1}, prune=True)["changed"]
    site.good(generation="0.1", retention={"last": 1})
    assert site.there(vm="web") == ["0.1", "0.3"]  # what was asked for stays
    assert not site.good(generation="0.1", retention={"last": 1})["changed"]


def test_a_backup_of_a_time_to_come_is_named_and_is_not_the_newest(site: Site, tmp_path: Path) -> None:
    made = site.good(init=True)["backups"][0]
    tags = [word for tag in ("edge", f"edge-vm={UUID}", "edge-name=web", "edge-generation=9.9") for word in ("--tag", tag)]
    site.restic("backup", str(site.replica.depot.document(UUID, "0.1")), "--time", "2099-01-01 00:00:00", *tags)
    found = site.good(retention={"last": 1})
    assert not found["changed"]
    assert [one["generation"] for one in found["backups"]] == ["0.3", "9.9"]
    (warning,) = map(str, found["warnings"])
    assert "of a time that is still to come: " in warning and " of 2099-01-01T00:00:00Z by " in warning
    assert site.good(state="restored", path=str(tmp_path / "back"))["backups"] == [made]
    site.restic("forget", made["snapshot"])
    found = site.run(state="restored", path=str(tmp_path / "other"))
    assert found["error"]["code"] == "conflict" and "Is the clock right? Give the snapshot to restore" in found["msg"]


@pytest.mark.slow
def test_absent(site: Site) -> None:
    for name in ("0.1", "0.2", "0.3"):
        site.good(init=True, generation=name)
    predicted = site.good(check=True, state="absent", generation="0.2")
    assert site.good(state="absent", generation="0.2")["actions"] == predicted["actions"]
    assert site.there() == ["0.1", "0.3"]
    assert not site.good(state="absent", generation="0.2")["changed"]
    found = run_module(site.capsys, "backup_info", **site.access)["backups"]
    assert site.good(state="absent", vm=UUID, snapshot=found[0]["snapshot"][:8], prune=True)["changed"]
    assert site.there() == ["0.3"]
    assert "snapshot: say which backup" in site.run(state="absent")["msg"]


@pytest.mark.slow
def test_verify_finds_damage(site: Site) -> None:
    made = site.good(init=True, verify=True, read_data_subset="100%")
    assert made["verified"] == {"read_data_subset": "100%", "restored": made["backups"][0]["snapshot"]}
    assert list((site.folder / "work").iterdir()) == []
    largest = max((path for path in (site.repository / "data").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    largest.chmod(0o600)
    with largest.open("r+b") as file:
        file.seek(1000)
        file.write(b"damaged")
    found = site.run(verify=True, read_data_subset="100%")
    assert (found["failed"], found["error"]["code"]) == (True, "corrupt")
    assert "restic check found damage" in found["msg"]
    found = site.run(state="restored", path=str(site.folder / "back"))
    assert found["failed"]
    assert not (site.folder / "back").exists()


@pytest.mark.slow
def test_a_backup_that_lacks_a_file_is_made_again(site: Site) -> None:
    """As one that a version of restic made while the files went, which it calls a success."""
    made = site.good(init=True)["backups"][0]
    tags = [word for tag in json.loads(site.restic("snapshots", "--json"))[0]["tags"] for word in ("--tag", tag)]
    site.restic("forget", made["snapshot"])
    delta = site.replica.depot.path_of(UUID, site.replica.depot.find(UUID).disks[0].chain[0].digest)
    document = site.replica.depot.document(UUID, "0.3")
    site.restic("backup", str(document), str(delta), *tags)
    found = site.run(state="restored", path=str(site.folder / "back"))
    assert (found["failed"], (site.folder / "back").exists()) == (True, False)
    again = site.good()
    assert again["actions"] == ["Back up the recovery point 0.3 of the VM web, instead of 1 that are not whole."]
    assert site.there() == ["0.3"]
    assert not site.good()["changed"]
    site.good(state="restored", path=str(site.folder / "back"))


@pytest.mark.slow
def test_without_base_images(site: Site, tmp_path: Path) -> None:
    site.good(init=True, base_images=False)
    assert ".qcow2" not in site.restic("ls", "latest")
    site.good(state="restored", form="disks", path=str(tmp_path / "web"))
    require_same(tmp_path / "web/vda.qcow2", site.replica.machine.contents["0.3"])
    none = {"images_root": str(tmp_path / "none")}
    found = site.run(state="restored", form="disks", path=str(tmp_path / "other"), **none)
    assert (found["error"]["code"], (tmp_path / "other").exists()) == ("not_found", False)
    assert site.good()["changed"]  # the image is asked for now
    found = site.run(generation="0.2", **none)
    assert found["msg"].startswith(f"images_root: {tmp_path / 'none'} lacks sha256:")


def test_files_and_databases(site: Site, tmp_path: Path) -> None:
    config, database = tmp_path / "etc", tmp_path / "a?mode=rwc#50%25" / "leases.sqlite3"
    (config / "sub").mkdir(parents=True)
    (config / "sub/one").write_text("one")
    (config / "key").write_text("secret")
    (config / "key").chmod(0o600)
    database.parent.mkdir()
    writer = sqlite3.connect(database)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE leases (address TEXT)")
    writer.execute("INSERT INTO leases VALUES ('192.0.2.7')")
    writer.commit()  # in the log, not in the file, as long as this connection is open
    asked = {"name": "frontend", "paths": [str(config)], "databases": [str(database)]}
    assert site.good(check=True, init=True, **asked)["changed"]
    assert site.good(init=True, verify=True, **asked)["verified"]["restored"]
    writer.close()
    site.good(state="restored", name="frontend", path=str(tmp_path / "back"))
    back = tmp_path / "back" / str(config).lstrip("/")
    assert (back / "sub/one").read_text() == "one"
    assert stat.S_IMODE((back / "key").stat().st_mode) == 0o600
    (copy,) = (tmp_path / "back").rglob("leases.sqlite3")
    assert sqlite3.connect(copy).execute("SELECT address FROM leases").fetchall() == [("192.0.2.7",)]
    assert list((tmp_path / "work").iterdir()) == []
    assert site.run(state="restored", name="frontend", path=str(tmp_path / "back"))["error"]["code"] == "conflict"


def test_a_link_is_refused_of_which_restic_would_keep_nothing_else(site: Site, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/one").write_text("one")
    (tmp_path / "link").symlink_to(tmp_path / "etc")
    found = site.run(init=True, name="frontend", paths=[str(tmp_path / "etc"), str(tmp_path / "link")])
    assert (found["error"]["code"], found["error"]["option"]) == ("refused", "paths[1]")
    site.good(init=True, name="frontend", paths=[str(tmp_path / "etc")])
    (tmp_path / "etc").rename(tmp_path / "moved")
    (tmp_path / "etc").symlink_to(tmp_path / "moved")
    assert site.run(name="frontend", paths=[str(tmp_path / "etc")])["error"]["code"] == "refused"
    site.good(name="frontend", paths=[f"{tmp_path}/link/one"])
    site.good(state="restored", name="frontend", path=str(tmp_path / "back"))
    assert (tmp_path / f"back{tmp_path}/link/one").read_text() == "one"


@pytest.mark.slow
def test_what_is_not_whole_is_named_where_nothing_can_be_removed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program in restic's place removes nothing, as a server that only takes in, and one file is not read."""
    site.good(init=True, name="frontend", paths=["/etc/hostname"])
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/one").write_text("one")
    folder = tmp_path / "bin"
    folder.mkdir()
    real = subprocess.run(["which", "restic"], capture_output=True, text=True, check=True).stdout.strip()
    (folder / "restic").write_text(
        f'#!/bin/sh\ncase "$*" in\n*forget*) echo "Fatal: 403 Forbidden" >&2; exit 1;;\n'
        f'*backup*) {real} "$@"; echo "error: read: input/output error" >&2; exit 3;;\nesac\nexec {real} "$@"\n'
    )
    (folder / "restic").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    found = site.run(name="frontend", paths=[str(tmp_path / "etc")])
    newest = json.loads(site.restic("snapshots", "--json", "latest"))[0]["id"]
    assert found["error"]["code"] == "corrupt"
    for words in ("input/output error", f"remove the snapshot {newest[:8]}", "403 Forbidden"):
        assert words in found["msg"], found["msg"]


def test_secrets_are_in_no_list_of_processes_and_no_result(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in restic's place writes down how it was called."""
    folder, seen = tmp_path / "bin", tmp_path / "seen"
    folder.mkdir()
    real = subprocess.run(["which", "restic"], capture_output=True, text=True, check=True).stdout.strip()
    (folder / "restic").write_text(f'#!/bin/sh\necho "$@" >>{seen}\nenv | grep ^AWS_ >>{seen}.env\nexec {real} "$@"\n')
    (folder / "restic").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    secret = {"environment": {"AWS_SECRET_ACCESS_KEY": "of-the-cloud"}}
    assert PASSWORD not in json.dumps(site.good(init=True, **secret))
    assert "of-the-cloud" not in json.dumps(site.run(**{**secret, "generation": "9.9"}))
    assert "backup" in seen.read_text()
    assert not {PASSWORD, "of-the-cloud"} & set(seen.read_text().split("\n"))
    assert PASSWORD not in seen.read_text()
    assert "of-the-cloud" not in seen.read_text()
    assert "AWS_SECRET_ACCESS_KEY=of-the-cloud" in Path(f"{seen}.env").read_text()


def test_a_password_in_the_location_is_not_shown(site: Site, tmp_path: Path) -> None:
    """A server without a repository, whose place has a user and a password, as restic wants them."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        place = f"127.0.0.1:{server.server_port}/none/"
        try:
            planned = site.good(check=True, init=True, repository=f"rest:http://user:c4n4ry@{place}")
            refused = site.run(repository=f"rest:http://user:c4n4ry@{place}")
        finally:
            server.shutdown()
    assert planned["actions"][0] == f"Make the repository rest:http://********@{place}."
    assert refused["error"]["code"] == "not_found"
    assert "c4n4ry" not in json.dumps([planned, refused])


@pytest.mark.slow
def test_password_by_file(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    assert site.good(init=True, password=None, password_file=str(file))["changed"]
    assert not site.good()["changed"]
    file.write_text("another\n")
    found = site.run(password=None, password_file=str(file))
    assert (found["error"]["code"], found["error"]["option"]) == ("refused", "password_file")


def test_what_is_refused(site: Site, tmp_path: Path) -> None:
    found = site.run()
    assert found["error"]["code"] == "not_found"
    assert found["msg"].startswith(
        f"repository: there is no repository of restic at {site.repository}: unable to open config file: "
        f"stat {site.repository}/config: no such file or directory. Is it mounted, and is it the right place? To make a new one "
        "there, set init."
    )
    assert not site.repository.exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    for init in (False, True):
        found = site.run(repository=str(tmp_path / "other"), init=init)
        assert found["error"]["code"] == "refused"
        assert "is not a repository of restic, and there is something else" in found["msg"]
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["file"]
    site.good(init=True)
    found = site.run(password="another")
    assert (found["error"]["code"], found["error"]["option"]) == ("refused", "password")
    assert found["msg"].endswith(
        "wrong password or no key found. Give the password that it was made with; without that nothing in it can be read."
    )
    found = site.run(state="restored", path=str(tmp_path / "other"))
    assert (found["error"]["code"], found["error"]["option"]) == ("conflict", "path")
    found = site.run(state="restored", path=str(tmp_path / "x"), vm="db")
    assert found["msg"] == "vm: the repository has no backup of the VM 'db'; it has those of web."
    assert site.run(state="restored", path=str(tmp_path / "x"), generation="0.9")["error"]["option"] == "generation"
    assert site.run(repository="sftp:nobody@127.0.0.1:/nowhere")["error"]["code"] == "unreachable"


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"vm": None}, "vm: give either vm, for a VM, or name"),
        ({"name": "a", "vm": "web"}, "vm: give either vm"),
        ({"name": "a,b", "paths": ["/etc"]}, "name: 'a,b' is not valid"),
        ({"name": "a"}, "paths: give the files or folders that a is of"),
        ({"name": "a", "paths": ["etc"]}, "paths[0]: 'etc' is not an absolute path"),
        ({"name": "a", "paths": ["/etc/hostname", "/none"]}, "paths[1]: /none does not exist"),
        ({"name": "a", "databases": ["/none"]}, "databases[0]: /none does not exist"),
        ({"paths": ["/etc"]}, "paths: they are for name, not for a VM"),
        ({"generation": "newest"}, "generation: 'newest' is not a generation"),
        ({"generation": "0.9"}, "generation: "),
        ({"vm": "db"}, "vm: there is no recovery point of 'db'"),
        ({"state": "restored"}, "path: give the folder to restore into"),
        ({"snapshot": "12345678"}, "snapshot: it is for restored and absent"),
        ({"state": "absent", "snapshot": "latest"}, "snapshot: 'latest' is not the ID of a snapshot"),
        ({"retention": {}}, "retention: it keeps nothing"),
        ({"retention": {"daily": -1}}, "retention.daily: -1 is negative"),
        ({"read_data_subset": "much"}, "read_data_subset: 'much' is not a part"),
        ({"password": None}, "password: give either password or password_file"),
        ({"password": ""}, "password: it is empty"),
        ({"password": None, "password_file": "/none"}, "password_file: /none is not a file"),
        ({"environment": {"RESTIC_PASSWORD": "x"}}, "environment.RESTIC_PASSWORD: this module sets it"),
        ({"environment": {"RESTIC_REPOSITORY_FILE": "x"}}, "environment.RESTIC_REPOSITORY_FILE: this module sets it"),
        ({"environment": {"TZ": "Asia/Tokyo"}}, "environment.TZ: this module sets it"),
        ({"environment": {"A=B": "x"}}, "environment.'A=B': it is not a name of letters"),
        ({"repository": ""}, "repository: it is empty"),
    ],
)
def test_wrong_options(site: Site, options: dict[str, Any], answer: str) -> None:
    found = site.run(init=True, **options)
    assert found["failed"]
    assert found["msg"].startswith(answer), found["msg"]
    assert not site.repository.exists()


def test_a_repository_is_made_though_stale_locks_are_to_be_removed(site: Site) -> None:
    assert site.good(init=True, remove_stale_locks=True)["changed"]
    assert site.there() == ["0.3"]


@pytest.mark.slow
def test_locks(site: Site) -> None:
    """A lock of a killed run is left alone, and named, until its removal is asked for; reading needs no lock."""
    for name in ("0.1", "0.2"):
        site.good(init=True, generation=name)
    held = _killed_while_locked(site)
    found = site.run(state="absent", generation="0.1")
    assert (found["error"]["code"], "remove_stale_locks" in found["msg"]) == ("busy", True)
    assert held.exists()
    assert site.there() == ["0.1", "0.2"]
    assert site.good(check=True, remove_stale_locks=True, state="absent", generation="0.1")["changed"]
    assert held.exists()
    site.good(state="absent", generation="0.1", remove_stale_locks=True)
    assert not held.exists()
    assert site.there() == ["0.2"]


def _killed_while_locked(site: Site) -> Path:
    """Kill a run of restic that holds the repository's lock, by a backup of what never comes to its end."""
    environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": str(site.repository)}
    argv = ["restic", "backup", "--stdin", "--stdin-filename", "endless"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(argv, env=environment, **pipes) as process:
        while not (locks := [one for one in (site.repository / "locks").iterdir() if len(one.name) == 64]):
            assert process.poll() is None
        process.kill()
    return locks[0]


@pytest.mark.slow
def test_after_a_merge_the_last_backup_counts(site: Site) -> None:
    site.good(init=True)
    before = site.replica.depot.find(UUID)
    site.replica.tidy(keep=2, longest=1)
    assert site.replica.depot.find(UUID).disks[0].chain != before.disks[0].chain
    assert not site.good()["changed"]
