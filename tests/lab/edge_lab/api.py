# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab for tests: the same verbs as the command line, as objects.

lab = Lab()
one, two = lab.up(2)
one.run(["ip", "address"])
one.cut()
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import lifecycle, ssh, verbs
from .command import LabError, run
from .hosts import Spec, every, find
from .packages import require_root
from .settings import Settings
from .shaping import Slow

__all__ = ["Lab", "LabError", "LabHost", "unusable"]


def unusable() -> str:
    """Return why no lab can run here, nothing if one can."""
    if os.geteuid() != 0:
        return "the lab needs root"
    if not Path("/usr/bin/apt-get").exists():
        return "the lab needs a Debian machine"
    return ""


@dataclass(frozen=True)
class LabHost:
    """One host of a lab."""

    settings: Settings
    name: str

    @property
    def address(self) -> str:
        """Its address, which the machine and every host reach."""
        return str(find(self.settings, self.name).address)

    @property
    def running(self) -> bool:
        """Whether any process of it lives."""
        return lifecycle.running(find(self.settings, self.name))

    def ssh_command(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs a command on the host, for a test that wants to hold the process itself."""
        return ssh.command(find(self.settings, self.name), [shlex.join(argv)])

    def run(
        self, argv: Sequence[str], *, check: bool = True, timeout: float = 300, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host, its arguments passed as they are; raise LabError if it fails and check is true."""
        return run(self.ssh_command(argv), check=check, timeout=timeout, stdin=stdin)

    def put(self, source: Path, target: str) -> None:
        """Copy a file or folder of the machine into the host."""
        verbs.push(self.settings, self.name, source, target)

    def get(self, source: str, target: Path) -> None:
        """Copy a file or folder of the host to the machine."""
        verbs.pull(self.settings, self.name, source, target)

    def kill(self) -> None:
        """Pull its plug."""
        verbs.kill(self.settings, self.name)

    def start(self) -> None:
        """Boot it on the disk that it has, and wait until it lets us in."""
        verbs.start(self.settings, self.name)

    def cut(self, other: LabHost | None = None) -> None:
        """Cut it off from everything, or from one other host, both ways."""
        verbs.cut(self.settings, self.name, other.name if other else None)

    def mend(self, other: LabHost | None = None) -> None:
        """End its cuts and its slowness, or only the cut between it and one other host."""
        verbs.mend(self.settings, self.name, other.name if other else None)

    def slow(self, rate: str | None = None, delay: str | None = None, loss: str | None = None) -> None:
        """Make its cable slow each way, with texts like 100mbit, 20ms and 1%."""
        verbs.slow(self.settings, self.name, Slow.parse(rate, delay, loss))

    def route(self, subnet: str) -> None:
        """Route a network to it, for the machine and every host."""
        verbs.route(self.settings, self.name, subnet)

    def down(self) -> None:
        """Remove it and its disk."""
        verbs.down(self.settings, [self.name])


class Lab:
    """A lab, by default the one that EDGE_LAB and the other variables name."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Raise LabError if the process is not root's."""
        require_root("api")
        self.settings = settings or Settings.from_environment()

    def up(
        self,
        count: int = 1,
        *,
        names: Sequence[str] = (),
        prefix: str = "host",
        release: str = "trixie",
        variant: str = "minimal",
        binds: Sequence[str] = (),
        kvm: bool = False,
    ) -> list[LabHost]:
        """Have the named hosts, or PREFIX1 to PREFIXcount, running; return them in that order."""
        wanted = list(names) or [f"{prefix}{number}" for number in range(1, count + 1)]
        specs = [Spec(name, 0, release, variant, "", "", kvm, tuple(binds)) for name in wanted]
        return [LabHost(self.settings, host.name) for host in verbs.up(self.settings, specs)]

    def host(self, name: str) -> LabHost:
        """Return a host that is there; raise LabError if it is not."""
        return LabHost(self.settings, find(self.settings, name).name)

    def hosts(self) -> list[LabHost]:
        """Return all hosts that are there."""
        return [LabHost(self.settings, host.name) for host in every(self.settings)]

    def down(self, *names: str) -> None:
        """Remove the named hosts, those that are there; with the last one, everything of the lab."""
        if names:  # to the verb no names are all of the lab, and a list that came out empty is not meant so
            verbs.down(self.settings, names)

    def clear(self) -> None:
        """Remove all hosts and everything else of the lab."""
        verbs.down(self.settings, ())

    def status(self) -> dict[str, Any]:
        """Return what there is, as lab status --json prints it."""
        return verbs.status(self.settings)

    @property
    def inventory(self) -> Path:
        """The lab's Ansible inventory, kept as its hosts are."""
        return self.settings.inventory
