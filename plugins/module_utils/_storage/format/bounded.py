# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command over hostile input, whose complaints may have no end: they go to a file that has a largest size."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence

from ..._runner import C_LOCALE, Completed

MOST_COMPLAINTS = 16 * 1024 * 1024
KEPT_BYTES = 2000


def run_bounded(argv: Sequence[str], seconds: int) -> Completed:
    """Return the outcome of a command that writes no file; it is ended by the kernel after so much CPU time or so many complaints.

    What it printed to stderr is kept up to a length that a person can read.
    """
    limits = ["prlimit", "--core=0", f"--cpu={seconds}", f"--fsize={MOST_COMPLAINTS}", "--"]
    with tempfile.TemporaryFile() as complaints:
        done = subprocess.run(
            [*limits, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env={**os.environ, **C_LOCALE},
            check=False,
        )
        complaints.seek(0)
        kept = complaints.read(KEPT_BYTES)
    return Completed(done.returncode, done.stdout.decode(errors="replace"), kept.decode(errors="replace"))
