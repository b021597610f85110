# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines for the journal: standard error of a unit."""

from __future__ import annotations

import sys


def log(line: str) -> None:
    """Write a line at once, so that who follows the journal sees it when it happens."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
