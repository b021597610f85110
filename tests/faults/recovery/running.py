# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of ours that run as processes of their own, and are killed or held at one of their steps."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recovery import program
from support.outcomes import Outcome
from support.waiting import until

MOST_STEPS = 2000


@dataclass
class Running:
    """A process; ``hit`` is the step before which it waits, empty where it came to its end without.

    It leads a process group, to which all belongs that it starts. It writes to ``out``, and goes on by a byte from ``into``.
    """

    pid: int
    out: int
    into: int
    hit: str = ""
    printed: bytes = b""
    code: int | None = None

    def poll(self) -> int | None:
        """Return its exit code, or minus the signal that it died of; None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def until_hit(self) -> Running:
        """Wait until it comes to its step, or ends."""
        while b"\n" not in self.printed and (more := os.read(self.out, 2**20)):
            self.printed += more
        line = self.printed.partition(b"\n")[0]
        found = json.loads(line) if line.startswith(b"{") else {}
        if "hit" in found:
            self.hit, self.printed = str(found["hit"]), b""
        return self

    def kill(self, *, alone: bool = True) -> None:
        """Kill it: ``alone``, or with all that it has started, as when the plug of its host is pulled."""
        with suppress(ProcessLookupError):
            (os.kill if alone else os.killpg)(self.pid, signal.SIGKILL)

    def go_on(self) -> None:
        """Let it do its step."""
        with suppress(BrokenPipeError):
            os.write(self.into, b"\n")

    def result(self) -> dict[str, Any]:
        """Wait for its end and return what it printed; ``rc`` is its exit code, or minus the signal that it died of."""
        while self.poll() is None or self.printed == b"":
            if not (more := os.read(self.out, 2**20)):
                break
            self.printed += more
        until(lambda: self.poll() is not None, "the end of a program")
        os.close(self.out)
        os.close(self.into)
        lines = [line for line in self.printed.splitlines() if line.startswith(b"{")]
        return {**(json.loads(lines[-1]) if lines else {}), "rc": self.code}


@dataclass(frozen=True)
class Programs:
    """Starts programs on this machine: children of this process, which have the library loaded.

    ``below`` are the folders whose changes are steps, ``config`` the host's ``cluster.json``.
    """

    below: tuple[str, ...]
    config: Path
    environment: tuple[tuple[str, str], ...] = ()

    def start(self, *argv: str, stop: int = 0, **order: Any) -> Running:
        """Start edge-host with ``argv``, or with ``module`` and ``options`` a module."""
        if argv:
            order["argv"] = ["--config", str(self.config), *argv]
        out, print_to = os.pipe()
        read_from, into = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            self._be({"stop": stop, "below": self.below, **order}, print_to, read_from)
        os.close(print_to)
        os.close(read_from)
        return Running(pid, out, into)

    def _be(self, order: dict[str, Any], print_to: int, read_from: int) -> None:
        """Be the program, in the new process."""
        code = 1
        try:
            os.setsid()
            os.dup2(print_to, 1)
            os.dup2(read_from, 0)
            os.closerange(3, 256)
            sys.stdout = sys.stderr = os.fdopen(1, "w")
            os.environ.update(dict(self.environment))
            code = program.run(order)
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:  # noqa: BLE001 - nothing may go on in this copy of the fault run
            traceback.print_exc()
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
            os._exit(code)

    def run(self, *argv: str, **order: Any) -> dict[str, Any]:
        """Run one to its end, and return what it printed."""
        return self.start(*argv, **order).result()

    def good(self, *argv: str, **order: Any) -> dict[str, Any]:
        """Run one that must succeed."""
        found = self.run(*argv, **order)
        assert found["rc"] == 0 and not found.get("failed"), f"{argv or order.get('module')} failed: {json.dumps(found)[:2000]}"
        return found


def said(what: str, outcome: Outcome, *about: Any) -> Outcome:
    """Return an outcome, after it was printed where it is bad."""
    if outcome and any(outcome):
        print(f"{what}: lost={outcome[0]} left={outcome[1]}", *about, file=sys.stderr, flush=True)
    return outcome
