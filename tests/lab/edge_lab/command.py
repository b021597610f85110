# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running commands, saying what happens, and the one exception of the lab."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

_STARTED = time.monotonic()


class LabError(Exception):
    """What was asked, what was found, what to do."""


def say(subject: str, text: str) -> None:
    """Print one progress line with the seconds since the program began; standard output stays free for data."""
    print(f"[{time.monotonic() - _STARTED:6.1f}s] {subject}: {text}", file=sys.stderr, flush=True)


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    stdin: str | None = None,
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return its output.

    Raises LabError with the command's whole error text if it fails and check is true, or takes longer than timeout
    seconds.
    """
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=dict(env) if env is not None else None,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"Cannot run {argv[0]}: it is not installed.") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(argv)}: no end after {timeout:.0f} s.") from error
    if check and done.returncode != 0:
        shown = (done.stderr.strip() or done.stdout.strip() or "no message").strip()
        raise LabError(f"{' '.join(argv)}: exit status {done.returncode}: {shown}")
    return done
