# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQLite file of addresses: made whole under its name, opened only if it is ours, changed by one transaction at a time.

It keeps a write-ahead log: a commit is a single fsync of it (``synchronous=FULL``), so that what was answered survives a power cut,
and who reads never waits. SQLite before 3.51.3 can corrupt a file with such a log if one process commits in the middle of the
checkpoint of another. Here that cannot be: the only checkpoints are those that hold SQLite's own lock for writing.

SQLite makes a process that has to wait try again and again, and under load some never get their turn. So processes queue for a lock
file first, in the kernel and in order. Without it no change would be less safe.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..._errors import Busy, Conflict, Corrupt, DiskFailed, EdgeError, NoSpace, NotFound, Refused, Unsupported
from ..._files import file_lock, fsync, rename_new
from .schema import APPLICATION, SCHEMA, VERSION
from .tables import Tables

DEFAULT_PATH = "/var/lib/edge/addresses.sqlite3"
PATIENCE = 60.0  # seconds to wait for other processes
LOG_LIMIT = 4 * 1024 * 1024  # bytes of the log from which it is copied into the file


@dataclass(frozen=True)
class Database:
    """An open file; one without a path is a copy in memory, which may be changed without any effect."""

    connection: sqlite3.Connection
    path: Path | None

    @property
    def tables(self) -> Tables:
        """Its tables, to be read."""
        return Tables(self.connection)

    @contextmanager
    def transaction(self) -> Iterator[Tables]:
        """Commit all changes at the end, or none of them where an error ends it. Other processes wait meanwhile."""
        if self.path is None:
            yield self.tables
            return
        with _in_turn(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.tables
                self.connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # the error of before is the one that counts; what is not committed does not
                    self.connection.execute("ROLLBACK")
                raise
            self._shorten_log(self.path)

    def _shorten_log(self, path: Path) -> None:
        """Copy a long log into the file, unless a reader is at work: then one of the next changes does it."""
        with suppress(FileNotFoundError):
            if Path(f"{path}-wal").stat().st_size > LOG_LIMIT:
                self.connection.execute("PRAGMA busy_timeout=0")
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                self.connection.execute(f"PRAGMA busy_timeout={int(PATIENCE * 1000)}")


@contextmanager
def opened(path: Path, *, create: bool = False, check: bool = False) -> Iterator[Database]:
    """Give the file; with ``check`` a copy of it in memory.

    A file that is missing is made with ``create``, else NotFound is raised; one that is not ours or of a newer version is refused.
    """
    with _translated(path):
        if path.is_dir():
            raise Conflict(f"path: {path} is a folder; give the path of a file in it.", option="path")
        if not path.exists():
            if not create or check:
                raise NotFound(
                    f"path: {path} does not exist, so that no network has addresses there; declare one with "
                    "edge.cloud.address_network, or give the path that was used for that.",
                    option="path",
                )
            _make(path)
        connection = _in_memory(path) if check else _connect(path, write=True)
        try:
            yield Database(connection, None if check else path)
        finally:
            connection.close()


@contextmanager
def _in_turn(path: Path) -> Iterator[None]:
    lock = Path(f"{path}-lock")
    os.close(os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    with file_lock(lock, shared=False, wait=PATIENCE):
        yield


def _connect(path: Path, *, write: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=PATIENCE, isolation_level=None)
    try:
        _require_ours(connection, path)
        connection.execute("PRAGMA wal_autocheckpoint=0")
        if write:
            _require_log(connection, path)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _in_memory(path: Path) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", isolation_level=None)
    source = _connect(path, write=False)
    try:
        source.backup(copy)
    finally:
        source.close()
    copy.execute("PRAGMA foreign_keys=ON")
    return copy


def _require_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Raise an error unless the file is one that this program made and knows; nothing is written."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise Conflict(
            f"path: {path} is a file of another program, not of edge.cloud's addresses; it was left as it is. Give another path.",
            option="path",
        )
    if version > VERSION:
        raise Unsupported(
            f"path: {path} has version {version}, and this host knows {VERSION}; upgrade edge.cloud on this host.",
            option="path",
            found=version,
            known=VERSION,
        )


def _require_log(connection: sqlite3.Connection, path: Path) -> None:
    """Have a write-ahead log, also where that was changed, or raise Unsupported."""
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise Unsupported(f"path: the file system of {path} has no shared memory; use a local one.", option="path")


def _make(path: Path) -> None:
    """Make the file whole, with all tables, readable by its owner only; that another process made it meanwhile is as good."""
    if not path.parent.is_dir():
        if str(path) != DEFAULT_PATH:
            raise NotFound(f"path: the folder {path.parent} does not exist; create it, or give another path.", option="path")
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    work = path.with_name(f".{path.name}.new")
    with _in_turn(path):
        if path.exists():
            return
        if Path(f"{path}-wal").exists():  # SQLite would take it for the log of the new file
            raise Refused(
                f"path: {path} is gone, but its log {path}-wal is there. Put the file back, or move the log away to start over.",
                option="path",
            )
        for left in (work, Path(f"{work}-wal"), Path(f"{work}-shm"), Path(f"{work}-journal")):
            left.unlink(missing_ok=True)
        os.close(os.open(work, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        connection = sqlite3.connect(work, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(SCHEMA)
            connection.execute("PRAGMA journal_mode=WAL")
        finally:
            connection.close()
        fsync(work)
        rename_new(work, path)
        fsync(path.parent)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Raise the library's errors for SQLite's."""
    try:
        yield
    except sqlite3.Error as error:
        raise _error_of(error, path) from error


def _error_of(error: sqlite3.Error, path: Path) -> EdgeError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # without what SQLite adds to the kind of error
    kind, says = ERRORS.get(code, (Corrupt, "{path} could not be used ({error}); nothing was changed."))
    about = (
        {"option": "path"} if says.startswith("path: ") else {"path": str(path), "sqlite": getattr(error, "sqlite_errorname", "")}
    )
    return kind(says.format(path=path, error=error), **about)


DAMAGED = "{path} is damaged ({error}); nothing was changed. Put back a copy of it; docs/addresses.md says how to make one."
CLOSED = "path: {path} cannot be opened for writing ({error}); become its owner, or give another path."
LOCKED = f"{{path}} was locked by another process for {PATIENCE:.0f} seconds; run again when that has ended."
ERRORS: dict[int, tuple[type[EdgeError], str]] = {
    sqlite3.SQLITE_BUSY: (Busy, LOCKED),
    sqlite3.SQLITE_LOCKED: (Busy, LOCKED),
    sqlite3.SQLITE_FULL: (NoSpace, "No space is left for {path}; nothing was changed. Free some."),
    sqlite3.SQLITE_NOTADB: (
        Conflict,
        "path: {path} is not a file of edge.cloud's addresses; it was left as it is. Give another path.",
    ),
    sqlite3.SQLITE_CORRUPT: (Corrupt, DAMAGED),
    sqlite3.SQLITE_CONSTRAINT: (Corrupt, DAMAGED),
    sqlite3.SQLITE_READONLY: (Refused, CLOSED),
    sqlite3.SQLITE_PERM: (Refused, CLOSED),
    sqlite3.SQLITE_CANTOPEN: (Refused, CLOSED),
    sqlite3.SQLITE_IOERR: (DiskFailed, "{path} could not be read or written ({error})."),
}
