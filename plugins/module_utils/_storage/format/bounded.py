# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command over hostile input: its error output can be endless, so it goes to a file of limited size."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence

from ..._runner import C_LOCALE, Completed

LARGEST_STDERR = 16 * 1024 * 1024
KEPT_BYTES = 2000


def run_bounded(argv: Sequence[str], seconds: int) -> Completed:
    """Return the outcome of a command that writes no file; the kernel ends it after too much CPU time or too much error output.

    The beginning of its error output is kept, as much as a person can read.
    """
    limits = ["prlimit", "--core=0", f"--cpu={seconds}", f"--fsize={LARGEST_STDERR}", "--"]
    with tempfile.TemporaryFile() as stderr:
        done = subprocess.run(
            [*limits, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **C_LOCALE},
            check=False,
        )
        stderr.seek(0)
        kept = stderr.read(KEPT_BYTES)
    return Completed(done.returncode, done.stdout.decode(errors="replace"), kept.decode(errors="replace"))
