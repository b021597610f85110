# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of docs/storage.md that computes the digest of an image's file without any line of ours."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs/storage.md"


def program() -> str:
    """Return the text that a reader of the page would copy."""
    found = re.findall(r"^```python\n((?:.*\n)*?)^```$", PAGE.read_text(), re.MULTILINE)
    (text,) = [block for block in found if "edge.cloud image 1" in block]
    return str(text)


def digest_of(path: Path) -> str:
    """Return the digest of a file as a user computes it."""
    return subprocess.run([sys.executable, "-", path], input=program(), check=True, capture_output=True, text=True).stdout.strip()
