# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file: whose it is, its version, its mode, and what is said when it cannot be used."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import (
    Busy,
    Conflict,
    Corrupt,
    EdgeError,
    NoSpace,
    Refused,
    Unsupported,
)
from ansible_collections.edge.cloud.plugins.module_utils._files import file_lock
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.database import opened
from support.leases import address, addresses_in, declare, leased, require_sound


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "addresses.sqlite3"
    declare(path, type="vxlan", subnets=["192.0.2.0/24"])
    leased(path, "web")
    return path


def refused(path: Path, kind: type[EdgeError], *, check: bool = True) -> str:
    """Return what is said of a file, which stays as it is, however it is used; with ``check`` by a check, too."""
    before = path.read_bytes()
    with pytest.raises(kind) as run:
        leased(path, "db")
    with pytest.raises(kind):
        declare(path, "other", type="vxlan", subnets=[])
    if check:
        with pytest.raises(kind) as checked:
            leased(path, "db", check=True)
        assert checked.value.message == run.value.message
    assert path.read_bytes() == before
    return run.value.message


def test_it_is_durable_and_only_its_owners(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    with opened(path) as database:
        assert database.tables.one("PRAGMA journal_mode") == ("wal",)
        assert database.tables.one("PRAGMA synchronous") == (2,)
        assert database.tables.one("PRAGMA wal_autocheckpoint") == (0,)
        with database.transaction() as tables:
            tables.write("UPDATE network SET cool_down = 5")
            modes = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
    assert modes == dict.fromkeys([path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-lock"], 0o600)
    assert {one.name for one in path.parent.iterdir()} == {path.name, f"{path.name}-lock"}


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        (
            "INSERT INTO lease VALUES (9, 1, 'db', 'nic0', (SELECT mac FROM lease))",
            "UNIQUE constraint failed: lease.network, lease.mac",
        ),
        ("INSERT INTO lease VALUES (9, 1, 'web', 'nic0', 'x')", "UNIQUE constraint failed: lease.network, lease.vm, lease.nic"),
        (
            "INSERT INTO address SELECT network, address, NULL, 'db', 'nic0', 0, 5 FROM address",
            "UNIQUE .* address.network, address.address",
        ),
        ("INSERT INTO address SELECT network, x'c0000263', lease, vm, nic, 0, NULL FROM address", "UNIQUE .* 'address_lease'"),
        ("INSERT INTO address VALUES (1, x'c0000263', 77, 'db', 'nic0', 0, NULL)", "FOREIGN KEY"),
        ("DELETE FROM network", "FOREIGN KEY"),
        ("UPDATE address SET address = '192.0.2.9'", "CHECK|cannot store TEXT"),
    ],
)
def test_the_file_itself_refuses_what_must_not_be(path: Path, sql: str, says: str) -> None:
    with opened(path) as database, pytest.raises(sqlite3.IntegrityError, match=says):
        database.connection.execute(sql)
    require_sound(path)


def test_a_long_log_is_copied_into_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path) as database:
        with database.transaction() as tables:
            tables.write("UPDATE network SET cool_down = 5")
        log = Path(f"{path}-wal")
        long = log.stat().st_size
        monkeypatch.setattr("ansible_collections.edge.cloud.plugins.module_utils._network.lease.database.LOG_LIMIT", long)
        with database.transaction() as tables:
            tables.write("UPDATE network SET cool_down = 6")
        assert log.stat().st_size == 0
    require_sound(path)


def test_who_reads_for_long_keeps_nobody_from_leasing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.edge.cloud.plugins.module_utils._network.lease.database.LOG_LIMIT", 0)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM lease").fetchone() == (1,)
    assert [address(leased(path, vm)) for vm in ("db", "app")] == ["192.0.2.2", "192.0.2.3"]
    assert reader.execute("SELECT count(*) FROM lease").fetchone() == (1,)
    assert Path(f"{path}-wal").stat().st_size > 0
    reader.execute("ROLLBACK")
    leased(path, "more")
    assert Path(f"{path}-wal").stat().st_size == 0
    reader.close()
    require_sound(path)


def test_the_log_of_a_file_that_is_gone_is_not_taken_for_that_of_a_new_one(path: Path) -> None:
    reader = sqlite3.connect(path)
    reader.execute("SELECT count(*) FROM lease").fetchone()
    leased(path, "db")
    log = Path(f"{path}-wal")
    assert log.stat().st_size > 0
    path.unlink()
    with pytest.raises(Refused, match=f"^path: {path} is gone, but its log {log} is there"):
        declare(path, type="vxlan", subnets=["198.51.100.0/24"])
    assert not path.exists() and log.exists()
    reader.close()


def test_a_newer_version_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    assert "has version 2, and this host knows 1; upgrade edge.cloud" in refused(path, Unsupported)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE network (name TEXT)")
    connection.close()
    assert "is a file of another program" in refused(path, Conflict)


@pytest.mark.parametrize("content", [b"", b"# addresses\n" * 1000, b"\0" * 4096])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(content)
    assert refused(path, Conflict).startswith("path: ")


def test_a_damaged_file_is_told(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    assert "is damaged" in refused(path, Corrupt)


def test_what_a_killed_process_left_while_it_made_the_file_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "addresses.sqlite3"
    for name in (f".{path.name}.new", f".{path.name}.new-wal", f".{path.name}.new-journal"):
        (tmp_path / name).write_bytes(b"half")
    declare(path, type="vxlan", subnets=["192.0.2.0/24"])
    assert {one.name for one in tmp_path.iterdir()} == {path.name, f"{path.name}-lock"}
    require_sound(path)


def test_another_program_that_keeps_the_file_locked_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.edge.cloud.plugins.module_utils._network.lease.database.PATIENCE", 0.05)
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "was locked by another process" in refused(path, Busy, check=False)
        assert address(leased(path, "db", check=True)) == "192.0.2.2"
        other.execute("ROLLBACK")
    other.close()
    with file_lock(Path(f"{path}-lock"), shared=False):
        assert f"{path}-lock is in use by another process" in refused(path, Busy, check=False)
    assert address(leased(path, "db")) == "192.0.2.2"


def test_a_full_disk_loses_nothing(path: Path) -> None:
    with pytest.raises(NoSpace), opened(path) as database, database.transaction() as tables:
        tables.rows(f"PRAGMA max_page_count = {tables.one('PRAGMA page_count')[0]}")
        for number in range(10_000):
            tables.write("INSERT INTO lease (network, vm, nic, mac) VALUES (1, ?, 'nic0', ?)", f"vm{number}", f"{number}")
    assert addresses_in(path) == ["192.0.2.1"]
    require_sound(path)


def test_a_file_that_another_program_gave_another_journal_is_used(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
    connection.close()
    assert address(leased(path, "db")) == "192.0.2.2"
    require_sound(path)
