# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ip(8) and bridge(8) say of changes of links, addresses and lists of hosts, as lines.

The kernel drops events that a monitor is too slow for, and the monitor only complains of it (ENOBUFS) and goes on. So whatever a
monitor says on its stderr means that something was missed.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .._errors import EdgeError

Argv = Sequence[str]


@dataclass(frozen=True)
class Line:
    """A line of a monitor; with ``complaint`` it says that events may be missing."""

    text: str
    complaint: bool = False


class Monitors:
    """Programs that print a line for each change, until they are closed."""

    def __init__(self, commands: Sequence[Argv]) -> None:
        self._commands = commands
        self._stack = contextlib.ExitStack()
        self._selector = selectors.DefaultSelector()
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Monitors:
        for argv in self._commands:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self._stack.callback(child.wait)
            self._stack.callback(child.kill)
            self.processes.append(child)
            for pipe, complaint in ((child.stdout, False), (child.stderr, True)):
                if pipe is not None:  # both are pipes
                    os.set_blocking(pipe.fileno(), False)
                    self._selector.register(pipe, selectors.EVENT_READ, [argv[0], b"", complaint])
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()
        self._selector.close()

    def lines(self, seconds: float | None) -> Iterator[Line]:
        """Yield the lines that were printed, waiting for the first one as long as ``seconds``."""
        for key, _events in self._selector.select(seconds):
            name, rest, complaint = key.data
            data = os.read(key.fd, 1 << 16)
            if not data:
                raise EdgeError(f"{name} monitor ended; the service is started again.")
            *whole, key.data[1] = (rest + data).split(b"\n")
            for line in whole:
                text = line.decode(errors="replace")
                yield Line(f"{name} monitor: {text}" if complaint else text, complaint)
