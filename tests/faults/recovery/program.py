# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs edge-host or a module of ours as a process of its own, which stops before one of its steps until it is let go on.

Usage: program.py JSON. A step is a change of a name or a folder opened below one of ``below``, a file opened there for writing, a
program that is started, or a call by which libvirt changes something (before it, and once it has answered). Before the step number
``stop`` it prints ``{"hit": …}`` and waits for a line on stdin. Killed meanwhile, it never does the step. With ``ahead`` the clock
by which points become due is so many seconds ahead.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

PACKAGE = "ansible_collections.edge.cloud.plugins"
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.chmod", "os.chown", "os.mkdir", "os.truncate", "os.link", "os.symlink"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
DOMAIN = ("abortJob", "backupBegin", "checkpointCreateXML", "create", "fsFreeze", "fsThaw", "undefineFlags")
CALLS = {"virDomain": DOMAIN, "virConnect": ("defineXML",), "virDomainCheckpoint": ("delete",)}


class Steps:
    """Counts the steps of all threads, and stops the one that comes to the wanted step."""

    def __init__(self, stop: int, below: list[str]) -> None:
        self.left, self.below, self.lock = stop, tuple(below), threading.Lock()

    def step(self, what: str) -> None:
        """Note a step, and wait if it is the one."""
        with self.lock:
            self.left -= 1
            mine = self.left == 0
        if mine:
            os.write(1, json.dumps({"hit": what}).encode() + b"\n")
            os.read(0, 1)

    def watch(self, event: str, args: tuple[Any, ...]) -> None:
        """Be an audit hook."""
        if event == "subprocess.Popen":
            self.step(f"start of {args[0]}")
        elif event in CHANGES or event == "open":
            names = [os.fsdecode(one) for one in args if isinstance(one, str | bytes)]
            ours = any(name.startswith(self.below) for name in names)
            if ours and (event != "open" or (args[2] or 0) & WRITES or Path(args[0]).is_dir()):
                self.step(f"{event} {names[0]}")

    def called(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method of libvirt with a step before and after it."""

        @wraps(call)
        def method(*args: Any, **more: Any) -> Any:
            self.step(f"{name} to be called")
            found = call(*args, **more)
            self.step(f"{name} answered")
            return found

        return method


def watch_libvirt(steps: Steps) -> None:
    """Have steps at the calls by which libvirt changes something, where it is installed."""
    with suppress(ImportError):
        import libvirt

        for kind, names in CALLS.items():
            for name in names:
                setattr(getattr(libvirt, kind), name, steps.called(name, getattr(getattr(libvirt, kind), name)))


def module(name: str, options: dict[str, Any]) -> int:
    """Run a module of ours in this process."""
    from ansible.module_utils.testing import patch_module_args

    found = import_module(f"{PACKAGE}.modules.{name}")
    with patch_module_args({"_ansible_remote_tmp": "/tmp", "_ansible_keep_remote_files": False, **options}):
        found.main()
    return 0


def run(order: dict[str, Any]) -> int:
    """Do what an order says, and return the exit code; from now on this process has steps."""
    if ahead := order.get("ahead"):
        clock = time.time
        time.time = lambda: clock() + ahead
    steps = Steps(order.get("stop", 0), order.get("below", []))
    watch_libvirt(steps)
    edge_host = import_module(f"{PACKAGE}.module_utils._host.cli").main if "argv" in order else None
    sys.addaudithook(steps.watch)
    return int(edge_host(order["argv"])) if edge_host else module(order["module"], order["options"])


if __name__ == "__main__":
    sys.exit(run(json.loads(sys.argv[1])))
