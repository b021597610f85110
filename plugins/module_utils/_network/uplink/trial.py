# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change on trial: a timer of systemd undoes it unless it is confirmed; only then are boot files written.

All that a trial keeps is below /run, so that after a power cut nothing of it is left and the host boots its old network.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..._errors import Busy, Conflict, EdgeError, NotFound, Unsupported
from ..._files import fsync, locked
from ..._runner import Runner
from ..boot.unit_files import read_text
from . import scripts
from .model import Move, Parts

FOLDER = Path("/run/edge/uplink")
SYSTEMD = Path("/run/systemd/system")  # is there while systemd runs the host
TIMEOUT = 30.0
SPARE = 5  # seconds that the undoing itself may take before it is looked at again


class Trial:
    """The trial of this host; there is one at a time."""

    def __init__(self, runner: Runner, folder: Path = FOLDER, systemd: Path = SYSTEMD) -> None:
        self._runner, self._folder, self._systemd = runner, folder, systemd

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Hold this host's uplink: a run whose controller gave up may still be at work, and another controller may come."""
        return locked(self._folder.with_name(f"{self._folder.name}.lock"), wait=TIMEOUT, make_folder=True)

    def prepare(self, move: Move, parts: Parts, gateways: tuple[str, ...], seconds: int) -> str:
        """Arm the timer, start the change in a unit of its own, and return the token that confirms it."""
        self._require_systemd()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True)
        token = secrets.token_hex(8)
        about = {"token": token, "name": move.name, "port": move.port, "present": move.present, "gateways": list(gateways)}
        about |= {"addresses": list(move.addresses), "boot": [[f.path, f.before, f.after] for f in parts.boot]}
        texts = {f"trial-{number}": text for number, (_path, text) in enumerate(parts.trial)}
        texts |= {
            "forward": scripts.forward(parts, str(self._folder)),
            "undo": scripts.undo(parts, token),
            "change": scripts.change(token),
        }
        texts |= {"finish": scripts.finish(parts), "change.json": json.dumps({**about, "until": time.time() + seconds})}
        for name, text in texts.items():
            (self._folder / name).write_text(text, errors="surrogateescape")
        timer, change = scripts.units(token)
        self._start(timer, "undo", f"--on-active={seconds}", "--timer-property=AccuracySec=1s")
        try:
            self._start(change, "change", "--no-block")
        except EdgeError:
            self._disarm(token)
            raise
        return token

    def _disarm(self, token: str) -> None:
        self._runner.run(("systemctl", "stop", f"{scripts.units(token)[0]}.timer"), check=False, timeout=TIMEOUT)

    def _start(self, unit: str, program: str, *words: str) -> None:
        # What ifup starts, such as a DHCP client, has to live on when the program has ended.
        of_unit = ("--collect", f"--unit={unit}", "--property=KillMode=process", f"--working-directory={self._folder}")
        argv = ("systemd-run", "--quiet", *of_unit, *words, "/bin/sh", str(self._folder / program))
        self._runner.run(argv, timeout=TIMEOUT)

    def _require_systemd(self) -> None:
        if not self._systemd.is_dir():
            raise Unsupported("systemd does not run this host; without its timer a change of the uplink could not be undone.")

    def _active(self, unit: str) -> bool:
        found = self._runner.run(("systemctl", "is-active", unit), check=False, timeout=TIMEOUT).stdout.strip()
        return found in ("active", "activating", "deactivating", "reloading")

    def _read(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self._folder / "change.json").read_text(errors="surrogateescape"))
        except (FileNotFoundError, ValueError):
            return {}
        return found

    def _decision(self) -> str:
        try:
            return (self._folder / "decision").read_text().strip()
        except FileNotFoundError:
            return ""

    def _there(self, name: str) -> bool:
        return (self._folder / name).exists()

    def refuse_open(self) -> None:
        """Raise Busy while an earlier change waits for its confirmation or is undone; end one that was confirmed."""
        found = self._read()
        timer = scripts.units(found.get("token", ""))[0]
        active = self._active(f"{timer}.timer") or self._active(f"{timer}.service")
        if active and self._decision() != scripts.CONFIRMED:
            left = max(0, round(found.get("until", time.time()) - time.time()))
            raise _busy(found, f"waits for its confirmation and is undone in {left} s", left + SPARE)
        if not found or self._there("done") or self._there(scripts.ROLLED_BACK):
            if active:  # killed before it was disarmed: its timer would undo the next change, whose programs have the same names
                self._disarm(found["token"])
            return
        if self._decision() == scripts.CONFIRMED:
            if all(_text(Path(name)) in (before, after) for name, before, after in found["boot"]):
                self._commit(found)
            else:  # edited since: what is there now is what counts
                self._finish(found)
            return
        if self._there("begun"):  # it ran, and no timer is there to undo it
            self._start(timer, "undo", "--no-block")
            raise _busy(found, "lost its timer and is undone now", SPARE)

    def confirm(self, token: str, look: Callable[[dict[str, Any]], str]) -> dict[str, Any]:
        """Write the boot files of a change that works and disarm the timer; return what was prepared.

        ``look`` says what is still missing of it. Raise Busy while that is something, Conflict once it was undone. A connection
        that began before the change proves nothing: who asks first gets a word, in an error Busy, and confirms by ``TOKEN:WORD``
        over a connection that was made when that had arrived.
        """
        found = self._read()
        token, _colon, word = token.partition(":")
        if found.get("token") != token:
            raise NotFound(
                f"The change {token} is not known on this host any more: was it restarted? Its boot files are the old ones."
            )
        if self._decision() == scripts.ROLLED_BACK:
            done = self._there(scripts.ROLLED_BACK)
            raise Conflict(f"The change was undone{'' if done else ' (not to the end yet)'}: {self.log()}", undone=done)
        if self._decision() != scripts.CONFIRMED:
            if self._there("failed"):
                raise Conflict(f"The change failed and is undone: {self.log()}", undone=False)
            if not self._there("applied"):
                raise _busy(found, "is being made", 1)
            if missing := look(found):
                raise _busy(found, f"is not whole yet: {missing}", 1)
            self._require_word(found, word)
            _require_untouched(found)
            self._decide()
        if not self._there("done"):
            self._commit(found)
        return found

    def log(self) -> str:
        """Return the end of what the programs of the trial printed."""
        try:
            lines = (self._folder / "log").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return "they printed nothing"
        return "; ".join(lines[-8:]) or "they printed nothing"

    def _require_word(self, found: dict[str, Any], word: str) -> None:
        """Raise Busy, with the word that confirms, unless it was given: only who was answered since the change can know it."""
        kept = self._folder / "word"
        if not kept.exists():
            kept.write_text(secrets.token_hex(8))
        if word != kept.read_text():
            error = _busy(found, "works, and waits for a connection that was made since", 0)
            error.details["word"] = kept.read_text()
            raise error

    def _decide(self) -> None:
        own = self._folder / f"decision.{os.getpid()}"
        own.write_text(f"{scripts.CONFIRMED}\n")
        try:
            os.link(own, self._folder / "decision")
        except FileExistsError:
            if self._decision() != scripts.CONFIRMED:
                raise Conflict("The confirmation came too late; the change is undone.", undone=False) from None
        finally:
            own.unlink()

    def _commit(self, found: dict[str, Any]) -> None:
        """Write the boot files; where that fails, put those back that were written, and undo the change."""
        written: list[tuple[Path, str | None]] = []
        try:
            for name, before, after in found["boot"]:
                if _text(Path(name)) != after:
                    put(Path(name), after)
                written.append((Path(name), before))
        except (EdgeError, OSError):
            for path, before in reversed(written):
                with contextlib.suppress(OSError):  # a full disk; without the file that counts last this one is of no effect
                    put(path, before)
            (self._folder / "decision").unlink()
            self._disarm(found["token"])
            self._start(f"{scripts.units(found['token'])[0]}-now", "undo", "--no-block")
            raise
        self._finish(found)

    def _finish(self, found: dict[str, Any]) -> None:
        """Clean up after a confirmed change, and disarm its timer."""
        self._runner.run(("/bin/sh", "-c", 'cd "$1" && exec sh ./finish', "sh", str(self._folder)), check=False, timeout=TIMEOUT)
        (self._folder / "done").touch()
        self._disarm(found["token"])


def put(path: Path, text: str | None) -> None:
    """Have a file hold ``text``, or not be there; a reader, and a boot after a power cut, sees the old or the new one whole."""
    if text is None:
        path.unlink(missing_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        work = path.with_name(f".edge-{path.name}.new")
        work.unlink(missing_ok=True)
        data = text.encode("utf-8", "surrogateescape")
        try:
            with os.fdopen(os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
                file.write(data)
                _like(path, file.fileno())
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            work.unlink(missing_ok=True)
            raise
        work.rename(path)
    fsync(path.parent)


def _text(path: Path) -> str | None:
    try:
        return read_text(path)
    except FileNotFoundError:
        return None


def _like(path: Path, descriptor: int) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, 0o644)
        return
    os.fchown(descriptor, found.st_uid, found.st_gid)
    os.fchmod(descriptor, found.st_mode & 0o7777)


def _require_untouched(found: dict[str, Any]) -> None:
    for name, before, _after in found["boot"]:
        if _text(Path(name)) != before:
            raise Conflict(
                f"{name} was changed by someone else meanwhile; the change is undone. Run again.", undone=False, path=name
            )


def _busy(found: dict[str, Any], what: str, seconds: int) -> Busy:
    return Busy(f"name: a change of the uplink {found.get('name', '')} {what}.", option="name", seconds=seconds)
