# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A checkout as a user has it after cloning, whose quick start runs inside a bare lab host."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edge_lab.api import Lab, LabHost

NAME = "qstest"


@dataclass(frozen=True)
class Checkout:
    """A copy of this project, as a user has it after cloning, whose quick start runs inside a bare lab host."""

    path: Path
    release: str
    lab: Lab

    def make(self, target: str, *, arguments: str = "", timeout: float = 1400) -> subprocess.CompletedProcess[str]:
        """Run make as the user would; both outputs in one text."""
        command = ["make", "--no-print-directory", target, *([f"ARGS={arguments}"] if arguments else [])]
        return subprocess.run(command, **self.options(), text=True, check=False, timeout=timeout)

    def options(self) -> dict[str, object]:
        """Return how a command runs in the checkout."""
        environment = {**os.environ, "QUICKSTART_ON": "lab", "LAB_RELEASE": self.release, "EDGE_LAB": NAME}
        return {
            "cwd": self.path,
            "env": environment,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "stdin": subprocess.DEVNULL,
        }

    @property
    def host(self) -> LabHost:
        """The lab host that the quick start runs in."""
        return self.lab.host("quickstart")
