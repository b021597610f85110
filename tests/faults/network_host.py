# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the name spaces of a host of fault runs: real modules, each in a process of its own that a fault hits at a given step.

An order is a line of JSON on standard input, its answer one on standard output. A step is a command, each line of a batch of ip(8)
or bridge(8), and each call that changes or syncs a file; a fault hits before it, with all that came before done.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils import _files
from ansible_collections.edge.cloud.plugins.module_utils._errors import CommandFailed, EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._runner import Completed, SubprocessRunner
from host_program import module

ROOTS = ("/etc/edge", "/etc/systemd")  # what a boot begins with
WATCHED = (*ROOTS, "/run/edge")
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.chmod", "os.mkdir", "os.truncate", "os.link"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
MODULES = ("bridge", "virtual_network", "virtual_networks", "virtual_network_dhcp")
SUBREAPER = 36  # prctl's PR_SET_CHILD_SUBREAPER
Tree = dict[str, str | None]  # path → text, None for a folder


def tree() -> Tree:
    """Return all folders and files of the roots."""
    found: Tree = {}
    for path in (path for root in ROOTS for path in (Path(root), *Path(root).rglob("*"))):
        if path.is_dir():
            found[str(path)] = None
        elif path.is_file():
            found[str(path)] = path.read_text(errors="surrogateescape")
    return found


@dataclass
class Disk:
    """What of the roots a power cut leaves.

    A file system with a journal: a sync of anything keeps all names as they are at that moment, and the bytes of the file that was
    synced. Bytes that nobody synced are there or not.
    """

    names: dict[str, int | None] = field(default_factory=dict)  # as of the last sync: path → inode, None for a folder
    bytes: dict[int, str] = field(default_factory=dict)

    def begin(self) -> None:
        """Take all that is there as synced."""
        self.names = self._names()
        self.bytes = {number: Path(path).read_text(errors="surrogateescape") for path, number in self.names.items() if number}

    def _names(self) -> dict[str, int | None]:
        return {path: Path(path).stat().st_ino if text is not None else None for path, text in tree().items()}

    def synced(self, descriptor: int) -> None:
        """Note a sync that has just ended."""
        about = os.fstat(descriptor)
        if stat.S_ISREG(about.st_mode):
            self.bytes[about.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_text(errors="surrogateescape")
        self.names = self._names()

    def left(self) -> dict[str, Tree]:
        """Return what is left: the names of the last sync, or all names, with what was not synced written half."""
        now = tree()
        late = {path: None if number is None else self.bytes.get(number, half(now[path])) for path, number in self._names().items()}
        last = {path: None if number is None else self.bytes.get(number, "") for path, number in self.names.items()}
        return {"last": last, "late": late}


def half(text: str | None) -> str:
    """Return the first half of a text."""
    return (text or "")[: len(text or "") // 2]


@dataclass
class Steps:
    """Counts the steps of this process, and at the ``stop``-th does what ``fault`` says: ``killed``, or ``failed`` (a command)."""

    stop: int
    fault: str
    told: int  # descriptor on which a hit is told
    disk: Disk = field(default_factory=Disk)
    count: int = 0
    busy: bool = False

    def reached(self, what: str) -> bool:
        """Count a step that comes now, and return whether the fault hits before it; ``what`` is told."""
        if self.busy:
            return False
        self.count += 1
        if self.count != self.stop:
            return False
        self.busy = True
        os.write(self.told, (json.dumps({"hit": what, "disk": self.disk.left()}) + "\n").encode())
        self.busy = False
        return True

    def die(self) -> None:
        """End this process as kill -9 does."""
        os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, event: str, args: tuple[Any, ...]) -> None:
        """Be an audit hook: count changes of files."""
        writes = event == "open" and isinstance(args[2], int) and args[2] & WRITES
        if (writes or event in CHANGES) and str(args[0]).startswith(WATCHED) and self.reached(f"{event} {args[0]}"):
            self.die()

    def sync(self, descriptor: int) -> None:
        """Stand for os.fsync."""
        if self.fault == "killed" and self.reached("fsync"):
            self.die()
        os.fdatasync(descriptor)
        self.busy = True
        self.disk.synced(descriptor)
        self.busy = False


def watch_commands(steps: Steps) -> None:
    """Have each command of this process be a step, and each line of a batch."""
    plain = SubprocessRunner.run

    def run(
        self: SubprocessRunner, argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float | None = None
    ) -> Completed:
        lines = (stdin or "").splitlines(keepends=True) if "-batch" in argv else []
        for done in range(max(1, len(lines))):
            if not steps.reached(f"{' '.join(argv)} {lines[done].strip() if lines else ''}"):
                continue
            if done:
                plain(self, argv, stdin="".join(lines[:done]), check=False, timeout=timeout)
            if steps.fault == "killed":
                steps.die()
            if check:
                raise CommandFailed(argv, -signal.SIGKILL, "")
            return Completed(-signal.SIGKILL, "", "")
        return plain(self, argv, stdin=stdin, check=check, timeout=timeout)

    SubprocessRunner.run = run  # type: ignore[method-assign]


def boot(_options: Mapping[str, Any]) -> dict[str, Any]:
    """Do what the units of the role do at boot."""
    from ansible_collections.edge.cloud.plugins.module_utils._host.dhcp import dhcp
    from ansible_collections.edge.cloud.plugins.module_utils._host.networks import networks

    no_cluster: Any = None
    return {"networks": networks(no_cluster, {}), "dhcp": dhcp(no_cluster, {})}


def work(one: Mapping[str, Any], told: int, go: int) -> None:
    """Be a process that runs a module of ours, or boots."""
    steps = Steps(one.get("stop", 0), one.get("fault", "killed"), told)
    if steps.stop:
        steps.disk.begin()
        watch_commands(steps)
        _files.os.fsync = steps.sync  # type: ignore[attr-defined]
        if steps.fault == "killed":
            sys.addaudithook(steps.watch)
    os.read(go, 1)
    begun = time.monotonic()
    try:
        done = boot(one) if one["module"] == "boot" else module(one["module"], dict(one["options"]))
    except EdgeError as error:
        done = {"failed": True, **error.as_result()}
    if steps.stop:
        steps.busy = True
        done["left"] = {"last": steps.disk.left()["last"]}
    os.write(told, (json.dumps({"result": done, "steps": steps.count, "begun": begun, "ended": time.monotonic()}) + "\n").encode())


def serve(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Run the works of an order at the same time and return what became of each."""
    go, hold = os.pipe()
    running = [begin(one, go, hold) for one in order["works"]]
    os.close(go)
    os.close(hold)
    if "kill_after" in order:
        time.sleep(order["kill_after"])
        os.kill(running[0][0], signal.SIGKILL)
    answers = [end(pid, told) for pid, told in running]
    wait_for_orphans()
    return answers


def begin(one: Mapping[str, Any], go: int, hold: int) -> tuple[int, int]:
    """Fork a work that begins when ``hold`` is closed; return its process, and where it tells."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid:
        os.close(tell)
        return pid, told
    with contextlib.suppress(BaseException):
        os.close(told)
        os.close(hold)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        work(one, tell, go)
        os._exit(0)
    os._exit(1)


def end(pid: int, told: int) -> dict[str, Any]:
    """Return what a work told, and how it ended."""
    with os.fdopen(told) as file:
        lines = [json.loads(line) for line in file if line.endswith("\n")]
    _pid, status = os.waitpid(pid, 0)
    return {"code": os.waitstatus_to_exitcode(status), **{key: value for line in lines for key, value in line.items()}}


def wait_for_orphans() -> None:
    """Wait for the commands of a work that was killed: what follows a kill by hand comes later than their end."""
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not any(_children()):
            return
        time.sleep(0.005)


def _children() -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            text = path.read_text()
            program, words = text[text.index("(") + 1 : text.rindex(")")], text.rpartition(")")[2].split()
            if int(words[1]) == os.getpid() and program != "dnsmasq":
                yield int(path.parent.name)


def main() -> None:
    for name in MODULES:  # once, and not in each process
        import_module(f"ansible_collections.edge.cloud.plugins.modules.{name}")
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(tree() if order == "tree" else serve(order)), flush=True)


if __name__ == "__main__":
    main()
