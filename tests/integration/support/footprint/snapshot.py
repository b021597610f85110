# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints what a host has, as JSON: files (those of /etc with their digests), users, groups, units and packages."""

from __future__ import annotations

import json
import os
import subprocess
from hashlib import sha256
from pathlib import Path

# Logs, caches, what is gone with a boot, and the packages' own book-keeping.
UNSEEN = {"/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log", "/var/cache", "/var/lib/apt", "/var/lib/dpkg"}
LISTS = {
    "users": ["getent", "passwd"],
    "groups": ["getent", "group"],
    "unit files": ["systemctl", "list-unit-files", "--no-legend", "--plain", "--type=service,socket,timer,path,target"],
    "units": ["systemctl", "list-units", "--no-legend", "--plain", "--type=service,socket,timer,path"],
    "packages": ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n"],
    "conffiles": ["dpkg-query", "-W", "-f", "${Conffiles}\n"],
}
WORDS = {"unit files": 2, "units": 3, "conffiles": 1}


def listed(name: str) -> list[str]:
    """Return a list's lines, of some only the first words."""
    shown = subprocess.run(LISTS[name], capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted({" ".join(line.split()[: WORDS.get(name)]) for line in shown if line.strip()})


def described(path: Path) -> str:
    """Return what is at a path, in a word, or for a file of /etc in some."""
    if path.is_symlink():
        return f"link to {path.readlink()}"
    about = path.stat()
    if path.is_dir():
        return f"folder {about.st_uid}:{about.st_gid} {about.st_mode:o}"
    if not str(path).startswith("/etc/"):
        return "file"
    return f"file {about.st_uid}:{about.st_gid} {about.st_mode:o} {sha256(path.read_bytes()).hexdigest()}"


def files() -> dict[str, str]:
    """Return all files and folders; what Python compiles for itself is not worth a look."""
    found = {}
    for folder, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if str(Path(folder, name)) not in UNSEEN and name != "__pycache__"]
        for path in (Path(folder, name) for name in folders + names):
            found[str(path)] = described(path)
    return found


if __name__ == "__main__":
    print(json.dumps({"files": files()} | {name: listed(name) for name in LISTS}))
