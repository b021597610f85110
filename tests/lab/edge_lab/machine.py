# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the machine's kernel that labs need, raised with the first lab and put back with the last."""

from __future__ import annotations

from pathlib import Path

from .files import read_json, write_json
from .locking import locked

WANTED = {
    "/proc/sys/net/ipv4/ip_forward": 1,
    "/proc/sys/fs/inotify/max_user_instances": 4096,
}
"""Least value of each: hosts reach the outside through us; all systemds of a lab share one user's inotify instances."""

STATE = Path("/run/edge-lab-machine.json")
LOCK = Path("/run/edge-lab-machine.lock")


def acquire(lab: str) -> None:
    """Raise the settings for a lab and remember what they were."""
    with locked(LOCK, "machine"):
        state = read_json(STATE, {"labs": [], "before": {}})
        if lab not in state["labs"]:
            state["labs"].append(lab)
        for path, wanted in WANTED.items():
            value = int(Path(path).read_text())
            if value < wanted:
                state["before"].setdefault(path, value)
        write_json(STATE, state)
        for path, wanted in WANTED.items():
            if int(Path(path).read_text()) < wanted:
                Path(path).write_text(f"{wanted}\n")


def release(lab: str) -> None:
    """Put the settings back if no other lab needs them and nobody else has changed them since."""
    with locked(LOCK, "machine"):
        state = read_json(STATE, {"labs": [], "before": {}})
        state["labs"] = [name for name in state["labs"] if name != lab]
        if state["labs"]:
            write_json(STATE, state)
            return
        for path, value in state["before"].items():
            if int(Path(path).read_text()) == WANTED[path]:
                Path(path).write_text(f"{value}\n")
        STATE.unlink(missing_ok=True)
        LOCK.unlink(missing_ok=True)
