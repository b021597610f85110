# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are whole or not there: written aside, then renamed."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any


def write_atomic(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file by one rename; readers see the old or the new text. Threads and processes may do so at once."""
    aside = path.with_name(f".{path.name}.{threading.get_native_id()}.new")
    aside.write_text(text)
    aside.chmod(mode)
    aside.replace(path)


def write_if_changed(path: Path, text: str, mode: int = 0o644) -> bool:
    """Write a file unless it already says just that; return whether it was written."""
    try:
        if path.read_text() == text:
            return False
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text, mode)
    return True


def read_json(path: Path, missing: Any) -> Any:
    """Return a JSON file's content, or what is given for missing if there is no such file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return missing


def write_json(path: Path, data: Any) -> None:
    """Replace a JSON file by one rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(data, indent=1, sort_keys=True) + "\n")
