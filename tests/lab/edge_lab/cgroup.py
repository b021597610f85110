# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups: one for each host, so that all its processes can be known, and ended at one instant.

A group cannot be mistaken for another's as a recycled process id can; it ends with the machine's uptime.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .command import LabError

TOP = "edge-lab"


@cache
def _mounts() -> tuple[Path, tuple[Path, ...]]:
    """Return where cgroup version 2 is, and all hierarchies that systemd-nspawn looks at."""
    unified: Path | None = None
    named: list[Path] = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _id, where, kind, options, *_more = line.split()
        if kind == "cgroup2" and unified is None:
            unified = Path(where)
        if kind == "cgroup" and "name=systemd" in options.split(","):
            named.append(Path(where))
    if unified is None:
        raise LabError("No cgroup version 2 is mounted here. Mount one: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified")
    return unified, (unified, *named)


@dataclass(frozen=True)
class Group:
    """A control group of the lab, by its path under the lab's own."""

    lab: str
    name: str

    @property
    def directories(self) -> tuple[Path, ...]:
        """The group's directory in each hierarchy."""
        return tuple(mount / TOP / self.lab / self.name for mount in _mounts()[1])

    @property
    def _unified(self) -> Path:
        return self.directories[0]

    def create(self) -> None:
        """Make the group, empty; leave it if it is there."""
        for directory in self.directories:
            with suppress(FileNotFoundError):  # the last group of another lab may just be going, and its parent with it
                directory.mkdir(parents=True, exist_ok=True)
            directory.mkdir(parents=True, exist_ok=True)

    def alive(self) -> bool:
        """Return whether any process is in the group or below it."""
        try:
            return "populated 1" in (self._unified / "cgroup.events").read_text().splitlines()
        except OSError:
            return False

    def kill(self, timeout: float = 20) -> None:
        """End every process of the group at one instant (SIGKILL) and wait until none is left."""
        deadline = time.monotonic() + timeout
        while self.alive():
            (self._unified / "cgroup.kill").write_text("1")
            if time.monotonic() > deadline:
                raise LabError(f"{self._unified}: processes survive SIGKILL for {timeout:.0f} s; see cgroup.procs there.")
            time.sleep(0.02)

    def remove(self) -> None:
        """Remove the group and whatever groups are below it; it must be empty."""
        for directory in self.directories:
            for folder, _any, _any in os.walk(directory, topdown=False):
                Path(folder).rmdir()


def groups(lab: str) -> list[Group]:
    """Return all groups of a lab."""
    parent = _mounts()[0] / TOP / lab
    return [Group(lab, path.name) for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []


def remove_lab(lab: str) -> None:
    """Remove the group that held a lab's groups, and the one that held the labs'."""
    for mount in _mounts()[1]:
        with suppress(OSError):  # another lab's groups keep it
            (mount / TOP / lab).rmdir()
            (mount / TOP).rmdir()
