# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is mounted below a folder, and the programs behind it, as the kernel tells: nothing is noted that a kill could falsify."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..._errors import TimedOut
from ..store.identity import mounts

PROC = Path("/proc")
DAEMON, GUESTMOUNT = "qemu-storage-daemon", "guestmount"
PROGRAMS = (DAEMON, GUESTMOUNT)
SECONDS = 60  # until a program that is to end is killed


@dataclass(frozen=True)
class Holder:
    """A running program that shows something below the folder, with its arguments."""

    pid: int
    arguments: tuple[str, ...]

    @property
    def program(self) -> str:
        """Its name."""
        return Path(self.arguments[0]).name

    def end(self) -> None:
        """Have it end, and return when it has; another process that got its number meanwhile is left alone."""
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(self.pid)
            try:
                for number in (signal.SIGTERM, signal.SIGKILL):
                    if _arguments(self.pid) != self.arguments:
                        return
                    signal.pidfd_send_signal(handle, number)
                    if _ended(handle):
                        return
            finally:
                os.close(handle)
            raise TimedOut(f"{self.program} (process {self.pid}) does not end, although it was killed.", pid=self.pid)

    def wait(self) -> None:
        """Return once it has ended by itself, or has had its time."""
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(self.pid)
            try:
                if _arguments(self.pid) == self.arguments:
                    _ended(handle)
            finally:
                os.close(handle)


def _ended(handle: int) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(SECONDS * 1000))


def _arguments(pid: int) -> tuple[str, ...]:
    with suppress(OSError):
        return tuple(os.fsdecode((PROC / str(pid) / "cmdline").read_bytes()).split("\0")[:-1])
    return ()


def holders(folder: Path, program: str | None = None) -> list[Holder]:
    """Return the programs that show something right below the folder."""
    wanted = PROGRAMS if program is None else (program,)
    found = (Holder(int(one.name), _arguments(int(one.name))) for one in PROC.iterdir() if one.name.isdigit())
    return [one for one in found if one.arguments and one.program in wanted and folder in {path.parent for path in _shows(one)}]


def _shows(holder: Holder) -> Iterator[Path]:
    """Yield what a program was started to show."""
    if holder.program == GUESTMOUNT:
        yield Path(holder.arguments[-1])
    for export in exports(holder):
        yield Path(str(export.get("mountpoint", "/")))


def exports(holder: Holder) -> Iterator[dict[str, Any]]:
    """Yield the exports of a storage daemon."""
    for word, value in pairwise(holder.arguments):
        if word == "--export":
            with suppress(ValueError):
                yield dict(json.loads(value))


def mounted(folder: Path) -> Iterator[Path]:
    """Yield what is mounted below the folder, the innermost first."""
    found = {Path(mount.place) for mount in mounts()}
    yield from sorted((path for path in found if folder in path.parents), key=lambda path: -len(path.parts))
