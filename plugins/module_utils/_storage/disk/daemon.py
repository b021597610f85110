# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""qemu-storage-daemon: what a QEMU does with disks and their dirty bitmaps, for disks of VMs that are stopped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from ..._errors import Busy, EdgeError, NoSpace, Unsupported
from ..._runner import C_LOCALE
from ..format.qemu_img import FULL

PROGRAM = "qemu-storage-daemon"
IN_USE = ("Failed to get", "Is another process using the image")


class Daemon:
    """A running daemon that answers QMP."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._commands, self._answers = cast("tuple[IO[str], IO[str]]", (process.stdin, process.stdout))
        self._events: list[dict[str, Any]] = []

    def call(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Return the answer to a command; raise Busy where another process has a file, NoSpace, or EdgeError."""
        with suppress(BrokenPipeError):
            self._commands.write(json.dumps({"execute": command, "arguments": dict(arguments or {})}) + "\n")
            self._commands.flush()
        while "return" not in (line := self._line()):
            if "error" in line:
                raise _error(command, str(line["error"].get("desc")))
        return line["return"]

    def wait(self, job: str) -> None:
        """Return once a job has ended well."""
        while True:
            found = next((one for one in self._events if one.get("data", {}).get("device") == job), None)
            if found is None:
                self._line()
                continue
            self._events.remove(found)
            if found["event"] == "BLOCK_JOB_COMPLETED":
                if reason := found["data"].get("error"):
                    raise _error(job, str(reason))
                return

    def _line(self) -> dict[str, Any]:
        """Return the next line; events are kept."""
        text = self._answers.readline()
        if not text:
            _out, printed = self._process.communicate()
            raise _error(PROGRAM, f"it ended with {self._process.returncode}: {printed.strip()}")
        line: dict[str, Any] = json.loads(text)
        if "event" in line:
            self._events.append(line)
        return line


def _error(what: str, reason: str) -> EdgeError:
    kind = Busy if any(words in reason for words in IN_USE) else NoSpace if any(words in reason for words in FULL) else EdgeError
    return kind(f"qemu-storage-daemon, {what}: {reason}")


def file_node(path: Path) -> dict[str, Any]:
    """Return QEMU's options of a qcow2; what is below it is what its header says."""
    return {"driver": "qcow2", "discard": "unmap", "file": {"driver": "file", "filename": str(path), "discard": "unmap"}}


@contextmanager
def daemon() -> Iterator[Daemon]:
    """Give a daemon without disks; at the end it stores their bitmaps and is gone, also after an error or if we are killed."""
    argv = ["setpriv", "--pdeathsig", "TERM", PROGRAM, "--chardev", "stdio,id=monitor", "--monitor", "chardev=monitor"]
    if shutil.which(PROGRAM) is None:
        raise Unsupported(f"The program {PROGRAM} is not installed on this host; install the package that holds it.")
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **C_LOCALE},
        process_group=0,
    )
    try:
        found = Daemon(process)
        found.call("qmp_capabilities")
        yield found
        found.call("quit")
        process.communicate()
    finally:
        process.terminate()
        process.communicate()


def dirty_bytes(path: Path, bitmap: str) -> int | None:
    """Return how much of a disk at rest its bitmap has noted; None where there is no such bitmap, or one not to be believed."""
    with daemon() as running:
        running.call("blockdev-add", {**file_node(path), "node-name": "disk", "read-only": True})
        return _noted(running, "disk", bitmap)


def _noted(running: Daemon, node: str, bitmap: str) -> int | None:
    for one in running.call("query-named-block-nodes", {"flat": True}):
        for found in one.get("dirty-bitmaps", ()) if one.get("node-name") == node else ():
            if found["name"] == bitmap and not found.get("inconsistent"):
                return int(found["count"])
    return None


def copy_noted(disks: Mapping[Path, Path], old: str, new: str, granularity: int) -> None:
    """Copy what the bitmap ``old`` of each disk has noted into its delta, an empty qcow2, and begin the bitmap ``new``.

    ``old`` stays as it is. The disks are at rest.
    """
    actions = []
    with daemon() as running:
        for number, (disk, delta) in enumerate(disks.items()):
            running.call("blockdev-add", {**file_node(disk), "node-name": f"disk{number}"})
            running.call("blockdev-add", {**file_node(delta), "node-name": f"delta{number}"})
            bitmap = {"node": f"disk{number}", "name": new, "persistent": True, "granularity": granularity}
            how = {"device": f"disk{number}", "target": f"delta{number}", "bitmap": old, "bitmap-mode": "never"}
            actions.append({"type": "block-dirty-bitmap-add", "data": bitmap})
            actions.append({"type": "blockdev-backup", "data": {"job-id": f"job{number}", "sync": "bitmap", **how}})
        running.call("transaction", {"actions": actions})
        for number in range(len(disks)):
            running.wait(f"job{number}")
