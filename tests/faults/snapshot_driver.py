# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a lab host, beside the library: one change of a VM's snapshots that somebody dies in.

Its argument is JSON: the options of domain_snapshot, and ``kill``: ``who`` (self, qemu, libvirtd; restart for an orderly restart of
libvirtd), ``step`` (from 0) and ``when`` (before, after, during). It prints the sentences of the plan as JSON; killed by itself, it
prints nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from module_utils._compute import snapshot_guest
from module_utils._compute.events import EventLoop
from module_utils._compute.facts import Folders
from module_utils._compute.snapshots import Snapshots
from module_utils._disks import DiskFiles
from module_utils._errors import EdgeError
from module_utils._libvirt import connection
from module_utils._runner import SubprocessRunner


def kill(who: str, domain: str) -> None:
    """End the victim at once; return when its death is seen."""
    if who == "self":
        os.kill(os.getpid(), signal.SIGKILL)
    elif who == "qemu":
        os.kill(int(Path(f"/run/libvirt/qemu/{domain}.pid").read_text()), signal.SIGKILL)
    elif who == "libvirtd":
        subprocess.run(["systemctl", "kill", "--signal=KILL", "libvirtd.service"], check=True)
    else:
        subprocess.run(["systemctl", "restart", "libvirtd.service"], check=True)


class DoomedGuest(snapshot_guest.SnapshotGuest):
    """Applies steps until the named one."""

    order: dict[str, Any] = {}
    done = 0

    def apply(self, step: Any) -> None:
        """Do one step, and let the victim die at its place."""
        order, number = type(self).order, type(self).done
        type(self).done += 1
        mine = order.get("step") == number
        if mine and order["when"] == "before":
            kill(order["who"], self.state.name)
        if mine and order["when"] == "during":
            threading.Timer(order["delay"], kill, (order["who"], self.state.name)).start()
        super().apply(step)
        if mine and order["when"] == "after":
            kill(order["who"], self.state.name)


def main() -> None:
    """Do what the argument says."""
    order = json.loads(sys.argv[1])
    folders = Folders()
    tool = DiskFiles(SubprocessRunner(), folders)
    DoomedGuest.order = order.pop("kill", {})
    from module_utils._compute import snapshots as composition

    composition.SnapshotGuest = DoomedGuest  # type: ignore[misc]
    try:
        with EventLoop(), connection() as opened:
            plan, found = Snapshots(opened, tool, folders, order.pop("domain"), 120).run(order, "2026-01-01T00:00:00Z", False)
    except EdgeError as error:
        print(json.dumps({"failed": True, **error.as_result()}))
        return
    print(json.dumps({"actions": plan.actions, **found}))


if __name__ == "__main__":
    main()
