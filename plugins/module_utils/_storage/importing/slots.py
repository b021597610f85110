# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The slots into which hosts send images: each has its room before its first byte, and is open for a time only.

``FOLDER/HOST.HEX.SIZE/`` is the slot, and ``….json`` beside it its note, which is written first and removed last. nginx writes
what it receives in ``FOLDER/body/`` and renames it into a slot that its user owns. It cannot be told to end a transfer: while it
receives anything, what ended slots may still get stays reserved.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..._errors import Busy, NoSpace, NotFound
from ..._files import free_bytes, fsync, locked, write_atomically
from ..._sizes import GIB

SLOT = re.compile(r"(?P<host>.{1,64})\.(?P<hex>[0-9a-f]{64})\.(?P<size>[1-9][0-9]{0,14})")
HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]{0,253}")
RESERVE = GIB
LATE = 120.0  # seconds after the end of a slot in which nginx may begin with a request that it admitted before; it waits for 60
CORRECTED = 300.0  # seconds by which a clock is corrected while slots are open
OPEN, CLOSED, ENDED = "open", "closed", "ended"


@dataclass(frozen=True)
class Slot:
    """A slot: whose, for which image; what it is, since when and until when, by the clock; whether the image is there."""

    host: str
    hex: str
    size: int
    state: str = ENDED
    since: float = 0.0
    until: float = 0.0
    arrived: bool = False

    @property
    def name(self) -> str:
        return f"{self.host}.{self.hex}.{self.size}"

    @property
    def sending(self) -> int:
        """Return the bytes that nginx may still write for it."""
        return 0 if self.arrived else self.size

    @property
    def importing(self) -> int:
        """Return the bytes that the image datastore may still write for it."""
        return 0 if self.state == ENDED else self.size

    def over(self, now: float) -> bool:
        """Tell whether its time is over; a clock that was set back by more than a correction ends it, too."""
        return self.state != ENDED and not self.since - CORRECTED <= now < self.until

    def late(self, now: float) -> bool:
        """Tell whether nginx may still begin with a request that it admitted before the slot ended."""
        return self.since - CORRECTED <= now < self.since + LATE


@dataclass(frozen=True)
class Bodies:
    """What nginx receives now: the number of transfers, and the bytes that they take already."""

    number: int = 0
    taken: int = 0


class Slots:
    """The folder of the slots. Take ``hold`` round all that is read and written together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other runs away; NotFound without the folder."""
        if not (self.folder / "body").is_dir():
            raise NotFound(
                f"path: there is no folder for images that hosts send in {self.folder.parent}: it has no {self.folder.name}. Set "
                "frontend_incoming to the right place, and run your playbook with the role frontend.",
                path=str(self.folder),
            )
        with locked(self.folder / "slots.lock"):
            yield

    def read(self) -> dict[str, Slot]:
        """Return the slots by their names."""
        found: dict[str, Slot] = {}
        for path in sorted(self.folder.iterdir()):
            name = path.name.removesuffix(".json")
            if (match := SLOT.fullmatch(name)) and name not in found:
                found[name] = self._slot(Slot(match["host"], match["hex"], int(match["size"])))
        return found

    def _slot(self, slot: Slot) -> Slot:
        folder, note = self.folder / slot.name, {}
        with contextlib.suppress(OSError, ValueError):  # none, or torn: its time is over
            note = json.loads((self.folder / f"{slot.name}.json").read_text())
        since, until = (float(note.get(key) or 0) for key in ("since", "until"))
        state = CLOSED if note.get("state") == CLOSED else OPEN
        arrived = (folder / "image").exists()
        return replace(slot, state=state if folder.is_dir() else ENDED, since=since, until=until, arrived=arrived)

    def bodies(self) -> Bodies:
        """Return what nginx receives; a file that no process has open is what a killed one left."""
        there = {(about.st_dev, about.st_ino): about for about in _files_in(self.folder / "body")}
        busy = [there[key] for key in there.keys() & _opened()] if there else []
        return Bodies(len(busy), sum(min(about.st_size, about.st_blocks * 512) for about in busy))

    def note(self, slot: Slot) -> None:
        """Write since when and until when it is what it is."""
        text = json.dumps({"state": slot.state, "since": slot.since, "until": slot.until})
        write_atomically(self.folder / f"{slot.name}.json", text.encode(), self.folder / "note.new", 0o600)

    def open(self, slot: Slot, owner: tuple[int, int]) -> None:
        """Let nginx's user write into it."""
        self.note(slot)
        folder = self.folder / slot.name
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        os.chown(folder, *owner)
        folder.chmod(0o700)
        fsync(self.folder)

    def close(self, slot: Slot) -> None:
        """Let only root write into it; the image stays."""
        folder = self.folder / slot.name
        if folder.is_dir():
            os.chown(folder, os.geteuid(), os.getegid())
        self.note(slot)

    def end(self, slot: Slot, now: float) -> None:
        """Remove it, and what is in it; its note stays while a transfer may go on."""
        self.close(replace(slot, state=ENDED, since=now, until=now))
        with contextlib.suppress(FileNotFoundError):
            (self.folder / slot.name).chmod(0o700)
            shutil.rmtree(self.folder / slot.name)
        fsync(self.folder)

    def forget(self, slot: Slot) -> None:
        """Remove the note of a slot that has ended, and with it what was reserved."""
        (self.folder / f"{slot.name}.json").unlink(missing_ok=True)

    def tidy(self, now: float, *, check: bool = False) -> list[str]:
        """End the slots whose time is over, and forget those for which nothing can arrive any more.

        Returns what was ended, or with ``check`` would be.
        """
        over = [slot for slot in self.read().values() if slot.over(now)]
        done = [f"End the slot {slot.name}: its time is over." for slot in over]
        if check:
            return done
        for slot in over:
            self.end(slot, now)
        idle = not self.bodies().number
        for slot in self.read().values():
            if slot.state == ENDED and idle and not slot.late(now):
                self.forget(slot)
        return done


def _files_in(folder: Path) -> Iterator[os.stat_result]:
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            about = path.lstat()
            if stat.S_ISREG(about.st_mode):
                yield about


def _opened() -> set[tuple[int, int]]:
    """Return the files that processes have open."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            about = path.stat()
            found.add((about.st_dev, about.st_ino))
    return found


def needed(slots: Iterable[Slot], bodies: Bodies, incoming: Path, store: Path) -> dict[int, int]:
    """Return the bytes that slots need beyond what is written, by file system."""
    slots = list(slots)
    found = Counter({incoming.stat().st_dev: max(0, sum(slot.sending for slot in slots) - bodies.taken)})
    found[_existing(store).stat().st_dev] += sum(slot.importing for slot in slots)
    return found


def _existing(path: Path) -> Path:
    return next(one for one in (path, *path.parents) if one.exists())


def require_room(wanted: Slot, others: Iterable[Slot], bodies: Bodies, incoming: Path, store: Path) -> None:
    """Raise NoSpace if the image has no room, and Busy if it only has none beside those that other slots are for."""
    others = list(others)
    for folder in (incoming, _existing(store)):
        device, free = folder.stat().st_dev, free_bytes(folder)
        alone = needed([wanted], Bodies(), incoming, store)[device]
        together = needed([wanted, *others], bodies, incoming, store)[device]
        if free >= together + RESERVE:
            continue
        about = {"path": str(folder), "needed": together, "free": free}
        if free < alone + RESERVE:
            raise NoSpace(
                f"size: an image of {wanted.size} bytes needs {alone} bytes in {folder}, once as it is sent and once in the image "
                f"datastore if that is on the same file system, and {RESERVE} in reserve; {free} are free. Free some, or set "
                "frontend_incoming to another place and run your playbook with the role frontend.",
                **about,
            )
        senders = ", ".join(sorted({slot.host for slot in others if slot.sending or slot.importing}))
        raise Busy(
            f"size: an image of {wanted.size} bytes has no room in {folder} beside those that {senders} send: together they need "
            f"{together} bytes and {RESERVE} in reserve; {free} are free. Run again when they have ended.",
            **about,
        )
