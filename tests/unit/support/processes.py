# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts real, separate processes that run the library, so that a test can kill one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[3]
LIBRARY = "ansible_collections.edge.cloud.plugins.module_utils"


def python(code: str, *arguments: object, stdin: int | None = None) -> subprocess.Popen[str]:
    """Run ``code`` (``LIBRARY`` in it is the library's package) with ``sys.argv[1:]``, its output to be read."""
    argv = [sys.executable, "-c", code.replace("LIBRARY", LIBRARY), *map(str, arguments)]
    environment = {"PYTHONPATH": str(TREE / "collections"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, text=True, env=environment)
