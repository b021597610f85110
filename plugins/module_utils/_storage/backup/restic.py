# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository by the program restic: secrets go by its environment alone, and its reasons become errors that say what to do."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..._errors import Busy, CommandFailed, Corrupt, NoSpace, NotFound, Refused, Unreachable, Unsupported
from ..._runner import Completed, Runner
from ..._secrets import without_secrets, without_words
from .model import OURS, Backup, read_snapshots, read_time
from .patience import Lock, Patience
from .request import Access
from .words import plain

PROGRAM = "restic"
NO_REPOSITORY, LOCKED, WRONG_PASSWORD = 10, 11, 12  # exit codes of restic since 0.17; older ones have 1 for all
INCOMPLETE = 3
SOME_ID = re.compile(r"[0-9a-f]{8,64}")  # older versions shorten the ID of a snapshot that they made
ABSENT = ("no such file or directory", "does not exist", "NoSuchBucket", "specified key does not exist", "not found")
CLOSED = ("unable to open repository", "unable to open config file", "connection refused")
FULL = ("no space left on device", "disk quota exceeded")
NO_HEADER = ("unable to open config file", "repository does not exist")


@dataclass(frozen=True)
class Summary:
    """What a backup did: the files that were read and those that were known, the bytes that are new in the repository.

    ``snapshot`` is an ID, which older versions of restic shorten. ``unread`` are restic's words where it could not read something.
    """

    snapshot: str
    files_read: int
    files_known: int
    bytes_added: int
    unread: str = ""


@dataclass(frozen=True)
class Restic:
    """Drives restic; ``runner`` gives it the variables of ``access``. With ``reading`` not even a lock is written.

    With ``patience`` each command waits while another run has the repository for itself; without, that is Busy at once.
    """

    runner: Runner
    access: Access
    reading: bool = False
    patience: Patience | None = None

    def snapshots(self) -> tuple[Backup, ...]:
        """Return the backups of ours; raise NotFound where there is no repository."""
        text = self._run("snapshots", "--json", "--tag", OURS).stdout
        with _understood("the list of snapshots"):
            return read_snapshots(json.loads(text) or ())

    def init(self) -> None:
        """Make the repository; refused for a local folder that has other files."""
        self.refuse_foreign()
        self._run("init")

    def refuse_foreign(self) -> None:
        """Raise Refused where the location is a local path that has something else."""
        path = Path(self.access.location.removeprefix("local:"))
        if path.is_absolute() and path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise Refused(
                f"repository: {path} is not a repository of restic, and there is something else; give an empty or new folder.",
                option="repository",
            )

    def backup(self, files: Iterable[Path], tags: Sequence[str], time: datetime, parent: str | None) -> Summary:
        """Back up files; those that are as in ``parent`` by path, size, times and inode are not read."""
        argv = ["backup", "--json", "--files-from-raw", "-", "--time", time.strftime("%Y-%m-%d %H:%M:%S")]
        argv += [word for tag in tags for word in ("--tag", tag)]
        argv += ["--parent", parent] if parent else ["--force"]
        done = self._run(*argv, stdin="".join(f"{path}\0" for path in files), allowed=(INCOMPLETE,))
        with _understood("the summary of a backup"):
            found = _last(done.stdout)
            return Summary(
                str(found["snapshot_id"]),
                int(found.get("files_new", 0)) + int(found.get("files_changed", 0)),
                int(found.get("files_unmodified", 0)),
                int(found.get("data_added", 0)),
                (self._shown(done) or "it does not say what") if done.rc == INCOMPLETE else "",
            )

    def files(self, snapshot: str) -> dict[str, int]:
        """Return the files of a snapshot with their lengths."""
        text = self._run("ls", "--json", snapshot).stdout
        with _understood("the list of a snapshot's files"):
            lines = (json.loads(line) for line in text.splitlines() if line.startswith("{"))
            return {str(one["path"]): int(one.get("size", 0)) for one in lines if one.get("type") == "file"}

    def read(self, snapshot: str, path: str) -> bytes:
        """Return the bytes of a small file of a snapshot."""
        return self._run("dump", snapshot, path).stdout.encode("utf-8", "surrogateescape")

    def restore(self, snapshot: str, folder: Path) -> None:
        """Write all of a snapshot below a folder."""
        self._run("restore", snapshot, "--target", str(folder))

    def forget(self, snapshots: Sequence[str]) -> None:
        """Remove snapshots by their IDs; their data stays until ``prune``."""
        if wrong := [one for one in snapshots if not SOME_ID.fullmatch(one)]:
            raise Corrupt(f"{wrong[0]!r:.80} is not the ID of a snapshot; nothing was removed.")
        self._run("forget", *snapshots)
        left = [one.id[:8] for one in self.snapshots() if any(one.id.startswith(gone) for gone in snapshots)]
        if left:  # some versions of restic end well though the server refused
            raise Refused(
                f"repository: {self.access.shown} still has {', '.join(left)}, which restic was to remove: its server lets "
                "this host add backups alone. Remove them from where that is allowed.",
                option="repository",
                snapshots=left,
            )

    def prune(self) -> None:
        """Remove the data that no snapshot needs."""
        self._run("prune")

    def unlock(self) -> None:
        """Remove locks that restic finds stale: of a process of this host that ended, or older than half an hour."""
        self._run("unlock")

    def locks(self) -> list[Lock]:
        """Return the locks of the repository, but for those that went while it was read."""
        return [found for one in self._run("list", "locks", "--no-lock").stdout.split() if (found := self._lock(one))]

    def _lock(self, lock: str) -> Lock | None:
        try:
            text = self._run("cat", "lock", lock, "--no-lock").stdout
        except CommandFailed:
            return None
        with _understood("a lock"):
            found = json.loads(text)
            return Lock(lock, str(found.get("hostname", "")), int(found.get("pid", 0)), read_time(str(found["time"])))

    def check(self, subset: str | None) -> None:
        """Check the repository's structure, and with ``subset`` read some or all of its data; raise Corrupt with what is wrong."""
        try:
            self._run("check", *([f"--read-data-subset={subset}"] if subset else []))
        except CommandFailed as error:
            raise Corrupt(f"repository: restic check found damage: {error.stderr.strip()[-2000:]}", option="repository") from None

    def _run(self, *argv: str, stdin: str | None = None, allowed: Sequence[int] = ()) -> Completed:
        """Run restic, which dies with this process, so that nothing works on after a kill of it alone."""
        lock = ["--no-lock"] if self.reading else []
        command = ["setpriv", "--pdeathsig", "KILL", PROGRAM, *lock, *argv]
        while True:
            done = self.runner.run(command, stdin=stdin, check=False)
            if done.rc in (0, *allowed):
                return done
            error = self._error(done, command)
            if not (isinstance(error, Busy) and self.patience and self.patience.waits(error)):
                raise error
            if self.patience.may_unlock(self.locks(), socket.gethostname()):
                self.unlock()

    def _shown(self, done: Completed) -> str:
        return without_words(without_secrets(plain(done.stderr)), self.access.secrets)[-4000:].rstrip(".")

    def _error(self, done: Completed, command: Sequence[str]) -> Exception:
        """Return the error for restic's words; without the secrets, as they are shown, they may not tell the reason any more."""
        rc, words, shown = done.rc, done.stderr, self._shown(done)
        reasons: tuple[tuple[bool, Callable[[str], Exception]], ...] = (
            ("failed to execute restic" in words, _not_installed),
            (rc == WRONG_PASSWORD or "wrong password or no key found" in words, self._wrong_password),
            (rc == LOCKED or "already locked" in words, self._locked),
            (
                rc == NO_REPOSITORY or (any(one in words for one in NO_HEADER) and any(one in words for one in ABSENT)),
                self._missing,
            ),
            (any(one in words for one in FULL), _restored_full if "restore" in command else self._full),
            (any(one in words for one in CLOSED), self._unreachable),
        )
        made = next((make for true, make in reasons if true), None)
        return made(shown) if made else CommandFailed(command, rc, shown)

    def _wrong_password(self, words: str) -> Exception:
        option = "password_file" if self.access.password_file else "password"
        return Refused(
            f"{option}: it does not open the repository {self.access.shown}: {words}. Give the password that it was made with; "
            "without that nothing in it can be read.",
            option=option,
        )

    def _locked(self, words: str) -> Exception:
        return Busy(
            f"repository: {self.access.shown} is locked by another run of restic: {words}. Wait for its end. If it was killed, "
            "set remove_stale_locks: locks of processes of this host that ended, and locks older than 30 minutes, are removed.",
            option="repository",
        )

    def _missing(self, words: str) -> Exception:
        return NotFound(
            f"repository: there is no repository of restic at {self.access.shown}: {words}. Is it mounted, and is it the right "
            "place? To make a new one there, set init.",
            option="repository",
        )

    def _unreachable(self, words: str) -> Exception:
        return Unreachable(
            f"repository: {self.access.shown} cannot be opened: {words}. Is its server reached from this host, and are user, key "
            "and path right?",
            option="repository",
        )

    def _full(self, words: str) -> Exception:
        return NoSpace(
            f"repository: there is no space left at {self.access.shown}, or for restic's temporary files on this host (TMPDIR): "
            f"{words}. What was backed up before stays. Free some there, or remove backups (state absent, or retention).",
            option="repository",
        )


def _restored_full(words: str) -> Exception:
    return NoSpace(f"path: there is no space left for what is restored: {words}. Free some, or give another path.", option="path")


def _not_installed(_words: str) -> Exception:
    return Unsupported("The program restic is not installed on this host; install the package restic.", program=PROGRAM)


@contextmanager
def _understood(what: str) -> Iterator[None]:
    """Raise Corrupt where restic's words are not what they should be, as when they are cut."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Corrupt(f"restic was asked for {what}, and its answer is cut or another: {error!r:.200}. Run again.") from None


def _last(text: str) -> Mapping[str, Any]:
    """Return restic's summary."""
    for line in reversed(text.splitlines()):
        found = json.loads(line) if line.startswith("{") else {}
        if found.get("message_type") == "summary":
            return dict(found)
    raise Corrupt("restic ended without the summary of its backup; look into the repository, and run again.")
