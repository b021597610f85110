# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps cloud-init from writing a network configuration again that has a bridge of which it does not know."""

from __future__ import annotations

from pathlib import Path

from .marks import OURS

FILE = "etc/cloud/cloud.cfg.d/99-edge-uplink-network.cfg"


def needed(root: Path, path: Path, bridge: str) -> dict[str, str]:
    """Return name and text of the file that has to be beside ``path``: nothing unless cloud-init wrote that."""
    if "cloud-init" not in path.name or not (root / "etc/cloud").is_dir():
        return {}
    about = f"{OURS} {bridge}: {path} has a bridge that cloud-init does not know\n"
    return {str(root / FILE): f"{about}network: {{config: disabled}}\n"}


def there(root: Path) -> dict[str, str]:
    """Return name and text of the file that we wrote, if it is there."""
    path = root / FILE
    text = path.read_text() if path.exists() else ""
    return {str(path): text} if text.startswith(OURS) else {}
